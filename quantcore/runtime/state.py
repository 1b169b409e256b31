"""Variable tensors: state that stays from one invocation to the next."""

from __future__ import annotations

import numpy as np

from quantcore.graph import Tensor

__all__ = ["initial_state"]


def initial_state(tensor: Tensor) -> np.ndarray:
    """Return what a variable tensor holds at first and after a reset: zeros; its zero point if it is int8.

    int16 and uint8 state starts at 0 too, whatever its zero point. (TFLite core/api/tensor_utils.cc,
    ResetVariableTensor; TFLite Micro does the same.)
    """
    state = np.zeros(tensor.shape, tensor.dtype)
    quantization = tensor.quantization
    if tensor.dtype == "int8" and quantization is not None and quantization.zero_point.size:
        state[...] = quantization.zero_point[0].astype(np.int8)
    return state
