"""The samples of ``--data``: inputs by name, or the images of a data set as ``evaluate`` takes them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from quantcore.graph import Model

__all__ = ["read_data"]


def read_data(
    model: Model, path: str, images_key: str | None, limit: int | None
) -> tuple[list[list[np.ndarray]], list[str]]:
    """Return at most `limit` samples of a ``.npy`` or ``.npz`` file, and what was assumed about them.

    Parameters
    ----------
    model : Model
    path : str
        Arrays by input name; or, for a model with one input, one array, or one that is called as images
        usually are. Samples lie along the first axis. Integer images for a float input are pixels.
    images_key : str or None
        Name of the images, where it is another.
    limit : int or None
    """
    from quantcore.calibration.dataset import read_samples
    from quantcore.errors import QuantcoreError
    from quantcore.files import read_arrays

    arrays = read_arrays(path)
    main = model.subgraphs[0]
    names = {main.tensors[t].name for t in main.inputs}
    names.update(name for signature in model.signatures for name in signature.inputs)
    if images_key is not None and len(main.inputs) != 1:
        raise QuantcoreError(
            f"--images is for models with one input; {model.source} has {len(main.inputs)}: the arrays "
            f"of {path} must have the names of inputs"
        )
    if len(main.inputs) != 1 or (images_key is None and set(arrays) <= names):
        return list(islice(read_samples(model, arrays), limit)), []
    images, assumptions = find_images(model, arrays, images_key, path)
    return list(islice(read_samples(model, images[:limit]), limit)), assumptions


def find_images(
    model: Model, arrays: dict[str, np.ndarray], key: str | None, path: str
) -> tuple[np.ndarray, list[str]]:
    """Return the array that holds the samples of a model with one input, as that takes them."""
    from quantcore.errors import QuantcoreError
    from quantcore.images import IMAGE_KEYS, prepare_images

    usual = [name for name in IMAGE_KEYS if name in arrays]
    if key is None:
        key = usual[0] if usual else next(iter(arrays)) if len(arrays) == 1 else None
    if key not in arrays:
        found = ", ".join(arrays) if any(arrays) else "one without a name" if arrays else "none"
        asked = f"no array {key!r}" if key else "no array called as the input of the model or as images are"
        raise QuantcoreError(f"{path}: {asked}; found: {found}. Name one with --images KEY")
    images = arrays[key]
    tensor = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
    if images.dtype.name == tensor.dtype and images.shape[1:] == tensor.shape[1:]:
        return images, []
    prepared = prepare_images(model, images)
    return prepared.images, prepared.assumptions
