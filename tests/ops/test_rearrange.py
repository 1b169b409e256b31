"""Operators that copy to other places: each dtype and profile in one graph against its oracle; refusals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantcore.errors import KernelError, UnsupportedOperatorError
from quantcore.graph import Tensor
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
    op_model,
    random_values,
    refusal,
    run_ours,
    run_page,
    tensor,
)

DTYPES = ("float32", "int8", "uint8", "int16", "int32", "int64", "bool")
QUANTIZED = {"int8": (0.5, -7), "uint8": (0.5, 131), "int16": (0.5, 0)}
SHAPE = (6, 4, 3, 8)  # of the input that all operators of a graph read


class Case(NamedTuple):
    op: str
    constants: tuple[Tensor, ...]
    options: Mapping[str, Any]
    page: str
    arguments: tuple[Any, ...]
    dtypes: tuple[str, ...]


SPACED = ("float32", "int8", "uint8", "int32", "int64")
BATCHED = (*SPACED, "int16")
TILED = (*SPACED, "bool")


def cases() -> Iterator[Case]:
    """Yield operators on an input of shape `SHAPE`, and what their page computes them with."""
    yield Case("DEPTH_TO_SPACE", (), {"block_size": 2}, "space_to_depth", (2,), SPACED)
    yield Case("SPACE_TO_DEPTH", (), {"block_size": 1}, "space_to_depth", (1,), SPACED)
    blocks, pads, crops = (2, 3), ((1, 3), (0, 3)), ((1, 2), (3, 0))
    yield Case(
        "SPACE_TO_BATCH_ND", (i32(*blocks), i32(*pads)), {}, "space_to_batch_nd", (blocks, pads), BATCHED
    )
    yield Case(
        "BATCH_TO_SPACE_ND", (i32(*blocks), i32(*crops)), {}, "space_to_batch_nd", (blocks, crops), BATCHED
    )
    for mode, most in (("REFLECT", 2), ("SYMMETRIC", 3)):
        paddings = ((0, 1), (2, 3), (1, most), (0, 0))
        yield Case("MIRROR_PAD", (i32(*paddings),), {"mode": mode}, "mirror_pad", (paddings, mode), BATCHED)
    yield Case("TILE", (i32(2, 1, 3, 2),), {}, "tile", ((2, 1, 3, 2),), TILED)
    yield Case("BROADCAST_TO", (i32(2, *SHAPE),), {}, "tile", ((2, *SHAPE),), DTYPES)
    yield Case("REVERSE_V2", (i32(1, 2),), {}, "reverse_v2", ((1, 2),), DTYPES)
    yield Case("REVERSE_V2", (i32(-1),), {}, "reverse_v2", ((-1,),), DTYPES)
    lengths = (0, 8, 3, 1)
    for options in ({"seq_dim": 3, "batch_dim": 1}, {"seq_dim": 1, "batch_dim": 3}):
        values = lengths if options["seq_dim"] == 3 else (0, 4, 3, 1, 2, 4, 1, 0)
        arguments = (values, options["seq_dim"], options["batch_dim"])
        yield Case(
            "REVERSE_SEQUENCE",
            (i32(*values),),
            options,
            "reverse_v2",
            arguments,
            tuple(set(BATCHED) - {"int8"}),
        )


def version(op: str) -> int:
    return 2 if op == "BROADCAST_TO" else 1  # whose first version was withdrawn


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("numerics", PROFILES)
def test_every_operator(numerics: str, dtype: str) -> None:
    parameters = QUANTIZED.get(dtype, (None, 0))
    chosen = [c for c in cases() if dtype in c.dtypes and has_rule(numerics, c.op, dtype)]
    tensors = {"x": tensor(SHAPE, dtype, *parameters)}
    ops = []
    for number, case in enumerate(chosen):
        names = [f"{number}.{k}" for k in range(len(case.constants))]
        tensors |= dict(zip(names, case.constants, strict=True))
        tensors[f"{number}.y"] = tensor((), dtype, *parameters)
        ops.append(Op(case.op, ["x", *names], [f"{number}.y"], case.options, version=version(case.op)))
    model = graph_model(tensors, ops, ["x"], [f"{number}.y" for number in range(len(chosen))])
    x = random_values(np.random.default_rng(0), SHAPE, dtype)
    outputs = check(model, [x], numerics=numerics)
    for case, y in zip(chosen, outputs, strict=True):
        extra: dict[str, Any] = {}
        if case.op == "SPACE_TO_BATCH_ND":
            extra["zero_point"] = 0 if numerics == "tflm" else parameters[1]
        expected = run_page(case.page)[case.op.lower()](x, *case.arguments, **extra)
        assert_same_bits(expected, y, f"page {case.page}, {case.op}")


@given(
    batch=st.integers(1, 3),
    block=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    grid=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    before=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    spatial=st.sampled_from([1, 2]),
    reverse=st.booleans(),
)
@settings(max_examples=25)
def test_blocks(batch: int, block: Any, grid: Any, before: Any, spatial: int, reverse: bool) -> None:
    margin = [[b, (-b) % s + (s if b % 2 else 0)] for b, s in zip(before, block, strict=True)]
    if reverse:
        margin = [[min(b, g * s - 1), 0] for (b, _), g, s in zip(margin, grid, block, strict=True)]
        shape = (batch * int(np.prod(block[:spatial])), *grid[:spatial], 2)
    else:
        shape = (batch, *(g * s for g, s in zip(grid, block, strict=True)), 2)
        shape = (*shape[: spatial + 1], 2)
    op = "BATCH_TO_SPACE_ND" if reverse else "SPACE_TO_BATCH_ND"
    model = op_model(
        op,
        [tensor(shape, "int8", 0.5, 3), i32(*block[:spatial]), i32(*margin[:spatial])],
        [tensor((), "int8", 0.5, 3)],
        version=2,
    )
    x = random_values(np.random.default_rng(1), shape)
    (y,) = check(model, [x])
    extra = {} if reverse else {"zero_point": 3}
    page = run_page("space_to_batch_nd")[op.lower()]
    assert_same_bits(page(x, block[:spatial], margin[:spatial], **extra), y, "page")


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int16", "int32", "int64"])
@pytest.mark.parametrize("numerics", TFLITE)
def test_topk(numerics: str, dtype: str) -> None:
    rng, page = np.random.default_rng(2), run_page("topk_v2")["topk_v2"]
    tensors = {"x": tensor((5, 3, 9), dtype)}
    ops, sizes = [], (1, 4, 9)
    for k in sizes:
        tensors |= {f"k{k}": const(np.array(k, np.int32)), f"v{k}": tensor((), dtype)}
        tensors[f"p{k}"] = tensor((), "int16" if k == 4 else "int32")
        ops.append(Op("TOPK_V2", ["x", f"k{k}"], [f"v{k}", f"p{k}"], version=3))
    model = graph_model(tensors, ops, ["x"], [f"{n}{k}" for k in sizes for n in "vp"])
    x = random_values(rng, (5, 3, 9), dtype)
    x[1:3] = rng.integers(0, 3, x[1:3].shape)  # ties
    outputs = check(model, [x], numerics=numerics)
    for position, k in enumerate(sizes):
        values, places = page(x, k)
        assert_same_bits(values, outputs[2 * position], "page, values")
        assert np.array_equal(places, outputs[2 * position + 1])


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int32", "int64", "bool"])
@pytest.mark.parametrize("numerics", TFLITE)
def test_one_hot(numerics: str, dtype: str) -> None:
    rng, page = np.random.default_rng(3), run_page("one_hot")["one_hot"]
    on, off = random_values(rng, (2,), dtype)
    tensors: dict[str, Tensor] = {
        "d": const(np.array(5, np.int32)),
        "on": const(on.reshape(())),
        "off": const(off.reshape(())),
    }
    ops, axes = [], (-1, 0, 1)
    for index_dtype in ("int32", "int64"):
        tensors[index_dtype] = tensor((2, 3), index_dtype)
        for axis in axes:
            name = f"{index_dtype}.{axis}"
            tensors[name] = tensor((), dtype)
            ops.append(Op("ONE_HOT", [index_dtype, "d", "on", "off"], [name], {"axis": axis}))
    model = graph_model(tensors, ops, ["int32", "int64"], [op.outputs[0] for op in ops])
    narrow = rng.integers(-2, 7, (2, 3)).astype(np.int32)
    wide = narrow + np.array([0, 2**32, 2**33], np.int64)  # of which the low 32 bits count
    outputs = check(model, [narrow, wide], numerics=numerics)
    for op, y in zip(ops, outputs, strict=True):
        indices = wide if op.inputs[0] == "int64" else narrow
        assert op.options is not None
        assert_same_bits(page(indices, 5, on, off, op.options["axis"]), y, "page")


@pytest.mark.parametrize("numerics", PROFILES)
def test_values_that_follow_from_shapes(numerics: str) -> None:
    page = run_page("tile")
    expected: dict[str, np.ndarray] = {}
    tensors = {"x": tensor((2, 3), "float32")}
    ops = []

    def add(op: str, dtype: str, inputs: list[Tensor | str], value: np.ndarray) -> None:
        if not has_rule(numerics, op, dtype):
            return
        number = len(ops)
        names = [t if isinstance(t, str) else f"{number}.{k}" for k, t in enumerate(inputs)]
        tensors.update((n, t) for n, t in zip(names, inputs, strict=True) if isinstance(t, Tensor))
        tensors[f"{number}"] = tensor((), dtype)
        ops.append(Op(op, names, [f"{number}"], version=1))
        expected[f"{number}"] = value

    add("RANK", "int32", ["x"], np.array(2, np.int32))
    add("ZEROS_LIKE", "float32", ["x"], np.zeros((2, 3), np.float32))
    for dtype in ("int32", "int64"):
        shapes = [np.array(s, dtype) for s in ((4, 1, 3), (5, 1))]
        add("BROADCAST_ARGS", dtype, [const(s) for s in shapes], np.array([4, 5, 3], dtype))
    for dtype, (start, limit, delta) in {
        "int32": (7, -5, -3),
        "int64": (2**40, 2**40 + 9, 3),
        "float32": (-0.3, 1.7, 0.1),
    }.items():
        numbers = [np.array(v, dtype) for v in (start, limit, delta)]
        add("RANGE", dtype, [const(v) for v in numbers], page["range_"](*numbers))
    for dtype in ("float32", "int8", "int16", "int32", "int64", "bool"):
        value = random_values(np.random.default_rng(4), (), dtype)
        add("FILL", dtype, [i32(3, 2), const(value)], page["fill"]((3, 2), value))
    outputs = check(
        graph_model(tensors, ops, ["x"], list(expected)), [np.zeros((2, 3), np.float32)], numerics=numerics
    )
    for y, wanted in zip(outputs, expected.values(), strict=True):
        assert_same_bits(wanted, y, "page tile")


def test_fill_with_data() -> None:
    model = op_model("FILL", [i32(2, 3), tensor((), "int8")], [tensor((), "int8")], version=2)
    check(model, [np.array(-77, np.int8)])


REFUSED = [
    ("DEPTH_TO_SPACE", (1, 2, 2, 6), (), {"block_size": 2}, "do not divide"),
    ("SPACE_TO_DEPTH", (1, 3, 2, 6), (), {"block_size": 2}, "do not divide"),
    ("SPACE_TO_BATCH_ND", (1, 3, 2, 6), (i32(2, 2), i32((0, 0), (0, 0))), {}, "do not divide"),
    ("BATCH_TO_SPACE_ND", (3, 3, 2, 6), (i32(2, 2), i32((0, 0), (0, 0))), {}, "do not divide"),
    ("SPACE_TO_BATCH_ND", (2, 3), (i32(2), i32((0, 1))), {}, "three or four dimensions"),
    ("BROADCAST_TO", (2, 3), (i32(2, 4),), {}, "does not broadcast"),
    ("REVERSE_V2", (2, 3), (i32(2),), {}, "axis is 2"),
    ("REVERSE_SEQUENCE", (2, 3), (i32(1, 2, 3),), {"seq_dim": 1, "batch_dim": 0}, "lengths have"),
]


@pytest.mark.parametrize(("op", "shape", "constants", "options", "reason"), REFUSED)
def test_what_both_refuse(
    op: str, shape: tuple[int, ...], constants: Any, options: Mapping[str, Any], reason: str
) -> None:
    model = op_model(
        op, [tensor(shape, "float32"), *constants], [tensor((), "float32")], options, version=version(op)
    )
    assert refusal(model, [np.zeros(shape, np.float32)])
    with pytest.raises(UnsupportedOperatorError, match=reason):
        Interpreter(model).allocate_tensors()


@pytest.mark.parametrize(
    ("op", "constants", "options", "reason"),
    [
        ("DEPTH_TO_SPACE", (), {"block_size": 0}, "block_size is 0"),
        ("DEPTH_TO_SPACE", (), {"block_size": 2**30}, "do not divide"),
        ("SPACE_TO_BATCH_ND", (i32(0, 1), i32((0, 0), (0, 0))), {}, "blocks are"),
        ("BATCH_TO_SPACE_ND", (i32(1, 1), i32((9, 9), (0, 0))), {}, "crops"),
        ("BATCH_TO_SPACE_ND", (i32(1, 1), i32((-1, 0), (0, 0))), {}, "no negative rows"),
        ("MIRROR_PAD", (i32((0, 0), (4, 0), (0, 0), (0, 0)),), {"mode": "REFLECT"}, "mirrors at most 3"),
        ("MIRROR_PAD", (i32((0, 0), (5, 0), (0, 0), (0, 0)),), {"mode": "SYMMETRIC"}, "mirrors at most 4"),
        ("TILE", (i32(1, -1, 1, 1),), {}, r"input 1\) are \[1, -1, 1, 1\]"),
        ("BROADCAST_TO", (i32(-1, 4, 3, 8),), {}, r"input 1\) are \[-1, 4, 3, 8\]"),
        ("REVERSE_V2", (i32(1, -3),), {}, "at most once"),
        ("REVERSE_SEQUENCE", (i32(1, 1, 1, 1, 1, 1),), {"seq_dim": 1, "batch_dim": 1}, "two dimensions"),
        ("REVERSE_SEQUENCE", (i32(1, 1, 1, 1, 1, 1),), {"seq_dim": 9, "batch_dim": 0}, "two dimensions"),
    ],
)
def test_what_is_refused(op: str, constants: Any, options: Mapping[str, Any], reason: str) -> None:
    inputs = [tensor(SHAPE, "float32"), *constants]
    with pytest.raises(UnsupportedOperatorError, match=reason):
        Interpreter(op_model(op, inputs, [tensor((), "float32")], options)).allocate_tensors()


@pytest.mark.parametrize("multiple", [2**30, 2**31 - 1])
def test_too_many_elements_are_refused(multiple: int) -> None:
    model = op_model("TILE", [tensor((2, 2), "int8"), i32(multiple, 2)], [tensor((), "int8")])
    with pytest.raises(KernelError, match="elements"):
        Interpreter(model).allocate_tensors()


def test_a_range_that_is_refused() -> None:
    for numbers in ((0, 5, 0), (0, 5, -1), (0, 2**31 - 1, 1), (-(2**31), 2**31 - 1, 2)):
        model = op_model("RANGE", [i32(n) for n in numbers], [tensor((), "int32")])
        with pytest.raises(UnsupportedOperatorError):
            Interpreter(model).allocate_tensors()


def test_a_length_that_does_not_fit_is_an_error() -> None:
    model = op_model(
        "REVERSE_SEQUENCE",
        [tensor((2, 3), "float32"), tensor((2,), "int32")],
        [tensor((), "float32")],
        {"seq_dim": 1, "batch_dim": 0},
    )
    for length in (-1, 4):
        with pytest.raises(KernelError, match="out of range"):
            run_ours(model, [np.zeros((2, 3), np.float32), np.array([1, length], np.int32)])


def test_topk_refuses_more_than_there_are() -> None:
    for k in (-1, 0, 10):
        model = op_model(
            "TOPK_V2", [tensor((2, 9), "int8"), i32(k)], [tensor((), "int8"), tensor((), "int32")]
        )
        with pytest.raises(UnsupportedOperatorError, match="takes"):
            Interpreter(model).allocate_tensors()


HUGE = 2**20


@pytest.mark.parametrize(
    ("op", "shape", "constants", "options"),
    [
        ("MIRROR_PAD", (HUGE, HUGE, 0), (i32((0, 0), (0, 0), (0, 0)),), {"mode": "SYMMETRIC"}),
        ("REVERSE_SEQUENCE", (1, HUGE, HUGE, 0), (i32(1),), {"seq_dim": 1, "batch_dim": 0}),
        ("SPACE_TO_BATCH_ND", (1, HUGE, HUGE, 0), (i32(1, 1), i32((0, 0), (0, 0))), {}),
        ("SPACE_TO_BATCH_ND", (1, 0, 0, 1), (i32(HUGE, HUGE), i32((0, 0), (0, 0))), {}),
        ("BATCH_TO_SPACE_ND", (1, HUGE, HUGE, 0), (i32(1, 1), i32((0, 0), (0, 0))), {}),
        ("CUMSUM", (HUGE, 0, HUGE), (i32(1),), {}),
        ("TILE", (HUGE, 0, HUGE), (i32(1, 1, 1),), {}),
        ("REVERSE_V2", (HUGE, 0, HUGE), (i32(0, 2),), {}),
    ],
)
def test_no_elements_take_no_time(op: str, shape: Any, constants: Any, options: Mapping[str, Any]) -> None:
    model = op_model(op, [tensor(shape, "float32"), *constants], [tensor((), "float32")], options)
    (y,) = run_ours(model, [np.zeros(shape, np.float32)])
    assert y.size == 0


def test_no_elements_of_an_extent_that_numpy_cannot_hold() -> None:
    shape = (HUGE, 0, HUGE)
    model = op_model("TILE", [tensor(shape, "float32"), i32(2**30, 1, 1)], [tensor((), "float32")])
    with pytest.raises(KernelError, match="multiply to more"):
        run_ours(model, [np.zeros(shape, np.float32)])


def test_one_hot_of_nothing() -> None:
    values = [const(np.array(v, np.float32)) for v in (1, 0)]
    inputs = [tensor((HUGE, 0, HUGE), "int32"), const(np.array(2**18, np.int32)), *values]
    model = op_model("ONE_HOT", inputs, [tensor((), "float32")], {"axis": 0})
    assert run_ours(model, [np.zeros((HUGE, 0, HUGE), np.int32)])[0].size == 0
