"""Models as C99."""

from quantcore.export_c.export import export_c
from quantcore.export_c.result import Export

__all__ = ["Export", "export_c"]
