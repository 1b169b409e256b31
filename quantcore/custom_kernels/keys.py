"""Which operators the keys of ``Interpreter(kernels={...})`` name."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from quantcore.custom_kernels.c_kernel import CKernel
from quantcore.custom_kernels.rows import CUSTOM
from quantcore.errors import KernelError
from quantcore.graph import Operator, Subgraph
from quantcore.wording import counted

__all__ = ["NO_KERNEL", "Assignment", "Candidate", "Kernel", "KernelTable", "kernel_name"]

Kernel = CKernel | Callable[..., Any]
SHOWN = 5
NO_KERNEL = "it runs no kernel: its output follows from shapes, or from the subgraphs that it calls"


class Candidate(NamedTuple):
    """A key that names an operator, and its kernel."""

    key: str | int
    kernel: Kernel

    @property
    def computes_anything(self) -> bool:
        """Whether the kernel is told about the operator, and need not fit a call of ours."""
        return not isinstance(self.kernel, CKernel) or CUSTOM in self.kernel.kernels


class KernelTable:
    """The kernels that a user gave, by key.

    Parameters
    ----------
    kernels : mapping
        Keys are operator names (``CONV_2D``, or the code of a custom operator), indices of operators, or
        patterns (`fnmatch`) of the name of an operator's first output. Values are `CKernel` objects or Python
        callables.

    strict : bool
        Whether each key must name an operator that its kernel fits.

    Raises
    ------
    KernelError
        A key or value of another kind.
    """

    def __init__(self, kernels: Mapping[str | int, Kernel], *, strict: bool = True) -> None:
        if not isinstance(kernels, Mapping):
            raise KernelError(
                f"kernels is a {type(kernels).__name__}; expected a mapping such as {{'CONV_2D': k}}"
            )
        self.strict = strict
        self.kernels: dict[str | int, Kernel] = {}
        for key, kernel in kernels.items():
            if not isinstance(kernel, CKernel) and not callable(kernel):
                raise KernelError(f"kernels[{key!r}] is {kernel!r}; expected a CKernel or a Python callable")
            self.kernels[checked_key(key)] = kernel

    def candidates(self, op: Operator, tensor: str, index: int | None) -> list[Candidate]:
        """Return the kernels for an operator, the one that goes first in front.

        An index goes before a pattern, a pattern before the operator's name; among patterns, their order
        decides.

        Parameters
        ----------
        op : Operator
        tensor : str
            Name of its first output.
        index : int or None
            None for an operator of a subgraph that is called: indices do not mean it.
        """
        ranked: list[tuple[int, Candidate]] = []
        for key, kernel in self.kernels.items():
            if isinstance(key, int):
                rank = 0 if key == index else None
            elif key == tensor or fnmatchcase(tensor, key):
                rank = 1
            else:
                rank = 2 if key in (op.op, op.custom_code, op.name) else None
            if rank is not None:
                ranked.append((rank, Candidate(key, kernel)))
        return [candidate for _, candidate in sorted(ranked, key=lambda pair: pair[0])]

    def without_indices(self) -> KernelTable:
        """Return the same for another subgraph, whose operators the indices do not mean."""
        others: dict[str | int, Kernel]
        others = {key: kernel for key, kernel in self.kernels.items() if not isinstance(key, int)}
        return KernelTable(others, strict=False)

    def named_operators(self, subgraph: Subgraph) -> set[int]:
        """Return the operators that keys name."""
        return {
            i for i, op in enumerate(subgraph.operators) if self.candidates(op, first_output(subgraph, op), i)
        }


class Assignment:
    """Which kernel each operator of a model got, and why others did not.

    Attributes
    ----------
    used : dict of (int, int) to Kernel
        By subgraph and index of the operator.
    """

    def __init__(self, table: KernelTable) -> None:
        self.table = table
        self.used: dict[tuple[int, int], Kernel] = {}
        self._fitting: set[str | int] = set()
        self._reasons: dict[str | int, dict[str, list[str]]] = {}
        self._seen: list[tuple[str, str]] = []  # operator names and first outputs

    def candidates(self, subgraph: Subgraph, index: int, *, is_main: bool) -> list[Candidate]:
        """Return the kernels that keys name for an operator."""
        op = subgraph.operators[index]
        tensor = first_output(subgraph, op)
        self._seen.append((op.custom_code or op.op, tensor))
        return self.table.candidates(op, tensor, index if is_main else None)

    def choose(
        self, candidates: Sequence[Candidate], where: str, call: str | None, reason: str = ""
    ) -> Candidate | None:
        """Return the first candidate that fits an operator.

        Parameters
        ----------
        candidates : sequence of Candidate
        where : str
            The operator, for messages.
        call : str or None
            The kernel that quantcore calls for it; None where there is none.
        reason : str
            Why there is none.
        """
        fitting = [
            c
            for c in candidates
            if (c.computes_anything and reason != NO_KERNEL)
            or (isinstance(c.kernel, CKernel) and call in c.kernel.kernels)
        ]
        self._fitting.update(c.key for c in fitting)
        for candidate in candidates:
            if candidate not in fitting:
                said = f"quantcore calls {call}" if call is not None else reason
                self._reasons.setdefault(candidate.key, {}).setdefault(said, []).append(where)
        return fitting[0] if fitting else None

    def finish(self) -> None:
        """See that every key has named an operator that its kernel fits.

        Raises
        ------
        KernelError
            A key names no operator, or none that its kernel fits.
        """
        for key, kernel in self.table.kernels.items():
            if key in self._fitting or not self.table.strict:
                continue
            if key not in self._reasons:
                raise self._unmatched(key)
            reasons = [f"for {listed(where)}, {said}" for said, where in self._reasons[key].items()]
            prototype = " and ".join(kernel.kernels) if isinstance(kernel, CKernel) else ""
            fits = f"has the prototype of {prototype}" if prototype else "computes what runs a kernel"
            raise KernelError(f"kernels[{key!r}]: {kernel_name(kernel)} {fits}, but {'; '.join(reasons)}")

    def _unmatched(self, key: str | int) -> KernelError:
        if isinstance(key, int):
            return KernelError(
                f"kernels[{key}]: there is no such operator; the subgraph has "
                f"{counted(len(self._seen), 'operator')}, from 0 on"
            )
        names = list(dict.fromkeys(name for name, _ in self._seen))
        tensors = list(dict.fromkeys(tensor for _, tensor in self._seen))
        near = difflib.get_close_matches(key, [*names, *tensors], n=3)
        meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        return KernelError(
            f"kernels[{key!r}]: no operator is called that, and no operator's first output has a name that "
            f"this pattern fits{meant or '.'} The model has the operators {', '.join(sorted(names))}"
        )


def checked_key(key: Any) -> str | int:
    """Return a key as a str or an int."""
    if isinstance(key, str) and key:
        return key
    try:
        index = operator.index(key)
    except TypeError:
        index = -1
    if index < 0 or isinstance(key, bool):
        raise KernelError(
            f"kernels[{key!r}]: expected the name of an operator, an operator's index, or a pattern of the "
            "name of its first output"
        )
    return index


def listed(words: Sequence[str]) -> str:
    """Return the first of `words`, and how many there are more."""
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more


def first_output(subgraph: Subgraph, op: Operator) -> str:
    """Return the name of an operator's first output; "" for one without."""
    t = next((t for t in op.outputs if t >= 0), -1)
    return subgraph.tensors[t].name if t >= 0 else ""


def kernel_name(kernel: Kernel) -> str:
    """Return what to call a kernel in messages."""
    if isinstance(kernel, CKernel):
        return kernel.name
    return str(getattr(kernel, "__qualname__", type(kernel).__name__))
