"""Operators that reduce axes: MEAN, SUM, REDUCE_MAX, REDUCE_MIN."""

from __future__ import annotations

from functools import partial

import numpy as np

from quantcore.kernel_check.draws import Draft, Draws, constant, make_draft, tensor
from quantcore.kernel_check.operators.elementwise import SUFFIXES, draw_shape
from quantcore.kernel_check.operators.registry import Family

__all__ = ["FAMILIES"]

QUANTIZED = ("int8", "uint8", "int16")


def draw_reduction(draws: Draws, form: str, op: str) -> Draft:
    """Draw a case of a reduction over some of the axes."""
    shape = draw_shape(draws)
    kind = draws.one_of("last", "first", "all", "height and width", "some")
    axes = {"last": [len(shape) - 1], "first": [0], "all": [*range(len(shape))]}.get(kind)
    if axes is None:
        axes = [1, 2] if kind == "height and width" and len(shape) == 4 else []
        axes = axes or [axis for axis in range(len(shape)) if draws.flag()] or [0]
    draws.facts["axes"] = kind
    x, y = tensor("input", form, shape), tensor("output", form)
    zero_point = 0
    if form in QUANTIZED:
        zero_point, scale = draws.zero_point(form, "input"), draws.scale()
        x = tensor("input", form, shape, scale, zero_point)
        ratio, other = draws.one_of(1.0, 1.0, 0.5, 0.37, 2.0), zero_point
        if op in ("REDUCE_MAX", "REDUCE_MIN"):
            ratio = 1.0
        elif draws.flag():
            other = draws.zero_point(form, "output")
        y = tensor("output", form, (), scale * np.float32(ratio), other)
    index = constant("axes", np.array(axes, np.int32))
    keep = {"keep_dims": draws.flag()}
    return make_draft(draws, op, [x, index], y, [draws.values(shape, form, zero_point)], keep, version=2)


def kernels_of(op: str, form: str) -> tuple[str, ...]:
    """Return the kernels that compute a form."""
    suffix = SUFFIXES[form]
    if op in ("MEAN", "SUM") and form in QUANTIZED:
        return f"mean_{suffix}", f"scaled_sum_{suffix}", f"reduce_{suffix}"
    return (f"mean_{suffix}",) if op == "MEAN" else (f"reduce_{suffix}",)


FORMS = {
    "MEAN": ("int8", "uint8", "int16", "float32"),
    "SUM": ("uint8", "int32", "float32"),
    "REDUCE_MAX": ("int8", "uint8", "int16", "int32", "float32"),
    "REDUCE_MIN": ("int8", "uint8", "int16", "int32", "float32"),
}

FAMILIES = [
    Family(op, {form: kernels_of(op, form) for form in found}, partial(draw_reduction, op=op))
    for op, found in FORMS.items()
]
