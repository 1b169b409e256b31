"""What TensorFlow's QuantizationDebugger says of a small Keras network.

``python -m tests.comparison.debugger FOLDER`` writes the models and its statistics; a process of its own,
because TensorFlow is slow to import and hard to unload.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np


def network(keras: Any) -> Any:
    """Return a residual network with an input of (8, 8, 3) and seeded random weights."""
    layers = keras.layers
    keras.utils.set_random_seed(1)
    x = inputs = keras.Input((8, 8, 3), batch_size=1)
    x = layers.Conv2D(6, 3, padding="same", activation="relu6")(x)
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    x = layers.Add()([x, layers.Conv2D(6, 1)(y)])
    x = layers.Concatenate()([x, layers.Conv2D(4, 1, activation="relu")(x)])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x))


def write(folder: Path) -> None:
    """Write ``float.tflite``, ``int8.tflite``, ``x.npy``, and a CSV file for each way to verify."""
    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize

    data = np.random.default_rng(0).standard_normal((8, 1, 8, 8, 3)).astype(np.float32)
    np.save(folder / "x.npy", data[0])
    model = network(tf.keras)

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x] for x in data)
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter, debug_dataset=lambda: iter([[data[0]]])
    )
    (folder / "float.tflite").write_bytes(debugger.calibrated_model)
    (folder / "int8.tflite").write_bytes(mlir_quantize(debugger.calibrated_model))
    whole = mlir_quantize(
        debugger.calibrated_model, enable_numeric_verify=True, enable_whole_model_verify=True
    )
    for name, content in (("pairwise", debugger.quant_model), ("quantized", whole)):
        verifier = tf.lite.experimental.QuantizationDebugger(
            quant_debug_model_content=content, debug_dataset=lambda: iter([[data[0]]])
        )
        verifier.run()
        with (folder / f"{name}.csv").open("w") as file:
            verifier.layer_statistics_dump(file)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
