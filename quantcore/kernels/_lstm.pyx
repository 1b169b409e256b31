"""UNIDIRECTIONAL_SEQUENCE_LSTM over csrc/reference/lstm.c."""

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, address, make_call, qc_rounding

import numpy as np

from quantcore.kernels._core import DTYPE_SUFFIX, ROUNDINGS
from quantcore.kernels.pack_filter import pack_filter

cdef extern from "quantcore/lstm.h" nogil:
    ctypedef struct qc_lstm_shape:
        int32_t batches
        int32_t steps
        int32_t inputs
        int32_t cells
        int32_t outputs
        int32_t time_major
        int32_t input_tensors
        int32_t normalized
    ctypedef struct qc_multiplier:
        int32_t multiplier
        int32_t shift
    ctypedef struct qc_lstm_gate:
        qc_multiplier input
        qc_multiplier recurrent
        qc_multiplier peephole
        qc_multiplier norm
        int32_t variance_guard
    ctypedef struct qc_lstm_params:
        qc_lstm_shape shape
        qc_rounding rounding
        int32_t peephole_body
        int32_t clamp_recurrent
        int32_t table
        int32_t input_offset
        int32_t recurrent_offset
        qc_lstm_gate gates[4]
        qc_multiplier forget_to_cell
        qc_multiplier input_to_cell
        int32_t cell_scale_power
        int32_t cell_clip
        qc_multiplier hidden
        int32_t hidden_offset
        qc_multiplier projection
        int32_t output_offset
        int32_t projection_clip
        const void *packed_input
        const void *packed_recurrent
        const void *packed_projection
    int64_t qc_lstm_scratch_size(const qc_lstm_shape *s)

cdef extern from "quantcore/lstm_float.h" nogil:
    ctypedef enum qc_lstm_activation:
        QC_LSTM_TANH
        QC_LSTM_RELU
        QC_LSTM_RELU6
        QC_LSTM_RELU_N1_TO_1
    ctypedef struct qc_lstm_f32_params:
        qc_lstm_shape shape
        int32_t micro
        qc_lstm_activation activation
        float cell_clip
        float projection_clip
        int32_t hybrid
        int32_t asymmetric
        int32_t sign_overflow
        float input_scale[4]
        float recurrent_scale[4]
        float peephole_scale[4]
        float projection_scale
        const void *packed_input
        const void *packed_recurrent
        const void *packed_projection
    int64_t qc_lstm_f32_scratch_size(const qc_lstm_shape *s)

ACTIVATIONS = {
    "TANH": QC_LSTM_TANH,
    "RELU": QC_LSTM_RELU,
    "RELU6": QC_LSTM_RELU6,
    "RELU_N1_TO_1": QC_LSTM_RELU_N1_TO_1,
}


cdef qc_lstm_shape c_shape(object shape):
    """Convert an `LstmShape`; a value outside int32 raises OverflowError."""
    cdef qc_lstm_shape s
    (s.batches, s.steps, s.inputs, s.cells, s.outputs, s.time_major, s.input_tensors, s.normalized) = shape
    return s


cdef qc_multiplier c_multiplier(object pair):
    cdef qc_multiplier m
    (m.multiplier, m.shift) = pair
    return m


cdef qc_lstm_gate c_gate(object gate):
    """Convert an `GateFactors`."""
    cdef qc_lstm_gate g
    g.input = c_multiplier(gate.input)
    g.recurrent = c_multiplier(gate.recurrent)
    g.peephole = c_multiplier(gate.peephole)
    g.norm = c_multiplier(gate.norm)
    g.variance_guard = gate.variance_guard
    return g


def lstm_call(str dtype, shape, gates, *, str rounding, int32_t peephole_body, bint clamp_recurrent, bint table,
              int32_t input_offset, int32_t recurrent_offset, forget_to_cell, input_to_cell,
              int32_t cell_scale_power, int32_t cell_clip, hidden, int32_t hidden_offset, projection,
              int32_t output_offset, int32_t projection_clip, weights=None) -> KernelCall:
    """Quantized LSTM; `dtype` is int8 or int16, factors are pairs (multiplier, shift).

    See ``qc_lstm_params`` for the parameters, `quantcore.kernels.lstm_shape` for `shape`, the four `gates`, and the
    constant `weights`.
    """
    cdef qc_lstm_params p
    cdef int i
    packed = pack_weights(weights)
    p.packed_input, p.packed_recurrent, p.packed_projection = address(packed[0]), address(packed[1]), address(packed[2])
    p.shape = c_shape(shape)
    p.rounding = <qc_rounding><int>ROUNDINGS[rounding]
    p.peephole_body = peephole_body
    p.clamp_recurrent = clamp_recurrent
    p.table = table
    p.input_offset = input_offset
    p.recurrent_offset = recurrent_offset
    for i in range(4):
        p.gates[i] = c_gate(gates[i])
    p.forget_to_cell = c_multiplier(forget_to_cell)
    p.input_to_cell = c_multiplier(input_to_cell)
    p.cell_scale_power = cell_scale_power
    p.cell_clip = cell_clip
    p.hidden = c_multiplier(hidden)
    p.hidden_offset = hidden_offset
    p.projection = c_multiplier(projection)
    p.output_offset = output_offset
    p.projection_clip = projection_clip
    return make_call(f"lstm_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), qc_lstm_scratch_size(&p.shape), packed)


def pack_weights(weights):
    """Return the three groups of `LstmWeights`, each one matrix laid out for products; None for one that is empty."""
    return [pack_rows(matrices) if matrices else None for matrices in weights or ((), (), ())]


def pack_rows(matrices):
    """Return matrices of equal width, one below the other, laid out for products."""
    stacked = np.concatenate(matrices)
    return pack_filter(stacked.dtype.name, stacked, 1, *stacked.shape)


def lstm_f32_call(shape, *, bint micro, str activation, float cell_clip, float projection_clip, scales=None,
                  bint asymmetric=False, bint sign_overflow=False, weights=None) -> KernelCall:
    """LSTM on float32; see ``qc_lstm_f32_params``. `scales` are `LstmScales` for int8 weights; `weights` as for
    `lstm_call`."""
    cdef qc_lstm_f32_params p
    cdef int i
    packed = pack_weights(weights)
    p.packed_input, p.packed_recurrent, p.packed_projection = address(packed[0]), address(packed[1]), address(packed[2])
    p.shape = c_shape(shape)
    p.micro = micro
    p.activation = <qc_lstm_activation><int>ACTIVATIONS[activation]
    p.cell_clip = cell_clip
    p.projection_clip = projection_clip
    p.hybrid = scales is not None
    p.asymmetric = asymmetric
    p.sign_overflow = sign_overflow
    for i in range(4):
        p.input_scale[i] = scales.input[i] if p.hybrid else 1
        p.recurrent_scale[i] = scales.recurrent[i] if p.hybrid else 1
        p.peephole_scale[i] = scales.peephole[i] if p.hybrid else 1
    p.projection_scale = scales.projection if p.hybrid else 1
    return make_call("lstm_f32", &p, sizeof(p), qc_lstm_f32_scratch_size(&p.shape), packed)
