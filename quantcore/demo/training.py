"""Training with Keras, in a process of its own: TensorFlow is never imported here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from quantcore.demo import keras_script
from quantcore.demo.data import DataSet
from quantcore.errors import QuantcoreError
from quantcore.oracle.packages import QUIET, find_package

__all__ = ["NETWORKS", "train"]

NETWORKS = ("mlp", "cnn")


def train(
    data: DataSet, folder: Path, *, epochs: int, seed: int, on_epoch: Callable[[str, int], None]
) -> dict[str, float]:
    """Train the networks and save them as ``<name>.keras`` in `folder`.

    Parameters
    ----------
    data : DataSet
    folder : Path
        An existing folder.
    epochs, seed : int
    on_epoch : callable
        Called as ``on_epoch(network, epoch)`` after each epoch.

    Returns
    -------
    dict of str to float
        Keras's own accuracy on the held-out images, by network.

    Raises
    ------
    OracleUnavailable
        TensorFlow is not installed.
    QuantcoreError
        Training failed; the message quotes the last line that it printed.
    """
    find_package("tensorflow")
    data_path = folder / "data.npz"
    np.savez(
        data_path,
        train_images=data.train_images,
        train_labels=data.train_labels,
        test_images=data.test_images,
        test_labels=data.test_labels,
    )
    script = str(keras_script.__file__)
    command = [sys.executable, "-P", script, str(data_path), str(folder), str(epochs), str(seed)]
    environment = QUIET | os.environ | {"KERAS_BACKEND": "tensorflow"}
    accuracy: dict[str, float] = {}
    with (
        tempfile.TemporaryFile("w+", errors="replace") as noise,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=noise, env=environment, text=True) as child,
    ):
        try:
            for line in child.stdout or ():
                if line.startswith("{"):
                    news = json.loads(line)
                    if "accuracy" in news:
                        accuracy[news["network"]] = news["accuracy"]
                    else:
                        on_epoch(news["network"], news["epoch"])
        except BaseException:
            child.kill()
            raise
        if child.wait() != 0:
            noise.seek(0)
            said = [line.strip() for line in noise if line.strip()] or [f"exit code {child.returncode}"]
            raise QuantcoreError(f"training with Keras failed: {said[-1]}")
    return accuracy
