"""WHILE and IF: written out in the plan, equal to TensorFlow Lite's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import quantcore as qc
from quantcore.errors import QuantcoreError, UnsupportedOperatorError
from quantcore.graph import Model, Operator, Tensor
from quantcore.runtime import Interpreter, calls
from quantcore.verify import verify
from tests.ops.harness import (
    TFLITE,
    Op,
    assert_same_bits,
    check,
    const,
    get_oracle,
    graph_model,
    random_values,
    run_ours,
    run_page,
    tensor,
)

ONE = np.array(1, np.int32)


def counter() -> Tensor:
    return tensor((), "int32")


def values(dtype: str = "int8") -> Tensor:
    return tensor((1, 4), dtype, 0.1 if dtype == "int8" else None, 3 if dtype == "int8" else 0)


def not_zero(*others: Tensor) -> Model:
    """Return whether the first input differs from 0."""
    extra = {f"x{k}": other for k, other in enumerate(others)}
    tensors = {"i": counter(), **extra, "c": tensor((), "bool")}
    return graph_model(
        tensors,
        [Op("CAST", ["i"], ["c"], {"in_data_type": "INT32", "out_data_type": "BOOL"})],
        ["i", *extra],
        ["c"],
    )


def step_body(dtype: str = "int8") -> Model:
    """Count down and add the second input to the third."""
    tensors = {
        "i": counter(), "x": values(dtype), "y": values(dtype),
        "one": const(ONE), "j": counter(), "z": values(dtype),
    }  # fmt: skip
    operators = [Op("SUB", ["i", "one"], ["j"]), Op("ADD", ["x", "y"], ["z"], version=2)]
    return graph_model(tensors, operators, ["i", "x", "y"], ["j", "x", "z"])


def loop(count: Any, dtype: str = "int8", *, body: Model | None = None) -> Model:
    """Return y + count * x; without `count` it is an input."""
    known = {} if count is None else {"i": const(np.array(count, np.int32))}
    tensors = {
        "i": counter(), **known, "x": values(dtype), "y": values(dtype),
        "j": counter(), "k": values(dtype), "z": values(dtype),
    }  # fmt: skip
    operators = [
        Op("WHILE", ["i", "x", "y"], ["j", "k", "z"], {"cond_subgraph_index": 1, "body_subgraph_index": 2})
    ]
    inputs = ["x", "y"] if known else ["i", "x", "y"]
    called = [not_zero(values(dtype), values(dtype)), body or step_body(dtype)]
    return graph_model(tensors, operators, inputs, ["j", "z"], called)


def sample(dtype: str = "int8", seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [random_values(rng, (1, 4), dtype) for _ in range(2)]


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_while_with_a_constant_count(count: int, dtype: str) -> None:
    outputs = check(loop(count, dtype), sample(dtype))
    assert outputs[0] == 0


def test_while_with_a_count_that_is_an_input() -> None:
    model = loop(None)
    interpreter = Interpreter(model)
    for count in (3, 0, 7):
        inputs = [np.array(count, np.int32), *sample()]
        wanted = get_oracle().run(model, inputs)
        for ours, theirs in zip(interpreter.run(inputs), wanted, strict=True):
            assert_same_bits(ours, theirs, f"{count} iterations")


def growing() -> Model:
    """Return a loop over a tensor that has another shape in each iteration."""
    x, y = tensor((1, 2), "float32"), tensor((1, 2), "float32", name="list")
    y.shape_signature = (-1, 2)
    tensors = {"i": counter(), "x": x, "y": y, "one": const(ONE), "j": counter(), "z": replace(y, name="z")}
    operators = [
        Op("SUB", ["i", "one"], ["j"]),
        Op("CONCATENATION", ["y", "x"], ["z"], {"axis": 0}),
    ]
    body = graph_model(tensors, operators, ["i", "x", "y"], ["j", "x", "z"])
    return graph_model(
        {"i": const(np.array(4, np.int32)), "x": x, "y": y, "j": counter(), "k": replace(x), "z": replace(y)},
        [Op("WHILE", ["i", "x", "y"], ["j", "k", "z"], {"cond_subgraph_index": 1, "body_subgraph_index": 2})],
        ["x", "y"],
        ["z"],
        [not_zero(x, y), body],
    )


def test_tensors_that_grow() -> None:
    """As the list of outputs of a recurrent layer."""
    (z,) = check(growing(), [np.array([[1, 2]], np.float32), np.array([[3, 4]], np.float32)])
    assert z.tolist() == [[3, 4]] + 4 * [[1, 2]]


def test_shapes_that_tflm_takes_from_the_file_are_no_mismatch() -> None:
    result = verify(growing(), samples=2, numerics="tflm", oracle=get_oracle("tflm"))
    assert not result.mismatched, [row for row in result.rows if row.mismatches]
    assert not result.complete


def test_nested_loops() -> None:
    """The body of the outer loop holds an inner one of 3 iterations."""
    inner = {"cond_subgraph_index": 1, "body_subgraph_index": 2}
    tensors = {
        "i": counter(), "x": values(), "y": values(), "one": const(ONE), "j": counter(),
        "three": const(np.array(3, np.int32)), "n": counter(), "k": values(), "z": values(),
    }  # fmt: skip
    operators = [
        Op("SUB", ["i", "one"], ["j"]),
        Op("WHILE", ["three", "x", "y"], ["n", "k", "z"], inner),
    ]
    called = [not_zero(values(), values()), step_body()]
    body = graph_model(tensors, operators, ["i", "x", "y"], ["j", "k", "z"], called)
    tensors = {name: tensors[name] for name in "xyjkz"} | {"i": const(np.array(2, np.int32))}
    # TFLite crashes where both loops have one subgraph as their condition
    subgraphs = {"cond_subgraph_index": 3, "body_subgraph_index": 4}
    outer = Op("WHILE", ["i", "x", "y"], ["j", "k", "z"], subgraphs)
    called += [not_zero(values(), values()), body]
    model = graph_model(tensors, [outer], ["x", "y"], ["z"], called)
    x, y = sample()
    (z,) = check(model, [x, y])
    assert_same_bits(z, check(loop(6), [x, y])[1])


def branches() -> tuple[Model, Model]:
    tensors = {"x": values(), "y": values(), "z": values()}

    def branch(op: str) -> Model:
        return graph_model(tensors, [Op(op, ["x", "y"], ["z"], version=2)], ["x", "y"], ["z"])

    return branch("ADD"), branch("SUB")


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("constant", [True, False])
def test_if(given: bool, constant: bool) -> None:
    value = np.array([given])
    condition = const(value) if constant else tensor((1,), "bool")
    then, otherwise = branches()
    model = graph_model(
        {"c": condition, "x": values(), "y": values(), "z": values()},
        [Op("IF", ["c", "x", "y"], ["z"], {"then_subgraph_index": 1, "else_subgraph_index": 2})],
        ["x", "y"] if constant else ["c", "x", "y"],
        ["z"],
        [then, otherwise],
    )
    inputs = sample() if constant else [value, *sample()]
    (z,) = check(model, inputs)
    assert_same_bits(z, check(then if given else otherwise, sample())[0])


def test_the_operators_of_the_body_are_verified_on_what_it_is_called_with() -> None:
    result = verify(loop(4), samples=3, oracle=get_oracle())
    assert result.bit_exact, [row for row in result.rows if row.status != "exact"]
    rows = [(row.subgraph, row.op, row.samples) for row in result.operators]
    assert rows == [
        (0, "WHILE", 3), (0, "WHILE", 3), (0, "WHILE", 3),
        (1, "CAST", 3), (2, "SUB", 3), (2, "ADD", 3),
    ]  # fmt: skip


def test_the_body_may_hold_tensors_without_elements() -> None:
    """As a list before its first entry; TensorFlow Lite's Python cannot hand them out."""
    body = step_body()
    main = body.subgraphs[0]
    begin, size = (const(np.array(v, np.int32)) for v in ([0, 0], [0, 4]))
    first = len(main.tensors)
    tensors = [*main.tensors, begin, size, replace(values(), shape=(0, 4), name="none")]
    cut = Operator(
        "SLICE", 1, (main.inputs[1], first, first + 1), (first + 2,), {}, options_type="SliceOptions"
    )
    body = replace(body, subgraphs=[replace(main, tensors=tensors, operators=[*main.operators, cut])])
    result = verify(loop(3, body=body), samples=2, oracle=get_oracle())
    assert result.bit_exact, [row for row in result.rows if row.status != "exact"]
    assert result.operators[-1].op == "SLICE"


