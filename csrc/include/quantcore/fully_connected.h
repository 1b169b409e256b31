/* FULLY_CONNECTED. Input is [batch, depth], the filter is [unit, depth], output is [batch, unit], the bias is
 * [unit] or NULL.
 *
 * Source of the rules: TFLite kernels/fully_connected.cc, kernels/internal/reference/fully_connected.h,
 * kernels/internal/reference/integer_ops/fully_connected.h. Derivation: docs/numerics/fully_connected.md. */
#ifndef QUANTCORE_FULLY_CONNECTED_H
#define QUANTCORE_FULLY_CONNECTED_H

#include <math.h>

#include "quantcore/filter_kernel.h"
#include "quantcore/hybrid.h"
#include "quantcore/pack_filter.h"
#include "quantcore/requantize.h"

/* Quantized: output = requant(bias + sum (input + input_offset) * (filter + filter_offset)), the sum in
 * int32, wrapping. Offsets and packed: as in qc_conv_params. scratch: qc_fully_connected_scratch_size
 * bytes. */
typedef struct {
    int32_t batches;
    int32_t depth;
    int32_t units;
    int32_t input_offset;
    int32_t filter_offset;
    qc_requant requant;
    const void *packed;
} qc_fully_connected_params;

/* Bytes of scratch that the kernels on 8-bit elements need: in the vector versions, a panel of rows, the
 * start values of the accumulators, and the filter if it is not packed. */
static inline int64_t qc_fully_connected_scratch_size(int64_t units, int64_t depth, int is_packed) {
    const int64_t stride = qc_round_up(depth, QC_QUAD);
    const int64_t filter = is_packed ? 0 : qc_round_up(qc_packed_group_size(units, depth), 64);
    const int64_t panel = qc_panel_rows(stride) * stride + 64, product = qc_product_scratch_size(stride);
    return filter + (panel > product ? panel : product) + 64 +
           qc_round_up(units, QC_LANES) * (int64_t)sizeof(int32_t);
}

QC_FILTER_KERNEL(qc_fully_connected_s8_ref, qc_fully_connected_params, int8_t, int8_t, int32_t, int8_t)
QC_FILTER_KERNEL(qc_fully_connected_u8_ref, qc_fully_connected_params, uint8_t, uint8_t, int32_t, uint8_t)

/* int16 activations, 8-bit filter (4-bit filters are held as bytes). s16: as above, the sum in int32, wrapping, int32
 * bias. s16_wide: int64 sum and bias, requantized by qc_requantize_wide. packed: the filter as qc_pack_filter_s8 lays it
 * out for the vector versions, or NULL, and the definition computes. scratch: qc_panel_size_s16(depth) bytes. */
QC_FILTER_KERNEL(qc_fully_connected_s16_ref, qc_fully_connected_params, int16_t, int8_t, int32_t, int16_t)
QC_FILTER_KERNEL(qc_fully_connected_s16_wide_ref, qc_fully_connected_params, int16_t, int8_t, int64_t, int16_t)

/* float32: output = clamp(sum + bias). The sum starts at 0 and adds one rounded product at a time, in
 * order; without bias, 0 is added. packed, finite: as in qc_conv_f32_params. scratch:
 * qc_fully_connected_f32_scratch_size bytes. */
typedef struct {
    int32_t batches;
    int32_t depth;
    int32_t units;
    float activation_min;
    float activation_max;
    const void *packed;
    int32_t finite;
} qc_fully_connected_f32_params;

/* Bytes of scratch that the vector versions need: the filter if it is not packed, else lists of elements. */
static inline int64_t qc_fully_connected_f32_scratch_size(int64_t units, int64_t depth, int is_packed) {
    return is_packed ? (depth > 0 ? qc_float_lists_size(depth) : 0) : qc_packed_group_size_f32(units, depth);
}

QC_FILTER_KERNEL(qc_fully_connected_f32_ref, qc_fully_connected_f32_params, float, float, float, float)

