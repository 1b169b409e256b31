"""Fake quantization and its gradients: every width, ranges of all kinds, ties, layouts, long sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import quantcore as qc
from quantcore.errors import OracleRefused, QuantizationError
from quantcore.oracle import Oracle
from quantcore.oracle.calls import Call, call_tensorflow
from quantcore.tf_quantization import (
    converted_qparams,
    fake_quant_with_min_max_args,
    fake_quant_with_min_max_args_gradient,
    fake_quant_with_min_max_vars,
    fake_quant_with_min_max_vars_gradient,
    fake_quant_with_min_max_vars_per_channel,
    fake_quant_with_min_max_vars_per_channel_gradient,
    nudge,
)
from tests.layouts import layouts
from tests.ops.harness import assert_same_bits, instruction_sets, run_page, using
from tests.tf_quantization.oracle import get_tensorflow

F32 = np.float32
VERSIONS = [isa for isa in ("scalar", "avx2") if isa in instruction_sets()]
WIDTHS = [(bits, narrow) for bits in range(2, 17) for narrow in (False, True)]
# Usual ones; without 0; without width; subnormal, or with a subnormal scale; wider than float32
RANGES = [
    (-6, 6), (0, 6), (-1, 0), (0, 1), (-0.5, 12.7), (-128, 127), (0.5, 3), (-3, -0.5), (100, 101), (0, 0),
    (-0.0, 0.0), (5, 5), (-5, -5), (1e-30, 1e-30), (1e-40, 2e-40), (0, 1e-45), (-1e-45, 1e-45),
    (-1e-38, 1e-38), (-2e-38, 2e-38), (0, 1.2e-38), (1.2e-38, 1.3e-38), (-1.2e-38, 0), (0, 4e-37),
    (-3e-36, 1e-37), (0, 3e38), (-1e38, 2e38), (-3e38, 3e38), (-3.4e38, 0), (-1e-20, 1e20),
]  # fmt: skip


class Case(NamedTuple):
    """One of our functions with arguments that TensorFlow's takes too; `only_ours` is for ours alone."""

    function: Callable[..., Any]
    arguments: dict[str, Any]
    only_ours: dict[str, Any]

    @property
    def call(self) -> Call:
        return f"quantization.{self.function.__name__}", self.arguments

    def ours(self) -> list[np.ndarray]:
        found = self.function(**self.arguments, **self.only_ours)
        return list(found) if isinstance(found, tuple) else [found]


def compare(cases: list[Case], oracle: Oracle | None = None) -> int:
    """Assert that TensorFlow gives the bits of each version, or refuses as we do; return how many numbers."""
    count = 0
    answers = call_tensorflow(oracle or get_tensorflow(), [case.call for case in cases])
    for case, answer in zip(cases, answers, strict=True):
        plain = {k: v if np.size(v) < 5 else np.shape(v) for k, v in case.arguments.items()}
        what = f"{case.function.__name__} {plain} {case.only_ours}"
        if isinstance(answer, OracleRefused):
            with pytest.raises(QuantizationError):
                case.ours()
            continue
        for isa in VERSIONS:
            with using(isa):
                found = case.ours()
            for ours, theirs in zip(found, answer, strict=True):
                assert_same_bits(ours, theirs, f"{what} {isa}")
        count += sum(theirs.size for theirs in answer)
    return count


def values(rng: np.random.Generator, low: Any, high: Any, bits: int, narrow: bool, size: int) -> np.ndarray:
    """Return middles between two numbers of the range, their neighbours, others, and every special value."""
    with np.errstate(all="ignore"):
        nudged = nudge(low, high, bits, narrow)
        ties = nudged.min + (rng.integers(-2, 2**bits + 2, size).astype(F32) + F32(0.5)) * nudged.scale
        near = np.nextafter(ties, rng.choice([-np.inf, np.inf], size).astype(F32))
        spread = (rng.standard_normal(size) * max(abs(low), abs(high))).astype(F32)
        x = np.choose(rng.integers(0, 3, size), [ties, near, spread])
        ends = [nudged.min, nudged.max]
        ends += [np.nextafter(F32(end), F32(d)) for end in ends for d in (-np.inf, np.inf)]
    special = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e-45, -1e-45, 3e38, -3e38, *ends], F32)
    x[: special.size] = special  # in TensorFlow's vector code,
    x[-special.size :] = special[::-1]  # and in what it computes one by one
    return x