def test_calls_are_recorded() -> None:
    x, y = sample()
    found = Interpreter(loop(2)).calls([x, y])
    assert [int(call[0]) for call in found[1]] == [2, 1, 0]
    assert [int(call[0]) for call in found[2]] == [2, 1]
    assert_same_bits(found[2][0][2], y)
    everything = Interpreter(loop(2)).run_all([x, y])
    assert set(everything) == set(range(len(loop(2).subgraphs[0].tensors)))


def test_many_iterations_are_planned_in_reasonable_time() -> None:
    model = loop(3000, "float32")
    x, y = np.full((1, 4), 0.5, np.float32), np.zeros((1, 4), np.float32)
    assert (run_ours(model, [x, y])[1] == 1500).all()


def test_the_page() -> None:
    page = run_page("control_flow")
    x, y = (v.astype(float) for v in sample("float32"))
    state = page["while_loop"](lambda i, x, y: i != 0, lambda i, x, y: (i - 1, x, x + y), 3, x, y)
    np.testing.assert_allclose(state[2], y + 3 * x)
    assert page["if_else"](False, max, min, 1, 2) == 1


# Refusals -------------------------------------------------------------------------------------------


def refused(model: Model, reason: str) -> None:
    tensors = [model.subgraphs[0].tensors[t] for t in model.subgraphs[0].inputs]
    inputs = [np.zeros(t.shape, t.dtype) for t in tensors]
    with pytest.raises(UnsupportedOperatorError, match=reason):
        run_ours(model, inputs)


