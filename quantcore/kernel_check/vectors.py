"""Cases as C headers and a runner in plain C, for a kernel that runs where Python does not."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quantcore.c_compiler import find_compiler
from quantcore.c_interface import kernel_interface, source_folder
from quantcore.errors import KernelError
from quantcore.files import atomic_write
from quantcore.kernel_check.c_test import C_TYPES, call_arguments, case_data, declaration
from quantcore.kernel_check.case import Case
from quantcore.kernel_check.checker import differing
from quantcore.kernel_check.explain import rule_variants, run_reference, variants
from quantcore.kernel_check.operators.registry import family
from quantcore.kernel_check.process import KernelProcess
from quantcore.kernel_check.programs import build_reference
from quantcore.kernel_check.search import Drawing
from quantcore.wording import counted

__all__ = ["WrittenVectors", "write_vectors"]

DRAWN = 300  # cases to choose from
MOST_TURNS = 4  # as long as there is a rounding rule that no case tells apart
MOST_BYTES = 1500  # of the arrays of a case
PER_PURPOSE = 2

RUNNER = """\
/* Runs the cases of vectors.h on a kernel, without a library; see check_vectors.h. */
#include "check_vectors.h"

#include <stddef.h>
#include <stdint.h>

#include "quantcore/{header}"

{declaration}

#include "vectors.h"

/* A number as decimal digits behind `text`, which has room. */
static void append_number(char *text, long value) {{
    char digits[24];
    int count = 0;
    unsigned long rest = value < 0 ? 0ul - (unsigned long)value : (unsigned long)value;
    while (*text) ++text;
    if (value < 0) *text++ = '-';
    do digits[count++] = (char)('0' + rest % 10); while (rest /= 10);
    while (count > 0) *text++ = digits[--count];
    *text = 0;
}}

static void append(char *text, const char *more) {{
    while (*text) ++text;
    while ((*text++ = *more++) != 0) {{
    }}
}}

{append_value}
static void fill(void *memory, size_t size, uint8_t byte) {{
    volatile uint8_t *bytes = memory;
    while (size-- > 0) *bytes++ = byte;
}}

/* 0 if the outputs are equal in every bit; else it says what is wrong. */
static int differs(const char *name, const {kind} *output, const {kind} *expected, size_t count, int status,
                   void (*print)(const char *line)) {{
    char line[160] = "";
    const uint8_t *a = (const uint8_t *)output, *b = (const uint8_t *)expected;
    size_t first = 0, wrong = 0;
    for (size_t i = count * sizeof *output; i-- > 0;)
        if (a[i] != b[i]) first = i / sizeof *output, ++wrong;
    if (wrong == 0 && status == QC_OK) return 0;
    append(line, name);
    if (status != QC_OK) {{
        append(line, ": the kernel returned ");
        append_number(line, status);
    }} else {{
        append(line, ": element ");
        append_number(line, (long)first);
        append(line, " is ");
        append_value(line, &output[first]);
        append(line, ", expected ");
        append_value(line, &expected[first]);
    }}
    if (print) print(line);
    return 1;
}}

int check_vectors(void (*print)(const char *line)) {{
    int wrong = 0;
    int status;
{calls}    return wrong;
}}
"""

APPEND_INTEGER = """\
static void append_value(char *text, const {kind} *value) {{
    append_number(text, (long)*value);
}}
"""

APPEND_BITS = """\
/* The bits of a value, on a little-endian core. */
static void append_value(char *text, const {kind} *value) {{
    const uint8_t *bytes = (const uint8_t *)value;
    append(text, "0x");
    for (size_t i = sizeof *value; i-- > 0;) {{
        const char digits[] = {{"0123456789ABCDEF"[bytes[i] >> 4], "0123456789ABCDEF"[bytes[i] & 15], 0}};
        append(text, digits);
    }}
}}
"""

CALL = """\
    fill({prefix}output, sizeof {prefix}output, 0xA5);
    fill({prefix}scratch, sizeof {prefix}scratch, 0x5A);
    status = (int){symbol}({arguments});
    wrong += differs("{name}", {prefix}output, {prefix}expected, {count}, status, print);
"""

HEADER = """\
/* Checks {symbol} on recorded cases of {op} ({kernel}, numerics profile {numerics}). */
#ifndef CHECK_VECTORS_H
#define CHECK_VECTORS_H

/* Returns the number of cases on which the kernel is wrong.
 * print: takes a line of text without an end of line; NULL for none. */
int check_vectors(void (*print)(const char *line));

#endif
"""

MAIN = """\
/* For trying the cases on this machine; on a board, call check_vectors from your own main. */
#include <stdio.h>

#include "check_vectors.h"

