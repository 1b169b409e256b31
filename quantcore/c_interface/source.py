"""Where the C sources of the kernels are."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from quantcore.errors import QuantcoreError

__all__ = ["source_folder"]


@cache
def source_folder() -> Path:
    """Return the folder csrc: of the checkout, or as an installed package carries it.

    It holds ``include/``, ``reference/``, ``kernels.def`` and ``kernels.h``.

    Raises
    ------
    QuantcoreError
        The sources are in neither place.
    """
    package = Path(__file__).parents[1]
    for folder in (package.parent / "csrc", package / "csrc"):
        if (folder / "kernels.def").is_file():
            return folder
    raise QuantcoreError(
        f"the C sources of the kernels are neither beside {package} nor in it; "
        "install quantcore-tflite anew, from a wheel or a checkout"
    )
