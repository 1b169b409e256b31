"""A picture of predictions."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from quantcore.demo.data import DataSet
from quantcore.demo.pipeline import DemoResult
from quantcore.errors import QuantcoreError
from quantcore.files import atomic_write

__all__ = ["draw_predictions", "require_matplotlib"]

ROWS, COLUMNS = 4, 8
RIGHT, WRONG = "#1a7f37", "#cf222e"


def require_matplotlib() -> None:
    """Raise `QuantcoreError` unless matplotlib is installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise QuantcoreError("the picture needs matplotlib; install the extra 'plot' of quantcore-tflite")


def draw_predictions(result: DemoResult, data: DataSet, mode: str, path: Path) -> None:
    """Draw held-out images with their label and what each network in `mode` predicts, as a PNG file.

    Half of them are the first that no network gets wrong, half are mistakes, as far as there are any.

    Raises
    ------
    QuantcoreError
        matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    models = [model for model in result.models if model.mode == mode]
    predictions = np.array([model.predictions for model in models])
    shown = choose(predictions != data.test_labels)
    figure = Figure(figsize=(1.6 * COLUMNS, 2.0 * ROWS), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{data.name}: predictions of the {mode} models by quantcore")
    for position, index in enumerate(shown):
        axes = figure.add_subplot(ROWS, COLUMNS, position + 1)
        axes.imshow(data.test_images[index], cmap="gray_r", vmin=0, vmax=1)
        axes.set_axis_off()
        label = data.test_labels[index]
        answers = "  ".join(f"{m.network}: {m.predictions[index]}" for m in models)
        right = all(m.predictions[index] == label for m in models)
        axes.set_title(f"label {label}\n{answers}", fontsize=8, color=RIGHT if right else WRONG)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)


def choose(wrong: np.ndarray) -> list[int]:
    """Return the indices of the images to draw; `wrong` has a row per model, a column per image."""
    count = min(ROWS * COLUMNS, wrong.shape[1])
    mistakes = np.flatnonzero(wrong.any(axis=0))[: count // 2]
    others = np.setdiff1d(np.arange(wrong.shape[1]), mistakes)[: count - len(mistakes)]
    return [*others.tolist(), *mistakes.tolist()]
