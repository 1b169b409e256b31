"""One run on several threads: the bits of one thread, whatever is divided; limits, forks, several callers."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.flatbuffer import read_model
from quantcore.graph import Model
from quantcore.kernels import _core
from quantcore.numerics import PROFILES
from quantcore.ops.registry import load_operators
from quantcore.runtime import Interpreter, _plan
from quantcore.runtime.threads import available_threads, resolve_threads
from quantcore.samples import random_samples
from tests.ops.convolutions import FORMS_OF, GEOMETRIES, build, conv_options
from tests.ops.examples import example, forms, inputs_of
from tests.ops.harness import assert_same_bits, instruction_sets, invoke_ours, op_model, tensor, using

COUNTS = (2, 3, 5)
OF_MANY = (3,)  # for tests of many forms
DEFINITIONS = load_operators()


@pytest.fixture(autouse=True)
def _divided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Divide whatever can be divided, however small."""
    monkeypatch.setattr(_core, "PART_NANOSECONDS", 1e-9)
    monkeypatch.setattr(_plan, "WORTH_WAKING_NANOSECONDS", 0)
    monkeypatch.setattr(_plan, "MOVED_BYTES_PER_NANOSECOND", 1e18)


def is_divided(interpreter: Interpreter) -> bool:
    return bool(interpreter._session._executable.plan.threads > 1)


def check_counts(
    model: Model, sample: Sequence[np.ndarray], numerics: str, what: str, counts: Sequence[int] = OF_MANY
) -> bool:
    """Assert that the bits do not depend on the number of threads; return whether anything was divided."""
    expected = invoke_ours(Interpreter(model, numerics), sample)
    divided = False
    for count in counts:
        interpreter = Interpreter(model, numerics, count)
        for ours, wanted in zip(invoke_ours(interpreter, sample), expected, strict=True):
            assert_same_bits(ours, wanted, f"{what}, {numerics}, {_core.isa}, {count} threads")
        divided |= is_divided(interpreter)
    return divided


@pytest.mark.parametrize("op", sorted(DEFINITIONS))
def test_every_operator(op: str) -> None:
    """Of each form and profile in the registry."""
    for form in forms(DEFINITIONS[op]):
        model = example(op, form)
        sample = [values[0] for values in inputs_of(op, model)]
        for numerics in PROFILES:
            try:
                Interpreter(model, numerics)
            except UnsupportedOperatorError:
                continue
            check_counts(model, sample, numerics, f"{op} {form}")


@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D"])
@pytest.mark.parametrize("isa", instruction_sets())
def test_convolutions(op: str, isa: str) -> None:
    """Of every form, with windows in all positions, filters known and computed."""
    rng = np.random.default_rng(7)
    with using(isa):
        for number, (size, filter_size, stride, dilation, padding) in enumerate(GEOMETRIES):
            options: dict[str, Any] = conv_options(stride, dilation, padding)
            channels = 5 if op == "CONV_2D" else 4
            filters = (6, *filter_size, channels) if op == "CONV_2D" else (1, *filter_size, channels)
            if op != "CONV_2D":
                options |= {"depth_multiplier": 1}
            for number_of_form, form in enumerate(FORMS_OF["reference"]):
                if op != "CONV_2D" and form in ("hybrid per tensor", "int16 int32_bias"):
                    continue  # it has no such form
                shape = (1 if (number + number_of_form) % 3 else 3, *size, channels)
                known = form != "uint8" or number % 2 == 0
                model = build(op, form, shape, filters, options, rng=rng, constant_filter=known)
                sample = random_samples(model, 0, 1, 0)[0]
                what = f"{op} {form} {GEOMETRIES[number]} {shape}"
                divided = check_counts(model, sample, "reference", what)
                if size[0] > 9 or shape[0] == 3:
                    assert divided


