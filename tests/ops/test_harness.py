"""The harness must be able to fail: a comparison that cannot is worth nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantcore.errors import OracleCrashed
from quantcore.flatbuffer.schema import OPERATORS, options_table
from quantcore.numerics import PROFILES
from quantcore.oracle import Oracle
from tests.ops import harness
from tests.ops.harness import (
    assert_same_bits,
    bias_scale,
    check,
    check_samples,
    const,
    covers,
    op_model,
    random_floats,
    random_values,
    refusal,
    run_page,
    tensor,
    tie_scales,
)


def relu() -> harness.Model:
    return op_model("RELU", [tensor((1, 4), "float32")], [tensor((), "float32")])


X = np.array([[1, -2, 3, 9]], np.float32)


@pytest.mark.oracle
def test_agreement_passes_and_returns_the_oracles_values() -> None:
    (y,) = check(relu(), [X])
    assert y.tolist() == [[1, 0, 3, 9]]


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.array([[1, 0, 3, 6]], np.float32), r"1 of 4 elements differ, first at \(0, 3\): ours 6\.0"),
        (np.array([[1, -0.0, 3, 9]], np.float32), "1 of 4"),
        (np.array([[1, np.nan, 3, 9]], np.float32), "1 of 4"),
        (np.array([1, 0, 3, 9], np.float32), r"shape \(4,\)"),
        (np.array([[1, 0, 3, 9]], np.float64), "dtype float64"),
    ],
)
def test_disagreement_fails(wrong: np.ndarray, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "invoke_ours", lambda *_: [wrong])
    with pytest.raises(AssertionError, match=message):
        check(relu(), [X])


@pytest.mark.oracle
def test_a_missing_output_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "invoke_ours", lambda *_: [])
    with pytest.raises(AssertionError, match="0 outputs, the oracle has 1"):
        check(relu(), [X])


@pytest.mark.oracle
def test_no_answer_of_the_oracle_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> None:
        raise OracleCrashed("the oracle's process was ended by SIGSEGV", "SIGSEGV")

    monkeypatch.setattr(Oracle, "run_batch", crash)
    with pytest.raises(OracleCrashed):
        check(relu(), [X])
    monkeypatch.setattr(Oracle, "run_batch", lambda *_, **__: [])
    with pytest.raises(AssertionError):
        check(relu(), [X])
    with pytest.raises(AssertionError, match="no samples"):
        check_samples(relu(), [])


@pytest.mark.oracle
@pytest.mark.parametrize("numerics", PROFILES)
def test_each_profile_has_its_oracle(numerics: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes of outputs need not be given, although TFLite Micro computes none."""
    new_shape = const(np.array([2, 2], np.int32))
    model = op_model("RESHAPE", [tensor((1, 4), "int8"), new_shape], [tensor((), "int8")])
    x = np.array([[1, 2, 3, 4]], np.int8)
    (y,) = check(model, [x], numerics=numerics)
    assert y.tolist() == [[1, 2], [3, 4]]
    monkeypatch.setattr(harness, "invoke_ours", lambda *_: [y[::-1]])
    with pytest.raises(AssertionError, match=f"{numerics}: RESHAPE, sample 0, output 0: 4 of 4"):
        check(model, [x], numerics=numerics)


@pytest.mark.oracle
def test_refusal_wants_a_refusal() -> None:
    softmax = op_model("SOFTMAX", [tensor((1, 4), "int32")], [tensor((), "int32")], {"beta": 1.0})
    assert "INT32" in refusal(softmax, [X.astype(np.int32)])
    with pytest.raises(pytest.fail.Exception):
        refusal(relu(), [X])


# Models -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", [op for op in OPERATORS if options_table(op)])
def test_every_operators_options_are_stored_with_their_defaults(op: str) -> None:
    """TFLite reads a missing table as "nothing set", so the harness always writes it."""
    table = options_table(op)
    model = op_model(op, [tensor((1,), "float32")], [tensor((), "float32")])
    (node,) = model.subgraphs[0].operators
    assert table in (node.options_type, node.options_2_type)


