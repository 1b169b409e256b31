"""Models that were built or edited in Python."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quantcore.errors import ModelFormatError
from quantcore.flatbuffer import read_model, save_model, write_model
from quantcore.graph import Metadata, Model, Operator, Quantization, Signature, Subgraph, Tensor
from tests.flatbuffer.compare import assert_same
from tests.flatbuffer.generated import assert_as_generated, generated

ONES = np.ones(2, np.float32)
DTYPES = ["bool", "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64"]


def constants(*arrays: np.ndarray, **model: Any) -> Model:
    """Return a model without operators whose tensors have the given values."""
    tensors = [Tensor(f"t{i}", a.shape, str(a.dtype), data=a) for i, a in enumerate(arrays)]
    return Model([Subgraph("main", tensors, [], (), ())], **model)


def one_operator(op: Operator) -> Model:
    """Return a model of one operator on three float32 vectors."""
    tensors = [Tensor(name, (2,), "float32") for name in "abc"]
    return Model([Subgraph("main", tensors, [op], (0, 1), (2,))])


def data_of(model: Model, t: int) -> np.ndarray:
    data = model.subgraphs[0].tensors[t].data
    assert data is not None
    return data


def test_new_constants_get_buffers() -> None:
    a, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7, np.int64)
    read = read_model(write_model(constants(a, b, a)))
    assert [t.buffer for t in read.subgraphs[0].tensors] == [1, 2, 1]
    assert np.array_equal(data_of(read, 0), a)
    assert data_of(read, 1).shape == ()
    assert read.buffers[0] is None


def test_edited_constant_replaces_its_buffer() -> None:
    model = read_model(write_model(constants(np.zeros(2, np.int8), np.ones(2, np.int8))))
    model.subgraphs[0].tensors[1].data = np.array([5, 6], np.int8)
    read = read_model(write_model(model))
    assert [t.buffer for t in read.subgraphs[0].tensors] == [1, 2]
    assert data_of(read, 1).tolist() == [5, 6]
    assert len(read.buffers) == 3


def test_editing_one_of_two_sharers_leaves_the_other() -> None:
    shared = np.array([1, 2], np.int8)
    model = read_model(write_model(constants(shared, shared)))
    model.subgraphs[0].tensors[0].data = np.array([5, 6], np.int8)
    read = read_model(write_model(model))
    assert [t.buffer for t in read.subgraphs[0].tensors] == [2, 1]
    assert data_of(read, 0).tolist() == [5, 6]
    assert data_of(read, 1).tolist() == [1, 2]


def test_editing_all_sharers_keeps_them_sharing() -> None:
    shared = np.array([1, 2], np.int8)
    model = read_model(write_model(constants(shared, shared)))
    for tensor in model.subgraphs[0].tensors:
        tensor.data = np.array([5, 6], np.int8)
    read = read_model(write_model(model))
    assert [t.buffer for t in read.subgraphs[0].tensors] == [1, 1]
    assert len(read.buffers) == 2


def test_editing_a_constant_leaves_metadata_alone() -> None:
    model = read_model(write_model(constants(np.array([1, 2], np.int8))))
    model.metadata.append(Metadata("note", 1))
    model.subgraphs[0].tensors[0].data = np.array([5, 6], np.int8)
    read = read_model(write_model(model))
    assert read.buffers[1] is not None
    assert read.buffers[1].tolist() == [1, 2]
    assert data_of(read, 0).tolist() == [5, 6]


def test_constant_made_variable_is_dropped() -> None:
    model = read_model(write_model(constants(np.ones(1000, np.int8), np.ones(2, np.int8))))
    model.subgraphs[0].tensors[0].data = None
    data = write_model(model)
    assert len(data) < 1000
    assert read_model(data).subgraphs[0].tensors[0].data is None


def test_non_contiguous_and_read_only_arrays() -> None:
    a = np.arange(12, dtype=np.int16).reshape(3, 4).T
    a.flags.writeable = False
    assert np.array_equal(data_of(read_model(write_model(constants(a))), 0), a)


def test_writing_leaves_the_model_as_it_was() -> None:
    model = constants(np.ones(2, np.float32))
    write_model(model)
    assert model.buffers == [None]
    assert model.subgraphs[0].tensors[0].buffer == 0


@pytest.mark.parametrize("options_type", [None, "Conv2DOptions"])
def test_options_of_a_hand_built_operator(options_type: str | None) -> None:
    options = {"padding": "VALID", "stride_w": 2, "stride_h": 3, "fused_activation_function": "RELU6"}
    op = Operator("CONV_2D", 3, (0, 1), (2,), options, options_type)
    data = write_model(one_operator(op))
    read = read_model(data)
    assert_as_generated(read, data)
    stored = read.subgraphs[0].operators[0]
    assert stored.options_type == "Conv2DOptions"
    assert stored.options == {
        **options, "dilation_w_factor": 1, "dilation_h_factor": 1, "quantized_bias_type": "FLOAT32"
    }  # fmt: skip


def test_given_options_are_stored_even_if_they_are_the_defaults() -> None:
    op = Operator("ADD", 1, (0, 1), (2,), {"fused_activation_function": "NONE"})
    stored = read_model(write_model(one_operator(op))).subgraphs[0].operators[0]
    assert stored.options_type == "AddOptions"
    assert not stored.implicit_options


def test_implicit_options_become_stored_when_changed() -> None:
    model = read_model(write_model(one_operator(Operator("ADD", 1, (0, 1), (2,)))))
    op = model.subgraphs[0].operators[0]
    assert op.implicit_options
    assert read_model(write_model(model)).subgraphs[0].operators[0].implicit_options
    op.options["fused_activation_function"] = "RELU"
    stored = read_model(write_model(model)).subgraphs[0].operators[0]
    assert stored.options["fused_activation_function"] == "RELU"
    assert stored.options_type == "AddOptions"


def test_options_in_the_second_union() -> None:
    op = Operator("STABLEHLO_PAD", 1, (0,), (2,), {"edge_padding_low": (1, 0), "interior_padding": (0, 2)})
    stored = read_model(write_model(one_operator(op))).subgraphs[0].operators[0]
    assert (stored.options_type, stored.options_2_type) == (None, "StablehloPadOptions")
    assert stored.options == {"edge_padding_low": (1, 0), "edge_padding_high": (), "interior_padding": (0, 2)}


def test_operator_codes_are_shared_and_in_order_of_use() -> None:
    ops = [("MUL", 2), ("ADD", 1), ("MUL", 2), ("MUL", 1), ("GELU", 1)]
    model = one_operator(Operator("ADD", 1, (0, 1), (2,)))
    model.subgraphs[0].operators = [Operator(op, version, (0, 1), (2,)) for op, version in ops]
    model.subgraphs[0].operators.append(
        Operator("CUSTOM", 1, (0,), (2,), custom_code="Mine", custom_options=b"x")
    )
    codes = generated().ModelT.InitFromPackedBuf(write_model(model), 0).operatorCodes
    assert [(c.builtinCode, c.deprecatedBuiltinCode, c.version, c.customCode) for c in codes] == [
        (18, 18, 2, None), (0, 0, 1, None), (18, 18, 1, None), (150, 127, 1, None), (32, 32, 1, b"Mine")
    ]  # fmt: skip


def everything() -> Model:
    """Return a model that uses every field of the dataclasses."""
    f = np.array
    none, blockwise = np.empty(0), {"scales": 1, "zero_points": -1, "block_size": 4}
    level = {"format": "DENSE", "dense_size": 2, "array_segments": None, "array_segments_type": None}
    level |= {"array_indices": None, "array_indices_type": None}
    tensors = [
        Tensor("a", (2,), "float32", shape_signature=(-1,), has_rank=True),
        Tensor("", (), "int8", quantization=Quantization(f([0.1], "f4"), f([-3])), is_variable=True),
        Tensor("b", (2, 1), "int8", data=f([[1], [-1]], "i1"), quantization=Quantization(
            f([0.1, -0.0], "f4"), f([0, 1]), 0, f([-1, -2], "f4"), f([1, np.nan], "f4"))),
        Tensor("c", (4,), "int4", data=f([0x21, 0x43], "u1"), quantization=Quantization(
            none.astype("f4"), none.astype("i8"), details_type="BlockwiseQuantization", details=blockwise)),
        Tensor("d", (2,), "float32", data=f([1.0, 2.0], "f4"), sparsity={
            "traversal_order": (0,), "block_map": None, "dim_metadata": [level]}),
        Tensor("e", (), "variant", variant_tensors=[{"shape": (2,), "type": "INT8", "has_rank": True}]),
        Tensor("f", (8,), "float16", external_buffer=7),
    ]  # fmt: skip
    ops = [
        Operator("SVDF", 2, (0, -1, 1), (0,), {"rank": 2, "fused_activation_function": "RELU",
                 "asymmetric_quantize_inputs": True}, "SVDFOptions", None, None, None, (1,),
                 (False, False, True), 5),
        Operator("CUSTOM", 4, (), (0,), custom_code="Mine", custom_options=b""),
        Operator("LEAKY_RELU", 1, (0,), (0,), {"alpha": -0.0}, "LeakyReluOptions"),
    ]  # fmt: skip
    subgraphs = [Subgraph("main", tensors, ops, (0,), (0, 2), 3), Subgraph("", [], [], (), ())]
    return Model(
        subgraphs,
        [None, np.arange(5, dtype=np.uint8), np.empty(0, np.uint8)],
        description="all of it",
        signatures=[Signature("run", 0, {"x": 0}, {"y": 2, "z": 0}), Signature("other", 1, {}, {})],
        metadata=[Metadata("m", 1)],
        metadata_buffer=(1, 0),
        external_buffer_groups=["weights.bin"],
        external_buffers=[{"id": 7, "group": 0, "offset": 1 << 40, "length": 16, "packing": "raw"}],
    )


def test_every_field_survives() -> None:
    model = everything()
    data = write_model(model)
    read = read_model(data)
    assert_as_generated(read, data)
    for tensor, stored in zip(model.subgraphs[0].tensors, read.subgraphs[0].tensors, strict=True):
        tensor.buffer = stored.buffer
    model.buffers = read.buffers
    assert_same(read, model)


@settings(max_examples=60)
@given(
    st.lists(
        hnp.arrays(
            st.sampled_from(DTYPES),
            hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
        ),
        max_size=6,
    ),
    st.text(max_size=20),
)
def test_any_constants_survive(arrays: list[np.ndarray], name: str) -> None:
    model = constants(*arrays, description=name)
    data = write_model(model)
    read = read_model(data)
    assert read.description == name
    for array, tensor in itertools.zip_longest(arrays, read.subgraphs[0].tensors):
        assert tensor.data.dtype == array.dtype
        assert tensor.data.shape == array.shape
        assert tensor.data.tobytes() == array.tobytes()
    assert write_model(read) == data


def broken(model: Model, **change: Any) -> Model:
    for name, value in change.items():
        setattr(model.subgraphs[0].tensors[0], name, value)
    return model


def operator_model(*args: Any, **kwargs: Any) -> Model:
    return one_operator(Operator(*args, **kwargs))


REFUSED: list[tuple[Model, str, str]] = [
    (broken(constants(ONES), dtype="int8"), "data is float32, expected int8", "tensors[0].data"),
    (
        broken(constants(ONES), shape=(3,)),
        "has shape (2,), but the tensor's shape is (3,)",
        "tensors[0].data",
    ),
    (
        broken(constants(ONES), dtype="float31", data=None),
        "TensorType has no value 'FLOAT31'",
        "tensors[0].type",
    ),
    (broken(constants(ONES), buffer=9), "index 9 into 1 buffers", "tensors[0].buffer"),
    (broken(constants(ONES), buffer=-1), "index -1 into 1 buffers", "tensors[0].buffer"),
    (broken(constants(ONES), name=5), "int, expected a string", "tensors[0].name"),
    (broken(constants(ONES), name="\ud800"), "UTF-8", "tensors[0].name"),
    (broken(constants(ONES), shape_signature=(2**31,)), "cannot be stored as int32", "shape_signature"),
    (operator_model("ADD", 1, (0, 7), (2,)), "index 7 into 3 tensors", "operators[0].inputs[1]"),
    (operator_model("ADDD", 1, (0, 1), (2,)), "unknown operator 'ADDD'", "operator_codes[0]"),
    (
        operator_model("ADD", 1, (0, 1), (2,), {"axis": 1}),
        "ADD has no option 'axis'; it has: fused",
        "operators[0]",
    ),
    (operator_model("PACK", 1, (0, 1), (2,), {"axis": 1.5}), "cannot be stored as int32", "axis"),
    (operator_model("TANH", 1, (0,), (2,), {"axis": 1}), "TANH has no options, got axis", "operators[0]"),
    (operator_model("ADD", 1, (0, 1), (2,), {}, "MulOptions"), "has options of type MulOptions", "options"),
    (operator_model("ADD", 1, (0, 1), (2,), {}, "BuiltinOptions#200"), "BuiltinOptions#200", "operators[0]"),
    (
        operator_model("MIRROR_PAD", 1, (0, 1), (2,), {"mode": "WRAP"}),
        "has no value 'WRAP'; it has: REFLECT, SYM",
        "mode",
    ),
    (operator_model("CUSTOM", 1, (0,), (2,)), "custom operator without a name", "custom_code"),
    (operator_model("CALL", 1, (0,), (2,), {"subgraph": 1}), "index 1 into 1 subgraphs", "subgraph"),
    (Model([]), "no subgraph", "subgraphs"),
    (constants(ONES, version=4), "schema version 4", "version"),
    (constants(ONES, metadata=[Metadata("m", 3)]), "index 3 into 2 buffers", "metadata[0].buffer"),
]


@pytest.mark.parametrize(("model", "message", "where"), REFUSED, ids=[m for _, m, _ in REFUSED])
def test_models_that_cannot_be_written(model: Model, message: str, where: str, tmp_path: Path) -> None:
    path = tmp_path / "out.tflite"
    path.write_bytes(b"before")
    with pytest.raises(ModelFormatError) as caught:
        save_model(model, path)
    assert str(caught.value).startswith("cannot write this model: ")
    assert message in caught.value.reason
    assert (caught.value.path or "").endswith(where)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_models_of_more_than_two_gigabytes() -> None:
    # A broadcast zero takes no memory; the size is checked before anything is copied.
    huge = np.broadcast_to(np.uint8(0), (2**31,))
    model = constants(np.zeros(1, np.uint8))
    model.buffers.append(huge)
    with pytest.raises(ModelFormatError, match="a flatbuffer holds at most 2147483647"):
        write_model(model)


def test_save_model(tmp_path: Path) -> None:
    model = constants(ONES)
    save_model(model, tmp_path / "out.tflite")
    assert (tmp_path / "out.tflite").read_bytes() == write_model(model)
    assert read_model(tmp_path / "out.tflite").source == str(tmp_path / "out.tflite")
    with pytest.raises(OSError, match="does not exist"):
        save_model(model, tmp_path / "nowhere" / "out.tflite")


def test_saving_over_the_file_that_is_mapped(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    save_model(constants(ONES), path)
    model = read_model(path)
    save_model(model, path)
    assert data_of(model, 0).tolist() == [1.0, 1.0]
    assert_same(read_model(path), model)
