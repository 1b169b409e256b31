"""SPLIT, SPLIT_V, UNPACK against TFLite."""

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

DTYPES = ("int8", "uint8", "int16", "int32", "float32")
SHAPE = (4, 6, 3)


def split_model(axis, count, dtype="int8", stated=None):
    inputs = [const(np.array(axis, np.int32)), tensor(SHAPE, dtype)]
    outputs = [tensor((), dtype) for _ in range(count)]
    return op_model("SPLIT", inputs, outputs, {"num_splits": stated or count})


def split_v_model(axis, sizes, dtype="int8", sizes_dtype="int32"):
    inputs = [tensor(SHAPE, dtype), const(np.array(sizes, sizes_dtype)), const(np.array(axis, np.int32))]
    outputs = [tensor((), dtype) for _ in sizes]
    return op_model("SPLIT_V", inputs, outputs, {"num_splits": len(sizes)})


def unpack_model(axis, count, dtype="int8", scales=(None, None)):
    outputs = [tensor((), dtype, scales[1]) for _ in range(count)]
    return op_model("UNPACK", [tensor(SHAPE, dtype, scales[0])], outputs, {"num": count, "axis": axis})


def values(dtype):
    return random_values(np.random.default_rng(0), SHAPE, dtype)


def refused_by_both(model):
    assert refusal(model, [values("int8")])
    with pytest.raises(UnsupportedOperatorError):
        Interpreter(model).allocate_tensors()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("axis", "count"), [(0, 2), (0, 4), (1, 3), (2, 3), (-1, 1), (-2, 2)])
def test_split(dtype, axis, count):
    x = values(dtype)
    parts = check(split_model(axis, count, dtype), [x])
    for part, expected in zip(parts, run_page("split")["split"](axis, x, count), strict=True):
        assert_same_bits(part, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("axis", "sizes"), [(0, (1, 3)), (1, (2, -1, 1)), (-1, (-1,)), (1, (6, 0)), (2, (1, 1, 1))]
)
def test_split_v(dtype, axis, sizes):
    x = values(dtype)
    parts = check(split_v_model(axis, sizes, dtype, "int64" if axis else "int32"), [x])
    for part, expected in zip(parts, run_page("split")["split_v"](x, sizes, axis), strict=True):
        assert_same_bits(part, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_unpack(dtype, axis):
    x = values(dtype)
    parts = check(unpack_model(axis, SHAPE[axis], dtype), [x])
    for part, expected in zip(parts, run_page("split")["unpack"](x, axis), strict=True):
        assert_same_bits(part, expected)


@pytest.mark.parametrize(
    "model",
    [
        split_model(1, 4),
        split_model(3, 1),
        split_model(-4, 1),
        split_model(0, 2, stated=4),
        split_v_model(0, (1, 2)),
        split_v_model(0, (1, -1, -1)),
        split_v_model(0, (5, -1)),
        unpack_model(0, 3),
        unpack_model(3, 3),
        unpack_model(0, 4, scales=(0.5, 0.25)),
    ],
    ids=lambda model: model.subgraphs[0].operators[0].op,
)
def test_what_both_refuse(model):
    refused_by_both(model)


def test_split_v_refuses_negative_sizes():
    with pytest.raises(UnsupportedOperatorError, match="do not add up"):
        Interpreter(split_v_model(0, (6, -2))).allocate_tensors()
