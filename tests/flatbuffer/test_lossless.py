"""What is easily lost between reading and writing: NaN payloads, old fields, fields newer than the schema."""

from __future__ import annotations

import struct

import flatbuffers
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantcore.errors import ModelFormatError
from quantcore.flatbuffer import read_model, write_model
from quantcore.flatbuffer.floats import bits_of_float, float_of_bits
from quantcore.graph import Model, Operator, Quantization, Signature, Subgraph, Tensor
from tests.flatbuffer.compare import assert_same

# Zeros, the smallest and largest numbers, infinities, quiet and signalling NaN, payloads at both ends.
BITS = (0, 1 << 31, 1, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00001, 0x7F800001, 0xFFBFFFFF)


@settings(max_examples=300)
@given(st.one_of(st.sampled_from(BITS), st.integers(0, 2**32 - 1)))
def test_every_float32_keeps_its_bits(bits: int) -> None:
    assert bits_of_float(float_of_bits(bits)) == bits


def test_nan_whose_payload_float32_cannot_hold() -> None:
    nan = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000001))[0]
    assert np.isnan(np.uint32(bits_of_float(nan)).view(np.float32))


@pytest.mark.parametrize("bits", BITS)
def test_float_bits_survive_everywhere(bits: int) -> None:
    array = np.array([bits, bits ^ 1], np.uint32).view(np.float32)
    quantization = Quantization(array, np.array([0, 2**62]), 0, array[:1], array[1:])
    tensors = [Tensor("x", (2,), "float32", data=array, quantization=quantization)]
    ops = [
        Operator("LEAKY_RELU", 1, (0,), (0,), {"alpha": float_of_bits(bits)}, "LeakyReluOptions"),
        Operator("BUCKETIZE", 1, (0,), (0,), {"boundaries": tuple(map(float_of_bits, BITS))}),
    ]
    model = read_model(write_model(Model([Subgraph("main", tensors, ops, (), ())])))
    (tensor,), (leaky, buckets) = model.subgraphs[0].tensors, model.subgraphs[0].operators
    assert tensor.data is not None
    assert tensor.data.tobytes() == array.tobytes()
    assert_same(tensor.quantization, quantization)
    assert bits_of_float(leaky.options["alpha"]) == bits
    assert tuple(map(bits_of_float, buckets.options["boundaries"])) == BITS
    assert_same(read_model(write_model(model)), model)


def test_deprecated_fields_are_kept_where_a_file_has_them() -> None:
    resize = Operator(
        "RESIZE_BILINEAR", 1, (0,), (0,), {"new_height": 0, "new_width": 7}, "ResizeBilinearOptions"
    )
    model = Model(
        [Subgraph("main", [Tensor("x", (2,), "float32")], [resize], (), ())],
        signatures=[Signature("run", 0, {"x": 0}, {}, "serving_default"), Signature("other", 0, {}, {})],
    )
    read = read_model(write_model(model))
    assert read.signatures == model.signatures
    assert read.subgraphs[0].operators[0].options == {
        **resize.options, "align_corners": False, "half_pixel_centers": False
    }  # fmt: skip
    assert_same(read_model(write_model(read)), read)


def newer_file() -> bytes:
    """Return a model whose root table and whose only tensor have fields that nobody knows yet."""
    builder = flatbuffers.Builder(256)
    text = builder.CreateString("from the future")
    builder.StartObject(40)
    builder.PrependUOffsetTRelativeSlot(30, text, 0)
    builder.PrependInt32Slot(35, 5, 0)
    tensor = builder.EndObject()
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(tensor)
    tensors = builder.EndVector()
    builder.StartObject(6)
    builder.PrependUOffsetTRelativeSlot(0, tensors, 0)
    graph = builder.EndObject()
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(graph)
    graphs = builder.EndVector()
    builder.StartObject(20)
    builder.PrependUint32Slot(0, 3, 0)
    builder.PrependUOffsetTRelativeSlot(2, graphs, 0)
    builder.PrependInt8Slot(19, 1, 0)
    builder.Finish(builder.EndObject(), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_fields_newer_than_the_schema_are_never_lost_silently() -> None:
    model = read_model(newer_file())
    assert model.unread == (
        "slot 19 of Model (at the root)",
        "slot 30 and 1 more of Tensor (at subgraphs[0].tensors[0])",
    )
    assert model.trailing is None  # the bytes of the unread string are no one's
    with pytest.raises(ModelFormatError, match=r"slot 19 of Model .*set unread of the model to"):
        write_model(model)
    model.unread = ()
    assert read_model(write_model(model)).unread == ()
