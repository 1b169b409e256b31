"""LSTM and SVDF in the mode int8: by hand, and as the converter does it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantcore.calibration import Ranges, TensorRange
from quantcore.calibration.intermediates import with_intermediates
from quantcore.comparison.agreement import compare_structure
from quantcore.flatbuffer import read_model, write_model
from quantcore.graph import Model, Operator, Tensor
from quantcore.oracle import Oracle
from quantcore.quantizer.account import Account
from quantcore.quantizer.int8 import quantize
from quantcore.quantizer.int8.recurrent import int16_weight_params, quantize_int16_weights
from quantcore.quantizer.settings import Settings
from quantcore.quantizer.steps import Plan, apply
from tests.ops.harness import assert_same_bits, const, get_oracle, op_model, tensor
from tests.ops.lstm_models import Lstm, build

VARIANTS = {
    "plain": {"cell_clip": 0.5},
    "cifg": {"cifg": True, "batch": 2, "time_major": True},
    "peephole": {"peephole": True, "short": False},
    "projection": {"projection": True, "projection_bias": False, "outputs": 3},
    "short": {"short": True},
    "normalized": {"normalized": True, "cifg": True},
    "everything": {"peephole": True, "projection": True, "outputs": 3, "normalized": True},
}


def lstm(**settings: object) -> Model:
    """Return a float model of one LSTM whose only output is the sequence."""
    model = build(np.random.default_rng(4), Lstm("float32", **settings)).model  # type: ignore[arg-type]
    graph = model.subgraphs[0]
    return replace(model, subgraphs=[replace(graph, outputs=graph.outputs[:1])])


def svdf(rank: int = 2, units: int = 3, memory: int = 4, inputs: int = 5) -> Model:
    rng = np.random.default_rng(6)
    filters = units * rank

    def weights(*shape: int) -> Tensor:
        return const(rng.standard_normal(shape).astype(np.float32))

    state = tensor((1, filters * memory), "float32", variable=True)
    operands = [tensor((1, inputs), "float32"), weights(filters, inputs), weights(filters, memory)]
    options = {"rank": rank, "fused_activation_function": "RELU", "asymmetric_quantize_inputs": False}
    return op_model("SVDF", [*operands, weights(units), state], [tensor((1, units), "float32")], options)


def samples(model: Model) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(8)
    (x,) = model.subgraphs[0].inputs
    shape = model.subgraphs[0].tensors[x].shape
    return [[rng.standard_normal(shape).astype(np.float32)] for _ in range(3)]


def recorded(model: Model) -> Ranges:
    """Return the ranges that the oracle's calibrator has left in a model."""
    found = Ranges()
    for t, item in enumerate(model.subgraphs[0].tensors):
        q = item.quantization
        if q is not None and q.min is not None and q.max is not None and item.data is None:
            found[t] = TensorRange(item.name, float(q.min[0]), float(q.max[0]))
    return found


def ours(model: Model, ranges: Ranges, io: str = "int8", **settings: object) -> tuple[Model, Account]:
    chosen, account = Settings("int8", io, **settings), Account()  # type: ignore[arg-type]
    return apply(Plan(model, chosen), ranges, account), account


@pytest.mark.oracle
@pytest.mark.parametrize("name", [*VARIANTS, "svdf"])
def test_as_the_converter(name: str) -> None:
    model = svdf() if name == "svdf" else lstm(**VARIANTS[name])
    assert_as_the_converter(model, get_oracle(), 4 if name == "svdf" else 12)


def assert_as_the_converter(model: Model, oracle: Oracle, tensors: int) -> None:
    data = samples(model)
    ranges = recorded(oracle.calibrate(model, data))
    for io in ("int8", "float32"):
        theirs = read_model(oracle.quantize(model, data, io=io))
        mine = read_model(write_model(ours(model, ranges, io)[0]))
        found = compare_structure(mine, theirs)
        assert found.agrees, found.differences
        assert found.compared.total() >= tensors
        (x,) = data[0]
        sample = [np.round(x * 30).astype(np.int8) if io == "int8" else x]
        for a, b in zip(oracle.run(mine, sample), oracle.run(theirs, sample), strict=True):
            assert_same_bits(a, b)


@pytest.mark.oracle
def test_outputs_that_feed_a_concatenation_keep_its_range() -> None:
    first = lstm()
    graph = first.subgraphs[0]
    (y,) = graph.outputs
    joined = Tensor("joined", (*graph.tensors[y].shape[:-1], 2 * graph.tensors[y].shape[-1]), "float32")
    flipped = replace(graph.tensors[y], name="flipped")
    ops = [
        *graph.operators,
        Operator("TANH", 1, (y,), (len(graph.tensors) + 1,)),
        Operator(
            "CONCATENATION",
            1,
            (y, len(graph.tensors) + 1),
            (len(graph.tensors),),
            {"axis": 2, "fused_activation_function": "NONE"},
        ),
    ]
    tensors, outputs = [*graph.tensors, joined, flipped], (len(graph.tensors),)
    model = replace(first, subgraphs=[replace(graph, tensors=tensors, operators=ops, outputs=outputs)])
    assert_as_the_converter(model, get_oracle(), 20)


def everything() -> tuple[Model, Ranges]:
    """Return an LSTM of every kind of operand, with ranges that have exact scales."""
    model = with_intermediates(lstm(**VARIANTS["everything"]))
    op = model.subgraphs[0].operators[0]
    ends = {op.inputs[0]: (-1.0, 1.55), op.inputs[18]: (-0.5, 2.0), op.outputs[0]: (-0.55, 1.0)}
    ends |= {op.inputs[19]: (-1.0, 4.5)} | dict.fromkeys(op.intermediates[:4], (-1.0, 32767 / 1024))
    ends |= {op.intermediates[4]: (-0.125, 127 / 1024)}
    tensors = model.subgraphs[0].tensors
    return model, Ranges({t: TensorRange(tensors[t].name, *e) for t, e in ends.items()})


