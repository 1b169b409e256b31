"""The oracle: values, intermediate tensors, refusals, crashes, time-outs, and the package it comes from."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from quantcore.errors import OracleCrashed, OracleError, OracleRefused, OracleUnavailable
from quantcore.flatbuffer import read_model
from quantcore.graph import Model
from quantcore.numerics import PROFILES
from quantcore.oracle import Oracle, find_package, packages, process
from quantcore.subgraphs import intermediate_tensors
from tests.ops.harness import (
    Op,
    assert_same_bits,
    const,
    get_oracle,
    graph_model,
    op_model,
    random_values,
    tensor,
    with_shapes,
)

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return get_oracle()


def quick_resolver() -> str:
    """Return the resolver whose package starts soonest; what starts and ends processes is the same."""
    try:
        find_package("tflite_micro")
    except OracleUnavailable:
        get_oracle()
        return "BUILTIN_REF"
    return "TFLM"


@pytest.fixture
def own_oracle() -> Iterator[Oracle]:
    """An oracle whose process a test may damage."""
    with Oracle(quick_resolver()) as oracle:
        yield oracle


def two_inputs() -> Model:
    """``a - b``: the order of the inputs shows in the result."""
    ends = [tensor((2, 3), "float32", name="a"), tensor((2, 3), "float32", name="b")]
    return op_model("SUB", ends, [tensor((2, 3), "float32")])


A = np.arange(6, dtype=np.float32).reshape(2, 3)
B = np.full((2, 3), 10, np.float32)


# Values -----------------------------------------------------------------------------------------------


def test_inputs_by_position_and_by_name(oracle: Oracle) -> None:
    model = two_inputs()
    for inputs in ([A, B], (A, B), {"b": B, "a": A}):
        (y,) = oracle.run(model, inputs)
        assert_same_bits(y, A - B)


def test_model_as_object_bytes_and_path(oracle: Oracle, models_dir: Path) -> None:
    path = models_dir / "tflm_hello_world_int8.tflite"
    x = np.array([[17]], np.int8)
    results = [oracle.run(m, x)[0] for m in (path, str(path), path.read_bytes(), read_model(path))]
    for result in results:
        assert_same_bits(result, results[0])


def test_other_shapes_resize_the_inputs(oracle: Oracle) -> None:
    x = random_values(np.random.default_rng(0), (5, 7), "float32")
    model = op_model("RELU", [tensor((1, 7), "float32")], [tensor((), "float32")])
    (y,) = oracle.run(model, x)
    assert_same_bits(y, np.where(x > 0, x, np.float32(0)))


def test_a_batch_equals_single_runs(oracle: Oracle) -> None:
    rng = np.random.default_rng(1)
    samples = [
        [random_values(rng, (n, 3), "float32"), random_values(rng, (n, 3), "float32")] for n in (2, 4, 2)
    ]
    model = two_inputs()
    for sample, (y,) in zip(samples, oracle.run_batch(model, samples), strict=True):
        assert_same_bits(y, sample[0] - sample[1])
        assert_same_bits(y, oracle.run(model, sample)[0])
    assert oracle.run_batch(model, []) == []


@pytest.mark.parametrize(
    ("op", "x", "expected"),
    [
        ("LOGICAL_NOT", np.array([True, False]), np.array([False, True])),
        ("CAST", np.array([1.75, -2.5], np.float32), np.array([1, -2], np.int64)),
        ("CAST", np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int64)),
        ("SHAPE", np.float32(4.0), np.zeros(0, np.int32)),
        ("RELU", np.array(-0.0, np.float32), np.array(-0.0, np.float32)),
    ],
)
def test_dtypes_scalars_and_empty_arrays(
    oracle: Oracle, op: str, x: np.ndarray, expected: np.ndarray
) -> None:
    x = np.asarray(x)
    options = {"CAST": {"out_data_type": "INT64"}, "SHAPE": {"out_type": "INT32"}}.get(op)
    model = op_model(op, [tensor(x.shape, x.dtype.name)], [tensor((), expected.dtype.name)], options)
    assert_same_bits(oracle.run(model, x)[0], expected)


@pytest.mark.parametrize(
    ("numerics", "expected"),
    [("reference", [-2, -1]), ("optimized", [-1, 0]), ("xnnpack", [-2, 0]), ("tflm", [-2, -1])],
)
def test_the_resolver_decides_which_kernels_run(numerics: str, expected: list[int]) -> None:
    """-1.5 and -0.5 round differently: half away from zero, half up (ruy), half to even (XNNPACK)."""
    model = op_model(
        "CONV_2D",
        [
            tensor((1, 1, 2, 1), "int8", 1.0),
            const(np.ones((1, 1, 1, 1), np.int8), 0.25),
            const(np.zeros(1, np.int32), 0.25),
        ],
        [tensor((), "int8", 1.0)],
        {"stride_w": 1, "stride_h": 1},
        version=3,
    )
    x = np.array([-6, -2], np.int8).reshape(1, 1, 2, 1)
    (y,) = get_oracle(numerics).run(with_shapes(model, [x]), x)
    assert y.ravel().tolist() == expected


def test_signatures(oracle: Oracle, models_dir: Path) -> None:
    path = models_dir / "aeq_conv_fc_mnist_float.tflite"
    (signature,) = read_model(path).signatures
    x = np.random.default_rng(0).random((1, 28, 28, 1), dtype=np.float32)
    named = oracle.run(path, {next(iter(signature.inputs)): x}, signature=signature.key)
    assert_same_bits(named[0], oracle.run(path, x)[0])
    with pytest.raises(OracleError, match="serving_default"):
        oracle.run(path, x, signature="train")


def test_entering_another_subgraph(oracle: Oracle) -> None:
    first, second = two_inputs(), op_model("NEG", [tensor((3,), "float32")], [tensor((), "float32")])
    model = Model([first.subgraphs[0], second.subgraphs[0]])
    x = np.array([1, -2, 0.5], np.float32)
    assert_same_bits(oracle.run(model, x, subgraph=1)[0], -x)
    assert_same_bits(oracle.run(model, [A, B])[0], A - B)
    tensors = oracle.run_all(model, x, subgraph=1)
    assert_same_bits(tensors[1], -x)


def test_samples_do_not_see_each_others_state(oracle: Oracle, models_dir: Path) -> None:
    path = models_dir / "tflm_mnist_lstm_int8.tflite"
    rng = np.random.default_rng(0)
    x, other = (random_values(rng, (1, 28, 28)) for _ in range(2))
    alone = oracle.run(path, x)[0]
    assert_same_bits(oracle.run_batch(path, [other, x])[1][0], alone)
    model = read_model(path)
    (key,) = [s.key for s in model.signatures]
    (name,) = model.signatures[0].inputs
    assert_same_bits(oracle.run_batch(path, [{name: other}, {name: x}], signature=key)[1][0], alone)


def test_state_is_handed_on_when_asked(oracle: Oracle, models_dir: Path) -> None:
    path = models_dir / "tflm_mnist_lstm_int8.tflite"
    rng = np.random.default_rng(0)
    first, second = (random_values(rng, (1, 28, 28)) for _ in range(2))
    kept = oracle.run_batch(path, [first, second, second], keep_state=True)
    fresh = oracle.run_batch(path, [first, second, second])
    assert_same_bits(kept[0][0], fresh[0][0])
    assert not np.array_equal(kept[1][0], fresh[1][0])
    assert_same_bits(fresh[1][0], fresh[2][0])


# Intermediate tensors ---------------------------------------------------------------------------------


def test_all_tensors_of_a_known_chain(oracle: Oracle) -> None:
    """RESHAPE may write in place and RELU's input dies early: each tensor must still be what it was."""
    model = graph_model(
        {
            "x": tensor((2, 3), "float32"),
            "shape": const(np.array([3, 2], np.int32)),
            "neg": tensor((2, 3), "float32"),
            "reshaped": tensor((3, 2), "float32"),
            "relu": tensor((3, 2), "float32"),
            "y": tensor((3, 2), "float32"),
        },
        [
            Op("NEG", ["x"], ["neg"]),
            Op("RESHAPE", ["neg", "shape"], ["reshaped"], {"new_shape": (3, 2)}),
            Op("RELU", ["reshaped"], ["relu"]),
            Op("EXP", ["relu"], ["y"]),
        ],
        ["x"],
        ["y"],
    )
    tensors = oracle.run_all(model, A - 2.5)
    names = {model.subgraphs[0].tensors[t].name: value for t, value in tensors.items()}
    assert_same_bits(names["x"], A - 2.5)
    assert_same_bits(names["neg"], 2.5 - A)
    assert_same_bits(names["reshaped"], (2.5 - A).reshape(3, 2))
    assert_same_bits(names["relu"], np.maximum(2.5 - A, 0).reshape(3, 2))
    assert_same_bits(names["y"], oracle.run(model, A - 2.5)[0])


