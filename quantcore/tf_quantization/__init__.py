"""The functions of ``tf.quantization`` on NumPy arrays: their names, their parameters, TensorFlow's bits."""

from __future__ import annotations

from quantcore.tf_quantization.fake_quant import (
    FakeQuantGradients,
    fake_quant_with_min_max_args,
    fake_quant_with_min_max_args_gradient,
    fake_quant_with_min_max_vars,
    fake_quant_with_min_max_vars_gradient,
    fake_quant_with_min_max_vars_per_channel,
    fake_quant_with_min_max_vars_per_channel_gradient,
)
from quantcore.tf_quantization.nudging import NudgedRange, nudge

__all__ = [
    "FakeQuantGradients",
    "NudgedRange",
    "fake_quant_with_min_max_args",
    "fake_quant_with_min_max_args_gradient",
    "fake_quant_with_min_max_vars",
    "fake_quant_with_min_max_vars_gradient",
    "fake_quant_with_min_max_vars_per_channel",
    "fake_quant_with_min_max_vars_per_channel_gradient",
    "nudge",
]
