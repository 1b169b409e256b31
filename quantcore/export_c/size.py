"""What an exported model takes of flash, by a compiler."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from quantcore.export_c.plan import ExportPlan

__all__ = ["CodeSize", "measure_size"]

# The first that is installed: what is measured for, compiler, flags, and what prints sizes
TOOLS = (
    (
        "Cortex-M4",
        "arm-none-eabi-gcc",
        ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft"),
        "arm-none-eabi-size",
    ),
    ("this computer", "cc", (), "size"),
)
FLAGS = ("-std=c99", "-Os", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections", "-w")
SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class CodeSize:
    """Bytes of a linked model, without what it does not use.

    Attributes
    ----------
    target, compiler : str
    code, constants : int
        Functions; tensors, parameters and tables.
    """

    target: str
    compiler: str
    code: int
    constants: int

    @property
    def flash(self) -> int:
        """Code and constants."""
        return self.code + self.constants

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self) | {"flash": self.flash}


def measure_size(files: Mapping[str, str | bytes], prefix: str, plan: ExportPlan) -> CodeSize | None:
    """Compile a model as -Os and return its size; None without a compiler, or if that refuses."""
    for target, compiler, flags, size in TOOLS:
        if shutil.which(compiler) is None or shutil.which(size) is None:
            continue
        try:
            return _measure(files, prefix, plan, target, compiler, flags, size)
        except (subprocess.SubprocessError, OSError, ValueError):
            continue
    return None


def _measure(
    files: Mapping[str, str | bytes],
    prefix: str,
    plan: ExportPlan,
    target: str,
    compiler: str,
    flags: tuple[str, ...],
    size: str,
) -> CodeSize:
    # Constant tensors need not be compiled to know their size; it takes the longest.
    data = f"{prefix}_data.c"
    with tempfile.TemporaryDirectory(prefix="quantcore-export-") as name:
        folder = Path(name)
        sources = [f"{prefix}.c"]
        for path, contents in files.items():
            if path.endswith((".c", ".h", ".inc")) and path != data and not path.endswith(f"{prefix}_test.c"):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(contents.encode() if isinstance(contents, str) else contents)
                if path.startswith("src/") and path.endswith(".c"):
                    sources.append(path)
        entries = [f"-Wl,-u,{prefix}_{what}" for what in ("invoke", "reset")]
        link = ["-r", "-nostdlib", "-Wl,--gc-sections", *entries, "-o", "model.o"]
        include = ["-I.", "-Iinclude", *{f"-I{Path(path).parent}" for path in sources}]
        command = [compiler, *flags, *FLAGS, *include, *sources, *link]
        subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=SECONDS)
        output = subprocess.run(
            [size, "-A", "model.o"], cwd=folder, capture_output=True, text=True, check=True, timeout=SECONDS
        ).stdout
    rows = [line.split() for line in output.splitlines()]
    sections = {row[0]: int(row[1]) for row in rows if len(row) == 3 and row[1].isdigit()}
    code = sum(bytes_ for name, bytes_ in sections.items() if name.startswith(".text"))
    constants = sum(bytes_ for name, bytes_ in sections.items() if name.startswith((".rodata", ".data")))
    return CodeSize(
        target, compiler, code, constants + sum(value.nbytes for value in plan.constants.values())
    )
