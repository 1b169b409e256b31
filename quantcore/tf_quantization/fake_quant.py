"""Fake quantization: values rounded to what a quantized type can hold, still in float32, and its gradients.

A value beyond the range becomes the end of the range, any other the nearest of its ``2**num_bits`` numbers
(``2**num_bits - 1`` with a narrow range); of two equally near ones, the higher. The range is nudged first, so
that it holds 0 exactly: see `quantcore.tf_quantization.nudge`. A NaN stays one; infinities become the ends of
the range. The gradient passes where a value was within the nudged range; where it was below or above, it goes
to the end of the range. Bit-exact with TensorFlow on x86: ``docs/numerics/fake_quant.md``.

Arrays of any layout are accepted and never changed; results are new.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from quantcore.errors import QuantizationError
from quantcore.kernels import fake_quant as kernels
from quantcore.layout import dense_view, restore_order
from quantcore.tf_quantization.arguments import floats
from quantcore.tf_quantization.nudging import checked_range, quantized_range

__all__ = [
    "FakeQuantGradients",
    "fake_quant_with_min_max_args",
    "fake_quant_with_min_max_args_gradient",
    "fake_quant_with_min_max_vars",
    "fake_quant_with_min_max_vars_gradient",
    "fake_quant_with_min_max_vars_per_channel",
    "fake_quant_with_min_max_vars_per_channel_gradient",
]


class FakeQuantGradients(NamedTuple):
    """What the gradients of fake quantization with a variable range are.

    Attributes
    ----------
    backprops_wrt_input : ndarray of float32
        Of the shape of the inputs.
    backprop_wrt_min, backprop_wrt_max : ndarray of float32, shape () or (channels,)
        Sums of the gradients where the input is below the nudged range, and above it.
    """

    backprops_wrt_input: np.ndarray
    backprop_wrt_min: np.ndarray
    backprop_wrt_max: np.ndarray


def fake_quant_with_min_max_args(
    inputs: Any,
    min: float = -6,
    max: float = 6,
    num_bits: int = 8,
    narrow_range: bool = False,
    name: str | None = None,
) -> np.ndarray:
    """Fake-quantize by a fixed range, as ``tf.quantization.fake_quant_with_min_max_args``.

    Steps are counted by a product with the inverse scale, where `fake_quant_with_min_max_vars` divides: close
    to the middle between two numbers the results of the two can differ.

    Parameters
    ----------
    inputs : array_like of float32
        Other real numbers are rounded to float32.
    min, max : float
        Finite, ``min < max``. The range need not hold 0; it is moved.
    num_bits : int
        2 to 16.
    narrow_range : bool
        Use 1 to ``2**num_bits - 1`` in place of 0 to ``2**num_bits - 1``.
    name : str, optional
        Has no effect; it stands where it stands in TensorFlow.

    Returns
    -------
    ndarray of float32, the shape of `inputs`

    Raises
    ------
    QuantizationError
        NaN or infinity in the range, ``min >= max``, `num_bits` outside its bounds, `inputs` that are not
        real.
    """
    low, high = _fixed_range(min, max)
    return _forward("args", inputs, low, high, num_bits, narrow_range)


def fake_quant_with_min_max_args_gradient(
    gradients: Any,
    inputs: Any,
    min: float = -6,
    max: float = 6,
    num_bits: int = 8,
    narrow_range: bool = False,
    name: str | None = None,
) -> np.ndarray:
    """Return the gradient of `fake_quant_with_min_max_args`: `gradients`, times 0 outside the nudged range.

    Parameters
    ----------
    gradients : array_like of float32, the shape of `inputs`
        Of the output.
    inputs, min, max, num_bits, narrow_range, name
        As given to `fake_quant_with_min_max_args`.

    Returns
    -------
    ndarray of float32, the shape of `inputs`
        A NaN or infinity among the gradients is NaN where it is multiplied by 0.

    Raises
    ------
    QuantizationError
        As there, and where the shapes differ.
    """
    low, high = _fixed_range(min, max)
    outputs = _backward("args", gradients, inputs, low, high, num_bits, narrow_range)
    return outputs.backprops_wrt_input


def fake_quant_with_min_max_vars(
    inputs: Any,
    min: Any,
    max: Any,
    num_bits: int = 8,
    narrow_range: bool = False,
    name: str | None = None,
) -> np.ndarray:
    """Fake-quantize by one range, as ``tf.quantization.fake_quant_with_min_max_vars``.

    Parameters
    ----------
    inputs : array_like of float32
        Other real numbers are rounded to float32.
    min, max : float
        Finite, ``min <= max``. The range need not hold 0; it is moved. A range from 0 to 0 makes everything
        0; for any other without width the result is what TensorFlow's arithmetic gives, NaN or 0.
    num_bits : int
        2 to 16.
    narrow_range : bool
        Use 1 to ``2**num_bits - 1`` in place of 0 to ``2**num_bits - 1``.
    name : str, optional
        Has no effect; it stands where it stands in TensorFlow.

    Returns
    -------
    ndarray of float32, the shape of `inputs`

    Raises
    ------
    QuantizationError
        NaN or infinity in the range, ``min > max``, ends that are no single numbers, `num_bits` outside its
        bounds, `inputs` that are not real.
    """
    low, high = checked_range(min, max, ())
    return _forward("vars", inputs, low, high, num_bits, narrow_range)


def fake_quant_with_min_max_vars_gradient(
    gradients: Any,
    inputs: Any,
    min: Any,
    max: Any,
    num_bits: int = 8,
    narrow_range: bool = False,
    name: str | None = None,
    *,
    num_threads: int = 1,
) -> FakeQuantGradients:
    """Return the gradients of `fake_quant_with_min_max_vars`.

    Parameters
    ----------
    gradients : array_like of float32, the shape of `inputs`
        Of the output.
    inputs, min, max, num_bits, narrow_range, name
        As given to `fake_quant_with_min_max_vars`.
    num_threads : int
        Intra-op threads of the TensorFlow whose bits are wanted: it adds in another order with other numbers
        of threads, from 50,150 elements on.

    Returns
    -------
    FakeQuantGradients
        For a range from 0 to 0, `gradients` as they are, 0 and 0.

    Raises
    ------
    QuantizationError
        As there, and where the shapes differ.
    """
    low, high = checked_range(min, max, ())
    return _backward("vars", gradients, inputs, low, high, num_bits, narrow_range, num_threads)


def fake_quant_with_min_max_vars_per_channel(
    inputs: Any,
    min: Any,
    max: Any,
    num_bits: int = 8,
    narrow_range: bool = False,
    name: str | None = None,
) -> np.ndarray:
    """Fake-quantize by a range per channel, as ``tf.quantization.fake_quant_with_min_max_vars_per_channel``.

    Steps are counted by a product with the inverse scale, as in `fake_quant_with_min_max_args`.

    Parameters
    ----------
    inputs : array_like of float32, shape (..., channels)
    min, max : array_like of float32, shape (channels,)
        Finite, ``min <= max``.
    num_bits, narrow_range, name
        As for `fake_quant_with_min_max_vars`.

    Returns
    -------
    ndarray of float32, the shape of `inputs`

    Raises
    ------
    QuantizationError
        As there; `inputs` without dimensions, or ends whose number is not that of the channels.
    """
    low, high = checked_range(min, max, _channels(inputs))
    return _forward("channels", inputs, low, high, num_bits, narrow_range)


def fake_quant_with_min_max_vars_per_channel_gradient(
    gradients: Any,
    inputs: Any,
    min: Any,
    max: Any,
    num_bits: int = 8,
    narrow_range: bool = False,
    name: str | None = None,
    *,
    num_threads: int = 1,
) -> FakeQuantGradients:
    """Return the gradients of `fake_quant_with_min_max_vars_per_channel`.

    Parameters
    ----------
    gradients : array_like of float32, the shape of `inputs`
        Of the output.
    inputs, min, max, num_bits, narrow_range, name
        As given to `fake_quant_with_min_max_vars_per_channel`.
    num_threads : int
        As for `fake_quant_with_min_max_vars_gradient`; it counts from 44,800 elements of a channel on.

    Returns
    -------
    FakeQuantGradients
        Of a channel whose range is from 0 to 0: its `gradients` as they are, 0 and 0.

    Raises
    ------
    QuantizationError
        As there, and where the shapes differ.
    """
    low, high = checked_range(min, max, _channels(inputs))
    return _backward("channels", gradients, inputs, low, high, num_bits, narrow_range, num_threads)


def _fixed_range(min: Any, max: Any) -> tuple[np.ndarray, np.ndarray]:
    low, high = checked_range(min, max, ())
    tiny = np.finfo(np.float32).tiny
    if not np.where(abs(low) < tiny, 0, low) < np.where(abs(high) < tiny, 0, high):
        raise QuantizationError(f"min is {low} and max {high}; expected min < max, subnormal numbers being 0")
    return low, high


def _channels(inputs: Any) -> tuple[int]:
    """Return the shape that ranges per channel must have."""
    shape = np.shape(inputs)
    if not shape:
        raise QuantizationError("inputs is a single number; expected an array of shape (..., channels)")
    return (shape[-1],)


def _forward(
    form: str, inputs: Any, low: np.ndarray, high: np.ndarray, num_bits: int, narrow_range: bool
) -> np.ndarray:
    x = floats("inputs", inputs)
    view, order = dense_view(x) if low.ndim == 0 else (np.require(x, requirements=["C", "A"]), range(x.ndim))
    out = np.empty(view.shape, np.float32)
    call = kernels.fake_quant_call(form, **_parameters(x, low, high, num_bits, narrow_range))
    call([view], [out])
    return restore_order(out, tuple(order))


def _backward(
    form: str,
    gradients: Any,
    inputs: Any,
    low: np.ndarray,
    high: np.ndarray,
    num_bits: int,
    narrow_range: bool,
    num_threads: int = 1,
) -> FakeQuantGradients:
    arrays = [floats(name, a) for name, a in (("gradients", gradients), ("inputs", inputs))]
    g, x = (np.require(array, requirements=["C", "A"]) for array in arrays)
    if g.shape != x.shape:
        raise QuantizationError(f"gradients has shape {g.shape} and inputs {x.shape}; expected equal shapes")
    if num_threads < 1:
        raise QuantizationError(f"num_threads is {num_threads}; expected at least 1")
    parameters = _parameters(x, low, high, num_bits, narrow_range)
    call = kernels.fake_quant_gradient_call(form, num_threads=num_threads, **parameters)
    shapes = (x.shape, low.shape, low.shape)
    of_inputs, of_low, of_high = (np.empty(shape, np.float32) for shape in shapes)
    call([g, x], [of_inputs, *((None, None) if form == "args" else (of_low, of_high))])
    return FakeQuantGradients(of_inputs, of_low, of_high)


def _parameters(
    x: np.ndarray, low: np.ndarray, high: np.ndarray, num_bits: int, narrow_range: bool
) -> dict[str, Any]:
    quant_min, quant_max = quantized_range(num_bits, narrow_range)
    outer = x.size // max(low.size, 1)
    return {"outer": outer, "low": low, "high": high, "quant_min": quant_min, "quant_max": quant_max}
