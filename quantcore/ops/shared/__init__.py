"""What several operators share; the operators themselves are the modules of `quantcore.ops`."""