/* The same with products that are added without being rounded, sum = fma(input, filter, sum), in parts of
 * QC_FUSED_PART products (float_sum.h). */
QC_FILTER_KERNEL(qc_fully_connected_f32_fused_ref, qc_fully_connected_f32_params, float, float, float, float)

/* Hybrid: float32 activations, int8 filter (zero points 0). Each row of the input is quantized on the fly,
 * symmetrically or asymmetrically, then
 *
 *   output = activation(bias + f32(sum * f32(filter_scale * scale)))
 *
 * with sum = sum (q - zero_point) * filter in int32, converted to float32. Without bias, 0 takes its place.
 * Where the whole input is 0, output = activation(bias). filter_scale: [units] if per_channel, else [1].
 * activation_min = -infinity means no activation; otherwise a NaN becomes activation_min, and an activation
 * of -0 with the bound 0 is +0.
 * sign_overflow: whether the filter may contain -128, see qc_hybrid_sign_overflow.
 * scratch: qc_fully_connected_hybrid_scratch_size bytes. */
typedef struct {
    int32_t batches;
    int32_t depth;
    int32_t units;
    int32_t asymmetric;
    int32_t per_channel;
    int32_t sign_overflow;
    const float *filter_scale;
    float activation_min;
    float activation_max;
    const void *packed;
} qc_fully_connected_hybrid_params;

/* The activation as TFLite applies it to a finished vector: max(low, min(v, high)). */
static inline float qc_fully_connected_activate(const qc_fully_connected_hybrid_params *p, float v) {
    if (isinf(p->activation_min)) return v;
    const float bounded = p->activation_max < v ? p->activation_max : v;
    return p->activation_min < bounded ? bounded : p->activation_min;
}

/* As qc_fully_connected_scratch_size, and a row of bytes. */
static inline int64_t qc_fully_connected_hybrid_scratch_size(int64_t units, int64_t depth, int is_packed) {
    return qc_fully_connected_scratch_size(units, depth, is_packed) + qc_round_up(depth, 64);
}

QC_FILTER_KERNEL(qc_fully_connected_hybrid_ref, qc_fully_connected_hybrid_params, float, int8_t, float, float)

/* The hybrid form as XNNPACK computes it: each row is quantized by qc_xnnpack_quantize, then
 *
 *   output = clamp(fma(f32(sum * inverse_scale), filter_scale, bias))
 *
 * where denormals are 0. Same params and scratch; asymmetric, sign_overflow and packed are not used, the bounds may
 * be infinite. */
QC_FILTER_KERNEL(qc_fully_connected_hybrid_fma_ref, qc_fully_connected_hybrid_params, float, int8_t, float, float)

/* The forms with a filter of 4 bits, two in a byte, the first in the low half, rows not padded. They unpack it and do
 * what the form on bytes does. scratch: qc_fully_connected_s4_scratch_size bytes. packed is not used. */
static inline int64_t qc_fully_connected_s4_scratch_size(int64_t units, int64_t depth) {
    return qc_round_up(units * depth, 64) + depth;
}

QC_FILTER_KERNEL(qc_fully_connected_s8_s4_ref, qc_fully_connected_params, int8_t, uint8_t, int32_t, int8_t)
QC_FILTER_KERNEL(qc_fully_connected_s16_s4_ref, qc_fully_connected_params, int16_t, uint8_t, int32_t, int16_t)
QC_FILTER_KERNEL(qc_fully_connected_s16_wide_s4_ref, qc_fully_connected_params, int16_t, uint8_t, int64_t, int16_t)
QC_FILTER_KERNEL(qc_fully_connected_hybrid_s4_ref, qc_fully_connected_hybrid_params, float, uint8_t, float, float)
QC_FILTER_KERNEL(qc_fully_connected_hybrid_fma_s4_ref, qc_fully_connected_hybrid_params, float, uint8_t, float, float)

#endif
