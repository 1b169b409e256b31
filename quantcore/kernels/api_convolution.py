"""CONV_2D and DEPTHWISE_CONV_2D on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernels._core import KernelCall, Requant
from quantcore.kernels.arguments import activation_bounds, check_range, contiguous_input
from quantcore.kernels.conv import conv_call
from quantcore.kernels.conv_shape import ConvShape
from quantcore.kernels.depthwise_conv import depthwise_conv_call
from quantcore.kernels.padding import Padding, conv_geometry

__all__ = [
    "EIGHT_BITS",
    "INT32_MAX",
    "Pair",
    "channel_requant",
    "checked_bias",
    "checked_offset",
    "conv2d",
    "depthwise_conv2d",
    "pair",
]

EIGHT_BITS = ("int8", "uint8")
WIDE_ROUNDINGS = ("double_rounding", "int16_multiplier", "float64")  # that int64 sums have
INT32_MAX = np.iinfo(np.int32).max
ROUNDINGS = ("double_rounding", "ruy", "single_rounding", "float32", "float64")
# largest shift where it is not 31
MOST_SHIFT = {"single_rounding": 30, "int16_multiplier": 7}
OUTPUT_OFFSETS = {"int8": (-255, 255), "uint8": (-255, 255), "int16": (-32768, 32767)}
Pair = tuple[int, int]


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
    biases = checked_bias(bias, units, _bias_dtype(x.dtype, bias))
    form, rounding = _form(x.dtype, biases, rounding)
    call = conv_call(
        form,
        shape,
        groups=groups,
        input_offset=checked_offset("input_offset", input_offset, x.dtype),
        filter_offset=checked_offset("filter_offset", filter_offset, w.dtype),
        requant=channel_requant(
            x.dtype, units, rounding, multiplier, shift, real_multiplier, output_offset, activation_min,
            activation_max,
        ),
    )  # fmt: skip
    return _run(call, x, w, biases, _output_shape(shape))


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
    biases = checked_bias(bias, channels, _bias_dtype(x.dtype, bias))
    form, rounding = _form(x.dtype, biases, rounding)
    call = depthwise_conv_call(
        form,
        shape,
        input_offset=checked_offset("input_offset", input_offset, x.dtype),
        filter_offset=checked_offset("filter_offset", filter_offset, w.dtype),
        requant=channel_requant(
            x.dtype, channels, rounding, multiplier, shift, real_multiplier, output_offset, activation_min,
            activation_max,
        ),
    )  # fmt: skip
    return _run(call, x, w, biases, _output_shape(shape))


def _operands(input: Any, filter: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return input and filter of a convolution; only the batch may be empty."""
    x = contiguous_input("input", input, (*EIGHT_BITS, "int16"), 4)
    w = contiguous_input("filter", filter, ("int8" if x.dtype == "int16" else x.dtype.name,), 4)
    if 0 in x.shape[1:] or 0 in w.shape:
        raise KernelError(f"input and filter have shapes {x.shape} and {w.shape}; expected no zero")
    return x, w


def checked_offset(name: str, value: Any, dtype: np.dtype) -> int:
    """Return an offset, which is minus a value of `dtype`."""
    info = np.iinfo(dtype)
    return check_range(name, value, -int(info.max), -int(info.min))


def checked_bias(bias: Any, channels: int, dtype: str = "int32") -> np.ndarray | None:
    """Return the bias, one element per output channel."""
    if bias is None:
        return None
    values = contiguous_input("bias", bias, (dtype,), 1)
    if values.size != channels:
        raise KernelError(f"bias has {values.size} elements; expected one per output channel, {channels}")
    return values


def _bias_dtype(dtype: np.dtype, bias: Any) -> str:
    """Return the dtype that a bias must have: int32, or int64 where that is given for an int16 input."""
    return "int64" if dtype == "int16" and np.asarray(bias).dtype == "int64" else "int32"


