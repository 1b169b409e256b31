/* SOFTMAX over the last dimension: input and output are [rows, depth]. */
#ifndef QUANTCORE_SOFTMAX_H
#define QUANTCORE_SOFTMAX_H

#include <math.h>

#include "quantcore/fixed_point_functions.h"
#include "quantcore/status.h"

/* int8, uint8. exp_table[d]: exp of a value that lies d steps below the largest of its row, Q0.31, as
 * qc_softmax_exp_table fills it. The output has scale 1/256 and the type's lowest value as zero point.
 * Source: TFLite kernels/internal/reference/softmax.h. */
typedef struct {
    int64_t rows;
    int32_t depth; /* at least 1 unless rows is 0 */
    int32_t exp_table[256];
} qc_softmax_params;

enum { QC_SOFTMAX_INTEGER_BITS = 5 }; /* scaled differences are Q5.26 */

/* Fills exp_table. multiplier, left_shift: beta * input_scale * 2^26 as multiplier * 2^(left_shift - 31),
 * multiplier in [2^30, 2^31), left_shift in [0, 31]; diff_min: differences below it count as exp = 0.
 * (input_mult, shift and diff_min of CMSIS-NN.) */
static inline void qc_softmax_exp_table(int32_t multiplier, int32_t left_shift, int32_t diff_min,
                                        int32_t *exp_table) {
    for (int32_t d = 0; d < 256; ++d) {
        exp_table[d] = 0;
        if (-d < diff_min) continue;
        const int32_t scaled = qc_srdhm(qc_shift_left_wrap(-d, left_shift), multiplier);
        exp_table[d] = qc_exp_on_negative_values(scaled, QC_SOFTMAX_INTEGER_BITS);
    }
}

enum { QC_SOFTMAX_SUM_BITS = 12 }; /* the sum is Q12.19 */

/* 1 / sum as a Q0.31 fraction in (1/2, 1] and a right shift: sum is Q12.19, at least 1. */
static inline int32_t qc_softmax_reciprocal(uint32_t sum, int *shift) {
    int leading_zeros = 0;
    while (!(sum & 0x80000000u)) {
        sum <<= 1;
        ++leading_zeros;
    }
    *shift = QC_SOFTMAX_SUM_BITS - leading_zeros;
    return qc_one_over_one_plus_x((int32_t)(sum - 0x80000000u));
}

/* With an 8-bit output and a sum from 512 on no probability exceeds 1/512, which is half a step and comes out
 * just below it: all outputs are 0. TFLite's kernel ends the process there. 16 bits have no such limit. */
#define QC_SOFTMAX_SUM_LIMIT(BITS) ((int64_t)2 << (31 - QC_SOFTMAX_SUM_BITS + (BITS)))

qc_status qc_softmax_s8_ref(const qc_softmax_params *params, const int8_t *input, int8_t *output, void *scratch);
qc_status qc_softmax_u8_ref(const qc_softmax_params *params, const uint8_t *input, uint8_t *output, void *scratch);
/* int16 output: scale 1/65536, zero point -32768. depth is at most 8191, or the sum of exps may not fit. */
qc_status qc_softmax_s8_s16_ref(const qc_softmax_params *params, const int8_t *input, int16_t *output,
                                void *scratch);
qc_status qc_softmax_u8_s16_ref(const qc_softmax_params *params, const uint8_t *input, int16_t *output,
                                void *scratch);

/* The same by TFLite's optimized kernels. exp_table[d]: expf(-input_scale * beta * d), in float32, as
 * qc_softmax_float_table fills it. y = round(e * (1 / (sum * output_scale))) + output_zero_point, clamped to
 * the type; a uint8 output is trunc(.. + 1/2), without the zero point. Source: TFLite
 * kernels/internal/optimized/optimized_ops.h (Softmax, PopulateSoftmaxLookupTable). */
typedef struct {
    int64_t rows;
    int32_t depth; /* at least 1 unless rows is 0 */
    float output_scale;
    int32_t output_zero_point;
    float exp_table[256];
} qc_softmax_table_params;

static inline void qc_softmax_float_table(float input_scale, float beta, float *exp_table) {
    const float scale = -input_scale * beta;
    for (int32_t d = 0; d < 256; ++d) exp_table[d] = expf(scale * (float)d);
}

qc_status qc_softmax_table_s8_ref(const qc_softmax_table_params *params, const int8_t *input, int8_t *output,
                                  void *scratch);
qc_status qc_softmax_table_u8_ref(const qc_softmax_table_params *params, const uint8_t *input, uint8_t *output,
                                  void *scratch);
qc_status qc_softmax_table_s8_s16_ref(const qc_softmax_table_params *params, const int8_t *input, int16_t *output,
                                      void *scratch);
qc_status qc_softmax_table_u8_s16_ref(const qc_softmax_table_params *params, const uint8_t *input, int16_t *output,
                                      void *scratch);

/* int16, output scale 1/32768 and zero point 0. exp_table: knots of exp over [-10, 0]; reciprocal_table: of
 * 1 / (1 + a) over [0, 1]; both in Q0.15. multiplier, shift: beta * input_scale * 65535 / 10, which makes a
 * difference of inputs a position in the first table. depth is at most 65535, or the sum may not fit.
 * Source: TFLite kernels/internal/reference/softmax.h (SoftmaxInt16), kernels/internal/common.h (LUTPopulate). */
typedef struct {
    int64_t rows;
    int32_t depth; /* at least 1 unless rows is 0 */
    int32_t multiplier;
    int32_t shift;
    int16_t exp_table[513];
    int16_t reciprocal_table[513];
} qc_softmax_s16_params;

qc_status qc_softmax_s16_ref(const qc_softmax_s16_params *params, const int16_t *input, int16_t *output,
                             void *scratch);

/* float32: exp((x - max) * beta) / sum, the sum in order. known_libm: see libm.h. */
typedef struct {
    int64_t rows;
    int32_t depth;
    float beta;
    int32_t known_libm;
} qc_softmax_f32_params;

qc_status qc_softmax_f32_ref(const qc_softmax_f32_params *params, const float *input, float *output, void *scratch);

#endif