def test_constants_omitted_and_shared_inputs() -> None:
    x, w = tensor((2, 3), "int8", 0.5), const(np.ones((4, 3), np.int8), [0.25, 0.5, 1, 2])
    model = op_model("FULLY_CONNECTED", [x, w, None], [tensor((), "int8", 1.0)])
    graph = model.subgraphs[0]
    assert (graph.operators[0].inputs, graph.inputs, graph.outputs) == ((0, 1, -1), (0,), (2,))
    assert bias_scale(x, w).tolist() == [0.125, 0.25, 0.5, 1.0]
    model = op_model("MUL", [x, x], [tensor((), "int8", 1.0)])
    assert (model.subgraphs[0].operators[0].inputs, model.subgraphs[0].inputs) == ((0, 0), (0,))


# Data -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64"])
def test_random_integers_hold_the_extremes(dtype: str) -> None:
    values = random_values(np.random.default_rng(0), (3, 5), dtype)
    assert (values.dtype, values.min(), values.max()) == (dtype, np.iinfo(dtype).min, np.iinfo(dtype).max)
    values = random_values(np.random.default_rng(0), (3, 5), dtype, low=3, high=7)
    assert (values.min(), values.max()) == (3, 7)


def test_random_floats_hold_ties_zeros_and_both_signs() -> None:
    x = random_floats(np.random.default_rng(0), (10000,), scale=0.25)
    ratio = x / np.float32(0.25)
    assert (np.abs(ratio[np.abs(ratio) < 1000] % 1) == 0.5).sum() > 1000
    assert ((x == 0) & np.signbit(x)).any()
    assert ((x == 0) & ~np.signbit(x)).any()
    assert (x > 30).any()
    assert (x < -30).any()
    assert np.isfinite(x).all()
    special = random_floats(np.random.default_rng(0), (10000,), special=True)
    assert np.isnan(special).any()
    assert np.isposinf(special).any()
    assert np.isneginf(special).any()


@pytest.mark.parametrize("shift", [1, 4, 9])
def test_tie_scales_give_an_exact_power_of_two(shift: int) -> None:
    for seed in range(20):
        a, b, c = tie_scales(np.random.default_rng(seed), shift)
        assert float(a) * float(b) / float(c) == 2.0**-shift


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array([-128, 0, 1], np.int8), "upper bound 127"),
        (np.array([127, 0, 1], np.int8), "lower bound -128"),
        (np.array([-128, 127] * 10, np.int8), "only 0 of 20"),
    ],
)
def test_covers_notices_what_is_missing(y: np.ndarray, message: str) -> None:
    covers(np.array([-128, 5, 127], np.int8))
    covers(np.array([0, 5, 6], np.int8), low=0, high=6)
    with pytest.raises(AssertionError, match=message):
        covers(y)


def test_pages_are_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "docs" / "numerics"
    folder.mkdir(parents=True)
    monkeypatch.setattr(harness, "REPOSITORY", tmp_path)
    (folder / "x.md").write_text(
        "# X\n\n```python\nimport math\n```\n\n```\nnot code\n```\n\n```python\ny = math.pi\n```\n"
    )
    assert run_page("x")["y"] == pytest.approx(3.14159, abs=1e-5)
    (folder / "wrong.md").write_text("text\n\n```python\nx = 1\nraise KeyError\n```\n")
    with pytest.raises(KeyError) as caught:
        run_page("wrong")
    assert (Path(str(caught.traceback[-1].path)).name, caught.traceback[-1].lineno + 1) == ("wrong.md", 5)
    (folder / "empty.md").write_text("nothing\n")
    with pytest.raises(AssertionError, match="no python block"):
        run_page("empty")


def test_the_example_in_the_docstring_runs() -> None:
    """It is what people copy."""
    text = (harness.__doc__ or "").split("::\n", 1)[1]
    code = text[: text.index("\n- ")]
    body = "\n".join(line[4:] for line in code.splitlines())
    namespace: dict[str, object] = {}
    exec(compile(body, "docstring", "exec"), namespace)
    namespace["test_conv_2d"]()  # type: ignore[operator]


def test_any_nan_equals_any_nan() -> None:
    assert_same_bits(np.array([np.nan]), np.array([-np.nan]))
