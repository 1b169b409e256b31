"""A model that is being quantized, beside the float model that it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantcore.calibration.ranges import Ranges
from quantcore.errors import QuantizationError
from quantcore.graph import Model, Quantization, Subgraph, Tensor
from quantcore.quantizer.account import Account
from quantcore.quantizer.working_copy import working_copy

__all__ = ["SMALLEST", "Draft", "float_value"]

ZERO = np.float32(0)
# The converter's calibration starts with this as largest value: so ends the range of what is always 0
SMALLEST = np.finfo(np.float32).smallest_normal


def float_value(graph: Subgraph, t: int) -> np.ndarray | None:
    """Return the value of tensor `t` if it is a float32 constant of a float model with elements."""
    if t < 0 or t >= len(graph.tensors) or graph.tensors[t].dtype != "float32":
        return None
    data = graph.tensors[t].data
    return data if data is not None and data.size else None


@dataclass(slots=True)
class Draft:
    """A float model with its ranges, and the copy of it that is being quantized.

    Tensors keep their index in the copy, and new ones are added at the end.

    Attributes
    ----------
    source, model : Model
        The float model and the copy.
    ranges : Ranges
        Of the float model.
    account : Account
        Of the copy.
    """

    source: Model
    model: Model
    ranges: Ranges
    account: Account

    @classmethod
    def of(cls, source: Model, ranges: Ranges, account: Account) -> Draft:
        """Return a draft that is still equal to `source`."""
        return cls(source, working_copy(source), ranges, account)

    @property
    def graph(self) -> Subgraph:
        """The main subgraph."""
        return self.model.subgraphs[0]

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors of the main subgraph."""
        return self.graph.tensors

    def float_value(self, t: int) -> np.ndarray | None:
        """Return the value of tensor `t` if it is a float32 constant of the float model with elements."""
        return float_value(self.source.subgraphs[0], t)

    def finite_value(self, t: int) -> np.ndarray:
        """Return the value of float constant `t`, which must be finite."""
        value = self.float_value(t)
        assert value is not None
        if not np.isfinite(value).all():
            raise QuantizationError(
                f"constant {t} ({self.tensors[t].name!r}) holds NaN or infinity; "
                "quantization needs finite values"
            )
        return value

    def range(self, t: int) -> tuple[np.float32, np.float32]:
        """Return the range of tensor `t` of the float model, widened to hold 0, and to more than 0."""
        if self.float_value(t) is not None:
            values = self.finite_value(t)
            return np.minimum(np.min(values), ZERO), np.maximum(np.max(values), ZERO)
        if t not in self.ranges:
            raise QuantizationError(
                f"tensor {t} ({self.tensors[t].name!r}) has no range; calibrate the model on data that "
                "computes it"
            )
        low, high = np.float32(self.ranges[t].rmin), np.float32(self.ranges[t].rmax)
        if low == high == 0:
            return low, SMALLEST
        return np.minimum(low, ZERO), np.maximum(high, ZERO)

    def source_dtype(self, t: int) -> str:
        """Return the dtype of tensor `t` in the float model."""
        return self.source.subgraphs[0].tensors[t].dtype

    def scale(self, t: int) -> np.float32:
        """Return the scale of a tensor that has one."""
        quantization = self.tensors[t].quantization
        assert quantization is not None
        return np.float32(quantization.scale[0])

    def add(
        self,
        name: str,
        like: int,
        dtype: str,
        quantization: Quantization | None = None,
        data: np.ndarray | None = None,
    ) -> int:
        """Add a tensor with the shape of tensor `like`; return its index."""
        shape, signature = self.tensors[like].shape, self.tensors[like].shape_signature
        self.tensors.append(
            Tensor(name, shape, dtype, data=data, quantization=quantization, shape_signature=signature)
        )
        return len(self.tensors) - 1
