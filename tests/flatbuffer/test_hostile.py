"""Damaged and hostile files: each is read or refused, in bounded time and memory, and never crashes.

The mutations are seeded, so a failure can be repeated; a much longer run of the same mutations was
done by hand.
"""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantcore.errors import ModelFormatError
from quantcore.flatbuffer import read_model, write_model
from quantcore.graph import Model
from tests.flatbuffer.generated import pack
from tests.flatbuffer.small import small_model, sparse_model

SECONDS = 5.0  # for a file of a few hundred KB; generous, because tests share the machine
MODELS = (
    "tflm_hello_world_int8",
    "tflm_micro_speech_int8",
    "tflm_mnist_lstm_int8",
    "coral_split_concat_uint8",
    "tflm_keyword_scrambled",
    "mlperf_kws_int8",
)
MUTATIONS_PER_MODEL = 700


def read_or_refuse(data: bytes) -> tuple[Model | None, ModelFormatError | None]:
    """Return the model that `data` holds, or why it is none."""
    try:
        return read_model(data), None
    except ModelFormatError as error:
        return None, error


def survives(data: bytes) -> bool:
    """Read `data`; return whether it is a model. Anything but a model or its refusal fails the test."""
    start = time.perf_counter()
    model, refusal = read_or_refuse(data)
    assert time.perf_counter() - start < SECONDS
    if model is None:
        assert refusal is not None
        assert "\n" not in str(refusal)
        assert refusal.offset is None or 0 <= refusal.offset <= len(data)
        return False
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            if tensor.data is not None:
                tensor.data.sum() if tensor.data.dtype.kind in "biuf" else tensor.data.tobytes()
    return True


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Return `data` with some bytes, words or ranges changed; most often one."""
    result = bytearray(data)
    for _ in range(rng.geometric(0.6)):
        at = int(rng.integers(0, len(result)))
        kind = rng.choice(5, p=[0.3, 0.3, 0.2, 0.15, 0.05])
        if kind == 0:
            result[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            result[at] = int(rng.integers(0, 256))
        elif kind == 2 and at + 4 <= len(result):
            value = int(rng.choice([0, 1, 4, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, len(data), len(data) - at]))
            struct.pack_into("<I", result, at & ~3, value & 0xFFFFFFFF)
        elif kind == 3:
            source = int(rng.integers(0, len(result)))
            length = min(int(rng.integers(1, 17)), len(result) - max(at, source))
            result[at : at + length] = result[source : source + length]
        else:
            del result[at : at + int(rng.integers(1, 5))]
    return bytes(result)


def test_every_truncation_of_a_small_model(models_dir: Path) -> None:
    data = (models_dir / "tflm_hello_world_int8.tflite").read_bytes()
    assert survives(data)
    read = [n for n in range(len(data)) if survives(data[:n])]
    # Only trailing padding can be missing unnoticed.
    assert read == list(range(len(data) - len(read), len(data)))
    assert len(read) < 16


@pytest.mark.parametrize("name", MODELS)
def test_mutations(models_dir: Path, name: str) -> None:
    data = (models_dir / f"{name}.tflite").read_bytes()
    rng = np.random.default_rng(7)
    outcomes = [survives(mutate(data, rng)) for _ in range(MUTATIONS_PER_MODEL)]
    assert {True, False} == set(outcomes)


@pytest.mark.parametrize("make", [small_model, sparse_model])
def test_every_single_bit_flip(make: Callable[[], object]) -> None:
    data = pack(make())
    outcomes = []
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            outcomes.append(survives(bytes(changed)))
    assert {True, False} == set(outcomes)


def test_what_is_read_from_a_damaged_file_can_be_written() -> None:
    data = pack(sparse_model())
    rng = np.random.default_rng(8)
    written = 0
    for _ in range(1500):
        model, _ = read_or_refuse(mutate(data, rng))
        if model is None:
            continue
        written += 1
        model.unread = ()
        rewritten = write_model(model)
        assert write_model(read_model(rewritten)) == rewritten
    assert written > 50


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_random_bytes(data: bytes) -> None:
    survives(data)
    survives(struct.pack("<I4s", 8, b"TFL3") + data)


# Hand-made files. Each refers to the same few bytes very often, so it means far more than it holds.


class Raw:
    """A flatbuffer written backwards with `flatbuffers.Builder`, for files that no writer makes."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1 << 20)

    def table(self, **fields: int) -> int:
        """Write a table: ``s<slot>`` is an offset, ``b``, ``v`` and ``q`` are int8, int32 and uint64."""
        builder = self.builder
        builder.StartObject(16)
        for name, value in fields.items():
            slot = int(name[1:])
            prepend = {
                "s": builder.PrependUOffsetTRelativeSlot,
                "b": builder.PrependInt8Slot,
                "v": builder.PrependInt32Slot,
                "q": builder.PrependUint64Slot,
            }
            prepend[name[0]](slot, value, 0)
        return int(builder.EndObject())

    def tables(self, offsets: list[int]) -> int:
        """Write a vector of tables."""
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def numbers(self, count: int, dtype: str = "int32") -> int:
        """Write a vector of zeros."""
        return int(self.builder.CreateNumpyVector(np.zeros(count, dtype)))

    def model(self, **fields: int) -> bytes:
        """Return the file whose root has the given fields, version 3 and one operator code."""
        codes = self.tables([self.table()])
        self.builder.Finish(self.table(v0=3, s1=codes, **fields), file_identifier=b"TFL3")
        return bytes(self.builder.Output())


