"""One small model of every operator in every form: what the tests over the registry run.

`forms` lists the forms of an operator, from its rows in the registry; `example` returns the model. An
operator of one input that takes no options, whose output has its dtype, needs nothing here. Any other has a
row in `EXAMPLES`: a function of the operator's name and of the form.

A form is named as in the registry: the dtype of the output (``int8``), ``hybrid``, both dtypes of a
conversion (``int8_to_float32``), and a variant behind a blank (``int8 grouped``). Operators whose forms are
those of their inputs are in `BY_INPUT`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flatbuffers import flexbuffers

from quantcore.graph import Model, Tensor
from quantcore.numerics import PROFILES
from quantcore.ops.node import Definition
from quantcore.samples import random_samples
from tests.ops import convolutions, lstm_models
from tests.ops.harness import Op, const, graph_model, i32, i32_scalar, op_model, packed, random_values, tensor

DTYPES = ("float32", "int8", "uint8", "int16", "int32", "int64", "bool")  # that "any" stands for
SHAPE = (2, 3, 4, 6)

COMPARISONS = ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")
# The registry has the dtype of their output, bool, int32 or int64.
BY_INPUT = {
    **dict.fromkeys(COMPARISONS, ("float32", "int8", "uint8", "int32", "int64")),
    **dict.fromkeys(("EQUAL", "NOT_EQUAL"), ("float32", "int8", "uint8", "int32", "int64", "bool")),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), ("float32", "int8", "uint8", "int32", "bool", "float32 int64")),
}

# Scale and zero point of inputs, and other ones of outputs
INPUT = {"int8": (0.05, -3), "uint8": (0.05, 125), "int16": (0.05, 0)}
OUTPUT = {"int8": (0.11, 4), "uint8": (0.11, 132), "int16": (0.11, 0)}
# Of outputs, by TFLite
FIXED = {
    "SOFTMAX": {"int8": (1 / 256, -128), "uint8": (1 / 256, 0), "int16": (1 / 32768, 0)},
    "LOG_SOFTMAX": {"int8": (16 / 256, 127), "uint8": (16 / 256, 255)},
    "LOGISTIC": {"int8": (1 / 256, -128), "uint8": (1 / 256, 0), "int16": (1 / 32768, 0)},
    "TANH": {"int8": (1 / 128, 0), "uint8": (1 / 128, 128), "int16": (1 / 32768, 0)},
    "L2_NORMALIZATION": {"int8": (1 / 128, 0), "uint8": (1 / 128, 128)},
}


def forms(definition: Definition) -> list[str]:
    """Return every form of an operator that the registry lists, for one profile or for all."""
    if definition.name in BY_INPUT:
        return list(BY_INPUT[definition.name])
    listed = {*definition.dtypes}.union(*(definition.rules.get(name, {}) for name in PROFILES))
    if definition.converts:
        listed = {form for form in listed if "_to_" in form or form == "any"}
    if "any" in listed:
        pairs = [f"{a}_to_{b}" for a in DTYPES for b in DTYPES]
        listed = listed - {"any"} | {*(pairs if definition.converts else DTYPES)}
    return sorted(listed)


def example(op: str, form: str) -> Model:
    """Return a model of one operator (few have others around it) whose inputs may be drawn at random."""
    return EXAMPLES.get(op, unary)(op, form)


def inputs_of(op: str, model: Model) -> list[np.ndarray]:
    """Return values for each input of the model, of two samples, in the domain of the operator."""
    drawn = [np.stack(values) for values in zip(*random_samples(model, 0, 2, 0), strict=True)]
    if op in ("SQRT", "RSQRT"):  # of which TFLite refuses values below 0
        drawn = [np.maximum(values, 1) for values in drawn]
    return drawn


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def x(dtype: str, shape: Sequence[int] = SHAPE) -> Tensor:
    """Return an input."""
    return tensor(shape, dtype, *INPUT.get(dtype, (None, 0)))


def y(dtype: str, op: str = "") -> Tensor:
    """Return an output with parameters of its own, or those that `op` prescribes."""
    return tensor((), dtype, *FIXED.get(op, OUTPUT).get(dtype, (None, 0)))


def same(dtype: str) -> Tensor:
    """Return an output with the parameters of the input."""
    return tensor((), dtype, *INPUT.get(dtype, (None, 0)))


def known(dtype: str, shape: Sequence[int] = ()) -> Tensor:
    """Return a constant with the parameters of the input, none of whose elements is, or stands for, 0."""
    scale, zero = INPUT.get(dtype, (None, 0))
    values = random_values(rng(), shape, dtype)
    return const(np.where((values == zero) | (values == 0), values.dtype.type(1), values), scale, zero)


def unary(op: str, dtype: str, **options: Any) -> Model:
    """Return a model of one input; the default."""
    return op_model(op, [x(dtype)], [y(dtype, op)], options)


def binary(op: str, dtype: str) -> Model:
    return op_model(op, [x(dtype), x(dtype, SHAPE[1:])], [y(dtype)])


def binary_same(op: str, dtype: str) -> Model:
    return op_model(op, [x(dtype), x(dtype, SHAPE[1:])], [same(dtype)])


def divided(op: str, dtype: str) -> Model:
    """By a constant without 0, which TFLite refuses as a divisor of integers."""
    return op_model(op, [x(dtype), known(dtype, SHAPE)], [y(dtype)])


def compared(op: str, dtype: str) -> Model:
    return op_model(op, [x(dtype), x(dtype)], [tensor((), "bool")])


def selected(op: str, dtype: str) -> Model:
    return op_model(op, [tensor(SHAPE, "bool"), x(dtype), x(dtype)], [same(dtype)])


def moved(
    *constants: Tensor, first: bool = False, outputs: int = 1, **options: Any
) -> Callable[[str, str], Model]:
    """Return the example of an operator that copies elements, with constants behind (or before) its input."""

    def build(op: str, dtype: str) -> Model:
        inputs = [*constants, x(dtype)] if first else [x(dtype), *constants]
        return op_model(op, inputs, [same(dtype) for _ in range(outputs)], options)

    return build


def reduced(op: str, dtype: str) -> Model:
    out = same(dtype) if op in ("REDUCE_MAX", "REDUCE_MIN") else y(dtype)
    given = x(dtype)
    if (op, dtype) == ("REDUCE_PROD", "uint8"):  # which TFLite takes without a scale
        given, out = tensor(SHAPE, dtype), tensor((), dtype)
    return op_model(op, [given, i32(1, 2)], [out], {"keep_dims": True})


def extreme(op: str, form: str) -> Model:
    """Return ARG_MAX or ARG_MIN; behind the dtype of the input may stand that of the output."""
    dtype, _, index = form.partition(" ")
    index = index or "int32"
    return op_model(op, [x(dtype), i32_scalar(-1)], [tensor((), index)], {"output_type": index.upper()})


def pooled(op: str, dtype: str) -> Model:
    sizes = {"filter_width": 2, "filter_height": 3, "stride_w": 2, "stride_h": 1, "padding": "SAME"}
    return op_model(op, [x(dtype)], [same(dtype)], sizes)


def resized(op: str, dtype: str) -> Model:
    return op_model(op, [x(dtype), i32(5, 7)], [same(dtype)], {"half_pixel_centers": True})


def convolved(op: str, form: str) -> Model:
    """Return CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED from the builder of their tests."""
    dtype, _, variant = form.partition(" ")
    wide = "int16 int32_bias" if "int32_bias" in variant else dtype
    options = convolutions.conv_options((1, 1), (1, 1), "SAME")
    filters: tuple[int, ...] = (8, 3, 3, 3 if "grouped" in variant else 6)
    if op == "DEPTHWISE_CONV_2D":
        filters, options["depth_multiplier"] = (1, 3, 3, 6), 1
    if op == "FULLY_CONNECTED":
        return convolutions.build(op, wide, (3, 20), (8, 20), {}, rng=rng())
    return convolutions.build(op, wide, (1, 5, 4, 6), filters, options, rng=rng())


def transposed(op: str, form: str) -> Model:
    """Return a TRANSPOSE_CONV of 4 by 3 to 8 by 6."""
    quantized = form in INPUT
    scale, zero = (0.01, 131 if form == "uint8" else 0) if form != "float32" else (None, 0)
    weights = "int8" if form in ("int16", "hybrid") else form
    bias = {"int16": "int64", "float32": "float32", "hybrid": "float32"}.get(form, "int32")
    inputs = [
        i32(1, 8, 6, 8),
        const(random_values(rng(), (8, 3, 3, 6), weights), scale, zero),
        x("float32" if form == "hybrid" else form, (1, 4, 3, 6)),
        const(np.arange(-4, 4).astype(bias) * 100, 0.05 * 0.01 if quantized else None),
    ]
    options = {"padding": "SAME", "stride_w": 2, "stride_h": 2}
    return op_model(op, inputs, [y("float32" if form == "hybrid" else form)], options)


def multiplied(op: str, form: str) -> Model:
    """Return a BATCH_MATMUL; int32 is of int8 inputs."""
    given = {"hybrid": "float32", "int32": "int8"}.get(form, form)
    right = x(given, (2, 5, 7))
    if form == "hybrid":
        right = const(random_values(rng(), (2, 5, 7), "int8"), 0.02)
    elif given == "int8":
        right = tensor((2, 5, 7), "int8", 0.02, 0)
    return op_model(op, [x(given, (2, 3, 5)), right], [y("float32" if form == "hybrid" else form)])


def rectified(op: str, dtype: str) -> Model:
    slopes = const(random_values(rng(), (6,), dtype), *INPUT.get(dtype, (None, 0)))
    return op_model(op, [x(dtype), slopes], [y(dtype)])


def looked_up(op: str, form: str) -> Model:
    dtype, out = ("int8", "float32") if form == "hybrid" else (form, form)
    table = const(random_values(rng(), (7, 4), dtype), 0.02 if form == "hybrid" else None)
    return op_model(op, [i32(3, 0, 6), table], [tensor((), out)])


def cast(op: str, form: str) -> Model:
    source, target = form.split("_to_")
    options = {"in_data_type": source.upper(), "out_data_type": target.upper()}
    return op_model(op, [tensor(SHAPE, source)], [tensor((), target)], options)


def quantized(op: str, form: str) -> Model:
    """Return QUANTIZE or DEQUANTIZE; int32 has a scale as well."""
    source, target = form.split("_to_")
    given = tensor(SHAPE, "int32", 1e-9) if source == "int32" else x(source)
    if source == "int4":
        values = random_values(rng(), SHAPE, low=-8, high=7)
        given = tensor(SHAPE, "int4", 0.05, data=packed(values))
    out = tensor(SHAPE, target, *({"int32": (0.001, 0)} | OUTPUT).get(target, (None, 0)))
    return op_model(op, [given], [out])


def svdf(op: str, form: str) -> Model:
    """Return SVDF; the form int8 has a state of int16."""
    whole, outside = form == "int8", "int8" if form == "int8" else "float32"

    def weights(*shape: int, dtype: str) -> Tensor:
        values = rng().integers(-127, 128, shape)
        if form == "float32":
            return const((values / 127).astype(np.float32))
        return const(values.astype(dtype), 0.02)

    inputs = [
        x(outside, (2, 6)),
        weights(4, 6, dtype="int8"),
        weights(4, 5, dtype="int16" if whole else "int8"),
        const(np.array([100, -200], "int32" if whole else "float32"), 2e-5 if whole else None),
        tensor((2, 20), "int16" if whole else "float32", 0.001 if whole else None, variable=True),
    ]
    return op_model(op, inputs, [y(outside)], {"rank": 2, "fused_activation_function": "RELU"})


def lstm(op: str, form: str) -> Model:
    return lstm_models.build(rng(), lstm_models.Lstm(form)).model


def detected(op: str, form: str) -> Model:
    """Return an SSD's last operator on boxes that overlap little, of which it keeps as many as it may."""
    options = {
        "max_detections": 3, "max_classes_per_detection": 1, "use_regular_nms": False, "num_classes": 2,
        "nms_score_threshold": 1e-8, "nms_iou_threshold": 0.6,
        "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0,
    }  # fmt: skip
    anchors = np.float32([[k, k, 0.5, 0.5] for k in range(8)])
    inputs = [tensor((1, 8, 4), form), tensor((1, 8, 3), form), const(anchors)]
    outputs = [tensor(shape, form) for shape in ((1, 3, 4), (1, 3), (1, 3), (1,))]
    data = bytes(flexbuffers.Dumps(options))
    return op_model("CUSTOM", inputs, outputs, custom_code=op.removeprefix("CUSTOM:"), custom_options=data)


