"""The operators whose kernels can be checked: their forms, the kernels of each, and how a case is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from quantcore.errors import KernelError
from quantcore.kernel_check.draws import Build

__all__ = ["Family", "checkable", "family"]

MODULES = ("convolution", "elementwise", "pool", "products", "reduction", "unary")


@dataclass(frozen=True, slots=True)
class Family:
    """An operator that can be checked; it has one output.

    Attributes
    ----------
    op : str
    forms : mapping of str to tuple of str
        The kernels that compute each form; which of them may depend on the profile and on parameters.
    build : callable
        ``build(draws, form)`` draws a case.
    """

    op: str
    forms: Mapping[str, tuple[str, ...]]
    build: Build

    def forms_of(self, kernels: Sequence[str]) -> list[str]:
        """Return the forms that one of `kernels` may compute."""
        return [form for form, names in self.forms.items() if set(names) & set(kernels)]


@cache
def checkable() -> dict[str, Family]:
    """Return all of them by the name of the operator."""
    found: dict[str, Family] = {}
    for name in MODULES:
        families: list[Family] = import_module(f"quantcore.kernel_check.operators.{name}").FAMILIES
        found |= {each.op: each for each in families}
    return dict(sorted(found.items()))


def family(op: str) -> Family:
    """Return how an operator is checked.

    Raises
    ------
    KernelError
        There are no cases of it; the message lists the operators that have some.
    """
    if op not in checkable():
        raise KernelError(
            f"there are no cases of the operator {op!r}; those that can be checked: {', '.join(checkable())}"
        )
    return checkable()[op]