def _form(dtype: np.dtype, bias: np.ndarray | None, rounding: str) -> tuple[str, str]:
    """Return the form of the kernel, and the rule: int64 sums have one of their own for double rounding."""
    wide = bias.dtype == "int64" if bias is not None else rounding == "int16_multiplier"
    if dtype != "int16" or not wide:
        return dtype.name, rounding
    if rounding not in WIDE_ROUNDINGS:
        raise KernelError(
            f"rounding is {rounding!r}; expected one of {', '.join(WIDE_ROUNDINGS)} for an int64 bias"
        )
    return "int16_wide", "float64" if rounding == "float64" else "int16_multiplier"


def _conv_shape(
    input_shape: tuple[int, ...],
    filter_size: tuple[int, ...],
    channels: int,
    stride: Pair,
    padding: str | Sequence[Pair],
    dilation: Pair,
) -> ConvShape:
    """Return the geometry, with the padding of each axis."""
    axes: Sequence[Padding] = (padding, padding) if isinstance(padding, str) else padding
    if len(axes) != 2:
        raise KernelError(f"padding is {padding}; expected 'same', 'valid' or ((top, bottom), (left, right))")
    (sy, sx), (dy, dx) = pair("stride", stride), pair("dilation", dilation)
    height, top = conv_geometry(input_shape[1], filter_size[0], sy, dy, axes[0])
    width, left = conv_geometry(input_shape[2], filter_size[1], sx, dx, axes[1])
    values = (*input_shape, *filter_size, height, width, channels, sy, sx, dy, dx, top, left)
    return ConvShape._make(values)


def pair(name: str, values: Pair) -> Pair:
    """Return two positive integers, for height and width."""
    if np.shape(values) != (2,):
        raise KernelError(f"{name} is {values}; expected a value for the height and one for the width")
    return check_range(name, values[0], 1, INT32_MAX), check_range(name, values[1], 1, INT32_MAX)


def channel_requant(
    dtype: np.dtype,
    channels: int,
    rounding: str,
    multiplier: Any,
    shift: Any,
    real_multiplier: Any,
    output_offset: Any,
    activation_min: Any,
    activation_max: Any,
) -> Requant:
    """Return the requantization, of one multiplier or one per channel."""
    known = (*ROUNDINGS, "int16_multiplier") if dtype == np.int16 else ROUNDINGS
    if rounding not in known:
        raise KernelError(f"rounding is {rounding!r}; expected one of {', '.join(known)}")
    low, high = activation_bounds(dtype, activation_min, activation_max)
    store = {
        "output_offset": check_range("output_offset", output_offset, *OUTPUT_OFFSETS[dtype.name]),
        "activation_min": low,
        "activation_max": high,
    }
    if rounding in ("float32", "float64"):
        requant = Requant(rounding, real_multiplier=real_multiplier, **store)
    else:
        most = MOST_SHIFT.get(rounding, 31)
        requant = Requant(rounding, *_fixed_points(multiplier, shift, most), **store)
    if requant.channels not in (1, channels):
        raise KernelError(f"{requant.channels} multipliers given; expected 1, or one per channel, {channels}")
    return requant


def _fixed_points(multiplier: Any, shift: Any, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return multipliers and shifts, checked."""
    m, s = np.atleast_1d(multiplier), np.atleast_1d(shift)
    if m.dtype.kind not in "iu" or s.dtype.kind not in "iu":
        raise KernelError(f"multiplier and shift have dtypes {m.dtype} and {s.dtype}; expected integers")
    if ((m != 0) & ((m < 1 << 30) | (m > INT32_MAX))).any():
        raise KernelError(
            "multiplier has elements other than 0 outside [2**30, 2**31); quantize_multiplier gives them"
        )
    if s.size and not -31 <= s.min() <= s.max() <= most:
        raise KernelError(f"shift is in [{s.min()}, {s.max()}]; expected integers in [-31, {most}]")
    return m, s


def _output_shape(shape: ConvShape) -> tuple[int, ...]:
    return (shape.batches, shape.output_height, shape.output_width, shape.output_channels)


def _run(
    call: KernelCall, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, shape: tuple[int, ...]
) -> np.ndarray:
    output = np.empty(shape, x.dtype)
    call([x, w, bias], [output])
    return output
