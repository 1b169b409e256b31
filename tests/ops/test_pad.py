"""PAD and PADV2 against TFLite."""

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.runtime import Interpreter
from tests.ops.harness import (
    assert_same_bits,
    check,
    const,
    op_model,
    random_values,
    refusal,
    run_page,
    tensor,
)

PADDINGS = [[0, 1], [2, 0], [1, 3], [0, 0]]


def pad_model(shape, paddings, dtype, params=(None, 0), value=None, paddings_dtype="int32"):
    inputs = [tensor(shape, dtype, *params), const(np.array(paddings, paddings_dtype).reshape(-1, 2))]
    if value is not None:
        inputs.append(const(np.array(value, dtype), *params))
    op = "PAD" if value is None else "PADV2"
    return op_model(op, inputs, [tensor((), dtype, *params)], version=2)


QUANTIZED = [("int8", (0.5, -7)), ("uint8", (0.5, 131)), ("int16", (0.5, 0))]
PLAIN = [(dtype, (None, 0)) for dtype in ("int8", "uint8", "int32", "int64", "float32")]


@pytest.mark.parametrize(("dtype", "params"), QUANTIZED + PLAIN)
def test_pads_with_what_stands_for_zero(dtype, params):
    x = random_values(np.random.default_rng(0), (2, 3, 4, 5), dtype)
    (y,) = check(pad_model(x.shape, PADDINGS, dtype, params), [x])
    assert_same_bits(y, run_page("pad")["pad"](x, PADDINGS, params[1]))


@pytest.mark.parametrize(
    ("dtype", "params", "value"),
    [
        ("int8", (0.5, -7), 9),
        ("uint8", (0.5, 131), 255),
        ("int16", (0.5, 0), -300),
        ("int32", (None, 0), -70000),
        ("int64", (None, 0), 2**40),
        ("float32", (None, 0), -0.0),
    ],
)
def test_padv2_pads_with_a_given_value(dtype, params, value):
    x = random_values(np.random.default_rng(1), (2, 3, 4, 5), dtype)
    (y,) = check(pad_model(x.shape, PADDINGS, dtype, params, value), [x])
    assert_same_bits(y, run_page("pad")["padv2"](x, PADDINGS, np.array(value, dtype)))


def test_random_paddings():
    rng = np.random.default_rng(2)
    page = run_page("pad")["pad"]
    for _ in range(60):
        shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 6)))
        paddings = np.where(rng.random((len(shape), 2)) < 0.5, 0, rng.integers(0, 4, (len(shape), 2)))
        x = random_values(rng, shape, "int16")
        (y,) = check(pad_model(shape, paddings, "int16", paddings_dtype=rng.choice(["int32", "int64"])), [x])
        assert_same_bits(y, page(x, paddings))


def test_the_output_decides_the_zero_point():
    inputs = [tensor((3,), "int8", 0.5, 4), const(np.array([[1, 1]], np.int32))]
    (y,) = check(
        op_model("PAD", inputs, [tensor((), "int8", 0.25, -9)], version=2), [np.array([1, 2, 3], np.int8)]
    )
    assert y.tolist() == [-9, 1, 2, 3, -9]


@pytest.mark.parametrize("paddings", [[[0, 1]], [[0, -1], [0, 0]], [[0, 1], [0, 0], [0, 0]]])
def test_what_both_refuse(paddings):
    model = pad_model((2, 3), paddings, "int8")
    assert refusal(model, [np.zeros((2, 3), np.int8)])
    with pytest.raises(UnsupportedOperatorError, match="paddings"):
        Interpreter(model).allocate_tensors()


def test_padv2_refuses_a_value_with_other_parameters():
    inputs = [
        tensor((3,), "int8", 0.5, 4),
        const(np.array([[1, 1]], np.int32)),
        const(np.array(1, np.int8), 0.25, 4),
    ]
    model = op_model("PADV2", inputs, [tensor((), "int8", 0.5, 4)], version=2)
    # TensorFlow 2.21 notices it too, but ignores its own error and leaves the output unwritten
    with pytest.raises(UnsupportedOperatorError, match="parameters differ"):
        Interpreter(model).allocate_tensors()
