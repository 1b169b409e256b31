"""`export_c`: a model as a folder of C99."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from quantcore.c_interface import kernel_interface, source_folder
from quantcore.errors import KernelError, QuantcoreError
from quantcore.export_c.code import needs_float_rules, write_code
from quantcore.export_c.folder import MARK, check_folder, write_folder
from quantcore.export_c.makefile import write_makefile
from quantcore.export_c.memory_map import draw_memory_map, memory_table
from quantcore.export_c.plan import ExportPlan, make_plan
from quantcore.export_c.readme import write_readme
from quantcore.export_c.result import Export
from quantcore.export_c.size import measure_size
from quantcore.export_c.sources import used_sources
from quantcore.export_c.vectors import Sample, write_test
from quantcore.flatbuffer import read_model
from quantcore.graph import Model
from quantcore.runtime import Interpreter
from quantcore.runtime.definitions import lower_to_definitions
from quantcore.samples import SampleSource, random_samples, split_samples

__all__ = ["export_c"]

WORD = re.compile(r"[A-Za-z_]\w*")
INCLUDED = re.compile(r'#\s*include\s+"(quantcore/[\w.]+)"')
PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
SECTION = re.compile(r"[\w.$-]+")
C_WORDS = frozenset(
    (  # noqa: SIM905
        "auto break case char const continue default do double else enum extern float for goto if inline int "
        "long register restrict return short signed sizeof static struct switch typedef union unsigned void "
        "volatile while main"
    ).split()
)


def export_c(
    model: Model | str | Path | bytes,
    out: str | os.PathLike[str],
    *,
    numerics: str = "tflm",
    symbol_prefix: str = "model",
    arena_section: str | None = None,
    kernels: Mapping[Any, Any] | None = None,
    inputs: SampleSource | None = None,
    samples: int = 5,
    seed: int = 0,
    subgraph_index: int = 0,
    force: bool = False,
    complete: Callable[[Export], None] | None = None,
) -> Export:
    """Write a model as a folder of C99 that compiles with nothing but a C compiler.

    Parameters
    ----------
    model : Model, path or bytes
    out : path-like
        The folder; it is new, empty, or an earlier export, which is replaced.
    numerics : str
        Numerics profile, see `quantcore.numerics`. ``tflm`` is what TensorFlow Lite Micro computes on a
        board.
    symbol_prefix : str
        What the names of the model's functions, macros and files begin with.
    arena_section : str, optional
        Section of the object file that the arena is put into.
    kernels : mapping, optional
        Kernels of yours, as for `quantcore.Interpreter`, made by `CKernel.from_source`.
    inputs : array, sequence, mapping or path, optional
        Samples for the recorded vectors; random ones by default.
    samples, seed : int
        How many random samples are drawn, and their seed.
    subgraph_index : int
        Which subgraph to export.
    force : bool
        Replace whatever is at `out`.
    complete : callable, optional
        Is given the export before it is written, and may add files.

    Returns
    -------
    Export

    Raises
    ------
    UnsupportedOperatorError
        An operator that the profile does not run, or that has no C source.
    QuantcoreError
        The folder has other files in it; a name is none in C; the extra ``kernels`` is missing.
    """
    folder = Path(out)
    check_names(symbol_prefix, arena_section)
    check_folder(folder, force)
    loaded = model if isinstance(model, Model) else read_model(model)
    if not 0 <= subgraph_index < len(loaded.subgraphs):
        raise KernelError(f"subgraph_index is {subgraph_index}; the model has {len(loaded.subgraphs)}")
    plan = make_plan(lower_to_definitions(loaded, numerics, subgraph_index, kernels), symbol_prefix)
    drawn = (
        random_samples(loaded, subgraph_index, samples, seed)
        if inputs is None
        else split_samples(loaded, subgraph_index, inputs)
    )
    vectors = record(loaded, numerics, subgraph_index, drawn, kernels)
    source = str(loaded.source) if getattr(loaded, "source", None) else ""
    title = f"{symbol_prefix}: {Path(source).name or 'a model'}, numerics {numerics}"
    made = Export(folder, symbol_prefix, numerics, plan, {}, vectors, source=source)
    made.files |= model_files(plan, symbol_prefix, title, arena_section, numerics, vectors)
    made.size = measure_size(made.files, symbol_prefix, plan)
    if complete is not None:
        complete(made)
    made.files["README.md"] = write_readme(made)
    made.files[MARK] = json.dumps(made.to_json(), indent=2) + "\n"
    write_folder(folder, made.files)
    return made


def model_files(
    plan: ExportPlan, prefix: str, title: str, arena_section: str | None, numerics: str, vectors: list[Sample]
) -> dict[str, str | bytes]:
    """Return the files of the model, of the kernels and of the test."""
    files: dict[str, str | bytes] = {}
    files |= write_code(plan, prefix, title, arena_section)
    floats = needs_float_rules(plan)
    macros = (f"QC_WITH_FLOAT_RULES {int(floats)}",)
    sources, flags, folders = custom_files(plan, files)
    own = "".join(text.decode(errors="replace") for text in files.values() if isinstance(text, bytes))
    own += aids(own)
    definitions = {step.call.name for step in plan.steps if step.custom is None}
    included = {kernel_interface(step.call.name).header for step in plan.steps} | {*INCLUDED.findall(own)}
    files |= used_sources(definitions, included, {*WORD.findall(own)}, macros)
    files["include/quantcore/config.h"] = config(macros)
    files["include/quantcore/status.h"] = (source_folder() / "include/quantcore/status.h").read_text()
    compiled = sorted(
        name for name in files if name.startswith("src/") and name.endswith(".c") and name not in sources
    )
    math = any("#include <math.h>" in text for text in files.values() if isinstance(text, str))
    files["Makefile"] = write_makefile(prefix, [*compiled, *sources], flags, folders, math)
    files |= write_test(plan, prefix, vectors, numerics)
    files["memory.svg"] = draw_memory_map(plan, title)
    files["memory.txt"] = memory_table(plan)
    return files


def aids(own: str) -> str:
    """Return the texts of headers that a user's sources include and that no kernel has, such as dsp.h.

    They are kept whole: what a macro of theirs comes to depends on the core that it is compiled for.
    """
    folder = source_folder() / "include"
    of_kernels = INCLUDED.findall((source_folder() / "kernels.def").read_text())
    headers = {*INCLUDED.findall(own)} - {*of_kernels}
    return "".join((folder / name).read_text() for name in sorted(headers) if (folder / name).is_file())


def config(macros: tuple[str, ...]) -> str:
    """Return the header that says what the definitions are compiled with."""
    lines = "".join(f"#define {macro}\n" for macro in macros)
    return f"""\
