"""TRANSPOSE_CONV and BATCH_MATMUL."""

from __future__ import annotations

import numpy as np

from quantcore.kernel_check.draws import Draft, Draws, constant, make_draft, tensor
from quantcore.kernel_check.operators.convolution import channel_fact
from quantcore.kernel_check.operators.registry import Family
from quantcore.kernel_check.operators.sums import float_bias, quantize_products

__all__ = ["FAMILIES"]


def draw_transpose_conv(draws: Draws, form: str) -> Draft:
    """Draw a case of TRANSPOSE_CONV; its kernels take a table of pointers."""
    padding = draws.one_of("VALID", "SAME")
    sides = []
    for _ in range(2):
        window, stride = draws.one_of(1, 2, 3, 3, 4), draws.one_of(1, 2, 2, 3)
        size = draws.one_of(1, 2, 3, 4, 5)
        length = size * stride if padding == "SAME" else (size - 1) * stride + window
        sides.append((size, window, stride, length))
    (height, rows, down, tall), (width, columns, right, wide) = sides
    draws.facts |= {"padding": padding, "strides": str(down) if down == right else "unequal"}
    depth, outputs = draws.channels(17), draws.channels(17)
    draws.facts["input channels"], draws.facts["output channels"] = channel_fact(depth), channel_fact(outputs)
    input_shape, filter_shape = (1, height, width, depth), (outputs, rows, columns, depth)
    shape = constant("output_shape", np.array([1, tall, wide, outputs], np.int32))
    options = {"padding": padding, "stride_h": down, "stride_w": right}
    if form == "float32":
        x, y = tensor("input", form, input_shape), tensor("output", form)
        w, bias, value = constant("filter", draws.floats(filter_shape)), float_bias(draws, outputs), None
        value = draws.floats(input_shape)
    else:
        made = quantize_products(draws, form, input_shape, filter_shape, axis=0)
        x, w, bias, y, value = made.x, made.w, made.bias, made.y, made.value
    return make_draft(draws, "TRANSPOSE_CONV", [shape, w, x, bias], y, [value], options, version=3)


def draw_batch_matmul(draws: Draws, form: str) -> Draft:
    """Draw a case of BATCH_MATMUL of two matrices, or stacks of them."""
    rows, depth, columns = (draws.one_of(1, 2, 3, 4, 5, 8, 9, 16, 17) for _ in range(3))
    batches = draws.one_of((), (), (2,), (3, 2))
    adjoint = draws.flag(), draws.flag()
    draws.facts |= {"batches": str(len(batches)), "adjoint": f"{adjoint[0]}, {adjoint[1]}"}
    left = (*batches, *((depth, rows) if adjoint[0] else (rows, depth)))
    right = (*batches, *((columns, depth) if adjoint[1] else (depth, columns)))
    left, right = (shape if len(shape) > 2 else (1, *shape) for shape in (left, right))
    options = {"adj_x": adjoint[0], "adj_y": adjoint[1]}
    if form == "float32":
        a, b, y = tensor("left", form, left), tensor("right", form, right), tensor("output", form)
        return make_draft(
            draws, "BATCH_MATMUL", [a, b], y, [draws.floats(left), draws.floats(right)], options
        )
    zeros = [draws.zero_point(form, what) for what in ("left", "right", "output")]
    values = [draws.integers(shape, form, zero) for shape, zero in zip((left, right), zeros, strict=False)]
    spread = np.prod(
        [np.sqrt(np.mean((v.astype(float) - z) ** 2)) for v, z in zip(values, zeros, strict=False)]
    )
    typical = max(1.0, float(spread) * depth**0.5)
    width = 256 if form == "int16" else 1
    real = draws.one_of(0.5, 2.0**-6, 60 * width / typical, 3000 * width / typical, 2.0**-15)
    scale = np.float32(0.0625)
    a, b = (
        tensor(n, form, s, scale, z) for n, s, z in zip(("left", "right"), (left, right), zeros, strict=False)
    )
    y = tensor("output", form, (), np.float32(scale * scale / np.float32(min(real, 1.5))), zeros[2])
    return make_draft(draws, "BATCH_MATMUL", [a, b], y, values, options, version=2)


FAMILIES = [
    Family(
        "TRANSPOSE_CONV",
        {
            "int8": ("transpose_conv_s8",),
            "uint8": ("transpose_conv_u8",),
            "int16": ("transpose_conv_s16_wide", "transpose_conv_s16"),
            "float32": ("transpose_conv_f32",),
        },
        draw_transpose_conv,
    ),
    Family(
        "BATCH_MATMUL",
        {"int8": ("batch_matmul_s8",), "int16": ("batch_matmul_s16",), "float32": ("batch_matmul_f32",)},
        draw_batch_matmul,
    ),
]
