"""RFFT2D and what takes complex numbers apart, bit for bit; CUMSUM."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from quantcore.runtime import Interpreter
from tests.ops.harness import (
    TFLITE,
    Op,
    assert_same_bits,
    check,
    const,
    graph_model,
    op_model,
    random_floats,
    random_values,
    run_page,
    tensor,
)


def rfft2d(shape: tuple[int, ...], height: int, width: int) -> Model:
    lengths = const(np.array([height, width], np.int32))
    return op_model("RFFT2D", [tensor(shape, "float32"), lengths], [tensor((), "complex64")])


def signals(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return noise, and signals in which terms cancel exactly or nearly."""
    x = rng.standard_normal((14, height, width)).astype(np.float32)
    x[1:7] = 0
    x[2] = -0.0
    x[3], x[4, 0, -1], x[5, -1, 0] = 1, 1, -3
    x[6] = np.where(rng.random((height, width)) < 0.1, 1, -0.0)
    x[7] = np.sin(np.arange(width) * (2 * np.pi * 3 / width))
    x[8:10] = rng.integers(-3, 4, (2, height, width))
    x[10] = random_floats(rng, (height, width))
    return x


@pytest.mark.parametrize("width", [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096])
def test_rows(width: int) -> None:
    x = signals(np.random.default_rng(width), 1, width)
    (y,) = check(rfft2d(x.shape, 1, width), [x])
    np.testing.assert_allclose(y[0], run_page("rfft2d")["rfft2d"](x[0], 1, width), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(2, 2), (2, 4), (4, 4), (8, 16), (32, 64), (256, 8)])
def test_images(height: int, width: int) -> None:
    x = signals(np.random.default_rng(height), height, width)
    (y,) = check(rfft2d(x.shape, height, width), [x])
    np.testing.assert_allclose(y[0], run_page("rfft2d")["rfft2d"](x[0], height, width), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("numerics", TFLITE)
def test_cropped_and_padded_then_taken_apart(numerics: str) -> None:
    x = random_floats(np.random.default_rng(0), (3, 5, 100), scale=0.01)
    tensors = {"x": tensor(x.shape, "float32")}
    ops = []
    for number, lengths in enumerate([(4, 128), (8, 64), (1, 256)]):
        tensors[f"n{number}"] = const(np.array(lengths, np.int32))
        tensors[f"z{number}"] = tensor((), "complex64")
        ops.append(Op("RFFT2D", ["x", f"n{number}"], [f"z{number}"]))
    for part in ("COMPLEX_ABS", "REAL", "IMAG"):
        tensors[part] = tensor((), "float32")
        ops.append(Op(part, ["z1"], [part]))
    outputs = check(graph_model(tensors, ops, ["x"], [op.outputs[0] for op in ops]), [x], numerics=numerics)
    z, magnitude, real, imaginary = outputs[1], *outputs[3:]
    assert np.array_equal(real, z.real)
    assert np.array_equal(imaginary, z.imag)
    assert_same_bits(run_page("rfft2d")["complex_abs"](z), magnitude, "page rfft2d")


@pytest.mark.parametrize("lengths", [(1, 3), (0, 4), (1, 1), (-1, 4), (2**17, 4), (3, 4)])
def test_lengths_that_are_refused(lengths: tuple[int, int]) -> None:
    with pytest.raises(UnsupportedOperatorError, match="a length is"):
        Interpreter(rfft2d((2, 8), *lengths)).allocate_tensors()
    with pytest.raises(UnsupportedOperatorError, match="two dimensions"):
        Interpreter(rfft2d((8,), 1, 8)).allocate_tensors()


CASES: dict[str, Any] = {
    "reference": ("float32", "int32", "int64"),
    "optimized": ("float32", "int32", "int64"),
    "xnnpack": ("float32", "int32", "int64"),
    "tflm": ("float32",),
}


@pytest.mark.parametrize("numerics", CASES)
def test_cumsum(numerics: str) -> None:
    rng, page = np.random.default_rng(1), run_page("cumsum")["cumsum"]
    for dtype in CASES[numerics]:
        tensors = {"x": tensor((3, 7, 4), dtype)}
        ops = []
        for axis in (0, 1, -1):
            tensors[f"a{axis}"] = const(np.array(axis, np.int32))
            for exclusive in (False, True):
                for reverse in (False, True):
                    name = f"{axis}{exclusive}{reverse}"
                    tensors[name] = tensor((), dtype)
                    options = {"exclusive": exclusive, "reverse": reverse}
                    ops.append(Op("CUMSUM", ["x", f"a{axis}"], [name], options))
        x = random_values(rng, (3, 7, 4), dtype)
        outputs = check(
            graph_model(tensors, ops, ["x"], [op.outputs[0] for op in ops]), [x], numerics=numerics
        )
        for op, y in zip(ops, outputs, strict=True):
            assert op.options is not None
            assert_same_bits(page(x, int(op.inputs[1][1:]), **op.options), y, f"page cumsum, {op.options}")