def test_scales_by_hand() -> None:
    model, ranges = everything()
    before, floats = model.subgraphs[0].operators[0], model.subgraphs[0].tensors
    result = quantize(model, ranges, Settings("int8"), Account()).subgraphs[0]
    op = result.operators[0]

    def scale(t: int) -> float:
        q = result.tensors[t].quantization
        assert q is not None
        return float(q.scale[0])

    # State and output have the union of their ranges, -0.55 to 2.0.
    assert scale(op.inputs[18]) == scale(op.outputs[0]) == np.float32(2.55 / 255)
    # 4.5 is widened to 8, a power of two.
    assert scale(op.inputs[19]) == 8 / 2**15
    assert result.tensors[op.inputs[19]].dtype == "int16"
    assert [result.tensors[t].dtype for t in op.intermediates] == ["int16"] * 4 + ["int8"]
    assert [scale(t) for t in op.intermediates] == [2.0**-10] * 5
    for gate in range(4):
        norm, bias = op.inputs[20 + gate], op.inputs[12 + gate]
        assert scale(bias) == np.float32(scale(norm) * 2.0**-10)
        coefficients = floats[before.inputs[20 + gate]].data
        assert coefficients is not None
        assert scale(norm) == np.abs(coefficients).max() / np.float32(32767)
        codes = result.tensors[norm].data
        assert codes is not None
        assert np.abs(codes * scale(norm) - coefficients).max() <= 0.5001 * scale(norm)
    assert scale(op.inputs[17]) == np.float32(scale(op.inputs[16]) * 2.0**-10)


def test_accounts_say_how_state_was_treated() -> None:
    model, ranges = everything()
    op = model.subgraphs[0].operators[0]
    account = Account()
    quantize(model, ranges, Settings("int8"), account)
    assert account.tensors[op.inputs[18]].rule == "one range for the state and the output that it becomes"
    assert account.tensors[op.inputs[19]].rule == "range of the state, widened to a power of two"
    assert account.tensors[op.intermediates[0]].rule == "range of a value inside the operator"


@pytest.mark.parametrize("inputs", [1, 5, 18, 20])
def test_lstms_that_lack_operands_are_no_crash(inputs: int) -> None:
    model, ranges = everything()
    op = model.subgraphs[0].operators[0]
    op.inputs = op.inputs[:inputs]
    quantize(model, ranges, Settings("int8", "float32"), Account())


def test_int16_weights() -> None:
    weights = np.array([1.0, -0.5, 0.25, 1 / 3], np.float32)
    assert int16_weight_params(weights, 512).scale == np.float32(1 / 512)
    assert quantize_int16_weights(weights, 512).tolist() == [512, -256, 128, 171]
    assert quantize_int16_weights(weights, 32767).tolist() == [32767, -16384, 8192, 10922]
    assert quantize_int16_weights(np.zeros(3, np.float32), 32767).tolist() == [0, 0, 0]


def test_without_the_range_of_an_intermediate_value_the_lstm_stays_float() -> None:
    model, ranges = everything()
    del ranges[model.subgraphs[0].operators[0].intermediates[4]]
    result, account = ours(model, ranges, "float32")
    assert account.kept_float == {0: "its intermediate value 'intermediate_0_4' has no range"}
    assert {t.dtype for t in result.subgraphs[0].tensors} == {"float32"}
    assert result.subgraphs[0].operators[0].intermediates == ()


def test_the_output_stands_in_for_its_inner_value_where_nothing_projects_it() -> None:
    model = lstm()
    op = model.subgraphs[0].operators[0]
    names = {op.inputs[0]: "x", op.inputs[18]: "h", op.inputs[19]: "c", op.outputs[0]: "y"}
    tensors = model.subgraphs[0].tensors
    ranges = Ranges({t: TensorRange(tensors[t].name, -1.0, 1.55) for t in names})
    result = ours(model, ranges)[0].subgraphs[0]
    inner, output = (
        result.tensors[t].quantization for t in (result.operators[0].intermediates[4], result.outputs[0])
    )
    assert inner is not None
    assert output is not None
    assert (inner.scale[0], inner.zero_point[0]) == (output.scale[0], output.zero_point[0])


def test_state_that_another_operator_reads_keeps_the_lstm_float() -> None:
    model, ranges = everything()
    graph = model.subgraphs[0]
    state = graph.operators[0].inputs[18]
    copy = replace(graph.tensors[state], name="copy", is_variable=False)
    graph = replace(
        graph,
        tensors=[*graph.tensors, copy],
        operators=[*graph.operators, Operator("ABS", 1, (state,), (len(graph.tensors),))],
    )
    account = Account()
    quantize(replace(model, subgraphs=[graph]), ranges, Settings("int8", "float32"), account)
    assert "has another user" in account.kept_float[0]


def test_intermediate_tensors_are_added_once() -> None:
    model = lstm()
    extended = with_intermediates(model)
    count = len(model.subgraphs[0].tensors)
    assert extended.subgraphs[0].operators[0].intermediates == tuple(range(count, count + 5))
    assert [t.name for t in extended.subgraphs[0].tensors[count:]] == [
        f"intermediate_0_{k}" for k in range(5)
    ]
    assert with_intermediates(extended) is extended
    assert model.subgraphs[0].operators[0].intermediates == ()
    assert with_intermediates(svdf()).subgraphs[0].operators[0].intermediates == ()
