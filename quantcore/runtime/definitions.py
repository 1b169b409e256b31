"""A model lowered to the definitions of its kernels, for whoever runs them elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quantcore.graph import Model
from quantcore.runtime.custom_operators import definitions_alone
from quantcore.runtime.executable import Executable
from quantcore.runtime.interpreter import Interpreter

__all__ = ["lower_to_definitions"]


def lower_to_definitions(
    model: Model, numerics: str, subgraph_index: int, kernels: Mapping[Any, Any] | None = None
) -> Executable:
    """Return a subgraph as calls of definitions (of the user's `kernels` where given), with shared memory.

    Nothing is prepared for vector versions. Parameters are those of `Interpreter`.

    Raises
    ------
    UnsupportedOperatorError, KernelError
        As `Interpreter`.
    """
    with definitions_alone():
        interpreter = Interpreter(model, numerics, subgraph_index=subgraph_index, kernels=kernels)
    return interpreter._session._executable
