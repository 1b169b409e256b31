"""What ``quantcore quantize`` does, step by step."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from quantcore.calibration import Ranges
from quantcore.cli._data import read_data
from quantcore.cli._output import complain, progress, step_progress, write_json
from quantcore.cli._quantize_options import Asked, check, refuse_with_trained_ranges
from quantcore.cli._quantize_result import Done
from quantcore.files import atomic_write
from quantcore.flatbuffer import read_model
from quantcore.flatbuffer.writer import model_parts
from quantcore.quantizer.account import Account
from quantcore.quantizer.checks import check_dataset, check_improvements
from quantcore.quantizer.explain import TensorAccount, explain
from quantcore.quantizer.quantize import corrected, equalized
from quantcore.quantizer.search import SearchResult, check_precision, search_operators
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.source import tflite_source
from quantcore.quantizer.steps import Plan, apply, find_ranges, given_ranges, plan
from quantcore.quantizer.trained import has_trained_ranges
from quantcore.samples import random_samples
from quantcore.wording import counted

__all__ = ["quantize"]


def quantize(asked: Asked) -> Done:
    """Do what is asked, and write the files."""
    start = time.perf_counter()
    check(asked)
    planned, float_bytes, converted = make_plan(asked)
    samples, notes = draw(asked, planned)
    if asked.equalize:
        planned, count = equalized(planned, samples)
        notes.append(f"{counted(count, 'pair of layers', 'pairs of layers')} equalized")
    ranges = measure(asked, planned, samples)
    improved = planned
    if asked.correct_biases:
        improved, count = corrected(planned, ranges, samples)
        notes.append(f"{counted(count, 'bias', 'biases')} corrected")
    if asked.search is not None:
        found = search(asked, improved, ranges, samples)
        settings = found.settings(planned.settings)
        planned, improved = (replace(p, settings=settings) for p in (planned, improved))
        notes.append(
            f"{counted(len(found.operators), 'operator')} left in {found.precision}: "
            f"{found.measure} {found.value:.4g}, {found.baseline:.4g} without any"
        )
    account = Account()
    model = apply(improved, ranges, account)
    seconds = time.perf_counter() - start
    parts = model_parts(model)
    done = Done(
        asked,
        planned,
        model,
        ranges,
        account,
        converted,
        float_bytes,
        bytes=sum(len(part) for part in parts),
        samples=len(samples),
        notes=notes,
        seconds=seconds,
    )
    if asked.explained:
        done.rows = compare(done, samples)
    write(done, parts)
    return done


def make_plan(asked: Asked) -> tuple[Plan, int, bool]:
    """Read the model and check it against what is asked.

    Returns the plan, the size of the float ``.tflite``, and whether TensorFlow made it of something of Keras.
    """
    settings = Settings(
        asked.mode,
        asked.io or "",
        asked.allow_float,
        not asked.per_tensor,
        not asked.per_tensor_dense,
        weight_bits=int(asked.weight_bits),
    )
    if asked.equalize or asked.correct_biases or asked.search is not None:
        check_improvements(settings, asked.has_data, asked.given_ranges)
    if asked.search is not None:
        check_precision(asked.search_precision, settings)
    file = tflite_source(asked.model)
    model = read_model(file)
    model.source = asked.model
    if trained := has_trained_ranges(model):
        refuse_with_trained_ranges(asked)
    if not asked.explained or not asked.has_data:  # with --explain, data is for the comparison at least
        check_dataset(settings, asked.has_data, asked.given_ranges, trained)
    size = file.stat().st_size if isinstance(file, Path) else len(file)
    return plan(model, settings, asked.recipe), size, not isinstance(file, Path)


def draw(asked: Asked, planned: Plan) -> tuple[list[list[np.ndarray]], list[str]]:
    """Return the samples, and what is to be said about them."""
    if asked.data is not None:
        return read_data(planned.model, asked.data, asked.images_key, asked.samples)
    if asked.random_samples is not None:
        warning = "random samples say nothing about real ones: the result is for trying things out only"
        complain(f"warning: {warning}")
        return random_samples(planned.model, 0, asked.random_samples, asked.seed), [warning]
    return [], []


def measure(asked: Asked, planned: Plan, samples: list[list[np.ndarray]]) -> Ranges | None:
    """Return the ranges of activations, where the mode needs them."""
    if not planned.settings.static or planned.settings.trained:
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
        best = f"{found.value:.4g} with {counted(len(found.operators), 'operator')} in {found.precision}"
        complain(f"{found.measure} {asked.search:g} is out of reach: {best}, {found.baseline:.4g} with none")
        raise click.exceptions.Exit(1)
    return found


def compare(done: Done, samples: list[list[np.ndarray]]) -> list[TensorAccount]:
    """Return one row per tensor, with its error where there are samples to measure it on."""
    chosen = samples[: done.asked.compare_samples]
    with progress("comparing", len(chosen)) as advance:
        return explain(done.planned, done.model, done.ranges, done.account, chosen, advance=advance)


def write(done: Done, parts: list[bytes | memoryview]) -> None:
    """Write the model and its account: both, or none."""
    with ExitStack() as files:
        if done.asked.report_path is not None:
            report = files.enter_context(atomic_write(done.asked.report_path, "w"))
            write_json(done.to_json(), report)
        files.enter_context(atomic_write(done.asked.out)).writelines(parts)
