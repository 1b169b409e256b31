"""What cases are drawn from: choices that shrink towards the simplest, which is the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from quantcore.graph import Model, Operator, Quantization, Subgraph, Tensor

__all__ = ["CHANNELS", "Draft", "Draws", "Pick", "constant", "make_draft", "packed", "tensor", "type_range"]

T = TypeVar("T")

# Around the widths of vectors, and odd ones
CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33)
VALUES = ("zero", "one", "extremes", "random", "small", "low", "high", "alternating", "random", "random")
FLOATS = ("zero", "one", "normal", "integers", "wide", "normal")


class Pick(Protocol):
    """Chooses one of several, or a number from a range: Hypothesis, or a generator of random numbers."""

    def one_of(self, options: Sequence[T]) -> T:
        """Return one of `options`."""

    def integer(self, low: int, high: int) -> int:
        """Return a number in [low, high]; it shrinks towards `low`."""


@dataclass(slots=True)
class Draft:
    """A model of one operator, with a value for each of its inputs.

    Attributes
    ----------
    model : Model
    values : list of ndarray
    facts : dict of str to str
        What the case stands for in the table of what was covered, by aspect.
    """

    model: Model
    values: list[np.ndarray]
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Draws:
    """Draws the parts of a case.

    Parameters
    ----------
    pick : Pick
    """

    pick: Pick
    facts: dict[str, str] = field(default_factory=dict)

    def one_of(self, *options: T) -> T:
        """Return one of the arguments."""
        return self.pick.one_of(options)

    def integer(self, low: int, high: int) -> int:
        """Return a number in [low, high]."""
        return self.pick.integer(low, high)

    def flag(self) -> bool:
        """Return False or True."""
        return self.pick.one_of((False, True))

    def channels(self, most: int = CHANNELS[-1]) -> int:
        """Return a number of channels."""
        return self.pick.one_of(tuple(c for c in CHANNELS if c <= most))

    def rng(self) -> np.random.Generator:
        """Return a generator for what is too much to be drawn one by one."""
        return np.random.default_rng(self.integer(0, 2**31 - 1))

    def zero_point(self, dtype: str, what: str) -> int:
        """Return a zero point: an end of the dtype, the middle, or any other."""
        low, high = type_range(dtype)
        middle = (low + high + 1) // 2
        if dtype == "int16":
            return 0
        value = self.one_of(middle, low, high, middle - 1, middle + 1, None)
        value = self.integer(low, high) if value is None else value
        names = {low: "lowest", high: "highest", middle: "middle"}
        self.facts[f"zero point of the {what}"] = names.get(value, "other")
        return value

    def integers(
        self, shape: Sequence[int], dtype: str, zero_point: int = 0, *, low: int | None = None
    ) -> np.ndarray:
        """Return data of an integer dtype, or of values in its range (``int4`` as int8)."""
        least, largest = type_range(dtype)
        least = least if low is None else low
        kind = self.one_of(*VALUES)
        rng = self.rng()
        if kind == "zero":
            values = np.full(shape, zero_point)
        elif kind == "one":
            values = np.full(shape, min(zero_point + 1, largest))
        elif kind == "extremes":
            values = rng.choice([least, largest], shape)
        elif kind == "small":
            values = np.clip(zero_point + rng.integers(-3, 4, shape), least, largest)
        elif kind in ("low", "high"):
            values = np.full(shape, least if kind == "low" else largest)
        elif kind == "alternating":
            values = np.where(np.arange(int(np.prod(shape))).reshape(shape) % 2, least, largest)
        else:
            values = rng.integers(least, largest, shape, endpoint=True)
        return np.asarray(values).astype("int8" if dtype == "int4" else dtype)

    def floats(self, shape: Sequence[int]) -> np.ndarray:
        """Return finite data of float32."""
        kind = self.one_of(*FLOATS)
        rng = self.rng()
        if kind == "zero":
            values = np.zeros(shape)
        elif kind == "one":
            values = np.ones(shape)
        elif kind == "integers":
            values = rng.integers(-9, 10, shape).astype(np.float64)
        elif kind == "wide":
            values = rng.standard_normal(shape) * 2.0 ** rng.integers(-20, 21, shape)
        else:
            values = rng.standard_normal(shape)
        return values.astype(np.float32)

    def values(self, shape: Sequence[int], dtype: str, zero_point: int = 0) -> np.ndarray:
        """Return data of a dtype."""
        if dtype == "float32":
            return self.floats(shape)
        if dtype == "bool":
            return self.rng().integers(0, 2, shape).astype(bool)
        return self.integers(shape, dtype, zero_point)

    def activation(self) -> str:
        """Return a fused activation."""
        name = self.one_of("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
        self.facts["fused activation"] = name
        return name

    def scale(self) -> np.float32:
        """Return a scale: a power of two, or any."""
        power = 2.0 ** self.one_of(-4, 0, -1, -7, -8, -12, 3)
        return np.float32(power * self.one_of(1.0, 1.0, 1.3, 1.7, 1.9999999))


def type_range(dtype: str) -> tuple[int, int]:
    """Return the smallest and largest value of an integer dtype."""
    if dtype == "int4":
        return -8, 7
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def packed(values: np.ndarray) -> np.ndarray:
    """Return values of 4 bits two in a byte, the first in the low half."""
    flat = np.append(values.reshape(-1), np.zeros(values.size % 2, np.int8)).astype(np.uint8) & 15
    return flat[::2] | flat[1::2] << 4


def tensor(
    name: str, dtype: str, shape: Sequence[int] = (), scale: Any = None, zero_point: Any = 0, axis: int = 0
) -> Tensor:
    """Return a tensor; without a scale it is not quantized."""
    quantization = None
    if scale is not None:
        scales = np.atleast_1d(np.asarray(scale, np.float32))
        zeros = np.broadcast_to(np.asarray(zero_point, np.int64), scales.shape).copy()
        quantization = Quantization(scales, zeros, axis)
    return Tensor(name, tuple(int(n) for n in shape), dtype, quantization=quantization)


def constant(name: str, data: np.ndarray, scale: Any = None, zero_point: Any = 0, axis: int = 0) -> Tensor:
    """Return a constant."""
    made = tensor(name, data.dtype.name, data.shape, scale, zero_point, axis)
    made.data = data
    return made


def make_draft(
    draws: Draws,
    op: str,
    inputs: Sequence[Tensor | None],
    output: Tensor,
    values: Sequence[np.ndarray],
    options: dict[str, Any] | None = None,
    *,
    version: int = 1,
) -> Draft:
    """Return a model of one operator; what is no constant is an input of the model, with one of `values`."""
    tensors = [t for t in inputs if t is not None] + [output]
    place = iter(range(len(tensors)))
    reads = tuple(-1 if t is None else next(place) for t in inputs)
    writes = (next(place),)
    given = tuple(t for t in reads if t >= 0 and tensors[t].data is None)
    operator = Operator(op, version, reads, writes, options or {})
    return Draft(Model([Subgraph("main", tensors, [operator], given, writes)]), list(values), draws.facts)


Build = Callable[[Draws, str], Draft]
