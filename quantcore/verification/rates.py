"""How often two requantization rules disagree, from the rules alone.

Each rule rounds a value that is displaced by a little: rounding twice displaces it by half a unit of the
first rounding, which is ``2**-(r + 1)`` output steps for a right shift of r, and another multiplier displaces
it in proportion. Two rules store different integers when a rounding boundary lies between the two values, so
the probability is the distance between them. docs/verify.md derives this; the tests check it by simulation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from quantcore.affine import quantize_multiplier
from quantcore.errors import QuantcoreError
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.shared.requant import quantized_bounds

__all__ = ["Store", "expected_mismatches", "predict"]

FLOAT32_FRACTION = 23

# Operators whose outputs are one requantized sum each, of enough terms that its fraction is spread evenly.
SUMS = ("BATCH_MATMUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL", "TRANSPOSE_CONV")
VECTORS_OF_CHANNELS = ("DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")  # in int8; else they run over the flat output


@dataclass(frozen=True, slots=True)
class Store:
    """How one profile brings an operator's accumulators to the output.

    Attributes
    ----------
    rule : Rule
    multiplier : ndarray
        Real multiplier, float64, shape (1,) or (channels,).
    by_channel : bool
        Whether ``rule.block`` counts channels; else elements of the flat output.
    """

    rule: Rule
    multiplier: np.ndarray
    by_channel: bool = False

    def parts(self, shape: tuple[int, ...]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (rounding, mask): which elements of an output the vector body and the tail store."""
        block = self.rule.block
        if not block:
            yield self.rule.rounding, np.ones(shape, bool)
            return
        count = shape[-1] if self.by_channel else int(np.prod(shape))
        body = np.arange(count) < count // block * block
        mask = np.broadcast_to(body, shape) if self.by_channel else body.reshape(shape)
        yield self.rule.rounding, mask
        yield self.rule.tail, ~mask


def predict(a: Node, b: Node, rule_a: Rule | None, rule_b: Rule | None, y: np.ndarray) -> float | None:
    """Return how many elements of output `y` two rules are expected to store differently; None if unknown."""
    op = a.op.op
    if op not in SUMS or y.dtype.kind not in "iu" or rule_a is None or rule_b is None:
        return None
    multipliers = a.definition.multipliers if a.definition is not None else None
    if rule_a.form != rule_b.form or multipliers is None:
        return None
    if rule_a == rule_b:
        return 0.0
    try:
        real = [multipliers(node).get("output") for node in (a, b)]
        activation = str(a.options.get("fused_activation_function", "NONE"))
        low, high = quantized_bounds(a, activation, a.output)
    except QuantcoreError:
        return None
    if real[0] is None or real[1] is None:
        return None
    by_channel = op in VECTORS_OF_CHANNELS and y.dtype == np.int8
    stores = (Store(rule_a, real[0], by_channel), Store(rule_b, real[1], by_channel))
    return expected_mismatches(*stores, y, zero_point=a.output.zero_point, low=low, high=high)


def expected_mismatches(a: Store, b: Store, y: np.ndarray, *, zero_point: int, low: int, high: int) -> float:
    """Return how many of an operator's outputs two rules are expected to store differently.

    Parameters
    ----------
    a, b : Store
    y : ndarray
        Outputs by either rule, channels last: their size, sign and saturation are what matters.
    zero_point : int
    low, high : int
        Bounds of the activation, at which differences vanish.

    Notes
    -----
    The accumulators are taken to be spread evenly over the fractions of an output step, which holds for sums
    of many products; not where few accumulators occur, as with few distinct inputs.
    """
    visible = (y > low) & (y < high)
    total = 0.0
    for rounding_a, mask_a in a.parts(y.shape):
        for rounding_b, mask_b in b.parts(y.shape):
            values, counts = _occurrences(y, visible & mask_a & mask_b, a.multiplier.size)
            if counts.any():
                rate = _rate(rounding_a, rounding_b, a, b, values.astype(np.float64) - zero_point)
                total += float((rate * counts).sum())
    return total


def _occurrences(y: np.ndarray, where: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return values, channels last, and how often each occurs among the elements `where`.

    For 8 bits these are the 256 values of each channel, which are fewer than the elements.
    """
    if y.dtype.itemsize > 1:
        return y, where
    cells = y.astype(np.uint8).astype(np.int32) * channels + np.arange(channels, dtype=np.int32)
    counts = np.bincount(cells[where], minlength=256 * channels).reshape(256, channels)
    return np.arange(256, dtype=np.uint8).astype(y.dtype)[:, None], counts


def _rate(rounding_a: str, rounding_b: str, a: Store, b: Store, real: np.ndarray) -> np.ndarray:
    """Return the probability of a difference for each element, whose value is `real` output steps."""
    base = a.multiplier
    distance = _displacement(rounding_a, a, base, real) - _displacement(rounding_b, b, base, real)
    rate = np.abs(distance)
    if (rounding_a == "float32") != (rounding_b == "float32"):
        # Near k + 1/2 the product is rounded to a tie if it is within half a step of float32.
        exponent = np.floor(np.log2(np.maximum(np.abs(real), 1.0)))
        rate = rate + 2.0 ** (exponent - FLOAT32_FRACTION - 1)
    limited: np.ndarray = np.minimum(rate, 1.0)
    return limited


def _displacement(rounding: str, store: Store, base: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return by how much the value that is rounded differs from accumulator times `base`, in output steps."""
    shift = _right_shift(store.multiplier)
    half_unit = np.where(shift > 0, 2.0 ** -(shift + 1), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved: np.ndarray = real * np.nan_to_num(_used(rounding, store.multiplier) / base - 1)
    if rounding == "double_rounding":  # the last tie goes away from zero, so half a unit is added to |value|
        moved += np.where(real < 0, -half_unit, half_unit)
    elif rounding == "ruy":  # the last tie goes up
        moved += half_unit
    return moved


def _right_shift(multiplier: np.ndarray) -> np.ndarray:
    _, shift = quantize_multiplier(multiplier)
    right: np.ndarray = np.maximum(-np.asarray(shift, np.int64), 0)
    return right


def _used(rounding: str, multiplier: np.ndarray) -> np.ndarray:
    """Return the multiplier with the precision that the rule keeps of it."""
    if rounding == "float64":
        return multiplier
    if rounding == "float32":
        return multiplier.astype(np.float32).astype(np.float64)
    fixed, shift = (np.asarray(part, np.float64) for part in quantize_multiplier(multiplier))
    if rounding == "int16_multiplier":
        fixed = np.minimum(np.floor((fixed + 2**15) / 2**16), 32767) * 2**16
    used: np.ndarray = fixed * 2.0 ** (shift - 31)
    return used