def drawn_ranges(rng: np.random.Generator, number: int) -> Iterator[tuple[np.float32, np.float32]]:
    for scale in 10 ** rng.uniform(-6, 6, number):
        low, high = np.sort(rng.standard_normal(2) * scale).astype(F32)
        yield low, high
        yield -abs(low), abs(high)


@pytest.mark.oracle
@pytest.mark.slow
def test_every_width_and_range() -> None:
    page = run_page("fake_quant")["fake_quant"]
    rng = np.random.default_rng(0)
    cases = []
    for bits, narrow in WIDTHS:
        for ends in [*RANGES, *drawn_ranges(rng, 6)]:
            low, high = map(F32, ends)
            x = values(rng, low, high, bits, narrow, 139)
            width = {"num_bits": bits, "narrow_range": narrow}
            fixed = {"inputs": x, "min": float(low), "max": float(high), **width}
            by_channel = {"inputs": x[:, None], "min": low[None], "max": high[None], **width}
            cases += [
                Case(fake_quant_with_min_max_args, fixed, {}),
                Case(fake_quant_with_min_max_vars, {"inputs": x, "min": low, "max": high, **width}, {}),
                Case(fake_quant_with_min_max_vars_per_channel, by_channel, {}),
            ]
            for by_quotient, case in ((True, cases[-2]), (False, cases[-1])):
                (ours,) = case.ours()
                assert_same_bits(
                    page(x, low, high, bits, narrow, by_quotient), ours.ravel(), "page fake_quant"
                )
    assert compare(cases) > 400_000


@pytest.mark.oracle
@pytest.mark.slow
def test_every_float16_number() -> None:
    x = np.arange(65536).astype(np.uint16).view(np.float16).astype(F32)
    ranges = [(-6, 6), (-0.7, 3.1), (0, 65000), (-1e-6, 3e-6)]
    cases = []
    for bits, narrow in WIDTHS:
        for low, high in ranges:
            arguments = {"inputs": x, "min": low, "max": high, "num_bits": bits, "narrow_range": narrow}
            cases += [
                Case(function, arguments, {})
                for function in (fake_quant_with_min_max_args, fake_quant_with_min_max_vars)
            ]
    compare(cases[::3])


def gradient_cases(
    rng: np.random.Generator, g: np.ndarray, x: np.ndarray, low: Any, high: Any, **more: Any
) -> list[Case]:
    """Return the gradient of each function for one range; `more` are arguments."""
    ours = {"num_threads": more.pop("num_threads", 1)}
    both = {"gradients": g, "inputs": x, **more}
    by_channel = {"gradients": g.reshape(-1, 1), "inputs": x.reshape(-1, 1)}
    by_channel |= {"min": F32(low)[None], "max": F32(high)[None], **more}
    return [
        Case(fake_quant_with_min_max_args_gradient, {**both, "min": float(low), "max": float(high)}, {}),
        Case(fake_quant_with_min_max_vars_gradient, {**both, "min": F32(low), "max": F32(high)}, ours),
        Case(fake_quant_with_min_max_vars_per_channel_gradient, by_channel, ours),
    ]


@pytest.mark.oracle
@pytest.mark.slow
def test_gradients_of_every_width_and_range() -> None:
    rng = np.random.default_rng(1)
    cases = []
    for bits, narrow in WIDTHS:
        for low, high in [*RANGES, *drawn_ranges(rng, 5)]:
            x = values(rng, F32(low), F32(high), bits, narrow, 77)
            g = (rng.standard_normal(x.size) * 10 ** rng.uniform(-3, 3, x.size)).astype(F32)
            g[20:40] *= F32(1e-37)  # some become subnormal
            g[40:43] = 0, -0.0, 1e-45
            if rng.random() < 0.2:
                g[rng.integers(0, x.size, 2)] = rng.choice(np.array([np.nan, np.inf, -np.inf], F32), 2)
            cases += gradient_cases(rng, g, x, low, high, num_bits=bits, narrow_range=narrow)
    assert compare(cases) > 200_000


