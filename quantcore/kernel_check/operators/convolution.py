"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED."""

from __future__ import annotations

from functools import partial
from typing import Any

from quantcore.kernel_check.draws import CHANNELS, Draft, Draws, make_draft
from quantcore.kernel_check.operators.registry import Family
from quantcore.kernel_check.operators.sums import float_products, quantize_products

__all__ = ["FAMILIES", "Extent", "channel_fact", "draw_image"]

MOST_PRODUCTS = 60_000  # of a case, so that one takes well below a millisecond
BEYOND = (0, 1, 2, 3, 4, 5, 7)  # what an image has more than a window needs
VERSIONS = {"CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "FULLY_CONNECTED": 9}


class Extent:
    """Height or width: of the input, the filter, its stride and dilation."""

    def __init__(self, size: int, window: int, stride: int, dilation: int) -> None:
        self.size, self.window, self.stride, self.dilation = size, window, stride, dilation


def draw_extent(draws: Draws, padding: str, *, dilated: bool) -> Extent:
    """Draw one of the two dimensions of an image."""
    window = draws.one_of(1, 2, 3, 3, 4, 5)
    stride = draws.one_of(1, 1, 2, 3)
    dilation = draws.one_of(1, 1, 2, 3) if dilated and window > 1 else 1
    least = 1 if padding == "SAME" else (window - 1) * dilation + 1
    return Extent(least + draws.one_of(*BEYOND), window, stride, dilation)


def draw_image(draws: Draws, padding: str, *, dilated: bool) -> tuple[Extent, Extent]:
    """Draw both dimensions of an image; half of the windows are square, with equal strides and dilations."""
    rows = draw_extent(draws, padding, dilated=dilated)
    if draws.flag():
        columns = draw_extent(draws, padding, dilated=dilated)
    else:
        least = 1 if padding == "SAME" else (rows.window - 1) * rows.dilation + 1
        size = least + draws.one_of(*BEYOND)
        columns = Extent(size, rows.window, rows.stride, rows.dilation)
    window_facts(draws, padding, rows, columns)
    return rows, columns


def window_facts(draws: Draws, padding: str, rows: Extent, columns: Extent) -> None:
    """Record what there is to say about a window."""
    facts = draws.facts
    facts["padding"] = padding
    facts["strides"] = str(rows.stride) if rows.stride == columns.stride else "unequal"
    facts["dilation"] = str(rows.dilation) if rows.dilation == columns.dilation else "unequal"
    facts["window"] = f"{rows.window}x{columns.window}" if rows.window == columns.window else "not square"
    facts["image"] = "one row or column" if 1 in (rows.size, columns.size) else "larger"


def channel_fact(channels: int) -> str:
    """Return what to call a number of channels in the table."""
    if channels == 1:
        return "1"
    return "multiple of 4" if channels % 4 == 0 else "odd" if channels % 2 else "even"


def draw_convolution(draws: Draws, form: str, op: str) -> Draft:
    """Draw a case of CONV_2D or DEPTHWISE_CONV_2D."""
    padding = draws.one_of("VALID", "SAME", "SAME")
    dilated = draws.flag()
    rows, columns = draw_image(draws, padding, dilated=dilated)
    taps = rows.window * columns.window
    most = max(1, MOST_PRODUCTS // (taps * rows.size * columns.size))
    options: dict[str, Any] = {}
    if op == "CONV_2D":
        depth = draws.channels(max(1, min(33, int(most**0.5))))
        outputs = draws.channels(max(1, min(33, most // depth)))
        groups = draws.one_of(1, 1, 1, 2, 3)
        draws.facts["groups"] = str(groups)
        filter_shape = (outputs * groups, rows.window, columns.window, depth)
        channels, outputs = depth * groups, outputs * groups
    else:
        channels = draws.channels(max(1, min(33, most)))
        multiplier = draws.one_of(1, 1, 1, 2, 3, 4)
        draws.facts["depth multiplier"] = str(multiplier)
        outputs = channels * multiplier
        filter_shape = (1, rows.window, columns.window, outputs)
        options["depth_multiplier"] = multiplier
    draws.facts["input channels"] = channel_fact(channels)
    draws.facts["output channels"] = channel_fact(outputs)
    batches = draws.one_of(1, 1, 1, 2)
    draws.facts["batches"] = str(batches)
    options |= {
        "padding": padding,
        "stride_h": rows.stride,
        "stride_w": columns.stride,
        "dilation_h_factor": rows.dilation,
        "dilation_w_factor": columns.dilation,
        "fused_activation_function": draws.activation(),
    }
    shape = (batches, rows.size, columns.size, channels)
    axis = 0 if op == "CONV_2D" else 3
    return finish(draws, op, form, shape, filter_shape, axis, options)


def draw_fully_connected(draws: Draws, form: str) -> Draft:
    """Draw a case of FULLY_CONNECTED."""
    batches = draws.one_of(1, 1, 2, 3, 5)
    depth = draws.one_of(*CHANNELS, 64, 65, 127, 130)
    units = draws.one_of(*CHANNELS, 64)
    draws.facts |= {"batches": str(batches) if batches < 3 else "more", "depth": channel_fact(depth)}
    draws.facts["units"] = channel_fact(units)
    options = {"fused_activation_function": draws.activation()}
    return finish(draws, "FULLY_CONNECTED", form, (batches, depth), (units, depth), 0, options)


def finish(
    draws: Draws,
    op: str,
    form: str,
    input_shape: tuple[int, ...],
    filter_shape: tuple[int, ...],
    axis: int,
    options: dict[str, Any],
) -> Draft:
    """Draw data and scales, and make the model."""
    needs_bias = op == "CONV_2D"  # which TensorFlow Lite does not run without one
    if form == "int16 int32_bias":
        options = options | {"quantized_bias_type": "INT32"}
    if form == "hybrid" and op == "FULLY_CONNECTED":
        options = options | {"asymmetric_quantize_inputs": draws.flag()}
    products = float_products if form == "float32" or form.startswith("hybrid") else quantize_products
    made = products(draws, form, input_shape, filter_shape, axis=axis, needs_bias=needs_bias)
    inputs = [made.x, made.w, made.bias]
    return make_draft(draws, op, inputs, made.y, [made.value], options, version=VERSIONS[op])


def forms(stem: str, *, four_bits: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the forms of an operator on products."""
    wide = (f"{stem}_s16_wide", f"{stem}_s16")
    found = {
        "int8": (f"{stem}_s8",),
        "uint8": (f"{stem}_u8",),
        "int16": wide,
        "int16 int32_bias": wide,
        "float32": (f"{stem}_f32",),
        "hybrid": (f"{stem}_hybrid",),
    }
    if stem != "depthwise_conv":
        found["hybrid"] += (f"{stem}_hybrid_fma",)
    if "int8" in four_bits:
        found["int8 int4"] = (f"{stem}_s8_s4",)
    if "int16" in four_bits:
        found["int16 int4"] = (f"{stem}_s16_wide_s4", f"{stem}_s16_s4")
    if "hybrid" in four_bits:
        found["hybrid int4"] = (f"{stem}_hybrid_s4", f"{stem}_hybrid_fma_s4")
    return found


FAMILIES = [
    Family("CONV_2D", forms("conv", four_bits=("int8",)), partial(draw_convolution, op="CONV_2D")),
    Family(
        "DEPTHWISE_CONV_2D",
        forms("depthwise_conv", four_bits=("int8",)),
        partial(draw_convolution, op="DEPTHWISE_CONV_2D"),
    ),
    Family(
        "FULLY_CONNECTED",
        forms("fully_connected", four_bits=("int8", "int16", "hybrid")),
        draw_fully_connected,
    ),
]
