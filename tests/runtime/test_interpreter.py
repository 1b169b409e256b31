"""The Interpreter's surface: batches, threads, errors, the methods of ``tf.lite.Interpreter``."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from quantcore import Interpreter
from quantcore.errors import KernelError, ModelFormatError, QuantcoreError, UnsupportedOperatorError
from quantcore.flatbuffer import save
from quantcore.graph import Model, Operator, Subgraph, Tensor
from tests.runtime.small_models import relu_chain, two_subgraphs


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).integers(-128, 128, (257, 6)).astype(np.int8)


def expected_chain(x: np.ndarray) -> np.ndarray:
    """relu_chain((1, 6)) in exact arithmetic: a scale ratio of 2 needs no rounding."""
    q = x.astype(np.int64)
    for i in range(3):
        q = np.clip(2 * (q + 10 * i) - 10 * (i + 1), -10 * (i + 1), 127)
    return q.astype(np.int8)


def test_batches_of_any_size_equal_single_runs(x: np.ndarray) -> None:
    interpreter = Interpreter(relu_chain((1, 6)))
    for n in (1, 2, 63, 64, 65, 257):
        np.testing.assert_array_equal(interpreter.run(x[:n]), expected_chain(x[:n]))
    assert interpreter.run(x[:0]).shape == (0, 6)


def test_the_ways_to_give_a_model(x: np.ndarray, tmp_path: Path) -> None:
    model, path = relu_chain((1, 6)), tmp_path / "model.tflite"
    save(model, path)
    for way in ({"model": model}, {"model_path": path}, {"model_path": str(path)},
                {"model_content": path.read_bytes()}):  # fmt: skip
        np.testing.assert_array_equal(Interpreter(**way).run(x), expected_chain(x))
    with pytest.raises(KernelError, match="got 2 models"):
        Interpreter(model, model_path=path)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_change_results(x: np.ndarray, threads: int) -> None:
    interpreter = Interpreter(relu_chain((1, 6)), num_threads=threads)
    np.testing.assert_array_equal(interpreter.run(x), expected_chain(x))


def test_batch_must_be_a_multiple_of_the_models_batch(x: np.ndarray) -> None:
    interpreter = Interpreter(relu_chain((4, 6)))
    np.testing.assert_array_equal(interpreter.run(x[:8]), expected_chain(x[:8]))
    with pytest.raises(KernelError, match=r"multiple along the first axis; got \(6, 6\)"):
        interpreter.run(x[:6])


def test_inputs_and_outputs_take_the_same_form(x: np.ndarray) -> None:
    interpreter = Interpreter(relu_chain((1, 6)))
    assert isinstance(interpreter.run(x), np.ndarray)
    assert isinstance(interpreter.run([x]), list)
    assert list(interpreter.run({"images": x})) == ["scores"]
    assert list(interpreter.run({"t0": x})) == ["scores"]


def test_several_inputs_and_outputs() -> None:
    tensors = [Tensor(name, (2, 3), "float32") for name in ("a", "b", "sum", "limited")]
    operators = [Operator("ADD", 1, (0, 1), (2,)), Operator("RELU", 1, (1,), (3,))]
    interpreter = Interpreter(Model([Subgraph("main", tensors, operators, (0, 1), (2, 3))]))
    a, b = np.random.default_rng(0).normal(size=(2, 2, 3)).astype(np.float32)
    for _ in range(2):  # the first run makes the memory that the short way needs
        for given in ([a, b], (a, b), [a, np.asfortranarray(b)], [a, b.view()]):
            outputs = interpreter.run(given)
            assert isinstance(outputs, list)
            np.testing.assert_array_equal(outputs, [a + b, np.maximum(b, 0)])
        assert interpreter.run({"a": a, "b": b}).keys() == {"sum", "limited"}
        twice = interpreter.run([np.concatenate([a, b]), np.concatenate([b, b])])
        np.testing.assert_array_equal(twice[0], np.concatenate([a + b, b + b]))
        for wrong in ([a], [a, b, b], [a, b.astype(np.float64)], [a, b[:, :2]], a):
            with pytest.raises(KernelError):
                interpreter.run(wrong)


def test_non_contiguous_and_read_only_inputs(x: np.ndarray) -> None:
    interpreter = Interpreter(relu_chain((1, 6)))
    before = x.copy()
    x.flags.writeable = False
    strided = np.asfortranarray(x)[::2]
    np.testing.assert_array_equal(interpreter.run(strided), expected_chain(x[::2]))
    np.testing.assert_array_equal(x, before)


def test_run_all_returns_every_tensor(x: np.ndarray) -> None:
    tensors = Interpreter(relu_chain((1, 6))).run_all(x[:1])
    assert sorted(tensors) == [0, 1, 2, 3]
    np.testing.assert_array_equal(tensors[0], x[:1])
    np.testing.assert_array_equal(tensors[3], expected_chain(x[:1]))


def test_one_interpreter_serves_many_threads(x: np.ndarray) -> None:
    interpreter = Interpreter(relu_chain((1, 6)), num_threads=2)
    failures = []

    def work(start: int) -> None:
        for _ in range(20):
            part = x[start : start + 64]
            if not np.array_equal(interpreter.run(part), expected_chain(part)):
                failures.append(start)

    threads = [threading.Thread(target=work, args=(s,)) for s in range(0, 192, 64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((1, 6), np.float32), "has dtype int8, got float32"),
        (np.zeros((1, 7), np.int8), r"has shape \(1, 6\).*got \(1, 7\)"),
        (np.zeros(6, np.int8), r"got \(6,\)"),
        ([], "1 inputs, got 0"),
        ({"image": np.zeros((1, 6), np.int8)}, "unknown inputs.*known names: t0, images"),
    ],
)
def test_wrong_inputs_are_refused_clearly(value: object, message: str) -> None:
    with pytest.raises(KernelError, match=message):
        Interpreter(relu_chain((1, 6))).run(value)


def test_tensor_methods_need_allocation_and_known_tensors(x: np.ndarray) -> None:
    interpreter = Interpreter(relu_chain((1, 6)))
    for method, arguments in (("invoke", ()), ("set_tensor", (0, x[:1])), ("get_tensor", (3,))):
        with pytest.raises(KernelError, match="allocate_tensors"):
            getattr(interpreter, method)(*arguments)
    interpreter.allocate_tensors()
    with pytest.raises(KernelError, match="not an input"):
        interpreter.set_tensor(2, x[:1])
    with pytest.raises(KernelError, match="run_all"):
        interpreter.get_tensor(1)
    with pytest.raises(KernelError, match="no tensor 9"):
        interpreter.get_tensor(9)


def test_preserve_all_tensors_keeps_intermediates(x: np.ndarray) -> None:
    interpreter = Interpreter(relu_chain((1, 6)), experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, x[:1])
    interpreter.invoke()
    everything = interpreter.run_all(x[:1])
    for t in range(4):
        np.testing.assert_array_equal(interpreter.get_tensor(t), everything[t])


def test_resize(x: np.ndarray) -> None:
    interpreter = Interpreter(relu_chain((1, 6)))
    interpreter.resize_tensor_input(0, [5, 6])
    with pytest.raises(KernelError, match="allocate_tensors"):
        interpreter.invoke()
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, x[:5])
    interpreter.invoke()
    np.testing.assert_array_equal(interpreter.get_tensor(3), expected_chain(x[:5]))
    assert interpreter.get_input_details()[0]["shape"].tolist() == [5, 6]
    with pytest.raises(KernelError, match="strict"):
        interpreter.resize_tensor_input(0, [7, 6], strict=True)


def test_signatures_reach_other_subgraphs() -> None:
    interpreter = Interpreter(two_subgraphs())
    x = np.array([-1.0, 7.0], np.float32)
    each = {"inputs": ["x"], "outputs": ["y"]}
    assert interpreter.get_signature_list() == {"first": each, "second": each}
    np.testing.assert_array_equal(interpreter.get_signature_runner("first")(x=x)["y"], [0, 7])
    np.testing.assert_array_equal(interpreter.get_signature_runner("second")(x=x)["y"], [0, 6])
    with pytest.raises(KernelError, match="'first', 'second'"):
        interpreter.get_signature_runner("third")
    with pytest.raises(KernelError, match=r"takes \['x'\], got \['z'\]"):
        interpreter.get_signature_runner("first")(z=x)


def graph_of(operator: Operator, *tensors: Tensor, outputs: tuple[int, ...] = (1,)) -> Model:
    return Model([Subgraph("main", list(tensors), [operator], (0,), outputs)])


def test_what_cannot_run_is_refused_with_its_place() -> None:
    x, y = Tensor("x", (2,), "float32"), Tensor("y", (2,), "float32")
    with pytest.raises(UnsupportedOperatorError, match=r"operator 0 .CUSTOM.*custom operator 'Nope'"):
        Interpreter(graph_of(Operator("CUSTOM", 1, (0,), (1,), custom_code="Nope"), x, y))
    with pytest.raises(UnsupportedOperatorError, match="version 99"):
        Interpreter(graph_of(Operator("RELU", 99, (0,), (1,)), x, y))
    with pytest.raises(UnsupportedOperatorError, match="reads tensor 1"):
        Interpreter(graph_of(Operator("RELU", 1, (1,), (0,)), x, y))
    with pytest.raises(UnsupportedOperatorError, match="writes tensor 0"):
        Interpreter(graph_of(Operator("RELU", 1, (0,), (0,)), x, y))
    z = Tensor("z", (1,), "float32")
    with pytest.raises(ModelFormatError, match="never computed"):
        Interpreter(graph_of(Operator("RELU", 1, (0,), (1,)), x, y, z, outputs=(2,)))


def test_shapes_that_no_memory_holds_are_refused() -> None:
    with pytest.raises(KernelError, match="more than 2147483647 elements"):
        Interpreter(relu_chain((65536, 65536)))


def test_arguments_are_checked() -> None:
    model = relu_chain((1, 6))
    with pytest.raises(QuantcoreError, match="unknown numerics profile 'fast'; known: reference"):
        Interpreter(model, numerics="fast")
    with pytest.raises(KernelError, match="num_threads is 0"):
        Interpreter(model, num_threads=0)
    with pytest.raises(KernelError, match="got 0 models"):
        Interpreter()
    with pytest.raises(KernelError, match="subgraph_index is 1"):
        Interpreter(model, subgraph_index=1)


def test_edited_constants_must_fit_their_tensor() -> None:
    model = relu_chain((1, 6))
    model.subgraphs[0].tensors[1].data = np.zeros((1, 5), np.int8)
    with pytest.raises(KernelError, match="make them agree"):
        Interpreter(model)
