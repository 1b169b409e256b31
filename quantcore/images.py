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
from quantcore.inspection import real_range
from quantcore.samples import expected_range

__all__ = ["Prepared", "classifier_tensors", "find_data", "prepare_images"]

IMAGE_KEYS = ("images", "x_test", "x", "X", "test_images", "data")
LABEL_KEYS = ("labels", "y_test", "y", "Y", "test_labels", "target")
PIXEL_MAX = 255.0

# Real ranges in which pixels are usually fed: what to call them, and low and high.
PIXEL_RANGES = (("0..1", 0.0, 1.0), ("-1..1", -1.0, 1.0), ("0..255", 0.0, 255.0))


@dataclass(slots=True)
class Prepared:
    """Images as the model takes them, and what was assumed on the way."""

    images: np.ndarray
    assumptions: list[str]


def find_data(
    arrays: Mapping[str, np.ndarray], images_key: str | None, labels_key: str | None, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels out of the arrays of an ``.npz`` file.

    Raises
    ------
    QuantcoreError
        A key is missing; the message lists the keys that were found.
    """

    def find(what: str, key: str | None, usual: tuple[str, ...]) -> np.ndarray:
        for candidate in usual if key is None else (key,):
            if candidate in arrays:
                return arrays[candidate]
        found = ", ".join(arrays) or "none"
        wanted = f"no array {key!r}" if key is not None else f"no {what} (looked for {', '.join(usual)})"
        raise QuantcoreError(f"{name}: {wanted}; found: {found}. Name one with --{what} KEY")

    return find("images", images_key, IMAGE_KEYS), find("labels", labels_key, LABEL_KEYS)


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
    """Bring images to the shape, range and dtype of the model's input; see `evaluate`."""
    x, _ = classifier_tensors(model)
    assumptions: list[str] = []
    shaped = fit_shape(images, x, assumptions)
    quantized = x.quantization is not None and x.quantization.scale.size > 0
    if x.dtype not in ("float32", "int8", "uint8", "int16") or (x.dtype != "float32" and not quantized):
        raise UnsupportedOperatorError(
            f"the input {x.name!r} has dtype {x.dtype}{'' if quantized else ' without a scale'}; "
            "expected float32, or quantized int8, uint8 or int16"
        )
    if shaped.dtype == x.dtype and x.dtype in ("int8", "int16") and pixel_range is None:
        assumptions.append(f"images are {x.dtype} like the input: taken as quantized values")
        return Prepared(shaped, assumptions)
    real = real_values(shaped, model, pixel_range, assumptions)
    if x.quantization is None or not quantized:
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
        name, low, high, why = guess_range(model)
        assumptions.append(f"pixels 0..255 stand for {name} ({why})")
    else:
        low, high = pixel_range
        assumptions.append(f"pixels 0..255 stand for {low:g}..{high:g} (as asked)")
    if (low, high) == (0.0, PIXEL_MAX):
        return images.astype(np.float32)
    # In this order, as the tutorials do: a division by 255 in float32, then the range.
    unit = images.astype(np.float32) / np.float32(PIXEL_MAX)
    return unit if (low, high) == (0.0, 1.0) else unit * np.float32(high - low) + np.float32(low)


def guess_range(model: Model) -> tuple[str, float, float, str]:
    """Return name, low, high and the reason of the pixel range that the model's quantization suggests."""
    subgraph = model.subgraphs[0]
    t = subgraph.inputs[0]
    x = subgraph.tensors[t]
    if x.dtype != "float32" and x.quantization is not None:
        low, high = real_range(x.dtype, x.quantization.scale, x.quantization.zero_point)[0]
    elif (bounds := expected_range(subgraph, t)) is not None:
        low, high = bounds
    else:
        return (*PIXEL_RANGES[0], "the usual choice; the model does not say")
    nearest = min(PIXEL_RANGES, key=lambda r: (abs(r[1] - low) + abs(r[2] - high)) / (r[2] - r[1]))
    return (*nearest, f"the model's input range is {low:.4g}..{high:.4g}")
