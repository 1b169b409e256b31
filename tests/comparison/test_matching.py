"""Which tensor stands for which: names that change, casts, fused activations, operators in between."""

from __future__ import annotations

import numpy as np

from quantcore.comparison.matching import Pair, match_models
from quantcore.graph import Model
from tests.comparison.networks import float_network, int8_network
from tests.ops.harness import Op, const, graph_model, tensor


def named(a: Model, b: Model, tensors: dict[int, int]) -> dict[str, str]:
    """Return matched tensors by name."""
    return {b.subgraphs[0].tensors[q].name: a.subgraphs[0].tensors[f].name for q, f in tensors.items()}


def test_casts_and_names_do_not_matter() -> None:
    a, b = float_network(fused=True), int8_network()
    found = match_models(a, b)
    assert named(a, b, found.tensors) == {
        "arg0": "x", "tfl.quantize": "x", "inner": "relu", "y1": "y", "y": "y",
    }  # fmt: skip
    assert named(a, b, found.constants) == {"c1": "w1", "c2": "b1", "c3": "w2"}
    assert found.pairs == [Pair(0, ()), Pair(1, (0,)), Pair(2, (1,)), Pair(3, ())]
    assert found.unmatched_quant == found.unmatched_float == []
    assert found.signs_agree == 1


def test_an_activation_that_was_fused() -> None:
    a, b = float_network(), int8_network("int8")
    found = match_models(a, b)
    assert found.pairs == [Pair(0, (0, 1)), Pair(1, (2,))]
    assert named(a, b, found.tensors) == {"tfl.quantize": "x", "inner": "relu", "y1": "y"}


def test_squeeze_becomes_reshape_with_a_shape() -> None:
    a = graph_model(
        {"x": tensor((1, 1, 4), "float32"), "y": tensor((1, 4), "float32")},
        [Op("SQUEEZE", ("x",), ("y",), {"squeeze_dims": [1]})], ["x"], ["y"],
    )  # fmt: skip
    b = graph_model(
        {
            "x": tensor((1, 1, 4), "int8", 0.1),
            "s": const(np.int32([1, 4])),
            "other": tensor((1, 4), "int8", 0.1),
        },
        [Op("RESHAPE", ("x", "s"), ("other",))], ["x"], ["other"],
    )  # fmt: skip
    assert match_models(a, b).pairs == [Pair(0, (0,))]


def test_strided_slice_becomes_slice_with_a_size() -> None:
    """What follows it is matched too, and its constants, which mean something else, are not."""
    a = graph_model(
        {
            "x": tensor((2, 4), "float32"),
            "begin": const(np.int32([0, 1])),
            "end": const(np.int32([1, 3])),
            "strides": const(np.int32([1, 1])),
            "s": tensor((1, 2), "float32"),
            "y": tensor((1, 2), "float32"),
        },
        [Op("STRIDED_SLICE", ("x", "begin", "end", "strides"), ("s",)), Op("ABS", ("s",), ("y",))],
        ["x"], ["y"],
    )  # fmt: skip
    b = graph_model(
        {
            "x": tensor((2, 4), "int8", 0.1),
            "begin": const(np.int32([0, 1])),
            "size": const(np.int32([1, 2])),
            "s": tensor((1, 2), "int8", 0.1),
            "y": tensor((1, 2), "int8", 0.1),
        },
        [Op("SLICE", ("x", "begin", "size"), ("s",)), Op("ABS", ("s",), ("y",))],
        ["x"], ["y"],
    )  # fmt: skip
    found = match_models(a, b)
    assert found.pairs == [Pair(0, (0,)), Pair(1, (1,))]
    assert found.constants == {}


def branches(dtype: str, order: tuple[int, ...], names: tuple[str, ...], extra: bool = False) -> Model:
    """Return three MULs by constants of the same input, in an order, with given output names."""
    scale = None if dtype == "float32" else 0.1
    tensors = {"x": tensor((1, 4), dtype, scale)}
    operators = []
    for k in order:
        data = np.random.default_rng(k).normal(0, 1, (1, 4)).astype(np.float32)
        codes = data if scale is None else np.round(data * 30).astype(np.int8)
        tensors[f"c{k}"] = const(codes, None if scale is None else 1 / 30)
        tensors[names[k]] = tensor((1, 4), dtype, scale)
        operators.append(Op("MUL", ("x", f"c{k}"), (names[k],)))
    if extra:
        tensors["neg"] = tensor((1, 4), dtype, scale)
        operators.append(Op("ABS", (names[order[0]],), ("neg",)))
    return graph_model(tensors, operators, ["x"], [names[k] for k in order])


def test_equal_operators_of_one_value_by_name_then_by_constants() -> None:
    a = branches("float32", (0, 1, 2), ("p", "q", "r"))
    by_name = branches("int8", (2, 0, 1), ("p_quantized", "q", "r1"))
    assert named(a, by_name, match_models(a, by_name).tensors) == {
        "x": "x", "r1": "r", "p_quantized": "p", "q": "q"
    }  # fmt: skip
    by_constant = branches("int8", (1, 2, 0), ("a", "b", "c"))
    assert named(a, by_constant, match_models(a, by_constant).tensors) == {
        "x": "x", "b": "q", "c": "r", "a": "p"
    }  # fmt: skip


def test_what_has_no_counterpart_is_listed() -> None:
    a, b = branches("float32", (0, 1), ("p", "q")), branches("int8", (0, 1), ("p", "q"), extra=True)
    found = match_models(a, b)
    assert (found.unmatched_quant, found.unmatched_float) == ([2], [])
    found = match_models(
        branches("float32", (0, 1), ("p", "q"), extra=True), branches("int8", (1,), ("x", "q"))
    )
    assert (found.unmatched_quant, found.unmatched_float) == ([], [0, 2])


def test_names_take_over_behind_an_operator_without_counterpart() -> None:
    def model(middle: str, dtype: str, scale: float | None) -> Model:
        tensors = {n: tensor((1, 4), dtype, scale) for n in ("x", "m", "y", "z")}
        operators = [Op(middle, ("x",), ("m",)), Op("RELU", ("m",), ("y",)), Op("RELU6", ("y",), ("z",))]
        return graph_model(tensors, operators, ["x"], ["z"])

    a, b = model("ABS", "float32", None), model("RELU_N1_TO_1", "int8", 0.1)
    found = match_models(a, b)
    assert (found.unmatched_quant, found.unmatched_float) == ([0], [0])
    assert named(a, b, found.tensors) == {"x": "x", "y": "y", "z": "z"}


def test_signs_of_weights_tell_another_training() -> None:
    assert match_models(float_network(sign=-1), int8_network()).signs_agree == 0


def test_state_matches_whatever_sets_it() -> None:
    """A quantizer may give the state of an operator a value of its own."""

    def model(data: np.ndarray | None) -> Model:
        tensors = {
            "x": tensor((1, 4), "float32"),
            "filter": const(np.eye(2, 4, dtype=np.float32)),
            "time": const(np.ones((2, 1), np.float32)),
            "state": tensor((1, 2), "float32", variable=data is None, data=data),
            "y": tensor((1, 2), "float32"),
        }
        options = {"rank": 1, "fused_activation_function": "NONE"}
        return graph_model(
            tensors, [Op("SVDF", ("x", "filter", "time", "", "state"), ("y",), options)], ["x"], ["y"]
        )

    assert match_models(model(None), model(np.zeros((1, 2), np.float32))).unmatched_quant == []
