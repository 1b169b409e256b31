"""How cases of operators are drawn; see `registry`."""
