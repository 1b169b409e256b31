"""Numbers in sentences."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, one: str, many: str = "") -> str:
    """Return ``1 operator`` or ``3 operators``; `many` is the plural that is not `one` and an ``s``."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
