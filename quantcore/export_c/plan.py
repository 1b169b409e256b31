"""What is exported: a model as calls of definitions, with a place for each of their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from quantcore.c_interface import Struct, read_params
from quantcore.custom_kernels import CKernel
from quantcore.errors import UnsupportedOperatorError
from quantcore.export_c.kernel_tensors import reads_constant, uses_scratch
from quantcore.graph import Tensor
from quantcore.kernels._core import KernelCall
from quantcore.runtime.arena import Lifetime, place
from quantcore.runtime.executable import Executable
from quantcore.runtime.lowered import Step
from quantcore.runtime.lowering import contiguous
from quantcore.runtime.state import initial_state

__all__ = [
    "ALIGNMENT",
    "FLOAT_RULES",
    "Block",
    "ExportPlan",
    "ExportStep",
    "Port",
    "c_type",
    "make_plan",
    "scratch_bytes",
]

ALIGNMENT = 16  # of tensors in the arena, and of the arena

C_TYPES = {
    "bool": "uint8_t", "float16": "uint16_t", "float32": "float", "float64": "double", "complex64": "float",
    "complex128": "double",
}  # fmt: skip


def c_type(dtype: np.dtype) -> str:
    """Return the element type in C. Complex numbers are two elements, float16 is as it is stored."""
    return C_TYPES.get(dtype.name, f"{dtype.name}_t")


@dataclass(frozen=True, slots=True)
class Port:
    """An input, an output, or a tensor of the model's state.

    Attributes
    ----------
    tensor : Tensor
    shape : tuple of int
    dtype : numpy dtype
    offset : int or None
        In the arena; None where the value is known.
    value : ndarray or None
        Of an output that does not depend on the inputs; of an input that shapes follow from, and which has to
        have this value; what state holds at first.
    """

    tensor: Tensor
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int | None
    value: np.ndarray | None = None

    @property
    def c_type(self) -> str:
        """The element type in C."""
        return c_type(self.dtype)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class ExportStep:
    """One call.

    Attributes
    ----------
    op : str
        Name of the operator.
    operator : str
        With its index, for messages: ``operator 3 (CONV_2D)``.
    call : KernelCall
    params : Struct
        Its parameters, without what the rules in use do not read.
    arguments : list
        For each tensor of the kernel an int (offset in the arena), a str (name of a constant) or None.
    output : str
        Type, shape and name of the first output.
    macs : int
    scratch : int or None
        Offset in the arena; None where the kernel needs none.
    custom : CKernel or None
        The user's kernel that is called in place of the definition.
    """

    op: str
    operator: str
    call: KernelCall
    params: Struct
    arguments: list[int | str | None]
    output: str
    macs: int
    scratch: int | None
    custom: CKernel | None = None

    @property
    def function(self) -> str:
        """Name of the C function."""
        return self.custom.symbol if self.custom is not None else f"qc_{self.call.name}_ref"


@dataclass(frozen=True, slots=True)
class Block:
    """Memory of the arena: what it is for, and from which to which step it is in use (inclusive)."""

    name: str
    kind: str  # input, output, state, scratch, tensor
    offset: int
    size: int
    first: int
    last: int


@dataclass(slots=True)
class ExportPlan:
    """A model as calls with places.

    Attributes
    ----------
    steps : list of ExportStep
    inputs, outputs, state : list of Port
    constants : dict of str to ndarray
        By their name in C.
    constant_names : dict of str to str
        What the model calls them.
    blocks : list of Block
        How the arena is used.
    arena_bytes : int
    """

    steps: list[ExportStep] = field(default_factory=list)
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    state: list[Port] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    constant_names: dict[str, str] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    arena_bytes: int = 0


def make_plan(executable: Executable, prefix: str) -> ExportPlan:
    """Lay out the memory of a subgraph that was lowered to definitions.

    Raises
    ------
    UnsupportedOperatorError
        An operator that has no C source.
    """
    return _Planner(executable, prefix).plan()


class _Planner:
    def __init__(self, executable: Executable, prefix: str) -> None:
        self.executable, self.lowered = executable, executable.lowered
        self.subgraph, self.prefix = executable.subgraph, prefix
        self.made = ExportPlan()
        self.names: dict[tuple[str, bytes], str] = {}

    def plan(self) -> ExportPlan:
        """Return the plan."""
        for lowered in self.lowered.steps:
            self.made.steps.append(self.export_step(lowered))
        offsets = self.lay_out()
        for position, step in enumerate(self.made.steps):
            step.arguments[:] = [offsets[t] if isinstance(t, int) else t for t in step.arguments]
            if (None, position) in offsets:
                self.made.steps[position] = replace(step, scratch=offsets[None, position])
        self.made.inputs = [self.port(t, offsets) for t in self.subgraph.inputs]
        self.made.outputs = [self.port(t, offsets) for t in self.subgraph.outputs]
        self.made.state = [self.port(t, offsets) for t in self.executable.variables if t in offsets]
        return self.made

    def export_step(self, step: Step) -> ExportStep:
        """Return a step whose arguments are numbers of tensors, for now."""
        custom = kernel_of(step)
        arguments: list[int | str | None] = []
        for place_of, t in enumerate(step.tensors):
            if t < 0:
                arguments.append(None)
            elif t in self.lowered.values:
                read = custom is not None or reads_constant(step.call, place_of)
                arguments.append(self.constant(t) if read else None)
            else:
                arguments.append(t)
        first = step.tensors[len(step.tensors) - step.outputs] if step.outputs else step.tensors[-1]
        params = trimmed(read_params(step.call))
        output = self.describe(first)
        return ExportStep(step.op, step.name, step.call, params, arguments, output, step.macs, None, custom)

    def describe(self, t: int) -> str:
        """Return type, shape and name of a tensor."""
        tensor = self.lowered.tensors[t]
        shape = ",".join(map(str, self.lowered.shapes[t]))
        name = tensor.name.partition(";")[0]  # the converter joins the names of what it has fused
        return f"{tensor.dtype}[{shape}] {name}"

    def constant(self, t: int) -> str:
        """Return the name in C of a constant; those with the same bytes have one."""
        value = contiguous(self.lowered.values[t])
        key = (c_type(value.dtype), value.tobytes())
        if key not in self.names:
            self.names[key] = name = f"{self.prefix}_tensor_{t}"
            self.made.constants[name] = value
            self.made.constant_names[name] = self.describe(t)
        return self.names[key]

    def port(self, t: int, offsets: Mapping[Any, int]) -> Port:
        """Return an input, output, or state."""
        tensor, value = self.lowered.tensors[t], self.lowered.values.get(t)
        if t in self.executable.variables:
            value = initial_state(tensor)
        shape = self.lowered.shapes[t]
        return Port(tensor, shape, self.executable.dtypes[t], offsets.get(t), value)

    def lay_out(self) -> dict[Any, int]:
        """Return the offset of each tensor, and of the scratch memory of each step, as (None, step)."""
        sharing, steps = self.executable.sharing, self.made.steps
        last = max(len(steps) - 1, 0)
        spans: dict[Any, list[int]] = {}
        kinds: dict[Any, str] = {}

        def lives(t: int, first: int, end: int, kind: str) -> None:
            owner = sharing.place(t)[0]
            span = spans.setdefault(owner, [first, end])
            span[:] = min(span[0], first), max(span[1], end)
            if kind != "tensor" or owner not in kinds:
                kinds[owner] = kind

        for position, step in enumerate(steps):
            for t in step.arguments:
                if isinstance(t, int):
                    lives(t, position, position, "tensor")
        known = self.lowered.values
        for tensors, first, end, kind in (
            (self.subgraph.inputs, 0, 0, "input"),
            (self.subgraph.outputs, last, last, "output"),
            (self.executable.variables, 0, last, "state"),
        ):
            for t in tensors:
                owner = sharing.place(t)[0]
                if t not in known and (kind != "state" or owner in spans):
                    lives(t, first, end, kind)
        lifetimes = {owner: Lifetime(self.executable.nbytes(owner), *span) for owner, span in spans.items()}
        for position, step in enumerate(steps):
            size = scratch_bytes(step)
            if size:
                lifetimes[None, position] = Lifetime(size, position, position)
        begins, self.made.arena_bytes = place(lifetimes, ALIGNMENT)
        for key, lifetime in lifetimes.items():
            name = f"scratch of step {key[1]}" if isinstance(key, tuple) else self.lowered.tensors[key].name
            kind = "scratch" if isinstance(key, tuple) else kinds[key]
            span = (lifetime.first, lifetime.last)
            self.made.blocks.append(Block(name, kind, begins[key], lifetime.size, *span))
        self.made.blocks.sort(key=lambda block: (block.first, block.offset))
        places = {t: sharing.place(t) for t in self.executable.dtypes}
        inside = {t: begins[owner] + at for t, (owner, at) in places.items() if owner in begins}
        return inside | {key: offset for key, offset in begins.items() if isinstance(key, tuple)}


FLOAT_RULES = ("QC_FLOAT32", "QC_FLOAT64")
# Which field says how much of an array is in use, by the array's name ("": any other) and shape: of the
# dimensions (of which there are 8 at most), of indices, and of the bytes of an element.
LENGTHS = {("", (8,)): "rank", ("size", (8,)): "depth", ("value", (16,)): "element_bytes"}


def trimmed(params: Struct) -> Struct:
    """Take out what the kernel does not read: multipliers of other rules, dimensions beyond the rank."""
    for struct in params.structs():
        if struct.type.name == "qc_requant":
            rules = {getattr(struct.fields[name], "name", "") for name in ("rounding", "tail")}
            if rules.isdisjoint(FLOAT_RULES):
                struct.fields["real_multiplier"] = None
        for name, value in struct.fields.items():
            used = LENGTHS.get((name if name in ("size", "value") else "", np.shape(value)))
            if used is not None and used in struct.fields:
                length = struct.fields[used]
                struct.fields[name] = np.where(np.arange(value.size) < length, value, 0).astype(value.dtype)
    return params


def kernel_of(step: Step) -> CKernel | None:
    """Return the user's kernel of a lowered step; None where it is one of ours.

    Raises
    ------
    UnsupportedOperatorError
        The kernel has no C source.
    """
    if step.custom is None:
        return None
    kernel = step.custom.kernel
    if not isinstance(kernel, CKernel) or not kernel.sources:
        raise UnsupportedOperatorError(
            "is computed by a kernel without C source (a Python callable or a pointer), which cannot be "
            "exported; give it as C: KEY=FILE:SYMBOL",
            step.op,
            step.index,
        )
    return kernel


def scratch_bytes(step: ExportStep) -> int:
    """Return how much scratch memory a step needs."""
    if step.custom is not None or uses_scratch(step.call.name):
        return int(step.call.scratch_bytes)
    return 0
