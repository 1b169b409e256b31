/* Reductions over a set of dimensions: MEAN. */
#ifndef QUANTCORE_REDUCE_H
#define QUANTCORE_REDUCE_H

#include "quantcore/requantize.h"
#include "quantcore/status.h"

#define QC_REDUCTION_RANK 8

/* The walk over the input, innermost dimension last.
 * shape: of the input, each >= 1 unless `elements` is 0. output_stride: distance in outputs between
 * neighbours along a dimension; 0 along a reduced one, 1 or 0 along the innermost one.
 * outputs: number of outputs. elements: inputs to each output; 0 for an empty input. */
typedef struct {
    int32_t rank; /* in [1, QC_REDUCTION_RANK] */
    int64_t shape[QC_REDUCTION_RANK];
    int64_t output_stride[QC_REDUCTION_RANK];
    int64_t outputs;
    int64_t elements;
} qc_reduction;

/* MEAN on integers with scales: y = requantize(sum(q) - elements * input_zero_point), where the division by
 * `elements` is part of the multiplier. Sums wrap at 32 bits. An empty input gives stored zeros.
 * Source: TFLite kernels/internal/reference/reduce.h, QuantizedMeanOrSum. */
typedef struct {
    qc_reduction reduction;
    int32_t input_zero_point;
    qc_requant requant; /* per tensor; the multiplier may be below 2^30 */
} qc_mean_params;

/* MEAN without scales. float32: sum in the order of the input, divided by float(elements); NaN for an empty
 * input. int32 and int64: 64-bit sum, which wraps, divided toward zero; 0 for an empty input. */
typedef struct {
    qc_reduction reduction;
} qc_mean_plain_params;

/* Bytes of scratch for accumulators of `size` bytes: 4 with scales, 8 for int32; float32 and int64 sum in
 * the output and take none. */
static inline int64_t qc_mean_scratch_size(const qc_reduction *r, int64_t size) {
    return r->outputs * size;
}

qc_status qc_mean_s8_ref(const qc_mean_params *params, const int8_t *input, const int32_t *axis, int8_t *output,
                         void *scratch);
qc_status qc_mean_u8_ref(const qc_mean_params *params, const uint8_t *input, const int32_t *axis, uint8_t *output,
                         void *scratch);
qc_status qc_mean_s16_ref(const qc_mean_params *params, const int16_t *input, const int32_t *axis, int16_t *output,
                          void *scratch);
qc_status qc_mean_f32_ref(const qc_mean_plain_params *params, const float *input, const int32_t *axis, float *output,
                          void *scratch);
qc_status qc_mean_s32_ref(const qc_mean_plain_params *params, const int32_t *input, const int32_t *axis,
                          int32_t *output, void *scratch);
qc_status qc_mean_s64_ref(const qc_mean_plain_params *params, const int64_t *input, const int32_t *axis,
                          int64_t *output, void *scratch);

#endif
