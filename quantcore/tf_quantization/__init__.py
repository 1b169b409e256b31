"""The functions of ``tf.quantization`` on NumPy arrays: their names, their parameters, TensorFlow's bits."""

from __future__ import annotations

from quantcore.tf_quantization.dequantize import dequantize
from quantcore.tf_quantization.fake_quant import (
    FakeQuantGradients,
    fake_quant_with_min_max_args,
    fake_quant_with_min_max_args_gradient,
    fake_quant_with_min_max_vars,
    fake_quant_with_min_max_vars_gradient,
    fake_quant_with_min_max_vars_per_channel,
    fake_quant_with_min_max_vars_per_channel_gradient,
)
from quantcore.tf_quantization.nudging import NudgedRange, converted_qparams, nudge
from quantcore.tf_quantization.quantize import Quantized, quantize
from quantcore.tf_quantization.quantize_and_dequantize import quantize_and_dequantize_v2

__all__ = [
    "FakeQuantGradients",
    "NudgedRange",
    "Quantized",
    "converted_qparams",
    "dequantize",
    "fake_quant_with_min_max_args",
    "fake_quant_with_min_max_args_gradient",
    "fake_quant_with_min_max_vars",
    "fake_quant_with_min_max_vars_gradient",
    "fake_quant_with_min_max_vars_per_channel",
    "fake_quant_with_min_max_vars_per_channel_gradient",
    "nudge",
    "quantize",
    "quantize_and_dequantize_v2",
]
