"""SVDF: int16 and int8 state, float32, hybrid; the state is compared after each invocation."""

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
from tests.ops.harness import (
    PROFILES,
    TFLITE,
    assert_same_bits,
    check_samples,
    const,
    covers,
    get_oracle,
    op_model,
    refusal,
    run_ours,
    run_page,
    tensor,
    tie_scales,
)
from tests.ops.lstm_models import with_states

# (batch, inputs, units, rank, memory)
SIZES = [
    (1, 1, 1, 1, 1),
    (1, 5, 3, 1, 4),
    (2, 16, 4, 2, 8),
    (3, 9, 5, 3, 7),
    (1, 33, 2, 4, 10),
    (2, 40, 6, 6, 19),
]
# input, features, time, state, output; zero points of input, state, output
SCALES = ([0.05, 0.01, 0.0003, 0.0009, 0.02], [-3, 0, 4])
SCALES_8 = ([0.05, 0.01, 0.02, 0.1, 0.1], [-3, -50, 4])


def svdf(
    rng: np.random.Generator,
    sizes: tuple[int, ...],
    state: str = "int16",
    scales: Any = None,
    *,
    bias: bool = True,
    activation: str = "RELU",
) -> Model:
    """Return a quantized model."""
    batch, inputs, units, rank, memory = sizes
    filters = units * rank
    s, z = scales or (SCALES if state == "int16" else SCALES_8)
    s = [np.float32(v) for v in s]
    limit = np.iinfo(state).max
    return with_states(
        op_model(
            "SVDF",
            [
                tensor((batch, inputs), "int8", s[0], z[0]),
                const(rng.integers(-127, 128, (filters, inputs)).astype(np.int8), s[1]),
                const(rng.integers(-limit, limit + 1, (filters, memory)).astype(state), s[2]),
                const(rng.integers(-20000, 20000, units).astype(np.int32), s[3] * s[2]) if bias else None,
                tensor((batch, filters * memory), state, s[3], z[1], variable=True),
            ],
            [tensor((batch, units), "int8", s[4], z[2])],
            {"rank": rank, "fused_activation_function": activation},
            version=3,
        )
    )


def float_svdf(
    rng: np.random.Generator,
    sizes: tuple[int, ...],
    *,
    hybrid: bool = False,
    activation: str = "NONE",
    bias: bool = True,
    asymmetric: bool = False,
    minimum: bool = False,
) -> Model:
    """Return a float32 model, or one with int8 weights."""
    batch, inputs, units, rank, memory = sizes
    filters = units * rank

    def weights(*shape: int) -> Any:
        if not hybrid:
            return const(rng.standard_normal(shape).astype(np.float32))
        data = rng.integers(-127, 128, shape).astype(np.int8)
        if minimum:
            data.reshape(-1)[::5] = -128
        return const(data, rng.uniform(0.01, 0.03))

    return with_states(
        op_model(
            "SVDF",
            [
                tensor((batch, inputs), "float32"),
                weights(filters, inputs),
                weights(filters, memory),
                const(rng.standard_normal(units).astype(np.float32)) if bias else None,
                tensor((batch, filters * memory), "float32", variable=True),
            ],
            [tensor((batch, units), "float32")],
            {"rank": rank, "fused_activation_function": activation, "asymmetric_quantize_inputs": asymmetric},
            version=4 if hybrid else 1,
        )
    )


def compare(model: Model, rng: np.random.Generator, profile: str = "reference", count: int = 6) -> list[Any]:
    """Run consecutive invocations in a profile and its oracle; float inputs are 0 once."""
    x = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
    if x.dtype == "int8":
        samples = [[rng.integers(-128, 128, x.shape).astype(np.int8)] for _ in range(count)]
    else:
        samples = [[rng.standard_normal(x.shape).astype(np.float32)] for _ in range(count)]
        samples[1:1] = [[np.zeros(x.shape, np.float32)]]
    return check_samples(model, samples, numerics=profile, keep_state=True)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("profile", PROFILES)
