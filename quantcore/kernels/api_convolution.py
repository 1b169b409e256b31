"""CONV_2D, DEPTHWISE_CONV_2D and TRANSPOSE_CONV on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernels._transpose_conv import transpose_conv_call
from quantcore.kernels.arguments import (
    INT32_MAX,
    QUANTIZED,
    Pair,
    check_offset,
    check_range,
    contiguous_input,
    padding_of_axes,
    pair,
    run,
    sum_form,
    sum_requant,
)
from quantcore.kernels.conv import conv_call
from quantcore.kernels.conv_shape import ConvShape
from quantcore.kernels.depthwise_conv import depthwise_conv_call
from quantcore.kernels.padding import place_window, transposed_padding
from quantcore.kernels.sum_bound import sum_bound

__all__ = ["conv2d", "depthwise_conv2d", "transpose_conv"]


def conv2d(
    input: Any,
    filter: Any,
    bias: Any = None,
    *,
    input_offset: int,
    output_offset: int,
    multiplier: Any,
    shift: Any,
    stride: Pair = (1, 1),
    padding: str | Sequence[Pair] = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
    filter_offset: int = 0,
    activation_min: int | None = None,
    activation_max: int | None = None,
    rounding: str = "double_rounding",
    real_multiplier: Any = None,
) -> np.ndarray:
    """Convolve images with one filter per output channel.

    ``y = clamp(rule(bias + sum (input + input_offset) * (filter + filter_offset)) + output_offset)``, where
    the sum wraps in int32 and padding adds nothing to it.

    Parameters
    ----------
    input : array_like of int8, uint8 or int16, shape (batch, height, width, channels)
    filter : array_like, shape (output channels, height, width, channels // groups)
        Of the dtype of `input`, or int8 where that is int16. Weights of 4 bits are int8 in [-8, 7].
    bias : array_like of int32, shape (output channels,), optional
        With an int16 input also of int64: the sum is then int64, and its rule ``int16_multiplier`` (for which
        ``double_rounding`` stands too, as in TFLite) or ``float64``.
    input_offset, filter_offset : int
        Minus a value of the dtype, such as the zero point.
    output_offset : int
        In [-255, 255]; the zero point of the output.
    multiplier, shift : int or array_like of int32, shape (output channels,)
        Each multiplier 0 or in [2**30, 2**31), each shift in [-31, 31], as `quantcore.quantize_multiplier`
        gives them. The rules ``float64`` and ``float32`` ignore them.
    stride, dilation : (int, int)
        Height, then width; at least 1.
    padding : {"same", "valid"} or ((int, int), (int, int))
        As TFLite computes it, or ``((top, bottom), (left, right))``.
    groups : int
        Channels of input and output are split into so many groups, convolved separately.
    activation_min, activation_max : int, optional
        Bounds of the output; default: those of the dtype.
    rounding : str
        Requantization rule: ``double_rounding`` (TFLite's reference kernels), ``ruy``, ``single_rounding``,
        ``float32``, ``float64`` or ``int16_multiplier`` (16x8 with int64 sums; shifts of at most 7).
    real_multiplier : float or array_like of float64, shape (output channels,), optional
        For the two float rules.

    Returns
    -------
    ndarray of the input's dtype, shape (batch, output height, output width, output channels)

    Raises
    ------
    KernelError
        An argument outside its range, or shapes that do not fit.

    Notes
    -----
    TFLite ``kernels/internal/reference/integer_ops/conv.h``, CMSIS-NN ``arm_convolve_s8`` and
    ``arm_convolve_s16``.
    """
    x, w = _operands(input, filter)
    units, depth = w.shape[0], w.shape[3]
    groups = check_range("groups", groups, 1, x.shape[3])
    if depth * groups != x.shape[3] or units % groups != 0:
        raise KernelError(
            f"input has {x.shape[3]} channels, filter has shape {w.shape}, groups is {groups}; expected "
            "filter.shape[3] * groups channels and filter.shape[0] a multiple of groups"
        )
    shape = _conv_shape(x.shape, w.shape[1:3], units, stride, padding, dilation)
    wide = rounding == "int16_multiplier"
    biases, form, rounding = sum_form(x.dtype, bias, units, rounding, wide_without_bias=wide)
    offsets = {
        "input_offset": check_offset("input_offset", input_offset, x.dtype),
        "filter_offset": check_offset("filter_offset", filter_offset, w.dtype),
    }
    call = conv_call(
        form,
        shape,
        groups=groups,
        **offsets,
        sum_bound=sum_bound(form, w, biases, axis=0, **offsets),
        requant=sum_requant(
            x.dtype, units, rounding, multiplier, shift, real_multiplier, output_offset, activation_min,
            activation_max,
        ),
    )  # fmt: skip
    return run(call, [x, w, biases], shape.output_shape, x.dtype)


def depthwise_conv2d(
    input: Any,
    filter: Any,
    bias: Any = None,
    *,
    input_offset: int,
    output_offset: int,
    multiplier: Any,
    shift: Any,
    stride: Pair = (1, 1),
    padding: str | Sequence[Pair] = "valid",
    dilation: Pair = (1, 1),
    depth_multiplier: int = 1,
    filter_offset: int = 0,
    activation_min: int | None = None,
    activation_max: int | None = None,
    rounding: str = "double_rounding",
    real_multiplier: Any = None,
) -> np.ndarray:
    """Convolve each channel of images with filters of its own.

    The arithmetic is that of `conv2d`; the sum is over one channel.

    Parameters
    ----------
    input : array_like of int8, uint8 or int16, shape (batch, height, width, channels)
    filter : array_like, shape (1, height, width, channels * depth_multiplier)
        Of the dtype of `input`, or int8 where that is int16. Output channel c reads input channel
        ``c // depth_multiplier``.
    bias : array_like of int32, or with an int16 input int64, shape (channels * depth_multiplier,), optional
    depth_multiplier : int
        Output channels per input channel.

    The other parameters are those of `conv2d`.

    Returns
    -------
    ndarray of the input's dtype, shape (batch, output height, output width, channels * depth_multiplier)

    Raises
    ------
    KernelError
        An argument outside its range, or shapes that do not fit.

    Notes
    -----
    TFLite ``kernels/internal/reference/integer_ops/depthwise_conv.h``, CMSIS-NN ``arm_depthwise_conv_s8``.
    """
    x, w = _operands(input, filter)
    channels = w.shape[3]
    if w.shape[0] != 1 or channels != x.shape[3] * depth_multiplier:
        raise KernelError(
            f"input has {x.shape[3]} channels, filter has shape {w.shape}, depth_multiplier is "
            f"{depth_multiplier}; expected a filter of shape (1, height, width, channels * depth_multiplier)"
        )
    shape = _conv_shape(x.shape, w.shape[1:3], channels, stride, padding, dilation)
    wide = rounding == "int16_multiplier"
    biases, form, rounding = sum_form(x.dtype, bias, channels, rounding, wide_without_bias=wide)
    offsets = {
        "input_offset": check_offset("input_offset", input_offset, x.dtype),
        "filter_offset": check_offset("filter_offset", filter_offset, w.dtype),
    }
    call = depthwise_conv_call(
        form,
        shape,
        **offsets,
        sum_bound=sum_bound(form, w, biases, axis=3, **offsets),
        requant=sum_requant(
            x.dtype, channels, rounding, multiplier, shift, real_multiplier, output_offset, activation_min,
            activation_max,
        ),
    )  # fmt: skip
    return run(call, [x, w, biases], shape.output_shape, x.dtype)


def transpose_conv(
    input: Any,
    filter: Any,
    bias: Any = None,
    *,
    input_offset: int,
    output_offset: int,
    multiplier: Any,
    shift: Any,
    stride: Pair = (1, 1),
    padding: str | Sequence[Pair] = "valid",
    output_size: Pair | None = None,
    filter_offset: int = 0,
    activation_min: int | None = None,
    activation_max: int | None = None,
    rounding: str = "double_rounding",
    real_multiplier: Any = None,
) -> np.ndarray:
    """Put a copy of the filter, times the element, into the output for each element of the input.

    ``y = clamp(rule(bias + sum (input + input_offset) * (filter + filter_offset)) + output_offset)``

    Parameters
    ----------
    input : array_like of int8, uint8 or int16, shape (batch, height, width, channels)
    filter : array_like, shape (output channels, height, width, channels)
        Of the dtype of `input`; int8 for int16.
    bias : array_like of int32, shape (output channels,), optional
        With int16, int64 or int32. Sums are int64 for an int64 bias or none, and int32 for an int32 one.
    stride : (int, int)
        Distance of the copies in the output: height, then width.
    padding : {"same", "valid"} or ((int, int), (int, int))
        What is cut off the output: ``((top, bottom), (left, right))``, or as TFLite computes it.
    output_size : (int, int), optional
        Height and width of the output. By default ``input * stride`` for "same", else what the copies fill,
        without the padding.
    rounding : str
        As in `fully_connected`.

    The other parameters are those of `conv2d`.

    Returns
    -------
    ndarray of the input's dtype, shape (batch, output height, output width, output channels)

    Raises
    ------
    KernelError
        An argument outside its range, or shapes that do not fit.

    Notes
    -----
    TFLite ``kernels/internal/reference/integer_ops/transpose_conv.h``, CMSIS-NN ``arm_transpose_conv_s8``.
    """
    x = contiguous_input("input", input, QUANTIZED, 4)
    w = contiguous_input("filter", filter, ("uint8" if x.dtype == np.uint8 else "int8",), 4)
    if 0 in x.shape[1:] or 0 in w.shape or x.shape[3] != w.shape[3]:
        raise KernelError(
            f"input and filter have shapes {x.shape} and {w.shape}; expected no zero, and the same channels"
        )
    channels = w.shape[0]
    if x.dtype == np.int16 and (input_offset or filter_offset):
        raise KernelError(
            f"input_offset is {input_offset} and filter_offset {filter_offset}; expected 0 for int16"
        )
    biases, form, rounding = sum_form(x.dtype, bias, channels, rounding, wide_without_bias=True)
    shape = _transpose_shape(x.shape, w.shape, pair("stride", stride), padding, output_size)
    offsets = {
        "input_offset": check_offset("input_offset", input_offset, x.dtype),
        "filter_offset": check_offset("filter_offset", filter_offset, w.dtype),
    }
    call = transpose_conv_call(
        form,
        shape,
        inputs=4,
        has_bias=biases is not None,
        **offsets,
        flat=False,
        filter=w,
        sum_bound=sum_bound(form, w, biases, axis=0, **offsets),
        requant=sum_requant(
            x.dtype, channels, rounding, multiplier, shift, real_multiplier, output_offset, activation_min,
            activation_max,
        ),
    )  # fmt: skip
    return run(call, [None, w, x, biases], shape.output_shape, x.dtype)


def _operands(input: Any, filter: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return input and filter of a convolution; only the batch may be empty."""
    x = contiguous_input("input", input, QUANTIZED, 4)
    w = contiguous_input("filter", filter, ("int8" if x.dtype == "int16" else x.dtype.name,), 4)
    if 0 in x.shape[1:] or 0 in w.shape:
        raise KernelError(f"input and filter have shapes {x.shape} and {w.shape}; expected no zero")
    return x, w


def _conv_shape(
    input_shape: tuple[int, ...],
    filter_size: tuple[int, ...],
    channels: int,
    stride: Pair,
    padding: str | Sequence[Pair],
    dilation: Pair,
) -> ConvShape:
    """Return the geometry, with the padding of each axis."""
    steps, spread = pair("stride", stride), pair("dilation", dilation)
    size = (input_shape[1], input_shape[2])
    window = place_window(size, (filter_size[0], filter_size[1]), steps, spread, padding_of_axes(padding))
    return ConvShape._make((*input_shape, *filter_size, *window[:2], channels, *steps, *spread, *window[2:]))


def _transpose_shape(
    x: tuple[int, ...],
    w: tuple[int, ...],
    stride: Pair,
    padding: str | Sequence[Pair],
    output_size: Pair | None,
) -> ConvShape:
    """Return the geometry of a transposed convolution."""
    given = None if output_size is None else pair("output_size", output_size)
    if not isinstance(padding, str) and np.shape(padding) != (2, 2):
        raise KernelError(f"padding is {padding}; expected 'same', 'valid' or ((top, bottom), (left, right))")
    sizes, pads = [], []
    for axis in range(2):
        size, filter_size, step = x[1 + axis], w[1 + axis], stride[axis]
        filled = (size - 1) * step + filter_size
        if isinstance(padding, str):
            natural = size * step if padding.lower() == "same" else filled
            output = natural if given is None else given[axis]
            before = transposed_padding(output, filter_size, step, padding)
        else:
            before = check_range("padding", padding[axis][0], 0, INT32_MAX)
            after = check_range("padding", padding[axis][1], 0, INT32_MAX)
            output = given[axis] if given is not None else filled - before - after
        sizes.append(check_range("output_size", output, 1, INT32_MAX))
        pads.append(before)
    if x[0] * sizes[0] * sizes[1] * w[0] > INT32_MAX:
        raise KernelError(f"the output has size {sizes} and {w[0]} channels; the limit is 2**31 - 1 elements")
    return ConvShape._make((*x, *w[1:3], *sizes, w[0], *stride, 1, 1, *pads))