def sums(rng: np.random.Generator, size: int, scale: float = 1.0, num_threads: int = 1) -> list[Case]:
    """Return gradients with terms of very different sizes, of which every order gives another sum."""
    x = (rng.standard_normal(size) * 2).astype(F32)
    g = (rng.standard_normal(size) * 10 ** rng.uniform(-3, 3, size) * scale).astype(F32)
    return gradient_cases(rng, g, x, -1, 1.3, num_threads=num_threads)[1:]


@pytest.mark.oracle
def test_sums_of_every_length() -> None:
    """Around packets, around the lengths at which a sum is split in halves, and large."""
    rng = np.random.default_rng(2)
    steps = [k * 8192 + d for k in (1, 2, 3, 4) for d in (-9, -8, -1, 0, 1, 7, 8, 9, 17)]
    large = [*rng.integers(40_000, 400_000, 12).tolist(), 1_000_003]
    cases = [case for size in [*range(131), *steps, *large] for case in sums(rng, size)]
    cases += [case for size in range(1, 131, 3) for case in sums(rng, size, scale=1e-36)]
    compare(cases)


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.parametrize("threads", [2, 5])
def test_sums_on_several_threads(threads: int) -> None:
    """With lengths around those at which TensorFlow takes one more thread, for both forms of the gradient."""
    rng = np.random.default_rng(threads)
    limits = [int((210_000 + 100_000 * k) / cycles) for k in range(threads) for cycles in (4.1875, 4.6875)]
    sizes = [limit + d for limit in limits for d in (-1, 0, 1, 2)] + [1000, 60_000, 333_333, 1_000_003]
    cases = [case for size in sizes for case in sums(rng, size, num_threads=threads)]
    with Oracle(package=get_tensorflow().name, num_threads=threads) as oracle:
        compare(cases, oracle)
    on_one = [case._replace(only_ours={}) for case in cases]
    assert any(case.ours()[1] != one.ours()[1] for case, one in zip(cases, on_one, strict=True))


@pytest.mark.parametrize(("size", "threads"), [(5, 1), (77, 1), (9_001, 1), (70_001, 2), (70_001, 1)])
def test_the_pages_have_the_gradients(size: int, threads: int) -> None:
    add, page = run_page("eigen")["eigen_sum"], run_page("fake_quant")["gradients"]
    for case, cycles in zip(
        sums(np.random.default_rng(size), size, 1, threads), (4.1875, 4.6875), strict=True
    ):
        g, x = (case.arguments[name].ravel() for name in ("gradients", "inputs"))
        found = page(g, x, -1, 1.3, add=lambda terms, cycles=cycles: add(terms, threads, cycles))
        for ours, theirs in zip(found, case.ours(), strict=True):
            assert_same_bits(np.ravel(ours), theirs.ravel(), f"pages fake_quant and eigen, {size} {threads}")


@pytest.mark.oracle
def test_ranks_and_channels() -> None:
    rng = np.random.default_rng(3)
    cases = []
    shapes = [(1,), (5,), (0,), (3, 1), (7, 8), (0, 4), (4, 0), (3, 5, 6), (2, 9, 5, 11), (2, 3, 2, 3, 4)]
    for shape in [*shapes, (40, 33), (300, 3), (9000, 9), (19, 16)]:
        x = (rng.standard_normal(shape) * 3).astype(F32)
        g = rng.standard_normal(shape).astype(F32)
        low, high = np.sort(rng.standard_normal((2, shape[-1])) * 2, axis=0).astype(F32)
        low[::3], high[::3] = 0, 0
        low[1::7], high[1::7] = -2e-38, 3e-38
        special = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e-45, -1e-39, 3e38], F32)
        x.flat[::5] = rng.choice(special, x.flat[::5].size)
        g.flat[::11] = rng.choice(special[1:-1], g.flat[::11].size)
        for bits in (2, 4, 8, 16):
            more = {"min": low, "max": high, "num_bits": bits, "narrow_range": bits == 4}
            function = fake_quant_with_min_max_vars_per_channel
            gradient = fake_quant_with_min_max_vars_per_channel_gradient
            cases.append(Case(function, {"inputs": x, **more}, {}))
            cases.append(Case(gradient, {"gradients": g, "inputs": x, **more}, {}))
    compare(cases)


