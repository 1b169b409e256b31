"""Trains the two networks. Run as a script, in a process of its own; imports nothing of quantcore.

Arguments: an ``.npz`` file of data, a folder for the ``.keras`` files, epochs, seed. Prints one JSON object
per line: after each epoch of a network, and its accuracy on the held-out images at the end.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

BATCH_SIZE = 32


def build_networks(keras: Any, height: int, width: int) -> dict[str, Any]:
    """Return the networks of the tutorials by name: ``mlp`` ends in probabilities, ``cnn`` in logits."""
    layers = keras.layers
    mlp = [
        keras.Input((height, width)),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
    cnn = [
        keras.Input((height, width)),
        layers.Reshape((height, width, 1)),
        layers.Conv2D(12, (3, 3), activation="relu"),
        layers.MaxPooling2D((2, 2)),
        layers.Flatten(),
        layers.Dense(10),
    ]
    return {"mlp": keras.Sequential(mlp, name="mlp"), "cnn": keras.Sequential(cnn, name="cnn")}


def report(**values: Any) -> None:
    """Print one line for the parent process."""
    print(json.dumps(values), flush=True)


def main(data_path: str, folder: str, epochs: int, seed: int) -> None:
    """Train, report, save."""
    import keras

    data = np.load(data_path)
    keras.utils.set_random_seed(seed)
    networks = build_networks(keras, *data["train_images"].shape[1:])
    for name, network in networks.items():
        network.compile(
            optimizer="adam",
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=name == "cnn"),
            metrics=["accuracy"],
        )
        after_epoch = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs, name=name: report(network=name, epoch=epoch + 1)
        )
        network.fit(
            data["train_images"],
            data["train_labels"],
            batch_size=BATCH_SIZE,
            epochs=epochs,
            verbose=0,
            callbacks=[after_epoch],
        )
        _, accuracy = network.evaluate(data["test_images"], data["test_labels"], verbose=0)
        network.save(Path(folder) / f"{name}.keras")
        report(network=name, accuracy=float(accuracy))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
