"""What an engine observes, and of which tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantcore.calibration.trackers import describe_not_finite
from quantcore.errors import QuantizationError
from quantcore.graph import Subgraph

__all__ = [
    "Ends",
    "Narrowed",
    "Observation",
    "check_finite",
    "describe_tensor",
    "not_finite",
    "observed_tensors",
]

Ends = tuple[float, float]
Narrowed = tuple[float, float, float | None]


@dataclass(frozen=True, slots=True)
class Observation:
    """What an engine has seen.

    Attributes
    ----------
    samples : int
    seen : dict of int to (float, float)
        Smallest and largest value of each tensor that had elements.
    narrowed : dict of int to (float, float, float or None)
        Of each tensor whose method is another than ``min_max``: its range, and the share of its values that
        lie outside, where that is known.
    """

    samples: int
    seen: dict[int, Ends]
    narrowed: dict[int, Narrowed]


def observed_tensors(subgraph: Subgraph) -> list[int]:
    """Return the float32 tensors whose ranges are collected, in order.

    As TensorFlow's calibrator: all that operators read or write and that are not constant, state among them.

    Raises
    ------
    QuantizationError
        The model is quantized: an activation is an integer with a scale.
    """
    used = {*subgraph.uses(), *subgraph.producers()}
    found = sorted(t for t in used if not subgraph.tensors[t].is_constant)
    for t in found:
        tensor = subgraph.tensors[t]
        if tensor.is_quantized and tensor.dtype != "float32":
            raise QuantizationError(
                f"tensor {t} ({tensor.name!r}) is {tensor.dtype} with a scale: the model is quantized "
                "already; calibration takes the float model"
            )
    return [t for t in found if subgraph.tensors[t].dtype == "float32"]


def describe_tensor(subgraph: Subgraph, t: int) -> str:
    """Return how a message names tensor `t`: its index, name, and the operator that writes it."""
    text = f"tensor {t} ({subgraph.tensors[t].name!r})"
    if t in subgraph.inputs:
        return f"{text}, an input of the model"
    writer = subgraph.producers().get(t)
    return (
        text if writer is None else f"{text}, written by operator {writer} ({subgraph.operators[writer].op})"
    )


def check_finite(subgraph: Subgraph, t: int, value: np.ndarray, sample: int) -> None:
    """Raise `QuantizationError` if a tensor holds NaN or infinity."""
    if not np.isfinite(value).all():
        raise not_finite(subgraph, t, describe_not_finite(value), sample)


def not_finite(subgraph: Subgraph, t: int, values: str, sample: int) -> QuantizationError:
    """Return the error for a tensor whose values are as `describe_not_finite` says."""
    return QuantizationError(
        f"sample {sample}: {describe_tensor(subgraph, t)}: {values}; a range needs finite values"
    )
