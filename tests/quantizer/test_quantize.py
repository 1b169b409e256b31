"""`quantize_model`: what it takes, what it refuses before any work, what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration.ranges import Ranges, TensorRange
from quantcore.errors import OracleUnavailable, QuantizationError
from quantcore.flatbuffer import write_model
from quantcore.graph import Model, Operator, Quantization, Subgraph, Tensor
from quantcore.quantizer import source
from quantcore.quantizer.account import Account
from quantcore.quantizer.settings import MODES, STATIC
from tests.ops.harness import Op, graph_model, op_model, tensor
from tests.quantizer.networks import float_net, samples_for

DATA = samples_for()


def input_dtypes(model: Model) -> set[str]:
    main = model.subgraphs[0]
    return {main.tensors[t].dtype for t in (*main.inputs, *main.outputs)}


# What it makes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "io"), [(m, io) for m in MODES for io in (None, *MODES[m].io)])
def test_every_mode_and_io_runs(mode: str, io: str | None) -> None:
    data = DATA if mode in STATIC else None
    model = qc.quantize_model(float_net(), data, mode, io)
    dtype = io or MODES[mode].io[0]
    assert input_dtypes(model) == {dtype}
    main = model.subgraphs[0]
    x = DATA[:1]
    if dtype != "float32":
        x = qc.quantize(x, main.tensors[main.inputs[0]].params)
    y = qc.Interpreter(model).run(x)
    if dtype != "float32":
        y = qc.dequantize(y, main.tensors[main.outputs[0]].params)
    expected = qc.Interpreter(float_net()).run(DATA[:1])
    assert np.abs(y - expected).max() < 0.05 * np.abs(expected).max()


def test_the_float_model_is_not_changed_and_bytes_repeat(tmp_path: Path) -> None:
    model = float_net("TANH")
    before = write_model(model)
    first, second = (write_model(qc.quantize_model(model, DATA)) for _ in range(2))
    assert first == second
    assert write_model(model) == before
    path = tmp_path / "model.tflite"
    path.write_bytes(before)
    for same in (path, str(path), before):
        assert write_model(qc.quantize_model(same, DATA)) == first


def test_saved_ranges_give_the_same_model(tmp_path: Path) -> None:
    model = float_net()
    ranges = qc.calibration.collect_ranges(model, DATA)
    ranges.save(tmp_path / "ranges.json")
    expected = write_model(qc.quantize_model(model, DATA))
    for given in (ranges, tmp_path / "ranges.json"):
        assert write_model(qc.quantize_model(model, ranges=given)) == expected


def test_edited_ranges_are_taken(tmp_path: Path) -> None:
    model = float_net()
    ranges = qc.calibration.collect_ranges(model, DATA)
    (x,) = model.subgraphs[0].inputs
    ranges[x] = replace(ranges[x], rmin=-1.0, rmax=1.0, method="given")
    made = qc.quantize_model(model, ranges=ranges)
    (t,) = made.subgraphs[0].inputs
    assert made.subgraphs[0].tensors[t].quantization.scale[0] == np.float32(np.float32(2) / np.float32(255))


def test_the_account_covers_every_quantized_tensor() -> None:
    account = Account()
    model = qc.quantize_model(float_net("TANH", "SIN"), DATA, allow_float=True, account=account)
    tensors = model.subgraphs[0].tensors
    assert set(account.tensors) == {t for t, tensor in enumerate(tensors) if tensor.is_quantized}
    assert all(entry.rule for entry in account.tensors.values())
    assert list(account.kept_float) == [2]


def test_progress() -> None:
    seen: list[int] = []
    qc.quantize_model(float_net(), DATA, advance=seen.append)
    assert sum(seen) == len(DATA)


# Operators that stay float ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", STATIC)
def test_operators_that_would_stay_float_are_listed(mode: str) -> None:
    def data() -> Iterator[Any]:
        raise AssertionError("refused before data is looked at")

    with pytest.raises(QuantizationError) as error:
        qc.quantize_model(float_net("SIN", "TANH", "COS"), data, mode)
    for part in ("2 operators would stay float", "operator 1 (SIN, 'sin0')", "operator 3 (COS, 'cos2')"):
        assert part in str(error.value)
    for part in ("--allow-float", "allow_float=True", "recipe"):
        assert part in str(error.value)


def test_float_ends_are_no_request_for_integers_only() -> None:
    made, allowed = (
        qc.quantize_model(float_net("SIN"), DATA, io="float32", allow_float=flag) for flag in (False, True)
    )
    assert write_model(made) == write_model(allowed)
    with pytest.raises(QuantizationError, match="would stay float"):
        qc.quantize_model(float_net("SIN"), DATA, "int16x8", "float32")


@pytest.mark.parametrize("mode", STATIC)
def test_allowed_or_chosen_float_operators(mode: str) -> None:
    recipe = {"rules": [{"operators": ["SIN"], "precision": "float"}]}
    first = qc.quantize_model(float_net("SIN", "TANH"), DATA, mode, allow_float=True)
    chosen = qc.quantize_model(float_net("SIN", "TANH"), DATA, mode, recipe=recipe)
    assert write_model(first) == write_model(chosen)
    main = first.subgraphs[0]
    dtype = {op.op: main.tensors[op.outputs[0]].dtype for op in main.operators}
    assert dtype["SIN"] == "float32"
    assert dtype["TANH"] == ("int8" if mode == "int8" else "int16")


def test_a_recipe_chooses_methods() -> None:
    recipe = {"rules": [{"tensors": "y", "calibration": "moving_average:0.5"}]}
    usual, other = (qc.quantize_model(float_net(), DATA, recipe=r) for r in (None, recipe))
    scales = [
        [t.quantization.scale[0] for t in m.subgraphs[0].tensors if t.is_quantized] for m in (usual, other)
    ]
    assert sum(a != b for a, b in zip(*scales, strict=True)) == 1


# What it refuses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "representative dataset"),
        *(({"mode": mode}, "representative dataset") for mode in STATIC),
        *(({"representative_dataset": DATA, "mode": m}, "leave it out") for m in MODES if m not in STATIC),
        *(({"ranges": qc.calibration.Ranges(), "mode": m}, "leave it out") for m in MODES if m not in STATIC),
        ({"representative_dataset": DATA, "ranges": qc.calibration.Ranges()}, "give one of them"),
        ({"representative_dataset": DATA, "mode": "int4"}, "one of int8, int16x8, dynamic, float16"),
        ({"representative_dataset": DATA, "io": "int16"}, "int8, uint8, float32"),
        ({"representative_dataset": DATA, "engine": "torch"}, "quantcore"),
        ({"representative_dataset": DATA, "method": "median"}, "min_max"),
        ({"ranges": "cleen"}, "expected clean, converter, or a file"),
        ({"representative_dataset": []}, "no samples"),
        ({"representative_dataset": DATA[..., :2]}, "shape"),
        ({"representative_dataset": np.full_like(DATA, np.nan)}, "NaN"),
        ({"mode": "dynamic", "recipe": {"rules": [{"tensors": "*", "calibration": "min_max"}]}}, "calibrat"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(QuantizationError, match=re.escape(says)):
        qc.quantize_model(float_net(), **arguments)


@pytest.mark.parametrize("mode", MODES)
def test_a_quantized_model_is_refused(mode: str) -> None:
    quantized = qc.quantize_model(float_net(), DATA, io="float32")
    data = DATA if mode in STATIC else None
    with pytest.raises(QuantizationError, match=r"quantized already: tensor \d+ '\w.* \(int8\)"):
        qc.quantize_model(quantized, data, mode)
    halves = qc.quantize_model(float_net(), mode="float16")
    with pytest.raises(QuantizationError, match=r"float16 weights already: tensor \d+"):
        qc.quantize_model(halves, data, mode)


def test_int8_weights_are_kept_by_int8_alone() -> None:
    hybrid = qc.quantize_model(float_net(), mode="dynamic")
    main = hybrid.subgraphs[0]
    (weights,) = [t for t in main.tensors if t.dtype == "int8"]
    made = qc.quantize_model(hybrid, DATA).subgraphs[0]
    (kept,) = [t for t in made.tensors if t.name == weights.name]
    np.testing.assert_array_equal(kept.data, weights.data)
    for mode in set(MODES) - {"int8"}:
        data = DATA if mode in STATIC else None
        with pytest.raises(QuantizationError, match=f"int8 weights already: tensor .*{weights.name}"):
            qc.quantize_model(hybrid, data, mode)


def test_int8_weights_behind_dequantize() -> None:
    """They are no operator in float; nor does looking for layers to improve take DEQUANTIZE away."""
    rng = np.random.default_rng(0)
    tensors = {name: tensor((1, 4), "float32") for name in "xmy"} | {
        "stored": tensor((4, 4), "int8", 0.01, data=rng.integers(-127, 128, (4, 4), dtype=np.int8)),
        "w": tensor((4, 4), "float32"),
        "v": tensor((4, 4), "float32", data=rng.normal(size=(4, 4)).astype(np.float32)),
        "b": tensor((4,), "float32", data=rng.normal(size=4).astype(np.float32)),
    }
    operators = [
        Op("DEQUANTIZE", ["stored"], ["w"]),
        Op("FULLY_CONNECTED", ["x", "w", "b"], ["m"]),
        Op("FULLY_CONNECTED", ["m", "v", "b"], ["y"]),
    ]
    model = graph_model(tensors, operators, ["x"], ["y"])
    before = bytes(write_model(model))
    data = rng.normal(size=(4, 4)).astype(np.float32)
    made = qc.quantize_model(model, data, equalize=True, correct_biases=True)
    assert [op.op for op in made.subgraphs[0].operators] == ["FULLY_CONNECTED", "FULLY_CONNECTED"]
    assert bytes(write_model(model)) == before


def test_weights_with_zero_points_are_not_kept() -> None:
    """No kernel takes them beside int8 activations."""
    hybrid = qc.quantize_model(float_net(), mode="dynamic")
    (weights,) = [t for t in hybrid.subgraphs[0].tensors if t.dtype == "int8"]
    weights.quantization.zero_point = weights.quantization.zero_point + 1
    with pytest.raises(QuantizationError, match="quantized already"):
        qc.quantize_model(hybrid, DATA)


def conv(weights: tuple[int, ...], bias: tuple[int, ...]) -> Model:
    arrays = [np.zeros(shape, np.float32) for shape in (weights, bias)]
    inputs = [tensor((1, 2, 2, 3), "float32"), *(tensor(a.shape, "float32", data=a) for a in arrays)]
    return op_model("CONV_2D", inputs, [tensor((1, 2, 2, 4), "float32")], {"stride_w": 1, "stride_h": 1})


def some_ranges(model: Model) -> Ranges:
    tensors = enumerate(model.subgraphs[0].tensors)
    return Ranges({t: TensorRange(v.name, -1.0, 1.0) for t, v in tensors if v.data is None})


def looped() -> Model:
    model = float_net()
    model.subgraphs[0].operators.reverse()
    return model


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (op_model("CONV_2D", [tensor((1, 2), "float32")], [tensor((), "float32")]), "input 1 is missing"),
        (conv((), (4,)), r"its weights have shape \(\); expected channels along axis 0"),
        (conv((4, 1, 1, 3), (3,)), r"its bias has shape \(3,\); expected one value for each of 4 channels"),
        (conv((4, 1, 1, 3), ()), r"its bias has shape \(\)"),
        (looped(), "it reads tensor .*, which is computed later"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_operators_that_cannot_run(model: Model, says: str, mode: str) -> None:
    """Where nothing runs the model, since ranges are given or not needed, it is refused all the same."""
    given = {"ranges": some_ranges(model)} if mode in STATIC else {}
    with pytest.raises(QuantizationError, match=says):
        qc.quantize_model(model, mode=mode, **given)


def test_slice_without_bounds() -> None:
    """Its rule says nothing of bounds, and so the quantizer leaves them alone."""
    model = op_model("STRIDED_SLICE", [tensor((2,), "float32")], [tensor((2,), "float32")])
    quantized = qc.quantize_model(model, ranges=some_ranges(model))
    assert [op.op for op in quantized.subgraphs[0].operators] == ["STRIDED_SLICE"]


def test_nothing_to_quantize() -> None:
    integers = op_model("ABS", [tensor((1, 4), "int32")], [tensor((1, 4), "int32")])
    with pytest.raises(QuantizationError, match="no float32 tensors"):
        qc.quantize_model(integers, np.zeros((1, 4), np.int32))


def test_ranges_of_another_model() -> None:
    ranges = qc.calibration.collect_ranges(float_net("TANH", "SIN"), DATA)
    with pytest.raises(QuantizationError, match="do not belong"):
        qc.quantize_model(float_net("SIN", "TANH"), ranges=ranges, allow_float=True)


def test_not_a_model() -> None:
    with pytest.raises(QuantizationError, match=r"is a dict; expected .*SavedModel"):
        qc.quantize_model({}, DATA)


# Keras, and no TensorFlow -------------------------------------------------------------------------------


def test_keras_files_without_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*arguments: Any) -> bytes:
        raise OracleUnavailable("tensorflow is not installed")

    monkeypatch.setattr(source, "convert", unavailable)
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    (tmp_path / "net.keras").write_bytes(b"PK\x03\x04")
    (tmp_path / "net.h5").write_bytes(b"\x89HDF\r\n")
    for name in ("saved", "net.keras", "net.h5"):
        with pytest.raises(OracleUnavailable, match=rf"{name} first: .*float \.tflite"):
            qc.quantize_model(tmp_path / name, DATA)


BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras", "tf_keras", "ai_edge_litert", "tflite_micro"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
import numpy as np
import quantcore as qc
from quantcore.quantizer.settings import MODES, STATIC
from quantcore.samples import random_samples

for path in sys.argv[1:]:
    model = qc.load(path)
    samples = random_samples(model, 0, 2, 0)
    hybrid = any(tensor.is_quantized for tensor in model.subgraphs[0].tensors)
    for mode in ("int8",) if hybrid else MODES:
        made = qc.quantize_model(path, samples if mode in STATIC else None, mode, allow_float=True)
        qc.Interpreter(qc.load(qc.flatbuffer.write_model(made)))
    print(path)
try:
    qc.quantize_model(path, samples, engine="tflite")
except qc.OracleUnavailable:
    print("no oracle")
"""