@pytest.mark.parametrize("op", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
def test_pools(op: str) -> None:
    for size, window, stride, _, padding in GEOMETRIES:
        for dtype in ("int8", "uint8", "int16", "float32"):
            quantization = () if dtype == "float32" else (0.5, 0)
            options = {
                "padding": padding, "stride_h": stride[0], "stride_w": stride[1],
                "filter_height": window[0], "filter_width": window[1], "fused_activation_function": "NONE",
            }  # fmt: skip
            for images in (1, 2):
                x = tensor((images, *size, 3), dtype, *quantization)
                model = op_model(op, [x], [tensor((), dtype, *quantization)], options)
                sample = random_samples(model, 0, 1, 0)[0]
                check_counts(model, sample, "reference", f"{op} {dtype} {size} {window} {stride} {padding}")


def test_model(model_path: Path) -> None:
    model = read_model(model_path)
    sample = random_samples(model, 0, 1, 0)[0]
    check_counts(model, sample, "reference", model_path.stem, COUNTS)


def convolution() -> tuple[Model, np.ndarray, np.ndarray]:
    """Return a model that is divided, samples, and what one thread makes of them."""
    rng = np.random.default_rng(0)
    options = conv_options((1, 1), (1, 1), "SAME")
    model = build("CONV_2D", "int8", (1, 12, 12, 8), (16, 3, 3, 8), options, rng=rng)
    images = np.concatenate([sample[0] for sample in random_samples(model, 0, 8, 0)])
    return model, images, Interpreter(model).run(images)


def test_fewer_samples_than_threads_share_runs() -> None:
    model, images, expected = convolution()
    interpreter = Interpreter(model, num_threads=3)
    assert is_divided(interpreter)
    for count in (1, 2, 3, 8):
        np.testing.assert_array_equal(interpreter.run(images[:count]), expected[:count])


def test_interpreters_at_the_same_time() -> None:
    """The one that finds the threads taken does its work alone."""
    model, images, expected = convolution()
    wrong: list[int] = []

    def work(count: int) -> None:
        interpreter = Interpreter(model, num_threads=count)
        for turn in range(200):
            i = turn % len(images)
            if not np.array_equal(interpreter.run(images[i : i + 1]), expected[i : i + 1]):
                wrong.append(turn)

    callers = [threading.Thread(target=work, args=(count,)) for count in (2, 3, 2, 5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def run_in_child(interpreter: Interpreter, image: np.ndarray, expected: np.ndarray) -> None:
    again = Interpreter(interpreter.model, num_threads=2)
    same = all(np.array_equal(i.run(image), expected) for i in (interpreter, again))
    os._exit(0 if same else 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_fork_after_use() -> None:
    """A child has none of the threads of its parent: it starts its own."""
    model, images, expected = convolution()
    interpreter = Interpreter(model, num_threads=3)
    interpreter.run(images[:1])
    child = multiprocessing.get_context("fork").Process(
        target=run_in_child, args=(interpreter, images[:1], expected[:1])
    )
    child.start()
    child.join(60)
    assert child.exitcode == 0
    np.testing.assert_array_equal(interpreter.run(images[:1]), expected[:1])


def test_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """None and -1 are what the process may use; threadpoolctl limits that and what was asked for before."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(7)))
    assert resolve_threads(None) == resolve_threads(-1) == available_threads() == 7
    assert resolve_threads(9) == 9
    model, images, expected = convolution()
    interpreter = Interpreter(model, num_threads=9)
    with threadpoolctl.threadpool_limits(3):
        ours = [row for row in threadpoolctl.threadpool_info() if row["user_api"] == "quantcore"]
        assert [row["num_threads"] for row in ours] == [3]
        assert available_threads() == 3
        for limit in (2, 1):
            with threadpoolctl.threadpool_limits(limit, user_api="quantcore"):
                assert _plan.get_thread_limit() == limit
                np.testing.assert_array_equal(interpreter.run(images[:1]), expected[:1])
                np.testing.assert_array_equal(interpreter.run(images), expected)
    assert _plan.get_thread_limit() == _plan.MAX_THREADS
