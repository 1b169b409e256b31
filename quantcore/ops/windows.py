"""Where the two-dimensional window of an operator goes: convolutions and pools."""

from __future__ import annotations

from dataclasses import dataclass

from quantcore.errors import KernelError
from quantcore.kernels.padding import conv_geometry
from quantcore.ops.node import Node

__all__ = ["Window", "window_geometry"]


@dataclass(frozen=True, slots=True)
class Window:
    """Where a two-dimensional window goes: output size, and padding above and to the left."""

    output_height: int
    output_width: int
    pad_top: int
    pad_left: int


def window_geometry(
    node: Node, size: tuple[int, int], filter_size: tuple[int, int], dilation: tuple[int, int] = (1, 1)
) -> Window:
    """Return where the window of `node` goes, by its ``padding``, ``stride_h`` and ``stride_w`` options.

    Parameters
    ----------
    size, filter_size, dilation : (int, int)
        Height, then width.

    Raises
    ------
    UnsupportedOperatorError
        As `conv_geometry` does.
    """
    padding = node.options.get("padding", "SAME")
    stride = (node.options.get("stride_h", 0), node.options.get("stride_w", 0))
    try:
        height, top = conv_geometry(size[0], filter_size[0], stride[0], dilation[0], padding)
        width, left = conv_geometry(size[1], filter_size[1], stride[1], dilation[1], padding)
    except KernelError as error:
        raise node.refuse(str(error)) from None
    return Window(height, width, top, left)
