"""Exported models on emulated Cortex-M cores, and what is said when they cannot be built or run."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import quantcore as qc
from quantcore.cli import run_command_line
from quantcore.errors import TargetError
from quantcore.export_c import Export, export_c
from quantcore.export_c.targets import (
    TARGETS,
    TargetOptions,
    TargetResult,
    add_target,
    oracle_of,
    prepare,
    run_target,
)
from quantcore.export_c.targets.boards import parse_size
from quantcore.export_c.targets.harness import runtime_files
from quantcore.export_c.targets.toolchain import need_tools
from quantcore.oracle import find_package

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "keyword_spotting_cortex_m4"

# The definition on the host. On the target one of three defects, by what the compiler is told.
BAD_KERNEL = """
#include "quantcore/fully_connected.h"
qc_status bad_s8(const qc_fully_connected_params *params, const int8_t *input, const int8_t *filter,
                 const int32_t *bias, int8_t *output, void *scratch) {
    (void)params, (void)input, (void)filter, (void)bias, (void)scratch;
    output[0] = 1;
#if defined(CRASH)
    *(volatile int *)0xFFFFFFF0u = 1;
#elif defined(HANG)
    for (;;) __asm__ volatile("");
#elif defined(DEEP)
    volatile char large[5000];
    large[0] = 1;
    return (qc_status)(large[0] - 1);
#elif defined(__arm__)
    output[0] = 2;
#endif
    return QC_OK;
}
"""


@pytest.fixture
def tools() -> None:
    try:
        need_tools(running=True)
    except TargetError as error:
        pytest.skip(str(error))


def exported(model: Path, folder: Path, options: list[TargetOptions], **more: object) -> Export:
    def complete(made: Export) -> None:
        for one in options:
            add_target(made, one)

    return export_c(model, folder, complete=complete, **more)  # type: ignore[arg-type]


def check(result: TargetResult, samples: int) -> None:
    """Everything ran, was counted, and agrees."""
    assert result.good, result.run.failure or result.to_json()["agreements"]
    assert all(agreement.samples == samples for agreement in result.agreements)
    assert result.calibrated
    least, most = result.run.instructions
    counted = sum(row.instructions or 0 for row in result.operators)
    assert least <= most
    assert 0.99 * least - 2000 < counted < 1.01 * most + 100
    assert 0 < result.run.stack[0] < result.run.stack[1]
    assert result.arena <= result.size.bss < result.arena + 4096
    json.dumps(result.to_json())


@pytest.mark.slow
def test_a_model_has_the_outputs_of_tflite_micro(models_dir: Path, tmp_path: Path, tools: None) -> None:
    find_package("tflite_micro")
    options = [prepare(target, run=True) for target in ("cortex-m4", "cortex-m55")]
    model = models_dir / "mlperf_kws_int8.tflite"
    made = exported(model, tmp_path / "out", options, samples=2)
    with oracle_of("tflm", 300.0) as oracle:
        for one in options:
            result = run_target(made, one, qc.load(model), oracle=oracle)
            check(result, 2)
            assert [agreement.about.get("resolver") for agreement in result.agreements] == [None, "TFLM"]


@pytest.mark.slow
def test_every_board_runs(models_dir: Path, tmp_path: Path, tools: None) -> None:
    options = [prepare(name, run=True) for name in ("cortex-m3", "cortex-m7", "cortex-m33")]
    made = exported(models_dir / "tflm_hello_world_int8.tflite", tmp_path / "out", options, samples=2)
    for one in options:
        check(run_target(made, one), 2)


@pytest.mark.slow
def test_kernels_with_dsp_instructions(models_dir: Path, tmp_path: Path, tools: None) -> None:
    """The kernels of the example on a core that lacks the instructions, where they are portable C.

    tests/test_examples.py runs them on one that has them.
    """
    model = models_dir / "mlperf_kws_int8.tflite"
    kernels = {
        "CONV_2D": qc.CKernel.from_source(EXAMPLE / "conv_dsp.c", "conv_dsp_s8", scratch="conv_dsp_scratch"),
        "DEPTHWISE_CONV_2D": qc.CKernel.from_source(
            EXAMPLE / "depthwise_dsp.c", "depthwise_dsp_s8", scratch="depthwise_dsp_scratch"
        ),
    }
    options = prepare("cortex-m3", run=True)
    made = exported(model, tmp_path / "out", [options], samples=1, kernels=kernels)
    plain = qc.Interpreter(model, "tflm")
    for inputs, outputs in made.vectors:
        assert (plain.run(inputs)[0] == outputs[0]).all()
    result = run_target(made, options)
    check(result, 1)
    assert result.operators[0].kernel == "conv_dsp_s8"


@pytest.mark.slow
def test_defects_of_a_kernel_are_results(models_dir: Path, tmp_path: Path, tools: None) -> None:
    source = tmp_path / "bad.c"
    source.write_text(BAD_KERNEL)
    kernel = qc.CKernel.from_source(source, "bad_s8")
    model = models_dir / "tflm_hello_world_int8.tflite"

    def result(flag: str) -> TargetResult:
        options = prepare("cortex-m4", run=True, cflags=f"-O1 {flag}", timeout=3.0, stack="4K")
        return run_target(
            exported(model, tmp_path / "out", [options], samples=2, kernels={2: kernel}), options
        )

    different = result("")
    assert not different.good
    assert different.run.failure == ""
    assert different.agreements[0].equal == 0
    first = different.agreements[0].first[0]
    assert (first.sample, first.output, first.element, first.got, first.expected) == (0, 0, 0, 2, 1)
    crash = result("-DCRASH")
    assert not crash.good
    assert crash.run.failure.startswith("the program crashed: HardFault; r0 0x")
    assert "bfar 0xfffffff0" in crash.run.failure
    hang = result("-DHANG")
    assert "did not end within 3 s" in hang.run.failure
    deep = result("-DDEEP")
    assert "stack overflow" in deep.run.failure


def test_memory_that_is_too_small(
    models_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is refused with figures before anything is written."""
    model = models_dir / "tflm_hello_world_int8.tflite"
    arguments = ["export-c", str(model), "-o", str(tmp_path / "out"), "--samples", "1"]
    for option, message in (
        (["--ram", "16K"], "the arena takes 32 bytes and the stack 16,384, the RAM has 16,384"),
        (["--flash", "256"], "bytes, the flash has 256"),
        (["--ram", "much"], "'much' is not a size"),
    ):
        assert run_command_line([*arguments, "--target", "cortex-m4", *option]) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_linker_refuses_with_figures(models_dir: Path, tmp_path: Path, tools: None) -> None:
    options = prepare("cortex-m4", run=True, flash="4K")
    made = exported(models_dir / "tflm_hello_world_int8.tflite", tmp_path / "out", [options], samples=1)
    with pytest.raises(TargetError, match=r"larger than FLASH by [\d,]+ bytes"):
        run_target(made, options)


