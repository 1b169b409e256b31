"""The prototypes of kernels, as the rows of ``csrc/kernels.def`` state them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["CUSTOM", "Row", "kernel_rows", "source_folder"]

CUSTOM = "custom"  # a kernel of an operator that quantcore does not have
ROW = re.compile(r"^QC_KERNEL_[123V]\((\w+), ([\w, ]+)\)", re.MULTILINE)


class Row(NamedTuple):
    """A kernel: its parameter struct, and the C types of its tensors; none where it takes any number."""

    name: str
    params: str
    tensors: tuple[str, ...]

    def prototype(self, symbol: str) -> str:
        """Return the declaration of a function of this prototype."""
        inputs = [f"const {c_type} *" for c_type in self.tensors[:-1]]
        pointers = [*inputs, f"{self.tensors[-1]} *output"] if self.tensors else ["void *const *tensors"]
        arguments = [f"const {self.params} *params", *pointers, "void *scratch"]
        return f"qc_status {symbol}({', '.join(arguments)})"


def source_folder() -> Path:
    """Return the folder of the C sources."""
    return Path(__file__).parents[2] / "csrc"


@cache
def kernel_rows() -> dict[str, Row]:
    """Return the kernels by name, in the order of their rows; before them that of ``quantcore/custom.h``."""
    text = (source_folder() / "kernels.def").read_text(encoding="utf-8")
    rows = [(name, types.split(", ")) for name, types in ROW.findall(text)]
    found = {name: Row(name, types[0], tuple(types[1:])) for name, types in rows}
    return {CUSTOM: Row(CUSTOM, "qc_custom_params", ())} | found
