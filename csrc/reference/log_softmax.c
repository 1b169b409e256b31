/* LOG_SOFTMAX: the definitions. */
#include "quantcore/log_softmax.h"

#include <float.h>
#include <math.h>

static inline int leading_zeros(int32_t x) {
    int zeros = 0;
    for (uint32_t bits = (uint32_t)x; zeros < 32 && !(bits & 0x80000000u); bits <<= 1) ++zeros;
    return zeros;
}

/* Sums of Q0.31 numbers wrap, as gemmlowp's do. */
static inline int32_t add(int32_t a, int32_t b) {
    return qc_wrap32((int64_t)a + b);
}

static inline int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* (a + b) / 2, ties away from zero. */
static inline int32_t half_sum(int32_t a, int32_t b) {
    const int64_t sum = (int64_t)a + b;
    return (int32_t)((sum + (sum >= 0 ? 1 : -1)) / 2);
}

/* log(x) as Q5.26 of x >= 1 as Q12.19: x = 2^k r with r near 2^(-1/4), log r a quotient of polynomials in
 * r - 2^(-1/4). k comes in two versions, half a power of two apart, of which the better is taken. */
static int32_t log_of_sum(int32_t x) {
    const int32_t log_2 = 1488522236, root4_half = 1805811301, root_half = 1518500250; /* Q0.31 */
    const int32_t numerator = 117049297;            /* 11/240 * 2^(1/4) */
    const int32_t square = 127690142;               /* 1/20 * 2^(1/4) */
    const int32_t constant = 1057819769;            /* 2 / 2^(1/4) - 2^(1/4) */
    const int32_t linear = 638450708;               /* 1/4 * 2^(1/4) */
    const int32_t quarter = 1 << 23;                /* Q6.25 */

    const int zeros = leading_zeros(x);
    const int32_t normal = qc_saturating_shift_left(x, zeros - 1);
    const int32_t r_a = qc_saturating_shift_left(qc_srdhm(normal, root_half), 1);
    const int32_t k_a = qc_saturate32((int64_t)(12 - zeros) * (1 << 25) + quarter);
    const int headroom = leading_zeros(qc_srdhm(x, root_half)) - 1;
    const int32_t r_b = qc_saturating_shift_left(x, headroom);
    const int32_t k_b = qc_saturate32((int64_t)(12 - headroom) * (1 << 25) - quarter);
    const int32_t r = least(r_a, r_b), k = k_a > k_b ? k_a : k_b;

    const int32_t p = half_sum(r, root4_half);
    const int32_t q = add(add(r, -root4_half), add(r, -root4_half));
    const int32_t q2 = qc_srdhm(q, q);
    const int32_t num = add(qc_srdhm(q, r), qc_srdhm(qc_srdhm(q, q2), numerator));
    const int32_t inner = add(add(constant, q), qc_srdhm(square, q2));
    const int32_t denominator = add(qc_srdhm(p, inner), qc_srdhm(linear, q));
    const int32_t quotient = qc_srdhm(qc_rounding_divide_by_pot(num, 6), qc_one_over_one_plus_x(denominator));
    return qc_saturating_shift_left(add(qc_srdhm(k, log_2), quotient), 1);
}

enum { OUTPUT_SHIFT = 22 }; /* from Q5.26 to sixteenths */

