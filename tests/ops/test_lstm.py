"""UNIDIRECTIONAL_SEQUENCE_LSTM: every variant in every form, states compared after each invocation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantcore.errors import QuantcoreError, UnsupportedOperatorError
from quantcore.flatbuffer import read_model
from quantcore.graph import Model
from quantcore.runtime import Interpreter
from tests.ops.harness import TFLITE, assert_same_bits, check_samples, refusal, run_ours, run_page
from tests.ops.lstm_models import Built, Lstm, build, page_arguments

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "time major": {"time_major": True},
    "20 inputs": {"short": True},
    "cifg": {"cifg": True},
    "peephole": {"peephole": True},
    "cifg, peephole": {"cifg": True, "peephole": True},
    "projection": {"projection": True},
    "projection without bias": {"projection": True, "projection_bias": False},
    "normalized": {"normalized": True},
    "cifg, normalized": {"cifg": True, "normalized": True},
    "all": {"peephole": True, "projection": True, "normalized": True},
    "all but the input gate": {
        "cifg": True, "peephole": True, "projection": True, "normalized": True, "time_major": True,
    },
    "clipped": {"projection": True, "cell_clip": 1.5, "proj_clip": 0.3, "time_major": True},
    "cell clipped": {"cell_clip": 0.7},
}  # fmt: skip


def draw(rng: np.random.Generator, **settings: Any) -> Built:
    """Build a model of random size; with a projection, peepholes need at least as many cells as outputs."""
    sizes = {
        "batch": int(rng.integers(1, 4)),
        "steps": int(rng.integers(1, 6)),
        "inputs": int(rng.integers(1, 26)),
        "cells": int(rng.integers(1, 41)),
        "cell_scale": 2.0 ** int(rng.integers(-15, -8)),
        "input_zero": int(rng.integers(-128, 128)),
        "output_zero": int(rng.integers(-40, 40)),
        "hidden_zero": int(rng.integers(-40, 40)),
    }
    settings = sizes | settings
    if settings.get("projection"):
        settings["outputs"] = int(rng.integers(1, settings["cells"] + 1))
    return build(rng, Lstm(**settings))


def compare(built: Built, rng: np.random.Generator, profile: str, count: int = 3) -> list[list[np.ndarray]]:
    """Run consecutive invocations in a profile and its oracle."""
    return check_samples(built.model, built.samples(rng, count), numerics=profile, keep_state=True)


@pytest.mark.parametrize("variant", VARIANTS)
def test_int8(variant: str) -> None:
    rng = np.random.default_rng(len(variant))
    values = []
    for trial in range(8):
        built = draw(rng, **VARIANTS[variant])
        for profile in TFLITE if trial < 2 else TFLITE[:1]:
            values += [outputs[0].ravel() for outputs in compare(built, rng, profile)]
    assert len(np.unique(np.concatenate(values))) > 40, "the outputs hardly differ"


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("projection", [False, True])
def test_peephole_ties(time_major: bool, projection: bool) -> None:
    """Products of 1/4 steps: half of them ties, of which the vector body and the tail round some differently.

    With a projection, TFLite walks through cells in rows of outputs.
    """
    rng = np.random.default_rng(7)
    for cells in (15, 16, 17, 40):
        built = draw(
            rng, peephole=True, cells=cells, batch=3, time_major=time_major, projection=projection,
            cell_scale=2.0**-11, peephole_scale=(0.125, 0.125), peephole_limit=3,
        )  # fmt: skip
        compare(built, rng, "reference", 5)


def test_multiplier_products() -> None:
    """Sums of 100 million show the multiplier's last bits: TFLite rounds the product of scales to float32."""
    rng = np.random.default_rng(8)
    for _ in range(6):
        settings = {"input_scale": rng.uniform(1.2e-6, 2e-6), "bias": 10**8, "cell_scale": 2.0**-15}
        compare(draw(rng, **settings, cells=150), rng, "reference")
        compare(draw(rng, **settings, cells=150), rng, "tflm")


