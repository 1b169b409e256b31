"""quantcore: what TensorFlow Lite computes, to the last bit, and why.

Only the public names are here. Each is imported from its module when it is first used, so that
``import quantcore`` costs next to nothing and never loads TensorFlow or scikit-learn.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from quantcore.errors import (
    KernelError,
    ModelFormatError,
    OracleCrashed,
    OracleError,
    OracleRefused,
    OracleUnavailable,
    QuantcoreError,
    QuantizationError,
    UnsupportedOperatorError,
)

if TYPE_CHECKING:
    from quantcore import calibration, kernels, tf_quantization
    from quantcore.affine import (
        QuantParams,
        choose_qparams,
        dequantize,
        quantize,
        quantize_multiplier,
        requantize,
    )
    from quantcore.check_kernel import check_kernel
    from quantcore.compare import compare
    from quantcore.custom_kernels import CKernel
    from quantcore.export_c import export_c
    from quantcore.flatbuffer import load, save
    from quantcore.quantizer.quantize import quantize_model
    from quantcore.runtime import Interpreter
    from quantcore.verify import verify

__version__ = "0.1.0"

__all__ = [
    "CKernel",
    "Interpreter",
    "KernelError",
    "ModelFormatError",
    "OracleCrashed",
    "OracleError",
    "OracleRefused",
    "OracleUnavailable",
    "QuantParams",
    "QuantcoreError",
    "QuantizationError",
    "UnsupportedOperatorError",
    "__version__",
    "calibration",
    "check_kernel",
    "choose_qparams",
    "compare",
    "dequantize",
    "export_c",
    "kernels",
    "load",
    "quantize",
    "quantize_model",
    "quantize_multiplier",
    "requantize",
    "save",
    "tf_quantization",
    "verify",
]

_MODULE_OF = {
    "CKernel": "custom_kernels",
    "Interpreter": "runtime",
    "QuantParams": "affine",
    "check_kernel": "check_kernel",
    "choose_qparams": "affine",
    "compare": "compare",
    "dequantize": "affine",
    "export_c": "export_c",
    "load": "flatbuffer",
    "quantize": "affine",
    "quantize_model": "quantizer.quantize",
    "quantize_multiplier": "affine",
    "requantize": "affine",
    "save": "flatbuffer",
    "verify": "verify",
}
_SUBMODULES = ("affine", "calibration", "kernels", "qat", "tf_quantization")


class _Package(ModuleType):
    """The package, in which a public function wins over the module of the same name (``verify``)."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _MODULE_OF and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"quantcore.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'quantcore' has no attribute {name!r}")
    value = getattr(import_module(f"quantcore.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
