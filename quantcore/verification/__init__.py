"""Parts of `quantcore.verify`: the result, the layers of a subgraph, what to do if the oracle fails."""
