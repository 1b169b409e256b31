"""Output sizes and padding of sliding windows: convolutions and pools.

Source of the rules: TFLite ``kernels/padding.h`` (ComputeOutSize, ComputePadding).
"""

from __future__ import annotations

import operator
from typing import NamedTuple

from quantcore.errors import KernelError

__all__ = ["INT32_MAX", "Padding", "Window", "conv_geometry", "place_window", "transposed_padding"]

Padding = str | tuple[int, int]  # "same", "valid", or (before, after)

INT32_MAX = 2**31 - 1


def conv_geometry(
    size: int, filter_size: int, stride: int, dilation: int, padding: Padding
) -> tuple[int, int]:
    """Return ``(output size, padding before)`` of a window that slides along one axis.

    With ``effective = (filter_size - 1) * dilation + 1``:

    - ``"same"``: ``output = ceil(size / stride)``; the padding needed in total is
      ``max(0, (output - 1) * stride + effective - size)``, of which the smaller half goes before.
    - ``"valid"``: ``output = floor((size - effective) / stride) + 1``, no padding.
    - ``(before, after)``: as valid, on a size of ``size + before + after``.

    Parameters
    ----------
    size, filter_size, stride, dilation : int
        All at least 1.
    padding : {"same", "valid"} or (int, int)
        The names in any case; explicit padding is not negative.

    Raises
    ------
    KernelError
        A parameter out of range, or an output of less than one element.
    """
    for name, value in (
        ("size", size),
        ("filter size", filter_size),
        ("stride", stride),
        ("dilation", dilation),
    ):
        if not 1 <= value <= INT32_MAX:
            raise KernelError(f"{name} is {value}; expected a positive 32-bit integer")
    effective = (filter_size - 1) * dilation + 1
    if effective > INT32_MAX:
        raise KernelError(
            f"a filter of size {filter_size} with dilation {dilation} spans more than 2**31 elements"
        )
    before, after, same = 0, 0, False
    if isinstance(padding, str):
        if padding.lower() not in ("same", "valid"):
            raise KernelError(f"padding is {padding!r}; expected 'same', 'valid' or (before, after)")
        same = padding.lower() == "same"
    else:
        before, after = explicit_padding(padding)
        if size + before + after > INT32_MAX:
            raise KernelError(f"padding is {padding}, which makes more than 2**31 elements of {size}")
    if same:
        output = -(-size // stride)
        return output, max(0, (output - 1) * stride + effective - size) // 2
    output = (size + before + after - effective) // stride + 1
    if output < 1:
        raise KernelError(
            f"a filter of size {filter_size} with dilation {dilation} spans {effective} elements, more than "
            f"the {size + before + after} of the padded input"
        )
    return output, before


def explicit_padding(padding: tuple[int, int]) -> tuple[int, int]:
    """Return padding of one axis that is not given by name, checked."""
    try:
        before, after = (operator.index(p) for p in padding)
    except (TypeError, ValueError):
        before = after = -1
    if min(before, after) < 0:
        raise KernelError(f"padding is {padding!r}; expected 'same', 'valid' or two integers of at least 0")
    return before, after


class Window(NamedTuple):
    """Where a two-dimensional window goes: output size, and padding above and to the left."""

    output_height: int
    output_width: int
    pad_top: int
    pad_left: int


def place_window(
    size: tuple[int, int],
    filter_size: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: tuple[Padding, Padding],
) -> Window:
    """Return where a two-dimensional window goes; pairs are (height, width). See `conv_geometry`."""
    height, top = conv_geometry(size[0], filter_size[0], stride[0], dilation[0], padding[0])
    width, left = conv_geometry(size[1], filter_size[1], stride[1], dilation[1], padding[1])
    return Window(height, width, top, left)


def transposed_padding(output: int, filter_size: int, stride: int, padding: str) -> int:
    """Return what a transposed convolution cuts off before its output along one axis.

    It is the padding of the convolution that makes the input of the output; "valid" cuts off nothing,
    whatever the sizes. Raises as `conv_geometry` does.
    """
    if padding.lower() == "valid":
        return 0
    return conv_geometry(output, filter_size, stride, 1, padding)[1]
