"""A model that is being quantized, beside the float model that it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantcore.graph import Model, Quantization, Subgraph, Tensor
from quantcore.quantizer.working_copy import working_copy

__all__ = ["Draft"]


@dataclass(slots=True)
class Draft:
    """A float model and the copy of it that is being quantized.

    Tensors keep their index in the copy, and new ones are added at the end.

    Attributes
    ----------
    source, model : Model
        The float model and the copy.
    """

    source: Model
    model: Model

    @classmethod
    def of(cls, source: Model) -> Draft:
        """Return a draft that is still equal to `source`."""
        return cls(source, working_copy(source))

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
        tensors = self.source.subgraphs[0].tensors
        if t < 0 or t >= len(tensors) or tensors[t].dtype != "float32":
            return None
        data = tensors[t].data
        return data if data is not None and data.size else None

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