@pytest.mark.oracle
def test_other_dtypes_are_rounded() -> None:
    doubles = np.linspace(-2, 2, 1001)
    given = [doubles, doubles.astype(np.float16), [0.1, 0.2, 3], 0.3, np.arange(-5, 5), [1e60, -1e60]]
    compare(
        [
            Case(fake_quant_with_min_max_vars, {"inputs": x, "min": -1, "max": np.float64(1.1)}, {})
            for x in given
        ]
        + [Case(fake_quant_with_min_max_args, {"inputs": x}, {}) for x in given]
    )


@pytest.mark.parametrize("function", [fake_quant_with_min_max_vars, fake_quant_with_min_max_vars_per_channel])
def test_layouts(function: Callable[..., Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    x, g = (rng.standard_normal((5, 6, 7)).astype(F32) for _ in range(2))
    ends = (-1.0, 1.2) if function is fake_quant_with_min_max_vars else (np.linspace(-2, 0, 7), np.ones(7))
    gradient = fake_quant_with_min_max_vars_gradient
    if function is not fake_quant_with_min_max_vars:
        gradient = fake_quant_with_min_max_vars_per_channel_gradient
    expected = function(x, *ends)
    expected_gradients = gradient(g, x, *ends)
    others = layouts(g, tmp_path)
    (tmp_path / "inputs").mkdir()
    for name, given in layouts(x, tmp_path / "inputs").items():
        before = given.copy()
        assert_same_bits(function(given, *ends), expected, name)
        for ours, theirs in zip(gradient(others[name], given, *ends), expected_gradients, strict=True):
            assert_same_bits(ours, theirs, name)
        assert np.array_equal(given, before), name


def test_empty_and_single() -> None:
    assert fake_quant_with_min_max_args([]).shape == (0,)
    single = fake_quant_with_min_max_vars(0.3, -1, 1)
    assert (single.shape, single.dtype) == ((), np.float32)
    assert [a.shape for a in fake_quant_with_min_max_vars_gradient(0.3, 0.3, -1, 1)] == [(), (), ()]


# The nudged range ----------------------------------------------------------------------------------


def test_the_nudged_range_is_what_infinities_become() -> None:
    rng = np.random.default_rng(5)
    for bits, narrow in WIDTHS:
        for low, high in drawn_ranges(rng, 20):
            nudged = nudge(low, high, bits, narrow)
            ends = fake_quant_with_min_max_vars([-np.inf, np.inf], low, high, bits, narrow)
            steps = np.array([int(narrow), 2**bits - 1]) - nudged.zero_point
            assert np.array_equal(ends, steps.astype(F32) * nudged.scale)
            assert ends.tolist() == [nudged.min, nudged.max]
    several = nudge([-1, 0, 5], [1, 2, 6], 4)
    for c, (low, high) in enumerate([(-1, 1), (0, 2), (5, 6)]):
        one = nudge(low, high, 4)
        assert (one.min, one.max, one.scale, one.zero_point) == tuple(
            values[c] for values in (several.min, several.max, several.scale, several.zero_point)
        )


@pytest.mark.parametrize(("bits", "dtype"), [(8, "int8"), (8, "uint8"), (4, "int4"), (16, "int16")])
def test_fake_quantization_is_quantize_and_dequantize(bits: int, dtype: str) -> None:
    """Away from the middle between two numbers, where the rounding rules differ."""
    rng = np.random.default_rng(6)
    for low, high in drawn_ranges(rng, 50):
        nudged = nudge(low, high, bits)
        p = nudged.qparams(dtype)
        steps = rng.integers(-3, 2**bits + 3, 500) + rng.uniform(-0.45, 0.45, 500)
        x = ((steps - nudged.zero_point) * float(nudged.scale)).astype(F32)
        expected = qc.dequantize(qc.quantize(x, p), p)
        assert np.array_equal(fake_quant_with_min_max_vars(x, low, high, bits), expected)


def test_parameters_per_channel() -> None:
    p = nudge([-1, 0], [1, 2], 4, narrow_range=True).qparams("int4", axis=-1)
    assert (p.axis, p.narrow_range, p.zero_point.tolist()) == (-1, True, [0, -7])
    with pytest.raises(QuantizationError, match="give axis"):
        nudge([-1, 0], [1, 2]).qparams()
    with pytest.raises(QuantizationError, match="'int4' and num_bits 8; expected int8 or uint8"):
        nudge(-1, 1).qparams("int4")
    with pytest.raises(QuantizationError, match="num_bits 5; no dtype"):
        nudge(-1, 1, 5).qparams()
    with pytest.raises(QuantizationError, match=r"scale is 0\.0"):
        nudge(0, 0).qparams()


# What the converter of TensorFlow 2.21 gave tensors that were fake-quantized with a range
CONVERTED = [
    (-1.0, 1.0, 8, False, "uint8", "0x1.010102p-7", 128),
    (-0.5, 254.5, 8, False, "uint8", "0x1.0p+0", 1),
    (-1.0, 1.0, 4, False, "int4", "0x1.111112p-3", 0),
    (0.5, 3.0, 4, False, "int4", "0x1.555556p-3", -8),
    (-0.37719064950942993, 0.3963145911693573, 4, False, "int4", "0x1.a66fdep-5", -1),
    (-1.0, 1.0, 4, True, "int4", "0x1.24924ap-3", 0),
    (0.5, 3.0, 4, True, "int4", "0x1.6db6dcp-3", -7),
    (-0.37719064950942993, 0.3963145911693573, 4, True, "int4", "0x1.c49c6ep-5", 0),
    (-1.0, 1.0, 16, False, "int16", "0x1.0001p-15", 0),
    (0.5, 3.0, 16, False, "int16", "0x1.40014p-15", -32768),
    (-0.37719064950942993, 0.3963145911693573, 16, False, "int16", "0x1.8c0a6ep-17", -811),
    (-1.0, 1.0, 16, True, "int16", "0x1.0002p-15", 0),
    (0.5, 3.0, 16, True, "int16", "0x1.40028p-15", -32767),
    (-0.37719064950942993, 0.3963145911693573, 16, True, "int16", "0x1.8c0bfap-17", -810),
    (-1.0, 1.0, 8, False, "int8", "0x1.010102p-7", 0),
    (-127.5, 127.5, 8, False, "int8", "0x1.0p+0", 0),
    (-0.5, 254.5, 8, False, "int8", "0x1.0p+0", -127),
    (-3.5, 251.5, 8, False, "int8", "0x1.0p+0", -124),
    (0.0, 6.0, 8, False, "int8", "0x1.818182p-6", -128),
    (-6.0, 6.0, 8, False, "int8", "0x1.818182p-5", 0),
    (0.5, 3.0, 8, False, "int8", "0x1.414142p-7", -128),
    (-9.999999974752427e-07, 9.999999974752427e-07, 8, False, "int8", "0x1.0d7cf6p-27", 0),
    (-0.37719064950942993, 0.3963145911693573, 8, False, "int8", "0x1.8d9678p-9", -4),
    (-1.9212679862976074, 0.3147003650665283, 8, False, "int8", "0x1.1f538ap-7", 91),
    (-1.6070080995559692, 1.0847852230072021, 8, False, "int8", "0x1.59e696p-7", 24),
    (-1.0, 1.0, 8, True, "int8", "0x1.020408p-7", 0),
    (-127.5, 127.5, 8, True, "int8", "0x1.010204p+0", 0),
    (-0.5, 254.5, 8, True, "int8", "0x1.010204p+0", -127),
    (-3.5, 251.5, 8, True, "int8", "0x1.010204p+0", -124),
    (0.0, 6.0, 8, True, "int8", "0x1.83060cp-6", -127),
    (-6.0, 6.0, 8, True, "int8", "0x1.83060cp-5", 0),
    (0.5, 3.0, 8, True, "int8", "0x1.42850ap-7", -127),
    (-9.999999974752427e-07, 9.999999974752427e-07, 8, True, "int8", "0x1.0e8c94p-27", 0),
    (-0.37719064950942993, 0.3963145911693573, 8, True, "int8", "0x1.8f273p-9", -3),
    (-1.9212679862976074, 0.3147003650665283, 8, True, "int8", "0x1.20752p-7", 91),
    (-1.6070080995559692, 1.0847852230072021, 8, True, "int8", "0x1.5b4336p-7", 25),
]


@pytest.mark.parametrize(("low", "high", "bits", "narrow", "dtype", "scale", "zero_point"), CONVERTED)
def test_parameters_of_the_converter(
    low: float, high: float, bits: int, narrow: bool, dtype: str, scale: str, zero_point: int
) -> None:
    p = converted_qparams(low, high, bits, narrow, dtype)
    assert (float(p.scale).hex(), p.zero_point) == (float.fromhex(scale).hex(), zero_point)
    several = converted_qparams([low] * 2, [high] * 2, bits, narrow, dtype, axis=0)
    assert (several.scale.tolist(), several.zero_point.tolist()) == ([p.scale] * 2, [p.zero_point] * 2)


# What is refused -----------------------------------------------------------------------------------

X = np.zeros((4, 3), F32)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (fake_quant_with_min_max_vars, {"min": 2, "max": 1}, r"range is \[2.0, 1.0\]; expected finite ends"),
        (fake_quant_with_min_max_vars, {"min": np.nan, "max": 1}, "nan"),
        (fake_quant_with_min_max_vars, {"min": 0, "max": np.nan}, "nan"),
        (fake_quant_with_min_max_vars, {"min": 0, "max": np.inf}, "inf"),
        (fake_quant_with_min_max_vars, {"min": [0], "max": 1}, r"min has shape \(1,\); expected \(\)"),
        (fake_quant_with_min_max_vars, {"min": "a", "max": 1}, "expected real numbers"),
        (fake_quant_with_min_max_vars, {"min": 0, "max": 1, "num_bits": 1}, "num_bits is 1; expected"),
        (fake_quant_with_min_max_vars, {"min": 0, "max": 1, "num_bits": 17}, "from 2 to 16"),
        (fake_quant_with_min_max_vars, {"min": 0, "max": 1, "num_bits": 8.0}, "expected an integer"),
        (fake_quant_with_min_max_args, {"min": 1, "max": 1}, "expected min < max"),
        (fake_quant_with_min_max_args, {"min": 1, "max": -1}, "min <= max"),
        (fake_quant_with_min_max_args, {"min": 1e-40, "max": 2e-40}, "subnormal"),
        (
            fake_quant_with_min_max_vars_per_channel,
            {"min": [0, 0], "max": [1, 1]},
            r"expected \(3,\), one per",
        ),
        (fake_quant_with_min_max_vars_per_channel, {"min": [0, 0, 0], "max": 1}, r"max has shape \(\)"),
        (fake_quant_with_min_max_vars_per_channel, {"min": [0, 2, 0], "max": [1, 1, 1]}, "of channel 1"),
        (fake_quant_with_min_max_vars_per_channel, {"inputs": 1, "min": [0], "max": [1]}, "single number"),
    ],
)
def test_refused(function: Callable[..., Any], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(QuantizationError, match=message):
        function(**{"inputs": X, **arguments})


def test_refused_gradients() -> None:
    for function in (fake_quant_with_min_max_args_gradient, fake_quant_with_min_max_vars_gradient):
        with pytest.raises(QuantizationError, match=r"gradients has shape \(3, 4\) and inputs \(4, 3\)"):
            function(X.T, X, -1, 1)
    with pytest.raises(QuantizationError, match="num_threads is 0"):
        fake_quant_with_min_max_vars_gradient(X, X, -1, 1, num_threads=0)
    with pytest.raises(QuantizationError, match="complex64; expected real"):
        fake_quant_with_min_max_args(X * 1j)
