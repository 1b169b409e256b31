"""Operators on two inputs that broadcast: ADD, SUB, MUL and their like."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from quantcore.graph import Tensor
from quantcore.kernel_check.draws import Draft, Draws, make_draft, tensor
from quantcore.kernel_check.operators.registry import Family

__all__ = ["FAMILIES", "draw_shape"]

SUFFIXES = {"int8": "s8", "uint8": "u8", "int16": "s16", "int32": "s32", "int64": "s64", "float32": "f32"}
QUANTIZED = ("int8", "uint8", "int16")
WITH_ACTIVATION = ("ADD", "SUB", "MUL")


def draw_shape(draws: Draws, most: int = 4, *, largest: int = 17) -> tuple[int, ...]:
    """Draw a shape of one to `most` dimensions."""
    rank = draws.integer(1, most)
    sizes = tuple(n for n in (1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33) if n <= largest)
    shape: tuple[int, ...] = ()
    for _ in range(rank):
        room = max(1, 2000 // max(1, int(np.prod(shape))))
        shape += (draws.one_of(*(n for n in sizes if n <= room)),)
    draws.facts["rank"] = str(rank)
    draws.facts["elements"] = "1" if np.prod(shape) == 1 else "odd" if np.prod(shape) % 2 else "even"
    return shape


def draw_pair(draws: Draws, form: str, op: str) -> Draft:
    """Draw a case of two inputs that broadcast."""
    shape = draw_shape(draws)
    kind = draws.one_of("equal shapes", "equal shapes", "one element", "one row", "other")
    draws.facts["broadcasting"] = kind
    other = shape
    if kind == "one element":
        other = (1,) * draws.integer(1, len(shape))
    elif kind == "one row":
        other = shape[-1:]
    elif kind == "other":
        other = tuple(draws.one_of(n, 1) for n in shape)
    shapes = [shape, other]
    if kind != "equal shapes" and draws.flag():
        shapes.reverse()
    options: dict[str, Any] = {}
    if op in WITH_ACTIVATION:
        options["fused_activation_function"] = draws.activation()
    if op == "ADD" or op == "SUB":
        options["pot_scale_int16"] = False
    inputs, y = draw_operands(draws, form, op, shapes)
    zeros = [0 if t.quantization is None else int(t.quantization.zero_point[0]) for t in inputs]
    values = [draws.values(t.shape, form, zero) for t, zero in zip(inputs, zeros, strict=True)]
    return make_draft(draws, op, inputs, y, values, options, version=2)


def draw_operands(
    draws: Draws, form: str, op: str, shapes: list[tuple[int, ...]]
) -> tuple[list[Tensor], Tensor]:
    """Draw the scales and zero points of two inputs and the output."""
    names = ("input 1", "input 2", "output")
    if form not in QUANTIZED:
        tensors = [tensor(name, form, shape) for name, shape in zip(names, [*shapes, ()], strict=True)]
        return tensors[:2], tensors[2]
    if op in ("MAXIMUM", "MINIMUM"):
        zero, scale = draws.zero_point(form, "input"), draws.scale()
        tensors = [tensor(n, form, shape, scale, zero) for n, shape in zip(names, [*shapes, ()], strict=True)]
        return tensors[:2], tensors[2]
    zeros = [draws.zero_point(form, name) for name in names]
    ratio = draws.one_of("equal", "powers of two", "any", "far apart", "any")
    draws.facts["scales"] = ratio
    scales = [np.float32(0.0625)] * 3
    if ratio == "powers of two":
        scales = [np.float32(2.0 ** draws.one_of(-4, -3, -5, -6)) for _ in names]
    elif ratio == "any":
        scales = [np.float32(draws.rng().uniform(0.02, 0.2)) for _ in names]
    elif ratio == "far apart":
        scales = [np.float32(2.0 ** draws.integer(-10, 2) * 1.3) for _ in names]
    if op == "MUL":  # the product of the scales is the output's, more or less
        scales[2] = np.float32(scales[0] * scales[1] * draws.one_of(2.0, 64.0, 100.0, 256.0, 37.0, 8.0))
    if form == "int16":
        scales = [np.float32(s / 256) for s in scales[:2]] + [
            scales[2] / (256 if op != "MUL" else 65536 / 256)
        ]
    made = [
        tensor(name, form, shape, scale, zero)
        for name, shape, scale, zero in zip(names, [*shapes, ()], scales, zeros, strict=True)
    ]
    return made[:2], made[2]


FORMS = {
    "ADD": ("int8", "uint8", "int16", "int32", "int64", "float32"),
    "SUB": ("int8", "uint8", "int16", "int32", "int64", "float32"),
    "MUL": ("int8", "uint8", "int16", "int32", "int64", "float32"),
    "SQUARED_DIFFERENCE": ("int8", "int32", "float32"),
    "MAXIMUM": ("int8", "uint8", "int16", "int32", "int64", "float32"),
    "MINIMUM": ("int8", "uint8", "int16", "int32", "int64", "float32"),
}


def kernels_of(op: str, form: str) -> tuple[str, ...]:
    """Return the kernels that compute a form."""
    name = f"{op.lower()}_{SUFFIXES[form]}"
    if op in ("ADD", "SUB") and form in ("int8", "uint8"):
        return name, f"weighted_sum_{SUFFIXES[form]}"
    return (name, f"{name}_flushed") if form == "float32" else (name,)


FAMILIES = [
    Family(op, {form: kernels_of(op, form) for form in found}, partial(draw_pair, op=op))
    for op, found in FORMS.items()
]
