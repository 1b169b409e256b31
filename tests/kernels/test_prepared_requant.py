"""Requantizations prepared for the vector versions against the definition, where rounding decides.

A FULLY_CONNECTED whose filter is 0 requantizes its bias: any accumulator can be had.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from quantcore.kernels._core import Requant, kernel_table
from quantcore.kernels._fully_connected import fully_connected_call

from quantcore.kernels.sum_bound import sum_bound
from tests.ops.harness import instruction_sets, using

LIMIT = 2**29  # QC_PREPARED_LIMIT
WIDE = 3 * 2**29  # QC_WIDE_LIMIT
BOUNDS = {"int8": (-128, 127), "uint8": (0, 255)}


def requantize(
    isa: str, acc: np.ndarray, dtype: str, requant: dict[str, Any], bound: int | None
) -> np.ndarray:
    output = np.empty((1, acc.size), dtype)
    with using(isa):
        call = fully_connected_call(
            dtype,
            batches=1,
            depth=1,
            units=acc.size,
            input_offset=0,
            filter_offset=0,
            requant=Requant(**requant),
            sum_bound=bound,
        )
        call([np.zeros((1, 1), dtype), np.zeros((acc.size, 1), dtype), acc], [output])
    return output[0]


def compare(acc: np.ndarray, dtype: str, requant: dict[str, Any], bound: int | None) -> np.ndarray:
    """Return the outputs by the definition, which every instruction set must have."""
    expected = requantize("scalar", acc, dtype, requant, bound)
    for isa in instruction_sets():
        if ("fully_connected_s8", isa) in kernel_table():
            got = requantize(isa, acc, dtype, requant, bound)
            wrong = np.flatnonzero(got != expected)
            assert wrong.size == 0, (isa, requant["rounding"], wrong[:5], acc[wrong[:5]], got[wrong[:5]])
    return expected


def multipliers(rng: np.random.Generator, count: int) -> np.ndarray:
    edges = [2**30, 2**30 + 1, 2**31 - 1, 3 * 2**29, 2**31 - 2**16, 0]
    return np.where(
        rng.random(count) < 0.4, rng.choice(edges, count), rng.integers(2**30, 2**31, count)
    ).astype(np.int32)


def sums(
    rng: np.random.Generator, multiplier: np.ndarray, shift: np.ndarray, limit: int = LIMIT
) -> np.ndarray:
    """Accumulators below the limit at and next to ties of either rounding, of outputs of a few hundred."""
    count = multiplier.size
    real = np.maximum(multiplier, 1) * np.ldexp(1.0, shift - 31)
    steps = rng.integers(-300, 301, count) + rng.choice([0.0, 0.5, 0.5, 0.25], count)
    near = np.rint(steps / real) + rng.integers(-2, 3, count)
    anywhere = np.rint((limit - 1) * rng.uniform(-1, 1, count) ** 9)
    edges = rng.choice([0, 1, -1, 2, -2, limit - 1, 1 - limit], count)
    kind = rng.random(count)
    chosen = np.where(kind < 0.7, near, np.where(kind < 0.9, anywhere, edges))
    return np.clip(chosen, 1 - limit, limit - 1).astype(np.int32)


@pytest.mark.parametrize("rounding", ["double_rounding", "ruy", "single_rounding"])
def test_rules_of_fixed_point_at_ties(rounding: str) -> None:
    """Every shift that is prepared and the next ones; some activations make ties below 0 vanish."""
    rng = np.random.default_rng(0)
    for number, least in enumerate((-128, 3, 0, -5)):
        for shift in range(-31, 4):
            dtype = ("int8", "uint8")[(number + shift) % 2] if least >= 0 else "int8"
            count = 419
            shifts = np.full(count, shift, np.int32)
            if shift % 3 == 0:  # shifts that differ
                shifts = np.clip(shifts + rng.integers(-3, 4, count), -31, max(shift, 0)).astype(np.int32)
            multiplier = multipliers(rng, count)
            requant = {
                "rounding": rounding,
                "multiplier": multiplier,
                "shift": shifts,
                "output_offset": (-3, 3, 120, 0)[number],
                "activation_min": max(least, BOUNDS[dtype][0]),
                "activation_max": 101,
            }
            for limit in (LIMIT, WIDE):
                compare(sums(rng, multiplier, shifts, limit), dtype, requant, limit - 1)


def test_all_small_sums_by_few_multipliers() -> None:
    """Every accumulator around 0 with each shift, one multiplier for all channels."""
    acc = np.arange(-1100, 1101, dtype=np.int32)
    for multiplier in (2**30, 2**30 + 1, 1431655765, 2**31 - 1):
        for shift in range(-9, 2):
            for rounding in ("double_rounding", "ruy"):
                requant = {
                    "rounding": rounding,
                    "multiplier": multiplier,
                    "shift": shift,
                    "output_offset": 1,
                    "activation_min": -128,
                    "activation_max": 127,
                }
                compare(acc, "int8", requant, 1100)


@pytest.mark.parametrize("rounding", ["float64", "float32"])
def test_float_rules(rounding: str) -> None:
    """Products at ties, one below a half, and beyond every integer."""
    rng = np.random.default_rng(1)
    count = 1003
    for reach in (2.0**-31, 2.0**-9, 0.25, 1.0, 1.7):
        real = reach * np.where(rng.random(count) < 0.5, 1.0, rng.uniform(0.5, 1.0, count))
        real[:3] = np.nextafter(0.5, 0), 0.0, 0.5
        if rounding == "float32":
            real = real.astype(np.float32).astype(np.float64)
        near = np.rint(rng.integers(-300, 301, count) / 2 / np.maximum(real, 1e-12))
        acc = np.clip(near, 1 - LIMIT, LIMIT - 1).astype(np.int32)
        acc[:3] = 1
        acc[3:7] = LIMIT - 1, 1 - LIMIT, 0, -1
        requant = {"rounding": rounding, "real_multiplier": real, "output_offset": -7}
        for bounds in ((-128, 127), (-7, 90)):
            limits = dict(zip(("activation_min", "activation_max"), bounds, strict=True))
            compare(acc, "int8", requant | limits, LIMIT - 1)
    huge = np.full(40, 1e38)
    acc = rng.integers(-(2**31), 2**31, 40, dtype=np.int64).astype(np.int32)
    limits = {"activation_min": 0, "activation_max": 255}
    compare(acc, "uint8", {"rounding": rounding, "real_multiplier": huge} | limits, 2**31)


def test_what_is_not_prepared_has_the_bits_too() -> None:
    """Accumulators of any size: where no bound, or one beyond the limit, is given."""
    rng = np.random.default_rng(2)
    acc = rng.integers(-(2**31), 2**31, 500, dtype=np.int64).astype(np.int32)
    for bound in (None, WIDE, 2**40):
        for rounding in ("double_rounding", "ruy", "single_rounding"):
            requant = {
                "rounding": rounding,
                "multiplier": multipliers(rng, acc.size),
                "shift": rng.integers(-31, 5, acc.size),
                "output_offset": -3,
                "activation_min": -128,
                "activation_max": 127,
            }
            compare(acc, "int8", requant, bound)


def test_rules_of_body_and_tail() -> None:
    rng = np.random.default_rng(3)
    for body in (0, 8, 40, 96):
        multiplier = multipliers(rng, 97)
        shift = rng.integers(-12, 1, 97).astype(np.int32)
        requant = {
            "rounding": "ruy",
            "tail": "double_rounding",
            "body": body,
            "multiplier": multiplier,
            "shift": shift,
            "output_offset": -3,
            "activation_min": -128,
            "activation_max": 127,
        }
        for limit in (LIMIT, WIDE):
            compare(sums(rng, multiplier, shift, limit), "int8", requant, limit - 1)


def test_sum_bound() -> None:
    """The bound is one that is reached, where the simple one is too large."""
    offsets = {"input_offset": 128, "filter_offset": 0}
    filter = np.zeros((3, 20000), np.int8)
    assert sum_bound("int8", filter, None, axis=0, **offsets) == 0
    filter[1, :7] = -128
    bias = np.array([5, -6, 2**28], np.int32)
    simple = 20000 * 128 * 255 + 2**28
    assert simple > LIMIT
    assert sum_bound("int8", filter, bias, axis=0, **offsets) == 2**28
    assert sum_bound("int8", filter, bias[:1], axis=0, **offsets) == 7 * 128 * 255 + 5
    assert sum_bound("int8", filter[:, :9], np.array([-(2**31)]), axis=0, **offsets) == 2**31 + 7 * 128 * 255
    assert sum_bound("uint8", None, bias, axis=0, **offsets) is None
    assert sum_bound("int16", filter, bias, axis=0, **offsets) is None