def test_without_tensorflow(models_dir: Path) -> None:
    paths = [str(path) for path in sorted(models_dir.glob("*mlperf*float*.tflite"))]
    assert paths
    done = subprocess.run([sys.executable, "-c", BLOCKED, *paths], check=True, capture_output=True, text=True)
    assert done.stdout.split("\n")[:-1] == [*paths, "no oracle"]


def test_a_misspelt_way_to_calibrate_is_no_path() -> None:
    with pytest.raises(QuantizationError, match="'converted'; expected clean, converter, or a file"):
        qc.quantize_model(float_net(), DATA, ranges="converted")


@pytest.mark.parametrize("inputs", [(), (3, 3), (-1,)])
def test_a_damaged_dequantize_is_an_operator_without_a_form(inputs: tuple[int, ...]) -> None:
    """Even where the last tensor, which an index of -1 would name, is quantized weights."""
    scale = Quantization(np.array([0.5], np.float32), np.array([0]))
    shapes = {"x": (1, 2), "w": (2, 2), "y": (1, 2)}
    tensors = [Tensor(name, shape, "float32") for name, shape in shapes.items()]
    tensors.append(Tensor("q", (2, 2), "int8", data=np.ones((2, 2), np.int8), quantization=scale))
    operators = [
        Operator("DEQUANTIZE", 2, inputs, (1,)),
        Operator("FULLY_CONNECTED", 1, (0, 1, -1), (2,), {"fused_activation_function": "NONE"}),
    ]
    model = Model([Subgraph("main", tensors, operators, (0,), (2,))])
    with pytest.raises(QuantizationError, match=r"operator 0 \(DEQUANTIZE, 'w'\): .* no quantized form"):
        qc.quantize_model(model, DATA)
