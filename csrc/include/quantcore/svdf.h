/* SVDF: a FULLY_CONNECTED layer over time, factored into a filter over the features of one step and one over
 * the last `memory` steps (Nakkiran et al. 2015). Input is [batches, inputs], the feature weights are
 * [filters, inputs], the time weights [filters, memory], the state [batches, filters, memory], the bias
 * [filters / rank] or NULL, the output [batches, filters / rank].
 *
 * tensors: input, feature weights, time weights, bias, state, output. The state is read and written: its
 * oldest step is dropped and the new one appended.
 * Source of the rules: TFLite kernels/svdf.cc, kernels/internal/reference/svdf.h; TFLite Micro
 * kernels/svdf_common.cc. Derivation: docs/numerics/svdf.md. */
#ifndef QUANTCORE_SVDF_H
#define QUANTCORE_SVDF_H

#include "quantcore/pack_filter.h"
#include "quantcore/requantize.h"
#include "quantcore/status.h"

/* All at least 1; filters is a multiple of rank. */
typedef struct {
    int32_t batches;
    int32_t inputs;
    int32_t filters;
    int32_t memory;
    int32_t rank;
} qc_svdf_shape;

/* Quantized. input_offset: minus the zero point of the input, in [-127, 128].
 * state_offset: zero point of the state; TFLite takes it for 0 with an int16 state.
 * to_state: from the sum over the features to the state, without state_offset, which is added after the
 * clamp.
 * output: from the sum over time, rank and bias to the output. Both sums are int32 and wrap.
 * packed: the feature weights as qc_pack_filter_s8 lays them out for the vector versions, or NULL, and the definition
 * computes. scratch: qc_svdf_scratch_size bytes. */
typedef struct {
    qc_svdf_shape shape;
    int32_t input_offset;
    int32_t state_offset;
    qc_requant to_state;
    qc_requant output;
    const void *packed;
} qc_svdf_params;

/* Bytes of scratch that the vector versions need: sums over the features, what they start with, and an input laid
 * out. */
static inline int64_t qc_svdf_scratch_size(const qc_svdf_shape *s) {
    return 2 * qc_round_up(s->filters, QC_LANES) * (int64_t)sizeof(int32_t) + 2 * qc_round_up(s->inputs, 32) + 64;
}

/* int8 input and output, int8 time weights and state (CMSIS-NN: arm_svdf_s8). */
qc_status qc_svdf_s8_ref(const qc_svdf_params *params, void *const *tensors, void *scratch);
/* int8 input and output, int16 time weights and state (CMSIS-NN: arm_svdf_state_s16_s8). */
qc_status qc_svdf_state_s16_s8_ref(const qc_svdf_params *params, void *const *tensors, void *scratch);

/* float32; all tensors are, but with hybrid the two weights, which are int8 with scales feature_scale and
 * time_scale.
 * micro: 0 for TFLite on x86, which sums in 4 lanes, adds these from the first to the last, and then what is
 * left over one by one; 1 for TFLite Micro, which sums in order, starting from the bias.
 * tanh: 1 for the activation TANH; otherwise it is given by its bounds, infinite ones for none.
 * hybrid: the input is quantized for each batch (asymmetric: 1 with zero point). sign_overflow: see
 * qc_hybrid_sign_overflow. */
typedef struct {
    qc_svdf_shape shape;
    int32_t micro;
    int32_t tanh;
    float activation_min;
    float activation_max;
    int32_t hybrid;
    int32_t asymmetric;
    int32_t sign_overflow;
    float feature_scale;
    float time_scale;
} qc_svdf_f32_params;

/* The sums over time of one unit, time weights of one filter, and the quantized input. */
static inline int64_t qc_svdf_f32_scratch_size(const qc_svdf_shape *s) {
    return ((int64_t)s->rank + s->memory) * (int64_t)sizeof(float) + (int64_t)s->inputs;
}

qc_status qc_svdf_f32_ref(const qc_svdf_f32_params *params, void *const *tensors, void *scratch);

#endif
