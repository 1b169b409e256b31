"""Operators of one input: activations, functions, conversions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from quantcore.kernel_check.draws import Draft, Draws, make_draft, tensor
from quantcore.kernel_check.operators.elementwise import SUFFIXES, draw_shape
from quantcore.kernel_check.operators.registry import Family

__all__ = ["FAMILIES"]

QUANTIZED = ("int8", "uint8", "int16")
WAYS = ("quantize", "quantize_reciprocal", "quantize_saturating")  # of QUANTIZE, by profile
# Scale and zero point of outputs that TensorFlow Lite prescribes
FIXED: dict[str, dict[str, tuple[float, int]]] = {
    "SOFTMAX": {"int8": (1 / 256, -128), "uint8": (1 / 256, 0), "int16": (1 / 32768, 0)},
    "LOG_SOFTMAX": {"int8": (16 / 256, 127), "uint8": (16 / 256, 255)},
    "LOGISTIC": {"int8": (1 / 256, -128), "uint8": (1 / 256, 0), "int16": (1 / 32768, 0)},
    "TANH": {"int8": (1 / 128, 0), "uint8": (1 / 128, 128), "int16": (1 / 32768, 0)},
    "L2_NORMALIZATION": {"int8": (1 / 128, 0), "uint8": (1 / 128, 128)},
}
TARGETS = {"int8": ("int8", "uint8"), "uint8": ("int8", "uint8"), "int16": ("int8", "int16")}
RELUS = ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1")


def draw_unary(draws: Draws, form: str, op: str) -> Draft:
    """Draw a case of an operator whose output has the shape and dtype of its input."""
    shape = draw_shape(draws)
    x, y = tensor("input", form, shape), tensor("output", form)
    zero_point = 0
    if form in QUANTIZED:
        zero_point = draws.zero_point(form, "input")
        scale = draws.scale() / np.float32(256 if form == "int16" else 1)
        x = tensor("input", form, shape, scale, zero_point)
        ratio = draws.one_of(1.0, 0.5, 2.0, 1.37, 0.01, 100.0)
        draws.facts["ratio of the scales"] = "1" if ratio == 1 else "other"
        fixed = FIXED.get(op, {}).get(form)
        other = fixed or (scale * np.float32(ratio), draws.zero_point(form, "output"))
        y = tensor("output", form, (), *other)
    options: dict[str, Any] = {}
    if op == "SOFTMAX":
        options["beta"] = draws.one_of(1.0, 1.0, 0.5, 2.5)
    if op == "LEAKY_RELU":
        options["alpha"] = draws.one_of(0.25, 0.01, 0.3, 1.7)
    return make_draft(draws, op, [x], y, [draws.values(shape, form, zero_point)], options)


def draw_conversion(draws: Draws, form: str, op: str) -> Draft:
    """Draw a case of QUANTIZE or DEQUANTIZE; the form names both dtypes."""
    source, target = form.split("_to_")
    shape = draw_shape(draws)

    def end(name: str, dtype: str, size: tuple[int, ...]) -> Any:
        if dtype == "float32":
            return tensor(name, dtype, size)
        return tensor(name, dtype, size, draws.scale(), draws.zero_point(dtype, name))

    x, y = end("input", source, shape), end("output", target, ())
    zero_point = 0 if x.quantization is None else int(x.quantization.zero_point[0])
    values = draws.values(shape, source, zero_point)
    if source == "float32" and draws.flag():  # halfway between two integers
        assert y.quantization is not None
        steps = draws.rng().integers(-300, 300, shape) + np.float32(0.5)
        values = (steps * y.quantization.scale[0]).astype(np.float32)
        draws.facts["data"] = "ties"
    return make_draft(draws, op, [x], y, [values], version=2)


def forms_of(op: str) -> Mapping[str, tuple[str, ...]]:
    """Return the forms of an operator, and the kernels that compute them."""
    table = {"int8": ("lookup_x8",), "uint8": ("lookup_x8",)}
    name = op.lower()
    if op in RELUS:
        return {**table, "int16": ("relu_s16",), "float32": ("relu_f32",)}
    if op in ("LOGISTIC", "TANH"):
        wide = (f"{name}_s16", f"{name}_fixed_s16")
        return {**table, "int16": wide, "float32": (f"{name}_f32", f"{name}_eigen_f32")}
    if op == "SOFTMAX":
        bytes_alike = {
            d: (f"softmax_{s}", f"softmax_table_{s}") for d, s in (("int8", "s8"), ("uint8", "u8"))
        }
        return {**bytes_alike, "int16": ("softmax_s16",), "float32": ("softmax_f32",)}
    if op == "LOG_SOFTMAX":
        pairs = (("int8", "s8"), ("uint8", "u8"))
        found = {d: (f"log_softmax_{s}", f"log_softmax_table_{s}") for d, s in pairs}
        return {**found, "float32": ("log_softmax_f32",)}
    if op == "LEAKY_RELU":
        return {**table, "int16": ("leaky_relu_s16",), "float32": ("leaky_relu_f32",)}
    if op == "HARD_SWISH":
        return {**table, "float32": ("hard_swish_f32",)}
    if op == "ABS":
        return {"int8": ("abs_s8",), "int16": ("abs_s16",), "float32": ("unary_f32",)}
    return {d: (f"l2_normalization_{SUFFIXES[d]}",) for d in ("int8", "uint8", "float32")}


def conversions(op: str) -> Mapping[str, tuple[str, ...]]:
    """Return the forms of QUANTIZE or DEQUANTIZE."""
    if op == "DEQUANTIZE":
        names = {d: (f"dequantize_{SUFFIXES[d]}_f32",) for d in QUANTIZED}
        of_bytes = {d: (f"dequantize_terms_{SUFFIXES[d]}_f32",) for d in ("int8", "uint8")}
        return {f"{d}_to_float32": known + of_bytes.get(d, ()) for d, known in names.items()}
    found: dict[str, tuple[str, ...]] = {}
    for d in QUANTIZED:
        ways = ("quantize", "quantize_reciprocal") if d == "int16" else WAYS
        found[f"float32_to_{d}"] = tuple(f"{way}_f32_{SUFFIXES[d]}" for way in ways)
        for other in TARGETS[d]:
            found[f"{d}_to_{other}"] = (f"requantize_{SUFFIXES[d]}_{SUFFIXES[other]}",)
    return found


FAMILIES = [
    *(
        Family(op, forms_of(op), partial(draw_unary, op=op))
        for op in (
            *RELUS,
            "LOGISTIC",
            "TANH",
            "SOFTMAX",
            "LOG_SOFTMAX",
            "LEAKY_RELU",
            "HARD_SWISH",
            "ABS",
            "L2_NORMALIZATION",
        )
    ),
    *(Family(op, conversions(op), partial(draw_conversion, op=op)) for op in ("QUANTIZE", "DEQUANTIZE")),
]
