"""C files to kernels: what a function's prototype fits, and what is said of one that does not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from quantcore.kernels._core import kernel_table

import quantcore as qc
from quantcore.c_compiler import Compiler, find_compiler, first_errors
from quantcore.c_interface import source_folder
from quantcore.custom_kernels.rows import kernel_rows
from quantcore.errors import KernelError

KERNELS = Path(__file__).with_name("kernels.c")
COMPILERS = [
    pytest.param(name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"no {name}"))
    for name in ("gcc", "clang")
]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_function_is_of_the_kernels_that_have_its_prototype(compiler: str) -> None:
    conv = qc.CKernel.from_source(KERNELS, "plain_conv_s8", compiler=compiler)
    assert conv.kernels == ("conv_s8",)
    assert conv.sources == (KERNELS,)
    assert conv.invoke
    pool = qc.CKernel.from_source([KERNELS], symbol="hidden_pool_s8", compiler=compiler)
    assert {"max_pool_s8", "average_pool_s8"} == {*pool.kernels}


def test_the_definitions_have_their_own_prototypes() -> None:
    """Each is compiled as a user's file is; those of a variable number of tensors among them."""
    reference = source_folder() / "reference"
    for file, name in (("activation.c", "relu_s8"), ("movement.c", "pad"), ("pool.c", "max_pool_f32")):
        kernel = qc.CKernel.from_source(reference / file, f"qc_{name}_ref")
        assert name in kernel.kernels, file


def test_rows_are_those_of_the_table() -> None:
    assert {*kernel_rows()} - {"custom"} == {name for name, _ in kernel_table()}
    assert kernel_rows()["conv_s8"].prototype("f") == (
        "qc_status f(const qc_conv_params *params, const int8_t *, const int8_t *, const int32_t *, "
        "int8_t *output, void *scratch)"
    )


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    ("symbol", "options", "said"),
    [
        (
            "short_bias_s8",
            {},
            (
                "has the prototype of no kernel",
                "qc_status short_bias_s8(const qc_conv_params *",
                "const int16_t *",
                "(conv_s8)",
            ),
        ),
        ("no_function", {}, ("has the prototype of no kernel", "int")),
        ("without_parameters", {}, ("declared without its parameters",)),
        ("plain_conv", {}, ("kernels.c has no function plain_conv; it has plain_conv_s8",)),
        ("plain-conv", {}, ("'plain-conv' is no name of a C function",)),
        (
            "plain_conv_s8",
            {"scratch": "scratch_of_floats"},
            ("int64_t scratch_of_floats(const qc_conv_params *params)",),
        ),
        ("plain_conv_s8", {"scratch": "no_such"}, ("has no function no_such",)),
        ("plain_conv_s8", {"flags": ["-no-such-flag"]}, ("-no-such-flag",)),
    ],
)
def test_what_is_said_of_a_function_that_fits_nothing(
    compiler: str, symbol: str, options: dict[str, object], said: tuple[str, ...]
) -> None:
    with pytest.raises(KernelError) as caught:
        qc.CKernel.from_source(KERNELS, symbol, compiler=compiler, **options)
    for text in said:
        assert text in str(caught.value)


def test_sources_that_do_not_compile(tmp_path: Path) -> None:
    source = tmp_path / "broken.c"
    source.write_text("int f(void) { return y; }\n")
    with pytest.raises(KernelError, match=r"(?s)broken\.c.*cannot compile it.*broken\.c:1:.*y"):
        qc.CKernel.from_source(source, "f")
    # It is compiled alone: the headers that it needs, it must include.
    source.write_text("qc_status f(const qc_relu_params *p, const float *x, float *y) { return 0; }\n")
    with pytest.raises(KernelError, match="qc_status"):
        qc.CKernel.from_source(source, "f")
    with pytest.raises(FileNotFoundError):
        qc.CKernel.from_source(tmp_path / "missing.c", "f")
    for wrong in ([], tmp_path / "kernel.cpp"):
        with pytest.raises(KernelError, match=r"expected (one|a) C file"):
            qc.CKernel.from_source(wrong, "f")


def test_several_sources_headers_and_flags(tmp_path: Path) -> None:
    (tmp_path / "headers").mkdir()
    (tmp_path / "headers" / "mine.h").write_text("int mine(void);\n")
    (tmp_path / "other.c").write_text("int mine(void) { return MINE; }\n")
    first = tmp_path / "with space.c"
    first.write_text(
        '#include "mine.h"\n#include "quantcore/activation.h"\n'
        "qc_status f(const qc_relu_params *p, const int8_t *x, int8_t *y, void *s) {\n"
        "    int unused; return mine() ? QC_OK : QC_BAD_DATA;\n}\n"
    )
    made = qc.CKernel.from_source(
        [first, tmp_path / "other.c"], "f", flags=["-DMINE=1"], include=[tmp_path / "headers"]
    )
    assert "relu_s8" in made.kernels
    assert made.flags == ("-DMINE=1",)
    assert made.include == (tmp_path / "headers",)
    assert "unused" in made.messages
    with pytest.raises(KernelError, match=r"undefined symbol: mine .*functions of other files"):
        qc.CKernel.from_source(first, "f", include=[tmp_path / "headers"])


def test_compilers_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CC", raising=False)
    path = find_compiler().command[0]
    monkeypatch.setenv("CC", f"{path} -O1")
    assert find_compiler().command == (path, "-O1")
    with pytest.raises(KernelError, match="'no-such-cc' was not found"):
        find_compiler("no-such-cc")
    monkeypatch.setenv("CC", "no-such-cc")
    with pytest.raises(KernelError, match="which CC names"):
        find_compiler()
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KernelError, match="no C compiler was found: none of cc, gcc, clang"):
        find_compiler()


def test_a_compiler_that_hangs_is_ended(tmp_path: Path) -> None:
    slow = tmp_path / "slowcc"
    slow.write_text("#!/bin/sh\nsleep 60 & wait\n")
    slow.chmod(0o755)
    compiler = Compiler((str(slow),), timeout=0.2)
    with pytest.raises(KernelError, match=r"slowcc did not finish within 0\.2 s"):
        compiler.program([KERNELS], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["slowcc"]


def test_a_program_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    source = tmp_path / "main.c"
    out = tmp_path / "program"
    source.write_text("int main(void) { return 0; }\n")
    assert find_compiler().program([source], out) == out
    before = out.read_bytes()
    source.write_text("int main(void) { return x; }\n")
    with pytest.raises(KernelError, match=r"main\.c"):
        find_compiler().program([source], out)
    assert out.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"main.c", "program"}


def test_first_errors_are_shown() -> None:
    output = "In file included\n" + "".join(f"x.c:{n}:1: error: e{n}\n  code\n" for n in range(5))
    assert first_errors(output).splitlines() == [
        "x.c:0:1: error: e0", "x.c:1:1: error: e1", "x.c:2:1: error: e2", "(and 2 more errors)"
    ]  # fmt: skip
    assert first_errors("said\nthings\n") == "said\nthings"
