"""The prototypes of kernels, as the rows of ``csrc/kernels.def`` state them."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from quantcore.c_interface.kernel_interface import kernel_rows as interface_rows

__all__ = ["CUSTOM", "Row", "kernel_rows"]

CUSTOM = "custom"  # a kernel of an operator that quantcore does not have


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


@cache
def kernel_rows() -> dict[str, Row]:
    """Return the kernels by name, in the order of their rows; before them that of ``quantcore/custom.h``."""
    found = {name: Row(name, types[0], tuple(types[1:])) for name, types in interface_rows().items()}
    return {CUSTOM: Row(CUSTOM, "qc_custom_params", ())} | found
