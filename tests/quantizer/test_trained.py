"""Models with trained ranges: which pairs are taken away, what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import quantcore as qc
from quantcore.calibration import Ranges
from quantcore.errors import QuantizationError
from quantcore.graph import Model, Operator, Quantization, Subgraph, Tensor
from quantcore.quantizer.account import Account
from quantcore.quantizer.trained import has_trained_ranges, take_ranges

SHAPES = {"x": (2, 4), "w": (3, 4), "b": (3,), "y": (2, 3)}
FC = {"keep_num_dims": False, "weights_format": "DEFAULT", "fused_activation_function": "NONE"}


class Builder:
    """A float model, tensor by tensor."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.inputs: list[int] = []
        self.rng = np.random.default_rng(0)

    def tensor(self, name: str, shape: Sequence[int], dtype: str = "float32", **more: Any) -> int:
        self.tensors.append(Tensor(name, tuple(shape), dtype, **more))
        return len(self.tensors) - 1

    def input(self, shape: Sequence[int] = (2, 4)) -> int:
        self.inputs.append(self.tensor("x", shape))
        return self.inputs[-1]

    def constant(self, name: str, *shape: int) -> int:
        return self.tensor(name, shape, data=self.rng.normal(size=shape).astype(np.float32))

    def pair(
        self,
        x: int,
        scale: float | Sequence[float] = 0.01,
        zero_point: int = 128,
        dtype: str = "uint8",
        axis: int = 0,
    ) -> int:
        """Add QUANTIZE and DEQUANTIZE; return what comes out."""
        scales = np.atleast_1d(np.asarray(scale, np.float32))
        found = Quantization(scales, np.full(scales.size, zero_point, np.int64), axis)
        q = self.tensor(f"q{len(self.tensors)}", self.tensors[x].shape, dtype, quantization=found)
        y = self.tensor(f"dq{len(self.tensors)}", self.tensors[x].shape)
        self.operators += [Operator("QUANTIZE", 1, (x,), (q,)), Operator("DEQUANTIZE", 2, (q,), (y,))]
        return y

    def apply(self, op: str, inputs: Sequence[int], shape: Sequence[int], **options: Any) -> int:
        y = self.tensor(f"{op.lower()}{len(self.tensors)}", shape)
        self.operators.append(Operator(op, 1, tuple(inputs), (y,), options))
        return y

    def dense(self, x: int, w: int, bias: int = -1) -> int:
        return self.apply("FULLY_CONNECTED", (x, w, bias), (2, 3), **FC)

    def model(self, *outputs: int) -> Model:
        return Model([Subgraph("main", self.tensors, self.operators, tuple(self.inputs), tuple(outputs))])


def network(**weights: Any) -> tuple[Builder, int]:
    """Return a dense layer with trained ranges, and its output."""
    build = Builder()
    w = build.pair(build.constant("w", 3, 4), **({"scale": 0.02} | weights))
    y = build.dense(build.pair(build.input()), w, build.constant("b", 3))
    return build, build.pair(y, 0.05, 100)


def kinds(model: Model) -> list[str]:
    return [op.op for op in model.subgraphs[0].operators]


def test_pairs_become_parameters() -> None:
    build, y = network()
    model = build.model(y)
    before = len(model.subgraphs[0].operators)
    account = Account()
    quantized = qc.quantize_model(model, account=account)
    assert len(model.subgraphs[0].operators) == before  # the model given is not changed
    main = quantized.subgraphs[0]
    assert kinds(quantized) == ["FULLY_CONNECTED"]
    x, w, b, out = (main.tensors[t] for t in (*main.operators[0].inputs, *main.operators[0].outputs))
    assert (x.params, out.params) == (qc.QuantParams(0.01, 0), qc.QuantParams(0.05, -28))
    assert w.params == qc.QuantParams(0.02, 0)
    assert b.dtype == "int32"
    assert out.name == model.subgraphs[0].tensors[y].name
    assert {entry.rule for entry in account.tensors.values()} == {
        "trained range",
        "scale of the input times scale of the weights",
    }
    explained = {t: account.tensors[t].rule for t in (main.inputs[0], main.outputs[0])}
    assert set(explained.values()) == {"trained range"}


