"""docs/custom_kernels.md runs as it is written."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import quantcore as qc
from tests.custom_kernels.small import convolutions, images

PAGE = Path(__file__).resolve().parents[2] / "docs" / "custom_kernels.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    conv, swap = blocks("c")
    Path("my_conv.c").write_text(conv)
    Path("swap_halves.c").write_text(swap)
    qc.save(convolutions(), "model.tflite")
    qc.save(convolutions(custom=b""), "with_custom.tflite")
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, PAGE.name, "exec"), names)
    x = images(5)
    expected = qc.Interpreter("model.tflite").run(x)
    interpreter, swapped = names["interpreter"], names["swapped"]
    assert isinstance(interpreter, qc.Interpreter)
    assert isinstance(swapped, qc.Interpreter)
    assert {*interpreter.kernels} == {0, 2}
    np.testing.assert_array_equal(interpreter.run(x), expected)
    in_c = qc.CKernel.from_source("swap_halves.c", "swap_halves", flags=["-Wextra", "-Werror"])
    np.testing.assert_array_equal(
        qc.Interpreter("with_custom.tflite", kernels={"Shuffle": in_c}).run(x), swapped.run(x)
    )
    np.testing.assert_array_equal(swapped.run(x), np.roll(expected, 14, axis=1))
