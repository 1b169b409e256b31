"""A case: a call of a kernel's definition, with data, and what it gives."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from quantcore.c_interface import Struct, kernel_interface, read_params
from quantcore.c_interface.layout import ArrayType, CType, PointerType, ScalarType, StructType
from quantcore.errors import QuantcoreError
from quantcore.kernel_check.draws import Draft
from quantcore.kernel_check.process import INPUT, OUTPUT, SCRATCH, RunArray, RunRequest
from quantcore.kernels._core import KernelCall
from quantcore.numerics import get_profile
from quantcore.runtime.custom_operators import definitions_alone
from quantcore.runtime.lowering import contiguous, lower

__all__ = ["Case", "make_case", "make_request", "tensor_names"]

TABLE = re.compile(r"(\w+)\s*[,)]")


@dataclass(slots=True)
class Case:
    """A call of a kernel.

    Attributes
    ----------
    op, numerics : str
    kernel : str
        Name of the kernel: ``conv_s8``.
    params : Struct
        By the names that they have in C.
    inputs : list of (ndarray or None)
        In the order of the kernel; None for an omitted one.
    expected : list of ndarray
        What the definition gives.
    scratch : int
        Bytes of scratch memory that the header promises.
    facts : dict of str to str
        By aspect, for the table of what was covered.
    call : KernelCall or None
        The definition, ready to run on other data; None for a case that was read from a file.
    """

    op: str
    numerics: str
    kernel: str
    params: Struct
    inputs: list[np.ndarray | None]
    expected: list[np.ndarray]
    scratch: int
    facts: dict[str, str] = field(default_factory=dict)
    call: KernelCall | None = None

    @property
    def nbytes(self) -> int:
        """What its arrays have in bytes, without those in params."""
        return sum(array.nbytes for array in [*self.inputs, *self.expected] if array is not None)

    def with_inputs(self, inputs: Sequence[np.ndarray | None]) -> Case:
        """Return the same call on other data."""
        assert self.call is not None
        return replace(self, inputs=list(inputs), expected=run_definition(self.call, inputs, self.expected))


def make_case(draft: Draft, op: str, numerics: str) -> Case | None:
    """Lower a draft; None where the operator becomes no kernel call (all is known, or nothing to do).

    Raises
    ------
    UnsupportedOperatorError, KernelError
        The profile, or TensorFlow Lite, does not take it.
    """
    with definitions_alone():
        lowered = lower(draft.model, 0, {}, get_profile(numerics), {})
    if len(lowered.steps) != 1:
        return None
    (step,) = lowered.steps
    given = dict(zip(draft.model.subgraphs[0].inputs, draft.values, strict=True))
    count = len(step.tensors) - step.outputs
    inputs = [None if t < 0 else contiguous({**lowered.values, **given}[t]) for t in step.tensors[:count]]
    empty = [np.empty(lowered.shapes[t], lowered.tensors[t].dtype) for t in step.tensors[count:]]
    return Case(
        op,
        numerics,
        step.call.name,
        read_params(step.call),
        inputs,
        run_definition(step.call, inputs, empty),
        step.call.scratch_bytes,
        draft.facts,
        step.call,
    )


def run_definition(
    call: KernelCall, inputs: Sequence[np.ndarray | None], like: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Return what a call of a definition gives."""
    outputs = [np.zeros_like(array) for array in like]
    call(list(inputs), outputs)
    return outputs


def tensor_names(kernel: str, inputs: int, outputs: int) -> list[str]:
    """Return what to call the tensors of a kernel: the names of its arguments, where it has one for each."""
    interface = kernel_interface(kernel)
    names = TABLE.findall(interface.prototype)
    if len(interface.tensors) == inputs + outputs == len(names) - 2:
        return names[1:-1]
    several = "input" if inputs == 1 else "input {}"
    return [several.format(k + 1) for k in range(inputs)] + [
        "output" if outputs == 1 else f"output {k + 1}" for k in range(outputs)
    ]


def make_request(
    params: Struct,
    inputs: Sequence[np.ndarray | None],
    outputs: Sequence[int],
    scratch: int,
    names: Sequence[str],
) -> RunRequest:
    """Return what the runner is sent.

    Parameters
    ----------
    params : Struct
    inputs : sequence of (ndarray or None)
    outputs : sequence of int
        The size of each output in bytes.
    scratch : int
    names : sequence of str
        Of inputs and outputs.
    """
    packer = Packer()
    data = packer.pack(params, "params")
    arrays = [
        RunArray("params", INPUT, len(data), data),
        RunArray("scratch", SCRATCH, scratch),
        *packer.arrays,
    ]
    tensors = []
    for name, array in zip(names, inputs, strict=False):
        tensors.append(-1 if array is None else len(arrays))
        if array is not None:
            arrays.append(RunArray(name, INPUT, array.nbytes, array.tobytes()))
    for name, size in zip(names[len(inputs) :], outputs, strict=True):
        tensors.append(len(arrays))
        arrays.append(RunArray(name, OUTPUT, size))
    return RunRequest(arrays, packer.pointers, tensors)


class Packer:
    """Makes bytes of a struct, an array of each thing that it points to, and a list of the pointers."""

    FIRST = 2  # params and scratch come before what params point to

    def __init__(self) -> None:
        self.arrays: list[RunArray] = []
        self.pointers: list[tuple[int, int, int]] = []

    def pack(self, struct: Struct, name: str, array: int = 0) -> bytes:
        """Return the bytes of a struct that is array number `array`."""
        memory = bytearray(ctypes.sizeof(struct.type.ctype))
        self.fill(memory, 0, struct.type, struct, name, array)
        return bytes(memory)

    def fill(self, memory: bytearray, at: int, kind: CType, value: Any, name: str, array: int) -> None:
        """Write a value at offset `at` of `memory`."""
        if isinstance(kind, StructType):
            for field_name, field_type in kind.fields.items():
                place = at + getattr(kind.ctype, field_name).offset
                self.fill(memory, place, field_type, value[field_name], f"{name}.{field_name}", array)
        elif isinstance(kind, PointerType):
            if value is not None:
                self.pointers.append((array, at, self.point_to(kind, value, name)))
        elif isinstance(kind, ArrayType):
            size = ctypes.sizeof(kind.element.ctype)
            for k in range(kind.count):
                self.fill(memory, at + k * size, kind.element, value[k], f"{name}[{k}]", array)
        else:
            data = bytes(kind.ctype(value if isinstance(value, float) else int(value)))
            memory[at : at + len(data)] = data

    def point_to(self, kind: PointerType, value: Any, name: str) -> int:
        """Add an array for what a pointer points to, and return its number."""
        number = self.FIRST + len(self.arrays)
        if isinstance(value, np.ndarray):
            self.arrays.append(RunArray(name, INPUT, value.nbytes, value.tobytes()))
            return number
        element = kind.target
        if not isinstance(element, (StructType, ScalarType)):
            raise QuantcoreError(f"{name} points to what cannot be given to a process")
        self.arrays.append(RunArray(name, INPUT, 0))
        memory = bytearray(ctypes.sizeof(element.ctype) * len(value))
        for k, one in enumerate(value):
            self.fill(memory, k * ctypes.sizeof(element.ctype), element, one, f"{name}[{k}]", number)
        self.arrays[number - self.FIRST] = RunArray(name, INPUT, len(memory), bytes(memory))
        return number