def test_recorded_ranges_give_wide_scales() -> None:
    """The bias has the product of the float64 quotients, rounded once."""
    build, y = network()
    model = build.model(y)
    low, high = np.float32(-1.1), np.float32(1.23)
    scale = (np.float64(high) - np.float64(low)) / 255
    for tensor in model.subgraphs[0].tensors:
        if tensor.dtype == "uint8":
            tensor.quantization = Quantization(np.array([scale], np.float32), np.array([120]), 0)
            tensor.quantization.min, tensor.quantization.max = np.array([low]), np.array([high])
    for op in model.subgraphs[0].operators[:1]:  # the weights' pair
        half = np.float32(0.7)
        model.subgraphs[0].tensors[op.outputs[0]].quantization = Quantization(
            np.array([np.float64(half) / 127], np.float32),
            np.array([128]),
            0,
            np.array([-half]),
            np.array([half]),
        )
    main = qc.quantize_model(model).subgraphs[0]
    bias = main.tensors[main.operators[0].inputs[2]]
    assert bias.quantization is not None
    assert bias.quantization.scale[0] == np.float32(scale * (np.float64(half) / 127))
    data = model.subgraphs[0].tensors[[t.name for t in model.subgraphs[0].tensors].index("b")].data
    assert data is not None
    steps = data.astype(np.float64) / (scale * (np.float64(half) / 127))
    np.testing.assert_array_equal(
        bias.data, np.copysign(np.floor(np.abs(steps) + 0.5), steps).astype(np.int32)
    )


@pytest.mark.parametrize("bits", [8, 4, 3])
def test_fake_quant_is_a_pair(bits: int) -> None:
    build = Builder()
    x, w = build.input(), build.constant("w", 3, 4)
    largest = float(np.abs(build.tensors[w].data).max())
    w = build.apply("FAKE_QUANT", (w,), (3, 4), min=-largest, max=largest, num_bits=bits, narrow_range=True)
    x = build.apply("FAKE_QUANT", (x,), (2, 4), min=-1.0, max=1.5, num_bits=8, narrow_range=False)
    y = build.dense(x, w)
    y = build.apply("FAKE_QUANT", (y,), (2, 3), min=-2.0, max=2.0, num_bits=8, narrow_range=False)
    main = qc.quantize_model(build.model(y)).subgraphs[0]
    assert [op.op for op in main.operators] == ["FULLY_CONNECTED"]
    assert main.tensors[main.inputs[0]].params == qc.QuantParams(np.float32(2.5 / 255), -26)
    weights = main.tensors[main.operators[0].inputs[1]]
    steps = 254 if bits == 8 else 14
    assert weights.params == qc.QuantParams(2 * largest / steps, 0, "int8" if bits == 8 else "int4")
    assert main.operators[0].version == (4 if bits == 8 else 10)


def test_four_bit_codes_are_packed_low_half_first() -> None:
    build, y = network(scale=0.3, zero_point=8, dtype="uint4")
    main = qc.quantize_model(build.model(y)).subgraphs[0]
    weights = main.tensors[main.operators[0].inputs[1]]
    floats = build.tensors[0].data.reshape(-1).astype(np.float64)
    codes = np.clip(np.rint(floats / np.float64(np.float32(0.3))), -8, 7).astype(int)
    assert weights.data is not None
    assert weights.data.tolist() == [
        (a & 15) | (b & 15) << 4 for a, b in zip(codes[::2], codes[1::2], strict=True)
    ]


def test_a_pair_behind_a_pair_says_nothing() -> None:
    build = Builder()
    x = build.input()
    y = build.pair(build.pair(build.pair(x, 0.1), 0.2), 0.3)
    found = take_ranges(build.model(build.apply("TANH", (y,), (2, 4))))
    assert kinds(found.model) == ["TANH"]
    assert [p.scale for p in found.params.values()] == [np.float32(0.1)]


def test_a_value_that_is_read_past_its_pair_keeps_it() -> None:
    build = Builder()
    x = build.pair(build.input())
    y = build.apply("TANH", (x,), (2, 4))
    z = build.pair(y, 0.02)
    model = build.model(build.apply("SIN", (y,), (2, 4)), build.apply("TANH", (z,), (2, 4)))
    assert kinds(take_ranges(model).model) == ["TANH", "QUANTIZE", "DEQUANTIZE", "SIN", "TANH"]
    with pytest.raises(QuantizationError, match=r"would stay float: .*SIN has no quantized form"):
        qc.quantize_model(model)
    quantized = qc.quantize_model(model, allow_float=True)
    assert kinds(quantized) == ["TANH", "DEQUANTIZE", "QUANTIZE", "SIN", "TANH"]


