"""The geometry that convolution kernels share."""

from __future__ import annotations

from typing import NamedTuple


class ConvShape(NamedTuple):
    """``qc_conv_shape`` of csrc/include/quantcore/conv.h, where the fields are explained."""

    batches: int
    input_height: int
    input_width: int
    input_channels: int
    filter_height: int
    filter_width: int
    output_height: int
    output_width: int
    output_channels: int
    stride_height: int
    stride_width: int
    dilation_height: int
    dilation_width: int
    pad_top: int
    pad_left: int

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        """Shape of the output, NHWC."""
        return self.batches, self.output_height, self.output_width, self.output_channels
