"""What ``quantcore quantize`` does: what is asked, the steps, what was done."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantcore import __version__
from quantcore.calibration.collect import RANGES
from quantcore.cli._output_files import check_outputs
from quantcore.quantizer.settings import MODES, Settings

if TYPE_CHECKING:
    import numpy as np

    from quantcore.calibration import Ranges
    from quantcore.graph import Model
    from quantcore.quantizer.account import Account
    from quantcore.quantizer.explain import TensorAccount
    from quantcore.quantizer.search import SearchResult
    from quantcore.quantizer.steps import Plan

__all__ = ["Asked", "Done", "quantize"]


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


@dataclass(slots=True)
class Done:
    """What was done. `to_json` is what ``--json`` prints and what the report holds."""

    asked: Asked
    planned: Plan
    model: Model
    ranges: Ranges | None
    account: Account
    float_bytes: int
    bytes: int
    samples: int
    notes: list[str]
    seconds: float
    rows: list[TensorAccount] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a dict for `print_json`."""
        from quantcore.quantizer.explain import kept_float, operator_dtypes

        asked, settings = self.asked, self.planned.settings
        about: dict[str, Any] = {
            "quantcore": __version__,
            "model": asked.model,
            "out": asked.out,
            "mode": settings.mode,
            "io": settings.io,
            "per_channel": settings.per_channel,
            "per_channel_dense": settings.per_channel_dense,
            "recipe": asked.recipe,
            "equalize": asked.equalize,
            "correct_biases": asked.correct_biases,
            "float_operators": sorted(settings.float_operators),
            "int16_operators": sorted(settings.int16_operators),
            "calibration": self.calibration(),
            "bytes": {"float": self.float_bytes, "quantized": self.bytes},
            "ratio": self.bytes / self.float_bytes,
            "seconds": self.seconds,
            "operators": operator_dtypes(self.model),
            "kept_float": kept_float(self.planned.model, self.account),
            "notes": self.notes,
        }
        if self.rows is not None:
            about["compared_samples"] = min(self.samples, asked.compare_samples)
            about["tensors"] = [asdict(row) for row in self.rows]
        return about

    def calibration(self) -> dict[str, Any] | None:
        """Return where the ranges come from; None where the mode needs none."""
        asked = self.asked
        if self.ranges is None:
            return None
        if asked.given_ranges:
            return {"ranges": asked.ranges}
        data = asked.data or f"random, seed {asked.seed}"
        how = {"engine": asked.engine, "ranges": asked.ranges, "method": asked.method}
        return {"data": data, "samples": self.samples, **how}


def quantize(asked: Asked) -> Done:
    """Do what is asked, and write the files."""
    from quantcore.flatbuffer.writer import model_parts
    from quantcore.quantizer.account import Account
    from quantcore.quantizer.quantize import corrected, equalized
    from quantcore.quantizer.steps import apply

    start = time.perf_counter()
    check_files(asked)
    planned, size = make_plan(asked)
    samples, notes = draw(asked, planned)
    if asked.equalize:
        planned, count = equalized(planned, samples)
        notes.append(f"{count} pairs of layers equalized")
    ranges = measure(asked, planned, samples)
    improved = planned
    if asked.correct_biases:
        improved, count = corrected(planned, ranges, samples)
        notes.append(f"{count} biases corrected")
    if asked.search is not None:
        found = search(asked, improved, ranges, samples)
        settings = found.settings(planned.settings)
        planned, improved = (replace(p, settings=settings) for p in (planned, improved))
        notes.append(
            f"{len(found.operators)} operators left in {found.precision}: {found.measure} {found.value:.4g}, "
            f"{found.baseline:.4g} without any"
        )
    account = Account()
    model = apply(improved, ranges, account)
    seconds = time.perf_counter() - start
    parts = model_parts(model)
    written = sum(len(part) for part in parts)
    done = Done(asked, planned, model, ranges, account, size, written, len(samples), notes, seconds)
    if asked.explained:
        done.rows = compare(done, samples)
    write(done, parts)
    return done


def check_files(asked: Asked) -> None:
    """Refuse options that contradict each other and files that cannot be written, before any work is done."""
    if asked.data is not None and asked.random_samples is not None:
        raise click.UsageError("--data and --random-samples are both there; give one of them")
    refuse_idle(asked)
    read = (asked.model, asked.data, asked.recipe, asked.ranges if asked.given_ranges else None)
    report = None if asked.report_path is None else str(asked.report_path)
    check_outputs((asked.out, report, asked.save_ranges), read)


