"""What an LSTM kernel needs to know of its operands, as tuples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["GateFactors", "LstmScales", "LstmShape", "LstmWeights"]

Factor = tuple[int, int]
NONE: Factor = (0, 0)


class LstmShape(NamedTuple):
    """Sizes of an LSTM; ``qc_lstm_shape`` of csrc/include/quantcore/lstm.h."""

    batches: int
    steps: int
    inputs: int
    cells: int
    outputs: int
    time_major: bool
    input_tensors: int
    normalized: bool


class GateFactors(NamedTuple):
    """Factors of one gate as pairs (multiplier, shift); ``qc_lstm_gate``."""

    input: Factor = NONE
    recurrent: Factor = NONE
    peephole: Factor = NONE
    norm: Factor = NONE
    variance_guard: int = 1


class LstmScales(NamedTuple):
    """Scales of int8 weights, one per gate where there are four; of ``qc_lstm_f32_params``."""

    input: tuple[float, ...]
    recurrent: tuple[float, ...]
    peephole: tuple[float, ...]
    projection: float


class LstmWeights(NamedTuple):
    """Constant weights: of the gates that there are, in their order, and of the projection, one or none."""

    input: Sequence[np.ndarray[Any, Any]]
    recurrent: Sequence[np.ndarray[Any, Any]]
    projection: Sequence[np.ndarray[Any, Any]]
