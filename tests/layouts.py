"""The same values in every memory layout that an array can have."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def layouts(x: np.ndarray, folder: Path) -> dict[str, np.ndarray]:
    """Return three-dimensional `x` in each layout, by name; `folder` holds the memory-mapped file."""
    big = np.repeat(np.repeat(x, 2, 0), 3, -1)
    shifted = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    shifted[...] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    mapped = np.memmap(folder / "x.bin", x.dtype, "w+", shape=x.shape)
    mapped[...] = x
    mapped.flush()
    return {
        "contiguous": x,
        "Fortran": np.asfortranarray(x),
        "transposed": np.ascontiguousarray(x.transpose(1, 2, 0)).transpose(2, 0, 1),
        "strided": big[::2, :, ::3],
        "reversed": x[::-1, :, ::-1].copy()[::-1, :, ::-1],
        "misaligned": shifted,
        "read-only": read_only,
        "memmap": np.memmap(folder / "x.bin", x.dtype, "r", shape=x.shape),
        "byte-swapped": x.astype(x.dtype.newbyteorder()),
    }
