"""Where each number came from: which rule fixed the parameters of each tensor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Account", "Entry"]


@dataclass(slots=True)
class Entry:
    """Why a tensor of the quantized model has the parameters that it has.

    Attributes
    ----------
    rule : str
        The rule in a few words: ``range of the tensor``, ``fixed output of SOFTMAX``, ``same scale as ...``.
    source : int or None
        Tensor of the float model that the parameters come from: itself, or the one that imposed them.
    facts : dict
        What else the rule used, by name: ``input_scale``, ``guarded_channels`` ...
    """

    rule: str
    source: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Account:
    """Entries by tensor index of the quantized model, before unused tensors are dropped.

    A tensor of the float model keeps its index while the passes work; new tensors are added at the end.

    Attributes
    ----------
    tensors : dict of int to Entry
    kept_float : dict of int to str
        Operators of the float model that stayed float, and why.
    """

    tensors: dict[int, Entry] = field(default_factory=dict)
    kept_float: dict[int, str] = field(default_factory=dict)

    def record(self, tensor: int, rule: str, source: int | None = None, **facts: Any) -> None:
        """Say which rule fixed the parameters of `tensor`; a later rule replaces an earlier one."""
        self.tensors[tensor] = Entry(rule, source, facts)
