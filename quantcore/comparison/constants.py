"""Constants of a model, as real values, seen through the casts behind them."""

from __future__ import annotations

import numpy as np

from quantcore.comparison.measures import params_of, real_values
from quantcore.flatbuffer.constants import constant_codes
from quantcore.graph import Subgraph, Tensor

__all__ = ["CASTS", "constant_values", "fixed_tensors"]

CASTS = ("QUANTIZE", "DEQUANTIZE")


def fixed_tensors(subgraph: Subgraph) -> dict[int, Tensor]:
    """Return the constant behind each tensor that is one, or that a cast makes of one."""
    fixed = {
        t: tensor
        for t, tensor in enumerate(subgraph.tensors)
        if tensor.data is not None and not tensor.is_variable
    }
    for op in subgraph.operators:
        if op.op in CASTS and op.inputs[0] in fixed:
            fixed[op.outputs[0]] = fixed[op.inputs[0]]
    return fixed


def constant_values(tensor: Tensor) -> np.ndarray | None:
    """Return the real values of a constant; None where it is stored in a form without NumPy dtype."""
    data, params = constant_codes(tensor), params_of(tensor)
    if (
        data is None
        or data.shape != tensor.shape
        or tensor.sparsity is not None
        or data.dtype.kind not in "fiub"
    ):
        return None
    values: np.ndarray = real_values(data, params)
    return values