def loop(op: str, dtype: str) -> Model:
    """Return a WHILE that runs three times over tensors of a dtype."""
    count = tensor((), "int32")
    body = graph_model(
        {"i": count, "x": x(dtype), "one": i32_scalar(1), "j": tensor((), "int32")},
        [Op("SUB", ["i", "one"], ["j"])],
        ["i", "x"],
        ["j", "x"],
    )
    condition = graph_model(
        {"i": count, "x": x(dtype), "zero": i32_scalar(0), "c": tensor((), "bool")},
        [Op("GREATER", ["i", "zero"], ["c"])],
        ["i", "x"],
        ["c"],
    )
    options = {"cond_subgraph_index": 1, "body_subgraph_index": 2}
    tensors = {"i": i32_scalar(3), "x": x(dtype), "j": tensor((), "int32"), "y": same(dtype)}
    return graph_model(
        tensors, [Op(op, ["i", "x"], ["j", "y"], options)], ["x"], ["j", "y"], [condition, body]
    )


def branch(op: str, dtype: str) -> Model:
    """Return an IF whose branches swap two tensors, or leave them."""
    pair = {"a": x(dtype), "b": x(dtype)}
    swapped, kept = (graph_model(dict(pair), [], ["a", "b"], list(names)) for names in ("ba", "ab"))
    tensors = {"c": const(np.array(True)), **pair, "y": same(dtype), "z": same(dtype)}
    options = {"then_subgraph_index": 1, "else_subgraph_index": 2}
    return graph_model(
        tensors, [Op(op, ["c", "a", "b"], ["y", "z"], options)], ["a", "b"], ["y", "z"], [swapped, kept]
    )


