"""The improvements that are asked for by name, as steps between `plan` and `apply`."""

from __future__ import annotations

from dataclasses import replace

from quantcore.calibration import Ranges
from quantcore.calibration.dataset import Sample
from quantcore.errors import QuantizationError
from quantcore.quantizer.bias_correction import correct_biases
from quantcore.quantizer.checks import STATIC
from quantcore.quantizer.equalization import equalize
from quantcore.quantizer.quantize import Plan
from quantcore.quantizer.settings import Settings

__all__ = ["check_improvements", "corrected", "equalized"]


def check_improvements(settings: Settings, has_dataset: bool, has_ranges: bool) -> None:
    """Refuse to improve what no data shows, or what the given ranges do not belong to.

    Raises
    ------
    QuantizationError
    """
    if settings.mode not in STATIC:
        raise QuantizationError(
            f"mode {settings.mode!r} has no improvements: equalization, bias correction and the search "
            "are for int8 and int16x8"
        )
    if has_ranges or not has_dataset:
        raise QuantizationError(
            "equalization, bias correction and the search look at the values of the model; give a "
            "representative dataset, and no saved ranges"
        )


def equalized(planned: Plan, samples: list[Sample]) -> tuple[Plan, int]:
    """Return the plan for the equalized model, and how many pairs of layers were; before calibration.

    Activations are equalized where weights have a scale per channel, otherwise weights.
    """
    found = equalize(planned.model, samples if planned.settings.per_channel else None)
    return replace(planned, model=found.model), len(found.pairs)


def corrected(planned: Plan, ranges: Ranges | None, samples: list[Sample]) -> tuple[Plan, int]:
    """Return the plan for the model with corrected biases, and how many were; after calibration."""
    found = correct_biases(planned.model, ranges, samples, planned.settings)
    return replace(planned, model=found.model), len(found.shifts)
