/* LOG_SOFTMAX over the last dimension: input and output are [rows, depth]. */
#ifndef QUANTCORE_LOG_SOFTMAX_H
#define QUANTCORE_LOG_SOFTMAX_H

#include "quantcore/softmax.h"

/* int8, uint8: output scale 1/16, the type's highest value as zero point. d below is the distance of a value to the
 * largest of its row. exp_table[d]: exp, Q0.31 (qc_softmax_exp_table); scaled[d]: -d in real units, Q5.26. Values with
 * -d below diff_min count as exp = 0. reverse_multiplier, reverse_shift: from Q5.26 back to steps of the input; what
 * would leave Q5.26 is the type's lowest value. depth is at most 4095, or the sum may not fit.
 * Source: TFLite kernels/internal/reference/log_softmax.h, reference/integer_ops/log_softmax.h. */
typedef struct {
    int64_t rows;
    int32_t depth; /* at least 1 unless rows is 0 */
    int32_t diff_min;
    int32_t reverse_multiplier;
    int32_t reverse_shift;
    int32_t exp_table[256];
    int32_t scaled[256];
} qc_log_softmax_params;

/* Fills both tables; arguments as for qc_softmax_exp_table. */
static inline void qc_log_softmax_tables(int32_t multiplier, int32_t left_shift, qc_log_softmax_params *p) {
    qc_softmax_exp_table(multiplier, left_shift, p->diff_min, p->exp_table);
    for (int32_t d = 0; d < 256; ++d) p->scaled[d] = qc_srdhm(qc_shift_left_wrap(-d, left_shift), multiplier);
}

/* The same by TFLite's optimized kernels, in float32. exp_table: qc_softmax_float_table with a beta of 1.
 * Source: TFLite kernels/internal/optimized/optimized_ops.h (LogSoftmax). */
typedef struct {
    int64_t rows;
    int32_t depth; /* at least 1 unless rows is 0 */
    int32_t output_zero_point;
    float input_scale;
    float output_scale;
    float exp_table[256];
} qc_log_softmax_table_params;

/* float32: x - max - log(sum of exp(x - max)), the sum in order. known_libm: see libm.h. */
typedef struct {
    int64_t rows;
    int32_t depth;
    int32_t known_libm;
} qc_log_softmax_f32_params;

#define QC_DECLARE_LOG_SOFTMAX(name, P, T) \
    qc_status qc_log_softmax_##name##_ref(const P *params, const T *input, T *output, void *scratch);
QC_DECLARE_LOG_SOFTMAX(s8, qc_log_softmax_params, int8_t)
QC_DECLARE_LOG_SOFTMAX(u8, qc_log_softmax_params, uint8_t)
QC_DECLARE_LOG_SOFTMAX(table_s8, qc_log_softmax_table_params, int8_t)
QC_DECLARE_LOG_SOFTMAX(table_u8, qc_log_softmax_table_params, uint8_t)
QC_DECLARE_LOG_SOFTMAX(f32, qc_log_softmax_f32_params, float)

#endif
