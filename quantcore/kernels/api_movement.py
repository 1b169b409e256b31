"""PAD and TRANSPOSE on arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernels.arguments import INT32_MAX, QUANTIZED, check_range, contiguous_input, run
from quantcore.kernels.movement import MAX_RANK, pad_call, strided_copy_call

__all__ = ["pad", "transpose"]


def pad(input: Any, paddings: Any, *, pad_value: int = 0) -> np.ndarray:
    """Add elements of one value around an array.

    Parameters
    ----------
    input : array_like of int8, uint8 or int16, rank 1 to 8
    paddings : array_like of int, shape (rank, 2)
        Elements to add before and after, per dimension; not negative.
    pad_value : int
        In the range of the dtype. The zero point of the array stands for 0.

    Returns
    -------
    ndarray
        Of the dtype of `input`.

    Raises
    ------
    KernelError
        For an argument out of range; the message says which.

    Notes
    -----
    TFLite ``reference_ops::Pad``, CMSIS-NN ``arm_pad_s8``. See ``docs/numerics/pad.md``.
    """
    x = contiguous_input("input", input, QUANTIZED)
    sizes = np.asarray(paddings)
    if not 1 <= x.ndim <= MAX_RANK or sizes.shape != (x.ndim, 2):
        raise KernelError(
            f"input has shape {x.shape}, paddings {sizes.shape}; expected rank 1 to {MAX_RANK}, (rank, 2)"
        )
    pairs = [tuple(check_range("a padding", n, 0, INT32_MAX) for n in pair) for pair in sizes.tolist()]
    info = np.iinfo(x.dtype)
    value = np.array(check_range("pad_value", pad_value, int(info.min), int(info.max)), x.dtype)
    shape = tuple(n + before + after for n, (before, after) in zip(x.shape, pairs, strict=True))
    if int(np.prod(shape, dtype=object)) > INT32_MAX:
        raise KernelError(f"the padded array has shape {shape}, more than 2**31 - 1 elements")
    call = pad_call(
        shape=x.shape,
        before=[before for before, _ in pairs],
        after=[after for _, after in pairs],
        value=value,
        output=1,
    )
    return run(call, [x], shape, x.dtype)


def transpose(input: Any, perm: Any) -> np.ndarray:
    """Put the dimensions of an array in another order.

    Parameters
    ----------
    input : array_like of int8, uint8 or int16, rank 1 to 8
    perm : sequence of int
        Dimension of `input` that becomes each dimension of the output; each once.

    Returns
    -------
    ndarray
        Contiguous, of the dtype of `input`.

    Raises
    ------
    KernelError
        For an argument out of range; the message says which.

    Notes
    -----
    TFLite ``reference_ops::Transpose``, CMSIS-NN ``arm_transpose_s8``. See ``docs/numerics/transpose.md``.
    """
    x = contiguous_input("input", input, QUANTIZED)
    order = [int(d) for d in np.asarray(perm).reshape(-1)]
    if not 1 <= x.ndim <= MAX_RANK or sorted(order) != list(range(x.ndim)):
        raise KernelError(f"input has shape {x.shape}, perm is {order}; expected each dimension once")
    shape = tuple(x.shape[d] for d in order)
    strides = [x.strides[d] // x.itemsize for d in order]
    call = strided_copy_call(element_bytes=x.itemsize, shape=shape, strides=strides)
    return run(call, [x], shape, x.dtype)