def edited(model: Model, subgraph: int, **changes: Any) -> Model:
    subgraphs = list(model.subgraphs)
    subgraphs[subgraph] = replace(subgraphs[subgraph], **changes)
    return replace(model, subgraphs=subgraphs)


def with_tensor(model: Model, subgraph: int, t: int, **changes: Any) -> Model:
    tensors = list(model.subgraphs[subgraph].tensors)
    tensors[t] = replace(tensors[t], **changes)
    return edited(model, subgraph, tensors=tensors)


def with_options(model: Model, **options: Any) -> Model:
    op = model.subgraphs[0].operators[0]
    return edited(model, 0, operators=[replace(op, options={**op.options, **options})])


def endless() -> Model:
    """A body that hands on its inputs."""
    tensors = {"i": counter(), "x": values(), "y": values()}
    return graph_model(tensors, [], ["i", "x", "y"], ["i", "x", "y"])


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    model = loop(2)
    body = model.subgraphs[2]
    refused(edited(model, 2, inputs=body.inputs[:2]), "takes 2")
    refused(edited(model, 2, outputs=body.outputs[:2]), "gives 2|takes 3")
    refused(edited(model, 1, outputs=()), "condition is missing")
    refused(edited(model, 1, outputs=model.subgraphs[1].inputs[:1]), "expected one bool")
    refused(with_tensor(model, 2, body.inputs[1], dtype="uint8"), "takes uint8")
    scales = replace(body.tensors[body.inputs[1]].quantization, scale=np.array([0.2], np.float32))
    refused(with_tensor(model, 2, body.inputs[1], quantization=scales), "expected the same")
    refused(with_options(model, body_subgraph_index=7), "the model has 3")
    refused(with_options(model, body_subgraph_index=0), "which calls it")
    refused(edited(model, 2, operators=body.operators[1:]), "never computes")
    monkeypatch.setattr(calls, "MAX_OPERATORS", 1000)
    refused(loop(2, body=endless()), "does the loop end")


def test_a_condition_computed_from_data() -> None:
    x = tensor((1,), "float32")
    cast = Op("CAST", ["x"], ["c"], {"in_data_type": "FLOAT32", "out_data_type": "BOOL"})
    cond = graph_model({"x": x, "c": tensor((1,), "bool")}, [cast], ["x"], ["c"])
    body = graph_model({"x": x, "y": x}, [Op("ADD", ["x", "x"], ["y"])], ["x"], ["y"])
    options = {"cond_subgraph_index": 1, "body_subgraph_index": 2}
    refused(
        graph_model({"x": x, "y": x}, [Op("WHILE", ["x"], ["y"], options)], ["x"], ["y"], [cond, body]),
        "data",
    )


@pytest.mark.parametrize("numerics", TFLITE)
def test_composite(numerics: str) -> None:
    x = values()
    part = {"x": x, "y": values(), "z": values()}
    composed = graph_model(part, [Op("ADD", ["x", "y"], ["z"], version=2)], ["x", "y"], ["z"])

    def composite(subgraph: int) -> Model:
        options = {"name": "example.add", "decomposition_subgraph_index": subgraph}
        call = Op("STABLEHLO_COMPOSITE", ["x", "y"], ["z"], options)
        return graph_model(part, [call], ["x", "y"], ["z"], [composed])

    check(composite(1), sample(), numerics=numerics)
    for subgraph in (0, -1):
        with pytest.raises(QuantcoreError):
            qc.Interpreter(composite(subgraph))


def test_hostile_indices_and_counts_do_not_crash() -> None:
    for options in ({"body_subgraph_index": -1}, {"cond_subgraph_index": 2}, {"cond_subgraph_index": 0}):
        with pytest.raises(QuantcoreError):
            qc.Interpreter(with_options(loop(1), **options))
