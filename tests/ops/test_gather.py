"""GATHER against TFLite."""

import numpy as np
import pytest

from quantcore.errors import KernelError, UnsupportedOperatorError
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


def gather_model(shape, indices, axis=0, batch_dims=0, dtype="int8"):
    options = {"axis": axis, "batch_dims": batch_dims}
    return op_model("GATHER", [tensor(shape, dtype), indices], [tensor((), dtype)], options, version=2)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "float32", "bool"])
@pytest.mark.parametrize("index_dtype", ["int32", "int64"])
def test_every_dtype(dtype, index_dtype):
    rng = np.random.default_rng(0)
    x = random_values(rng, (5, 3, 4), dtype)
    indices = np.array([[4, 0], [2, 2]], index_dtype)
    model = gather_model(x.shape, tensor(indices.shape, index_dtype), dtype=dtype)
    (y,) = check(model, [x, indices])
    assert_same_bits(y, run_page("gather")["gather"](x, indices))


@pytest.mark.parametrize(
    ("axis", "batch_dims", "indices_shape"),
    [
        (0, 0, ()),
        (1, 0, (3,)),
        (2, 0, (2, 2)),
        (-1, 0, (2,)),
        (1, 1, (2, 3)),
        (2, 1, (2, 3)),
        (2, 1, (2,)),
        (2, 2, (2, 3, 4)),
        (3, 2, (2, 3)),
        (1, -1, (2, 3)),
    ],
)
def test_axes_and_batches(axis, batch_dims, indices_shape):
    rng = np.random.default_rng(1)
    x = random_values(rng, (2, 3, 4, 5), "int16")
    indices = rng.integers(0, x.shape[axis], indices_shape, dtype=np.int32)
    (y,) = check(gather_model(x.shape, const(indices), axis, batch_dims, "int16"), [x])
    assert_same_bits(
        y,
        run_page("gather")["gather"](x, indices, axis % 4, batch_dims % 2 if batch_dims < 0 else batch_dims),
    )


@pytest.mark.parametrize("index", [5, -1, 2**31 - 1])
def test_an_index_out_of_range_is_an_error(index):
    indices = np.array([0, index], np.int32)
    with pytest.raises(UnsupportedOperatorError, match="outside"):
        Interpreter(gather_model((5,), const(indices))).allocate_tensors()
    model = gather_model((5,), tensor((2,), "int32"))
    assert refusal(model, [np.zeros(5, np.int8), indices])
    with pytest.raises(KernelError, match="out of range"):
        Interpreter(model).run([np.zeros(5, np.int8), indices])


@pytest.mark.parametrize(
    ("axis", "batch_dims", "indices_shape"), [(2, 0, (1,)), (0, 1, (5,)), (1, 1, (4, 2))]
)
def test_what_both_refuse(axis, batch_dims, indices_shape):
    model = gather_model((5, 3), const(np.zeros(indices_shape, np.int32)), axis, batch_dims)
    assert refusal(model, [np.zeros((5, 3), np.int8)])
    with pytest.raises(UnsupportedOperatorError):
        Interpreter(model).allocate_tensors()
