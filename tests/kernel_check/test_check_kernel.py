"""`check_kernel`: no false alarms, what is written, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import quantcore as qc
from quantcore.c_interface.kernel_interface import kernel_rows
from quantcore.cli import run_command_line
from quantcore.errors import KernelError
from quantcore.kernel_check.archive import read_case
from quantcore.kernel_check.operators.registry import checkable

pytest.importorskip("hypothesis")
COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
if COMPILER is None:
    pytest.skip("there is no C compiler", allow_module_level=True)

KERNELS = Path(__file__).with_name("kernels")
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
HYBRID = [KERNELS / "hybrid.c", ROOT / "csrc" / "reference" / "hybrid.c"]

# Source, function, operator and profile, other arguments
RIGHT = [
    (KERNELS / "conv.c", "conv", "CONV_2D", {}),
    (KERNELS / "fully_connected.c", "fully_connected", "FULLY_CONNECTED", {"numerics": "tflm"}),
    (KERNELS / "fully_connected.c", "fully_connected_float", "FULLY_CONNECTED", {"sanitizers": False}),
    (KERNELS / "fully_connected.c", "with_own_scratch", "FULLY_CONNECTED", {"scratch": "own_scratch"}),
    (HYBRID, "hybrid", "FULLY_CONNECTED", {"sanitizers": False}),
    (KERNELS / "add.c", "add", "ADD", {}),
    (KERNELS / "add.c", "add_equal_shapes", "ADD", {"may_refuse": True, "sanitizers": False}),
    (KERNELS / "add.c", "average_pool", "AVERAGE_POOL_2D", {}),
    (EXAMPLES / "packed_4bit" / "fully_connected.c", "my_fully_connected_s8_s4", "FULLY_CONNECTED", {}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("source", "symbol", "op", "options"), RIGHT, ids=[row[1] for row in RIGHT])
def test_right_kernels_pass(
    source: Path | list[Path], symbol: str, op: str, options: dict[str, object]
) -> None:
    result = qc.check_kernel(source, op, symbol, cases=80, seed=1, **options).assert_ok()
    assert result.ok
    assert result.coverage.cases == 80
    assert result.coverage.elements > 80
    assert (result.coverage.refused > 0) == ("may_refuse" in options)
    assert set(result.nanoseconds) == {"kernel", "reference"}
    if op != "AVERAGE_POOL_2D" and symbol not in ("fully_connected_float", "hybrid"):
        assert {"lower bound", "upper bound"} & set(result.coverage.aspects["outputs saturated"])


@pytest.mark.slow
def test_failing_case_is_written_and_checked_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = KERNELS / "conv.c"
    words = ["check-kernel", str(source), "--op", "CONV_2D", "--symbol", "conv", "--no-sanitizers"]
    wrong = [*words, "--flag=-DTRUNCATING_SHIFT"]
    assert run_command_line([*wrong, "--out", "found", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["failure"]["kind"] == "mismatch"
    assert found["failure"]["params"]["shape"]["batches"] == 1
    archive = Path("found", "conv_failure.npz")
    case = read_case(archive)
    assert case.kernel == "conv_s8"
    assert isinstance(case.params["requant"]["multiplier"], np.ndarray)
    assert run_command_line([*wrong, "--replay", str(archive), "--out", "/dev/null/again"]) == 1
    said = capsys.readouterr().out
    assert "truncates" in said
    assert "not written: /dev/null/again: Not a directory" in said
    assert run_command_line([*words, "--replay", str(archive)]) == 0
    for flags, status in (["-DTRUNCATING_SHIFT"], 1), ([], 0):
        program = tmp_path / "test"
        include = KERNELS.parents[2] / "csrc" / "include"
        arguments = [COMPILER, f"-I{include}", *flags, "found/conv_failure.c", source, "-lm", "-o", program]
        subprocess.run(list(map(os.fspath, arguments)), check=True)
        assert subprocess.run([program], capture_output=True, check=False).returncode == status
    assert not Path(".hypothesis").exists()


@pytest.mark.slow
def test_a_definition_that_does_not_build(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong kernel is found without it; that nothing explains it is said."""

    def refuse(name: str, compiler: object) -> None:
        raise KernelError(f"qc_{name}_ref: cc cannot compile it:\nconv.c:1: error: no such thing")

    monkeypatch.setattr(import_module("quantcore.check_kernel"), "build_reference", refuse)
    words = [
        "check-kernel",
        str(KERNELS / "conv.c"),
        "--op",
        "CONV_2D",
        "--symbol",
        "conv",
        "--no-sanitizers",
    ]
    assert run_command_line([*words, "--cases", "5"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "the definition does not build, so ties are not counted" in said
    assert "explained: conv.c:1: error: no such thing" in said


@pytest.mark.slow
def test_vectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "board"
    words = ["check-kernel", "--op", "FULLY_CONNECTED", "--dtype", "int8", "--vectors", str(folder), "--json"]
    assert run_command_line(words) == 0
    written = json.loads(capsys.readouterr().out)
    separated = {name for name, count in written["separates"].items() if count}
    for rule in ("double_rounding", "ruy", "single_rounding", "float32"):
        assert f"with the rounding rule {rule} in place of float64" in separated
    kernel = folder / "kernel.c"
    for define, status in ("", 0), ("#define filter_offset input_offset\n", 2):
        included = f'#include "{KERNELS}/fully_connected.c"\n'
        headers = '#include "quantcore/fully_connected.h"\n'
        kernel.write_text(f"{headers}{define}#define fully_connected my_fully_connected_s8\n{included}")
        for arguments in ([], ["KERNEL=kernel.c"]):
            command = ["make", "-B", "-C", folder, *arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == (status if arguments else 0), done.stderr
            assert ("cases are wrong" in done.stdout) == (status != 0 and bool(arguments))
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine").touch()
    assert run_command_line([*words[:-2], str(other)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert run_command_line([*words, str(kernel)]) == 2
    assert "it takes no SOURCES" in capsys.readouterr().err


@pytest.mark.slow
def test_what_cannot_be_checked(tmp_path: Path) -> None:
    conv = KERNELS / "conv.c"
    with pytest.raises(KernelError, match=r"no cases of the operator 'CONV'; .*ADD, .*CONV_2D"):
        qc.check_kernel(conv, "CONV", "conv")
    with pytest.raises(KernelError, match="wrong_prototype has the prototype of no kernel"):
        qc.check_kernel(conv, "CONV_2D", "wrong_prototype")
    with pytest.raises(
        KernelError, match=r"prototype of conv_s8; the cases of FULLY_CONNECTED are computed by"
    ):
        qc.check_kernel(conv, "FULLY_CONNECTED", "conv")
    with pytest.raises(KernelError, match="no form 'int7'"):
        qc.check_kernel(conv, "CONV_2D", "conv", dtype="int7")
    with pytest.raises(KernelError, match="symbol is missing"):
        qc.check_kernel(conv, "CONV_2D")
    broken = tmp_path / "broken.c"
    broken.write_text("int f(void) { return }\n")
    with pytest.raises(KernelError, match=r"broken\.c.*error"):
        qc.check_kernel(broken, "CONV_2D", "f")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(KernelError, match=r"other\.npz holds no case"):
        qc.check_kernel(conv, "CONV_2D", "conv", replay=tmp_path / "other.npz")
    always = tmp_path / "always.c"
    always.write_text(
        '#include "quantcore/elementwise.h"\n'
        "qc_status f(const qc_add_params *p, const int8_t *a, const int8_t *b, int8_t *y, void *s) {\n"
        "    return QC_BAD_ARGUMENT;\n}\n"
    )
    with pytest.raises(KernelError, match=r"QC_BAD_ARGUMENT for all"):
        qc.check_kernel(always, "ADD", "f", cases=5, may_refuse=True, sanitizers=False)


def test_operators_that_can_be_checked() -> None:
    families = checkable()
    assert {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "AVERAGE_POOL_2D"} <= families.keys()
    assert all(family.forms for family in families.values())
    kernels = {name for family in families.values() for names in family.forms.values() for name in names}
    assert kernels <= kernel_rows().keys()
