/* SOFTMAX: the definitions. */
#include "quantcore/softmax.h"

#include <float.h>
#include <math.h>

#define SOFTMAX_KERNEL(suffix, T, OUT, BITS, LOWEST, HIGHEST)                                              \
    static void softmax_row_##suffix(const int32_t *exp_table, int32_t depth, const T *x, OUT *y) {        \
        T largest = x[0];                                                                                  \
        for (int32_t c = 1; c < depth; ++c) largest = x[c] > largest ? x[c] : largest;                     \
        int64_t sum = 0;                                                                                   \
        for (int32_t c = 0; c < depth; ++c)                                                                \
            sum += qc_rounding_divide_by_pot(exp_table[largest - x[c]], QC_SOFTMAX_SUM_BITS);        \
        if (sum >= QC_SOFTMAX_SUM_LIMIT(BITS)) {                                                                      \
            for (int32_t c = 0; c < depth; ++c) y[c] = LOWEST;                                             \
            return;                                                                                        \
        }                                                                                                  \
        int shift;                                                                                         \
        const int32_t scale = qc_softmax_reciprocal((uint32_t)sum, &shift);                                           \
        for (int32_t c = 0; c < depth; ++c) {                                                              \
            const int32_t probability = qc_srdhm(scale, exp_table[largest - x[c]]);                        \
            const int32_t steps = qc_rounding_divide_by_pot(probability, shift + 31 - (BITS));             \
            y[c] = (OUT)qc_clamp(steps + (LOWEST), LOWEST, HIGHEST);                                       \
        }                                                                                                  \
    }                                                                                                      \
    qc_status qc_softmax_##suffix##_ref(const qc_softmax_params *p, const T *input, OUT *output, void *scratch) { \
        (void)scratch;                                                                                     \
        for (int64_t row = 0; row < p->rows; ++row)                                                        \
            softmax_row_##suffix(p->exp_table, p->depth, input + row * p->depth, output + row * p->depth); \
        return QC_OK;                                                                                      \
    }

SOFTMAX_KERNEL(s8, int8_t, int8_t, 8, INT8_MIN, INT8_MAX)
SOFTMAX_KERNEL(u8, uint8_t, uint8_t, 8, 0, UINT8_MAX)
SOFTMAX_KERNEL(s8_s16, int8_t, int16_t, 16, INT16_MIN, INT16_MAX)
SOFTMAX_KERNEL(u8_s16, uint8_t, int16_t, 16, INT16_MIN, INT16_MAX)

/* TFLite's optimized kernels: the exps are float32, added in order. Like std::round, half away from zero. */
static inline int32_t table_step(float p, int32_t zero_point) {
    return qc_wrap32((int64_t)qc_round_to_int32((double)p) + zero_point);
}

/* uint8 has a rule of its own, which takes the zero point for 0. */
static inline int32_t table_step_u8(float p, int32_t zero_point) {
    (void)zero_point;
    return p < 2147483520.0f ? (int32_t)(p + 0.5f) : INT32_MIN; /* NaN included: x86's conversion */
}

#define SOFTMAX_TABLE_KERNEL(suffix, T, OUT, STEP, LOWEST, HIGHEST)                                           \
    static void softmax_table_row_##suffix(const qc_softmax_table_params *p, const T *x, OUT *y) {            \
        T largest = x[0];                                                                                     \
        for (int32_t c = 1; c < p->depth; ++c) largest = x[c] > largest ? x[c] : largest;                     \
        float sum = 0.0f;                                                                                     \
        for (int32_t c = 0; c < p->depth; ++c) sum += p->exp_table[largest - x[c]];                           \
        const float inverse = 1.0f / (sum * p->output_scale);                                                 \
        for (int32_t c = 0; c < p->depth; ++c) {                                                              \
            const float steps = p->exp_table[largest - x[c]] * inverse;                                       \
            y[c] = (OUT)qc_clamp(STEP(steps, p->output_zero_point), LOWEST, HIGHEST);                         \
        }                                                                                                     \
    }                                                                                                         \
    qc_status qc_softmax_table_##suffix##_ref(const qc_softmax_table_params *p, const T *input, OUT *output,  \
                                              void *scratch) {                                                \
        (void)scratch;                                                                                        \
        for (int64_t row = 0; row < p->rows; ++row)                                                           \
            softmax_table_row_##suffix(p, input + row * p->depth, output + row * p->depth);                   \
        return QC_OK;                                                                                         \
    }

