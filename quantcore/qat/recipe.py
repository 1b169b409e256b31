"""Recipes of quantization-aware training: what is fake-quantized, with how many bits, and by which ranges."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from quantcore.errors import QuantizationError
from quantcore.quantizer.settings import WEIGHT_BITS

__all__ = ["BATCH_NORM", "RANGES", "LayerRule", "Recipe", "RecipeSource", "check_range"]

RANGES = ("moving_average", "learnt")
BATCH_NORM = ("moving", "batch")
NAMED: dict[str, dict[str, Any]] = {"int8": {}, "int4": {"weight_bits": 4}}

RecipeSource = Any  # what `Recipe.of` takes


@dataclass(frozen=True)
class LayerRule:
    """What holds for one layer.

    Attributes
    ----------
    weight_bits : int
        Bits of the layer's weights.
    ranges, momentum
        How the range of its output follows from data.
    batch_norm : str
        Which statistics a batch normalization that is folded into it uses in training.
    range : tuple of float, or None
        Fixed range of its output; None: from data.
    """

    weight_bits: int = 8
    ranges: str = "moving_average"
    momentum: float = 0.99
    batch_norm: str = "moving"
    range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Recipe:
    """How `quantcore.qat.prepare` makes a model ready for training.

    Parameters
    ----------
    weight_bits : {8, 4}
        Bits of the weights of convolutions and dense layers. Activations have 8.
    ranges : {"moving_average", "learnt"}
        Ranges of activations: moving averages of the minimum and maximum of each training batch, or trainable
        variables.
    batch_norm : {"moving", "batch"}
        A batch normalization uses its moving statistics, which stay as they are, or in training those of the
        batch, which the moving ones follow.
    float_layers : sequence of str
        Layers that stay as they are: names, or patterns as in file names (``*``, ``?``).
    layers : mapping of str to mapping
        By name or pattern, what is otherwise for some layers: any of ``weight_bits``, ``ranges``,
        ``momentum``, ``batch_norm``, and ``range``, the fixed (min, max) of the output. A later entry wins.
    momentum : float
        Of the moving averages, in [0, 1).

    Raises
    ------
    QuantizationError
        An unknown field or value, a range with min > max, without zero, or not finite.
    """

    weight_bits: int = 8
    ranges: str = "moving_average"
    batch_norm: str = "moving"
    float_layers: tuple[str, ...] = ()
    layers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    momentum: float = 0.99

    def __post_init__(self) -> None:
        names = (self.float_layers,) if isinstance(self.float_layers, str) else self.float_layers
        if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
            raise QuantizationError(f"float_layers is {names!r}; expected names of layers, or patterns")
        object.__setattr__(self, "float_layers", tuple(names))
        _check("", self._defaults())
        if not isinstance(self.layers, Mapping):
            raise QuantizationError(f"layers is {self.layers!r}; expected a mapping from names to settings")
        checked = {name: _checked_entry(name, entry) for name, entry in self.layers.items()}
        object.__setattr__(self, "layers", checked)

    @classmethod
    def of(cls, source: RecipeSource) -> Recipe:
        """Return a recipe from a recipe, a mapping of its fields, ``"int8"``, ``"int4"``, or None."""
        if source is None:
            return cls()
        if isinstance(source, cls):
            return source
        if isinstance(source, str):
            if source not in NAMED:
                raise QuantizationError(f"no recipe {source!r}; there are: {', '.join(NAMED)}")
            return cls(**NAMED[source])
        if isinstance(source, Mapping):
            _check_fields("the recipe", source, [f.name for f in fields(cls)])
            return cls(**source)
        raise QuantizationError(
            f"the recipe is a {type(source).__name__}; expected a Recipe, a mapping of its fields, or one of "
            f"{', '.join(NAMED)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data, which `of` takes."""
        return asdict(self)

    def for_layer(self, name: str) -> LayerRule:
        """Return what holds for the layer of that name."""
        rule = LayerRule(**self._defaults())
        for pattern, entry in self.layers.items():
            if fnmatchcase(name, pattern):
                rule = replace(rule, **entry)
        return rule

    def stays_float(self, name: str) -> bool:
        """Whether the layer of that name is left as it is."""
        return any(fnmatchcase(name, pattern) for pattern in self.float_layers)

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse names and patterns that fit none of `names`, the layers of a model."""
        known = list(names)
        for pattern in (*self.float_layers, *self.layers):
            if not any(fnmatchcase(name, pattern) for name in known):
                near = get_close_matches(pattern, known, n=3)
                hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
                raise QuantizationError(f"the recipe names {pattern!r}, and no layer is called so{hint}")

    def _defaults(self) -> dict[str, Any]:
        return {
            "weight_bits": self.weight_bits,
            "ranges": self.ranges,
            "momentum": self.momentum,
            "batch_norm": self.batch_norm,
        }


def check_range(where: str, low: Any, high: Any) -> tuple[float, float]:
    """Return a range of activations as floats.

    Raises
    ------
    QuantizationError
        NaN or infinity, ``min > max``, an empty range, or zero is outside: int8 must have a value for zero,
        which padding is.
    """
    try:
        low, high = float(low), float(high)
    except (TypeError, ValueError):
        raise QuantizationError(f"{where}: the range is ({low!r}, {high!r}); expected two numbers") from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise QuantizationError(f"{where}: the range ({low:g}, {high:g}) is not finite; expected two numbers")
    if low > high:
        raise QuantizationError(f"{where}: the range ({low:g}, {high:g}) has min > max; expected (min, max)")
    if low == high:
        raise QuantizationError(f"{where}: the range ({low:g}, {high:g}) is empty; expected min < max")
    if low > 0 or high < 0:
        raise QuantizationError(
            f"{where}: the range ({low:g}, {high:g}) does not hold 0, which int8 must represent exactly; "
            f"extend it to ({min(low, 0.0):g}, {max(high, 0.0):g})"
        )
    return low, high


def _checked_entry(name: str, entry: Any) -> dict[str, Any]:
    where = f"recipe for layers {name!r}"
    if not isinstance(entry, Mapping):
        raise QuantizationError(f"{where}: {entry!r}; expected a mapping")
    _check_fields(where, entry, [f.name for f in fields(LayerRule)])
    checked = dict(entry)
    _check(f"{where}: ", checked)
    if checked.get("range") is not None:
        given = checked["range"]
        if not isinstance(given, Iterable) or len(pair := list(given)) != 2:
            raise QuantizationError(f"{where}: the range is {given!r}; expected (min, max)")
        checked["range"] = check_range(where, *pair)
    return checked


def _check_fields(where: str, given: Mapping[str, Any], known: list[str]) -> None:
    for name in given:
        if name not in known:
            raise QuantizationError(f"{where} has a field {name!r}; known are: {', '.join(known)}")


def _check(where: str, values: Mapping[str, Any]) -> None:
    choices: dict[str, tuple[Any, ...]] = {
        "weight_bits": WEIGHT_BITS,
        "ranges": RANGES,
        "batch_norm": BATCH_NORM,
    }
    for name, allowed in choices.items():
        if name in values and values[name] not in allowed:
            raise QuantizationError(
                f"{where}{name} is {values[name]!r}; expected {' or '.join(map(repr, allowed))}"
            )
    momentum = values.get("momentum", 0.0)
    if not isinstance(momentum, (int, float)) or not 0 <= momentum < 1:
        raise QuantizationError(f"{where}momentum is {momentum!r}; expected a number in [0, 1)")