/* What the definitions are compiled with, for this model. */
#ifndef QUANTCORE_CONFIG_H
#define QUANTCORE_CONFIG_H

{lines}
#endif
"""


def custom_files(plan: ExportPlan, files: dict[str, str | bytes]) -> tuple[list[str], list[str], list[str]]:
    """Copy the sources of the user's kernels, and return their names, flags, and folders of headers."""
    sources: list[str] = []
    flags: list[str] = []
    folders: list[str] = []
    kernels = list({id(step.custom): step.custom for step in plan.steps if step.custom is not None}.values())
    for number, kernel in enumerate(kernels):
        place = f"src/kernel_{number}"
        folders.append(place)
        for path in kernel.sources:
            sources.append(f"{place}/{path.name}")
            files[sources[-1]] = path.read_bytes()
            files |= {f"{place}/{header.name}": header.read_bytes() for header in path.parent.glob("*.h")}
        for folder in kernel.include:
            files |= {
                f"{place}/{header.relative_to(folder).as_posix()}": header.read_bytes()
                for header in folder.rglob("*.h")
            }
        flags += [flag for flag in kernel.flags if flag not in flags]
    return sources, flags, folders


def record(
    model: Model,
    numerics: str,
    subgraph_index: int,
    drawn: list[list[np.ndarray]],
    kernels: Mapping[Any, Any] | None,
) -> list[Sample]:
    """Return the samples with the outputs for them, one run after the other."""
    interpreter = Interpreter(model, numerics, subgraph_index=subgraph_index, kernels=kernels)
    return [(sample, interpreter.run(sample)) for sample in drawn]


def check_names(prefix: str, section: str | None) -> None:
    """Refuse names that are none in C."""
    if not PREFIX.fullmatch(prefix) or prefix in C_WORDS or prefix.startswith("qc_"):
        raise QuantcoreError(
            f"the prefix {prefix!r} is no free name of C; expected letters, digits and _, a letter first"
        )
    if section is not None and not SECTION.fullmatch(section):
        raise QuantcoreError(f"the section {section!r} is no name of a section; expected such as .bss.arena")
