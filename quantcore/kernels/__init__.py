"""Kernels as functions on arrays, parameterised as TFLite and CMSIS-NN do it: offsets, multipliers, shifts.

They compute with integers that come from anywhere, not only from a ``.tflite`` file;
`quantcore.quantize_multiplier` gives ``(multiplier, shift)`` of a real multiplier. Offsets of inputs are
minus their zero points, the offset of the output is its zero point. Arguments are checked here; the
compiled kernels beneath trust theirs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quantcore.kernels.api_arithmetic import add, maximum, minimum, mul, sub
    from quantcore.kernels.api_convolution import conv2d, depthwise_conv2d, transpose_conv
    from quantcore.kernels.api_lstm import LstmGate, lstm
    from quantcore.kernels.api_movement import pad, transpose
    from quantcore.kernels.api_pool import average_pool2d, max_pool2d
    from quantcore.kernels.api_products import batch_matmul, fully_connected
    from quantcore.kernels.api_softmax import softmax
    from quantcore.kernels.api_svdf import svdf

__all__ = [
    "LstmGate",
    "add",
    "average_pool2d",
    "batch_matmul",
    "conv2d",
    "depthwise_conv2d",
    "fully_connected",
    "lstm",
    "max_pool2d",
    "maximum",
    "minimum",
    "mul",
    "pad",
    "softmax",
    "sub",
    "svdf",
    "transpose",
    "transpose_conv",
]

_MODULE_OF = {
    "LstmGate": "api_lstm",
    "add": "api_arithmetic",
    "average_pool2d": "api_pool",
    "batch_matmul": "api_products",
    "conv2d": "api_convolution",
    "depthwise_conv2d": "api_convolution",
    "fully_connected": "api_products",
    "lstm": "api_lstm",
    "max_pool2d": "api_pool",
    "maximum": "api_arithmetic",
    "minimum": "api_arithmetic",
    "mul": "api_arithmetic",
    "pad": "api_movement",
    "softmax": "api_softmax",
    "sub": "api_arithmetic",
    "svdf": "api_svdf",
    "transpose": "api_movement",
    "transpose_conv": "api_convolution",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'quantcore.kernels' has no attribute {name!r}")
    value = getattr(import_module(f"quantcore.kernels.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
