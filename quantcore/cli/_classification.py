"""The confusion matrix and the classification report, printed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from rich.text import Text

from quantcore.cli._tables import print_table, table

__all__ = ["print_confusion", "print_report"]


CONFUSION = "confusion matrix (row: label, column: prediction)"


def print_confusion(confusion: npt.ArrayLike, title: str = CONFUSION) -> None:
    """Print the confusion matrix; zeros are left out, what is off the diagonal stands out."""
    counts = np.asarray(confusion)
    result = table(">", *(f">{c}" for c in range(len(counts))), title=title)
    for label, row in enumerate(counts.tolist()):
        cells = [
            Text(str(count) if count else ".", style="bold" if label == c else "red" if count else "dim")
            for c, count in enumerate(row)
        ]
        result.add_row(Text(str(label), style="bold"), *cells)
    print_table(result)


def print_report(report: dict[str, Any]) -> None:
    """Print precision, recall, F1 and support per class, and their averages."""
    columns = ("precision", "recall", "f1-score", "support")
    result = table("class", *(f">{column}" for column in columns), title="classification report")
    for name, measures in report.items():
        if isinstance(measures, dict):
            values = [f"{measures[column]:.4f}" for column in columns[:-1]]
            result.add_row(name, *values, str(int(measures["support"])))
    print_table(result)
