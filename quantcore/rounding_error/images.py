"""RESIZE_BILINEAR: weights of rows and columns, exact and as the kernels have them."""

from __future__ import annotations

import numpy as np

from quantcore.ops.node import Node
from quantcore.rounding_error.real import Array, RealOutput, fake_quant_error, gamma

__all__ = ["real_resize_bilinear"]


def real_resize_bilinear(node: Node, x: np.ndarray) -> RealOutput:
    """Return the real output of RESIZE_BILINEAR.

    The kernels compute with weights of 10 or 11 fractional bits, and otherwise exactly: what that changes is
    known for each element. The forward pass has positions and weights in float32.
    """
    sizes = [int(n) for n in node.known_value(1).reshape(-1)]
    shifted = x.astype(np.float64) - node.input(0).zero_point
    corners, half = bool(node.options["align_corners"]), bool(node.options["half_pixel_centers"])
    form = node.rule.form or "fixed10"

    def interpolated(form: str) -> Array:
        rows, columns = (weights(form, x.shape[1 + d], sizes[d], corners, half) for d in (0, 1))
        return np.asarray(np.einsum("oi,bijc,pj->bopc", rows, shifted, columns))

    value = interpolated("exact")
    largest = np.abs(shifted).max(axis=(1, 2), keepdims=True)
    forward = gamma(16 + 8 * max(*sizes, *x.shape[1:3])) * largest + fake_quant_error(value)
    return RealOutput(value, np.abs(interpolated(form) - value), forward)


def weights(form: str, size: int, count: int, corners: bool, half: bool) -> Array:
    """Return what each of `size` rows weighs in each of `count` outputs, shape (count, size)."""
    found = np.zeros((count, size))
    for i in range(count):
        low, high, weight = place(form, i, size, count, int(corners and count > 1), half)
        found[i, low] += 1 - weight
        found[i, high] += weight
    return found


def place(form: str, i: int, size: int, count: int, corner: int, half: bool) -> tuple[int, int, float]:
    """Return the two rows of an output row, and the weight of the second."""
    if form == "fixed10":
        scale = ((size - corner) * 1024 + (count - corner) // 2) // (count - corner)
        position = i * scale + (scale // 2 - 512 if half else 0)
        low = min(max(position // 1024, 0), size - 1)
        return low, max(min((position + 1023) // 1024, size - 1), 0), (position - 1024 * low) / 1024
    if form == "fixed11":
        step = np.float32(size - corner) / np.float32(count - corner)
        offset = np.float32(0.5) * step - np.float32(0.5) if half else np.float32(0)
        at = min(max(np.float32(i) * step + offset, np.float32(0)), np.float32(size - 1))
        low = int(at)
        return low, min(low + 1, size - 1), float(np.rint((at - np.float32(low)) * np.float32(2048))) / 2048
    exact = (i + 0.5) * (size / count) - 0.5 if half else i * (size - corner) / (count - corner)
    exact = min(max(exact, 0.0), size - 1.0)
    low = int(exact)
    return low, min(low + 1, size - 1), exact - low
