/* ADD, SUB, MUL: the definitions, from the rules of elementwise_rules.h. */
#include "quantcore/elementwise_rules.h"

QC_QUANTIZED_BINARY(ref, )

#define SHIFTED_SUM(op, sign)                                                                                \
    static inline int32_t op##_shifted_one(const qc_shifted_sum_rule *r, int32_t q1, int32_t q2) {           \
        const int32_t a = qc_rounding_divide_by_pot(q1, r->shift1);                                          \
        const int32_t b = qc_rounding_divide_by_pot(q2, r->shift2);                                          \
        return qc_clamp(a sign b, r->activation_min, r->activation_max);                                     \
    }                                                                                                        \
    QC_BINARY_ROW(op##_shifted_s16_row, , qc_shifted_sum_rule, int16_t, op##_shifted_one)                    \
    QC_BINARY_KERNEL(op##_shifted, s16, ref, qc_shifted_sum_params, int16_t, op##_shifted_s16_row)

SHIFTED_SUM(add, +)
SHIFTED_SUM(sub, -)

static inline int32_t squared_difference_one(const qc_add_rule *r, int32_t q1, int32_t q2) {
    const int32_t a = qc_add_rounded(q1 + r->input1_offset, r->left_shift, r->input1_multiplier, r->input1_shift);
    const int32_t b = qc_add_rounded(q2 + r->input2_offset, r->left_shift, r->input2_multiplier, r->input2_shift);
    return qc_add_store(r, (a - b) * (a - b));
}
QC_BINARY_ROW(squared_difference_s8_row, , qc_add_rule, int8_t, squared_difference_one)
QC_BINARY_KERNEL(squared_difference, s8, ref, qc_add_params, int8_t, squared_difference_s8_row)

QC_ARITHMETIC_RULE(squared_difference, s32, int32_t, ((uint32_t)a - (uint32_t)b) * ((uint32_t)a - (uint32_t)b), qc_clamp)
QC_ARITHMETIC_KERNEL(squared_difference, f32, ref, , float)
QC_ARITHMETIC_KERNEL(squared_difference, s32, ref, , int32_t)

#define FLUSHED_DIFFERENCE(x, y) qc_flush_result((x) - (y), (double)(x) - (double)(y))
#define FLUSHED_SQUARE(x) qc_flush_result((x) * (x), (double)(x) * (double)(x))
static inline float squared_difference_f32_flushed_one(const qc_arithmetic_f32_params *p, float a, float b) {
    const float x = qc_flush_input(a);
    const float y = qc_flush_input(b);
    const float difference = FLUSHED_DIFFERENCE(x, y);
    return qc_clamp_f32(FLUSHED_SQUARE(difference), p->activation_min, p->activation_max);
}
QC_BINARY_ROW(squared_difference_f32_flushed_row, , qc_arithmetic_f32_params, float, squared_difference_f32_flushed_one)
qc_status qc_squared_difference_f32_flushed_ref(const qc_arithmetic_f32_params *p, const float *input1,
                                                const float *input2, float *output, void *scratch) {
    (void)scratch;
    qc_broadcast_walk(&p->broadcast, p, input1, input2, output, sizeof(float), squared_difference_f32_flushed_row);
    return QC_OK;
}

#define FLUSHED_ARITHMETIC(op, sign)                                                                         \
    static inline float op##_f32_flushed_one(const qc_arithmetic_f32_params *p, float a, float b) {          \
        const float x = qc_flush_input(a);                                                                   \
        const float y = qc_flush_input(b);                                                                   \
        const float result = qc_flush_result(x sign y, (double)x sign (double)y);                            \
        return qc_clamp_f32(result, p->activation_min, p->activation_max);                                   \
    }                                                                                                        \
    QC_BINARY_ROW(op##_f32_flushed_row, , qc_arithmetic_f32_params, float, op##_f32_flushed_one)             \
    qc_status qc_##op##_f32_flushed_ref(const qc_arithmetic_f32_params *p, const float *input1,              \
                                        const float *input2, float *output, void *scratch) {                 \
        (void)scratch;                                                                                       \
        qc_broadcast_walk(&p->broadcast, p, input1, input2, output, sizeof(float), op##_f32_flushed_row);    \
        return QC_OK;                                                                                        \
    }

FLUSHED_ARITHMETIC(add, +)
FLUSHED_ARITHMETIC(sub, -)
FLUSHED_ARITHMETIC(mul, *)
FLUSHED_ARITHMETIC(div, /)
QC_ARITHMETIC(f32, ref, , float)
QC_ARITHMETIC(s32, ref, , int32_t)
QC_ARITHMETIC(s64, ref, , int64_t)
