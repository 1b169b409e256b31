/* UNIDIRECTIONAL_SEQUENCE_LSTM, quantized.
 *
 *   i, f, o = logistic(W x + R h + P c),  g = tanh(W x + R h)     with weights of their own
 *   c = clip(f * c + i * g),  h = o * tanh(c), projected if there are projection weights
 *
 * P c (peephole) is element-wise, and o sees the new c. With layer normalization a gate's sum is normalized
 * over its cells, scaled by coefficients, and only then biased. Without an input gate (CIFG) i = 1 - f.
 *
 * tensors, NULL where omitted: 0 input; 1 to 4 input weights [cells, inputs] of the gates i, f, g, o; 5 to 8
 * recurrent weights [cells, outputs]; 9 to 11 peephole weights [cells] of i, f, o, int16; 12 to 15 biases
 * [cells]; 16 projection weights [outputs, cells]; 17 its bias [outputs]; 18 the output state h [batches,
 * outputs] and 19 the cell state c [batches, cells], read and written; 20 to 23 coefficients of the layer
 * normalization [cells], int16; last the output. Input and output are [steps, batches, n] or [batches,
 * steps, n].
 *
 * Source of the rules: TFLite kernels/lstm_eval.cc, kernels/unidirectional_sequence_lstm.cc,
 * kernels/internal/reference/portable_tensor_utils.cc; TFLite Micro kernels/lstm_eval.h, lstm_eval_common.cc.
 * Derivation: docs/numerics/unidirectional_sequence_lstm.md. */
#ifndef QUANTCORE_LSTM_H
#define QUANTCORE_LSTM_H

#include <stdint.h>

#include "quantcore/pack_filter.h"
#include "quantcore/requantize.h"
#include "quantcore/status.h"

enum { QC_LSTM_INPUT, QC_LSTM_FORGET, QC_LSTM_CELL, QC_LSTM_OUTPUT, QC_LSTM_GATES };

/* Positions of tensors; those of groups are the input gate's, and the others follow. */
enum {
    QC_LSTM_INPUT_WEIGHTS = 1,
    QC_LSTM_RECURRENT_WEIGHTS = 5,
    QC_LSTM_BIASES = 12,
    QC_LSTM_PROJECTION_WEIGHTS = 16,
    QC_LSTM_PROJECTION_BIAS = 17,
    QC_LSTM_OUTPUT_STATE = 18,
    QC_LSTM_CELL_STATE = 19,
    QC_LSTM_NORM_COEFFICIENTS = 20,
};

/* The peephole weights of a gate, or NULL; the cell gate has none. */
static inline const void *qc_lstm_peephole(void *const *tensors, int gate) {
    static const int positions[QC_LSTM_GATES] = {9, 10, -1, 11};
    return positions[gate] < 0 ? (const void *)0 : tensors[positions[gate]];
}

/* All at least 1. outputs equals cells without projection. normalized: 1 with layer normalization, whose
 * coefficients are then among the 24 inputs; without it there may be 20. */
typedef struct {
    int32_t batches;
    int32_t steps;
    int32_t inputs;
    int32_t cells;
    int32_t outputs;
    int32_t time_major; /* 1: the first dimension is time */
    int32_t input_tensors;
    int32_t normalized;
} qc_lstm_shape;

/* A real factor as multiplier * 2^(shift - 31); multiplier 0 or in [2^30, 2^31), shift in [-31, 31]. */
typedef struct {
    int32_t multiplier;
    int32_t shift;
} qc_multiplier;

/* Factors that bring the products of one gate to Q3.12, or with layer normalization to the scale before it;
 * norm is the scale of the coefficients. variance_guard stands for a variance below 1. */
typedef struct {
    qc_multiplier input;
    qc_multiplier recurrent;
    qc_multiplier peephole;
    qc_multiplier norm;
    int32_t variance_guard;
} qc_lstm_gate;

