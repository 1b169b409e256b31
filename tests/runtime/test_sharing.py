"""Plans in which tensors share memory, and PAD is a part of convolutions: values as if all were kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from quantcore.flatbuffer import load
from quantcore.graph import Model, Tensor
from quantcore.numerics import PROFILES
from quantcore.ops.registry import load_operators
from quantcore.runtime import Interpreter
from quantcore.samples import random_samples
from tests.ops.examples import example, forms, inputs_of
from tests.ops.harness import (
    TFLITE,
    Op,
    bias_scale,
    const,
    graph_model,
    i32,
    instruction_sets,
    random_values,
    tensor,
    using,
)


def x8(shape: Sequence[int]) -> Tensor:
    return tensor(shape, "int8", 0.05, -3)


def op(name: str, inputs: str, outputs: str, **options: object) -> Op:
    """Return an operator; names are parted by blanks, "-" is an omitted input."""
    return Op(name, [n.strip("-") for n in inputs.split()], outputs.split(), options)


def steps_of(interpreter: Interpreter) -> list[str]:
    return [step.call.name for step in interpreter._session._executable.lowered.steps]


def arena_of(interpreter: Interpreter) -> int:
    plan = interpreter._session._executable.plan
    return int(plan.arena_bytes)


def assert_same_runs(model: Model, numerics: str = "reference", runs: int = 2) -> list[str]:
    """Run a plan that shares memory, and one that does not, on the same inputs; return the first's steps.

    Inputs must be as they were, so that they need not be set again.
    """
    sharing = Interpreter(model, numerics)
    keeping = Interpreter(model, numerics, experimental_preserve_all_tensors=True)
    for interpreter in (sharing, keeping):
        interpreter.allocate_tensors()
    for _, x in zip(range(runs), random_samples(model, 0, runs, 0), strict=True):
        for interpreter in (sharing, keeping):
            for detail, value in zip(interpreter.get_input_details(), x, strict=True):
                interpreter.set_tensor(detail["index"], np.resize(value, detail["shape"]))
            interpreter.invoke()
        for _ in range(2):
            for detail in (*sharing.get_output_details(), *sharing.get_input_details()):
                t = detail["index"]
                np.testing.assert_array_equal(sharing.get_tensor(t), keeping.get_tensor(t), str(t))
            if model.subgraphs[0].variables():
                break
            sharing.invoke()
    assert arena_of(sharing) <= arena_of(keeping)
    return steps_of(sharing)


def shared(
    tensors: Mapping[str, Tensor], operators: Sequence[Op], inputs: str, outputs: str, runs: int = 2
) -> list[str]:
    return assert_same_runs(graph_model(tensors, operators, inputs.split(), outputs.split()), runs=runs)


IMAGE = {n: x8((2, 3, 4)) for n in "abcd"} | {n: x8((6, 4)) for n in "rst"} | {"shape": i32(6, 4)}


def test_a_reshape_is_not_copied() -> None:
    chain = [op("ABS", "a", "b"), op("RESHAPE", "b shape", "r"), op("ABS", "r", "s")]
    assert shared(IMAGE, chain, "a", "s") == ["abs_s8", "abs_s8"]
    assert shared(IMAGE, chain[:2], "a", "r") == ["abs_s8"]  # made in the graph's output
    assert shared(IMAGE, chain, "a", "s b") == ["abs_s8", "abs_s8"]
    assert shared(IMAGE, chain, "a", "s r") == ["abs_s8", "abs_s8"]
    assert shared(IMAGE, chain[1:2], "b", "r") == ["copy"]  # from end to end of the graph
    assert shared(IMAGE, [op("RESHAPE", "b shape", "r"), op("ABS", "r", "s")], "b", "s") == ["abs_s8"]
    assert shared(IMAGE, chain[:2], "a", "r b") == ["abs_s8", "copy"]  # two outputs of the graph
    twice = [*chain[:2], op("RESHAPE", "b shape", "s")]
    assert shared(IMAGE, twice, "a", "r s") == ["abs_s8", "copy"]


def test_element_wise_operators_write_over_inputs_that_nobody_reads_later() -> None:
    relu = [op("ABS", "a", "b"), op("RELU", "b", "c"), op("RELU6", "c", "d"), op("ADD", "d b", "e")]
    tensors = IMAGE | {"e": x8((2, 3, 4))}
    shared(tensors, relu, "a", "e")
    shared(tensors, relu, "a", "e c")
    shared(tensors, [op("RELU", "a", "b"), op("ADD", "b a", "c")], "a", "c")
    shared(tensors, [op("RELU", "a", "b"), op("ADD", "b b", "c"), op("ADD", "c c", "d")], "a", "d")
    # the input and a reshaped form of it, of which one lives on
    live = [op("ABS", "a", "b"), op("RESHAPE", "b shape", "r"), op("RELU", "b", "c"), op("RELU", "r", "s")]
    more = IMAGE | {"back": i32(2, 3, 4), "e": x8((2, 3, 4))}
    shared(more, [*live, op("RESHAPE", "s back", "d"), op("ADD", "c d", "e")], "a", "e")
    # one operand is broadcast: as many bytes as the output has none but the other
    rows = {"x": x8((5, 1)), "y": x8((1, 7)), "z": x8((5, 7)), "w": x8((5, 7)), "v": x8((5, 7))}
    add = [op("RELU", "x", "x1"), op("RELU", "y", "y1"), op("ADD", "x1 y1", "z"), op("ADD", "x1 z", "w")]
    shared(rows | {"x1": x8((5, 1)), "y1": x8((1, 7))}, [*add, op("MUL", "y1 w", "v")], "x y", "v")


def test_in_place_saves_memory() -> None:
    tensors = {f"t{i}": x8((1000,)) for i in range(5)}
    chain = [op("RELU", f"t{i}", f"t{i + 1}") for i in range(4)]
    model = graph_model(tensors, chain, ["t0"], ["t4"])
    interpreter = Interpreter(model)
    interpreter.allocate_tensors()
    assert arena_of(interpreter) == 3 * 1024  # input, output, one for all others


PARTS = {n: x8((1, 2, 5)) for n in "abcdef"} | {n: x8((1, 6, 5)) for n in "xyz"}


def test_concatenation_along_the_outermost_axis_is_made_in_place() -> None:
    parts = [op("ABS", "a", "b"), op("ABS", "b", "c"), op("ABS", "c", "d")]
    join = op("CONCATENATION", "b c d", "x", axis=1)
    assert "join" not in shared(PARTS, [*parts, join], "a", "x")
    assert "join" not in shared(PARTS, [*parts, join, op("RELU", "x", "y")], "a", "y")
    later = [*parts, join, op("RELU", "b", "e"), op("RELU", "x", "y")]
    assert "join" not in shared(PARTS, later, "a", "e y")
    for inputs, given, outputs in (("b b d", "a", "x"), ("a c d", "a", "x"), ("b c d", "a", "x c")):
        again = op("CONCATENATION", inputs, "x", axis=1)
        assert "join" in shared(PARTS, [*parts, again], given, outputs)
    # a part that is a part of something else already
    twice = [*parts, join, op("CONCATENATION", "d c b", "y", axis=1), op("ADD", "x y", "z")]
    assert shared(PARTS, twice, "a", "z").count("join") == 1
    # constants are not moved
    known = PARTS | {"k": const(random_values(np.random.default_rng(0), (1, 2, 5), "int8"), 0.05, -3)}
    assert "join" in shared(known, [*parts, op("CONCATENATION", "b k d", "x", axis=1)], "a", "x")
    # along another axis
    wide = PARTS | {"w": x8((1, 2, 15))}
    assert "join" in shared(wide, [*parts, op("CONCATENATION", "b c d", "w", axis=2)], "a", "w")


def test_split_and_slice_along_the_outermost_axis_are_views() -> None:
    tensors = PARTS | {"axis": const(np.array(1, np.int32)), "begin": i32(0, 2, 0), "size": i32(1, 2, 5)}
    split = op("SPLIT", "axis y", "a b c", num_splits=3)
    behind = [op("RELU", "b", "d"), op("ADD", "d c", "e"), op("ADD", "e a", "f")]
    assert "split" not in shared(tensors, [op("ABS", "x", "y"), split, *behind], "x", "f")
    assert "split" in shared(tensors, [op("ABS", "x", "y"), split, *behind], "x", "f b")
    # nothing writes over a part while the whole is read
    whole = op("RELU", "y", "z")
    assert "split" not in shared(tensors, [op("ABS", "x", "y"), split, *behind, whole], "x", "f z")
    joined = [op("ABS", "x", "y"), split, op("CONCATENATION", "c a b", "z", axis=1)]
    assert "join" in shared(tensors, joined, "x", "z")
    cut = [op("ABS", "x", "y"), op("SLICE", "y begin size", "a"), op("RELU", "a", "b"), op("RELU", "y", "z")]
    assert "strided_copy" not in shared(tensors, cut, "x", "b z")


def test_tensors_without_elements() -> None:
    empty = {n: x8((0, 3)) for n in "abc"} | {n: x8((3, 0)) for n in "rs"} | {"shape": i32(3, 0)}
    shared(empty, [op("RELU", "a", "b"), op("RESHAPE", "b shape", "r"), op("RELU", "r", "s")], "a", "s")
    shared(
        empty | {"x": x8((0, 3))}, [op("RELU", "a", "b"), op("CONCATENATION", "b a", "x", axis=0)], "a", "x"
    )


def test_state_keeps_its_memory() -> None:
    model = example("SVDF", "int8")
    assert_same_runs(model, runs=3)


def test_batches_and_threads() -> None:
    chain = [op("ABS", "a", "b"), op("RESHAPE", "b shape", "r"), op("RELU", "r", "s"), op("ADD", "s r", "t")]
    model = graph_model(IMAGE, chain, ["a"], ["t"])
    x = random_values(np.random.default_rng(1), (14, 3, 4), "int8")
    expected = Interpreter(model, experimental_preserve_all_tensors=True).run(x)
    for threads in (1, 2):
        np.testing.assert_array_equal(Interpreter(model, num_threads=threads).run(x), expected)


@pytest.mark.parametrize("name", [n for n, d in load_operators().items() if d.in_place])
def test_kernels_that_may_write_over_an_input(name: str) -> None:
    """In every form, profile and version: the output in memory of its own, and over each input."""
    for form in forms(load_operators()[name]):
        model = example(name, form)
        for numerics in PROFILES:
            for isa in instruction_sets():
                with using(isa):
                    compare_in_place(model, name, numerics)


def compare_in_place(model: Model, name: str, numerics: str) -> None:
    try:
        executable, instance = Interpreter(model, numerics)._session.run_keeping_all(inputs_of(name, model))
    except Exception:
        return  # not of this profile
    for step in executable.lowered.steps:
        inputs = [None if t < 0 else executable.view(instance, t).copy() for t in step.tensors[:-1]]
        expected = executable.view(instance, step.tensors[-1])
        for position in step.in_place:
            arrays = [None if x is None else x.copy() for x in inputs]
            over = arrays[position]
            if over is not None and over.nbytes == expected.nbytes:
                step.call(arrays, [over])
                result = over.view(expected.dtype).reshape(expected.shape)
                np.testing.assert_array_equal(result, expected, f"{step.call} in place of {position}")


# PAD in front of a convolution ----------------------------------------------------------------------


def padded_convolution(
    kind: str,
    dtype: str,
    paddings: Sequence[Sequence[int]],
    *,
    pad: str = "PAD",
    stride: int = 1,
    size: int = 3,
) -> Model:
    rng = np.random.default_rng(len(kind) + stride)
    zero = {"int8": -5, "uint8": 131, "int16": 0}[dtype]
    weights = "uint8" if dtype == "uint8" else "int8"
    depth = 6
    filter_shape = (4, size, size, depth) if kind == "CONV_2D" else (1, size, size, depth)
    image = tensor((2, 9, 8, depth), dtype, 0.05, zero)
    w = const(random_values(rng, filter_shape, weights), 0.02, 120 if weights == "uint8" else 0)
    wide = np.int64 if dtype == "int16" else np.int32
    b = const(
        rng.integers(-900, 900, filter_shape[0] if kind == "CONV_2D" else depth).astype(wide),
        bias_scale(image, w),
    )
    options = {"padding": "VALID", "stride_h": stride, "stride_w": stride, "depth_multiplier": 1}
    if kind == "CONV_2D":
        del options["depth_multiplier"]
    tensors = {
        "image": image,
        "paddings": i32(*paddings),
        "padded": tensor((), dtype, 0.05, zero),
        "w": w,
        "b": b,
        "y": tensor((), dtype, 0.1, {"int8": 4, "uint8": 120, "int16": 0}[dtype]),
        "value": const(np.array([zero if pad == "PADV2" else 7], dtype), 0.05, zero),
    }
    names = ["image", "paddings"] + ["value"] * (pad != "PAD")
    first = Op("PADV2" if pad != "PAD" else "PAD", names, ["padded"])
    return graph_model(tensors, [first, Op(kind, ["padded", "w", "b"], ["y"], options)], ["image"], ["y"])


@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_zeros_around_an_image_are_added_by_the_convolution(kind: str) -> None:
    cases = [
        ((0, 0), (1, 1), (1, 1), (0, 0)),
        ((0, 0), (0, 1), (3, 0), (0, 0)),
        ((0, 0), (7, 0), (0, 9), (0, 0)),
    ]
    for dtype in ("int8", "uint8", "int16"):
        for paddings in cases:
            for stride in (1, 2):
                model = padded_convolution(kind, dtype, paddings, stride=stride)
                for numerics in TFLITE:
                    assert "pad" not in assert_same_runs(model, numerics, runs=1), (dtype, paddings, numerics)
    assert "pad" not in assert_same_runs(padded_convolution(kind, "int8", cases[0], pad="PADV2"))
    for kept in (
        padded_convolution(kind, "int8", cases[0], pad="PADV2 of 7"),
        padded_convolution(kind, "int8", ((0, 1), (1, 1), (1, 1), (0, 0))),
    ):
        assert "pad" in assert_same_runs(kept)


def test_padded_images_that_others_read_are_computed() -> None:
    model = padded_convolution("CONV_2D", "int8", ((0, 0), (1, 1), (1, 1), (0, 0)))
    main = model.subgraphs[0]
    padded = main.operators[0].outputs[0]
    main.outputs = (*main.outputs, padded)
    assert "pad" in assert_same_runs(model)
    same = padded_convolution("CONV_2D", "int8", ((0, 0), (1, 1), (1, 1), (0, 0)))
    same.subgraphs[0].operators[1].options["padding"] = "SAME"
    assert "pad" in assert_same_runs(same)


@pytest.mark.slow
def test_models(model_path: Path) -> None:
    """Every model of the folder, in each profile that runs it."""
    model = load(model_path)
    for numerics in TFLITE:
        try:
            Interpreter(model, numerics).allocate_tensors()
        except Exception:
            continue
        assert_same_runs(model, numerics, runs=1)