#define LOG_SOFTMAX_KERNEL(suffix, T, LOWEST, HIGHEST)                                                       \
    static void log_softmax_row_##suffix(const qc_log_softmax_params *p, const T *x, T *y) {                 \
        T largest = x[0];                                                                                    \
        for (int32_t c = 1; c < p->depth; ++c) largest = x[c] > largest ? x[c] : largest;                    \
        int32_t sum = 0; /* Q12.19 */                                                                        \
        for (int32_t c = 0; c < p->depth; ++c)                                                               \
            sum = add(sum, qc_rounding_divide_by_pot(p->exp_table[largest - x[c]], 12));                     \
        const int32_t log_sum = log_of_sum(sum);                                                             \
        const int32_t reach =                                                                                \
            qc_multiply_double_rounding(add(log_sum, INT32_MIN), p->reverse_multiplier, p->reverse_shift);   \
        const int32_t limit = p->diff_min - 1 > reach ? p->diff_min - 1 : reach;                             \
        for (int32_t c = 0; c < p->depth; ++c) {                                                             \
            const int32_t d = largest - x[c];                                                                \
            const int32_t steps = qc_rounding_divide_by_pot(add(p->scaled[d], -log_sum), OUTPUT_SHIFT);      \
            y[c] = (T)(-d > limit ? qc_clamp(steps + (HIGHEST), LOWEST, HIGHEST) : (LOWEST));                \
        }                                                                                                    \
    }                                                                                                        \
    qc_status qc_log_softmax_##suffix##_ref(const qc_log_softmax_params *p, const T *input, T *output,       \
                                            void *scratch) {                                                 \
        (void)scratch;                                                                                       \
        for (int64_t row = 0; row < p->rows; ++row)                                                          \
            log_softmax_row_##suffix(p, input + row * p->depth, output + row * p->depth);                    \
        return QC_OK;                                                                                        \
    }

LOG_SOFTMAX_KERNEL(s8, int8_t, INT8_MIN, INT8_MAX)
LOG_SOFTMAX_KERNEL(u8, uint8_t, 0, UINT8_MAX)

#define LOG_SOFTMAX_TABLE_KERNEL(suffix, T, LOWEST, HIGHEST)                                                   \
    static void log_softmax_table_row_##suffix(const qc_log_softmax_table_params *p, const T *x, T *y) {       \
        T largest = x[0];                                                                                      \
        for (int32_t c = 1; c < p->depth; ++c) largest = x[c] > largest ? x[c] : largest;                      \
        float sum = 0.0f;                                                                                      \
        for (int32_t c = 0; c < p->depth; ++c) sum += p->exp_table[largest - x[c]];                            \
        const float scale = p->input_scale / p->output_scale;                                                  \
        const float top = (p->input_scale * (float)largest + logf(sum)) / p->output_scale;                     \
        for (int32_t c = 0; c < p->depth; ++c) {                                                               \
            const float steps = nearbyintf(scale * (float)x[c] - top) + (float)p->output_zero_point;           \
            y[c] = (T)qc_clamp(qc_round_to_int32((double)steps), LOWEST, HIGHEST);                             \
        }                                                                                                      \
    }                                                                                                          \
    qc_status qc_log_softmax_table_##suffix##_ref(const qc_log_softmax_table_params *p, const T *input,        \
                                                  T *output, void *scratch) {                                  \
        (void)scratch;                                                                                         \
        for (int64_t row = 0; row < p->rows; ++row)                                                            \
            log_softmax_table_row_##suffix(p, input + row * p->depth, output + row * p->depth);                \
        return QC_OK;                                                                                          \
    }

LOG_SOFTMAX_TABLE_KERNEL(s8, int8_t, INT8_MIN, INT8_MAX)
LOG_SOFTMAX_TABLE_KERNEL(u8, uint8_t, 0, UINT8_MAX)

qc_status qc_log_softmax_f32_ref(const qc_log_softmax_f32_params *p, const float *input, float *output,
                                 void *scratch) {
    (void)scratch;
    for (int64_t row = 0; row < p->rows; ++row) {
        const float *x = input + row * p->depth;
        float *y = output + row * p->depth;
        float largest = -FLT_MAX;
        for (int32_t c = 0; c < p->depth; ++c) largest = largest < x[c] ? x[c] : largest;
        float sum = 0.0f;
        for (int32_t c = 0; c < p->depth; ++c) sum += expf(x[c] - largest);
        const float log_sum = logf(sum);
        for (int32_t c = 0; c < p->depth; ++c) y[c] = x[c] - largest - log_sum;
    }
    return QC_OK;
}