static void print(const char *line) {
    puts(line);
}

int main(void) {
    const int wrong = check_vectors(print);
    printf(wrong ? "%d cases are wrong\\n" : "every case is right (%d wrong)\\n", wrong);
    return wrong != 0;
}
"""

MAKEFILE = """\
# make KERNEL=my_kernel.c: compile the cases with a kernel, and run them here
KERNEL ?= reference
CFLAGS ?= -std=c99 -O2 -Wall -Wextra

ifeq ($(KERNEL),reference)
KERNEL_SOURCES = {sources}
KERNEL_FLAGS = -D{symbol}={definition} -Ireference -ffunction-sections -Wl,--gc-sections
else
KERNEL_SOURCES = $(KERNEL)
endif

check: check_vectors
\t./check_vectors

check_vectors: main.c check_vectors.c vectors.h $(KERNEL_SOURCES)
\t$(CC) $(CFLAGS) -Iinclude $(KERNEL_FLAGS) main.c check_vectors.c $(KERNEL_SOURCES) -lm -o $@

clean:
\trm -f check_vectors

.PHONY: check clean
"""

README = """\
# Cases of {op}, for a kernel that runs elsewhere

{cases} cases of `{kernel}`, with the outputs that {op} has in the numerics profile `{numerics}`, chosen so
that the rounding rules and the usual mistakes give something else on some of them:

{table}

Your kernel is a function

```c
{declaration}
```

Compile `check_vectors.c` and your kernel for the target, with `-Iinclude`; the data are {memory} bytes, and
no library is needed. Call `check_vectors(print)`, where `print` takes a line of text (a UART, semihosting),
or `check_vectors(0)`: it returns how many cases are wrong.

On this machine, `make KERNEL=my_kernel.c` compiles and runs them; `make` alone runs the definition of the
kernel, which is right.
"""


@dataclass(slots=True)
class WrittenVectors:
    """What was written.

    Attributes
    ----------
    folder : Path
    op, kernel, numerics : str
    cases : int
    size : int
        Bytes of data and expected outputs.
    purposes : dict of str to int
        Cases on which each other rule, or mistake, gives something else.
    """

    folder: Path
    op: str
    kernel: str
    numerics: str
    cases: int
    size: int
    purposes: dict[str, int] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What to print above a table of it."""
        return f"{counted(self.cases, 'case')} of {self.op} ({self.kernel}, profile {self.numerics})"

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {
            "folder": str(self.folder),
            "op": self.op,
            "kernel": self.kernel,
            "numerics": self.numerics,
            "cases": self.cases,
            "bytes": self.size,
            "separates": self.purposes,
        }


def write_vectors(
    folder: str | os.PathLike[str],
    op: str,
    *,
    dtype: str | None = None,
    numerics: str = "reference",
    symbol: str | None = None,
    seed: int = 0,
) -> WrittenVectors:
    """Write cases of an operator, a runner, what it includes, a Makefile and a README to a folder.

    Parameters
    ----------
    folder : path-like
        It is made; there must be nothing in it but what an earlier call wrote.
    op : str
    dtype : str, optional
        The form; by default the operator's first, which is int8 for most.
    numerics : str
    symbol : str, optional
        What the kernel is called; by default ``my_<kernel>``.
    seed : int

    Raises
    ------
    KernelError
        An operator or form that cannot be checked; a folder with other things in it.
    """
    drawn = family(op)
    form = dtype or next(iter(drawn.forms))
    if form not in drawn.forms:
        raise KernelError(f"{op} has no form {form!r}; known: {', '.join(drawn.forms)}")
    target = Path(folder)
    if target.exists() and any(target.iterdir()) and not (target / "check_vectors.c").exists():
        raise KernelError(f"{target} is not empty; expected a new folder, or one that check-kernel wrote")
    kernel, chosen, purposes = chosen_cases(op, form, numerics, seed)
    written = WrittenVectors(
        target, op, kernel, numerics, len(chosen), sum(case.nbytes for case in chosen), purposes
    )
    write_folder(target, written, chosen, symbol or f"my_{kernel}")
    return written


def chosen_cases(op: str, form: str, numerics: str, seed: int) -> tuple[str, list[Case], dict[str, int]]:
    """Return the kernel, its cases, and what they tell apart; as many are drawn as that takes."""
    cases: list[Case] = []
    drawn = family(op)
    drawing = Drawing(drawn, [form], drawn.forms[form], numerics)
    for turn in range(MOST_TURNS):
        cases += small_cases(drawing, seed + turn)
        if not cases:
            continue
        kernel = Counter(case.kernel for case in cases).most_common(1)[0][0]
        alike = [case for case in cases if case.kernel == kernel]
        with KernelProcess(build_reference(kernel, find_compiler()), 30.0) as reference:
            chosen, purposes = choose(alike, reference)
        if all(purposes.values()) or turn == MOST_TURNS - 1:
            return kernel, chosen, purposes
    raise KernelError(f"no case of {op} {form} is small enough for a board")