@pytest.mark.parametrize("numerics", PROFILES)
@pytest.mark.parametrize("name", ["mlperf_ic_int8", "mlperf_ic_float", "tflm_micro_speech_int8"])
def test_all_tensors_equal_each_one_asked_alone(numerics: str, name: str, models_dir: Path) -> None:
    """Asking for everything at once must not change any value."""
    oracle = get_oracle(numerics)
    path = models_dir / f"{name}.tflite"
    main = read_model(path).subgraphs[0]
    x_tensor = main.tensors[main.inputs[0]]
    x = random_values(np.random.default_rng(3), x_tensor.shape, x_tensor.dtype)
    together = oracle.run_all(path, x)
    assert set(together) == {*main.inputs, *intermediate_tensors(main)}
    for t in intermediate_tensors(main):
        assert_same_bits(together[t], oracle.run(path, x, [t])[0], f"tensor {t}")
    assert_same_bits(together[main.outputs[0]], oracle.run(path, x)[0], "output of the unmodified file")


def test_asking_for_inputs_constants_and_nonsense(oracle: Oracle, models_dir: Path) -> None:
    path = models_dir / "tflm_hello_world_int8.tflite"
    main = read_model(path).subgraphs[0]
    constant = next(t for t, v in enumerate(main.tensors) if v.data is not None)
    x = np.array([[3]], np.int8)
    given, stored = oracle.run(path, x, [main.inputs[0], constant])
    assert_same_bits(given, x)
    assert_same_bits(stored, np.asarray(main.tensors[constant].data))
    with pytest.raises(OracleError, match="tensor 999"):
        oracle.run(path, x, [999])


