"""SLICE and TRANSPOSE against TFLite."""

import itertools

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

DTYPES = ("int8", "uint8", "int16", "int32", "int64", "float32", "bool")


def slice_model(shape, begin, size, dtype="int8", index_dtype="int32"):
    inputs = [tensor(shape, dtype), const(np.array(begin, index_dtype)), const(np.array(size, index_dtype))]
    return op_model("SLICE", inputs, [tensor((), dtype)])


def transpose_model(shape, perm, dtype="int8"):
    return op_model("TRANSPOSE", [tensor(shape, dtype), const(np.array(perm, np.int32))], [tensor((), dtype)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("index_dtype", ["int32", "int64"])
def test_slice_of_every_dtype(dtype, index_dtype):
    x = random_values(np.random.default_rng(0), (3, 4, 5), dtype)
    (y,) = check(slice_model(x.shape, (1, 0, 2), (2, -1, 3), dtype, index_dtype), [x])
    assert_same_bits(y, run_page("slice")["slice"](x, (1, 0, 2), (2, -1, 3)))


def test_random_slices():
    rng = np.random.default_rng(1)
    page = run_page("slice")["slice"]
    for _ in range(60):
        shape = rng.integers(1, 6, rng.integers(1, 6))
        begin = rng.integers(0, shape)
        size = np.where(rng.random(shape.size) < 0.3, -1, rng.integers(1, shape - begin + 1))
        x = random_values(rng, shape, "int16")
        (y,) = check(slice_model(x.shape, begin, size, "int16"), [x])
        assert_same_bits(y, page(x, begin.tolist(), size.tolist()))


@pytest.mark.parametrize(
    ("begin", "size"),
    [((0, 4), (3, 1)), ((0, 2), (3, 3)), ((-1, 0), (1, 4)), ((0, 0), (-2, 4)), ((4, 0), (-1, 4))],
)
def test_slices_outside_the_input_are_refused(begin, size):
    with pytest.raises(UnsupportedOperatorError, match="elements from"):
        Interpreter(slice_model((3, 4), begin, size)).allocate_tensors()


@pytest.mark.parametrize(("begin", "size"), [((0, 4), (3, 1)), ((0, 2), (3, 3)), ((0, 0), (-2, 4))])
def test_tflite_refuses_them_too(begin, size):
    assert refusal(slice_model((3, 4), begin, size), [np.zeros((3, 4), np.int8)])


@pytest.mark.parametrize("dtype", DTYPES)
def test_transpose_of_every_dtype(dtype):
    x = random_values(np.random.default_rng(2), (2, 3, 4, 5), dtype)
    (y,) = check(transpose_model(x.shape, (0, 3, 1, 2), dtype), [x])
    assert_same_bits(y, run_page("transpose")["transpose"](x, (0, 3, 1, 2)))


@pytest.mark.parametrize("shape", [(7,), (5, 3), (2, 1, 4), (2, 3, 1, 5)])
def test_every_permutation(shape):
    rng = np.random.default_rng(3)
    page = run_page("transpose")["transpose"]
    for perm in itertools.permutations(range(len(shape))):
        x = random_values(rng, shape, "int16")
        (y,) = check(transpose_model(shape, perm, "int16"), [x])
        assert_same_bits(y, page(x, perm))


@pytest.mark.parametrize("perm", [(5, 4, 3, 2, 1, 0), (0, 2, 1, 4, 3, 5), (-1, 0, -2, 1, 2, 3)])
def test_six_dimensions(perm):
    x = random_values(np.random.default_rng(4), (2, 3, 1, 4, 2, 3), "float32")
    (y,) = check(transpose_model(x.shape, perm, "float32"), [x])
    assert_same_bits(y, run_page("transpose")["transpose"](x, perm))


@pytest.mark.parametrize(
    ("perm", "words"), [((0, 2), "axis"), ((0,), "values; expected 2"), ((0, 0), "each dimension")]
)
def test_what_transpose_refuses(perm, words):
    with pytest.raises(UnsupportedOperatorError, match=words):
        Interpreter(transpose_model((2, 3), perm)).allocate_tensors()
