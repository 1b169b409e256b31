"""The arguments and options of ``quantcore quantize``, and which of them contradict each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from quantcore.calibration.collect import RANGES
from quantcore.cli._output_files import check_outputs
from quantcore.quantizer.settings import MODES

__all__ = ["Asked", "check", "refuse_with_trained_ranges"]


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments and options, under their names."""

    model: str
    out: str
    mode: str
    io: str | None
    data: str | None
    images_key: str | None
    samples: int | None
    random_samples: int | None
    seed: int
    engine: str
    ranges: str
    save_ranges: str | None
    method: str
    recipe: str | None
    allow_float: bool
    per_tensor: bool
    per_tensor_dense: bool
    weight_bits: str
    equalize: bool
    correct_biases: bool
    search: float | None
    search_measure: str
    search_precision: str
    threads: int | None
    explain: bool
    report: str | None
    compare_samples: int

    @property
    def has_data(self) -> bool:
        """Whether there are samples."""
        return self.data is not None or self.random_samples is not None

    @property
    def given_ranges(self) -> bool:
        """Whether the ranges come from a file."""
        return self.ranges not in RANGES

    @property
    def explained(self) -> bool:
        """Whether the error of each tensor is to be measured."""
        return self.explain or self.report is not None

    @property
    def report_path(self) -> Path | None:
        """Where the account goes."""
        if self.report is not None:
            return Path(self.report)
        return Path(f"{self.out}.json") if self.explain else None


def check(asked: Asked) -> None:
    """Refuse options that contradict each other and files that cannot be written, before any work is done."""
    if asked.data is not None and asked.random_samples is not None:
        raise click.UsageError("--data and --random-samples are both there; give one of them")
    refuse_idle(asked)
    read = (asked.model, asked.data, asked.recipe, asked.ranges if asked.given_ranges else None)
    report = None if asked.report_path is None else str(asked.report_path)
    check_outputs((asked.out, report, asked.save_ranges), read)


def refuse_idle(asked: Asked) -> None:
    """Refuse options without effect: whoever gives one expects a file, or other numbers."""
    how = calibration_options(asked)
    if not MODES[asked.mode].static:
        refuse_given(how, f"mode {asked.mode!r} does not calibrate")
    if asked.given_ranges:
        refuse_given(how, "--ranges gives ranges that are found already")
    if asked.data is None:
        refuse_given(
            {"--samples": asked.samples is not None, "--images": asked.images_key is not None},
            "there is no --data",
        )


def calibration_options(asked: Asked) -> dict[str, bool]:
    """Return the options that say how ranges are found, and which of them are there."""
    return {
        "--method": asked.method != "min_max",
        "--engine": asked.engine != "quantcore",
        "--ranges converter": asked.ranges == "converter",
        "--save-ranges": asked.save_ranges is not None,
    }


def refuse_with_trained_ranges(asked: Asked) -> None:
    """Refuse what has no effect on a model that brings its ranges, or would contradict its training."""
    improvements = {
        "--equalize": asked.equalize,
        "--correct-biases": asked.correct_biases,
        "--search": asked.search is not None,
    }
    refuse_given(calibration_options(asked) | improvements, "the model has trained ranges")


def refuse_given(options: dict[str, bool], why: str) -> None:
    """Refuse the first of the options that is there."""
    for name, given in options.items():
        if given:
            raise click.UsageError(f"{name} has no effect: {why}")