def test_floats_pass_through_the_codes_they_were_trained_with() -> None:
    """Between float operators, too, unlike after training."""
    build = Builder()
    y = build.pair(build.apply("SIN", (build.pair(build.input()),), (2, 4)), 0.02)
    model = build.model(build.apply("COS", (y,), (2, 4)))
    quantized = qc.quantize_model(model, io="float32")
    assert kinds(quantized) == ["QUANTIZE", "DEQUANTIZE", "SIN", "QUANTIZE", "DEQUANTIZE", "COS"]


def test_missing_ranges_are_named() -> None:
    build = Builder()
    y = build.dense(build.pair(build.input()), build.constant("w", 3, 4))
    model = build.model(build.apply("TANH", (build.apply("RELU", (y,), (2, 3)),), (2, 3)))
    with pytest.raises(QuantizationError, match=r"FULLY_CONNECTED.*its output .* has no trained range"):
        qc.quantize_model(model)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_bad_scales_are_named(scale: float) -> None:
    build = Builder()
    y = build.apply("TANH", (build.pair(build.input(), scale),), (2, 4))
    with pytest.raises(QuantizationError, match=r"operator 0 \(QUANTIZE, 'x'\): scale .*finite, positive"):
        qc.quantize_model(build.model(y))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min": np.nan, "max": 1.0}, r"\[nan, 1.0\]; expected finite"),
        ({"min": 0.0, "max": np.inf}, r"\[0.0, inf\]; expected finite"),
        ({"min": 2.0, "max": 1.0}, "min <= max"),
        ({"min": 0.0, "max": 1.0, "num_bits": 16}, "16 bits; expected 2 to 8"),
    ],
)
def test_bad_fake_quant(options: dict[str, Any], words: str) -> None:
    build = Builder()
    x = build.apply("FAKE_QUANT", (build.input(),), (2, 4), **({"num_bits": 8} | options))
    with pytest.raises(QuantizationError, match=rf"FAKE_QUANT, 'x'\): .*{words}"):
        qc.quantize_model(build.model(build.apply("TANH", (x,), (2, 4))))


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (
            {"scale": [0.1, 0.2, 0.3, 0.4], "axis": 1},
            "'w' of FULLY_CONNECTED is one per channel along axis 1;",
        ),
        ({"scale": [0.1, 0.2], "axis": 0}, r"has 2 channels along axis 0, the constant the shape \(3, 4\)"),
        ({"zero_point": 100}, "not symmetric"),
        ({"dtype": "uint16", "zero_point": 5}, "its codes are uint16; expected uint8"),
    ],
)
def test_weights_that_no_kernel_takes(weights: dict[str, Any], words: str) -> None:
    build, y = network(**weights)
    with pytest.raises(QuantizationError, match=words):
        qc.quantize_model(build.model(y))


def test_activations_that_no_kernel_takes() -> None:
    for pair, words in (
        ({"scale": [0.1, 0.2], "axis": 0}, "is one per channel; expected one range"),
        ({"dtype": "uint4", "zero_point": 8}, "'x' has 4 bits; expected 8"),
    ):
        build = Builder()
        x = build.pair(build.input(), **pair)  # type: ignore[arg-type]
        with pytest.raises(QuantizationError, match=words):
            qc.quantize_model(build.model(build.apply("TANH", (x,), (2, 4))))
    build = Builder()
    c = build.pair(build.constant("c", 2, 4), 0.1, 8, "uint4")
    y = build.apply("ADD", (build.pair(build.input()), c), (2, 4), fused_activation_function="NONE")
    with pytest.raises(QuantizationError, match="'c' of ADD has 4 bits; expected 8, or weights"):
        qc.quantize_model(build.model(build.pair(y)))


def test_other_modes_and_data_are_refused() -> None:
    build, y = network()
    model = build.model(y)
    assert has_trained_ranges(model)
    for mode in ("int16x8", "dynamic", "float16"):
        with pytest.raises(QuantizationError, match=f"trained ranges.*mode {mode!r} needs"):
            qc.quantize_model(model, mode=mode)
    data = np.zeros((1, 2, 4), np.float32)
    with pytest.raises(QuantizationError, match="trained ranges, and a representative dataset"):
        qc.quantize_model(model, data)
    with pytest.raises(QuantizationError, match="trained ranges, and ranges"):
        qc.quantize_model(model, ranges=Ranges())