SOFTMAX_TABLE_KERNEL(s8, int8_t, int8_t, table_step, INT8_MIN, INT8_MAX)
SOFTMAX_TABLE_KERNEL(u8, uint8_t, uint8_t, table_step_u8, 0, UINT8_MAX)
SOFTMAX_TABLE_KERNEL(s8_s16, int8_t, int16_t, table_step, INT16_MIN, INT16_MAX)
SOFTMAX_TABLE_KERNEL(u8_s16, uint8_t, int16_t, table_step, INT16_MIN, INT16_MAX)

/* The function whose knots are given, at a 16-bit q; see interpolate.h. */
static inline int32_t on_line(const int16_t *knots, int32_t q) {
    const int16_t *knot = knots + 256 + (q >> 7);
    return knot[0] + (((knot[1] - knot[0]) * (q & 127) + 64) >> 7);
}

static void softmax_row_s16(const qc_softmax_s16_params *p, const int16_t *x, int16_t *y) {
    int16_t largest = x[0];
    for (int32_t c = 1; c < p->depth; ++c) largest = x[c] > largest ? x[c] : largest;
    uint32_t sum = 0; /* Q16.15 */
    for (int32_t c = 0; c < p->depth; ++c) {
        const int32_t scaled = qc_multiply_double_rounding(x[c] - largest, p->multiplier, p->shift);
        const int32_t q = qc_clamp(qc_wrap32((int64_t)scaled + INT16_MAX), INT16_MIN, INT16_MAX);
        const int32_t e = on_line(p->exp_table, q);
        y[c] = (int16_t)e;
        sum += (uint32_t)e;
    }
    int leading_zeros = 0;
    for (uint32_t bits = sum; !(bits & 0x80000000u); bits <<= 1) ++leading_zeros;
    /* sum = (1 + a) * 2^n with a in [0, 1): a becomes the position in the second table. */
    const int32_t mantissa = (int32_t)((((int64_t)sum << (leading_zeros - 1)) + (1 << 13)) >> 14);
    const int32_t inverse = on_line(p->reciprocal_table, qc_clamp(mantissa - (3 << 15), INT16_MIN, INT16_MAX));
    const int shift = 31 - leading_zeros;
    for (int32_t c = 0; c < p->depth; ++c) {
        const int64_t product = (int64_t)y[c] * inverse + ((int64_t)1 << (shift - 1));
        y[c] = (int16_t)qc_clamp((int32_t)(product >> shift), 0, INT16_MAX);
    }
}

qc_status qc_softmax_s16_ref(const qc_softmax_s16_params *p, const int16_t *input, int16_t *output, void *scratch) {
    (void)scratch;
    for (int64_t row = 0; row < p->rows; ++row)
        softmax_row_s16(p, input + row * p->depth, output + row * p->depth);
    return QC_OK;
}

qc_status qc_softmax_f32_ref(const qc_softmax_f32_params *p, const float *input, float *output, void *scratch) {
    (void)scratch;
    for (int64_t row = 0; row < p->rows; ++row) {
        const float *x = input + row * p->depth;
        float *y = output + row * p->depth;
        float largest = -FLT_MAX;
        for (int32_t c = 0; c < p->depth; ++c) largest = largest < x[c] ? x[c] : largest;
        float sum = 0.0f;
        for (int32_t c = 0; c < p->depth; ++c) {
            y[c] = expf((x[c] - largest) * p->beta);
            sum += y[c];
        }
        for (int32_t c = 0; c < p->depth; ++c) y[c] /= sum;
    }
    return QC_OK;
}
