"""How the value of a constant tensor is laid out in its buffer.

Numbers are stored densely, little-endian, in row-major order; 4-bit and 2-bit types are packed; a
sparse tensor stores only the elements that `sparsity` counts; strings carry an offset table.
"""

from __future__ import annotations

import math

import numpy as np

from quantcore.flatbuffer.place import Where, fail
from quantcore.graph import Tensor

__all__ = [
    "check_strings",
    "constant_bytes",
    "constant_codes",
    "element_dtype",
    "packed_int4",
    "tensor_bytes",
    "unpacked_int4",
]

# Bits of one element per Tensor.dtype, and NumPy's type for the types that NumPy can address.
# bfloat16 and float8 have no NumPy type: their bit patterns are given as unsigned integers.
_NUMPY = "bool int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64 complex64 complex128"
_BIT_PATTERNS = {"bfloat16": "uint16", "float8_e4m3fn": "uint8", "float8_e5m2": "uint8"}
_PACKED_BITS = {"int4": 4, "uint4": 4, "int2": 2}
_ELEMENTS = {name: np.dtype(name) for name in _NUMPY.split()}
_ELEMENTS |= {name: np.dtype(bits) for name, bits in _BIT_PATTERNS.items()}


def element_dtype(dtype: str) -> np.dtype | None:
    """Return the NumPy type of the elements of ``Tensor.data``, or None where data is raw bytes."""
    return _ELEMENTS.get(dtype)


def constant_bytes(dtype: str, elements: int) -> int | None:
    """Return how many bytes `elements` values take, or None where the type does not fix it."""
    if dtype in _ELEMENTS:
        return elements * _ELEMENTS[dtype].itemsize
    if dtype in _PACKED_BITS:
        return math.ceil(elements * _PACKED_BITS[dtype] / 8)
    return None


def packed_int4(codes: np.ndarray) -> np.ndarray:
    """Return int4 codes, one per element, as a tensor stores them: two per byte, the low half first.

    Parameters
    ----------
    codes : ndarray of int8, in [-8, 7]

    Returns
    -------
    ndarray of uint8, shape (bytes,)
    """
    halves = np.zeros(codes.size + codes.size % 2, np.uint8)
    halves[: codes.size] = codes.reshape(-1).view(np.uint8) & 15
    stored: np.ndarray = halves[0::2] | halves[1::2] << 4
    return stored


def unpacked_int4(data: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the int4 codes that a tensor stores, one per int8 element, in `shape`."""
    halves = np.stack([data & 15, data >> 4], axis=-1).reshape(-1)[: math.prod(shape)].view(np.int8)
    codes: np.ndarray = (halves ^ 8) - 8
    return codes.reshape(shape)


def constant_codes(tensor: Tensor) -> np.ndarray | None:
    """Return the value of a constant as it is stored; int4 codes one per int8 element."""
    if tensor.data is not None and tensor.dtype == "int4":
        return unpacked_int4(tensor.data, tensor.shape)
    return tensor.data


def tensor_bytes(tensor: Tensor, where: Where) -> np.ndarray:
    """Return the value of a constant tensor as 1-D uint8; without copying where it is contiguous."""
    data = np.asarray(tensor.data)
    dtype = element_dtype(tensor.dtype)
    expected = dtype or np.dtype(np.uint8)
    if data.dtype != expected:
        fail(f"data is {data.dtype}, expected {expected} for a tensor of {tensor.dtype}", where)
    if dtype is None or tensor.sparsity is not None:
        if data.ndim != 1:
            fail(f"data has shape {data.shape}, expected the stored values in one dimension", where)
    elif data.shape != tuple(tensor.shape):
        fail(f"data has shape {data.shape}, but the tensor's shape is {tuple(tensor.shape)}", where)
    return np.ascontiguousarray(data).reshape(-1).view(np.uint8)


def check_strings(data: np.ndarray) -> str | None:
    """Say what is wrong with the bytes of a string tensor, or return None.

    They hold a count, count + 1 offsets from the first byte (the last one ends the last string),
    all int32, and then the characters.
    """
    if data.size < 8:
        return f"string tensor of {data.size} bytes, expected at least 8"
    count = int(data[:4].view("<u4")[0])
    header = 4 * (count + 2)
    if header > data.size:
        return f"string tensor of {data.size} bytes cannot hold {count} strings"
    offsets = data[4:header].view("<u4").astype(np.int64)
    if offsets[0] != header or offsets[-1] > data.size or (np.diff(offsets) < 0).any():
        return f"offsets of the {count} strings do not ascend from {header} to {data.size}"
    return None
