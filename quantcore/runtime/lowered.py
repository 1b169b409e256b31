"""A subgraph as kernel calls."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from quantcore.custom_kernels.bound import BoundKernel
from quantcore.custom_kernels.keys import Kernel
from quantcore.errors import KernelError
from quantcore.graph import Tensor
from quantcore.kernels._core import KernelCall
from quantcore.ops.node import ImagePadding

__all__ = ["RUNNABLE_DTYPES", "Lowered", "Step", "check_shape"]

MAX_ELEMENTS = 2**31 - 1  # TFLite counts elements in int32
MAX_EXTENT = 2**58  # NumPy counts bytes in 63 bits, and leaves zeros out

RUNNABLE_DTYPES = {
    "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "bool", "complex64", "complex128",
}  # fmt: skip


@dataclass(slots=True)
class Step:
    """A kernel call and the tensors it takes: inputs (-1 where omitted), then so many outputs.

    `op` is what it computes, `index` the place of the operator in its subgraph (None for a step that stands
    for no operator). `macs` are the multiply-accumulates, for whoever measures; `in_place` has the inputs
    that the kernel may write over, see `Definition`. `custom` is the user's kernel that `call` calls, if it
    does.
    """

    op: str
    index: int | None
    call: KernelCall
    tensors: tuple[int, ...]
    outputs: int = 1
    macs: int = 0
    in_place: tuple[int, ...] = ()
    custom: BoundKernel | None = None

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return self.op if self.index is None else f"operator {self.index} ({self.op})"

    def run(self, inputs: list[np.ndarray | None], outputs: list[np.ndarray]) -> None:
        """Run the kernel on contiguous arrays, apart from any plan."""
        if self.custom is not None:
            self.custom.run(inputs, outputs)
        else:
            self.call(inputs, outputs)


@dataclass(slots=True)
class Lowered:
    """A subgraph as kernel calls, for given input shapes.

    Attributes
    ----------
    tensors : list of Tensor
        Those of the subgraph, then those of each call of another one.
    steps : list of Step
    shapes : dict of int to tuple
        Actual shape of every tensor that was reached.
    values : dict of int to ndarray
        Tensors whose value does not depend on the inputs.
    calls : list of (int, tuple of int)
        Subgraphs that operators call, in order, and the tensors they are given.
    called_operators : int
        How many operators these calls have written out.
    padded : dict of int to (int, padding)
        Images that are padded by the convolutions which read them: the image without padding, and what to add
        above and below, left and right.
    kernels : dict of (int, int) to Kernel
        The user's kernels, by subgraph and operator.
    """

    tensors: list[Tensor] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    values: dict[int, np.ndarray] = field(default_factory=dict)
    calls: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    called_operators: int = 0
    padded: dict[int, tuple[int, ImagePadding]] = field(default_factory=dict)
    kernels: dict[tuple[int, int], Kernel] = field(default_factory=dict)

    def add_known(self, index: int, tensor: Tensor) -> None:
        """Enter what is known of tensor `index` before anything runs: constants, and the shape of state."""
        if tensor.data is not None:
            check_constant(tensor, index)
            self.values[index] = tensor.data
            self.shapes[index] = tensor.shape
        elif tensor.is_variable:
            check_shape(tensor.shape, f"variable tensor {index} ({tensor.name!r})")
            self.shapes[index] = tensor.shape


def check_shape(shape: tuple[int, ...], what: str) -> None:
    """Refuse negative dimensions and sizes beyond TFLite's int32 element count."""
    if any(d < 0 for d in shape):
        raise KernelError(f"{what} has shape {shape}; dimensions must not be negative")
    if int(np.prod(shape, dtype=object)) > MAX_ELEMENTS:
        raise KernelError(f"{what} has shape {shape}, more than {MAX_ELEMENTS} elements")
    if int(np.prod([max(d, 1) for d in shape], dtype=object)) > MAX_EXTENT:
        raise KernelError(f"{what} has shape {shape}; its sizes other than 0 multiply to more than 2**58")


def check_constant(tensor: Tensor, index: int) -> None:
    """Refuse a constant whose data was edited to another shape or dtype than the tensor states."""
    data = tensor.data
    if data is None or tensor.dtype not in RUNNABLE_DTYPES:
        return
    if data.shape != tensor.shape or data.dtype != np.dtype(tensor.dtype):
        raise KernelError(
            f"tensor {index} ({tensor.name!r}) is {tensor.dtype} {tensor.shape}, its data {data.dtype} "
            f"{data.shape}; make them agree"
        )