# Refusals, crashes, time-outs -------------------------------------------------------------------------


@pytest.mark.slow
def test_a_crash_names_the_signal(models_dir: Path) -> None:
    get_oracle()
    with Oracle() as oracle, pytest.raises(OracleCrashed) as caught:
        oracle.run(models_dir / "tflm_keyword_scrambled_8bit.tflite", np.zeros((1, 96), np.int16))
    assert caught.value.signal in ("SIGABRT", "SIGSEGV")
    assert caught.value.signal in str(caught.value)


def test_a_crash_is_tried_again_in_a_new_process_and_the_next_call_works(
    own_oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker kills itself over one model, as an interpreter that has damaged its memory does."""
    deadly, good = op_model("NEG", [tensor((2, 3), "float32")], [tensor((2, 3), "float32")]), two_inputs()
    before = own_oracle.run(good, [A, B])[0]
    killed = []
    ask = process.WorkerProcess.request

    def request(worker: process.WorkerProcess, header: dict, arrays: object = (), **kwargs: object) -> object:
        if header["command"] == "run" and header["inputs_per_sample"] == 1:
            killed.append(worker.process.pid)
            os.kill(worker.process.pid, signal.SIGABRT)
            worker.process.wait()
        return ask(worker, header, arrays, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(process.WorkerProcess, "request", request)
    with pytest.raises(OracleCrashed, match="SIGABRT"):
        own_oracle.run(deadly, A)
    assert len(set(killed)) == 2
    assert_same_bits(own_oracle.run(good, [A, B])[0], before)


def test_a_damaged_process_is_not_blamed_on_the_next_model(own_oracle: Oracle, models_dir: Path) -> None:
    good, x = models_dir / "tflm_hello_world_int8.tflite", np.array([[5]], np.int8)
    before = own_oracle.run(good, x)[0]
    assert own_oracle._shared.worker is not None
    os.kill(own_oracle._shared.worker.process.pid, signal.SIGSEGV)
    assert_same_bits(own_oracle.run(good, x)[0], before)


def test_a_refusal_quotes_the_reason(oracle: Oracle, models_dir: Path) -> None:
    with pytest.raises(OracleRefused, match="quantized_dimension"):
        oracle.run(models_dir / "tflm_person_detect_int8.tflite", np.zeros((1, 96, 96, 1), np.int8))


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([A], "2 inputs, got 1"),
        ([A, B, B], "2 inputs, got 3"),
        ({"a": A, "c": B}, "called"),
        ([A, B.astype(np.int8)], "INT8"),
        ([A, np.zeros((2, 4), np.float32)], "broadcast|must match|dims"),
        ([A, np.array(["x"])], "."),
    ],
)
def test_unusable_inputs_are_refused(oracle: Oracle, inputs: object, reason: str) -> None:
    with pytest.raises(OracleRefused, match=reason):
        oracle.run(two_inputs(), inputs)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"TFL3" * 50])
def test_files_that_are_not_models_are_refused(oracle: Oracle, data: bytes) -> None:
    with pytest.raises(OracleRefused):
        oracle.run(data, A)


def test_a_missing_file(oracle: Oracle, tmp_path: Path) -> None:
    with pytest.raises(OracleError, match="No such file"):
        oracle.run(tmp_path / "none.tflite", A)


def test_a_time_out_ends_the_process_and_the_next_call_works(models_dir: Path) -> None:
    path = models_dir / "support_mobilenet_v1_025_224_float.tflite"
    x = np.zeros((1, 224, 224, 3), np.float32)
    with Oracle(quick_resolver(), timeout=0.02) as oracle:
        assert oracle.version  # started, which does not count
        pid = oracle._shared.worker.process.pid  # type: ignore[union-attr]
        with pytest.raises(OracleError, match=r"within 0\.02 s") as caught:
            oracle.run_batch(path, [x] * 8)
        assert type(caught.value) is OracleError
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        oracle.timeout = 60.0
        assert oracle.run(two_inputs(), [A, B])


def test_an_exception_in_the_parent_does_not_mix_up_replies(
    own_oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert own_oracle.version
    with monkeypatch.context() as patch:
        patch.setattr(process.protocol, "receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            own_oracle.run(two_inputs(), [A, B])
    assert_same_bits(own_oracle.run(two_inputs(), [B, A])[0], B - A)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_garbage_from_the_worker_is_a_crash(own_oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    def garbled(*_: object) -> None:
        raise process.protocol.ProtocolError("expected a message, found noise")

    assert own_oracle.version
    monkeypatch.setattr(process.protocol, "receive", garbled)
    with pytest.raises(OracleCrashed):
        own_oracle.run(two_inputs(), [A, B])


def test_nothing_is_left_running() -> None:
    resolver = quick_resolver()
    with Oracle(resolver) as oracle:
        assert oracle.version
        closed = oracle._shared.worker.process.pid  # type: ignore[union-attr]
    oracle.close()
    forgotten = Oracle(resolver)
    assert forgotten.version
    pids = [closed, forgotten._shared.worker.process.pid]  # type: ignore[union-attr]
    del forgotten
    gc.collect()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_threads_take_turns(oracle: Oracle) -> None:
    model = two_inputs()
    wrong = []

    def work(k: int) -> None:
        for _ in range(10):
            (y,) = oracle.run(model, [A, B + k])
            if not np.array_equal(y, A - (B + k)):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# The package ------------------------------------------------------------------------------------------


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    with Oracle() as oracle, pytest.raises(OracleUnavailable, match="tensorflow or ai-edge-litert"):
        oracle.run(b"", A)
    with pytest.raises(OracleUnavailable, match="known: tensorflow, ai_edge_litert"):
        find_package("pytorch")


def test_an_unknown_resolver_lists_the_known_ones() -> None:
    with pytest.raises(OracleError, match="BUILTIN_REF"):
        Oracle("FASTEST")


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_were_confirmed_on_the_installed_version(name: str) -> None:
    """The numerics are facts about a version. When it moves, they must be measured again."""
    oracle = get_oracle(name)
    confirmed = PROFILES[name].confirmed_on
    assert oracle.name in confirmed, f"profile {name!r} was never confirmed with {oracle.name}"
    assert oracle.version == confirmed[oracle.name], (
        f"{oracle.name} is {oracle.version} here, {name!r} was confirmed on {confirmed[oracle.name]}: "
        "run tests/ops and tests/models against it, then set confirmed_on in quantcore/numerics.py (and the "
        "evidence in the pages of docs/numerics where it has changed)"
    )


def test_the_parent_never_imports_tensorflow(models_dir: Path) -> None:
    path = models_dir / "tflm_hello_world_int8.tflite"
    code = (
        "import sys, numpy, quantcore\n"
        "from quantcore.oracle import Oracle\n"
        f"with Oracle({quick_resolver()!r}) as oracle:\n"
        f"    oracle.run({str(path)!r}, numpy.zeros((1, 1), numpy.int8))\n"
        "assert not {'tensorflow', 'ai_edge_litert', 'keras', 'tflite_micro'} & set(sys.modules)\n"
        "print('silent')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "silent\n", "")
