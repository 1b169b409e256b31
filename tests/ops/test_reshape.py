"""RESHAPE, SQUEEZE, EXPAND_DIMS, SHAPE: shapes against TFLite, and what both refuse."""

import numpy as np
import pytest

from quantcore.errors import UnsupportedOperatorError
from quantcore.runtime import Interpreter
from tests.ops.harness import (
    assert_same_bits,
    check,
    const,
    i32,
    op_model,
    random_values,
    refusal,
    run_page,
    tensor,
)

DTYPES = ("int8", "uint8", "int16", "int32", "int64", "float32", "float64", "bool")


def reshape_model(shape, new_shape, dtype="int8", *, stored=False):
    x = tensor(shape, dtype)
    if stored:
        options = {"new_shape": np.array(new_shape, np.int32)}
        return op_model("RESHAPE", [x], [tensor((), dtype)], options)
    return op_model("RESHAPE", [x, i32(*new_shape)], [tensor((), dtype)])


@pytest.mark.parametrize("dtype", DTYPES)
def test_reshape_keeps_the_bytes_of_every_dtype(dtype):
    x = random_values(np.random.default_rng(0), (2, 3, 4), dtype)
    (y,) = check(reshape_model(x.shape, (4, 6), dtype), [x])
    assert y.tobytes() == x.tobytes()


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    ("shape", "new_shape"),
    [((2, 3, 4), (-1,)), ((2, 3, 4), (2, -1, 2)), ((2, 3, 4), (1, 24, 1)), ((1, 1), ()), ((7,), (7, 1, -1))],
)
def test_reshape_resolves_minus_one(shape, new_shape, stored):
    x = random_values(np.random.default_rng(1), shape)
    (y,) = check(reshape_model(shape, new_shape, stored=stored), [x])
    expected = run_page("reshape")["reshape"](x, new_shape)
    assert_same_bits(y, expected)


def test_a_stored_shape_of_zero_is_a_scalar():
    (y,) = check(reshape_model((1,), (0,), stored=True), [np.array([5], np.int8)])
    assert y.shape == ()


@pytest.mark.parametrize("new_shape", [(5,), (-1, -1), (5, -1), (-2, -12), (25,), (0, -1), (2**30, 2**30)])
def test_reshape_refuses_shapes_of_another_size(new_shape):
    model = reshape_model((2, 3, 4), new_shape)
    assert refusal(model, [np.zeros((2, 3, 4), np.int8)])
    with pytest.raises(UnsupportedOperatorError, match="new shape"):
        Interpreter(model).allocate_tensors()


def test_reshape_to_a_shape_that_is_an_input():
    model = op_model("RESHAPE", [tensor((6,), "int8"), tensor((2,), "int32")], [tensor((), "int8")])
    for shape in ((2, 3), (-1, 2)):
        check(model, [np.arange(6, dtype=np.int8), np.array(shape, np.int32)])


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((1, 3, 1, 2), ()), ((1, 3, 1, 2), (2,)), ((1, 3, 1, 1), (0, -1)), ((1, 1), ()), ((3,), ())],
)
def test_squeeze(shape, axes):
    options = {"squeeze_dims": np.array(axes, np.int32)}
    x = random_values(np.random.default_rng(2), shape, "int16")
    (y,) = check(op_model("SQUEEZE", [tensor(shape, "int16")], [tensor((), "int16")], options), [x])
    assert_same_bits(y, run_page("reshape")["squeeze"](x, axes))


@pytest.mark.parametrize("axes", [(1,), (4,), (-5,)])
def test_squeeze_refuses_other_dimensions(axes):
    options = {"squeeze_dims": np.array(axes, np.int32)}
    model = op_model("SQUEEZE", [tensor((1, 3, 1, 2), "int8")], [tensor((), "int8")], options)
    assert refusal(model, [np.zeros((1, 3, 1, 2), np.int8)])
    with pytest.raises(UnsupportedOperatorError):
        Interpreter(model).allocate_tensors()


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("axis_dtype", ["int32", "int64"])
def test_expand_dims(axis, axis_dtype):
    x = random_values(np.random.default_rng(3), (2, 3), "float32")
    inputs = [tensor((2, 3), "float32"), const(np.array(axis, axis_dtype))]
    (y,) = check(op_model("EXPAND_DIMS", inputs, [tensor((), "float32")]), [x])
    assert_same_bits(y, run_page("reshape")["expand_dims"](x, axis))


@pytest.mark.parametrize("axis", [3, -4, 2**31 - 1])
def test_expand_dims_refuses_an_axis_out_of_range(axis):
    model = op_model("EXPAND_DIMS", [tensor((2, 3), "int8"), i32(axis)], [tensor((), "int8")])
    assert refusal(model, [np.zeros((2, 3), np.int8)])
    with pytest.raises(UnsupportedOperatorError, match="axis"):
        Interpreter(model).allocate_tensors()


@pytest.mark.parametrize("out_type", ["int32", "int64"])
@pytest.mark.parametrize("shape", [(2, 3, 4), (5,), (1, 0, 2)])
def test_shape_is_a_value_that_follows_from_the_input_shape(shape, out_type):
    model = op_model(
        "SHAPE", [tensor(shape, "float32")], [tensor((), out_type)], {"out_type": out_type.upper()}
    )
    (y,) = check(model, [np.zeros(shape, np.float32)])
    assert_same_bits(y, run_page("shape")["shape"](np.zeros(shape), out_type))


def test_shape_follows_a_resized_input():
    model = op_model("SHAPE", [tensor((1, 4), "int8")], [tensor((), "int32")], {"out_type": "INT32"})
    (y,) = check(model, [np.zeros((9, 4), np.int8)])
    assert y.tolist() == [9, 4]
