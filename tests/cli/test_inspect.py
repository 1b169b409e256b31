"""``quantcore inspect``: the numbers, against what the test model was made of."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from quantcore.flatbuffer import read_model, save
from quantcore.inspection import inspect_model
from tests.cli.conftest import CLASSES, PIXELS, Cli
from tests.ops.harness import op_model, tensor

HEAVY = {"tensorflow", "keras", "sklearn", "scipy", "matplotlib", "ai_edge_litert"}


def test_summary(cli: Cli, classifier: Path) -> None:
    found = cli("inspect", classifier, "--json").json()
    assert found["parameters"] == CLASSES * PIXELS + CLASSES
    assert found["bytes_by_dtype"] == {"int32": 4 * CLASSES + 2 * 4, "int8": CLASSES * PIXELS}
    assert found["macs"] == CLASSES * PIXELS
    assert found["operator_versions"] == {"FULLY_CONNECTED": {"4": 1}, "RESHAPE": {"1": 1}}
    main = found["subgraphs"][0]
    assert [main["tensors"][t]["name"] for t in main["inputs"] + main["outputs"]] == ["pixels", "scores"]


def test_tensors(cli: Cli, classifier: Path) -> None:
    tensors = {t["name"]: t for t in cli("inspect", classifier, "--json").json()["subgraphs"][0]["tensors"]}
    pixels, filter_, shape = tensors["pixels"], tensors["filter"], tensors["shape"]
    assert (pixels["role"], pixels["dtype"], pixels["shape"]) == ("input", "int8", [1, 2, 2])
    assert (pixels["scale"], pixels["zero_point"]) == ([float(np.float32(1 / 255))], [-128])
    assert pixels["real_range"] == [[0.0, 255 * float(np.float32(1 / 255))]]
    assert (filter_["role"], filter_["quantized_dimension"]) == ("constant", 0)
    assert filter_["scale"] == [float(np.float32(0.01))] * CLASSES
    assert filter_["value_range"] == [[0, 127]] * CLASSES
    assert (shape["scale"], shape["real_range"], shape["value_range"]) == ([], [], [[-1, 4]])
    assert tensors["flat"]["role"] == "computed"
    assert tensors["scores"]["role"] == "output"


def test_multipliers(cli: Cli, classifier: Path) -> None:
    operator = cli("inspect", classifier, "--op", "1", "--json").json()
    assert (operator["op"], operator["macs"], operator["rounding"]) == ("FULLY_CONNECTED", 12, "float64")
    scale_x, scale_w, scale_y = (float(np.float32(s)) for s in (1 / 255, 0.01, 0.01))
    real = scale_x * scale_w / scale_y
    fraction, exponent = math.frexp(real)
    (multipliers,) = operator["multipliers"].values()
    assert multipliers["real"] == [real] * CLASSES
    assert multipliers["multiplier"] == [math.floor(fraction * 2**31 + 0.5)] * CLASSES
    assert multipliers["shift"] == [exponent] * CLASSES


def test_tables_name_everything(cli: Cli, classifier: Path) -> None:
    result = cli("inspect", classifier)
    assert (result.code, result.err) == (0, "")
    for word in ("pixels", "FULLY_CONNECTED", "int8[1,2,2]", "3 channels", "0.003921569", "float64"):
        assert word in result.out
    assert max(map(len, result.out.splitlines())) <= 80


@pytest.mark.parametrize(("option", "shows"), [("--operators", "MACs"), ("--tensors", "real range")])
def test_one_table(option: str, shows: str, cli: Cli, classifier: Path) -> None:
    result = cli("inspect", classifier, option)
    assert shows in result.out
    assert "constant data" not in result.out


def test_one_tensor(cli: Cli, classifier: Path) -> None:
    result = cli("inspect", classifier, "--tensor", "3")
    assert "quantized dimension" in result.out
    assert result.out.count("0.00999999978") == CLASSES


def test_names_are_not_markup(cli: Cli, tmp_path: Path) -> None:
    x, y = tensor((1,), "float32", name="[bold]x[/nothing]"), tensor((1,), "float32", name="y\x1b[31m")
    save(op_model("RELU", [x], [y]), tmp_path / "odd.tflite")
    result = cli("inspect", tmp_path / "odd.tflite")
    assert result.code == 0
    assert "[bold]x[/nothing]" in result.out
    assert "\x1b" not in result.out
    assert "y\\x1b[31m" in result.out


def test_options_that_do_not_fit_are_reported_not_raised(tmp_path: Path) -> None:
    # A filter of rank 1, for which nothing can be counted: lowering would refuse it.
    shapes = [tensor((1, 4), "int8", 0.1), tensor((4,), "int8", 0.1, data=np.zeros(4, np.int8))]
    model = op_model("FULLY_CONNECTED", [*shapes, None], [tensor((1, 4), "int8", 0.1)], version=4)
    (operator,) = inspect_model(model).subgraphs[0].operators
    assert operator.op == "FULLY_CONNECTED"


def test_heavy_packages_are_not_imported(classifier: Path) -> None:
    code = (
        "import sys; from quantcore.cli import run_command_line; "
        f"code = run_command_line(['inspect', {str(classifier)!r}]); "
        f"print(code, sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 []"


def test_real_models(model_path: Path) -> None:
    model = read_model(model_path)
    found = inspect_model(model)
    assert found.to_json()["subgraphs"][0]["operators"]
    for subgraph, graph in zip(found.subgraphs, model.subgraphs, strict=True):
        assert len(subgraph.operators) == len(graph.operators)
        for info, operator in zip(subgraph.operators, graph.operators, strict=True):
            weights = [graph.tensors[t] for t in operator.inputs[1:2] if t >= 0]
            if operator.op == "FULLY_CONNECTED" and info.problem is None:
                batch = np.prod(graph.tensors[operator.outputs[0]].shape[:-1])
                assert info.macs == batch * np.prod(weights[0].shape)
