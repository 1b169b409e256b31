"""A case as an ``.npz`` file: all arrays, and the parameters by the names that they have in C."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from quantcore.c_interface import Enumerator, Struct, kernel_interface
from quantcore.c_interface.layout import ArrayType, CType, EnumType, PointerType, StructType, struct_type
from quantcore.errors import KernelError
from quantcore.files import atomic_write, read_arrays
from quantcore.kernel_check.case import Case
from quantcore.kernel_check.checker import Failure

__all__ = ["read_case", "write_case"]


def write_case(failure: Failure, path: str | os.PathLike[str]) -> None:
    """Write a failing case."""
    case = failure.case
    arrays = {f"input_{k}": x for k, x in enumerate(case.inputs) if x is not None}
    arrays |= {f"expected_{k}": y for k, y in enumerate(case.expected)}
    arrays |= {f"got_{k}": y for k, y in enumerate(failure.got)}
    words = {"op": case.op, "numerics": case.numerics, "kernel": case.kernel, "failure": failure.message}
    arrays |= {name: np.array(text) for name, text in words.items()}
    arrays |= {"inputs": np.array(len(case.inputs)), "scratch": np.array(case.scratch)}
    arrays |= dict(flatten(case.params, "params"))
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)  # type: ignore[arg-type]
    with atomic_write(path) as file:
        file.write(data.getvalue())


def flatten(value: Any, path: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what a value consists of, by its path; null pointers are left out."""
    if isinstance(value, Struct):
        for name in value:
            yield from flatten(value[name], f"{path}.{name}")
    elif isinstance(value, list):
        for k, each in enumerate(value):
            yield from flatten(each, f"{path}[{k}]")
    elif value is not None:
        yield path, np.asarray(int(value) if isinstance(value, Enumerator) else value)


def read_case(path: str | os.PathLike[str]) -> Case:
    """Read a case that `write_case` wrote.

    Raises
    ------
    KernelError
        The file holds something else.
    OSError, QuantcoreError
        The file cannot be read.
    """
    arrays = read_arrays(path)
    try:
        kernel = str(arrays["kernel"])
        layout = struct_type(kernel_interface(kernel).params)
        inputs = [arrays.get(f"input_{k}") for k in range(int(arrays["inputs"]))]
        expected = [arrays[name] for name in sorted(arrays) if name.startswith("expected_")]
        words = (str(arrays["op"]), str(arrays["numerics"]))
        return Case(*words, kernel, built(layout, arrays, "params"), inputs, expected, int(arrays["scratch"]))
    except (KeyError, ValueError, TypeError) as error:
        raise KernelError(f"{path} holds no case of a kernel as check-kernel writes it: {error}") from None


def built(kind: CType, arrays: Mapping[str, np.ndarray], path: str) -> Any:
    """Return the value at a path."""
    if isinstance(kind, StructType):
        fields = {name: built(each, arrays, f"{path}.{name}") for name, each in kind.fields.items()}
        return Struct(kind, fields)
    several = range(sum(1 for name in {n.partition("]")[0] for n in arrays} if name.startswith(f"{path}[")))
    if isinstance(kind, PointerType):
        if several and kind.target is not None:
            return [built(kind.target, arrays, f"{path}[{k}]") for k in several]
        return arrays.get(path)
    if isinstance(kind, ArrayType):
        if several:
            return [built(kind.element, arrays, f"{path}[{k}]") for k in several]
        return arrays[path]
    value = arrays[path].item()
    return (
        Enumerator(value, kind.names[value]) if isinstance(kind, EnumType) and value in kind.names else value
    )
