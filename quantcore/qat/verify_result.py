"""What `quantcore.qat.verify` returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["ForwardResult", "LayerResult", "OutputResult"]

HEAD = ("layer", "operator", "elements", "differ", "may differ", "outside", "margin", "end to end", "result")
AGREES, OUTSIDE, NOT_COMPARED = "agrees", "outside", "not compared"


@dataclass
class LayerResult:
    """One place at which values are rounded: the forward pass against the integer kernel.

    Attributes
    ----------
    name : str
        Of the layer.
    op : str
        TFLite's operator; empty for an input of the model.
    tensor : int
        Its output in the file.
    scale : float
    zero_point : int
    elements, differing, max_abs_diff : int
        What was compared when both had the same quantized inputs, how much of it differs, by how many steps.
    undecided : int
        Elements whose real value is so near to a tie that they may differ.
    outside : int
        Elements for which one of the two is further from the real value than its derived bound.
    margin : float or None
        Of all elements, the smallest distance to that bound, in steps; negative outside.
    delta : float or None
        The largest distance from a tie, in steps, at which elements may differ.
    end_to_end_differing, end_to_end_max : int
        How many elements differ, and by how much, when both ran from the model's inputs on.
    reason : str
        Why nothing was compared, else empty.
    """

    name: str
    op: str
    tensor: int
    scale: float
    zero_point: int
    elements: int = 0
    differing: int = 0
    max_abs_diff: int = 0
    undecided: int = 0
    outside: int = 0
    margin: float | None = None
    delta: float | None = None
    end_to_end_differing: int = 0
    end_to_end_max: int = 0
    reason: str = ""

    @property
    def status(self) -> str:
        """``agrees``, ``outside`` or ``not compared``."""
        if self.reason:
            return NOT_COMPARED
        return OUTSIDE if self.outside or self.max_abs_diff > 1 + (self.delta or 0) else AGREES

    def to_json(self) -> dict[str, Any]:
        """Return a dict of JSON values."""
        return {**asdict(self), "status": self.status}


@dataclass
class OutputResult:
    """An output of the model, end to end.

    Attributes
    ----------
    name : str
    rows : int
        Vectors along the last axis.
    same_largest : int
        Of how many the largest element is the same; elements that are equal in int8 count as one.
    """

    name: str
    rows: int
    same_largest: int


@dataclass
class ForwardResult:
    """What `quantcore.qat.verify` found.

    Attributes
    ----------
    model : str
        Name of the Keras model.
    numerics : str
    samples : int
    layers : list of LayerResult
        In the order of the forward pass.
    outputs : list of OutputResult
    """

    model: str
    numerics: str
    samples: int
    layers: list[LayerResult] = field(default_factory=list)
    outputs: list[OutputResult] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether every layer was compared, and none has a value outside of its bounds."""
        return bool(self.layers) and all(layer.status == AGREES for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """Return the result as a dict for ``json.dumps``."""
        return {
            "model": self.model,
            "numerics": self.numerics,
            "samples": self.samples,
            "agrees": self.agrees,
            "layers": [layer.to_json() for layer in self.layers],
            "outputs": [asdict(output) for output in self.outputs],
        }

    def __str__(self) -> str:
        """Return a table, and the verdict."""
        lines = [HEAD, *(_line(layer) for layer in self.layers)]
        text = [f"{self.model}: {self.numerics}, {self.samples} samples", "", *_aligned(lines), ""]
        text += [f"{layer.name}: {layer.reason}" for layer in self.layers if layer.reason]
        text += [
            f"output {output.name}: the largest element is the same in {output.same_largest} of {output.rows}"
            for output in self.outputs
        ]
        return "\n".join([*text, self.verdict])

    @property
    def verdict(self) -> str:
        """The whole result in one line."""
        count = sum(layer.elements for layer in self.layers)
        good = sum(layer.status == AGREES for layer in self.layers)
        differing = sum(layer.differing for layer in self.layers)
        line = f"{good}/{len(self.layers)} layers, {count:,} values compared, {differing:,} differ"
        if self.agrees:
            return f"agrees: {line}, all within the derived rounding"
        outside = any(layer.status == OUTSIDE for layer in self.layers)
        return f"{'does NOT agree' if outside else 'not proved'}: {line}"


def _line(layer: LayerResult) -> tuple[str, ...]:
    end = f"{layer.end_to_end_differing:,}"
    if layer.end_to_end_max > 1:
        end += f" by {layer.end_to_end_max}"
    margin = "" if layer.margin is None else f"{layer.margin:.1e}"
    counts = (f"{n:,}" for n in (layer.elements, layer.differing, layer.undecided, layer.outside))
    return (layer.name, layer.op or "(input)", *counts, margin, end, layer.status)


def _aligned(lines: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table: names to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = (0, 1, len(widths) - 1)
    return [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
