/* Products of rows of floats, each quantized on the fly, with int8 columns: what hybrid FULLY_CONNECTED and
 * BATCH_MATMUL share. The rows of a panel are multiplied together; what the zero points of the rows add is taken from
 * the sums of the columns. */
#ifndef QUANTCORE_X86_HYBRID_ROWS_H
#define QUANTCORE_X86_HYBRID_ROWS_H

#include "gemm.h"

/* XNNPACK's rule of quantization, qc_xnnpack_quantize; `scale` is its inverse scale. */
qc_hybrid_scale qc_quantize_xnnpack_avx2(const qc_hybrid_loops *loops, const float *input, int64_t count,
                                         int8_t *output);

/* XNNPACK's rule of outputs: qc_xnnpack_output of `count` sums, at most QC_TILE_UNITS, with one filter scale or as many.
 * bias may be NULL. */
void qc_xnnpack_outputs_avx2(qc_hybrid_scale q, const float *filter_scale, int per_channel, const float *bias,
                             const int32_t *sums, int32_t count, float *output);

/* packed: columns as pack_filter.h has them. xnnpack: quantized by its rule; else `asymmetric` or not.
 * finish: outputs [first, first + count) of row `row` from the sums of q * w, and the sums of these columns. */
typedef struct {
    const qc_gemm_isa *isa;
    const int8_t *packed;
    int32_t units;
    int64_t depth;
    int xnnpack;
    int asymmetric;
    void (*finish)(const void *context, qc_hybrid_scale q, const int32_t *acc, const int32_t *columns, int64_t row,
                   int32_t first, int32_t count);
    const void *context;
} qc_hybrid_rows;

/* Multiply `rows` rows, row_step floats apart, whose elements are element_step apart. floats: memory for a row, where
 * that is not 1. scratch: of qc_fully_connected_scratch_size for a packed filter. */
void qc_multiply_hybrid_rows(const qc_hybrid_rows *h, const float *input, int64_t row_step, int64_t element_step,
                             int64_t rows, float *floats, uint8_t *scratch);

/* sums[i] = acc[i] - zero_point * columns[i], wrapping. */
static inline void qc_take_out_zero_point(qc_hybrid_scale q, const int32_t *acc, const int32_t *columns, int32_t count,
                                          int32_t *sums) {
    for (int32_t i = 0; i < count; ++i)
        sums[i] = (int32_t)((uint32_t)acc[i] - (uint32_t)q.zero_point * (uint32_t)columns[i]);
}

#endif
