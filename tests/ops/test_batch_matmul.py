"""BATCH_MATMUL: adjoints, broadcasting, every form of every profile, the precision of the multiplier."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.affine import quantize_multiplier
from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from tests.ops.bounds import check_within_bounds
from tests.ops.harness import (
    PROFILES,
    assert_same_bits,
    check,
    const,
    covers,
    op_model,
    random_scale,
    random_values,
    run_ours,
    run_page,
    tensor,
)

# batch dimensions of both operands
BATCHES: list[tuple[Any, Any]] = [
    ((), ()),
    ((3,), (3,)),
    ((2, 3), (2, 3)),
    ((2, 1), (1, 3)),
    ((3,), ()),
    ((), (4,)),
    ((2, 2, 3), (2, 2, 3)),
]
SIZES = [(1, 1, 1), (5, 7, 4), (1, 33, 9), (8, 16, 3), (3, 90, 17)]  # rows, depth, columns
FORMS = ("int8", "int8, rhs zero point", "int16", "int8 to int32", "float32", "hybrid", "hybrid per channel")


def matmul(
    a: Any, b: Any, y: Any, adj_x: bool = False, adj_y: bool = False, asymmetric: bool = False
) -> Model:
    options = {"adj_x": adj_x, "adj_y": adj_y, "asymmetric_quantize_inputs": asymmetric}
    return op_model("BATCH_MATMUL", [a, b], [y], options, version=3)


def shapes(sizes: tuple[int, int, int], batch: tuple[Any, Any], adj_x: bool, adj_y: bool) -> tuple[Any, Any]:
    rows, depth, columns = sizes
    a = (depth, rows) if adj_x else (rows, depth)
    b = (columns, depth) if adj_y else (depth, columns)
    return (*batch[0], *a), (*batch[1], *b)


def random_case(
    rng: np.random.Generator, form: str, sizes: Any, batch: Any, adj_x: bool, adj_y: bool
) -> tuple[Model, list[np.ndarray]]:
    a_shape, b_shape = shapes(sizes, batch, adj_x, adj_y)
    if form.startswith(("float32", "hybrid")):
        a = rng.normal(0, 1, a_shape).astype(np.float32)
        if form == "float32":
            b = rng.normal(0, 1, b_shape).astype(np.float32)
            return matmul(
                tensor(a_shape, "float32"), tensor(b_shape, "float32"), tensor((), "float32"), adj_x, adj_y
            ), [a, b]
        per_channel = form == "hybrid per channel"
        scales = random_scale(rng, 1e-3, 0.1, sizes[2] if per_channel else None)
        axis = len(b_shape) - (2 if adj_y else 1)
        weights = const(random_values(rng, b_shape, "int8"), scales, axis=axis if per_channel else 0)
        return matmul(tensor(a_shape, "float32"), weights, tensor((), "float32"), adj_x, adj_y), [a]
    dtype = "int16" if form == "int16" else "int8"
    a, b = random_values(rng, a_shape, dtype), random_values(rng, b_shape, dtype)
    if form == "int8 to int32":
        return matmul(tensor(a_shape, dtype), tensor(b_shape, dtype), tensor((), "int32"), adj_x, adj_y), [
            a,
            b,
        ]
    z = [0, 0, 0] if dtype == "int16" else [int(v) for v in rng.integers(-128, 128, 3)]
    if form == "int8":
        z[1] = 0
    s = random_scale(rng, 1e-3, 0.1, 2)
    so = np.float32(
        s[0] * s[1] * np.sqrt(sizes[1]) * rng.uniform(0.3, 3) * (60 if dtype == "int8" else 20000)
    )
    model = matmul(
        tensor(a_shape, dtype, s[0], z[0]),
        tensor(b_shape, dtype, s[1], z[1]),
        tensor((), dtype, so, z[2]),
        adj_x,
        adj_y,
    )
    return model, [a, b]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str, profile: str) -> None:
    if profile == "tflm" and form in FORMS[3:] and form != "float32":
        pytest.skip("the profile does not have it")
    rng = np.random.default_rng(0)
    for number in range(28):
        sizes, batch = SIZES[number % 5], BATCHES[number % 7]
        model, inputs = random_case(rng, form, sizes, batch, bool(number & 1), bool(number & 2))
        if form == "float32" and profile in ("optimized", "xnnpack"):
            check_within_bounds(model, inputs, profile, rtol=1e-5, atol=1e-4)
        else:
            check(model, inputs, numerics=profile)


def test_hybrid_rows_are_quantized_asymmetrically_on_demand() -> None:
    rng = np.random.default_rng(1)
    for number, batch in enumerate([(), (3,), (2, 3)]):
        for adj_x in (False, True):
            a = rng.normal(1, 2, (*batch, 40, 6) if adj_x else (*batch, 6, 40)).astype(np.float32)
            weights = const(random_values(rng, (40, 5), "int8"), 0.02)
            model = matmul(tensor(a.shape, "float32"), weights, tensor((), "float32"), adj_x, False, True)
            for profile in PROFILES[:2]:
                check(model, [a], numerics=profile)
            assert number < 3
    zeros = np.zeros((2, 40), np.float32)
    check(
        matmul(tensor((2, 40), "float32"), const(np.ones((40, 3), np.int8), 0.1), tensor((), "float32")),
        [zeros],
    )


def between(real: list[np.float64]) -> list[int]:
    """Return accumulators that the two multipliers bring to different integers."""
    found = []
    for k in range(60, 127):
        ends = sorted((k + 0.5) / float(r) for r in real)
        for acc in range(int(np.floor(ends[0])) - 1, int(np.ceil(ends[1])) + 2):
            if len({double_rounding(acc, r) for r in real}) == 2:
                found.append(acc)
    return found


def double_rounding(acc: int, real: np.float64) -> int:
    m, e = (int(v) for v in quantize_multiplier(real))
    high, right = (acc * m + 2**30) >> 31, -e
    return (high + (1 << right >> 1)) >> right  # acc > 0


def test_the_product_of_the_scales() -> None:
    """Accumulators between the rounding boundaries of ``float32(s1 * s2) / s`` and of the float64 product."""
    rng, depth = np.random.default_rng(2), 4200
    column = np.full((depth, 1), 127, np.int8)
    column[-1] = 1
    probed = 0
    for _ in range(12):
        s = random_scale(rng, 1e-3, 0.1, 2)
        so = np.float32(float(s[0]) * float(s[1]) * 127 * 128 * depth * rng.uniform(0.5, 0.9) / 127.5)
        single, double = np.float64(s[0] * s[1]), np.float64(s[0]) * np.float64(s[1])
        accs = [
            a for a in between([single / np.float64(so), double / np.float64(so)]) if a < 127 * 127 * depth
        ]
        rows = np.zeros((len(accs), depth), np.int8)
        for row, acc in zip(rows, accs, strict=True):  # acc = 127 * (sum of all but the last) + the last
            whole = round(acc / 127)
            row[:-1] = whole // (depth - 1)
            row[: whole % (depth - 1)] += 1
            row[-1] = acc - 127 * whole
        if not accs:
            continue
        model = matmul(
            tensor(rows.shape, "int8", s[0]), tensor(column.shape, "int8", s[1]), tensor((), "int8", so)
        )
        for profile in ("reference", "optimized", "tflm"):
            check(model, [rows, column], numerics=profile)
        ours = [run_ours(model, [rows, column], p)[0] for p in ("reference", "tflm")]
        assert (ours[0] != ours[1]).all()
        probed += len(accs)
    assert probed > 100


def test_the_data_reaches_both_bounds() -> None:
    rng = np.random.default_rng(4)
    inputs = [random_values(rng, (40, 30)), random_values(rng, (30, 40))]
    (y,) = check(
        matmul(tensor((40, 30), "int8", 0.1), tensor((30, 40), "int8", 0.1), tensor((), "int8", 5.0)), inputs
    )
    covers(y)


@pytest.mark.parametrize("form", ["int8", "int16", "hybrid"])
def test_the_page_computes_what_the_kernel_computes(form: str) -> None:
    page, rng = run_page("batch_matmul"), np.random.default_rng(5)
    for number in range(8):
        sizes, batch = SIZES[number % 5], BATCHES[number % 4]
        if form == "hybrid":
            batch = BATCHES[number % 2]
        model, inputs = random_case(rng, form, sizes, batch, bool(number & 1), bool(number & 2))
        (y,) = check(model, inputs)
        tensors = model.subgraphs[0].tensors
        a, b = inputs[0], inputs[1] if len(inputs) == 2 else tensors[1].data
        a = np.swapaxes(a, -1, -2) if number & 1 else a
        b = np.swapaxes(b, -1, -2) if number & 2 else b
        if form == "hybrid":
            ours = page["hybrid"](a, b, tensors[1].quantization.scale[0])  # type: ignore[union-attr]
        else:
            quantized = [t.quantization for t in tensors]
            scales = [float(q.scale[0]) for q in quantized]  # type: ignore[union-attr]
            zeros = [int(q.zero_point[0]) for q in quantized]  # type: ignore[union-attr]
            ours = page["batch_matmul"](a, b, scales, zeros)
        assert_same_bits(ours, y, f"page batch_matmul, {form} {sizes} {batch}")


@pytest.mark.parametrize(
    ("a", "b", "dtypes", "reason"),
    [
        ((2, 3), (4, 5), ("int8",) * 3, "meet"),
        ((2, 2, 3), (3, 3, 5), ("int8",) * 3, "batch dimensions"),
        ((3,), (3, 5), ("int8",) * 3, "2 to 5"),
        ((1,) * 5 + (3,), (3, 5), ("int8",) * 3, "2 to 5"),
        ((2, 3), (3, 5), ("uint8",) * 3, "supported"),
        ((2, 3), (3, 5), ("int8", "int16", "int16"), "supported"),
        ((2, 3), (3, 5), ("int16",) * 3, "expected 0"),
    ],
)
def test_refused(a: Any, b: Any, dtypes: tuple[str, str, str], reason: str) -> None:
    model = matmul(tensor(a, dtypes[0], 0.1, 1), tensor(b, dtypes[1], 0.1), tensor((), dtypes[2], 0.1))
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(model, [np.zeros(a, dtypes[0]), np.zeros(b, dtypes[1])])