def test_int16_state(profile: str, sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(sizes[1])
    for trial in range(4):
        scales = (SCALES[0], [int(rng.integers(-128, 128)), 0, int(rng.integers(-128, 128))])
        # TFLite Micro reads the scale of a bias that is not there
        compare(svdf(rng, sizes, scales=scales, bias=trial % 2 == 0 or profile == "tflm"), rng, profile)


@pytest.mark.parametrize("sizes", SIZES)
def test_int8_state(sizes: tuple[int, ...]) -> None:
    """TFLite Micro's alone; the other profiles give the same."""
    rng = np.random.default_rng(sizes[1])
    for zero in (-128, -50, 0, 127):
        model = svdf(rng, sizes, "int8", (SCALES_8[0], [int(rng.integers(-128, 128)), zero, 4]))
        expected = compare(model, rng, "tflm")
        assert (expected[0][1] != zero).any() or sizes == SIZES[0]
        samples = [[rng.integers(-128, 128, sizes[:2]).astype(np.int8)]]
        for profile in TFLITE:
            for ours, theirs in zip(
                run_ours(model, samples[0], profile), run_ours(model, samples[0], "tflm"), strict=True
            ):
                assert_same_bits(ours, theirs)


def test_the_data_reaches_all_bounds() -> None:
    rng = np.random.default_rng(1)
    results = compare(
        svdf(rng, (4, 60, 20, 2, 9), scales=([0.05, 0.02, 0.0005, 0.001, 4.0], [-3, 0, 4])), rng
    )
    covers(np.concatenate([y for y, _ in results]))
    covers(np.concatenate([state for _, state in results]))
    results = compare(svdf(rng, (4, 60, 20, 2, 9), "int8"), rng, "tflm")
    assert {-128, 127} <= set(np.concatenate([state for _, state in results]).ravel())


def test_ties() -> None:
    """Multipliers of 1/8 and 1/16: one sum in 8, and one in 16, is a tie."""
    rng = np.random.default_rng(2)
    for _ in range(5):
        x, feature, state = tie_scales(rng, 3)
        model = svdf(
            rng, (2, 6, 30, 1, 3), scales=([x, feature, state / 16, state, state * state], [0, 0, 0])
        )
        compare(model, rng)


def test_the_multiplier_is_a_float32() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        scales = [*rng.uniform(0.001, 0.01, 2), 1e-4, rng.uniform(1e-6, 3e-6), rng.uniform(1e-5, 1e-4)]
        compare(svdf(rng, (4, 8, 40, 1, 3), scales=(scales, [3, 0, 4])), rng, count=3)


def test_tflm_heeds_the_zero_point_of_an_int16_state() -> None:
    rng = np.random.default_rng(4)
    model = svdf(rng, (2, 6, 8, 2, 5), scales=(SCALES[0], [-3, 700, 4]))
    compare(model, rng, "reference")
    compare(model, rng, "tflm")


def test_the_activation_is_ignored() -> None:
    rng = np.random.default_rng(5)
    for activation in ("NONE", "RELU6", "RELU"):
        compare(svdf(rng, (2, 6, 8, 2, 5), activation=activation), rng, "tflm")
    reason = refusal(svdf(rng, (1, 2, 2, 1, 2), activation="NONE"), [np.zeros((1, 2), np.int8)])
    assert "activation" in reason


@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6", "RELU_N1_TO_1", "TANH"])
@pytest.mark.parametrize("form", ["float32", "hybrid", "asymmetric"])
def test_float(form: str, activation: str) -> None:
    rng = np.random.default_rng(6)
    for k, sizes in enumerate(SIZES):
        settings = {"activation": activation, "bias": k % 2 == 0}
        hybrid = form != "float32"
        model = float_svdf(
            rng, sizes, hybrid=hybrid, asymmetric=form == "asymmetric", minimum=k > 3, **settings
        )
        for profile in TFLITE if k < 3 else TFLITE[:1]:
            compare(model, rng, profile)
        if not hybrid and settings["bias"]:
            compare(model, rng, "tflm")


def test_special_floats() -> None:
    rng = np.random.default_rng(7)
    model = float_svdf(rng, (3, 5, 4, 2, 3), activation="RELU")
    x = rng.standard_normal((3, 5)).astype(np.float32)
    for special in (np.inf, np.nan, 1e38):
        x[0, 2] = special
        check_samples(model, [[x], [x]], keep_state=True)


@pytest.mark.parametrize("state", ["int16", "int8"])
def test_the_page_computes_what_the_kernel_computes(state: str) -> None:
    formula = run_page("svdf")["svdf"]
    rng = np.random.default_rng(8)
    for sizes in SIZES:
        model = svdf(rng, sizes, state)
        tensors = [model.subgraphs[0].tensors[t] for t in model.subgraphs[0].operators[0].inputs]
        x = [rng.integers(-128, 128, sizes[:2]).astype(np.int8) for _ in range(4)]
        scales, zero_points = SCALES if state == "int16" else SCALES_8
        memory = np.full(tensors[4].shape, 0 if state == "int16" else zero_points[1], state)
        arrays = [np.asarray(item.data).astype(np.int64) for item in tensors[1:4]]
        expected = check_samples(
            model, [[v] for v in x], numerics="reference" if state == "int16" else "tflm", keep_state=True
        )
        for sample, (y, new) in zip(x, expected, strict=True):
            ours, memory = formula(sample, *arrays, memory, sizes[3], scales, zero_points)
            assert_same_bits(ours, y, f"page svdf, {sizes}")
            assert_same_bits(memory, new, f"page svdf, state, {sizes}")


def test_the_page_computes_the_float_form() -> None:
    formula = run_page("svdf")["svdf_float"]
    rng = np.random.default_rng(9)
    for sizes in SIZES:
        model = float_svdf(rng, sizes)
        tensors = [model.subgraphs[0].tensors[t] for t in model.subgraphs[0].operators[0].inputs]
        x = [rng.standard_normal(sizes[:2]).astype(np.float32) for _ in range(3)]
        memory = np.zeros(tensors[4].shape, np.float32)
        expected = check_samples(model, [[v] for v in x], keep_state=True)
        for sample, (y, new) in zip(x, expected, strict=True):
            ours, memory = formula(sample, *(item.data for item in tensors[1:4]), memory, sizes[3])
            assert_same_bits(ours, y, f"page svdf, float, {sizes}")
            assert_same_bits(memory, new, f"page svdf, float state, {sizes}")


def test_state_starts_at_0_or_the_zero_point_and_is_reset() -> None:
    rng = np.random.default_rng(10)
    for state, first in (("int16", 0), ("int8", -50)):
        model = svdf(rng, (1, 3, 2, 1, 4), state, ([0.05, 0.01, 0.02, 0.1, 0.1], [0, -50, 0]))
        interpreter = Interpreter(model)
        interpreter.allocate_tensors()
        t = next(t for t, item in enumerate(model.subgraphs[0].tensors) if item.is_variable)
        for _ in range(2):
            assert (interpreter.get_tensor(t) == first).all()
            interpreter.run(np.full((1, 3), 100, np.int8))
            assert (interpreter.get_tensor(t) != first).any()
            interpreter.reset_all_variables()


def test_real_model_with_int16_state(models_dir: Path) -> None:
    model = read_model(models_dir / "tflm_keyword_scrambled.tflite")
    rng = np.random.default_rng(11)
    samples = [[rng.integers(-32768, 32768, (1, 96)).astype(np.int16)] for _ in range(12)]
    for keep_state in (True, False):
        check_samples(model, samples, keep_state=keep_state)


def test_real_model_that_only_tflm_runs(models_dir: Path) -> None:
    """Equal to TFLite Micro in the reference profile: int8 FULLY_CONNECTED happens to round alike here."""
    model = read_model(models_dir / "tflm_keyword_scrambled_8bit.tflite")
    rng = np.random.default_rng(12)
    samples = [[rng.integers(-32768, 32768, (1, 96)).astype(np.int16)] for _ in range(12)]
    expected = get_oracle("tflm").run_batch(model, samples, keep_state=True)
    interpreter = Interpreter(model)
    for sample, wanted in zip(samples, expected, strict=True):
        assert_same_bits(interpreter.run(sample)[0], wanted[0])


# Refusals -------------------------------------------------------------------------------------------


def edited(position: int, *, kind: str = "int16", **changes: Any) -> Model:
    """Return a model in which one operand is changed; position 5 is the output."""
    rng = np.random.default_rng(13)
    model = svdf(rng, (2, 3, 4, 2, 5), kind) if kind != "float" else float_svdf(rng, (2, 3, 4, 2, 5))
    subgraph = model.subgraphs[0]
    op = subgraph.operators[0]
    tensors = list(subgraph.tensors)
    t = (*op.inputs, *op.outputs)[position]
    tensors[t] = replace(tensors[t], **changes)
    return replace(model, subgraphs=[replace(subgraph, tensors=tensors, outputs=op.outputs)])


def with_rank(rank: int) -> Model:
    model = edited(0)
    model.subgraphs[0].operators[0].options["rank"] = rank
    return model


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (edited(0, shape=(2,)), "two dimensions"),
        (edited(0, shape=(0, 3)), "two dimensions"),
        (edited(1, data=np.zeros((8, 4), np.int8), shape=(8, 4)), "feature weights"),
        (edited(1, data=np.zeros((7, 3), np.int8), shape=(7, 3)), "feature weights"),
        (edited(2, data=np.zeros((8, 0), np.int16), shape=(8, 0)), "two dimensions"),
        (edited(3, data=np.zeros(5, np.int32), shape=(5,)), "bias"),
        (edited(3, data=np.zeros(4, np.int64), dtype="int64"), "int32"),
        (edited(4, shape=(2, 41)), "state"),
        (edited(4, dtype="int8"), "dtypes differ"),
        (edited(4, is_variable=False, data=np.zeros((2, 40), np.int16)), "variable"),
        (edited(4, quantization=None), "without a scale"),
        (edited(5, dtype="int16"), "dtypes differ"),
        (edited(5, quantization=None), "without a scale"),
        (edited(2, quantization=None), "no scale"),
        (with_rank(0), "rank"),
        (with_rank(-1), "rank"),
        (with_rank(3), "rank"),
        (with_rank(2**31 - 1), "rank"),
        (edited(1, kind="float", data=np.zeros((8, 3), np.int8), dtype="int8"), "dtypes differ"),
        (edited(3, kind="float", data=np.zeros(4, np.int32), dtype="int32"), "float32"),
    ],
)  # fmt: skip
def test_refused_operands(model: Model, reason: str) -> None:
    x = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(model, [np.zeros(x.shape, x.dtype)])


def test_refused_forms() -> None:
    rng = np.random.default_rng(14)
    x = [np.zeros((1, 3), np.float32)]
    with pytest.raises(UnsupportedOperatorError, match="SIGN_BIT"):
        run_ours(float_svdf(rng, (1, 3, 2, 1, 2), activation="SIGN_BIT"), x)
    with pytest.raises(UnsupportedOperatorError, match="hybrid form"):
        run_ours(float_svdf(rng, (1, 3, 2, 1, 2), hybrid=True), x, "tflm")


def test_hostile_sizes_do_not_crash() -> None:
    for position in range(6):
        for shape in ((), (1,), (4, 4), (2**20, 2**20), (1, 1, 1)):
            try:
                interpreter = Interpreter(edited(position, shape=shape))
                interpreter.allocate_tensors()
                interpreter.invoke()
            except QuantcoreError:
                continue
