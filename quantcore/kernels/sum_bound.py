"""What the accumulators of a sum of products cannot exceed."""

from __future__ import annotations

import numpy as np

__all__ = ["sum_bound"]

# Where a bound that is easy to find is below QC_PREPARED_LIMIT of requantize.h, the exact one is not needed.
ENOUGH = 1 << 29


def sum_bound(
    dtype: str,
    filter: np.ndarray | None,
    bias: np.ndarray | None,
    *,
    axis: int,
    input_offset: int,
    filter_offset: int,
) -> int | None:
    """Return a bound on the magnitude of ``bias + sum (x + input_offset) * (filter + filter_offset)``.

    Parameters
    ----------
    dtype : str
        Of x: ``int8`` or ``uint8``; for others there is no bound.
    filter : ndarray or None
        None where it is not known before running: then there is no bound either.
    bias : ndarray or None
        None for 0.
    axis : int
        That of the output channels, over which is not summed.
    """
    if filter is None or filter.size == 0 or dtype not in ("int8", "uint8"):
        return None
    info = np.iinfo(dtype)
    largest = max(abs(int(info.min) + input_offset), abs(int(info.max) + input_offset))
    term = max(abs(int(filter.min()) + filter_offset), abs(int(filter.max()) + filter_offset))
    biases = np.abs(np.asarray(0 if bias is None else bias, np.int64).reshape(-1))
    simple: int = filter.size // filter.shape[axis] * term * largest + int(biases.max())
    if simple < ENOUGH:
        return simple
    axes = tuple(a for a in range(filter.ndim) if a != axis % filter.ndim)
    sums = np.abs(filter.astype(np.int16) + filter_offset).sum(axis=axes, dtype=np.int64)
    return int((sums * largest + biases).max())
