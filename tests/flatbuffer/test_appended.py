"""What stands in a file behind its flatbuffer: ZIP archives, other bytes, constants."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantcore.errors import ModelFormatError
from quantcore.flatbuffer import read_model, save_model, write_model
from quantcore.graph import Model, Operator, Subgraph, Tensor
from tests.flatbuffer.compare import assert_same
from tests.flatbuffer.generated import pack
from tests.flatbuffer.small import small_model

FILES = {"labels.txt": b"cat\ndog\n", "empty": b"", "vocab.txt": bytes(1000)}


def plain(constant: int = 4, op: Operator | None = None) -> Model:
    tensors = [
        Tensor("x", (1,), "float32"),
        Tensor("c", (constant,), "int8", data=np.arange(constant, dtype=np.int8)),
    ]
    return Model([Subgraph("main", tensors, [op] if op else [], (0,), (0,))])


def appended(model: bytes, files: dict[str, bytes] = FILES, comment: bytes = b"") -> bytes:
    """Append files to a model as TFLite's metadata tools do."""
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.comment = comment
    return file.getvalue()


def assert_standard(data: bytes, files: dict[str, bytes] = FILES) -> None:
    """Check the entries, and that all positions count from the start of the file.

    Python repairs positions that are off by a constant; ZIP readers in C, such as the one of TFLite's task
    library, refuse them.
    """
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    assert {i.filename: archive.read(i) for i in archive.infolist()} == files
    end = data.rindex(b"PK\x05\x06")
    size, position = np.frombuffer(data[end + 12 : end + 20], "<u4").tolist()
    assert position + size == end
    assert all(data[i.header_offset :].startswith(b"PK\x03\x04") for i in archive.infolist())


@pytest.mark.parametrize("comment", [b"", b"made by hand"])
@pytest.mark.parametrize("files", [FILES, {}])
def test_archive_survives_and_moves(files: dict[str, bytes], comment: bytes) -> None:
    data = appended(write_model(plain()), files, comment)
    model = read_model(data)
    assert model.archive is not None
    assert model.trailing is None
    assert zipfile.ZipFile(io.BytesIO(model.archive)).comment == comment
    assert_standard(model.archive, files)
    assert write_model(model) == data
    model.subgraphs[0].tensors[1] = plain(1000).subgraphs[0].tensors[1]
    longer = write_model(model)
    assert_standard(longer, files)
    assert_same(read_model(longer).archive, model.archive)


def test_archives_can_be_replaced_and_removed(tmp_path: Path) -> None:
    model = read_model(appended(write_model(plain())))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("labels.txt", b"new")
    model.archive = file.getvalue()
    save_model(model, tmp_path / "new.tflite")
    assert_standard((tmp_path / "new.tflite").read_bytes(), {"labels.txt": b"new"})
    model.archive = None
    assert write_model(model) == write_model(plain())


def test_archives_that_were_moved_before_are_read() -> None:
    moved = write_model(plain(100)) + appended(b"")
    model = read_model(moved)
    assert_standard(write_model(model))


def test_real_archives(model_path: Path) -> None:
    model = read_model(model_path)
    if model.archive is None:
        assert not zipfile.is_zipfile(model_path)
        return
    with zipfile.ZipFile(model_path) as archive:
        files = {i.filename: archive.read(i) for i in archive.infolist()}
    assert_standard(write_model(model), files)
    assert_standard(model.archive, files)


@settings(max_examples=150)
@given(st.integers(0, 200), st.integers(0, 255), st.integers(0, 200))
def test_damaged_archives_are_kept_as_bytes(at: int, value: int, cut: int) -> None:
    start = len(write_model(plain()))
    data = bytearray(appended(write_model(plain())))
    data[-1 - at] = value
    damaged = bytes(data[: len(data) - cut])
    model = read_model(damaged)
    rewritten = write_model(model)
    assert len(rewritten) == len(damaged)
    if model.archive is None:
        assert rewritten[start:] == damaged[start:]
    assert write_model(read_model(rewritten)) == rewritten


def test_what_is_no_archive_is_not_appended() -> None:
    model = plain()
    for archive in (b"PK", bytes(100), b"junk" + appended(b"")):
        model.archive = archive
        with pytest.raises(ModelFormatError, match=r"not a ZIP archive .*archive"):
            write_model(model)


CUSTOM = Operator("CUSTOM", 1, (0,), (0,), custom_code="DISPATCH_OP")


@pytest.mark.parametrize("op", [None, CUSTOM])
@pytest.mark.parametrize("gap", [0, 5, 4096])
def test_other_bytes_keep_their_place(gap: int, op: Operator | None) -> None:
    code = bytes([0, 0, 1, 0, 2, 0, 0])
    data = write_model(plain(op=op)) + bytes(gap) + code
    for whole in (data, appended(data)):
        model = read_model(whole)
        assert model.trailing is not None
        assert write_model(model) == whole
    assert read_model(write_model(plain(op=op)) + bytes(100)).trailing is None


def test_other_bytes_that_would_move() -> None:
    data = write_model(plain()) + b"code"
    model = read_model(data)
    model.subgraphs[0].tensors[1] = plain(1000).subgraphs[0].tensors[1]
    assert write_model(model).endswith(b"code")
    model.subgraphs[0].operators.append(CUSTOM)
    with pytest.raises(ModelFormatError, match=f"position {len(data) - 4} of the file.*set trailing to None"):
        write_model(model)
    model.trailing = None
    assert read_model(write_model(model)).trailing is None


def test_constants_behind_the_flatbuffer_come_to_stand_inside() -> None:
    schema = small_model()
    constant = np.array([1.5, np.nan], np.float32).tobytes()
    schema.buffers[1].data = None
    schema.buffers[1].offset, schema.buffers[1].size = 1000, len(constant)
    flatbuffer = pack(schema)
    data = flatbuffer + bytes(1000 - len(flatbuffer)) + constant
    model = read_model(appended(data))
    assert model.trailing is None
    rewritten = write_model(model)
    assert_standard(rewritten)
    read = read_model(rewritten)
    assert read.subgraphs[0].tensors[1].data.tobytes() == constant
    assert_same(read, model)
