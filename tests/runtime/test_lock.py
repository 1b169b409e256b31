"""The lock of an interpreter."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from quantcore.runtime._lock import Lock

from quantcore import Interpreter
from tests.runtime.small_models import relu_chain


def test_only_one_thread_is_inside() -> None:
    lock = Lock()
    inside: list[int] = []
    seen: list[int] = []

    def enter(number: int) -> None:
        for turn in range(30):
            with lock, lock:  # reentrant
                inside.append(number)
                if turn % 3 == 0:
                    time.sleep(1e-4)  # lets the others come to the door
                seen.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=enter, args=(i,)) for i in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert seen == [1] * 150


def test_an_exception_leaves_the_lock() -> None:
    lock = Lock()
    with pytest.raises(ValueError, match="inside"), lock:
        raise ValueError("inside")
    entered = threading.Event()

    def enter() -> None:
        with lock:
            entered.set()

    threading.Thread(target=enter).start()
    assert entered.wait(10)


def test_runs_while_another_thread_resizes() -> None:
    """A run that has waited for its turn does not write into a plan that is gone."""
    interpreter = Interpreter(relu_chain((1, 6)))
    x = np.arange(-30, 30).astype(np.int8).reshape(10, 6)
    expected = interpreter.run(x)
    stop, wrong = threading.Event(), []

    def run() -> None:
        while not stop.is_set():
            for i in range(10):
                if not np.array_equal(interpreter.run(x[i : i + 1]), expected[i : i + 1]):
                    wrong.append(i)

    thread = threading.Thread(target=run)
    thread.start()
    interpreter.allocate_tensors()
    for _ in range(30):
        interpreter.resize_tensor_input(0, [1, 6])
        interpreter.allocate_tensors()
        interpreter.invoke()
    stop.set()
    thread.join(20)
    assert wrong == []