def test_missing_tools(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = ["export-c", "any.tflite", "-o", str(tmp_path / "out")]
    assert run_command_line([*arguments, "--target", "cortex-m4", "--run-qemu"]) == 2
    said = capsys.readouterr().err
    assert "arm-none-eabi-gcc" in said
    assert "qemu-system-arm are not installed" in said
    assert "apt-get install make gcc-arm-none-eabi" in said
    assert "libnewlib-arm-none-eabi" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run-qemu"], "--run-qemu needs --target"),
        (["--target", "cortex-m4", "--oracle"], "--oracle needs --run-qemu"),
        (["--ram", "1K"], "--ram needs --target"),
        (["--target", "cortex-m99"], "cortex-m4"),
        (["--target", "cortex-m0plus", "--run-qemu"], "QEMU has no board with a cortex-m0plus"),
        (["--target", "cortex-m4", "--run-qemu", "--ram", "8M"], "QEMU's mps2-an386 has 4,194,304"),
    ],
)
def test_options_that_do_not_fit(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["export-c", "any.tflite", "-o", "out", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_sizes() -> None:
    assert [parse_size(text) for text in ("64K", "1M", "0x100", "77", "2MiB", "3kb")] == [
        65536, 1 << 20, 256, 77, 2 << 20, 3072,
    ]  # fmt: skip
    for text in ("", "K", "1G", "-1", "0"):
        with pytest.raises(TargetError):
            parse_size(text)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cortex-m0plus", "cortex-m33"])
def test_files_build_without_warnings(name: str, models_dir: Path, tmp_path: Path) -> None:
    """Also for the core that has no board."""
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    target = TARGETS[name]
    for file, contents in runtime_files(target, stack=4096).items():
        (tmp_path / file).write_text(str(contents))
    flags = [*target.flags, "-std=c99", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-c", "-I."]
    sources = [path.name for path in tmp_path.glob("*.c")]
    subprocess.run(["arm-none-eabi-gcc", *flags, *sources], cwd=tmp_path, check=True)
