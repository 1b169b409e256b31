"""The samples of ``--data``: inputs by name, or the images of a data set as ``evaluate`` takes them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import numpy as np

    from quantcore.graph import Model

__all__ = ["images_option", "read_data"]

images_option = click.option(
    "--images", "images_key", metavar="KEY", help="Name of the images in the .npz file."
)


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
    from quantcore.images import find_array, prepare_images

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
    if images_key is None and len(arrays) == 1:
        (images,) = arrays.values()
    else:
        images = find_array(arrays, "images", images_key, path)
    tensor = main.tensors[main.inputs[0]]
    assumptions: list[str] = []
    if images.dtype.name != tensor.dtype or images.shape[1:] != tensor.shape[1:]:
        prepared = prepare_images(model, images)
        images, assumptions = prepared.images, prepared.assumptions
    return list(islice(read_samples(model, images[:limit]), limit)), assumptions
