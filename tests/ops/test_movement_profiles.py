"""Every operator that only copies, in every dtype that a profile has; what moves elements by index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from quantcore.errors import KernelError, UnsupportedOperatorError
from quantcore.graph import Model, Tensor
from quantcore.runtime import Interpreter
from tests.ops.harness import (
    PROFILES,
    TFLITE,
    Op,
    assert_same_bits,
    check,
    const,
    graph_model,
    has_rule,
    i32,
    i32_scalar,
    op_model,
    random_values,
    refusal,
    run_ours,
    run_page,
    tensor,
    with_shapes,
)

DTYPES = ("float32", "int8", "uint8", "int16", "int32", "int64", "bool")
QUANTIZED = {"int8": (0.5, -7), "uint8": (0.5, 131), "int16": (0.5, 0)}
SHAPE = (2, 4, 6)
NOT_IN_LITE = {("PACK", "bool"), ("UNPACK", "int64"), ("SPLIT", "bool"), ("SPLIT_V", "bool")}


def cases(value: Tensor) -> Iterator[tuple[str, list[Tensor | None], int, Mapping[str, Any]]]:
    """Yield operator, inputs (None: the common one), number of outputs and options."""
    yield "CONCATENATION", [None, None], 1, {"axis": 1}
    yield "PACK", [None, None], 1, {"axis": -1, "values_count": 2}
    yield "UNPACK", [None], 4, {"axis": 1, "num": 4}
    yield "SPLIT", [i32_scalar(2), None], 3, {"num_splits": 3}
    yield "SPLIT_V", [None, i32(1, 2, -1), i32_scalar(2)], 3, {"num_splits": 3}
    yield "SLICE", [None, i32(0, 1, 1), i32(2, -1, 3)], 1, {}
    strided: list[tuple[Any, Any, Any, Mapping[str, Any]]] = [
        ((0, 3, 1), (2, 0, 6), (1, -1, 2), {}),
        ((0, 0, 5), (0, 0, 0), (1, 3, -2), {"begin_mask": 3, "end_mask": 7}),
        ((1, 0, -2), (2, 4, 0), (1, 1, 1), {"shrink_axis_mask": 5}),
        ((0, 0, 2), (0, 0, 5), (1, 1, 1), {"begin_mask": 3, "end_mask": 3}),
    ]
    for begin, end, step, options in strided:
        yield "STRIDED_SLICE", [None, i32(*begin), i32(*end), i32(*step)], 1, options
    yield "GATHER", [None, i32(3, 0, 3)], 1, {"axis": 1}
    yield "GATHER", [None, i32((3, 0), (1, 1))], 1, {"axis": 1, "batch_dims": 1}
    yield "GATHER_ND", [None, i32((1, 3), (0, 2))], 1, {}
    yield "PAD", [None, i32((1, 0), (0, 2), (3, 1))], 1, {}
    yield "PADV2", [None, i32((1, 0), (0, 2), (3, 1)), value], 1, {}
    yield "TRANSPOSE", [None, i32(2, 0, 1)], 1, {}
    yield "RESHAPE", [None, i32(8, 6)], 1, {"new_shape": (8, 6)}
    yield "EXPAND_DIMS", [None, i32_scalar(-1)], 1, {}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("numerics", PROFILES)
def test_copies(numerics: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    parameters = QUANTIZED.get(dtype, (None, 0))
    tensors = {"x": tensor(SHAPE, dtype, *parameters)}
    ops: list[Op] = []
    for op, inputs, count, options in cases(const(random_values(rng, (), dtype), *parameters)):
        if not has_rule(numerics, op, dtype) or (op, dtype) in NOT_IN_LITE:
            continue
        number = len(ops)
        names = ["x" if t is None else f"{number}.{k}" for k, t in enumerate(inputs)]
        tensors |= {name: t for name, t in zip(names, inputs, strict=True) if t is not None}
        outputs = [f"{number}.y{k}" for k in range(count)]
        tensors |= {name: tensor((), dtype, *parameters) for name in outputs}
        ops.append(Op(op, names, outputs, options))
    model = graph_model(tensors, ops, ["x"], [name for op in ops for name in op.outputs])
    check(model, [random_values(rng, SHAPE, dtype)], numerics=numerics)


def copy(op: str, dtype: str, constants: list[Tensor], options: Mapping[str, Any]) -> Model:
    first, second = {"int8": (1, -4), "uint8": (131, 99)}[dtype]
    inputs = [tensor((1, 4, 4, 4), dtype, 0.5, first), *constants]
    return op_model(op, inputs, [tensor((), dtype, 0.25, second)], options)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize(
    ("op", "constants", "options"),
    [
        ("SLICE", [i32(0, 0, 0, 1), i32(1, 4, 4, 2)], {}),
        ("TRANSPOSE", [i32(0, 2, 1, 3)], {}),
        ("PAD", [i32((0, 0), (1, 1), (0, 0), (0, 0))], {}),
        ("SPACE_TO_DEPTH", [], {"block_size": 2}),
        ("DEPTH_TO_SPACE", [], {"block_size": 2}),
        ("STRIDED_SLICE", [i32(0, 0, 0, 1), i32(1, 4, 4, 3), i32(1, 1, 1, 1)], {}),
    ],
)
def test_the_delegate_fails_where_parameters_differ(
    op: str, constants: list[Tensor], options: Mapping[str, Any], dtype: str
) -> None:
    model = copy(op, dtype, constants, options)
    x = random_values(np.random.default_rng(1), (1, 4, 4, 4), dtype)
    check(model, [x], numerics="optimized")
    assert "failed to delegate" in refusal(with_shapes(model, [x]), [x], numerics="xnnpack")
    with pytest.raises(UnsupportedOperatorError, match="parameters differ"):
        Interpreter(model, "xnnpack").allocate_tensors()


@pytest.mark.parametrize("numerics", PROFILES)
@pytest.mark.parametrize(
    ("op", "constants", "options"),
    [
        ("EXPAND_DIMS", [i32_scalar(0)], {}),
        ("MIRROR_PAD", [i32((0, 0), (1, 1), (0, 0), (0, 0))], {"mode": "REFLECT"}),
    ],
)
def test_every_backend_refuses_other_parameters(
    op: str, constants: list[Tensor], options: Mapping[str, Any], numerics: str
) -> None:
    model = copy(op, "int8", constants, options)
    if numerics != "tflm":  # which asks the optimized kernels for shapes
        assert refusal(model, [np.zeros((1, 4, 4, 4), np.int8)], numerics=numerics)
    with pytest.raises(UnsupportedOperatorError, match="parameters differ"):
        Interpreter(model, numerics).allocate_tensors()


@pytest.mark.parametrize("numerics", TFLITE)
def test_scatter_nd(numerics: str) -> None:
    rng, page = np.random.default_rng(2), run_page("scatter_nd")["scatter_nd"]
    for dtype in ("float32", "int8", "uint8", "int32", "int64"):
        for shape, indices in (
            ((5, 4), [[1], [3], [1]]),
            ((3, 4, 2), [[2, 3], [0, 0], [2, 3]]),
            ((6,), [[5], [0]]),
        ):
            places = np.array(indices, np.int32)
            updates = random_values(rng, (len(places), *shape[places.shape[1] :]), dtype)
            inputs = [tensor(places.shape, "int32"), tensor(updates.shape, dtype), i32(*shape)]
            (y,) = check(
                op_model("SCATTER_ND", inputs, [tensor((), dtype)]), [places, updates], numerics=numerics
            )
            with np.errstate(over="ignore"):
                assert_same_bits(page(places, updates, shape), y, "page scatter_nd")


@pytest.mark.parametrize("numerics", PROFILES)
def test_dynamic_update_slice(numerics: str) -> None:
    rng, page = np.random.default_rng(3), run_page("scatter_nd")["dynamic_update_slice"]
    for dtype in ("float32", "int8", "int16", "int32", "int64", "bool"):
        if not has_rule(numerics, "DYNAMIC_UPDATE_SLICE", dtype):
            continue
        for shape, part in (
            ((4, 5, 3), (2, 3, 3)),
            ((7,), (2,)),
            ((4, 5), (4, 5)),
            ((2, 3, 2, 4), (1, 2, 2, 1)),
        ):
            x, update = random_values(rng, shape, dtype), random_values(rng, part, dtype)
            start = rng.integers(-2, 6, len(shape)).astype(np.int32)
            inputs = [tensor(shape, dtype), tensor(part, dtype), tensor(start.shape, "int32")]
            model = op_model("DYNAMIC_UPDATE_SLICE", inputs, [tensor((), dtype)])
            (y,) = check(model, [x, update, start], numerics=numerics)
            assert_same_bits(page(x, update, start), y, "page scatter_nd")


def test_scatter_refuses_what_does_not_fit() -> None:
    def model(indices: Tensor, updates: tuple[int, ...]) -> Model:
        return op_model("SCATTER_ND", [indices, tensor(updates, "int8"), i32(5, 4)], [tensor((), "int8")])

    for shape, updates, reason in (((2, 1), (2, 3), "updates have"), ((2, 3), (2,), "indices have")):
        with pytest.raises(UnsupportedOperatorError, match=reason):
            Interpreter(model(tensor(shape, "int32"), updates)).allocate_tensors()
    for index in (-1, 5):
        values = [np.array([[index]], np.int32), np.zeros((1, 4), np.int8)]
        with pytest.raises(KernelError, match="out of range"):
            run_ours(model(tensor((1, 1), "int32"), (1, 4)), values)
