"""What layers of Keras are to TensorFlow Lite, and whose quantization parameters their outputs have."""

from __future__ import annotations

from typing import Any

import keras

__all__ = [
    "ACTIVATIONS",
    "AFFINE",
    "FIXED",
    "FLOAT",
    "FUSABLE",
    "IDENTITY",
    "JOIN",
    "KINDS",
    "OWN",
    "ROUNDS",
    "SAME",
    "WEIGHTS",
    "activation_name",
]

WEIGHTS = "weights"  # a convolution or dense layer; its output has a range of its own
OWN = "own"  # the output has a range of its own
FIXED = "fixed"  # the range of the output is a constant of the operator
SAME = "same"  # the output has the values of the input, in other places
ROUNDS = "rounds"  # the output has the range of the input, and is rounded to its grid
JOIN = "join"  # inputs and output share one range
IDENTITY = "identity"  # nothing, outside of training
FUSABLE = "fusable"  # an activation that becomes part of the operator before it
AFFINE = "affine"  # multiplication by constants, then their addition
FLOAT = "float"  # left as it is

# By class, for layers whose arguments change nothing of it.
KINDS: dict[str, str] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv2DTranspose", "Dense", "DepthwiseConv2D"), WEIGHTS),
    **dict.fromkeys(("GlobalAveragePooling1D", "GlobalAveragePooling2D", "LeakyReLU", "PReLU", "Dot"), OWN),
    **dict.fromkeys(
        (
            *("MaxPooling1D", "MaxPooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D"),
            *("Flatten", "Reshape", "Permute", "RepeatVector"),
            *("ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D", "UpSampling1D"),
        ),
        SAME,
    ),
    **dict.fromkeys(("AveragePooling1D", "AveragePooling2D"), ROUNDS),
    **dict.fromkeys(("Concatenate", "Maximum", "Minimum"), JOIN),
    **dict.fromkeys(
        (
            *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout"),
            *("GaussianDropout", "GaussianNoise", "ActivityRegularization", "Identity"),
        ),
        IDENTITY,
    ),
    **dict.fromkeys(("BatchNormalization", "Rescaling"), AFFINE),
}

# Activations by name: what they are; FIXED ones with their range, from the scale that TFLite prescribes.
ACTIVATIONS: dict[str, str] = {
    "linear": IDENTITY,
    **dict.fromkeys(("relu", "relu6", "hard_tanh"), FUSABLE),
    **dict.fromkeys(("softmax", "sigmoid", "tanh"), FIXED),
    **dict.fromkeys(("leaky_relu", "gelu", "hard_silu"), OWN),
}
FIXED_RANGES = {
    "softmax": (0.0, 255 / 256),
    "sigmoid": (0.0, 255 / 256),
    "tanh": (-1.0, 127 / 128),
}


def activation_name(function: Any) -> str:
    """Return the name of an activation function of Keras; of another, what is not in the table."""
    if function is None:
        return "linear"
    name = getattr(function, "__name__", type(function).__name__)
    return name if getattr(keras.activations, name, None) is function else f"custom {name}"
