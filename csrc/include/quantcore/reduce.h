/* Reductions over a set of dimensions: MEAN, SUM, REDUCE_MAX, REDUCE_MIN, REDUCE_PROD, REDUCE_ANY, REDUCE_ALL. */
#ifndef QUANTCORE_REDUCE_H
#define QUANTCORE_REDUCE_H

#include "quantcore/requantize.h"
#include "quantcore/status.h"

#define QC_REDUCTION_RANK 8

/* The walk over the input, innermost dimension last.
 * shape: of the input, each >= 1 unless `elements` is 0. output_stride: distance in outputs between
 * neighbours along a dimension; 0 along a reduced one, 1 or 0 along the innermost one.
 * outputs: number of outputs. elements: inputs to each output; 0 for an empty input.
 * from_first: each output starts with its first element, rather than with the neutral value (for a float
 * maximum or minimum: the lowest or highest finite number). An empty input gives the neutral value. */
typedef struct {
    int32_t rank; /* in [1, QC_REDUCTION_RANK] */
    int64_t shape[QC_REDUCTION_RANK];
    int64_t output_stride[QC_REDUCTION_RANK];
    int64_t outputs;
    int64_t elements;
    int32_t from_first;
} qc_reduction;

/* MEAN on integers with scales: y = requantize(sum(q) - elements * input_zero_point), where the division by
 * `elements` is part of the multiplier. Sums wrap at 32 bits. An empty input gives stored zeros.
 * Source: TFLite kernels/internal/reference/reduce.h, QuantizedMeanOrSum. */
typedef struct {
    qc_reduction reduction;
    int32_t input_zero_point;
    int32_t channels;   /* output i is of channel i mod channels, for the body and tail of `requant` */
    qc_requant requant; /* per tensor; the multiplier may be below 2^30 */
} qc_mean_params;

/* A sum or mean with scales, rescaled in float32: y = round(sum * scale + bias) + output_offset, half away from
 * zero, clamped to [lowest, highest]. `scale` may include 1 / elements; `bias` stands for the input's zero point.
 * What does not fit int32 after rounding saturates, or is INT32_MIN whatever its sign (x86's conversion).
 * Source: TFLite kernels/internal/optimized/reduce.h (QuantizedMeanOrSum), XNNPACK src/operators/reduce-nd.c. */
typedef struct {
    qc_reduction reduction;
    float scale;
    float bias;
    int32_t saturate;
    int32_t output_offset;
    int32_t lowest;
    int32_t highest;
} qc_scaled_sum_params;

/* MEAN without scales. float32: sum in the order of the input, divided by float(elements); NaN for an empty
 * input. int32 and int64: 64-bit sum, which wraps, divided toward zero; 0 for an empty input. */
typedef struct {
    qc_reduction reduction;
} qc_mean_plain_params;

/* scratch: outputs * 4 bytes, as for MEAN with scales. */
qc_status qc_scaled_sum_s8_ref(const qc_scaled_sum_params *params, const int8_t *input, const int32_t *axis,
                               int8_t *output, void *scratch);
qc_status qc_scaled_sum_u8_ref(const qc_scaled_sum_params *params, const uint8_t *input, const int32_t *axis,
                               uint8_t *output, void *scratch);
qc_status qc_scaled_sum_s16_ref(const qc_scaled_sum_params *params, const int16_t *input, const int32_t *axis,
                                int16_t *output, void *scratch);

/* The others without scales, or where scales play no part. Integers wrap; floats are added and multiplied in the
 * order of the input. Of equal values, and where one is NaN, a maximum or minimum keeps the earlier one; LATER takes
 * the later one (float32 only). SUM: int32, int64 and float32. ANY, ALL: bool. scratch: none.
 * Source: TFLite kernels/reduce.cc, kernels/internal/optimized/reduce.h. */
typedef enum {
    QC_REDUCE_SUM = 0,
    QC_REDUCE_PRODUCT = 1,
    QC_REDUCE_MAX = 2,
    QC_REDUCE_MIN = 3,
    QC_REDUCE_MAX_LATER = 4,
    QC_REDUCE_MIN_LATER = 5,
    QC_REDUCE_ANY = 6,
    QC_REDUCE_ALL = 7,
} qc_reduce_operation;

typedef struct {
    qc_reduction reduction;
    qc_reduce_operation operation;
} qc_reduce_params;

#define QC_DECLARE_REDUCE(suffix, T)                                                                         \
    qc_status qc_reduce_##suffix##_ref(const qc_reduce_params *params, const T *input, const int32_t *axis, \
                                       T *output, void *scratch);
QC_DECLARE_REDUCE(s8, int8_t)
QC_DECLARE_REDUCE(u8, uint8_t)
QC_DECLARE_REDUCE(s16, int16_t)
QC_DECLARE_REDUCE(s32, int32_t)
QC_DECLARE_REDUCE(s64, int64_t)
QC_DECLARE_REDUCE(f32, float)
QC_DECLARE_REDUCE(bool, uint8_t)

/* A product with scales: acc = q1 - z, then acc = requantize(acc * (q - z)) for each further element, and once more
 * for the output, each time by QC_INT16_MULTIPLIER with `input_scale / output_scale^(1 / elements)`.
 * reduction.from_first is 1, elements at least 1; shift in [-31, 7]. scratch: outputs * 4 bytes. */
typedef struct {
    qc_reduction reduction;
    int32_t input_zero_point;
    qc_requant requant;
} qc_scaled_product_params;

qc_status qc_scaled_product_s8_ref(const qc_scaled_product_params *params, const int8_t *input, const int32_t *axis,
                                   int8_t *output, void *scratch);
qc_status qc_scaled_product_s16_ref(const qc_scaled_product_params *params, const int16_t *input,
                                    const int32_t *axis, int16_t *output, void *scratch);

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
