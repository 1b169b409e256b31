"""SVDF on arrays, which keeps its state in an array of the caller."""

from __future__ import annotations

from typing import Any

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernels._core import Requant
from quantcore.kernels._svdf import svdf_call
from quantcore.kernels.arguments import (
    activation_bounds,
    check_one_of,
    check_range,
    contiguous_input,
    fixed_point,
    most_shift,
    optional_vector,
    run,
    state_array,
)

__all__ = ["svdf"]

ROUNDINGS = ("double_rounding", "single_rounding")


def svdf(
    input: Any,
    weights_feature: Any,
    weights_time: Any,
    bias: Any = None,
    *,
    state: np.ndarray,
    rank: int,
    input_offset: int,
    input_multiplier: int,
    input_shift: int,
    output_offset: int,
    output_multiplier: int,
    output_shift: int,
    state_offset: int = 0,
    input_activation_min: int | None = None,
    input_activation_max: int | None = None,
    activation_min: int | None = None,
    activation_max: int | None = None,
    rounding: str = "double_rounding",
) -> np.ndarray:
    """Run one step of an SVDF layer and append it to `state`.

    The newest entry of each filter is ``clamp(requantize(sum (input + input_offset) * weights_feature)) +
    state_offset``; then ``y = clamp(requantize(bias + sum (state - state_offset) * weights_time) +
    output_offset)``, summed over the entries of `rank` filters. Sums wrap in int32.

    Parameters
    ----------
    input : array_like of int8, shape (batch, inputs)
    weights_feature : array_like of int8, shape (filters, inputs)
    weights_time : array_like of int8 or int16, shape (filters, memory)
    bias : array_like of int32, shape (filters // rank,), optional
    state : ndarray of the dtype of `weights_time`, shape (batch, filters * memory)
        C-contiguous; changed in place. Its first value for a new sequence is `state_offset` everywhere.
    rank : int
        Filters per output.
    input_offset : int
        Minus the zero point of the input, in [-127, 128].
    input_multiplier, input_shift : int
        From the sum to the state: 0 or in [2**30, 2**31); in [-31, 31].
    output_offset : int
        Zero point of the output, in [-128, 127].
    output_multiplier, output_shift : int
        From the sum over time to the output.
    state_offset : int
        Zero point of the state.
    input_activation_min, input_activation_max : int, optional
        Bounds of what enters the state, before `state_offset`; default: those of its dtype.
    activation_min, activation_max : int, optional
        Bounds of the output; default: those of int8.
    rounding : {"double_rounding", "single_rounding"}

    Returns
    -------
    ndarray of int8, shape (batch, filters // rank)

    Raises
    ------
    KernelError
        An argument outside its range, or shapes that do not fit.

    Notes
    -----
    TFLite ``kernels/internal/reference/svdf.h``, CMSIS-NN ``arm_svdf_s8`` and ``arm_svdf_state_s16_s8``
    (whose ``input_offset`` is the zero point itself).
    """
    x = contiguous_input("input", input, ("int8",), 2)
    features = contiguous_input("weights_feature", weights_feature, ("int8",), 2)
    times = contiguous_input("weights_time", weights_time, ("int8", "int16"), 2)
    filters, memory = times.shape
    rank = check_range("rank", rank, 1, max(filters, 1))
    if 0 in (*x.shape, *times.shape) or features.shape != (filters, x.shape[1]) or filters % rank:
        raise KernelError(
            f"input has shape {x.shape}, weights_feature {features.shape}, weights_time {times.shape}, rank "
            f"is {rank}; expected (batch, inputs), (filters, inputs), (filters, memory), a divisor of filters"
        )
    units = filters // rank
    biases = optional_vector("bias", bias, "int32", units)
    memory_of_caller = state_array("state", state, times.dtype, (x.shape[0], filters * memory))
    check_one_of("rounding", rounding, ROUNDINGS)
    limit = most_shift(rounding)
    info = np.iinfo(times.dtype)
    call = svdf_call(
        times.dtype.name,
        (x.shape[0], x.shape[1], filters, memory, rank),
        input_offset=check_range("input_offset", input_offset, -127, 128),
        state_offset=check_range("state_offset", state_offset, int(info.min), int(info.max)),
        to_state=Requant(
            rounding,
            *fixed_point("input_", input_multiplier, input_shift, limit),
            **activation_bounds(times.dtype, input_activation_min, input_activation_max),
        ),
        output=Requant(
            rounding,
            *fixed_point("output_", output_multiplier, output_shift, limit),
            output_offset=check_range("output_offset", output_offset, -128, 127),
            **activation_bounds(np.dtype(np.int8), activation_min, activation_max),
        ),
    )
    return run(call, [x, features, times, biases, memory_of_caller], (x.shape[0], units), "int8")