def composed(op: str, dtype: str) -> Model:
    """Return a composite of a RESHAPE."""
    part = {"x": x(dtype), "shape": i32(6, 24), "y": tensor((6, 24), dtype, *INPUT.get(dtype, (None, 0)))}
    inside = graph_model(dict(part), [Op("RESHAPE", ["x", "shape"], ["y"])], ["x"], ["y"])
    options = {"name": "example.reshape", "decomposition_subgraph_index": 1}
    return graph_model(
        {"x": part["x"], "y": part["y"]}, [Op(op, ["x"], ["y"], options)], ["x"], ["y"], [inside]
    )


def part_of_spectrum(op: str, dtype: str) -> Model:
    """Return an operator on complex64, behind the one that makes it."""
    tensors = {
        "x": x("float32", (2, 4, 8)),
        "n": i32(4, 8),
        "z": tensor((), "complex64"),
        "y": tensor((), dtype),
    }
    return graph_model(tensors, [Op("RFFT2D", ["x", "n"], ["z"]), Op(op, ["z"], ["y"])], ["x"], ["y"])


PADS = i32((0, 0), (1, 2), (0, 1), (0, 0))
EXAMPLES: dict[str, Callable[[str, str], Model]] = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "SQUARED_DIFFERENCE"), binary),
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), binary_same),
    **dict.fromkeys(("DIV", "FLOOR_DIV", "FLOOR_MOD"), divided),
    **dict.fromkeys(("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"), compared),
    **dict.fromkeys(("LOGICAL_AND", "LOGICAL_OR"), binary),
    **dict.fromkeys(("SELECT", "SELECT_V2"), selected),
    **dict.fromkeys(
        ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL"), reduced
    ),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), extreme),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), pooled),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), resized),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), convolved),
    **dict.fromkeys(("COMPLEX_ABS", "REAL", "IMAG"), part_of_spectrum),
    **dict.fromkeys(("QUANTIZE", "DEQUANTIZE"), quantized),
    "BATCH_MATMUL": multiplied,
    "BATCH_TO_SPACE_ND": lambda op, d: op_model(
        op, [x(d, (4, 3, 2, 3)), i32(2, 2), i32((0, 1), (1, 0))], [same(d)]
    ),
    "BROADCAST_ARGS": lambda op, d: op_model(
        op, [const(np.array(shape, d)) for shape in ((4, 1, 3), (5, 1))], [tensor((), d)]
    ),
    "BROADCAST_TO": lambda op, d: op_model(op, [x(d), i32(2, *SHAPE)], [same(d)], version=2),
    "CAST": cast,
    "CONCATENATION": lambda op, d: op_model(op, [x(d), x(d)], [same(d)], {"axis": 1}),
    "CUMSUM": moved(i32_scalar(1)),
    "CUSTOM:TFLite_Detection_PostProcess": detected,
    "DEPTH_TO_SPACE": lambda op, d: op_model(op, [x(d, (1, 2, 3, 8))], [same(d)], {"block_size": 2}),
    "DYNAMIC_UPDATE_SLICE": lambda op, d: op_model(
        op, [x(d), x(d, (1, 2, 2, 3)), i32(1, 0, 1, 2)], [same(d)]
    ),
    "EMBEDDING_LOOKUP": looked_up,
    "EXPAND_DIMS": moved(i32_scalar(1)),
    "FILL": lambda op, d: op_model(op, [i32(3, 2), known(d)], [same(d)]),
    "GATHER": moved(i32(2, 0, 2), axis=1),
    "GATHER_ND": moved(i32((1, 2), (0, 0))),
    "IF": branch,
    "FAKE_QUANT": lambda op, d: unary(op, d, min=-0.7, max=1.3, num_bits=4, narrow_range=False),
    "LEAKY_RELU": lambda op, d: unary(op, d, alpha=0.3),
    "MIRROR_PAD": moved(PADS, mode="REFLECT"),
    "ONE_HOT": lambda op, d: op_model(
        op,
        [tensor((2, 3), "int32"), i32_scalar(5), known(d), const(np.zeros((), d))],
        [tensor((), d)],
        {"axis": -1},
    ),
    "PACK": lambda op, d: op_model(op, [x(d), x(d)], [same(d)], {"axis": 1, "values_count": 2}),
    "PAD": moved(PADS),
    "PADV2": lambda op, d: op_model(op, [x(d), PADS, known(d)], [same(d)]),
    "PRELU": rectified,
    "RANGE": lambda op, d: op_model(op, [const(np.array(v, d)) for v in (2, 9, 3)], [tensor((), d)]),
    "RANK": lambda op, d: op_model(op, [x("float32")], [tensor((), d)]),
    "RESHAPE": moved(i32(6, -1), new_shape=(6, -1)),
    "REVERSE_SEQUENCE": moved(i32(2, 0), seq_dim=2, batch_dim=0),
    "REVERSE_V2": moved(i32(1, 2)),
    "RFFT2D": lambda op, d: op_model(op, [x("float32", (2, 4, 8)), i32(4, 8)], [tensor((), d)]),
    "SCATTER_ND": lambda op, d: op_model(op, [i32((1,), (3,)), x(d, (2, 4)), i32(5, 4)], [same(d)]),
    "SHAPE": lambda op, d: op_model(op, [x(d)], [tensor((), "int32")], {"out_type": "INT32"}),
    "SLICE": moved(i32(0, 1, 0, 2), i32(2, -1, 3, 3)),
    "SOFTMAX": lambda op, d: unary(op, d, beta=1.0),
    "SPACE_TO_BATCH_ND": lambda op, d: op_model(
        op, [x(d, (1, 3, 4, 2)), i32(2, 2), i32((0, 1), (2, 0))], [same(d)]
    ),
    "SPACE_TO_DEPTH": lambda op, d: op_model(op, [x(d, (1, 4, 6, 2))], [same(d)], {"block_size": 2}),
    "SPLIT": moved(i32_scalar(3), first=True, outputs=3, num_splits=3),
    "SPLIT_V": moved(i32(1, 2, -1), i32_scalar(3), outputs=3, num_splits=3),
    "SQUEEZE": lambda op, d: op_model(op, [x(d, (1, 4, 1, 3))], [same(d)], {"squeeze_dims": [0, 2]}),
    "STABLEHLO_COMPOSITE": composed,
    "STRIDED_SLICE": moved(i32(0, 2, 0, 1), i32(2, 0, 4, 6), i32(1, -1, 2, 3)),
    "SVDF": svdf,
    "TILE": moved(i32(1, 2, 1, 3)),
    "TOPK_V2": lambda op, d: op_model(op, [x(d), i32_scalar(2)], [same(d), tensor((), "int32")]),
    "TRANSPOSE": moved(i32(2, 0, 3, 1)),
    "TRANSPOSE_CONV": transposed,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm,
    "UNPACK": moved(outputs=3, axis=1, num=3),
    "WHILE": loop,
}
