"""The messages between parent and worker."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from quantcore.oracle.protocol import MAGIC, ProtocolError, receive, send


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    a, b = socket.socketpair()
    with a, b:
        yield a, b


def transfer(header: dict, arrays: list) -> tuple[dict, list[np.ndarray]]:
    """Send in a thread, since a socket's buffer holds less than a large array."""
    a, b = socket.socketpair()
    with a, b:
        sender = threading.Thread(target=send, args=(a, header, arrays))
        sender.start()
        received = receive(b)
        sender.join()
    return received


DTYPES = st.one_of(
    npst.integer_dtypes(), npst.unsigned_integer_dtypes(), npst.floating_dtypes(), npst.boolean_dtypes(),
    npst.complex_number_dtypes(),
)  # fmt: skip


@settings(max_examples=50)
@given(
    st.lists(DTYPES.flatmap(lambda d: npst.arrays(d, npst.array_shapes(min_dims=0, min_side=0))), max_size=4)
)
def test_arrays_arrive_bit_for_bit(arrays: list[np.ndarray]) -> None:
    header, received = transfer({"command": "x"}, arrays)
    assert header["command"] == "x"
    for sent, got in zip(arrays, received, strict=True):
        assert got.dtype == sent.dtype
        assert got.shape == sent.shape
        assert got.tobytes() == np.ascontiguousarray(sent).tobytes()


def test_large_and_strided_arrays() -> None:
    big = np.random.default_rng(0).integers(0, 256, (3, 1 << 20), dtype=np.uint8)
    sent = [big, big[:, ::-3], big.T]
    for got, expected in zip(transfer({}, sent)[1], sent, strict=True):
        assert np.array_equal(got, expected)


def test_python_objects_are_not_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(ProtocolError, match="dtype object"):
        send(pair[0], {}, [np.array([{}], object)])


def message(header: bytes) -> bytes:
    return MAGIC + struct.pack("<I", len(header)) + header


@pytest.mark.parametrize(
    "sent",
    [
        b"WARNING: something printed here\n",
        MAGIC + b"\xff\xff\xff\xff",
        message(b"not json"),
        message(b"{}"),
        message(json.dumps({"arrays": [{"dtype": "nonsense", "shape": [1]}]}).encode()),
        message(json.dumps({"arrays": [{"dtype": "<f4", "shape": "abc"}]}).encode()),
        message(json.dumps({"arrays": [{"dtype": "O", "shape": [1]}]}).encode()),
        message(json.dumps({"arrays": [{"dtype": "<f4", "shape": [-1, -1]}]}).encode()),
        message(json.dumps({"arrays": [{"dtype": "<f8", "shape": [1 << 40, 1 << 40]}]}).encode()),
    ],
)
def test_garbage_is_refused(sent: bytes, pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].sendall(sent)
    with pytest.raises(ProtocolError):
        receive(pair[1])


def test_a_deadline_holds_for_the_whole_message(pair: tuple[socket.socket, socket.socket]) -> None:
    """Pieces that keep coming must not put off the end."""
    stop = threading.Event()

    def drip() -> None:
        pair[0].sendall(message(b'{"arrays": [{"dtype": "|u1", "shape": [1000000]}]}'))
        while not stop.wait(0.02):
            pair[0].sendall(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        receive(pair[1], start + 0.2)
    stop.set()
    dripping.join()
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("cut", [0, 3, 7, 20])
def test_a_message_that_ends_early(cut: int, pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].sendall(message(b'{"arrays": [{"dtype": "<f4", "shape": [2]}]}')[:cut])
    pair[0].close()
    with pytest.raises(EOFError):
        receive(pair[1])
