"""What `quantcore.compare` returns."""

from __future__ import annotations

import csv
import os
from dataclasses import asdict, dataclass, field
from typing import Any

from quantcore.comparison.measures import ErrorSums, Measures
from quantcore.errors import QuantcoreError
from quantcore.files import atomic_write
from quantcore.qparams import QuantParams

__all__ = ["CompareResult", "Row", "Unmatched"]

# The columns that TensorFlow's QuantizationDebugger writes come first, under its names.
CSV_MEASURES = {
    "num_elements": "elements",
    "stddev": "stddev",
    "mean_error": "mean_error",
    "max_abs_error": "max_abs_error",
    "mean_squared_error": "mean_squared_error",
}
CSV_MORE = (
    "rmse", "rmse_over_scale", "sqnr_db", "cosine", "range_use", "clipped_low", "clipped_high", "non_finite"
)  # fmt: skip


@dataclass(slots=True)
class Row:
    """One tensor of the quantized model against the one of the float model that it stands for.

    Attributes
    ----------
    index, op : int and str, or None
        Operator of the quantized model that writes it (a constant: that reads it); None for a graph input.
    tensor, name, dtype
        The tensor of the quantized model.
    float_operators : tuple of int
        What the operator stands for; empty for QUANTIZE, DEQUANTIZE and graph inputs.
    float_tensor, float_name
        The tensor of the float model.
    is_output : bool
        Whether it is a graph output.
    params : QuantParams or None
        None where the tensor is not quantized.
    sums : ErrorSums
    reason : str
        Why it was not compared; else empty.
    """

    index: int | None
    op: str | None
    tensor: int
    name: str
    dtype: str
    float_operators: tuple[int, ...]
    float_tensor: int
    float_name: str
    is_output: bool = False
    params: QuantParams | None = None
    sums: ErrorSums = field(default_factory=ErrorSums)
    reason: str = ""

    @property
    def measures(self) -> Measures:
        """The error over all samples."""
        return self.sums.result(self.params)

    def to_json(self) -> dict[str, Any]:
        """Return a dict for `json.dumps`."""
        about = {
            "index": self.index,
            "op": self.op,
            "tensor": self.tensor,
            "name": self.name,
            "dtype": self.dtype,
            "float_operators": list(self.float_operators),
            "float_tensor": self.float_tensor,
            "float_name": self.float_name,
            "is_output": self.is_output,
            "scale": None if self.params is None else self.params.scale.tolist(),
            "zero_point": None if self.params is None else _plain(self.params.zero_point),
        }
        return about | asdict(self.measures) | {"reason": self.reason}


def _plain(zero_point: Any) -> Any:
    return zero_point if isinstance(zero_point, int) else zero_point.tolist()


@dataclass(frozen=True, slots=True)
class Unmatched:
    """An operator without a counterpart in the other model."""

    index: int
    op: str
    tensor: int
    name: str


@dataclass(slots=True)
class CompareResult:
    """The error of a quantized model, tensor by tensor.

    Attributes
    ----------
    float_model, quant_model : str
        Where the models came from.
    feed : str
        What the operators were fed with, see `quantcore.compare`.
    numerics : str
    samples : int
    tensors : list of Row
        Graph inputs that are quantized, then what operators compute, in execution order.
    constants : list of Row
        Weights and other constants that are stored in another form than in the float model.
    unmatched_quant, unmatched_float : list of Unmatched
    notes : list of str
    """

    float_model: str
    quant_model: str
    feed: str
    numerics: str
    samples: int = 0
    tensors: list[Row] = field(default_factory=list)
    constants: list[Row] = field(default_factory=list)
    unmatched_quant: list[Unmatched] = field(default_factory=list)
    unmatched_float: list[Unmatched] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def outputs(self) -> list[Row]:
        """The rows of the graph outputs."""
        return [row for row in self.tensors if row.is_output]

    def merge(self, other: CompareResult) -> None:
        """Add what `other` found for the same models on other samples; exact in any order.

        Raises
        ------
        QuantcoreError
            `other` is a comparison of other models, or was made in another way.
        """
        if _key(self) != _key(other):
            raise QuantcoreError(
                f"cannot merge {other.float_model} / {other.quant_model} ({other.feed}, {other.numerics}) "
                f"with {self.float_model} / {self.quant_model} ({self.feed}, {self.numerics}): other tensors"
            )
        self.samples += other.samples
        for row, more in zip(self.tensors, other.tensors, strict=True):
            row.sums.merge(more.sums)
            row.reason = row.reason or more.reason

    def to_json(self) -> dict[str, Any]:
        """Return a dict for `json.dumps`."""
        return {
            "float_model": self.float_model,
            "quant_model": self.quant_model,
            "feed": self.feed,
            "numerics": self.numerics,
            "samples": self.samples,
            "tensors": [row.to_json() for row in self.tensors],
            "constants": [row.to_json() for row in self.constants],
            "unmatched_quant": [asdict(what) for what in self.unmatched_quant],
            "unmatched_float": [asdict(what) for what in self.unmatched_float],
            "notes": self.notes,
        }

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one line per tensor; the columns of TensorFlow's QuantizationDebugger have its names."""
        about = ["op_name", "tensor_idx"]
        after = ["scale", "zero_point", "tensor_name", "op_index", "dtype", "float_tensor_name"]
        with atomic_write(path, "w") as file:
            writer = csv.DictWriter(file, [*about, *CSV_MEASURES, *after, *CSV_MORE], lineterminator="\n")
            writer.writeheader()
            for row in self.tensors:
                if not row.reason:
                    writer.writerow(_csv_line(row))


def _csv_line(row: Row) -> dict[str, Any]:
    measures = asdict(row.measures)
    line = {column: measures[name] for column, name in CSV_MEASURES.items()}
    return {
        "op_name": row.op or "",
        "tensor_idx": row.tensor,
        **line,
        "scale": "" if row.params is None else row.params.scale.tolist(),
        "zero_point": "" if row.params is None else _plain(row.params.zero_point),
        "tensor_name": row.name,
        "op_index": "" if row.index is None else row.index,
        "dtype": row.dtype,
        "float_tensor_name": row.float_name,
        **{name: "" if measures[name] is None else measures[name] for name in CSV_MORE},
    }


def _key(result: CompareResult) -> tuple[Any, ...]:
    rows = tuple((row.index, row.tensor, row.name, row.float_tensor, row.params) for row in result.tensors)
    return result.feed, result.numerics, rows