@pytest.mark.parametrize("settings", [{}, {"time_major": True}, {"cell_clip": 1.0}, {"intermediates": False}])
@pytest.mark.parametrize("kind", ["int8", "int16", "float32"])
def test_tflm(kind: str, settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(9)
    scales = {"input_scale": 5e-4, "output_scale": 2.0**-15} if kind == "int16" else {}
    for _ in range(5):
        compare(draw(rng, kind=kind, **scales, **settings), rng, "tflm")


@pytest.mark.parametrize("cell_scale", [2.0**-18, 7e-4, 0.5])
def test_tflm_takes_any_cell_scale(cell_scale: float) -> None:
    rng = np.random.default_rng(10)
    compare(draw(rng, cell_scale=cell_scale, intermediates=False), rng, "tflm")


def test_a_clip_below_one_step() -> None:
    """No bound for TFLite, a bound of 0 for TFLite Micro."""
    rng = np.random.default_rng(11)
    built = draw(rng, cell_clip=1e-5, cell_scale=2.0**-9)
    for profile in ("reference", "tflm"):
        compare(built, rng, profile)


def test_what_only_tflm_runs_follows_its_rules_in_the_reference_profile() -> None:
    rng = np.random.default_rng(12)
    for settings in (
        {"kind": "int16", "input_scale": 5e-4, "output_scale": 2.0**-15},
        {"intermediates": False},
    ):
        built = draw(rng, **settings)
        (x,) = built.samples(rng, 1)
        for ours, wanted in zip(run_ours(built.model, x), run_ours(built.model, x, "tflm"), strict=True):
            assert_same_bits(ours, wanted)


@pytest.mark.parametrize("activation", ["TANH", "RELU", "RELU6", "RELU_N1_TO_1"])
@pytest.mark.parametrize("kind", ["float32", "hybrid"])
def test_float_activations(kind: str, activation: str) -> None:
    rng = np.random.default_rng(13)
    for trial in range(4):
        built = draw(
            rng, kind=kind, activation=activation, inputs=int(rng.integers(1, 70)), minimum=trial == 3
        )
        compare(built, rng, "reference")


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v != "20 inputs"])
@pytest.mark.parametrize("kind", ["float32", "hybrid"])
def test_float(kind: str, variant: str) -> None:
    rng = np.random.default_rng(14)
    for trial in range(4):
        built = draw(rng, kind=kind, **VARIANTS[variant], asymmetric=trial % 2 == 1, minimum=trial == 2)
        for profile in TFLITE if trial == 0 else TFLITE[:1]:
            compare(built, rng, profile)


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5, 9])
def test_float_products_of_several_batches(batch: int) -> None:
    """Rows and columns on both sides of Eigen's register blocks, terms on both sides of its packets."""
    rng = np.random.default_rng(batch)
    for cells in (1, 2, 3, 4, 7, 8, 15, 16, 17, 20, 31, 37):
        inputs = int(rng.choice([1, 2, 3, 5, 7, 8, 9, 12, 15, 16, 17, 24, 33, 64, 200, 400]))
        built = draw(
            rng, kind="float32", batch=batch, cells=cells, inputs=inputs, steps=2, time_major=True,
            projection=cells % 2 == 0,
        )  # fmt: skip
        compare(built, rng, "reference", 1)


@pytest.mark.parametrize("inputs", [401, 1000, 8001])
def test_float_products_with_one_vector_have_one_order(inputs: int) -> None:
    rng = np.random.default_rng(inputs)
    compare(draw(rng, kind="float32", batch=1, inputs=inputs, cells=9, steps=1), rng, "reference", 1)


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v != "20 inputs"])
def test_the_page_computes_what_the_kernel_computes(variant: str) -> None:
    formula = run_page("unidirectional_sequence_lstm")["unidirectional_sequence_lstm"]
    rng = np.random.default_rng(15)
    settings = VARIANTS[variant] | {"time_major": False, "steps": 4}
    for profile in ("reference", "tflm"):
        if profile == "tflm" and variant not in ("plain", "time major", "cell clipped"):
            continue
        built = draw(rng, **settings)
        o = built.config
        samples = built.samples(rng)
        h = np.full((o.batch, o.outputs), o.output_zero, np.int8)
        c = np.zeros((o.batch, o.cells), np.int16)
        expected = compare_given(built, samples, profile)
        for (x,), wanted in zip(samples, expected, strict=True):
            y, h, c = formula(x, h=h, c=c, **page_arguments(built), tflm=profile == "tflm")
            for ours, theirs in zip((y, h, c), wanted, strict=True):
                assert_same_bits(ours, theirs, f"page, {variant}, {profile}")


def compare_given(built: Built, samples: list[list[np.ndarray]], profile: str) -> list[list[np.ndarray]]:
    return check_samples(built.model, samples, numerics=profile, keep_state=True)


