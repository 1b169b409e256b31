"""Whole models, one sample and many samples per call, beside TensorFlow Lite's three resolvers.

The models are those that the arguments name; by default the demo's, freshly made, and those in the folder
that QUANTCORE_MODELS names, as far as quantcore runs them. Prints what ``quantcore bench`` prints.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from pathlib import Path

from _models import folder_models

from quantcore.cli import run
from quantcore.errors import QuantcoreError
from quantcore.runtime import Interpreter


def runs(path: Path) -> bool:
    """Whether quantcore runs the model; says why not."""
    try:
        Interpreter(path)
    except QuantcoreError as error:
        print(f"left out: {path.name}: {error}", file=sys.stderr)
        return False
    return True


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--turns", default="11")
    parser.add_argument("--batches", nargs="+", default=["1", "64"])
    parser.add_argument("--threads", default="1")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = options.models
        if not models:
            with contextlib.redirect_stdout(io.StringIO()):
                if run(["demo", "--out", folder, "--epochs", "1"]) == 2:
                    return 2
            models = sorted(Path(folder).glob("*.tflite")) + folder_models()
        words = ["--turns", options.turns, "--threads", options.threads]
        words += ["--json"] if options.json else []
        paths = [str(path) for path in models if runs(path)]
        return max(run(["bench", *paths, "--batch", batch, *words]) for batch in options.batches)


if __name__ == "__main__":
    sys.exit(main())
