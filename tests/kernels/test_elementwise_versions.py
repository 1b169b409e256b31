"""Element-wise kernels: every vector version against the definition, over drawn sizes and rare parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from quantcore.kernels._core import KernelCall, Requant
from quantcore.kernels._softmax import softmax_call
from quantcore.kernels.affine import dequantize_body_call, quantize_body_call, requantize_call
from quantcore.kernels.arg_extreme import arg_extreme_call
from quantcore.kernels.elementwise import (
    WORTH_FITTING,
    add_call,
    arithmetic_f32_call,
    mul_call,
    weighted_sum_call,
)
from quantcore.kernels.lookup import lookup_call
from quantcore.kernels.min_max import min_max_call
from quantcore.kernels.tf_quantize import quantize_call, quantize_ranges

from quantcore.errors import KernelError
from tests.ops.harness import assert_same_bits, instruction_sets, random_values, using

Rng = np.random.Generator
BYTES = ("int8", "uint8")


def unaligned(rng: Rng, array: np.ndarray) -> np.ndarray:
    """Return a copy that starts anywhere in a line of the cache."""
    start = int(rng.integers(0, 64 // array.itemsize + 1))
    memory = np.empty(array.size + start, array.dtype)
    memory[start:] = array.ravel()
    return memory[start:].reshape(array.shape)


def compare(
    rng: Rng,
    make: Callable[[], KernelCall],
    inputs: Sequence[Any],
    output: np.ndarray,
    what: str,
    in_place: int = -1,
) -> None:
    """Run with each instruction set, also with the output in the memory of input `in_place`."""
    expected = None
    for isa in instruction_sets():
        with using(isa):
            call = make()
        guard = unaligned(rng, np.full(output.size + 64, 77, output.dtype))
        result = guard[: output.size].reshape(output.shape)
        call([None if x is None else unaligned(rng, x) for x in inputs], [result])
        if expected is None:
            expected = result.copy()
        assert_same_bits(result, expected, f"{isa}: {what}")
        assert (guard[output.size :] == 77).all(), f"{isa}: {what} writes beyond the end"
        run_parts(call, inputs, expected, f"{isa}: {what}")
        if in_place >= 0:
            shared = [None if x is None else unaligned(rng, x) for x in inputs]
            result = shared[in_place].view(output.dtype)
            call(shared, [result])
            assert_same_bits(result, expected, f"{isa}: {what}, in place")


def run_parts(call: KernelCall, inputs: Sequence[Any], expected: np.ndarray, what: str) -> None:
    """Compare with the calls that threads would share, if there are any."""
    parts = call.parts(3)
    result = np.zeros_like(expected)
    for part, starts in parts:
        bytes_of = [
            None if x is None else np.ascontiguousarray(x).reshape(-1).view(np.uint8)
            for x in [*inputs, result]
        ]
        tensors = [None if x is None else x[start:] for x, start in zip(bytes_of, starts, strict=True)]
        part(tensors[:-1], tensors[-1:])
    if parts:
        assert_same_bits(result, expected, f"{what}, in parts")


def draw_shapes(rng: Rng, enough: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return two shapes that broadcast, to at least `enough` elements."""
    inner, middle = int(rng.integers(1, 150)), int(rng.integers(1, 9))
    outer = enough // (inner * middle) + 1
    kinds = [
        ((outer, middle, inner),) * 2,
        ((outer, middle, inner), (inner,)),
        ((outer, middle, inner), (1,)),
        ((1, 1, inner), (outer, middle, inner)),
        ((outer, middle, inner), (outer, 1, inner)),
        ((outer, middle, 1), (outer, 1, inner)),
        ((1, 1, 1), (outer, middle, inner)),
    ]
    return kinds[int(rng.integers(len(kinds)))]


def factor(rng: Rng, low: int, high: int) -> tuple[int, int]:
    """Return a multiplier, of which powers of two make ties, and a shift."""
    multiplier = rng.choice(
        [2**30, 2**31 - 1, 3 * 2**29, rng.integers(2**30, 2**31), 0], p=[0.3, 0.1, 0.1, 0.45, 0.05]
    )
    return int(multiplier), int(rng.integers(low, high + 1))