@pytest.mark.slow
def test_the_page_on_eigen_computes_its_products_and_functions() -> None:
    """One step with RELU from state 0: the cell state is the sum of the cell gate."""
    page = run_page("eigen")
    rng = np.random.default_rng(16)
    for batch, cells, inputs in ((1, 1, 70), (1, 9, 45), (3, 1, 30), (2, 5, 9), (6, 21, 61)):
        built = draw(
            rng,
            kind="float32",
            activation="RELU",
            batch=batch,
            cells=cells,
            inputs=inputs,
            steps=1,
            time_major=True,
        )
        bias = built.array(14)
        built.array(12)[:] = 100  # the input gate is 1
        (x, *_) = built.samples(rng)
        (_, _, c), *_ = compare_given(rebuild(built), [x], "reference")
        sums = page["product"](built.array(3), x[0][0]).T + bias
        assert_same_bits(c, np.maximum(sums, 0), f"page eigen, {batch} x {cells} x {inputs}")
    x = np.concatenate([rng.standard_normal(4000) * 8, [0.0, -0.0, 88.0, -104.0, -105.0, 17.0, 8.0]]).astype(
        np.float32
    )
    built = function_model(x)
    (_, _, c), *_ = compare_given(built, built.samples(rng)[:1], "reference")
    # the product is added to the state, 0, which makes +0 of -0
    assert_same_bits(c[0], page["logistic"](x) * page["tanh"](x) + np.float32(0), "page eigen, functions")


def rebuild(built: Built) -> Built:
    """Return the model with the arrays as they are now."""
    subgraph = built.model.subgraphs[0]
    op = subgraph.operators[0]
    for position, item in built.tensors.items():
        if item.data is not None:
            subgraph.tensors[op.inputs[position]].data = item.data
    return built


def function_model(x: np.ndarray) -> Built:
    """A step from state 0 whose cell state is logistic(x) * tanh(x)."""
    built = build(np.random.default_rng(0), Lstm(kind="float32", cells=x.size, inputs=1, steps=1))
    for gate in range(4):
        built.tensors[1 + gate].data = np.zeros((x.size, 1), np.float32)
        built.tensors[12 + gate].data = x
    return rebuild(built)


# State ----------------------------------------------------------------------------------------------


def test_state_persists_and_is_reset() -> None:
    rng = np.random.default_rng(17)
    built = draw(rng, batch=2, output_zero=-9)
    interpreter = Interpreter(built.model)
    interpreter.allocate_tensors()
    h, c = (t for t, item in enumerate(built.model.subgraphs[0].tensors) if item.is_variable)
    assert (interpreter.get_tensor(h) == -9).all()
    assert (interpreter.get_tensor(c) == 0).all()
    first, second = (interpreter.run(sample)[0] for sample in built.samples(rng, 1) * 2)
    assert (first != second).any()
    interpreter.reset_all_variables()
    assert (interpreter.get_tensor(h) == -9).all()


def test_run_hands_the_state_from_sample_to_sample() -> None:
    rng = np.random.default_rng(18)
    built = draw(rng, batch=1, steps=2)
    samples = built.samples(rng, 4)
    together = Interpreter(built.model, num_threads=3).run([np.concatenate([x for (x,) in samples])])
    for k, wanted in enumerate(compare_given(built, samples, "reference")):
        assert_same_bits(together[0][k : k + 1], wanted[0], f"sample {k}")


MODELS = ("tflm_mnist_lstm_int8", "tflm_mnist_lstm_float", "tflm_dtln_int8")


@pytest.mark.parametrize("name", MODELS)
def test_real_models_over_consecutive_invocations(models_dir: Path, name: str) -> None:
    model = read_model(models_dir / f"{name}.tflite")
    (t,) = model.subgraphs[0].inputs
    shape, dtype = model.subgraphs[0].tensors[t].shape, model.subgraphs[0].tensors[t].dtype
    rng = np.random.default_rng(19)
    draws = (
        rng.random((6, *shape)).astype(np.float32)
        if dtype == "float32"
        else rng.integers(-128, 128, (6, *shape))
    )
    samples = [[x.astype(dtype)] for x in draws]
    for keep_state in (True, False):
        check_samples(model, samples, keep_state=keep_state)


# Refusals -------------------------------------------------------------------------------------------


def edited(position: int, **changes: Any) -> Model:
    """Return a plain model in which one operand is changed; position 24 is the output."""
    built = draw(np.random.default_rng(20), cells=4, inputs=5, batch=1, steps=2)
    subgraph = built.model.subgraphs[0]
    op = subgraph.operators[0]
    t = (*op.inputs, *op.outputs)[position]
    tensors = list(subgraph.tensors)
    tensors[t] = replace(tensors[t], **changes)
    return replace(built.model, subgraphs=[replace(subgraph, tensors=tensors, outputs=op.outputs)])


