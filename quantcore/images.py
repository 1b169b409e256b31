"""From the images of a data set to the input of a classifier, saying what was assumed.

Pixels are brought to the real values that the model was trained on, and quantized where its input is
quantized, as in TensorFlow's post-training quantization tutorials. (Those truncate ``x / scale +
zero_point``; here it is rounded, as the QUANTIZE operator of a model with float input does.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from quantcore.affine import QuantParams, quantize
from quantcore.errors import QuantcoreError, UnsupportedOperatorError
from quantcore.graph import Model, Tensor
from quantcore.samples import expected_range

__all__ = ["Prepared", "classifier_tensors", "find_array", "prepare_images"]

USUAL_KEYS = {
    "images": ("images", "x_test", "x", "X", "test_images", "data"),
    "labels": ("labels", "y_test", "y", "Y", "test_labels", "target"),
}
PIXEL_MAX = 255.0

# Real values that pixels 0 and 255 usually stand for, by name.
PIXEL_RANGES = {"0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0), "0..255": (0.0, 255.0)}


@dataclass(slots=True)
class Prepared:
    """Images as the model takes them, and what was assumed on the way."""

    images: np.ndarray
    assumptions: list[str]


def find_array(arrays: Mapping[str, np.ndarray], what: str, key: str | None, name: str) -> np.ndarray:
    """Return the array called `key`; without one, the array that is called as `what` usually is.

    Parameters
    ----------
    arrays : dict of str to ndarray
        Those of an ``.npz`` file.
    what : {"images", "labels"}
    key : str or None
    name : str
        Name of the file.

    Raises
    ------
    QuantcoreError
        There is none; the message lists the names that were found.
    """
    usual = USUAL_KEYS[what]
    for candidate in usual if key is None else (key,):
        if candidate in arrays:
            return arrays[candidate]
    found = ", ".join(key or "one without a name" for key in arrays) or "none"
    wanted = f"no array {key!r}" if key is not None else f"no {what} (looked for {', '.join(usual)})"
    raise QuantcoreError(f"{name}: {wanted}; found: {found}. Name one with --{what} KEY")


def classifier_tensors(model: Model) -> tuple[Tensor, Tensor]:
    """Return the input and the output tensor of a classifier, which has one of each."""
    subgraph = model.subgraphs[0]
    if len(subgraph.inputs) != 1 or len(subgraph.outputs) != 1:
        raise QuantcoreError(
            f"{model.source} has {len(subgraph.inputs)} inputs and {len(subgraph.outputs)} outputs; "
            "expected a classifier with one of each"
        )
    x, y = subgraph.tensors[subgraph.inputs[0]], subgraph.tensors[subgraph.outputs[0]]
    if len(x.shape) < 2:
        raise QuantcoreError(f"the input {x.name!r} has shape {x.shape}; expected a batch of images")
    return x, y


def prepare_images(
    model: Model, images: np.ndarray, pixel_range: tuple[float, float] | None = None
) -> Prepared:
    """Bring images to the shape, range and dtype of the model's input.

    Parameters
    ----------
    model : Model
        One input; one output of shape (batch, classes).
    images : ndarray, shape (samples, ...)
        Integer pixels in 0..255, floats in the real values that the model expects, or integers in the
        dtype of a quantized input.
    pixel_range : (float, float), optional
        Real values that pixels 0 and 255 stand for; default: what the model's quantization suggests.

    Raises
    ------
    QuantcoreError
        Shapes or dtypes that do not fit the model.
    """
    x, _ = classifier_tensors(model)
    assumptions: list[str] = []
    shaped = fit_shape(images, x, assumptions)
    if x.dtype not in ("float32", "int8", "uint8", "int16") or (x.dtype != "float32" and not x.is_quantized):
        raise UnsupportedOperatorError(
            f"the input {x.name!r} has dtype {x.dtype}{'' if x.is_quantized else ' without a scale'}; "
            "expected float32, or quantized int8, uint8 or int16"
        )
    if shaped.dtype == x.dtype and x.dtype in ("int8", "int16") and pixel_range is None:
        assumptions.append(f"images are {x.dtype} like the input: taken as quantized values")
        return Prepared(shaped, assumptions)
    real = real_values(shaped, model, pixel_range, assumptions)
    if x.quantization is None or not x.is_quantized:
        return Prepared(real, assumptions)
    scale, zero_point = float(x.quantization.scale[0]), int(x.quantization.zero_point[0])
    assumptions.append(f"quantized to {x.dtype}: round(x / {scale:.9g}) + {zero_point}")
    return Prepared(quantize(real, QuantParams(scale, zero_point, x.dtype)), assumptions)


def fit_shape(images: np.ndarray, x: Tensor, assumptions: list[str]) -> np.ndarray:
    """Return images in the shape of the input, of any number of samples."""
    wanted = x.shape[1:]
    given = images.shape[1:]
    if images.ndim and given == wanted:
        return images
    squeezed = [d for d in given if d != 1]
    flat = images.ndim > 1 and wanted == (int(np.prod(given)),)
    if images.ndim > 1 and (squeezed == [d for d in wanted if d != 1] or flat):
        assumptions.append(f"images of shape {given} reshaped to {wanted}")
        return images.reshape(len(images), *wanted)
    swapped = len(given) == 3 and (given[1], given[2], given[0]) == wanted
    hint = "; they look like channels first: transpose them to NHWC" if swapped else ""
    raise QuantcoreError(
        f"images have shape {images.shape}; the model takes (samples, {', '.join(map(str, wanted))}){hint}"
    )


def real_values(
    images: np.ndarray, model: Model, pixel_range: tuple[float, float] | None, assumptions: list[str]
) -> np.ndarray:
    """Return images as float32 in the real values that the model expects."""
    if images.dtype.kind == "f" and pixel_range is None:
        assumptions.append(f"images are {images.dtype}: taken as the real values that the model expects")
        return images.astype(np.float32)
    if images.dtype.kind not in "fiu":
        raise QuantcoreError(f"images have dtype {images.dtype}; expected integers in 0..255 or floats")
    low_pixel, high_pixel = (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)
    if low_pixel < 0 or high_pixel > PIXEL_MAX:
        raise QuantcoreError(
            f"images are {images.dtype} in {low_pixel:g}..{high_pixel:g}; expected pixels in 0..255"
        )
    if pixel_range is None:
        name, why = guess_range(model)
        low, high = PIXEL_RANGES[name]
        assumptions.append(f"pixels 0..255 stand for {name} ({why})")
    else:
        low, high = pixel_range
        assumptions.append(f"pixels 0..255 stand for {low:g}..{high:g} (as asked)")
    if (low, high) == (0.0, PIXEL_MAX):
        return images.astype(np.float32)
    # In this order, as the tutorials do: a division by 255 in float32, then the range.
    unit = images.astype(np.float32) / np.float32(PIXEL_MAX)
    return unit if (low, high) == (0.0, 1.0) else unit * np.float32(high - low) + np.float32(low)


def guess_range(model: Model) -> tuple[str, str]:
    """Return the name of the pixel range that the model's quantization suggests, and the reason."""
    subgraph = model.subgraphs[0]
    bounds = expected_range(subgraph, subgraph.inputs[0])
    if bounds is None:
        return "0..1", "the usual choice; the model does not say"

    def distance(name: str) -> float:
        low, high = PIXEL_RANGES[name]
        return (abs(low - bounds[0]) + abs(high - bounds[1])) / (high - low)

    nearest = min(PIXEL_RANGES, key=distance)
    return nearest, f"the model's input range is {bounds[0]:.4g}..{bounds[1]:.4g}"
