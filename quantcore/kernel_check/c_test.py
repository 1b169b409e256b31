"""A failing case as a C program that needs nothing but the kernel and the headers."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from quantcore.c_interface import kernel_interface, source_folder, write_array, write_params
from quantcore.custom_kernels import CKernel
from quantcore.files import atomic_write
from quantcore.kernel_check.case import Case, tensor_names
from quantcore.kernel_check.checker import ARRANGEMENTS, Failure

__all__ = ["C_TYPES", "call_arguments", "case_data", "declaration", "write_test"]

C_TYPES = {
    "int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "int32": "int32_t", "int64": "int64_t",
    "float32": "float", "bool": "uint8_t", "uint16": "uint16_t", "float16": "uint16_t",
}  # fmt: skip

TEST = """\
/* A case on which {symbol} is wrong, found by quantcore check-kernel:
 *
 *   {message}
 *
 *     cc -I{include} {name} {sources} -lm -o test && ./test
 *
 * The program ends with 0 where the kernel gives what {profile} gives, else with 1.{hint} */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "{header}"

{declaration}

{data}
int main(void) {{
    /* what nobody has written may hold anything */
    memset(output, {output_fill}, sizeof output);
    memset(scratch, {scratch_fill}, sizeof scratch);
    const qc_status status = {symbol}({arguments});
    if (status != QC_OK) return printf("the kernel returned %d, not QC_OK\\n", (int)status), 1;
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; ++i) {{
        if (memcmp(&output[i], &expected[i], sizeof *output) == 0) continue;
        if (wrong++ < 8)
            printf("element %zu is {format}, expected {format}\\n", i, {cast}output[i], {cast}expected[i]);
    }}
    printf("%zu of %zu elements differ\\n", wrong, sizeof expected / sizeof *expected);
    return wrong != 0;
}}
"""


def write_test(failure: Failure, kernel: CKernel, path: str | os.PathLike[str]) -> None:
    """Write a program that runs one failing case."""
    case = failure.case
    interface = kernel_interface(case.kernel)
    fills = ARRANGEMENTS[failure.arrangement].fills
    kind = case.expected[0].dtype
    hint = ""
    if failure.kind != "mismatch":
        hint = "\n * A failure of memory or of undefined behaviour: add -g -fsanitize=address,undefined."
    elif failure.build == "locals":
        hint = "\n * It was found with -O1 -ftrivial-auto-var-init=pattern."
    text = TEST.format(
        symbol=kernel.symbol,
        message=failure.message.replace("*/", "* /"),
        include=source_folder() / "include",
        name=Path(path).name,
        sources=" ".join(map(str, (*kernel.flags, *kernel.sources))),
        profile=f"{case.op} of the numerics profile '{case.numerics}'",
        hint=hint,
        header=interface.header,
        declaration=declaration(case.kernel, kernel.symbol),
        data=case_data(case),
        output_fill=f"0x{fills.output:02X}",
        scratch_fill=f"0x{fills.scratch:02X}",
        arguments=call_arguments(case),
        format="%a" if kind.kind == "f" else "%lld",
        cast="(double)" if kind.kind == "f" else "(long long)",
    )
    with atomic_write(path, "w") as file:
        file.write(text)


def declaration(kernel: str, symbol: str) -> str:
    """Return the declaration of a function with the prototype of a kernel."""
    text: str = re.sub(r"\bqc_\w+_ref\b", symbol, kernel_interface(kernel).prototype)
    return text


def call_arguments(case: Case, prefix: str = "") -> str:
    """Return the arguments of the call of a case."""
    scratch = f"{prefix}scratch" if case.scratch else "NULL"
    return f"&{prefix}params, {tensor_arguments(case, prefix)}, {scratch}"


def tensor_arguments(case: Case, prefix: str) -> str:
    names = variables(case)
    given = [f"{prefix}{n}" if x is not None else "NULL" for n, x in zip(names, case.inputs, strict=False)]
    given.append(f"{prefix}output")
    if kernel_interface(case.kernel).tensors:
        return ", ".join(given)
    return f"(void *const[]){{{', '.join(f'(void *){each}' for each in given)}}}"


def variables(case: Case) -> list[str]:
    """Return names in C of the inputs."""
    names = tensor_names(case.kernel, len(case.inputs), len(case.expected))[: len(case.inputs)]
    return [name.replace(" ", "_") for name in names]


def case_data(case: Case, prefix: str = "") -> str:
    """Return the definitions of params, data, output and scratch memory."""
    parts = [write_params(case.params, f"{prefix}params")]
    for name, array in zip(variables(case), case.inputs, strict=True):
        if array is not None:
            parts.append(define(f"{prefix}{name}", array))
    expected = case.expected[0]
    kind = C_TYPES[expected.dtype.name]
    parts.append(define(f"{prefix}expected", expected))
    parts.append(f"static {kind} {prefix}output[{max(expected.size, 1)}];\n")
    parts.append(f"static _Alignas(16) uint8_t {prefix}scratch[{max(case.scratch, 1)}];\n")
    return "".join(parts)


def define(name: str, array: np.ndarray) -> str:
    """Return a constant array."""
    flat = array.reshape(-1)
    if array.dtype.kind == "b":
        flat = flat.astype(np.uint8)
    text: str = write_array(C_TYPES[array.dtype.name], name, flat if flat.size else np.zeros(1, flat.dtype))
    return text.replace("static const ", "static const _Alignas(16) ", 1)
