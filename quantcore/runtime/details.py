"""Tensors described as ``tf.lite.Interpreter`` describes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from quantcore.graph import Tensor

__all__ = ["tensor_details"]

# What TensorFlow Lite's dicts name for dtypes that NumPy does not have.
SPECIAL_TYPES = {"string": np.bytes_, "int4": np.int8, "uint4": np.uint8, "int2": np.int8}


def tensor_details(tensor: Tensor, index: int, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the dict of tensor `index`, whose shape at present is `shape`."""
    quantization = tensor.quantization
    scales = np.array([], np.float32) if quantization is None else np.array(quantization.scale)
    zero_points = np.array([], np.int32)
    if quantization is not None:
        zero_points = quantization.zero_point.astype(np.int32)
    single = scales.size == 1
    dtype: Any = SPECIAL_TYPES.get(tensor.dtype)
    if tensor.dtype not in SPECIAL_TYPES:
        dtype = np.dtype(tensor.dtype).type
    return {
        "name": tensor.name,
        "index": index,
        "shape": np.array(shape, dtype=np.int32),
        "shape_signature": np.array(tensor.shape_signature or shape, dtype=np.int32),
        "dtype": dtype,
        "quantization": (float(scales[0]), int(zero_points[0])) if single else (0.0, 0),
        "quantization_parameters": {
            "scales": scales,
            "zero_points": zero_points,
            "quantized_dimension": 0 if quantization is None else quantization.quantized_dimension,
        },
        "sparsity_parameters": tensor.sparsity or {},
    }