def bounds(rng: Rng, dtype: str) -> dict[str, int]:
    info = np.iinfo(dtype)
    low, high = sorted(int(v) for v in rng.integers(info.min, info.max, 2, endpoint=True))
    if rng.random() < 0.6:
        low, high = int(info.min), int(info.max)
    return {"activation_min": low, "activation_max": high}


def scaled(offsets: Sequence[int], *factors: tuple[int, int]) -> dict[str, int]:
    """Return offset, multiplier and shift of two inputs, and of the output where there are three."""
    fields = {}
    names = ("input1", "input2", "output")
    for name, offset, (multiplier, shift) in zip(names, offsets, factors, strict=False):
        fields |= {f"{name}_offset": offset, f"{name}_multiplier": multiplier, f"{name}_shift": shift}
    return fields


@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize("op", ["add", "sub"])
def test_sums(op: str, dtype: str) -> None:
    rng = np.random.default_rng(1)
    for number in range(60):
        factors = [factor(rng, -9, 0), factor(rng, -9, 0)]
        factors.append(factor(rng, -22, -14) if number % 8 else factor(rng, -31, 0))
        if number % 3 == 0:
            factors[0] = 2**30, 0  # the larger scale
        block = int(rng.choice([0, 8, 16, 32]))
        body = (block, str(rng.choice(["combined", "truncated"]))) if block and op == "add" else None
        shape1, shape2 = draw_shapes(rng, (1, 16000)[number % 2] if number % 5 == 0 else WORTH_FITTING)
        offsets = [int(v) for v in rng.integers(-128, 128, 3) - (128 if dtype == "uint8" else 0)]
        parameters = {
            "left_shift": 20,
            **scaled([*offsets[:2], -offsets[2]], *factors),
            "body": body,
            "repeated_body": body,
            **bounds(rng, dtype),
        }
        x, y = random_values(rng, shape1, dtype), random_values(rng, shape2, dtype)
        output = np.empty(np.broadcast_shapes(shape1, shape2), dtype)
        make = partial(add_call, op, dtype, shape1=shape1, shape2=shape2, **parameters)
        place = 0 if shape1 == output.shape else 1 if shape2 == output.shape else -1
        compare(rng, make, [x, y], output, f"{op} {shape1} {shape2} {parameters}", place)


def sum_parameters(rng: Rng, number: int, dtype: str) -> dict[str, Any]:
    """Return those of ADD or SUB on int16, or of 8 bits with shifts of 15 and more as well."""
    factors = [factor(rng, -16, 0), factor(rng, -16, 0)]
    factors.append(factor(rng, -20, -10) if number % 8 else factor(rng, -31, 0))
    if number % 3 == 0:
        factors[0] = 2**30, 0
    unsigned = 128 if dtype == "uint8" else 0
    offsets = [int(v) for v in rng.integers(-128, 128, 3) - unsigned]
    if dtype == "int16" and number % 7:
        offsets = [0, 0, 0]
    left = 15 if dtype == "int16" else 20
    return {"left_shift": left, **scaled([*offsets[:2], -offsets[2]], *factors), **bounds(rng, dtype)}


@pytest.mark.parametrize("dtype", [*BYTES, "int16"])
@pytest.mark.parametrize("op", ["add", "sub"])
def test_sums_as_defined(op: str, dtype: str) -> None:
    """Few outputs, for which nobody looks for a weighted sum; short rows, which are joined."""
    rng = np.random.default_rng(11)
    for number in range(150):
        parameters = sum_parameters(rng, number, dtype)
        shape1, shape2 = draw_shapes(rng, int(rng.choice([1, 200, 3000])))
        x, y = random_values(rng, shape1, dtype), random_values(rng, shape2, dtype)
        output = np.empty(np.broadcast_shapes(shape1, shape2), dtype)
        make = partial(add_call, op, dtype, shape1=shape1, shape2=shape2, **parameters)
        place = 0 if shape1 == output.shape else 1 if shape2 == output.shape else -1
        compare(rng, make, [x, y], output, f"{op} {shape1} {shape2} {parameters}", place)


