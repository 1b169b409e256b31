"""A transposed convolution as convolutions of stride 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from quantcore.kernels.conv_shape import ConvShape

__all__ = ["Phase", "phases"]

# Where there are more, most of them have no filter: nothing is won.
MOST_PHASES = 64


class Phase(NamedTuple):
    """The outputs ``(row + i * stride_height, column + j * stride_width)`` of one image.

    Attributes
    ----------
    shape : ConvShape
        Of the convolution that makes them; its padding may be negative.
    filter : ndarray
        The elements of the filter that they see, in the order of the input's rows and columns.
    """

    row: int
    column: int
    shape: ConvShape
    filter: np.ndarray


class Axis(NamedTuple):
    """One axis of a phase: the first output, how many there are, the filter's places, the padding before."""

    first: int
    outputs: int
    places: np.ndarray
    pad: int


def phases(shape: ConvShape, filter: np.ndarray, zero: int | float) -> list[Phase]:
    """Return the convolutions of a transposed one, or an empty list where they would not pay.

    Parameters
    ----------
    shape : ConvShape
        Of the transposed convolution.
    filter : ndarray
    zero : int or float
        What stands for 0 in the filter.
    """
    if (
        min(shape.stride_height, shape.output_height) * min(shape.stride_width, shape.output_width)
        > MOST_PHASES
    ):
        return []
    rows = axis_phases(shape.stride_height, shape.filter_height, shape.pad_top, shape.output_height)
    columns = list(axis_phases(shape.stride_width, shape.filter_width, shape.pad_left, shape.output_width))
    return [make_phase(shape, filter, zero, row, column) for row in rows for column in columns]


def axis_phases(stride: int, filter_size: int, pad: int, outputs: int) -> Iterator[Axis]:
    """Phases along one axis.

    Output o sees place f of the filter at input i where ``o + pad = i * stride + f``. Those with
    ``o + pad = u * stride + phase`` see the places ``phase + k * stride``, at input ``u - k``.
    """
    for phase in range(stride):
        u = max(0, -((phase - pad) // stride))
        first = u * stride + phase - pad
        if first >= outputs:
            continue
        count = -(-(outputs - first) // stride)
        places = np.arange(phase, filter_size, stride)[::-1]
        yield Axis(first, count, places, len(places) - 1 - u)


def make_phase(shape: ConvShape, filter: np.ndarray, zero: int | float, row: Axis, column: Axis) -> Phase:
    """Return one phase."""
    taps = filter[:, row.places][:, :, column.places]
    pad_top = row.pad
    if taps.size == 0:  # a window of one place, below the input
        taps = np.full((filter.shape[0], 1, 1, filter.shape[3]), zero, filter.dtype)
        pad_top = -shape.input_height
    made = shape._replace(
        batches=1,
        filter_height=taps.shape[1],
        filter_width=taps.shape[2],
        output_height=row.outputs,
        output_width=column.outputs,
        stride_height=1,
        stride_width=1,
        dilation_height=1,
        dilation_width=1,
        pad_top=pad_top,
        pad_left=column.pad,
    )
    return Phase(row.first, column.first, made, np.ascontiguousarray(taps))
