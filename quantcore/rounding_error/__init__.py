"""How far a quantized operator's output can be from its real value: by a kernel, by a float32 forward pass.

Both round the same real number to the same grid, and neither computes it exactly: `RealOutput` holds that
number and what each may miss it by. ``docs/numerics/qat.md`` derives the bounds.
"""

from __future__ import annotations

from quantcore.rounding_error.operators import DERIVED, RealValues
from quantcore.rounding_error.real import RealOutput

__all__ = ["DERIVED", "RealOutput", "RealValues"]