def without(*positions: int, **settings: Any) -> Model:
    """Return a model in which inputs are left out."""
    built = draw(np.random.default_rng(21), **{"cells": 4, "inputs": 5, **settings})
    subgraph = built.model.subgraphs[0]
    op = subgraph.operators[0]
    inputs = tuple(-1 if k in positions else t for k, t in enumerate(op.inputs))
    return replace(built.model, subgraphs=[replace(subgraph, operators=[replace(op, inputs=inputs)])])


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (edited(1, data=np.zeros((3, 5), np.int8), shape=(3, 5)), "expected \\(4, 5\\)"),
        (edited(4, data=np.zeros((4, 6), np.int8), shape=(4, 6)), "expected \\(4, 6\\)|expected \\(4, 5\\)"),
        (edited(8, data=np.zeros((4, 3), np.int8), shape=(4, 3)), "without a projection|expected"),
        (edited(8, data=np.zeros(4, np.int8), shape=(4,)), "two dimensions"),
        (edited(13, data=np.zeros(5, np.int32), shape=(5,)), "expected \\(4,\\)"),
        (edited(13, data=np.zeros(4, np.int16), dtype="int16"), "supported: int32|int32, .*int16"),
        (edited(18, shape=(1, 5)), "4 elements"),
        (edited(19, shape=(0, 4)), "4 elements"),
        (edited(18, is_variable=False, data=np.zeros((1, 4), np.int8)), "variable"),
        (edited(19, is_variable=False, data=np.zeros((1, 4), np.int16)), "variable"),
        (edited(19, dtype="int32"), "supported: int16"),
        (edited(0, shape=(1, 5)), "three dimensions"),
        (edited(0, shape=(1, 0, 5)), "at least 1"),
        (without(1), "input gate"),
        (without(1, 5), "input gate"),
        (without(6), "forget gate"),
        (without(14), "cell gate"),
        (without(10, peephole=True), "peephole"),
        (without(22, normalized=True), "normalization"),
        (without(16, projection=True), "no weights|without a projection"),
        (without(18), "input 18 is missing"),
    ],
)  # fmt: skip
def test_refused_operands(model: Model, reason: str) -> None:
    x = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(model, [np.zeros(x.shape, x.dtype)])


@pytest.mark.parametrize(
    ("settings", "profile", "reason"),
    [
        ({"cell_scale": 2.0**-8}, "reference", "power of 2"),
        ({"cell_scale": 3e-4}, "reference", "power of 2"),
        ({"cell_clip": -1.0}, "reference", "at least 0"),
        ({"cell_clip": float("nan")}, "reference", "at least 0"),
        ({"input_scale": 0.0}, "reference", "positive"),
        ({"input_scale": 1e20, "weight_scale": 1e20}, "reference", "multiplier"),
        ({"hidden_zero": 200, "projection": True}, "reference", "zero point"),
        ({"kind": "float32", "activation": "NONE"}, "reference", "activation"),
        ({"kind": "hybrid", "weight_scale": 0.0}, "reference", "positive"),
        ({"cifg": True}, "tflm", "CIFG"),
        ({"peephole": True}, "tflm", "peephole"),
        ({"kind": "float32", "projection": True}, "tflm", "projection"),
        ({"kind": "hybrid"}, "tflm", "hybrid form"),
        ({"activation": "RELU"}, "tflm", "TANH"),
        ({"short": True}, "tflm", "20 inputs"),
        ({"intermediates": False, "cifg": True}, "reference", "intermediate"),
    ],
)  # fmt: skip
def test_refused_settings(settings: dict[str, Any], profile: str, reason: str) -> None:
    rng = np.random.default_rng(22)
    built = draw(rng, **settings)
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(built.model, built.samples(rng)[0], profile)


def test_what_tflite_refuses_too() -> None:
    for model in (without(1), without(10, peephole=True), edited(18, shape=(1, 5))):
        x = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
        assert "failed to prepare" in refusal(model, [np.zeros(x.shape, x.dtype)])


def test_hostile_sizes_do_not_crash() -> None:
    for position in range(25):
        for shape in ((), (1,), (4, 4), (2**20, 2**20), (1, 1, 1, 1)):
            try:
                interpreter = Interpreter(edited(position, shape=shape))
                interpreter.allocate_tensors()
                interpreter.invoke()
            except QuantcoreError:
                continue
