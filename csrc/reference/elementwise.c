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
QC_ARITHMETIC(f32, ref, , float)
QC_ARITHMETIC(s32, ref, , int32_t)
QC_ARITHMETIC(s64, ref, , int64_t)