def shared_tensors(count: int) -> bytes:
    raw = Raw()
    tensor = raw.table(s0=raw.numbers(8), s3=raw.builder.CreateString("a" * 1000))
    graph = raw.table(s0=raw.tables([tensor] * count))
    return raw.model(s2=raw.tables([graph]))


def shared_operators(count: int) -> bytes:
    raw = Raw()
    inputs = raw.numbers(10_000)
    op = raw.table(s1=inputs, s2=inputs, s7=inputs)
    graph = raw.table(s0=raw.tables([raw.table()]), s3=raw.tables([op] * count))
    return raw.model(s2=raw.tables([graph]))


def shared_subgraphs(count: int) -> bytes:
    """Sharing at two levels: `count` subgraphs of `count` tensors."""
    raw = Raw()
    graph = raw.table(s0=raw.tables([raw.table()] * count))
    return raw.model(s2=raw.tables([graph] * count))


def shared_buffers(count: int) -> bytes:
    """Overlapping buffers at an odd address, each used as int32: every view needs an aligned copy."""
    raw = Raw()
    raw.numbers(400_100, "uint8")
    buffers = raw.tables([raw.table(q1=500_001, q2=400_000)] * count)
    shape = int(raw.builder.CreateNumpyVector(np.array([100_000], np.int32)))
    tensors = [raw.table(s0=shape, b1=2, v2=i) for i in range(1, count)]
    graph = raw.table(s0=raw.tables(tensors))
    return raw.model(s2=raw.tables([graph]), s4=buffers) + bytes(901_001)


def huge_custom_options(count: int) -> bytes:
    raw = Raw()
    data = raw.numbers(1_000_000, "uint8")
    graph = raw.table(s3=raw.tables([raw.table(s5=data)] * count))
    return raw.model(s2=raw.tables([graph]))


def one_large_vector(count: int) -> bytes:
    raw = Raw()
    graph = raw.table(s0=raw.tables([raw.table()]), s1=raw.numbers(count))
    return raw.model(s2=raw.tables([graph]))


BOMBS = [
    (shared_tensors, 100_000),
    (shared_operators, 100_000),
    (shared_subgraphs, 30_000),
    (shared_buffers, 2_000),
    (huge_custom_options, 10_000),
    (one_large_vector, 1_000_000),
]


