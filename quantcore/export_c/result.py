"""What an export is: its plan, its files, and what it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quantcore.export_c.memory_map import peak_step
from quantcore.export_c.plan import ExportPlan, scratch_bytes
from quantcore.export_c.size import CodeSize
from quantcore.export_c.vectors import Sample

__all__ = ["Export"]


@dataclass(slots=True)
class Export:
    """An exported model.

    Attributes
    ----------
    folder : Path
        Where it is, or will be.
    prefix : str
        Of the names in C, and of the files: ``<prefix>.h``.
    numerics : str
    plan : ExportPlan
        Steps, inputs, outputs, state, constants, blocks of the arena.
    files : dict of str to (str or bytes)
        By path in the folder.
    vectors : list of (list of ndarray, list of ndarray)
        Recorded inputs and outputs.
    size : CodeSize or None
        What a compiler made of it; None without one.
    source : str
        What the model was read from.
    """

    folder: Path
    prefix: str
    numerics: str
    plan: ExportPlan
    files: dict[str, str | bytes]
    vectors: list[Sample]
    size: CodeSize | None = None
    source: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def arena_bytes(self) -> int:
        """Static memory for tensors."""
        return self.plan.arena_bytes

    @property
    def constant_bytes(self) -> int:
        """Bytes of the model's constants."""
        return sum(value.nbytes for value in self.plan.constants.values())

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a run."""
        return sum(step.macs for step in self.plan.steps)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        peak, used = peak_step(self.plan.blocks)
        return {
            "model": self.source,
            "numerics": self.numerics,
            "folder": str(self.folder),
            "prefix": self.prefix,
            "samples": len(self.vectors),
            "arena_bytes": self.arena_bytes,
            "peak": {"step": peak, "bytes": used},
            "constant_bytes": self.constant_bytes,
            "macs": self.macs,
            "size": None if self.size is None else self.size.to_json(),
            "operators": [
                {
                    "step": i,
                    "operator": step.operator,
                    "op": step.op,
                    "kernel": step.function,
                    "output": step.output,
                    "macs": step.macs,
                    "constant_bytes": step_constants(self.plan, i),
                    "scratch_bytes": scratch_bytes(step),
                }
                for i, step in enumerate(self.plan.steps)
            ],
            **self.extra,
        }


def step_constants(plan: ExportPlan, index: int) -> int:
    """Return the bytes of the constants that a step reads."""
    names = {name for name in plan.steps[index].arguments if isinstance(name, str)}
    return sum(plan.constants[name].nbytes for name in names)
