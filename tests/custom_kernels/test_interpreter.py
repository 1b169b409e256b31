"""Kernels of a user's in the place of ours: same bits, whatever runs around them."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flatbuffers import flexbuffers
from quantcore.kernels._core import ISA_NAMES, isa, select_isa

import quantcore as qc
from quantcore.c_compiler import find_compiler
from quantcore.custom_kernels import OperatorInfo
from quantcore.custom_kernels.build import kernel_include
from quantcore.errors import KernelError, UnsupportedOperatorError
from tests.custom_kernels.small import KERNELS, convolutions, images
from tests.runtime.small_models import relu_chain, two_subgraphs
from tests.runtime.test_control_flow import loop, sample

Arrays = list[Any]


@pytest.fixture(scope="module")
def conv() -> qc.CKernel:
    return qc.CKernel.from_source(KERNELS, "plain_conv_s8")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    out = tmp_path_factory.mktemp("library") / "kernels.so"
    return ctypes.CDLL(str(find_compiler().shared_library([KERNELS], out, include=kernel_include())))


def test_a_plain_kernel_has_our_bits(conv: qc.CKernel) -> None:
    model, x = convolutions(), images(20)
    expected = qc.Interpreter(model).run(x)
    assert len(np.unique(expected)) > 50
    scratch = qc.CKernel.from_source(KERNELS, "conv_with_scratch_s8", scratch="conv_scratch")
    pool = qc.CKernel.from_source(KERNELS, "pool_s8")
    for kernels in (
        {"CONV_2D": conv},
        {2: conv, "MAX_POOL_2D": pool},
        {"block/*": conv, "CONV_2D": scratch},
        {"first": scratch, "block/pool": pool},
    ):
        for threads in (1, 2):
            interpreter = qc.Interpreter(model, num_threads=threads, kernels=kernels)
            np.testing.assert_array_equal(interpreter.run(x), expected)
            np.testing.assert_array_equal(interpreter.run(x[:1]), expected[:1])
            for t, value in interpreter.run_all(x[:1]).items():
                np.testing.assert_array_equal(value, qc.Interpreter(model).run_all(x[:1])[t])


def test_every_way_to_run_uses_it(conv: qc.CKernel) -> None:
    wrong = qc.CKernel.from_source(KERNELS, "wrong_conv_s8")
    model, x = convolutions(), images()
    ours = qc.Interpreter(model).run(x)
    interpreter = qc.Interpreter(model, kernels={2: wrong})
    expected = interpreter.run(x)
    assert not np.array_equal(expected, ours)
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, x)
    interpreter.invoke()
    np.testing.assert_array_equal(
        interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), expected
    )
    runner = interpreter.get_signature_runner()
    np.testing.assert_array_equal(runner(images=x)["scores"], expected)
    assert {*interpreter.kernels} == {2}
    assert repr(interpreter).endswith("wrong_conv_s8 of kernels.c computes operator 2>")
    interpreter = qc.Interpreter(model, kernels={"CONV_2D": conv})
    interpreter.resize_tensor_input(0, (2, 9, 8, 3))
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, images(2))
    interpreter.invoke()
    expected = qc.Interpreter(model).run(images(2))
    np.testing.assert_array_equal(interpreter.get_tensor(5), expected)


def test_signatures_of_other_subgraphs() -> None:
    """Names and patterns mean their operators as well, as far as they have any; indices do not."""
    x = np.array([-1.0, 2.0], np.float32)

    def zero(op: OperatorInfo, inputs: Arrays, outputs: Arrays) -> None:
        outputs[0].fill(0)

    interpreter = qc.Interpreter(two_subgraphs(), kernels={"RELU": zero})
    assert interpreter.run(x).tolist() == [0, 0]
    assert interpreter.get_signature_runner("second")(x=x)["y"].tolist() == [0, 2]
    interpreter = qc.Interpreter(two_subgraphs(), kernels={0: zero})
    assert interpreter.get_signature_runner("second")(x=x)["y"].tolist() == [0, 2]
    interpreter = qc.Interpreter(two_subgraphs(), kernels={"y": zero})
    assert interpreter.get_signature_runner("second")(x=x)["y"].tolist() == [0, 0]


def test_operators_of_subgraphs_that_are_called() -> None:
    calls: list[int] = []

    def add(op: OperatorInfo, inputs: Arrays, outputs: Arrays) -> Any:
        calls.append(op.index)
        return inputs[1]

    model, x = loop(3), sample()
    interpreter = qc.Interpreter(model, kernels={"ADD": add})
    np.testing.assert_array_equal(interpreter.run(x)[1], x[1])
    assert calls == [1, 1, 1]
    assert {*interpreter.kernels} == {(2, 1)}
    with pytest.raises(KernelError, match=r"operator 0 \(WHILE\), it runs no kernel"):
        qc.Interpreter(model, kernels={"WHILE": add})


def test_index_goes_before_pattern_and_pattern_before_name(conv: qc.CKernel) -> None:
    calls: list[tuple[str, int]] = []

    def kernel(name: str) -> Any:
        def call(op: OperatorInfo, inputs: Arrays, outputs: Arrays) -> None:
            calls.append((name, op.index))
            outputs[0].fill(0)

        return call

    kernels = {
        "CONV_2D": kernel("name"),
        "block/*": kernel("pattern"),
        2: kernel("index"),
        "*/p*": kernel("later"),
    }
    interpreter = qc.Interpreter(convolutions(), kernels=kernels)
    interpreter.run(images())
    assert calls == [("name", 0), ("index", 2), ("pattern", 3)]
    assert {*interpreter.kernels} == {0, 2, 3}


def test_keys_that_fit_nothing(conv: qc.CKernel) -> None:
    for key, said in (
        ("CONV2D", "no operator is called that.*did you mean 'CONV_2D'.*CONV_2D, MAX_POOL_2D, PAD"),
        (5, r"kernels\[5\]: there is no such operator; the subgraph has 5 operators"),
        ("MAX_POOL_2D", "plain_conv_s8 of kernels.c has the prototype of conv_s8, but for operator 3 "
                        r"\(MAX_POOL_2D\), quantcore calls max_pool_s8"),
        (1, r"for operator 1 \(PAD\), quantcore calls pad"),
        ("flat", "for operator 4"),
        (-1, "expected the name of an operator"),
        (1.5, "expected the name of an operator"),
        (True, "expected the name of an operator"),
    ):  # fmt: skip
        with pytest.raises(KernelError, match=said):
            qc.Interpreter(convolutions(), kernels={key: conv})
    with pytest.raises(KernelError, match="is 3; expected a CKernel or a Python callable"):
        qc.Interpreter(convolutions(), kernels={"CONV_2D": 3})  # type: ignore[dict-item]
    with pytest.raises(KernelError, match="expected a mapping"):
        qc.Interpreter(convolutions(), kernels=[conv])  # type: ignore[arg-type]


def test_statuses_are_named(conv: qc.CKernel) -> None:
    for symbol, said in (
        ("refusing_conv_s8", "returned status 1 (a parameter is outside"),
        ("status_of_its_own", "returned status 77"),
    ):
        kernel = qc.CKernel.from_source(KERNELS, symbol)
        interpreter = qc.Interpreter(convolutions(), kernels={2: kernel})
        message = f"operator 2 (CONV_2D): kernel {symbol} of kernels.c {said}"
        for _ in range(2):  # the plan stays usable
            with pytest.raises(KernelError, match=re.escape(message)):
                interpreter.run(images())
    negative = qc.CKernel.from_source(KERNELS, "plain_conv_s8", scratch="negative_scratch")
    with pytest.raises(KernelError, match=r"negative_scratch: .* says -7 bytes"):
        qc.Interpreter(convolutions(), kernels={2: negative})


def test_functions_at_an_address(library: ctypes.CDLL) -> None:
    model, x = convolutions(), images(4)
    expected = qc.Interpreter(model).run(x)
    address = ctypes.cast(library.plain_conv_s8, ctypes.c_void_p).value
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    capsule = new(address, b"qc_status (qc_conv_params const *)", None)
    for function in (address, library.plain_conv_s8, capsule):
        kernel = qc.CKernel.from_pointer(function, kernel="conv_s8")
        interpreter = qc.Interpreter(model, num_threads=2, kernels={"CONV_2D": kernel})
        np.testing.assert_array_equal(interpreter.run(x), expected)
    pool = qc.CKernel.from_pointer(library.pool_s8, ["max_pool_s8", "average_pool_s8"])
    np.testing.assert_array_equal(qc.Interpreter(model, kernels={3: pool}).run(x), expected)
    for function, names, said in (
        (address, "conv_s9", "no kernel is called 'conv_s9'; near are conv_s8"),
        (address, ("conv_s8", "conv_u8"), "expected kernels of one prototype"),
        (0, "conv_s8", "address is 0"),
        ("f", "conv_s8", "the function is a str; expected an address"),
    ):
        with pytest.raises(KernelError, match=said):
            qc.CKernel.from_pointer(function, names)


def test_kernels_in_python(conv: qc.CKernel) -> None:
    model, x = convolutions(), images(6)
    kept: list[np.ndarray] = []

    def pool(op: OperatorInfo, inputs: Arrays, outputs: Arrays) -> Any:
        assert (op.name, op.index, op.numerics) == ("MAX_POOL_2D", 3, "reference")
        assert op.options["filter_width"] == 2
        assert op.padding == ((0, 0), (0, 0))
        assert op.inputs[0] is not None
        assert op.inputs[0].params == op.outputs[0].params
        assert not inputs[0].flags.writeable
        kept.append(outputs[0])
        n, h, w, c = outputs[0].shape
        return inputs[0][:, : 2 * h, : 2 * w].reshape(n, h, 2, w, 2, c).max(axis=(2, 4))

    def reshape(op: OperatorInfo, inputs: Arrays, outputs: Arrays) -> None:
        assert inputs[1].tolist() == [-1, 28]
        outputs[0][...] = inputs[0].reshape(1, 28)

    expected = qc.Interpreter(model).run(x)
    for threads in (1, 2):
        interpreter = qc.Interpreter(
            model, num_threads=threads, kernels={"MAX_POOL_2D": pool, "flat": reshape, "CONV_2D": conv}
        )
        np.testing.assert_array_equal(interpreter.run(x), expected)
        np.testing.assert_array_equal(interpreter.run(x[:1]), expected[:1])
    del interpreter
    assert all(array.shape == (1, 2, 2, 7) and array.sum() is not None for array in kept)  # memory lives on


def test_exceptions_of_python_kernels() -> None:
    class Strange(BaseException):
        pass

    def failing(op: OperatorInfo, inputs: Arrays, outputs: Arrays) -> Any:
        if inputs[0].flat[0] == 1:
            raise Strange
        return {0: np.zeros(3, np.int8), 2: [inputs[0], inputs[0]], 3: np.float32(1)}.get(
            int(inputs[0].flat[0]), 1 / max(int(inputs[0].flat[0]) - 4, 0)
        )

    model = relu_chain((2, 1))
    interpreter = qc.Interpreter(model, kernels={0: failing})
    for value, said in (
        (4, r"operator 0 \(RELU\): kernel .*failing raised ZeroDivisionError: division by zero"),
        (0, "ZeroDivisionError"),
    ):
        with pytest.raises(KernelError, match=said) as caught:
            interpreter.run(np.full((2, 1), value, np.int8))
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(Strange):
        interpreter.run(np.ones((2, 1), np.int8))
    for returned, said in (
        (np.zeros(3, np.int8), r"returned int8 \(3,\) for output 0, which is int8 \(2, 1\)"),
        (np.zeros((2, 1)), "returned float64"),
        ([np.zeros((2, 1), np.int8)] * 2, "returned 2 arrays; the operator has 1 outputs"),
    ):
        with pytest.raises(KernelError, match=said):
            qc.Interpreter(model, kernels={1: lambda *_, returned=returned: returned}).run(
                np.ones((2, 1), np.int8)
            )


def test_a_kernel_may_run_another_model() -> None:
    inner = qc.Interpreter(relu_chain((2, 3)), kernels={1: lambda op, inputs, outputs: inputs[0]})

    def call(op: OperatorInfo, inputs: Arrays, outputs: Arrays) -> None:
        inner.run(np.zeros((2, 3), np.int8))
        outputs[0][...] = inputs[0] + 1

    outer = qc.Interpreter(relu_chain((2, 3), length=1), kernels={"RELU": call})
    np.testing.assert_array_equal(outer.run(np.full((2, 3), 5, np.int8)), np.full((2, 3), 6, np.int8))


def test_custom_operators_in_python() -> None:
    model, x = convolutions(custom=bytes(flexbuffers.Dumps({"groups": 4}))), images(3)
    with pytest.raises(UnsupportedOperatorError, match="custom operator 'Shuffle' is not implemented"):
        qc.Interpreter(model)
    plain = qc.Interpreter(convolutions()).run(x)

    def shuffle(op: OperatorInfo, inputs: Arrays, outputs: Arrays) -> None:
        assert inputs[1] is None
        assert (op.name, op.options) == ("Shuffle", {"groups": 4})
        assert flexbuffers.Loads(op.custom_options) == {"groups": 4}
        outputs[0][...] = inputs[0].reshape(op.options["groups"], -1).T.reshape(1, 28)

    expected = plain.reshape(3, 4, 7).transpose(0, 2, 1).reshape(3, 28)
    for key in ("Shuffle", "CUSTOM", "CUSTOM:Shuffle", 5, "shuf*"):
        interpreter = qc.Interpreter(model, kernels={key: shuffle})
        np.testing.assert_array_equal(interpreter.run(x), expected)
    with pytest.raises(KernelError, match="did you mean 'Shuffle'"):
        qc.Interpreter(model, kernels={"Shuffel": shuffle, "Shuffle": shuffle})
    model.subgraphs[0].operators[5].custom_options = b"\xff\x00no flexbuffer"

    def raw(op: OperatorInfo, inputs: Arrays, outputs: Arrays) -> Any:
        assert (op.options, op.custom_options) == ({}, b"\xff\x00no flexbuffer")
        return inputs[0]

    np.testing.assert_array_equal(qc.Interpreter(model, kernels={5: raw}).run(x), plain)


def test_shapes_of_custom_operators() -> None:
    model = relu_chain((2, 3), length=1)
    model.subgraphs[0].operators[0].op = "CUSTOM"
    model.subgraphs[0].operators[0].custom_code = "Twice"

    class Twice:
        def output_shapes(self, op: OperatorInfo, shapes: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
            return [(2 * shapes[0][0], *shapes[0][1:])]

        def __call__(self, op: OperatorInfo, inputs: Arrays, outputs: Arrays) -> Any:
            return np.concatenate([inputs[0]] * 2)

    interpreter = qc.Interpreter(model, kernels={"Twice": Twice()})
    assert interpreter.run(np.ones((2, 3), np.int8)).shape == (4, 3)
    interpreter.resize_tensor_input(0, (3, 3))
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, np.ones((3, 3), np.int8))
    interpreter.invoke()
    assert interpreter.get_tensor(1).shape == (6, 3)
    interpreter = qc.Interpreter(model, kernels={"Twice": lambda op, inputs, outputs: inputs[0]})
    interpreter.resize_tensor_input(0, (3, 3))
    with pytest.raises(UnsupportedOperatorError, match="give its kernel a function output_shapes"):
        interpreter.allocate_tensors()
    for shapes, said in (
        ([(1,), (2,)], "returned 2 shapes; the operator has 1"),
        (None, "output_shapes raised TypeError"),
    ):
        kernel = Twice()
        kernel.output_shapes = lambda *_, shapes=shapes: shapes  # type: ignore[method-assign]
        with pytest.raises(KernelError, match=said):
            qc.Interpreter(model, kernels={"Twice": kernel})


CUSTOM = """
#include "quantcore/custom.h"
int64_t shuffle_scratch(const qc_custom_params *params) { return qc_custom_count(&params->tensors[0]); }
qc_status shuffle(const qc_custom_params *params, void *const *tensors, void *scratch) {
    const qc_custom_tensor *x = &params->tensors[0], *y = &params->tensors[params->inputs];
    const int64_t count = qc_custom_count(x);
    int8_t *copy = scratch, *output = tensors[params->inputs];
    if (params->inputs != 2 || params->outputs != 1) return QC_BAD_DATA;
    if (tensors[1] || params->tensors[1].type != QC_TYPE_NONE || x->type != QC_TYPE_INT8 || x->rank != 2 ||
        x->dims[1] != 28 || x->scales != 1 || x->zero_point[0] != -3 || y->scale[0] != 0.1f ||
        y->zero_point[0] != 5 || params->options_size != 1)
        return QC_BAD_ARGUMENT;
    for (int64_t i = 0; i < count; ++i) copy[i] = ((const int8_t *)tensors[0])[i];
    const int64_t groups = params->options[0], size = count / groups;
    for (int64_t i = 0; i < count; ++i) output[i] = copy[i % groups * size + i / groups];
    return QC_OK;
}
"""


def test_custom_operators_in_c(tmp_path: Path) -> None:
    (tmp_path / "shuffle.c").write_text(CUSTOM)
    kernel = qc.CKernel.from_source(tmp_path / "shuffle.c", "shuffle", scratch="shuffle_scratch")
    assert kernel.kernels == ("custom",)
    x = images(3)
    expected = qc.Interpreter(convolutions()).run(x).reshape(3, 4, 7).transpose(0, 2, 1).reshape(3, 28)
    interpreter = qc.Interpreter(convolutions(custom=b"\x04"), num_threads=2, kernels={"Shuffle": kernel})
    np.testing.assert_array_equal(interpreter.run(x), expected)
    with pytest.raises(
        KernelError, match=r"operator 5 \(Shuffle\): kernel shuffle of shuffle.c returned status 1"
    ):
        qc.Interpreter(convolutions(custom=b""), kernels={"Shuffle": kernel}).run(x)


def test_parameters_of_custom_operators_can_be_written_as_c(tmp_path: Path) -> None:
    pytest.importorskip("pcpp")
    pytest.importorskip("pycparser")
    from quantcore.c_interface import read_params, write_params

    (tmp_path / "shuffle.c").write_text(CUSTOM)
    kernel = qc.CKernel.from_source(tmp_path / "shuffle.c", "shuffle", load=False)
    interpreter = qc.Interpreter(convolutions(custom=b"\x04\x05"), kernels={"Shuffle": kernel})
    (step,) = [step for step in interpreter._session._executable.lowered.steps if step.custom is not None]
    text = write_params(read_params(step.call), "p")
    source = tmp_path / "main.c"
    source.write_text(
        '#include <stddef.h>\n#include "quantcore/custom.h"\n' + text + "int main(void) {\n"
        "    const qc_custom_tensor *t = p.tensors;\n"
        "    return !(p.inputs == 2 && p.outputs == 1 && p.options_size == 2 && p.options[1] == 5 &&\n"
        "             t[1].type == QC_TYPE_NONE && !t[1].dims && t[0].dims[1] == 28 &&\n"
        "             t[2].scale[0] == 0.1f);\n}\n"
    )
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    program = find_compiler().program([source], tmp_path / "main", flags=flags, include=kernel_include())
    assert subprocess.run([program], check=False).returncode == 0


def test_kernels_of_another_machine(tmp_path: Path) -> None:
    compiler = "arm-none-eabi-gcc"
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    flags = ["-mcpu=cortex-m4", "-mthumb"]
    kernel = qc.CKernel.from_source(KERNELS, "plain_conv_s8", compiler=compiler, flags=flags, load=False)
    assert (kernel.kernels, kernel.invoke) == (("conv_s8",), 0)
    interpreter = qc.Interpreter(convolutions(), kernels={"CONV_2D": kernel})
    with pytest.raises(KernelError, match="was compiled for another machine"):
        interpreter.run(images())
    with pytest.raises(KernelError, match="has the prototype of no kernel"):
        qc.CKernel.from_source(KERNELS, "short_bias_s8", compiler=compiler, flags=flags, load=False)
    scratch = qc.CKernel.from_source(
        KERNELS, "conv_with_scratch_s8", scratch="conv_scratch", compiler=compiler, flags=flags, load=False
    )
    with pytest.raises(KernelError, match="conv_scratch cannot say here"):
        qc.Interpreter(convolutions(), kernels={"CONV_2D": scratch})


def test_builtin_operators_that_quantcore_does_not_run() -> None:
    model = relu_chain((2, 3), length=1)
    operator = model.subgraphs[0].operators[0]
    double = {"kernel": lambda op, inputs, outputs: np.minimum(inputs[0], 60) * np.int8(2)}["kernel"]
    for op, version in (("BUILTIN_999", 1), ("RELU", 99), ("CONV_2D", 1)):
        operator.op, operator.version = op, version
        with pytest.raises(UnsupportedOperatorError):
            qc.Interpreter(model)
        interpreter = qc.Interpreter(model, kernels={op: double})
        np.testing.assert_array_equal(
            interpreter.run(np.full((2, 3), 7, np.int8)), np.full((2, 3), 14, np.int8)
        )
    with pytest.raises(
        UnsupportedOperatorError
    ):  # what cannot be lowered has no call that a kernel could fit
        qc.Interpreter(model, kernels={0: qc.CKernel.from_source(KERNELS, "plain_conv_s8")})


def test_constants_are_computed_once(conv: qc.CKernel) -> None:
    model, calls = convolutions(), []
    graph = model.subgraphs[0]
    x = images()
    expected = qc.Interpreter(model).run_all(x)
    graph.tensors[0].data = x
    graph.inputs, model.signatures = (), []

    def fail(op: OperatorInfo, inputs: Arrays, outputs: Arrays) -> None:
        calls.append(op.index)
        outputs[0][...] = expected[op.outputs[0].index]

    interpreter = qc.Interpreter(model, kernels={2: conv, 0: fail})
    for _ in range(2):
        np.testing.assert_array_equal(interpreter.run([])[0], expected[graph.outputs[0]])
    assert calls == [0]


def test_parameters_are_those_of_the_definition(tmp_path: Path) -> None:
    """Nothing is packed or prepared, whatever versions the others use; and those stay as they were chosen."""
    source = tmp_path / "check.c"
    source.write_text(
        '#include <stddef.h>\n#include "quantcore/conv.h"\n'
        "qc_status f(const qc_conv_params *p, const int8_t *x, const int8_t *w, const int32_t *b,\n"
        "            int8_t *y, void *s) {\n"
        "    return p->packed || p->by_runs || p->requant.blocks || p->requant.form != QC_UNPREPARED\n"
        "        || p->shape.pad_top * p->shape.stride_height > 1 || (uintptr_t)s % 64\n"
        "        ? QC_BAD_DATA : QC_OK;\n}\n"
    )
    kernel = qc.CKernel.from_source(source, "f")
    for name in ISA_NAMES[: ISA_NAMES.index(isa) + 1]:
        before = select_isa(name)
        try:
            qc.Interpreter(convolutions(), kernels={"CONV_2D": kernel}).run(images())
            assert select_isa(name) == name
        finally:
            select_isa(before)


def test_interpreters_on_several_threads(conv: qc.CKernel) -> None:
    model, x = convolutions(), images(40)
    expected = qc.Interpreter(model).run(x)
    failures: list[object] = []

    def work() -> None:
        for _ in range(5):
            interpreter = qc.Interpreter(
                model, num_threads=2, kernels={0: conv, 4: lambda op, i, o: i[0].reshape(1, 28)}
            )
            if not np.array_equal(interpreter.run(x), expected) or select_isa(isa) != isa:
                failures.append(interpreter)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
