"""Structural comparison: blind to numbering, and to nothing that decides results."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest

from quantcore.comparison.agreement import compare_structure
from quantcore.graph import Model, Operator, Quantization, Subgraph, Tensor


def scales(*values: float) -> Quantization:
    return Quantization(np.array(values, np.float32), np.zeros(len(values), np.int64))


def network() -> Model:
    tensors = [
        Tensor("x", (1, 2), "int8", quantization=scales(0.5)),
        Tensor("w", (2, 2), "int8", data=np.array([[1, 2], [3, 4]], np.int8), quantization=scales(0.1, 0.2)),
        Tensor("b", (2,), "int32", data=np.array([5, 6], np.int32), quantization=scales(0.05, 0.1)),
        Tensor("y", (1, 2), "int8", quantization=scales(0.25)),
        Tensor("z", (1, 2), "int8", quantization=scales(0.25)),
    ]
    operators = [
        Operator("FULLY_CONNECTED", 4, (0, 1, 2), (3,), {"fused_activation_function": "NONE"}),
        Operator("RELU", 2, (3,), (4,)),
    ]
    return Model([Subgraph("main", tensors, operators, (0,), (4,))])


def renumbered() -> Model:
    model = network()
    main = model.subgraphs[0]
    main.tensors.reverse()
    for op in main.operators:
        op.inputs = tuple(4 - t for t in op.inputs)
        op.outputs = tuple(4 - t for t in op.outputs)
    main.inputs, main.outputs = (4,), (0,)
    return model


def test_numbering_does_not_matter() -> None:
    found = compare_structure(network(), renumbered())
    assert found.agrees
    assert found.compared == found.equal == {"activation": 3, "int8 constant": 1, "int32 constant": 1}
    assert (found.operators, found.names) == (2, 5)


CHANGES: dict[str, Callable[[Subgraph], object]] = {
    r"scales, such as": lambda g: g.tensors[1].quantization.scale.__setitem__(1, np.float32(0.2000001)),
    r"zero points, such as 1 and 0": lambda g: g.tensors[3].quantization.zero_point.__setitem__(0, 1),
    r"axis 1 and 0": lambda g: setattr(g.tensors[1].quantization, "quantized_dimension", 1),
    r"1 of 4 values": lambda g: g.tensors[1].data.__setitem__((1, 1), 7),
    r"dtype int16 and int8": lambda g: setattr(g.tensors[3], "dtype", "int16"),
    r"shape \(2, 1\) and \(1, 2\)": lambda g: setattr(g.tensors[3], "shape", (2, 1)),
    r"version 3 and 4": lambda g: setattr(g.operators[0], "version", 3),
    r"fused_activation_function 'RELU'": lambda g: g.operators[0].options.update(
        fused_activation_function="RELU"
    ),
    r"RELU6 and RELU": lambda g: setattr(g.operators[1], "op", "RELU6"),
    r"-1 and 2, one of them omitted": lambda g: setattr(g.operators[0], "inputs", (0, 1, -1)),
    r"2 and 3 inputs": lambda g: setattr(g.operators[0], "inputs", (0, 1)),
    r"1 and 2 scales": lambda g: setattr(g.tensors[1], "quantization", scales(0.1)),
    r"constant in one model only": lambda g: setattr(g.tensors[2], "data", None),
    r"1 and 0 operators TANH": lambda g: g.operators.append(Operator("TANH", 1, (3,), (4,))),
    r"2 and 1 graph outputs": lambda g: setattr(g, "outputs", (4, 3)),
}  # fmt: skip


@pytest.mark.parametrize("message", CHANGES)
def test_each_difference_is_seen(message: str) -> None:
    changed = deepcopy(network())
    CHANGES[message](changed.subgraphs[0])
    found = compare_structure(changed, renumbered())
    assert not found.agrees
    assert any(re.search(message, line) for line in found.differences), found.differences


def test_computed_tensors_are_one_to_one() -> None:
    """Two halves of one split look alike; which of them an operator reads is seen all the same."""

    def difference(*operands: int, outputs: tuple[int, ...] = (3,)) -> Model:
        tensors = [Tensor(name, (1, 2), "int8", quantization=scales(0.5)) for name in "xabyz"]
        operators = [Operator("SPLIT", 1, (0,), (1, 2)), Operator("SUB", 1, operands, (3,))]
        operators += [Operator("RELU", 1, (3,), (t,)) for t in (4,) if t in outputs]
        return Model([Subgraph("main", tensors, operators, (0,), outputs)])

    assert compare_structure(difference(1, 2), difference(1, 2)).agrees
    for ours, theirs in (((1, 1), (1, 2)), ((1, 2), (1, 1)), ((2, 1), (1, 2))):
        assert not compare_structure(difference(*ours), difference(*theirs)).agrees
    twice, once = difference(1, 2, outputs=(4, 3)), difference(1, 2, outputs=(4, 4))
    assert not compare_structure(once, twice).agrees
    assert not compare_structure(twice, once).agrees


def test_scales_of_another_float_engine() -> None:
    """Within the tolerance a scale and the biases that follow from it may differ; weights may not."""
    ours, theirs = network(), network()
    for model, bias in ((ours, 1_000_000), (theirs, 1_000_002)):
        model.subgraphs[0].tensors[2].data = np.array([bias, 6], np.int32)
    theirs.subgraphs[0].tensors[0].quantization = scales(0.5000005)
    found = compare_structure(ours, theirs)
    assert len(found.differences) == 2
    assert found.worst_scale == pytest.approx(1e-6, rel=0.05)
    assert compare_structure(ours, theirs, scale_tolerance=2e-6).agrees
    ours.subgraphs[0].tensors[1].data = np.array([[1, 2], [3, 5]], np.int8)
    assert not compare_structure(ours, theirs, scale_tolerance=2e-6).agrees
