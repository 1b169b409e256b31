/* UNIDIRECTIONAL_SEQUENCE_LSTM on float32, with float32 or (hybrid) int8 weights. What it computes and the
 * order
 * of its tensors: lstm.h. Peephole weights have the type of the other weights, biases and coefficients of
 * the layer normalization are float32.
 *
 * Source of the rules: TFLite kernels/lstm_eval.cc, kernels/cpu_backend_gemm_eigen.cc; TFLite Micro
 * kernels/lstm_eval.h. Derivation: docs/numerics/unidirectional_sequence_lstm.md. */
#ifndef QUANTCORE_LSTM_FLOAT_H
#define QUANTCORE_LSTM_FLOAT_H

#include "quantcore/hybrid.h"
#include "quantcore/lstm.h"

/* Of g and of the new cell state. */
typedef enum { QC_LSTM_TANH, QC_LSTM_RELU, QC_LSTM_RELU6, QC_LSTM_RELU_N1_TO_1 } qc_lstm_activation;

/* micro: 0 for TFLite on x86, whose sums and functions are Eigen's (eigen_product.h, eigen_functions.h); with
 * time_major all batches are one product, otherwise each is multiplied alone. 1 for TFLite Micro, which adds
 * products in order and calls the C library.
 *
 * hybrid: 1 for int8 weights with scales input_scale, ... per gate. Input and state are quantized for each
 * step and batch (asymmetric: 1 with zero point); sums are then exact. sign_overflow: see
 * qc_hybrid_sign_overflow.
 * cell_clip, projection_clip: bounds of |c| and of |output|, or 0 for none.
 * packed_input, ...: as in qc_lstm_params, of the type of the weights. */
typedef struct {
    qc_lstm_shape shape;
    int32_t micro;
    qc_lstm_activation activation;
    float cell_clip;
    float projection_clip;
    int32_t hybrid;
    int32_t asymmetric;
    int32_t sign_overflow;
    float input_scale[QC_LSTM_GATES];
    float recurrent_scale[QC_LSTM_GATES];
    float peephole_scale[QC_LSTM_GATES];
    float projection_scale;
    const void *packed_input;
    const void *packed_recurrent;
    const void *packed_projection;
} qc_lstm_f32_params;

/* Layer normalization of one gate of one batch: to mean 0 and deviation 1, times coefficients, plus bias. Shared by all
 * versions. */
void qc_lstm_normalize_f32(int32_t count, const float *coefficients, const float *bias, float *gate);

/* For each batch: 4 gates, the quantized input, state and output, and three scales. The vector versions keep
 * gates, cell state, unprojected output, sums and what they start with, and vectors as they are and laid out. */
static inline int64_t qc_lstm_f32_scratch_size(const qc_lstm_shape *s) {
    const int64_t quantized = (int64_t)s->inputs + s->outputs + s->cells;
    const int64_t per_batch = (int64_t)s->cells * QC_LSTM_GATES * (int64_t)sizeof(float) + quantized +
                              3 * (int64_t)sizeof(qc_hybrid_scale);
    const int64_t widest = qc_round_up(s->cells > s->outputs ? s->cells : s->outputs, QC_LANES) + QC_LANES;
    const int64_t floats = (QC_LSTM_GATES + 4) * widest * (int64_t)sizeof(float);
    const int64_t vector_size = floats + 4 * qc_lstm_sums_size(s) + 4 * quantized + 32 * 64;
    const int64_t ref_size = per_batch * s->batches;
    return ref_size > vector_size ? ref_size : vector_size;
}

qc_status qc_lstm_f32_ref(const qc_lstm_f32_params *params, void *const *tensors, void *scratch);

#endif
