"""A kernel in a Python file."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quantcore.errors import KernelError

__all__ = ["load_function"]


def load_function(path: str | os.PathLike[str], name: str) -> Callable[..., Any]:
    """Run a Python file, and return one of its functions.

    Raises
    ------
    KernelError
        The file raises an exception, or has no such function.
    OSError
        If it cannot be read.
    """
    file = Path(path)
    with file.open("rb"):
        pass
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise KernelError(f"{path} raised {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        known = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        raise KernelError(f"{path} has no function {name}; it has {', '.join(known) or 'none'}")
    found: Callable[..., Any] = function
    return found
