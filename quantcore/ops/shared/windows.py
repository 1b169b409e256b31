"""Where the two-dimensional window of an operator goes, by its options."""

from __future__ import annotations

from quantcore.errors import KernelError
from quantcore.kernels.padding import Window, place_window
from quantcore.ops.node import Node

__all__ = ["window_geometry"]


def window_geometry(
    node: Node, size: tuple[int, int], filter_size: tuple[int, int], dilation: tuple[int, int] = (1, 1)
) -> Window:
    """Return where the window of `node` goes, by its ``padding``, ``stride_h`` and ``stride_w`` options.

    What a PAD before it would have added (`Node.padding`) stands in for the first.

    Parameters
    ----------
    size, filter_size, dilation : (int, int)
        Height, then width.

    Raises
    ------
    UnsupportedOperatorError
        As `conv_geometry` does.
    """
    padding = node.padding or (node.options["padding"],) * 2
    stride = (node.options["stride_h"], node.options["stride_w"])
    try:
        return place_window(size, filter_size, stride, dilation, padding)
    except KernelError as error:
        raise node.refuse(str(error)) from None
