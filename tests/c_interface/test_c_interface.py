"""What is read of the C interface of kernels, beside what a C compiler makes of the same headers."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quantcore.kernels._core import KernelCall, kernel_table

from quantcore import QuantcoreError
from quantcore.c_interface import kernel_interface, read_params, source_folder, write_params
from quantcore.c_interface.kernel_interface import kernel_rows
from quantcore.c_interface.layout import ArrayType, PointerType, StructType, struct_type
from quantcore.errors import KernelError, UnsupportedOperatorError
from quantcore.numerics import PROFILES
from quantcore.ops.registry import load_operators
from quantcore.runtime.definitions import lower_to_definitions
from tests.ops.examples import example, forms

MOST_CALLS = 3  # of a kernel


def test_kernel_interface() -> None:
    conv = kernel_interface("conv_s8")
    assert conv.header == "quantcore/conv.h"
    assert conv.params == "qc_conv_params"
    assert conv.tensors == ("int8_t", "int8_t", "int32_t", "int8_t")
    assert conv.prototype.startswith("qc_status qc_conv_s8_ref(const qc_conv_params *params, const int8_t *")
    assert {"conv.c", "conv.h", "requantize.h", "conv_quantized.inc"} <= {path.name for path in conv.sources}
    assert kernel_interface("copy").tensors == ()


def test_all_kernels_are_known() -> None:
    assert {name for name, _ in kernel_table()} == kernel_rows().keys()


def test_unknown_kernel() -> None:
    with pytest.raises(KernelError, match="no kernel 'conv_s9'; those of its family are conv_f32, "):
        kernel_interface("conv_s9")


def test_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from quantcore.c_interface import declarations

    monkeypatch.setitem(__import__("sys").modules, "pcpp", None)
    with pytest.raises(QuantcoreError, match=r"needs pcpp.*extra 'kernels'"):
        declarations.c_file(source_folder() / "reference" / "lookup.c", ("NOT_READ_BEFORE 1",))


def calls_of_examples() -> list[KernelCall]:
    """Return up to so many calls of each kernel that the examples of operators come to, in any profile."""
    found: dict[str, dict[bytes, KernelCall]] = defaultdict(dict)
    for op, definition in load_operators().items():
        for form in forms(definition):
            model = example(op, form)
            for profile in PROFILES:
                try:
                    lowered = lower_to_definitions(model, profile, 0).lowered
                except UnsupportedOperatorError:
                    continue
                for step in lowered.steps:
                    if len(found[step.call.name]) < MOST_CALLS:
                        found[step.call.name][step.call.params_data] = step.call
    return [call for calls in found.values() for call in calls.values()]


def plain_bytes(kind: Any, at: int = 0) -> list[int]:
    """Return where the bytes of a type are that are neither padding nor part of an address."""
    if isinstance(kind, StructType):
        fields = kind.fields.items()
        return [i for name, t in fields for i in plain_bytes(t, at + getattr(kind.ctype, name).offset)]
    if isinstance(kind, ArrayType):
        size = ctypes.sizeof(kind.element.ctype)
        return [i for n in range(kind.count) for i in plain_bytes(kind.element, at + n * size)]
    return [] if isinstance(kind, PointerType) else list(range(at, at + ctypes.sizeof(kind.ctype)))


@pytest.mark.slow
def test_written_params_are_the_same(tmp_path: Path) -> None:
    """A compiler makes the same bytes of what is written as lowering has made, for every operator."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    calls = calls_of_examples()
    assert len({call.name for call in calls}) > 200
    interfaces = [kernel_interface(call.name) for call in calls]
    lines = [f'#include "{header}"\n' for header in sorted({one.header for one in interfaces})]
    lines += [write_params(read_params(call), f"p{i}") for i, call in enumerate(calls)]
    prints = [f"    fwrite(&p{i}, sizeof p{i}, 1, stdout);\n" for i in range(len(calls))]
    source = tmp_path / "params.c"
    start = ["#include <math.h>\n", "#include <stdio.h>\n"]
    source.write_text("".join([*start, *lines, "int main(void) {\n", *prints, "}\n"]))
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", f"-I{source_folder() / 'include'}"]
    subprocess.run(["gcc", *flags, str(source), "-o", str(tmp_path / "params")], check=True)
    made = subprocess.run([str(tmp_path / "params")], capture_output=True, check=True).stdout
    for call, interface in zip(calls, interfaces, strict=True):
        data, made = made[: len(call.params_data)], made[len(call.params_data) :]
        places = plain_bytes(struct_type(interface.params))
        expected = np.frombuffer(call.params_data, np.uint8)[places]
        np.testing.assert_array_equal(np.frombuffer(data, np.uint8)[places], expected, err_msg=call.name)
    assert not made
