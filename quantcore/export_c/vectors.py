"""Recorded inputs and outputs, and the program that runs the exported model on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantcore.c_interface import write_array
from quantcore.export_c.code import c_values
from quantcore.export_c.plan import ExportPlan, Port

__all__ = ["Sample", "write_test"]

Sample = tuple[list[np.ndarray], list[np.ndarray]]  # inputs, outputs

BITS = {2: "uint16_t", 4: "uint32_t", 8: "uint64_t"}


def write_test(plan: ExportPlan, prefix: str, samples: Sequence[Sample], numerics: str) -> dict[str, str]:
    """Return the files of the test."""
    return {
        f"{prefix}_vectors.h": _vectors(plan, prefix, samples, numerics),
        f"{prefix}_test.c": _program(plan, prefix),
    }


def _vectors(plan: ExportPlan, prefix: str, samples: Sequence[Sample], numerics: str) -> str:
    arrays = []
    for side, word, ports in ((0, "input", plan.inputs), (1, "output", plan.outputs)):
        for i, port in enumerate(ports):
            values = [c_values(np.ascontiguousarray(sample[side][i])).reshape(-1) for sample in samples]
            arrays.append(_array(f"vectors_{word}_{i}", port, values))
    return f"""\
/* Recorded inputs, and the outputs for them by quantcore with the numerics "{numerics}". Samples are one
 * after the other. Floats are their bits. */
#include <stdint.h>

#define VECTORS_COUNT {len(samples)}

{chr(10).join(arrays)}"""


def _array(name: str, port: Port, values: list[np.ndarray]) -> str:
    joined = np.concatenate(values) if values else np.zeros(0, port.dtype)
    kind = port.c_type
    if joined.dtype.kind == "f":
        kind = BITS[joined.dtype.itemsize]
        joined = joined.view(kind.removesuffix("_t"))
    if not joined.size:
        joined = np.zeros(1, joined.dtype)
    return write_array(kind, name, joined)


def _program(plan: ExportPlan, prefix: str) -> str:
    upper = prefix.upper()
    arguments, outputs, checks = [], [], []
    for i, port in enumerate(plan.inputs):
        place = f"vectors_input_{i} + sample * {upper}_INPUT_{i}_ELEMENTS * {_parts(port)}"
        arguments.append(f"(const {port.c_type} *)(const void *)({place})")
    for i, port in enumerate(plan.outputs):
        size = f"{upper}_OUTPUT_{i}_SIZE"
        length = max(port.nbytes // np.dtype(_plain(port)).itemsize, 1)
        outputs.append(f"static {port.c_type} output_{i}[{length}];\n")
        arguments.append(f"output_{i}")
        place = f"vectors_output_{i} + sample * {upper}_OUTPUT_{i}_ELEMENTS * {_parts(port)}"
        checks.append(f"        different += compare(sample, {i}, output_{i}, {place}, {size});\n")
    return f"""\
/* Runs the model on the recorded inputs and compares its outputs, bit for bit. Exits with 0 if all are
 * equal. */
#include "{prefix}.h"

#include <stdio.h>

#include "{prefix}_vectors.h"

{"".join(outputs)}
static int compare(int sample, int output, const void *found, const void *expected, long size) {{
    const unsigned char *a = (const unsigned char *)found, *b = (const unsigned char *)expected;
    for (long i = 0; i < size; ++i) {{
        if (a[i] != b[i]) {{
            printf("sample %d, output %d: byte %ld is 0x%02x, expected 0x%02x\\n", sample, output, i,
                   (unsigned)a[i], (unsigned)b[i]);
            return 1;
        }}
    }}
    return 0;
}}

int main(void) {{
    int different = 0;
    {prefix}_reset();
    for (int sample = 0; sample < VECTORS_COUNT; ++sample) {{
        const int status = {prefix}_invoke({(", " + chr(10) + " " * 12).join(arguments)});
        if (status != 0) {{
            printf("sample %d: {prefix}_invoke returned %d\\n", sample, status);
            return 1;
        }}
{"".join(checks)}    }}
    if (different == 0)
        printf("{prefix}: all outputs of %d samples are equal, bit for bit\\n", VECTORS_COUNT);
    return different != 0;
}}
"""


def _plain(port: Port) -> np.dtype:
    """Return the dtype of an element in C."""
    halves = {"complex64": np.float32, "complex128": np.float64}
    return np.dtype(halves.get(port.dtype.name, port.dtype))


def _parts(port: Port) -> int:
    return port.dtype.itemsize // _plain(port).itemsize
