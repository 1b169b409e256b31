"""Places inside a model, for error messages."""

from __future__ import annotations

from typing import NoReturn

from quantcore.errors import ModelFormatError

__all__ = ["Where", "fail"]

# None at the root, else (place of the parent, field name or index). A place is noted for every value
# that is read or written, but only turned into text in the message of an error.
Where = tuple["Where | None", "str | int"]


def fail(message: str, where: Where | None, at: int | None = None) -> NoReturn:
    """Raise `ModelFormatError` for a place such as ``subgraphs[0].tensors[3]`` and a byte offset."""
    steps: list[str] = []
    while where is not None:
        where, step = where
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    raise ModelFormatError(message, "".join(reversed(steps)).removeprefix(".") or None, at)
