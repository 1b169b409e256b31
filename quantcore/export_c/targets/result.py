"""What a run on a target says: memory, instructions, and whether the outputs are as they should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from quantcore.differences import differing
from quantcore.export_c.targets.boards import Target
from quantcore.export_c.targets.emulator import Run
from quantcore.export_c.targets.toolchain import ProgramSize

__all__ = ["Agreement", "Mismatch", "OperatorCount", "TargetResult", "compare_outputs"]

SHOWN = 10  # mismatches that are kept one by one


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One element that differs."""

    sample: int
    output: int
    element: int
    got: int | float | bool
    expected: int | float | bool


@dataclass(slots=True)
class Agreement:
    """The outputs of the target beside those of somebody else.

    Attributes
    ----------
    source : str
        Who computed the expected outputs.
    samples, equal : int
        How many samples were compared, and how many have all outputs equal.
    elements, mismatches : int
        Elements of all outputs of all samples.
    first : list of Mismatch
    about : dict
        Name, version and resolver of an oracle; empty for recorded outputs.
    """

    source: str
    samples: int = 0
    equal: int = 0
    elements: int = 0
    mismatches: int = 0
    first: list[Mismatch] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)

    @property
    def bit_exact(self) -> bool:
        """Whether something was compared, and all of it is equal."""
        return self.samples > 0 and self.equal == self.samples

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        first = [{name: getattr(m, name) for name in Mismatch.__slots__} for m in self.first]
        return {
            "source": self.source, **({"oracle": self.about} if self.about else {}),
            "samples": self.samples, "equal": self.equal, "bit_exact": self.bit_exact,
            "elements": self.elements, "mismatches": self.mismatches, "first_mismatches": first,
        }  # fmt: skip


def compare_outputs(
    source: str,
    got: Sequence[Sequence[np.ndarray]],
    expected: Sequence[Sequence[np.ndarray]],
    about: dict[str, str] | None = None,
) -> Agreement:
    """Compare outputs of samples bit for bit (any NaN equals any NaN)."""
    result = Agreement(source, about=about or {})
    for sample, (ours, theirs) in enumerate(zip(got, expected, strict=True)):
        before = result.mismatches
        for output, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            x, y = a.reshape(-1), b.reshape(-1)
            result.elements += x.size
            if x.size != y.size or x.dtype != y.dtype:
                raise ValueError(f"output {output}: {a.dtype} {a.shape} and {b.dtype} {b.shape}")
            places = np.flatnonzero(differing(x, y))
            result.mismatches += places.size
            for at in map(int, places[: max(0, SHOWN - len(result.first))]):
                result.first.append(Mismatch(sample, output, at, x[at].item(), y[at].item()))
        result.samples += 1
        result.equal += result.mismatches == before
    return result


@dataclass(frozen=True, slots=True)
class OperatorCount:
    """A step: number, operator, output, C function, MACs, instructions (None if it was not run)."""

    index: int
    op: str
    output: str
    kernel: str
    macs: int
    instructions: int | None

    @property
    def per_mac(self) -> float | None:
        """Instructions per multiplication."""
        return self.instructions / self.macs if self.macs and self.instructions is not None else None


@dataclass(slots=True)
class TargetResult:
    """What `quantcore export-c --run-qemu` found.

    Attributes
    ----------
    model : str
    target : Target
    folder : str
        Where the program lies and can be built again.
    tools : dict of str
        Versions of compiler and QEMU.
    optimization : str
        The compiler's.
    size : ProgramSize
    arena : int
        Bytes, a part of bss.
    run : Run
    operators : list of OperatorCount
    agreements : list of Agreement
        With the recorded outputs, and with the oracle if it was asked.
    """

    model: str
    target: Target
    folder: str
    tools: dict[str, str]
    optimization: str
    size: ProgramSize
    arena: int
    run: Run
    operators: list[OperatorCount] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)

    @property
    def macs(self) -> int:
        """Multiplications of one inference."""
        return sum(row.macs for row in self.operators)

    @property
    def per_mac(self) -> float | None:
        """Instructions of one inference per multiplication."""
        return self.run.instructions[1] / self.macs if self.macs and self.run.instructions[1] else None

    @property
    def calibrated(self) -> bool:
        """Whether the counter counted a loop of known length exactly."""
        return self.run.calibration[0] == self.run.calibration[1] > 0

    @property
    def good(self) -> bool:
        """Whether the program ran to its end, and its outputs are as expected."""
        return not self.run.failure and all(agreement.bit_exact for agreement in self.agreements)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        run, size = self.run, self.size
        fields = ("text", "rodata", "data", "bss", "harness", "flash", "ram")
        return {
            "model": self.model,
            "target": self.target.name,
            "machine": self.target.machine,
            "board": self.target.board,
            "flags": [*self.target.flags, self.optimization],
            "tools": self.tools,
            "folder": self.folder,
            "good": self.good,
            "failure": run.failure or None,
            "agreements": [agreement.to_json() for agreement in self.agreements],
            "size": {name: getattr(size, name) for name in fields},
            "memory": {"flash": self.target.flash.size, "ram": self.target.ram.size},
            "arena": self.arena,
            "stack": {"used": run.stack[0], "size": run.stack[1]},
            "instructions": {"least": run.instructions[0], "most": run.instructions[1]},
            "macs": self.macs,
            "instructions_per_mac": self.per_mac,
            "calibration": {"counted": run.calibration[0], "expected": run.calibration[1]},
            "operators": [
                {"index": row.index, "op": row.op, "output": row.output, "kernel": row.kernel,
                 "macs": row.macs, "instructions": row.instructions, "instructions_per_mac": row.per_mac}
                for row in self.operators
            ],
        }  # fmt: skip
