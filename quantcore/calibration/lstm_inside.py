"""Values inside of a float LSTM that its kernel does not hand out: computed again from its output.

The output of every step is known, so the products need no loop over steps; what is left per step is
element-wise. In float32 with NumPy, so not to the last bit of any kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from quantcore.graph import Operator, Subgraph
from quantcore.ops.shared.lstm_operands import (
    BIAS,
    CELL_STATE,
    HIDDEN,
    INPUT_WEIGHTS,
    NORM,
    OUTPUT_STATE,
    PEEPHOLE,
    PROJECTION,
    RECURRENT_WEIGHTS,
)
from quantcore.ops.shared.lstm_quantization import has_input, is_normalized

__all__ = ["LstmInside", "lstms_to_replay", "shows_all"]

INPUT, FORGET, CELL, OUTPUT = range(4)
VARIANCE_FLOOR = np.float32(1e-8)

ACTIVATIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "NONE": lambda x: x,
    "TANH": np.tanh,
    "RELU": lambda x: np.maximum(x, 0),
    "RELU6": lambda x: np.clip(x, 0, 6),
}


def lstms_to_replay(subgraph: Subgraph) -> list[LstmInside]:
    """Return the LSTMs whose intermediate tensors hold more than their output does."""
    return [
        LstmInside(subgraph, op)
        for op in subgraph.operators
        if op.op == "UNIDIRECTIONAL_SEQUENCE_LSTM" and op.intermediates and not shows_all(op)
    ]


def shows_all(op: Operator) -> bool:
    """Whether the output of an LSTM is ``o * tanh(c)``, and nothing else inside needs a range."""
    return not (has_input(op, PROJECTION) or is_normalized(op))


class LstmInside:
    """One LSTM of a model with intermediate tensors.

    Attributes
    ----------
    input, output, output_state, cell_state : int
        Tensors that `values` needs.
    measured : list of int
        Intermediate tensors that have values.
    """

    def __init__(self, subgraph: Subgraph, op: Operator) -> None:
        self._subgraph, self._op = subgraph, op
        self.input, self.output = op.inputs[0], op.outputs[0]
        self.output_state, self.cell_state = op.inputs[OUTPUT_STATE], op.inputs[CELL_STATE]
        self._gates = [g for g in range(4) if has_input(op, INPUT_WEIGHTS + g)]
        self._normalized = is_normalized(op)
        self._activation = ACTIVATIONS[op.options.get("fused_activation_function", "TANH")]
        sums = [op.intermediates[g] for g in self._gates] if self._normalized else []
        self.measured = [*sums, op.intermediates[HIDDEN]]

    def values(
        self, x: np.ndarray, y: np.ndarray, output_state: np.ndarray, cell_state: np.ndarray
    ) -> dict[int, np.ndarray]:
        """Return the values of the intermediate tensors, by tensor.

        Parameters
        ----------
        x, y : ndarray of float32, shape (batches, steps, n), or (steps, batches, n) if time-major
            Input and output of one run.
        output_state, cell_state : ndarray of float32, shape (batches, n)
            State before the run.
        """
        if not self._op.options.get("time_major", False):
            x, y = x.swapaxes(0, 1), y.swapaxes(0, 1)
        batches = x.shape[1]
        before = np.concatenate([output_state.reshape(1, batches, -1), y[:-1]])
        sums = {g: self._products(g, x, before) for g in self._gates}
        cells = cell_state.reshape(batches, -1)
        clip = np.float32(self._op.options.get("cell_clip", 0.0))
        hidden = np.empty((*x.shape[:2], cells.shape[-1]), np.float32)
        for step in range(len(x)):
            gate = {g: self._gate(g, sums[g][step], cells) for g in self._gates if g != OUTPUT}
            let_in = gate[INPUT] if INPUT in gate else 1 - gate[FORGET]
            cells = gate[FORGET] * cells + let_in * gate[CELL]
            if clip > 0:
                cells = np.clip(cells, -clip, clip)
            hidden[step] = self._gate(OUTPUT, sums[OUTPUT][step], cells) * self._activation(cells)
        arrays = [*(sums[g] for g in self._gates), hidden][-len(self.measured) :]
        return dict(zip(self.measured, arrays, strict=True))

    def _products(self, gate: int, x: np.ndarray, before: np.ndarray) -> np.ndarray:
        weights, recurrent = (self._constant(first + gate) for first in (INPUT_WEIGHTS, RECURRENT_WEIGHTS))
        sums: np.ndarray = x @ weights.T + before @ recurrent.T
        return sums if self._normalized else sums + self._constant(BIAS + gate)

    def _gate(self, gate: int, sums: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Return a gate from its sums, to which the peephole's part is added in place."""
        peephole = PEEPHOLE + min(gate, 2)
        if gate != CELL and has_input(self._op, peephole):
            sums += self._constant(peephole) * cells
        if self._normalized:
            centered = sums - sums.mean(-1, keepdims=True)
            deviation = np.sqrt((centered**2).mean(-1, keepdims=True) + VARIANCE_FLOOR)
            sums = centered / deviation * self._constant(NORM + gate) + self._constant(BIAS + gate)
        activated: np.ndarray = self._activation(sums) if gate == CELL else 1 / (1 + np.exp(-sums))
        return activated

    def _constant(self, position: int) -> np.ndarray:
        data = self._subgraph.tensors[self._op.inputs[position]].data
        assert data is not None
        return data