def small_cases(drawing: Drawing, seed: int) -> list[Case]:
    """Draw cases, and return those that are small."""
    cases: list[Case] = []
    drawing.run(DRAWN, seed, lambda key, case: cases.append(case))
    return [case for case in cases if case.nbytes <= MOST_BYTES]


def choose(cases: list[Case], reference: KernelProcess) -> tuple[list[Case], dict[str, int]]:
    """Return cases on which other rules and mistakes give something else, small ones first, and their number.

    It is by what gives something else; a rule that no case tells apart has 0.
    """
    wanted: Counter[str] = Counter()
    chosen: list[Case] = []
    purposes: Counter[str] = Counter()
    for case in sorted(cases, key=lambda case: case.nbytes):
        separated = {words for words, other in variants(case) if parts(case, other, reference)}
        edges = {f"{aspect}: {what}" for aspect, what in case.facts.items()}
        useful = [
            each for each in separated | edges if wanted[each] < (PER_PURPOSE if each in separated else 1)
        ]
        if not useful:
            continue
        wanted.update(separated | edges)
        purposes.update(separated)
        chosen.append(case)
    rules = {words for case in chosen[:1] for words, _ in rule_variants(case)}
    return chosen, {words: purposes[words] for words in sorted(rules | set(purposes))}


def parts(case: Case, other: Case, reference: KernelProcess) -> bool:
    """Whether the definition gives something else on the other case."""
    found = run_reference(reference, other)
    return found is not None and any(differing(a, b).size for a, b in zip(found, case.expected, strict=True))


def write_folder(folder: Path, written: WrittenVectors, cases: list[Case], symbol: str) -> None:
    """Write all files; the runner comes last, as the mark of a complete folder."""
    interface = kernel_interface(written.kernel)
    folder.mkdir(parents=True, exist_ok=True)
    headers = [path for path in interface.sources if path.suffix == ".h"]
    own = [path for path in interface.sources if path.suffix != ".h"]
    root = source_folder() / "include"
    for path in headers:
        if path.is_relative_to(root):
            copy(path, folder / "include" / path.relative_to(root))
        else:
            copy(path, folder / "reference" / path.name)
    for path in own:
        copy(path, folder / "reference" / path.name)
    prefixes = [f"case_{k}_" for k in range(len(cases))]
    data = [
        f"/* {k}: {', '.join(f'{a} {w}' for a, w in case.facts.items())} */\n{case_data(case, prefix)}"
        for k, (case, prefix) in enumerate(zip(cases, prefixes, strict=True))
    ]
    calls = [
        CALL.format(
            prefix=prefix,
            symbol=symbol,
            arguments=call_arguments(case, prefix),
            name=f"case {k}",
            count=case.expected[0].size,
        )
        for k, (case, prefix) in enumerate(zip(cases, prefixes, strict=True))
    ]
    compiled = " ".join(f"reference/{path.name}" for path in own if path.suffix == ".c")
    prototype = declaration(written.kernel, symbol)
    table = "\n".join(
        f"- {count or 'no'} {'case' if count == 1 else 'cases'}: the definition {words}"
        for words, count in written.purposes.items()
    )
    output = cases[0].expected[0].dtype
    kind = C_TYPES[output.name]
    append_value = APPEND_INTEGER if output.kind in "iub" and output.itemsize <= 4 else APPEND_BITS
    words = {"op": written.op, "kernel": written.kernel, "numerics": written.numerics, "symbol": symbol}
    files = {
        "vectors.h": "\n".join(data),
        "check_vectors.h": HEADER.format(**words),
        "main.c": MAIN,
        "Makefile": MAKEFILE.format(sources=compiled, symbol=symbol, definition=f"qc_{written.kernel}_ref"),
        "README.md": README.format(
            **words, cases=len(cases), table=table, declaration=prototype, memory=written.size
        ),
        "check_vectors.c": RUNNER.format(
            header=interface.header.removeprefix("quantcore/"),
            declaration=prototype,
            kind=kind,
            append_value=append_value.format(kind=kind),
            calls="".join(calls),
        ),
    }
    for name, text in files.items():
        with atomic_write(folder / name, "w") as file:
            file.write(text.replace("_Alignas(16) ", ""))


def copy(source: Path, target: Path) -> None:
    """Copy a file to a folder that may not be there yet."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
