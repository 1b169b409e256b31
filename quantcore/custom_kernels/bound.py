"""A user's kernel, bound to an operator of a plan."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from quantcore.custom_kernels.c_kernel import CKernel
from quantcore.custom_kernels.keys import Kernel, kernel_name
from quantcore.custom_kernels.operator_info import OperatorInfo
from quantcore.errors import KernelError
from quantcore.kernels._core import STATUS_MEANING, KernelCall
from quantcore.kernels.custom import python_call, run_call

__all__ = ["BoundKernel", "running"]

# What kernels in Python need to know of the run that calls them, by thread: `arena`, the memory that their
# tensors lie in; and what they leave there, `error`.
running = threading.local()


class BoundKernel:
    """A kernel that computes one operator.

    Attributes
    ----------
    kernel : CKernel or callable
    info : OperatorInfo
    prototype : str
        The kernel of quantcore whose place it takes (``conv_s8``); ``custom`` or ``python``.
    call : KernelCall
        What the plan calls.
    """

    def __init__(self, kernel: Kernel, info: OperatorInfo, call: KernelCall | None) -> None:
        self.kernel, self.info = kernel, info
        self.inputs = len(info.inputs)
        self.arity = self.inputs + len(info.outputs)
        self.constants: dict[int, np.ndarray] = {}
        if isinstance(kernel, CKernel):
            self.call: KernelCall = kernel.bind(call)
        else:
            self.call = python_call(self)
        self.prototype = str(self.call.name)

    @property
    def name(self) -> str:
        """What to call the kernel."""
        return kernel_name(self.kernel)

    @property
    def where(self) -> str:
        """The operator and the kernel, for messages."""
        return f"operator {self.info.index} ({self.info.name}): kernel {self.name}"

    def error(self, status: int) -> BaseException:
        """Return the error for a status other than 0."""
        raised = getattr(running, "error", None)
        if raised is not None:
            running.error = None
            assert isinstance(raised, BaseException)
            return raised
        if isinstance(self.kernel, CKernel) and not self.kernel.invoke:
            return KernelError(f"{self.where} was compiled for another machine; it cannot be run here")
        meaning = f" ({STATUS_MEANING[status]})" if status in STATUS_MEANING else ""
        return KernelError(f"{self.where} returned status {status}{meaning}")

    def run(self, inputs: Sequence[np.ndarray | None], outputs: Sequence[np.ndarray]) -> None:
        """Compute the operator on arrays, which are contiguous.

        Raises
        ------
        KernelError
            The kernel failed.
        """
        if not isinstance(self.kernel, CKernel):
            self._run_python([None if x is None else read_only(x) for x in inputs], outputs)
            return
        status = run_call(self.call, [*inputs, *outputs])
        if status != 0:
            raise self.error(status)

    def run_in_plan(self, addresses: Sequence[int]) -> bool:
        """Compute the operator on tensors at these addresses; an exception goes to ``running.error``."""
        try:
            arrays = [self._array(i, address) for i, address in enumerate(addresses)]
            self._run_python(arrays[: self.inputs], arrays[self.inputs :])
        except (
            BaseException
        ) as error:  # the executor in C knows nothing of exceptions: it is raised behind it
            running.error = error
            return False
        return True

    def _array(self, i: int, address: int) -> np.ndarray | None:
        info = (*self.info.inputs, *self.info.outputs)[i]
        if info is None or address == 0:
            return None
        if i in self.constants:
            return read_only(self.constants[i])
        arena: np.ndarray = running.arena
        dtype = np.dtype(info.dtype)
        begin = address - arena.ctypes.data
        size = int(np.prod(info.shape, dtype=np.int64)) * dtype.itemsize
        array: np.ndarray = arena[begin : begin + size].view(dtype).reshape(info.shape)
        array.flags.writeable = i >= self.inputs or info.is_variable
        return array

    def _run_python(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        try:
            assert not isinstance(self.kernel, CKernel)
            result = self.kernel(self.info, [*inputs], [*outputs])
            if result is not None:
                fill(outputs, result)
        except Exception as error:
            raise KernelError(f"{self.where} raised {type(error).__name__}: {error}") from error


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a view that cannot be written."""
    view = array.view()
    view.flags.writeable = False
    return view


def fill(outputs: Sequence[np.ndarray], result: Any) -> None:
    """Copy what a kernel returned to the outputs.

    Raises
    ------
    ValueError
        Another number of arrays, other shapes or dtypes.
    """
    arrays = list(result) if isinstance(result, tuple | list) else [result]
    if len(arrays) != len(outputs):
        raise ValueError(f"it returned {len(arrays)} arrays; the operator has {len(outputs)} outputs")
    for i, (array, output) in enumerate(zip(map(np.asarray, arrays), outputs, strict=True)):
        if array is output:
            continue
        if array.dtype != output.dtype or array.shape != output.shape:
            raise ValueError(
                f"it returned {array.dtype} {array.shape} for output {i}, which is {output.dtype} "
                f"{output.shape}"
            )
        output[...] = array
