"""Graph inputs that shapes follow from: the plan is made anew when their value changes."""

from __future__ import annotations

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Model
from quantcore.runtime import Interpreter
from quantcore.samples import random_samples
from quantcore.verify import verify
from tests.ops.harness import Op, check, const, get_oracle, graph_model, op_model, random_values, tensor


def slice_model() -> Model:
    return op_model(
        "SLICE",
        [tensor((4, 5), "int8"), tensor((2,), "int32"), tensor((2,), "int32")],
        [tensor((2, 3), "int8")],
    )


@pytest.fixture
def data() -> np.ndarray:
    return random_values(np.random.default_rng(0), (4, 5), "int8")


def test_set_tensor_and_invoke(data: np.ndarray) -> None:
    interpreter = Interpreter(slice_model())
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, data)
    for begin, size in (((0, 0), (4, 5)), ((1, 2), (3, 1)), ((1, 2), (-1, -1)), ((3, 4), (1, 1))):
        interpreter.set_tensor(1, np.array(begin, np.int32))
        interpreter.set_tensor(2, np.array(size, np.int32))
        interpreter.invoke()  # the data stay, though the plan is another
        rows, columns = (None if n < 0 else b + n for b, n in zip(begin, size, strict=True))
        np.testing.assert_array_equal(interpreter.get_tensor(3), data[begin[0] : rows, begin[1] : columns])
        np.testing.assert_array_equal(interpreter.get_tensor(1), begin)


def test_run_takes_other_values_each_time(data: np.ndarray) -> None:
    interpreter = Interpreter(slice_model())
    for begin in ((0, 1), (2, 2), (0, 1)):
        sample = [data, np.array(begin, np.int32), np.array((2, 3), np.int32)]
        (y,) = interpreter.run(sample)
        np.testing.assert_array_equal(y, data[begin[0] : begin[0] + 2, begin[1] : begin[1] + 3])
        np.testing.assert_array_equal(interpreter.run_all(sample)[3], y)


def test_one_value_serves_a_batch(data: np.ndarray) -> None:
    batch = np.concatenate([data, data[::-1]])
    (y,) = Interpreter(slice_model()).run([batch, np.array((1, 1), np.int32), np.array((2, 3), np.int32)])
    np.testing.assert_array_equal(y, np.concatenate([data[1:3, 1:4], data[::-1][1:3, 1:4]]))


@pytest.mark.oracle
def test_transpose_conv_with_its_output_shape_as_input() -> None:
    rng = np.random.default_rng(1)
    model = op_model(
        "TRANSPOSE_CONV",
        [
            tensor((4,), "int32"),
            const(random_values(rng, (3, 2, 2, 4), "int8"), 0.01),
            tensor((1, 3, 3, 4), "int8", 0.1),
        ],
        [tensor((1, 6, 6, 3), "int8", 0.05)],
        {"padding": "SAME", "stride_w": 2, "stride_h": 2},
        version=3,
    )
    assert random_samples(model, 0, 1, 0)[0][0].tolist() == [1, 6, 6, 3]
    x = random_values(rng, (1, 3, 3, 4), "int8")
    for size in ((6, 6), (5, 6)):
        check(model, [np.array([1, *size, 3], np.int32), x])
    assert verify(model, samples=2, oracle=get_oracle()).bit_exact


def test_a_shape_computed_from_data_is_refused() -> None:
    model = graph_model(
        {
            "x": tensor((2, 6), "int8"),
            "f": tensor((2,), "float32"),
            "n": tensor((2,), "int32"),
            "y": tensor((), "int8"),
        },
        [Op("CAST", ["f"], ["n"]), Op("RESHAPE", ["x", "n"], ["y"])],
        ["x", "f"],
        ["y"],
    )
    with pytest.raises(UnsupportedOperatorError, match="computed from data at run time"):
        Interpreter(model)
