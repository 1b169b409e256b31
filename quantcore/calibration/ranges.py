"""The ranges of a model's tensors, as calibration finds them and the quantizer takes them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Ranges", "TensorRange"]


@dataclass(frozen=True, slots=True)
class TensorRange:
    """The range of one tensor.

    Attributes
    ----------
    name : str
        Name of the tensor, so that a saved file can be read by people.
    rmin, rmax : float
        Ends of the range; each is a float32 value. Not yet widened to hold 0.
    samples : int
        How many samples were seen; 0 where the range was entered by hand.
    method : str
        How the range was found: ``min_max``, ``percentile`` ...; ``given`` where it was entered by hand.
    seen_min, seen_max : float or None
        Smallest and largest value that was seen, where `method` may narrow the range.
    """

    name: str
    rmin: float
    rmax: float
    samples: int = 0
    method: str = "given"
    seen_min: float | None = None
    seen_max: float | None = None


class Ranges(dict[int, TensorRange]):
    """Ranges by tensor index in the main subgraph of the float model."""