def test_weights_that_two_operators_share() -> None:
    build = Builder()
    x, w = build.pair(build.input()), build.constant("w", 3, 4)
    a, b = build.pair(w, 0.02), build.pair(w, 0.03)
    outputs = [build.pair(build.dense(x, t), 0.05) for t in (a, a, b)]
    main = qc.quantize_model(build.model(*outputs)).subgraphs[0]
    scales = [main.tensors[op.inputs[1]].params.scale for op in main.operators]
    assert scales == [np.float32(0.02), np.float32(0.02), np.float32(0.03)]


def test_an_output_read_past_its_pair_is_the_quantized_one() -> None:
    build = Builder()
    y = build.apply("TANH", (build.pair(build.input()),), (2, 4))
    z = build.pair(y, 1 / 128, 128)
    model = build.model(y, build.apply("TANH", (z,), (2, 4)))
    quantized = qc.quantize_model(model)
    assert kinds(quantized) == ["TANH", "TANH"]
    assert quantized.subgraphs[0].tensors[quantized.subgraphs[0].outputs[0]].dtype == "int8"


def test_without_pairs_nothing_is_trained() -> None:
    build = Builder()
    model = build.model(build.apply("TANH", (build.input(),), (2, 4)))
    assert not has_trained_ranges(model)
    tensors = model.subgraphs[0].tensors
    tensors[0] = replace(
        tensors[0], quantization=Quantization(np.empty(0, np.float32), np.empty(0, np.int64))
    )
    with pytest.raises(QuantizationError, match="needs the ranges"):
        qc.quantize_model(model)


RESHAPES = {
    # FULLY_CONNECTED joins (2, 3, 4) to (6, 5); what a RESHAPE makes of it, and what becomes of both
    "restored": ((2, 3, 4), None, (2, 3, 5), ["FULLY_CONNECTED"], (2, 3, 5), True),
    "other": ((2, 3, 4), None, (3, 10), ["FULLY_CONNECTED", "RESHAPE"], (2, 3, 5), True),
    "two dimensions": ((6, 4), None, (3, 10), ["FULLY_CONNECTED", "RESHAPE"], (6, 5), False),
    "joined before": ((2, 3, 4), (6, 4), (3, 10), ["FULLY_CONNECTED", "RESHAPE"], (2, 3, 5), True),
    "moved": ((2, 12), (6, 4), (1, 6, 5), ["RESHAPE", "FULLY_CONNECTED"], (1, 6, 5), True),
    "not moved": ((2, 12), (6, 4), (3, 10), ["RESHAPE", "FULLY_CONNECTED", "RESHAPE"], (6, 5), False),
}


@pytest.mark.parametrize("name", RESHAPES)
def test_reshapes_around_fully_connected(name: str) -> None:
    given, before, after, operators, made, keeps = RESHAPES[name]
    build = Builder()
    x = build.pair(build.input(given))
    if before:
        x = build.pair(build.apply("RESHAPE", (x,), before, new_shape=before))
    w = build.pair(build.constant("w", 5, 4), 0.02)
    y = build.pair(build.apply("FULLY_CONNECTED", (x, w, -1), (6, 5), **FC), 0.05)
    main = qc.quantize_model(build.model(build.apply("RESHAPE", (y,), after, new_shape=after))).subgraphs[0]
    assert [op.op for op in main.operators] == operators
    dense = main.operators[operators.index("FULLY_CONNECTED")]
    assert main.tensors[dense.outputs[0]].shape == made
    assert dense.options["keep_num_dims"] is keeps
    assert main.tensors[main.outputs[0]].shape == after


def test_reshapes_in_a_row() -> None:
    build = Builder()
    x = build.pair(build.input((2, 12)))
    for shape in ((4, 6), (3, 8), (2, 12)):
        x = build.pair(build.apply("RESHAPE", (x,), shape, new_shape=shape))
    y = build.pair(build.apply("RELU", (x,), (2, 12)), 0.02)
    main = qc.quantize_model(build.model(y)).subgraphs[0]
    assert [op.op for op in main.operators] == ["RELU"]
    assert main.operators[0].inputs == main.inputs
