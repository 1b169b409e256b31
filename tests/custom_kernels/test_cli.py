"""``--kernel`` of ``run``, ``verify`` and ``bench``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import quantcore as qc
from quantcore.cli import run_command_line
from quantcore.errors import KernelError
from tests.cli.conftest import Result
from tests.custom_kernels.small import KERNELS, convolutions, images

PYTHON = """
import numpy as np

SCALE = 3

def pool(op, inputs, outputs):
    n, h, w, c = outputs[0].shape
    outputs[0][...] = inputs[0][:, : 2 * h, : 2 * w].reshape(n, h, 2, w, 2, c).max(axis=(2, 4))
"""


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Return a function that runs ``quantcore``, whose processes write to the same file descriptors."""

    def call(*arguments: object) -> Result:
        capfd.readouterr()
        code = run_command_line([str(argument) for argument in arguments])
        return Result(code, *capfd.readouterr())

    return call


@pytest.fixture
def model(tmp_path: Path) -> Path:
    qc.save(convolutions(), tmp_path / "model.tflite")
    return tmp_path / "model.tflite"


def test_run(command: Callable[..., Result], model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", images(3))
    (tmp_path / "pool.py").write_text(PYTHON)
    result = command(
        "run", model, "--input", tmp_path / "x.npy", "--json",
        "--kernel", f"CONV_2D={KERNELS}:conv_with_scratch_s8:conv_scratch", "--kernel-flag=-O1",
        "--kernel", f"block/p*={tmp_path / 'pool.py'}:pool",
    )  # fmt: skip
    (output,) = result.json()["tensors"]
    np.testing.assert_array_equal(output["values"], qc.Interpreter(model).run(images(3)))
    for options, said in (
        ([f"CONV_2D={KERNELS}:short_bias_s8"], "kernels.c: short_bias_s8 has the prototype of no kernel"),
        ([f"CONV_2D={KERNELS}"], "is not KEY=FILE:SYMBOL"),
        (["CONV_2D=missing.c:f"], "missing.c: No such file"),
        ([f"CONV={KERNELS}:plain_conv_s8"], "did you mean 'CONV_2D'"),
        ([f"CONV_2D={KERNELS}:plain_conv_s8"] * 2, "--kernel is given twice for CONV_2D"),
        ([f"CONV_2D={KERNELS}:refusing_conv_s8"], "operator 0 (CONV_2D): kernel refusing_conv_s8"),
        ([f"2={KERNELS}:crashing_conv_s8"], "a kernel ended the process with SIG"),
        ([f"3={tmp_path / 'pool.py'}:missing"], "pool.py has no function missing; it has pool"),
    ):  # fmt: skip
        result = command("run", model, *[word for option in options for word in ("--kernel", option)])
        assert (result.code, result.out) == (2, "")
        assert said in result.err
        assert result.err.count("\n") == 1
    assert command("run", model, "--kernel-flag=-O1").code == 2
    result = command("run", model, "--kernel", f"2={KERNELS}:printing_conv_s8")
    assert (result.code, result.out.count("a kernel of 7 channels\n")) == (0, 1)


@pytest.mark.oracle
def test_verify(command: Callable[..., Result], model: Path) -> None:
    result = command(
        "verify", model, "--samples", 3, "--kernel", f"CONV_2D={KERNELS}:plain_conv_s8", "--json"
    )
    assert result.code == 0
    assert result.json()["bit_exact"]
    assert any("plain_conv_s8 of kernels.c computes operators 0, 2" in n for n in result.json()["notes"])
    result = command("verify", model, "--samples", 3, "--kernel", f"2={KERNELS}:wrong_conv_s8", "--json")
    assert result.code == 1
    assert [row["mismatches"] > 0 for row in result.json()["operators"]] == [False, False, True, False, False]
    with pytest.raises(KernelError, match="no such operator"):
        qc.verify(model, kernels={9: qc.CKernel.from_source(KERNELS, "plain_conv_s8")})
    with pytest.raises(KernelError, match="one profile"):
        qc.verify(model, numerics="all", kernels={})


def test_bench(command: Callable[..., Result], model: Path) -> None:
    result = command(
        "bench", model, "--alone", "--turns", 1, "--json", "--kernel", f"2={KERNELS}:plain_conv_s8"
    )
    rows = {row["index"]: row for row in result.json()["models"][0]["operators"]["operators"]}
    assert (rows["2"]["kernel"], rows["2"]["isa"]) == ("plain_conv_s8 of kernels.c", "custom")
    assert rows["0"]["kernel"] == "conv_s8"
