"""LSTM on arrays, which keeps its state in arrays of the caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernels._lstm import lstm_call
from quantcore.kernels.arguments import (
    check_offset,
    check_one_of,
    check_range,
    contiguous_input,
    fixed_point,
    most_shift,
    optional_vector,
    run,
    state_array,
)
from quantcore.kernels.lstm_shape import GateFactors, LstmShape

__all__ = ["LstmGate", "lstm"]

ROUNDINGS = ("double_rounding", "single_rounding")
FUNCTIONS = ("table", "fixed_point")
NO_CLIP = 2**31 - 1
INPUT_TENSORS = 24
GATE_NAMES = ("input_gate", "forget_gate", "cell_gate", "output_gate")
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class LstmGate:
    """Weights of one gate of `lstm`, and the factors that bring their products to Q3.12.

    Attributes
    ----------
    input_weights : array_like of int8, shape (hidden, inputs)
    input_multiplier, input_shift : int
        Of ``input scale * input weights scale * 2**12``.
    hidden_weights : array_like of int8, shape (hidden, hidden)
    hidden_multiplier, hidden_shift : int
        Of ``output scale * hidden weights scale * 2**12``.
    bias : array_like of int32 (int64 with int16 input), shape (hidden,), optional
        Without the products of zero points (CMSIS-NN's ``bias``, not its effective bias).
    """

    input_weights: Any
    input_multiplier: int
    input_shift: int
    hidden_weights: Any
    hidden_multiplier: int
    hidden_shift: int
    bias: Any = None


def lstm(
    input: Any,
    *,
    input_gate: LstmGate | None,
    forget_gate: LstmGate,
    cell_gate: LstmGate,
    output_gate: LstmGate,
    input_offset: int,
    output_offset: int,
    output_multiplier: int,
    output_shift: int,
    forget_to_cell_multiplier: int,
    forget_to_cell_shift: int,
    input_to_cell_multiplier: int,
    input_to_cell_shift: int,
    cell_scale_power: int,
    cell_clip: int | None = None,
    hidden_state: Array | None = None,
    cell_state: Array | None = None,
    time_major: bool = False,
    functions: str = "table",
    clamp_hidden: bool = False,
    rounding: str = "double_rounding",
) -> Array:
    """Run an LSTM over a sequence.

    Gates are ``logistic(W x + R h)``, the cell gate ``tanh(W x + R h)``, from sums in Q3.12 to Q0.15. Then
    ``c = clamp(f * c + i * g, -cell_clip, cell_clip)`` and ``h = o * tanh(c)``, each product requantized.

    Parameters
    ----------
    input : array_like of int8 or int16, shape (batch, steps, inputs), or (steps, batch, inputs)
    input_gate, forget_gate, cell_gate, output_gate : LstmGate
        Without input gate (CIFG) ``i = 1 - f``.
    input_offset : int
        Minus the zero point of the input.
    output_offset : int
        Zero point of the output.
    output_multiplier, output_shift : int
        Of ``2**-30 / output scale``.
    forget_to_cell_multiplier, forget_to_cell_shift : int
        Of ``2**-15``: (2**30, -14) as TFLite Micro and CMSIS-NN have it, rounded twice; (2**31 - 1, -15) as
        TFLite, rounded once.
    input_to_cell_multiplier, input_to_cell_shift : int
        Of ``2**-30 / cell scale``, likewise.
    cell_scale_power : int
        The cell state has scale ``2**cell_scale_power``: in [-27, 2], or for ``fixed_point`` in [-15, -9].
    cell_clip : int, optional
        In [0, 32767]; default: none.
    hidden_state : ndarray of the input's dtype, shape (batch, hidden), optional
        C-contiguous; changed in place. Without it, `output_offset` everywhere.
    cell_state : ndarray of int16, shape (batch, hidden), optional
        Likewise; without it, 0.
    time_major : bool
        Whether the first dimension of input and output is time.
    functions : {"table", "fixed_point"}
        Logistic and tanh by interpolation (TFLite Micro, CMSIS-NN), or gemmlowp's 16-bit functions (TFLite).
    clamp_hidden : bool
        Whether ``R h`` is clamped to int16 before it is added (TFLite Micro).
    rounding : {"double_rounding", "single_rounding"}

    Returns
    -------
    ndarray of the input's dtype, shape (batch, steps, hidden) or (steps, batch, hidden)

    Raises
    ------
    KernelError
        An argument outside its range, or shapes that do not fit.

    Notes
    -----
    TFLite ``kernels/lstm_eval.cc``, CMSIS-NN ``arm_lstm_unidirectional_s8`` and
    ``arm_lstm_unidirectional_s16``.
    """
    x = contiguous_input("input", input, ("int8", "int16"), 3)
    gates = [input_gate, forget_gate, cell_gate, output_gate]
    for given, name in zip(gates, GATE_NAMES, strict=True):
        if not isinstance(given, LstmGate) and (given is not None or name != "input_gate"):
            raise KernelError(f"{name} is {type(given).__name__}; expected an LstmGate")
    hidden = np.shape(output_gate.input_weights)[0] if np.ndim(output_gate.input_weights) else 0
    if 0 in (*x.shape, hidden):
        raise KernelError(f"input has shape {x.shape} and there are {hidden} cells; expected at least 1 each")
    steps, batch = x.shape[:2] if time_major else (x.shape[1], x.shape[0])
    shape = LstmShape(batch, steps, x.shape[2], hidden, hidden, time_major, INPUT_TENSORS, False)
    check_one_of("functions", functions, FUNCTIONS)
    check_one_of("rounding", rounding, ROUNDINGS)
    limit = most_shift(rounding)
    operands = [
        _gate_operands(gate, name, shape, x.dtype) for gate, name in zip(gates, GATE_NAMES, strict=True)
    ]
    info = np.iinfo(x.dtype)
    offset = check_range("output_offset", output_offset, int(info.min), int(info.max))
    h = state_array("hidden_state", hidden_state, x.dtype, (batch, hidden), offset)
    c = state_array("cell_state", cell_state, np.dtype(np.int16), (batch, hidden), 0)
    powers = (-27, 2) if functions == "table" else (-15, -9)
    tensors: list[Array | None] = [None] * INPUT_TENSORS
    tensors[0], tensors[18], tensors[19] = x, h, c
    for gate, arrays in enumerate(operands):
        tensors[1 + gate], tensors[5 + gate], tensors[12 + gate] = arrays
    call = lstm_call(
        x.dtype.name,
        shape,
        [_gate_factors(gate, name, x.dtype, limit) for gate, name in zip(gates, GATE_NAMES, strict=True)],
        rounding=rounding,
        peephole_body=0,
        clamp_recurrent=clamp_hidden,
        table=functions == "table",
        input_offset=check_offset("input_offset", input_offset, x.dtype),
        recurrent_offset=-offset,
        forget_to_cell=fixed_point("forget_to_cell_", forget_to_cell_multiplier, forget_to_cell_shift, limit),
        input_to_cell=fixed_point("input_to_cell_", input_to_cell_multiplier, input_to_cell_shift, limit),
        cell_scale_power=check_range("cell_scale_power", cell_scale_power, *powers),
        cell_clip=NO_CLIP if cell_clip is None else check_range("cell_clip", cell_clip, 0, 32767),
        hidden=fixed_point("output_", output_multiplier, output_shift, limit),
        hidden_offset=offset,
        projection=(0, 0),
        output_offset=0,
        projection_clip=NO_CLIP,
    )
    return run(call, tensors, (*x.shape[:2], hidden), x.dtype)


def _gate_operands(
    gate: LstmGate | None, name: str, shape: LstmShape, dtype: np.dtype[Any]
) -> tuple[Array | None, Array | None, Array | None]:
    """Return input weights, hidden weights and bias of a gate, checked."""
    if gate is None:
        return None, None, None
    result = []
    for field, columns in (("input_weights", shape.inputs), ("hidden_weights", shape.cells)):
        weights = contiguous_input(f"{name}.{field}", getattr(gate, field), ("int8",), 2)
        if weights.shape != (shape.cells, columns):
            raise KernelError(f"{name}.{field} has shape {weights.shape}; expected {(shape.cells, columns)}")
        result.append(weights)
    kind = "int32" if dtype == np.int8 else "int64"
    bias = np.zeros(shape.cells, kind) if gate.bias is None else gate.bias
    return result[0], result[1], optional_vector(f"{name}.bias", bias, kind, shape.cells)


def _gate_factors(gate: LstmGate | None, name: str, dtype: np.dtype[Any], limit: int) -> GateFactors:
    """Return the factors of a gate; sums of int16 activations have 64 bits and take shifts up to 7."""
    if gate is None:
        return GateFactors()
    limit = limit if dtype == np.int8 else 7
    return GateFactors(
        fixed_point(f"{name}.input_", gate.input_multiplier, gate.input_shift, limit),
        fixed_point(f"{name}.hidden_", gate.hidden_multiplier, gate.hidden_shift, limit),
    )
