"""MAX_POOL_2D and AVERAGE_POOL_2D."""

from __future__ import annotations

from functools import partial

from quantcore.kernel_check.draws import Draft, Draws, make_draft, tensor
from quantcore.kernel_check.operators.convolution import channel_fact, draw_image
from quantcore.kernel_check.operators.registry import Family

__all__ = ["FAMILIES"]

SUFFIXES = {"int8": "s8", "uint8": "u8", "int16": "s16", "float32": "f32"}


def draw_pool(draws: Draws, form: str, op: str) -> Draft:
    """Draw a case of a pool."""
    padding = draws.one_of("VALID", "SAME")
    rows, columns = draw_image(draws, padding, dilated=False)
    channels = draws.channels()
    draws.facts["channels"] = channel_fact(channels)
    batches = draws.one_of(1, 1, 2)
    shape = (batches, rows.size, columns.size, channels)
    zero_point = 0 if form == "float32" else draws.zero_point(form, "input")
    scale = None if form == "float32" else draws.scale()
    options = {
        "padding": padding,
        "stride_h": rows.stride,
        "stride_w": columns.stride,
        "filter_height": rows.window,
        "filter_width": columns.window,
        "fused_activation_function": draws.activation(),
    }
    x, y = (tensor(name, form, shape, scale, zero_point) for name in ("input", "output"))
    return make_draft(draws, op, [x], y, [draws.values(shape, form, zero_point)], options, version=3)


FAMILIES = [
    Family(
        op,
        {form: (f"{kind}_pool_{suffix}",) for form, suffix in SUFFIXES.items()},
        partial(draw_pool, op=op),
    )
    for op, kind in (("MAX_POOL_2D", "max"), ("AVERAGE_POOL_2D", "average"))
]
