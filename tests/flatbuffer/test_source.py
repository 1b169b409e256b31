"""Paths and buffers that are no model: one clear line each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quantcore.errors import ModelFormatError
from quantcore.flatbuffer import read_model


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"TFL3", "it has only 4 bytes"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "found PNG signature"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "found JPEG signature"),
        (b"PK\x03\x04" + bytes(100), "found ZIP (such as .keras or .npz) signature"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "found HDF5 (such as .h5) signature"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"hello world, this is text", "found b'o wo'"),
        (bytes(1000), r"found b'\x00\x00\x00\x00'"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(ModelFormatError) as caught:
            read_model(source)
        text = str(caught.value)
        assert "not a .tflite file: " in text
        assert message in text
        assert 'expected "TFL3" at byte 4' in text
        assert "\n" not in text
        assert (str(path) in text) == (source is path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match=r"no such file: .*nothing\.tflite"):
        read_model(tmp_path / "nothing.tflite")


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match=r"is a directory, expected a \.tflite file"):
        read_model(tmp_path)


def test_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFormatError, match="not a regular file"):
        read_model(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"")
    path.chmod(0)
    with pytest.raises(ModelFormatError, match="Permission denied"):
        read_model(path)


@pytest.mark.parametrize("source", [7, None, 2.5, ["model.tflite"], object()])
def test_neither_path_nor_buffer(source: object) -> None:
    with pytest.raises(ModelFormatError, match="expected a path or contiguous bytes"):
        read_model(source)  # type: ignore[arg-type]


def test_path_that_no_file_can_have() -> None:
    with pytest.raises(ModelFormatError, match="cannot read"):
        read_model("model\0.tflite")


def test_buffer_with_gaps() -> None:
    with pytest.raises(ModelFormatError, match="contiguous"):
        read_model(memoryview(bytes(100))[::2])
