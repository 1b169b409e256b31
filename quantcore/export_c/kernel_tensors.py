"""What the definition of a kernel does with its arguments, by its source."""

from __future__ import annotations

from functools import cache
from typing import Any

from quantcore.c_interface.declarations import c_file, walk
from quantcore.c_interface.kernel_interface import defining_file, kernel_interface
from quantcore.kernels._core import KernelCall

__all__ = ["reads_constant", "uses_scratch"]


def uses_scratch(kernel: str) -> bool:
    """Whether a definition uses scratch memory."""
    return _used_parameters(kernel)[-1]


def reads_constant(call: KernelCall, position: int) -> bool:
    """Whether a definition reads tensor `position`; one that takes a table of pointers may read any."""
    interface = kernel_interface(call.name)
    return not interface.tensors or _used_parameters(call.name)[1 + position]


@cache
def _used_parameters(kernel: str) -> tuple[bool, ...]:
    """Return for each parameter of a definition whether its body uses it; ``(void)x`` is no use."""
    interface = kernel_interface(kernel)
    node = c_file(defining_file(interface.definition)).definitions[interface.definition]
    names = [one.name for one in node.decl.type.args.params]
    unused = {id(one.expr) for one in walk(node.body) if type(one).__name__ == "Cast" and _is_void(one)}
    used = {one.name for one in walk(node.body) if type(one).__name__ == "ID" and id(one) not in unused}
    return tuple(name in used for name in names)


def _is_void(cast: Any) -> bool:
    inner = cast.to_type.type
    return type(inner).__name__ == "TypeDecl" and getattr(inner.type, "names", None) == ["void"]