def test_products_of_words() -> None:
    rng = np.random.default_rng(12)
    for number in range(120):
        shape1, shape2 = draw_shapes(rng, int(rng.choice([1, 200, 3000])))
        offsets = [0, 0] if number % 6 else [int(v) for v in rng.integers(-255, 256, 2)]
        multiplier, shift = factor(rng, -16, 0) if number % 8 else factor(rng, -31, 8)
        rule = ("double_rounding", "ruy", "double_rounding", "single_rounding")[number % 4]
        requant = Requant(
            rule, multiplier, shift, output_offset=int(rng.integers(-40000, 40000)), **bounds(rng, "int16")
        )
        x, y = random_values(rng, shape1, "int16"), random_values(rng, shape2, "int16")
        output = np.empty(np.broadcast_shapes(shape1, shape2), np.int16)
        shapes = {"shape1": shape1, "shape2": shape2}
        zeros = {"input1_offset": offsets[0], "input2_offset": offsets[1]}
        make = partial(mul_call, "int16", **shapes, **zeros, requant=requant)
        compare(rng, make, [x, y], output, f"{shape1} {shape2} {rule} {multiplier} {shift} {offsets}")


@pytest.mark.parametrize("dtype", BYTES)
def test_weighted_sums(dtype: str) -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        shape1, shape2 = draw_shapes(rng, 300)
        offsets = [int(v) for v in rng.integers(-128, 128, 3) - (128 if dtype == "uint8" else 0)]
        weights = [int(v) for v in rng.integers(-(2**21), 2**21, 2, endpoint=True)]
        shift = int(rng.choice([1, 6, 7, 20, 29, 30, *range(10, 24)]))
        parameters = {
            "input1_offset": offsets[0],
            "input2_offset": offsets[1],
            "weight1": weights[0],
            "weight2": weights[1],
            "shift": shift,
            "output_offset": -offsets[2],
            **bounds(rng, dtype),
        }
        x, y = random_values(rng, shape1, dtype), random_values(rng, shape2, dtype)
        output = np.empty(np.broadcast_shapes(shape1, shape2), dtype)
        make = partial(weighted_sum_call, dtype, shape1=shape1, shape2=shape2, **parameters)
        compare(rng, make, [x, y], output, f"{shape1} {shape2} {parameters}")