def refuse_idle(asked: Asked) -> None:
    """Refuse options without effect: whoever gives one expects a file, or other numbers."""
    how = {
        "--method": asked.method != "min_max",
        "--engine": asked.engine != "quantcore",
        "--ranges converter": asked.ranges == "converter",
        "--save-ranges": asked.save_ranges is not None,
    }
    if not MODES[asked.mode].static:
        refuse_given(how, f"mode {asked.mode!r} does not calibrate")
    if asked.given_ranges:
        refuse_given(how, "--ranges gives ranges that are found already")
    if asked.data is None:
        refuse_given(
            {"--samples": asked.samples is not None, "--images": asked.images_key is not None},
            "there is no --data",
        )


def refuse_given(options: dict[str, bool], why: str) -> None:
    """Refuse the first of the options that is there."""
    for name, given in options.items():
        if given:
            raise click.UsageError(f"{name} has no effect: {why}")


def make_plan(asked: Asked) -> tuple[Plan, int]:
    """Read the model and check it against what is asked; return the plan, and the size of the float file."""
    from quantcore.flatbuffer import read_model
    from quantcore.quantizer.checks import check_dataset, check_improvements
    from quantcore.quantizer.search import check_precision
    from quantcore.quantizer.source import tflite_source
    from quantcore.quantizer.steps import plan

    settings = Settings(
        asked.mode, asked.io or "", asked.allow_float, not asked.per_tensor, not asked.per_tensor_dense
    )
    if asked.equalize or asked.correct_biases or asked.search is not None:
        check_improvements(settings, asked.has_data, asked.given_ranges)
    if asked.search is not None:
        check_precision(asked.search_precision, settings)
    if not asked.explained or not asked.has_data:  # with --explain, data is for the comparison at least
        check_dataset(settings, asked.has_data, asked.given_ranges)
    file = tflite_source(asked.model)
    model = read_model(file)
    model.source = asked.model
    size = file.stat().st_size if isinstance(file, Path) else len(file)
    return plan(model, settings, asked.recipe), size


def draw(asked: Asked, planned: Plan) -> tuple[list[list[np.ndarray]], list[str]]:
    """Return the samples, and what is to be said about them."""
    from quantcore.cli._calibration_data import read_data
    from quantcore.samples import random_samples

    if asked.data is not None:
        return read_data(planned.model, asked.data, asked.images_key, asked.samples)
    if asked.random_samples is not None:
        warning = "random samples say nothing about real ones: the result is for trying things out only"
        click.echo(f"quantcore: warning: {warning}", err=True)
        return random_samples(planned.model, 0, asked.random_samples, asked.seed), [warning]
    return [], []


def measure(asked: Asked, planned: Plan, samples: list[list[np.ndarray]]) -> Ranges | None:
    """Return the ranges of activations, where the mode needs them."""
    from quantcore.cli._output import progress
    from quantcore.quantizer.steps import find_ranges, given_ranges

    if not planned.settings.static:
        return None
    if asked.given_ranges:
        return given_ranges(planned, asked.ranges)
    with progress("calibrating", len(samples)) as advance:
        found = find_ranges(
            planned,
            samples,
            engine=asked.engine,
            ranges=asked.ranges,
            method=asked.method,
            num_threads=asked.threads,
            advance=advance,
        )
    if asked.save_ranges is not None:
        found.save(asked.save_ranges)
    return found


def search(
    asked: Asked, planned: Plan, ranges: Ranges | None, samples: list[list[np.ndarray]]
) -> SearchResult:
    """Return the operators to leave in float or 16x8; end with exit code 1 if the target is out of reach."""
    from quantcore.cli._output import step_progress
    from quantcore.quantizer.search import search_operators

    assert asked.search is not None
    with step_progress("searching") as advance:
        found = search_operators(
            planned.model,
            ranges,
            samples,
            planned.settings,
            target=asked.search,
            measure=asked.search_measure,
            precision=asked.search_precision,
            advance=advance,
        )
    if not found.reached:
        click.echo(
            f"quantcore: {found.measure} {asked.search:g} is out of reach: {found.value:.4g} with "
            f"{len(found.operators)} operators in {found.precision}, {found.baseline:.4g} with none",
            err=True,
        )
        raise click.exceptions.Exit(1)
    return found


def compare(done: Done, samples: list[list[np.ndarray]]) -> list[TensorAccount]:
    """Return one row per tensor, with its error where there are samples to measure it on."""
    from quantcore.cli._output import progress
    from quantcore.quantizer.explain import explain

    chosen = samples[: done.asked.compare_samples]
    with progress("comparing", len(chosen)) as advance:
        return explain(done.planned, done.model, done.ranges, done.account, chosen, advance=advance)


def write(done: Done, parts: list[bytes | memoryview]) -> None:
    """Write the model and its account: both, or none."""
    from quantcore.cli._output import to_plain
    from quantcore.files import atomic_write

    with ExitStack() as files:
        if done.asked.report_path is not None:
            report = files.enter_context(atomic_write(done.asked.report_path, "w"))
            json.dump(to_plain(done.to_json()), report, indent=2)
        files.enter_context(atomic_write(done.asked.out)).writelines(parts)
