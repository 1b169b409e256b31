"""Outputs that a device recorded, against every profile."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from quantcore.errors import KernelError, QuantcoreError
from quantcore.files import read_arrays
from quantcore.graph import Model
from quantcore.numerics import PROFILES
from quantcore.runtime import Interpreter
from quantcore.verification.result import EXACT, Comparison

__all__ = ["Recorded", "RecordedMatch", "RecordedSource", "compare_recorded", "read_recorded"]

RecordedSource = Mapping[str, np.ndarray] | str | os.PathLike[str]


@dataclass(slots=True)
class Recorded:
    """Recorded arrays by place; each holds samples along the first axis."""

    outputs: list[np.ndarray]
    inputs: list[np.ndarray] | None


@dataclass(slots=True)
class RecordedMatch:
    """One profile against the recording.

    Attributes
    ----------
    profile : str
    outputs : list of Comparison
        One per graph output; ``first_values`` are (ours, recorded).
    reason : str
        Why the profile could not be run.
    """

    profile: str
    outputs: list[Comparison] = field(default_factory=list)
    reason: str = ""

    @property
    def exact(self) -> bool:
        """Whether every bit agrees."""
        return bool(self.outputs) and all(row.status == EXACT for row in self.outputs)

    @property
    def mismatches(self) -> int:
        """How many outputs differ."""
        return sum(row.mismatches for row in self.outputs)

    def to_json(self) -> dict[str, Any]:
        """Return a dict of JSON values."""
        return {
            "profile": self.profile,
            "exact": self.exact,
            "mismatches": self.mismatches,
            "reason": self.reason,
            "outputs": [row.to_json() for row in self.outputs],
        }


def read_recorded(model: Model, source: RecordedSource) -> Recorded:
    """Take the recorded outputs, and the inputs if they are there, out of arrays by name.

    Outputs are called as the tensors are, as a signature calls them, or ``out0``, ``out1`` ...; inputs
    likewise, or ``in0``, ``in1`` ....

    Raises
    ------
    KernelError
        An output is missing, or a name is unknown.
    """
    arrays = dict(source) if isinstance(source, Mapping) else read_arrays(Path(source))
    main = model.subgraphs[0]
    outputs = {k: _names(model, t, f"out{k}", "outputs") for k, t in enumerate(main.outputs)}
    inputs = {k: _names(model, t, f"in{k}", "inputs") for k, t in enumerate(main.inputs)}
    found_outputs = _take(arrays, outputs)
    found_inputs = _take(arrays, inputs)
    if arrays:
        known = [names[0] for names in (*outputs.values(), *inputs.values())]
        raise KernelError(
            f"the recording holds {sorted(arrays)}, which are neither outputs nor inputs of the model; those "
            f"are called {known}, or out0, in0 and so on"
        )
    if len(found_outputs) < len(outputs):
        missing = [names[0] for k, names in outputs.items() if k not in found_outputs]
        raise KernelError(f"the recording lacks the outputs {missing} (or out0, out1 and so on)")
    if found_inputs and len(found_inputs) < len(inputs):
        missing = [names[0] for k, names in inputs.items() if k not in found_inputs]
        raise KernelError(f"the recording lacks the inputs {missing} (or in0, in1 and so on)")
    ordered_inputs = [found_inputs[k] for k in sorted(found_inputs)]
    return Recorded([found_outputs[k] for k in sorted(found_outputs)], ordered_inputs or None)


def _names(model: Model, t: int, place: str, kind: str) -> list[str]:
    """Return what tensor `t` may be called; files cannot hold some characters, so those may be replaced."""
    name = model.subgraphs[0].tensors[t].name
    names = [name, re.sub(r"[^A-Za-z0-9_.-]", "_", name), place]
    for signature in model.signatures:
        if signature.subgraph_index == 0:
            names += [key for key, tensor in getattr(signature, kind).items() if tensor == t]
    return names


def _take(arrays: dict[str, np.ndarray], names: dict[int, list[str]]) -> dict[int, np.ndarray]:
    """Remove from `arrays` those that are called by one of the names, by place."""
    found: dict[int, np.ndarray] = {}
    for k, candidates in names.items():
        name = next((name for name in candidates if name in arrays), None)
        if name is not None:
            found[k] = np.asarray(arrays.pop(name))
    return found


def compare_recorded(
    model: Model, recorded: Recorded, samples: list[list[np.ndarray]]
) -> list[RecordedMatch]:
    """Compare every profile's outputs for `samples` with the recorded ones, the closest profile first.

    Raises
    ------
    KernelError
        The recorded arrays do not fit the model or the number of samples.
    """
    main = model.subgraphs[0]
    matches = []
    for name in PROFILES:
        match = RecordedMatch(name)
        matches.append(match)
        try:
            interpreter = Interpreter(model, name)
        except QuantcoreError as error:
            match.reason = str(error)
            continue
        tensors = [main.tensors[t] for t in main.outputs]
        match.outputs = [
            Comparison(0, t, v.name, v.dtype) for t, v in zip(main.outputs, tensors, strict=True)
        ]
        for number, sample in enumerate(samples):
            computed = interpreter.run(sample)
            for row, array, given in zip(match.outputs, computed, recorded.outputs, strict=True):
                row.add(number, array, _part(row, given, array, number, len(samples)))
    return sorted(matches, key=lambda match: (bool(match.reason), match.mismatches))


def _part(row: Comparison, given: np.ndarray, ours: np.ndarray, number: int, count: int) -> np.ndarray:
    """Return sample `number` of a recorded output."""
    if given.dtype != ours.dtype or given.size != count * ours.size:
        raise KernelError(
            f"the recorded output {row.name!r} is {given.dtype} {given.shape}; expected {ours.dtype} and "
            f"{count} times {ours.shape}, one for each sample"
        )
    part: np.ndarray = given.reshape(count, *ours.shape)[number]
    return part