@pytest.mark.parametrize("dtype", BYTES)
def test_products(dtype: str) -> None:
    rng = np.random.default_rng(3)
    rules = ("double_rounding", "ruy", "single_rounding", "float32", "float64")
    for number in range(80):
        shape1, shape2 = draw_shapes(rng, (1, 16000)[number % 2] if number % 5 == 0 else WORTH_FITTING)
        offsets = [int(v) for v in rng.integers(-128, 128, 3) - (128 if dtype == "uint8" else 0)]
        multiplier, shift = factor(rng, -12, -4) if number % 8 else factor(rng, -31, 8)
        rule = "double_rounding" if number % 2 else rules[number // 2 % 5]
        real = np.float32(multiplier * 2.0 ** (shift - 31))
        requant = Requant(
            rule, multiplier, shift, real_multiplier=real, output_offset=-offsets[2], **bounds(rng, dtype)
        )
        block = int(rng.choice([0, 8, 16])) if rule == "double_rounding" else 0
        body = (block, str(rng.choice(["saturated", "wrapped", "vanished"]))) if block else None
        x, y = random_values(rng, shape1, dtype), random_values(rng, shape2, dtype)
        output = np.empty(np.broadcast_shapes(shape1, shape2), dtype)
        shapes = {"shape1": shape1, "shape2": shape2}
        zeros = {"input1_offset": offsets[0], "input2_offset": offsets[1]}
        make = partial(mul_call, dtype, **shapes, **zeros, requant=requant, body=body, repeated_body=body)
        what = f"{shape1} {shape2} {rule} {multiplier} {shift} {offsets} {body} {requant.bounds}"
        compare(rng, make, [x, y], output, what)


def test_tables() -> None:
    rng = np.random.default_rng(4)
    for count in (0, 1, 31, 32, 33, 63, 64, 65, 127, 128, 1000, 4097):
        table = rng.permutation(256).astype(np.uint8)
        x = random_values(rng, (count,), "uint8")

        def make(count: int = count, table: np.ndarray = table) -> KernelCall:
            return lookup_call(count=count, table=table)

        compare(rng, make, [x], np.empty_like(x), f"{count}", 0)


def test_requantization() -> None:
    rng = np.random.default_rng(5)
    for number in range(24):
        source, target = BYTES[number % 2], BYTES[number // 2 % 2]
        count = int(rng.choice([511, 512, 575, 1000, 5003]))
        multiplier, shift = factor(rng, -3, 3)
        body = int(rng.integers(0, count)) if number % 3 == 0 else None
        requant = Requant(
            "ruy" if number % 5 == 0 else "double_rounding",
            multiplier,
            shift,
            body=body,
            tail="single_rounding",
            output_offset=int(rng.integers(-128, 256)),
            **bounds(rng, target),
        )
        zero_point = int(rng.integers(-128, 256))

        def make(
            s: str = source, t: str = target, n: int = count, z: int = zero_point, r: Any = requant
        ) -> KernelCall:
            return requantize_call(s, t, count=n, input_zero_point=z, requant=r)

        x = random_values(rng, (count,), source)
        compare(rng, make, [x], np.empty(count, target), f"{source} to {target}, {count}", 0)


@pytest.mark.parametrize("dtype", BYTES)
def test_arg_extreme(dtype: str) -> None:
    rng = np.random.default_rng(6)
    for number, axis in enumerate((1, 2, 21, 63, 64, 65, 129, 300)):
        for smallest in (False, True):
            low, high = (-3, 3) if dtype == "int8" else (0, 255) if number % 2 else (250, 255)
            x = random_values(rng, (17, axis), dtype, low=low, high=high)
            if number == 3:
                x[:] = np.iinfo(dtype).max if smallest else np.iinfo(dtype).min

            def make(
                axis: int = axis, smallest: bool = smallest, wide: bool = bool(number % 2)
            ) -> KernelCall:
                return arg_extreme_call(dtype, outer=17, axis=axis, inner=1, smallest=smallest, wide=wide)

            output = np.empty(17, np.int64 if number % 2 else np.int32)
            compare(rng, make, [x, None], output, f"{axis} {smallest}")


@pytest.mark.parametrize("output_dtype", ["same", "int16"])
@pytest.mark.parametrize("dtype", BYTES)
def test_softmax(dtype: str, output_dtype: str) -> None:
    rng = np.random.default_rng(7)
    target = dtype if output_dtype == "same" else output_dtype
    for depth in (1, 2, 10, 15, 16, 17, 48, 257, 1001, 8191):
        for multiplier, shift, least in (
            (2**30, 23, -248),
            (2**31 - 1, 20, -255),
            (2**30, 0, -255),
            (2**30, 31, 0),
        ):
            rows = 1 if depth > 1000 else 5

            def make(
                d: int = depth, r: int = rows, m: int = multiplier, s: int = shift, e: int = least
            ) -> KernelCall:
                return softmax_call(dtype, target, rows=r, depth=d, multiplier=m, left_shift=s, diff_min=e)

            x = random_values(rng, (rows, depth), dtype)
            if depth == 8191 or shift == 20:
                x[:] = x[0, 0]  # all the same
            place = 0 if target == dtype else -1
            compare(rng, make, [x], np.empty((rows, depth), target), f"{depth} {multiplier} {shift}", place)


def test_min_max() -> None:
    rng = np.random.default_rng(8)
    shapes = [
        (1, 1, 0),
        (1, 1, 1),
        (1, 1, 63),
        (1, 1, 1000),
        (1, 1, (1 << 18) + 1003),
        (3, 5, 77),
        (300, 1, 1),
        (40, 64, 1),
        (9, 130, 1),
    ]
    for shape in [*shapes, (5, 21, 1)]:
        outer, channels, inner = shape
        x = rng.standard_normal(shape).astype(np.float32)
        if x.size > 2:
            x.ravel()[rng.integers(x.size)] = -0.0
        for bad in (None, np.nan, np.inf, -np.inf):
            if bad is not None and x.size == 0:
                continue
            data = x.copy()
            if bad is not None:
                data.ravel()[rng.integers(x.size)] = bad
            expected = None
            for isa in instruction_sets():
                with using(isa):
                    call = min_max_call(outer=outer, channels=channels, inner=inner)
                ends = np.repeat(np.float32([[np.inf], [-np.inf]]), channels, 1)
                if bad is not None:
                    with pytest.raises(KernelError):
                        call([unaligned(rng, data)], [ends])
                    continue
                call([unaligned(rng, data)], [ends])
                expected = ends if expected is None else expected
                assert_same_bits(ends, expected, f"{isa} {shape}")


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_affine_of_other_backends(dtype: str) -> None:
    """Ties, NaN, infinities and what does not fit an int32, in the body and behind it."""
    rng = np.random.default_rng(14)
    info = np.iinfo(dtype)
    bounds = {"qmin": int(info.min), "qmax": int(info.max)}
    rare = np.float32([np.nan, -np.nan, np.inf, -np.inf, 3e38, -3e38, 1e9, -1e9, 2**31, -(2.0**31), -0.0])
    for number in range(40):
        count = int(rng.choice([0, 1, 7, 8, 9, 31, 64, 100]))
        scale = float(np.float32(rng.choice([0.25, 0.1, 3e-7, 700.0])))
        zero = int(rng.integers(info.min, int(info.max) + 1))
        body = count // 8 * 8 if number % 2 else int(rng.integers(0, count + 1))
        x = (rng.integers(-600, 600, count) / 2 * scale).astype(np.float32)
        x[rng.random(count) < 0.3] = rng.choice(rare)
        for form in ("reciprocal", "saturating")[: 1 if dtype == "int16" else 2]:

            def make(
                form: str = form, n: int = count, b: int = body, s: float = scale, z: int = zero
            ) -> KernelCall:
                return quantize_body_call(form, dtype, count=n, body=b, scale=s, zero_point=z, **bounds)

            compare(rng, make, [x], np.empty(count, dtype), f"{form} {count} {body} {scale} {zero}")
        if dtype == "int16":
            continue
        q = rng.integers(info.min, int(info.max) + 1, count).astype(dtype)

        def make_back(n: int = count, b: int = body, s: float = scale, z: int = zero) -> KernelCall:
            return dequantize_body_call("terms", dtype, count=n, body=b, scale=s, zero_point=z)

        compare(rng, make_back, [q], np.empty(count, np.float32), f"terms {count} {body} {scale} {zero}")


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32"])
def test_tf_quantize(dtype: str) -> None:
    rng = np.random.default_rng(9)
    modes = (
        "MIN_COMBINED",
        "MIN_FIRST",
        "SCALED_HALF_AWAY_FROM_ZERO",
        "SCALED_HALF_TO_EVEN",
        "ONEDNN_SCALED",
        "ONEDNN_MIN_FIRST",
    )
    ranges = [
        (-1.0, 1.0),
        (0.0, 6.0),
        (-128.0, 127.0),
        (-3.7, 0.0),
        (-1e-28, 1e-28),
        (-1e30, 1e36),
        (0.5, 2.0),
    ]
    for mode in modes:
        for low, high in ranges:
            ends = np.float32([low]), np.float32([high])
            chosen = quantize_ranges(mode, dtype, *ends, narrow_range=False, ensure_minimum_range=0.0)
            values = rng.uniform(2 * low - high, 2 * high - low, 999).astype(np.float32)
            steps = np.linspace(low, high, 511).astype(np.float32)  # ties
            rare = np.float32([np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, 2.0**-126, low, high, 3e38, -3e38])
            x = np.concatenate([values, steps, rare])

            def make(mode: str = mode, chosen: Any = chosen, n: int = x.size) -> KernelCall:
                return quantize_call(mode, dtype, outer=1, inner=n, ranges=chosen)

            compare(rng, make, [x], np.empty(x.size, dtype), f"{mode} {low} {high}")


def test_float_arithmetic() -> None:
    """Short rows are joined; zeros keep their signs."""
    rng = np.random.default_rng(13)
    for number in range(60):
        op = ("add", "sub", "mul")[number % 3]
        shape1, shape2 = draw_shapes(rng, int(rng.choice([1, 200, 3000])))
        x, y = (rng.normal(0, 1, s).astype(np.float32) for s in (shape1, shape2))
        x[rng.random(shape1) < 0.2] = -0.0
        y[rng.random(shape2) < 0.1] = np.inf
        output = np.empty(np.broadcast_shapes(shape1, shape2), np.float32)

        def make(op: str = op, s: Any = (shape1, shape2)) -> KernelCall:
            return arithmetic_f32_call(op, shape1=s[0], shape2=s[1], activation_min=-2.0, activation_max=1.5)

        compare(rng, make, [x, y], output, f"{op} {shape1} {shape2}")
