"""Scales and codes of weights in the mode dynamic, as TFLite's converter computes them.

The modes int8 and int16x8 round scales to float32 before they divide by them; this one does not. Sources:
``ExtractMinMaxFromAttr`` and ``GetQuantizedType`` in TensorFlow's ``quantization_utils.cc`` (without legacy
float scales), ``quantizeF32ToInt8`` in MLIR's ``UniformSupport.h``.
"""

from __future__ import annotations

import numpy as np

from quantcore.graph import Quantization
from quantcore.kernels.knots import round_half_away
from quantcore.layout import channel_view
from quantcore.quantizer.parameters import channel_blocks, weight_ranges

__all__ = ["quantize_weights_dynamic"]

SMALLEST_RANGE = 1e-6  # ranges up to this one are widened to it
BLOCK_ELEMENTS = 1 << 16  # as float64 these stay in a core's cache


def quantize_weights_dynamic(weights: np.ndarray, axis: int | None) -> tuple[np.ndarray, Quantization]:
    """Return int8 codes and parameters of weights: ``round(w / scale)``, where ``scale = 2 max |w| / 254``.

    Both in float64; the scale is stored as float32. ``max |w|`` is taken to be at least 5e-7.

    Parameters
    ----------
    weights : ndarray of float32, finite
    axis : int or None
        Dimension of the channels; None: one scale.
    """
    largest = np.atleast_1d(weight_ranges(weights, axis)).astype(np.float64)
    largest = np.where(2 * largest > SMALLEST_RANGE, largest, SMALLEST_RANGE / 2)
    scales = 2 * largest / 254
    codes = np.empty(weights.shape, np.int8)
    outer, channels, inner = (weights.size, 1, 1) if axis is None else channel_view(weights.shape, axis)
    source, target = (array.reshape(outer, channels, inner) for array in (weights, codes))
    for rows, columns in channel_blocks(outer, channels, inner, BLOCK_ELEMENTS):
        steps = source[rows, columns].astype(np.float64)
        steps /= scales[columns, np.newaxis]
        target[rows, columns] = _rounded(steps)
    zero_points = np.zeros(scales.size, np.int64)
    return codes, Quantization(scales.astype(np.float32), zero_points, 0 if axis is None else axis)


def _rounded(steps: np.ndarray) -> np.ndarray:
    """Return C's ``round`` of values of at most 127: NumPy's, which is faster, where no value is a tie."""
    even: np.ndarray = np.rint(steps)
    ties = np.abs(steps - even) == 0.5
    return round_half_away(steps) if ties.any() else even