@pytest.fixture
def bounded_memory() -> Iterator[Callable[[int], None]]:
    """Measure the memory that Python allocates in a test; give a function that checks it."""
    tracemalloc.start()

    def check(size: int) -> None:
        peak = tracemalloc.get_traced_memory()[1]
        assert peak < (256 << 20) + 64 * size, f"{peak >> 20} MB for a file of {size >> 10} KB"

    yield check
    tracemalloc.stop()


@pytest.mark.parametrize(("bomb", "count"), BOMBS, ids=[b.__name__ for b, _ in BOMBS])
def test_bombs(bomb: Callable[[int], bytes], count: int, bounded_memory: Callable[[int], None]) -> None:
    data = bomb(count)
    tracemalloc.reset_peak()
    start = time.perf_counter()
    _, refusal = read_or_refuse(data)
    assert time.perf_counter() - start < 4 * SECONDS
    assert refusal is None or "over and over" in str(refusal)
    bounded_memory(len(data))


def test_the_same_files_in_small_are_models() -> None:
    for bomb, _ in BOMBS:
        read_model(bomb(3))


def place_of_root(data: bytes) -> tuple[int, int]:
    root = struct.unpack_from("<I", data)[0]
    return root, root - struct.unpack_from("<i", data, root)[0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "does not lead to a place inside the file"),
        (0xFFFFFFFF, "does not lead to a place inside the file"),
        (0x7FFFFFFF, "does not lead to a place inside the file"),
    ],
)
def test_root_offset(value: int, message: str) -> None:
    data = struct.pack("<I", value) + pack(small_model())[4:]
    with pytest.raises(ModelFormatError, match=message) as caught:
        read_model(data)
    assert caught.value.offset == 0


@pytest.mark.parametrize(
    ("vtable_size", "table_size", "message"),
    [
        (0, 8, "vtable of 0 bytes does not fit"),
        (7, 8, "vtable of 7 bytes does not fit"),
        (0xFFFE, 8, "vtable of 65534 bytes does not fit"),
        (4, 0, "table of 0 bytes, expected at least 4"),
        (4, 0xFFFF, "table of 65535 bytes runs past the end"),
        (6, 8, r"field at byte \d+ of a table of 8 bytes \(at version"),
    ],
)
def test_root_vtable(vtable_size: int, table_size: int, message: str) -> None:
    data = bytearray(pack(small_model()))
    _, vtable = place_of_root(bytes(data))
    struct.pack_into("<HH", data, vtable, vtable_size, table_size)
    with pytest.raises(ModelFormatError, match=message):
        read_model(bytes(data))


@pytest.mark.parametrize("distance", [-(2**31), 2**31 - 1, 10**6, -(10**6)])
def test_vtable_outside_the_file(distance: int) -> None:
    data = bytearray(pack(small_model()))
    root, _ = place_of_root(bytes(data))
    struct.pack_into("<i", data, root, distance)
    with pytest.raises(ModelFormatError, match="outside the file"):
        read_model(bytes(data))


def test_vector_that_is_too_long() -> None:
    data = bytearray(pack(small_model()))
    root, vtable = place_of_root(bytes(data))
    field = root + struct.unpack_from("<H", data, vtable + 4 + 2 * 2)[0]  # slot 2: subgraphs
    vector = field + struct.unpack_from("<I", data, field)[0]
    for length in (2**32 - 1, 2**30, len(data)):
        struct.pack_into("<I", data, vector, length)
        with pytest.raises(ModelFormatError, match="runs past the end of the file") as caught:
            read_model(bytes(data))
        assert caught.value.path == "subgraphs"
        assert caught.value.offset == vector


def test_string_without_its_end() -> None:
    data = bytearray(pack(small_model()))
    at = data.index(b"small\0")
    data[at + 5] = 1
    with pytest.raises(ModelFormatError, match="does not end in a zero byte") as caught:
        read_model(bytes(data))
    assert caught.value.path == "description"
    assert caught.value.offset == at
