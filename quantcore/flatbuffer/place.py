"""Places inside a model, for error messages."""

from __future__ import annotations

from typing import NoReturn

from quantcore.errors import ModelFormatError

__all__ = ["Where", "fail", "path_of"]

# None at the root, else (place of the parent, field name or index). A place is noted for every value
# that is read or written, but only turned into text in the message of an error.
Where = tuple["Where | None", "str | int"]


def path_of(where: Where | None) -> str:
    """Return a place as text, such as ``subgraphs[0].tensors[3]``; empty at the root."""
    steps: list[str] = []
    while where is not None:
        where, step = where
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(steps)).removeprefix(".")


def fail(message: str, where: Where | None, at: int | None = None) -> NoReturn:
    """Raise `ModelFormatError` for a place and a byte offset."""
    raise ModelFormatError(message, path_of(where) or None, at)
