"""Affine quantization: ``real = scale * (q - zero_point)``.

`QuantParams` holds the parameters, `choose_qparams` derives them from a range as the TFLite converter does,
and `quantize`, `dequantize` and `requantize` apply them with the bits of TFLite's reference kernels. The
arithmetic is derived in ``docs/numerics/README.md``. `quantize_multiplier` is from `quantcore.fixed_point`,
which has the other fixed-point primitives.

Arrays of any layout are accepted and never changed: non-contiguous, Fortran order, read-only, memory-mapped,
empty, 0-d. Results are new arrays of the same shape, in the memory order of the input where that is dense.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from quantcore.errors import QuantizationError
from quantcore.fixed_point import quantize_multiplier
from quantcore.kernels import affine as kernels
from quantcore.kernels._core import KernelCall, Requant
from quantcore.layout import channel_view, dense_view, resolve_axis, restore_order
from quantcore.numerics import Profile, get_profile
from quantcore.qparams import QuantParams, choose_qparams, storage_name
from quantcore.requantization import QUANTIZE_RULES, requantize_delegated, requantize_multiplier

__all__ = [
    "QuantParams",
    "choose_qparams",
    "dequantize",
    "quantize",
    "quantize_multiplier",
    "requantize",
]


def quantize(x: Any, p: QuantParams, *, out: np.ndarray | None = None) -> np.ndarray:
    """Return ``clamp(round(x / scale) + zero_point, qmin, qmax)`` as TFLite's reference QUANTIZE does.

    The division is a true float32 division, and the rounding half away from zero. Where ``x / scale`` is NaN
    or does not fit int32, the conversion gives ``-2**31`` whatever the sign, and the sum with the zero point
    wraps: NaN, +inf and -inf all become `qmin` where the zero point is at least 0, and `qmax` where it is
    negative.

    Parameters
    ----------
    x : array_like of float32
        float16 is exact; float64 and integers are rounded to float32 first.
    p : QuantParams
        Per channel: ``x.shape[axis]`` must be the number of scales.
    out : ndarray of ``p.storage``, the shape of `x`, optional
        Where to put the result; saves the allocation, which costs more than the arithmetic on large arrays.

    Returns
    -------
    ndarray of ``p.storage``, the shape of `x`

    Raises
    ------
    QuantizationError
        `x` is not real, or has another number of channels.
    """
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise QuantizationError(f"x is {array.dtype}; expected real numbers")
    if array.dtype != np.float32:
        with np.errstate(over="ignore"):  # a float64 beyond float32 is an infinity
            array = array.astype(np.float32)

    def call(outer: int, inner: int) -> KernelCall:
        return kernels.quantize_call(
            storage_name(p.dtype),
            outer=outer,
            inner=inner,
            scale=p.scale,
            zero_point=p.zero_point,
            qmin=p.qmin,
            qmax=p.qmax,
        )

    return _apply(call, array, p, p.storage, out)


def dequantize(q: Any, p: QuantParams, *, out: np.ndarray | None = None) -> np.ndarray:
    """Return ``scale * (q - zero_point)`` as float32, with the bits of TFLite's reference DEQUANTIZE.

    The product is formed in float64 and rounded once to float32.

    Parameters
    ----------
    q : array_like of ``p.storage``
        Lists and integers are converted where they fit.
    p : QuantParams
    out : ndarray of float32, the shape of `q`, optional
        Where to put the result.

    Raises
    ------
    QuantizationError
        `q` has another dtype, or another number of channels.
    """

    def call(outer: int, inner: int) -> KernelCall:
        return kernels.dequantize_call(
            storage_name(p.dtype), outer=outer, inner=inner, scale=p.scale, zero_point=p.zero_point
        )

    return _apply(call, _quantized(q, p), p, np.dtype(np.float32), out)


def requantize(q: Any, p: QuantParams, p2: QuantParams, numerics: str = "reference") -> np.ndarray:
    """Return what `q`, quantized by `p`, is when quantized by `p2`, in integers: QUANTIZE between integers.

    ``clamp(rule(q - p.zero_point) + p2.zero_point, p2.qmin, p2.qmax)``, where the rule multiplies by
    ``p.scale / p2.scale`` in fixed point. Rules: ``docs/numerics/requantize.md``. Where one treats the last
    elements otherwise (``optimized``: those after the last full 16), they are counted in C order over the
    whole array.

    Parameters
    ----------
    q : array_like of ``p.storage``
    p, p2 : QuantParams
        Either may be per channel; if both are, along the same axis. Not where the rule depends on the place
        of an element: no backend requantizes per channel.
    numerics : str
        Numerics profile that names the rule. What ``xnnpack`` declines (ratios of scales outside
        [2**-8, 2**7], other dtypes) goes by ``optimized``.

    Raises
    ------
    QuantizationError
        `q` does not fit `p`, `p` and `p2` do not fit each other, or the ratio of the scales is ``2**31`` or
        more.
    QuantcoreError
        The profile has no rule for it.
    """
    array = _quantized(q, p)
    profile = get_profile(numerics)
    axes = {resolve_axis(one.axis, array.ndim) for one in (p, p2) if one.axis is not None}
    if len(axes) > 1:
        raise QuantizationError(f"p has axis {p.axis} and p2 {p2.axis}; expected the same")
    if not axes:
        numbers: tuple[Any, ...] = (p.scale, p.zero_point, p2.scale, p2.zero_point)
        return _requantize_channel(array, p, p2, numbers, profile)
    axis = axes.pop()
    channels = array.shape[axis]
    columns = [_per_channel(v, channels) for v in (p.scale, p.zero_point, p2.scale, p2.zero_point)]
    out = np.empty(array.shape, p2.storage)
    source, target = np.moveaxis(array, axis, 0), np.moveaxis(out, axis, 0)
    for c, numbers in enumerate(zip(*columns, strict=True)):
        target[c] = _requantize_channel(source[c], p, p2, numbers, profile, whole=False)
    return out


def _requantize_channel(
    q: np.ndarray,
    p: QuantParams,
    p2: QuantParams,
    numbers: tuple[Any, ...],
    profile: Profile,
    *,
    whole: bool = True,
) -> np.ndarray:
    """Requantize by one pair of scales: the `whole` array, or what belongs to one channel."""
    scale, zero_point, scale2, zero_point2 = numbers
    delegated = requantize_delegated(p.dtype, p2.dtype, scale, scale2)
    rule = profile.rule(QUANTIZE_RULES, f"{p.dtype}_to_{p2.dtype}", delegated=delegated)
    if rule is None:
        raise QuantizationError(
            f"the numerics profile {profile.name!r} has no confirmed rule for {p.dtype} to {p2.dtype}"
        )
    if not whole and (rule.block or rule.form):
        raise QuantizationError(f"the numerics profile {profile.name!r} has no requantization per channel")
    real = requantize_multiplier(rule, scale, scale2)
    multiplier, shift = quantize_multiplier(real)
    if shift > 31:
        raise QuantizationError(f"the ratio of the scales is {real:g}; expected less than 2**31")
    requant = Requant(
        rule.rounding,
        multiplier,
        shift,
        real_multiplier=real,
        output_offset=int(zero_point2),
        activation_min=p2.qmin,
        activation_max=p2.qmax,
        body=rule.body(q.size),
        tail=rule.tail if rule.block else None,
    )
    # the place of an element counts where there is a tail
    view, order = dense_view(np.ascontiguousarray(q).reshape(q.shape) if rule.block else q)
    out = np.empty(view.shape, p2.storage)
    call = kernels.requantize_call(
        storage_name(p.dtype),
        storage_name(p2.dtype),
        count=q.size,
        input_zero_point=int(zero_point),
        requant=requant,
    )
    call([view], [out])
    return restore_order(out, order)


def _per_channel(value: Any, channels: int) -> np.ndarray:
    """Return one value per channel, whether `value` is per tensor or per channel."""
    if np.ndim(value) and np.size(value) != channels:
        raise QuantizationError(f"the array has {channels} channels, the parameters have {np.size(value)}")
    return np.broadcast_to(value, (channels,))


def _quantized(q: Any, p: QuantParams) -> np.ndarray:
    """Return `q` as an array of the storage dtype of `p`."""
    try:
        array = q if isinstance(q, np.ndarray | np.generic) else np.asarray(q, dtype=p.storage)
    except (OverflowError, TypeError, ValueError):
        raise QuantizationError(f"q does not fit {p.storage}, which holds {p.dtype} values") from None
    array = np.asarray(array)
    if array.dtype != p.storage:
        raise QuantizationError(f"q is {array.dtype}; expected {p.storage}, which holds {p.dtype} values")
    return array if array.dtype.isnative else array.astype(p.storage)


def _apply(
    make_call: Callable[[int, int], KernelCall],
    array: np.ndarray,
    p: QuantParams,
    dtype: np.dtype,
    out: np.ndarray | None,
) -> np.ndarray:
    """Run an element-wise kernel over an array of any layout, per tensor or per channel."""
    if out is not None and (out.shape != array.shape or out.dtype != dtype or not out.flags.writeable):
        raise QuantizationError(
            f"out is {out.dtype} of shape {out.shape}; expected writable {dtype} of shape {array.shape}"
        )
    view, order = dense_view(array)
    axis = None if p.axis is None else order.index(resolve_axis(p.axis, array.ndim))
    outer, channels, inner = channel_view(view.shape, axis)
    if channels != p.channels:
        raise QuantizationError(
            f"dimension {p.axis} of shape {array.shape} has {channels} channels; "
            f"the parameters have {p.channels}"
        )
    target = None if out is None else out.transpose(order)
    if target is None or not (target.flags.carray and not np.may_share_memory(target, view)):
        target = np.empty(view.shape, dtype)
    make_call(outer, inner)([view], [target])
    result = restore_order(target, order)
    if out is None:
        return result
    if not np.may_share_memory(out, result):
        out[...] = result
    return out