/* rounding: QC_DOUBLE_ROUNDING, or QC_SINGLE_ROUNDING, of all factors but those of int16 activations, which
 * are sums in int64 and have QC_INT16_MULTIPLIER. Peephole products of the first peephole_body outputs have
 * QC_RUY.
 * clamp_recurrent: 1 if R h is clamped to int16 before it is added, as if a FULLY_CONNECTED had computed it.
 * table: 1 for logistic and tanh by interpolation (sigmoid_table.h), 0 for fixed_point_functions16.h.
 * forget_to_cell, input_to_cell: factors of f * c and i * g, 2^-15 and 2^-30 / cell scale. With a multiplier
 * of 2^31 - 1 the products are rounded once: RoundingDivideByPOT by -shift.
 * cell_scale_power: the cell state has scale 2^cell_scale_power; in [-15, -9], or with the table [-27, 2].
 * cell_clip: bound of |c|, at least 0; INT32_MAX for none. hidden: from o * tanh(c), Q0.30, to the output,
 * or with projection to its input. projection_clip: likewise of the projected output's quantized values.
 * packed_input, packed_recurrent: the weights of all gates that there are, one after the other, as
 * qc_pack_filter_s8 lays out one group of gates * cells units for the vector versions; packed_projection: those of
 * the projection, if there is one. NULL where they are not constant: the definition computes them. */
typedef struct {
    qc_lstm_shape shape;
    qc_rounding rounding;
    int32_t peephole_body;
    int32_t clamp_recurrent;
    int32_t table;
    int32_t input_offset;     /* minus the zero point of the input */
    int32_t recurrent_offset; /* minus the zero point of the output state */
    qc_lstm_gate gates[QC_LSTM_GATES];
    qc_multiplier forget_to_cell;
    qc_multiplier input_to_cell;
    int32_t cell_scale_power;
    int32_t cell_clip;
    qc_multiplier hidden;
    int32_t hidden_offset; /* zero point of o * tanh(c) */
    qc_multiplier projection;
    int32_t output_offset; /* zero point of the projected output */
    int32_t projection_clip;
    const void *packed_input;
    const void *packed_recurrent;
    const void *packed_projection;
} qc_lstm_params;

/* Sums of the gates of one step, and what they start with, which the vector versions keep for all units. */
static inline int64_t qc_lstm_sums_size(const qc_lstm_shape *s) {
    return (qc_round_up((int64_t)s->cells * QC_LSTM_GATES, QC_LANES) + QC_LANES) * (int64_t)sizeof(int64_t);
}

/* Gates, cell state and unprojected output of one batch; for the vector versions also sums, and the vectors that the
 * weights are multiplied by, laid out. */
static inline int64_t qc_lstm_scratch_size(const qc_lstm_shape *s) {
    const int64_t cells = qc_round_up(s->cells, 32), outputs = qc_round_up(s->outputs, 32);
    const int64_t gates = cells * (QC_LSTM_GATES + 2) * (int64_t)sizeof(int16_t);
    const int64_t vectors = 2 * (qc_round_up(s->inputs, 32) + outputs + cells);
    return gates + 4 * qc_lstm_sums_size(s) + 2 * outputs * (int64_t)sizeof(int64_t) + vectors + 16 * 64;
}

/* Add P c to a gate [cells] of one batch: TFLite walks through the states of all batches of a call in rows of
 * `outputs`, so that with a projection to fewer outputs the last cells get none, and weights shift from batch to
 * batch. Shared by all versions. */
void qc_lstm_add_peephole(const qc_lstm_params *params, qc_multiplier factor, const int16_t *weights,
                          const int16_t *cell_state, int32_t batch, int16_t *gate);

/* Layer normalization of a gate [cells], to Q3.12: (value - mean) / deviation in steps of 1/1024, times coefficient,
 * plus bias. Shared by all versions. */
void qc_lstm_normalize(const qc_lstm_params *params, const qc_lstm_gate *gate, const int16_t *coefficients,
                       const int32_t *bias, int16_t *values);

/* int8 activations and weights, int32 bias, int16 cell state (CMSIS-NN: arm_lstm_unidirectional_s8). */
qc_status qc_lstm_s8_ref(const qc_lstm_params *params, void *const *tensors, void *scratch);
/* int16 activations, int8 weights, int64 bias, int16 cell state (CMSIS-NN: arm_lstm_unidirectional_s16). */
qc_status qc_lstm_s16_ref(const qc_lstm_params *params, void *const *tensors, void *scratch);

#endif
