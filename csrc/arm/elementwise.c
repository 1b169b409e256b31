/* ADD, SUB, MUL on integers with scales: the rules of elementwise_rules.h on 8 elements at a time. */
#include "../kernels.h"
#include "lanes_neon.h"
#include "quantcore/elementwise_rules.h"
#include "requantize_neon.h"

/* Defines the row function of the vector rule `rule`, and of its scalar form `one` for what is left of a row. */
#define ROW(name, R, suffix, T, rule, one)                                                                       \
    static void name(const void *context, const void *input1, int64_t stride1, const void *input2,               \
                     int64_t stride2, void *output, int64_t count) {                                             \
        const R r = *(const R *)context;                                                                         \
        const T *a = (const T *)input1;                                                                          \
        const T *b = (const T *)input2;                                                                          \
        T *y = (T *)output;                                                                                      \
        int64_t i = 0;                                                                                           \
        for (; i + 8 <= count; i += 8) {                                                                         \
            const int32x4x2_t q1 = stride1 ? qc_load_8_##suffix(a + i) : qc_repeat_8(*a);                        \
            const int32x4x2_t q2 = stride2 ? qc_load_8_##suffix(b + i) : qc_repeat_8(*b);                        \
            const int32x4x2_t z = {{rule(&r, q1.val[0], q2.val[0]), rule(&r, q1.val[1], q2.val[1])}};            \
            qc_store_8_##suffix(y + i, z);                                                                       \
        }                                                                                                        \
        for (; i < count; ++i) y[i] = (T)one(&r, a[stride1 ? i : 0], b[stride2 ? i : 0]);                        \
    }

static inline int32x4_t clamp_lanes(int32x4_t x, int32_t low, int32_t high) {
    return vminq_s32(vmaxq_s32(x, vdupq_n_s32(low)), vdupq_n_s32(high));
}

/* qc_wrap16 */
static inline int32x4_t wrap16(int32x4_t x) {
    return vshrq_n_s32(vshlq_n_s32(x, 16), 16);
}

/* A shift by a negative number is a truncating one to the right. */
static inline int32x4_t shift_lanes(int32x4_t x, int32_t by) {
    return vshlq_s32(x, vdupq_n_s32(by));
}

static inline int32x4_t high_product(int32x4_t x, int32_t multiplier) {
    return vqrdmulhq_s32(x, vdupq_n_s32(multiplier));
}

static inline int32x4_t rounded(int32x4_t x, int32_t left_shift, int32_t multiplier, int32_t shift) {
    return qc_rounding_divide_by_pot_neon(high_product(shift_lanes(x, left_shift), multiplier), vdupq_n_s32(shift));
}
static inline int32x4_t combined(int32x4_t x, int32_t left_shift, int32_t multiplier, int32_t shift) {
    return high_product(shift_lanes(x, left_shift + shift), multiplier);
}
static inline int32x4_t truncated(int32x4_t x, int32_t left_shift, int32_t multiplier, int32_t shift) {
    return shift_lanes(high_product(shift_lanes(x, left_shift), multiplier), shift);
}

/* A sum on the output's scale. */
static inline int32x4_t scaled_sum(const qc_add_rule *r, int32x4_t sum) {
    return qc_multiply_fixed_neon(0, sum, vdupq_n_s32(r->output_multiplier), vdupq_n_s32(r->output_shift));
}
static inline int32x4_t store_sum(const qc_add_rule *r, int32x4_t sum) {
    const int32x4_t y = vaddq_s32(scaled_sum(r, sum), vdupq_n_s32(r->output_offset));
    return clamp_lanes(y, r->activation_min, r->activation_max);
}
static inline int32x4_t store_sum_narrow(const qc_add_rule *r, int32x4_t sum) {
    const int32x4_t y = vaddq_s32(wrap16(scaled_sum(r, sum)), vdupq_n_s32(r->output_offset));
    return clamp_lanes(wrap16(y), r->activation_min, r->activation_max);
}

#define ADD_RULE(name, rescale, join, store)                                                            \
    static inline int32x4_t name(const qc_add_rule *r, int32x4_t q1, int32x4_t q2) {                    \
        const int32x4_t x1 = vaddq_s32(q1, vdupq_n_s32(r->input1_offset));                              \
        const int32x4_t x2 = vaddq_s32(q2, vdupq_n_s32(r->input2_offset));                              \
        const int32x4_t a = rescale(x1, r->left_shift, r->input1_multiplier, r->input1_shift);          \
        const int32x4_t b = rescale(x2, r->left_shift, r->input2_multiplier, r->input2_shift);          \
        return store(r, join(a, b));                                                                    \
    }
ADD_RULE(add_lanes, rounded, vaddq_s32, store_sum)
ADD_RULE(sub_lanes, rounded, vsubq_s32, store_sum)
ADD_RULE(add_combined_lanes, combined, vaddq_s32, store_sum)
ADD_RULE(add_truncated_lanes, truncated, vaddq_s32, store_sum)
ADD_RULE(add_combined_narrow_lanes, combined, vaddq_s32, store_sum_narrow)
ADD_RULE(add_truncated_narrow_lanes, truncated, vaddq_s32, store_sum_narrow)

#define ADD_VERSIONS(suffix, T, width)                                                                           \
    ROW(add_##suffix##_plain, qc_add_rule, suffix, T, add_lanes, qc_add_one)                                     \
    ROW(add_##suffix##_combined, qc_add_rule, suffix, T, add_combined##width##_lanes, qc_add_combined##width##_one) \
    ROW(add_##suffix##_truncated, qc_add_rule, suffix, T, add_truncated##width##_lanes,                          \
        qc_add_truncated##width##_one)                                                                           \
    static const qc_binary_row add_##suffix##_bodies[] = {add_##suffix##_combined, add_##suffix##_truncated};    \
    QC_BLOCKS_ROW(add_##suffix##_row, qc_add_rule, T, add_##suffix##_plain, add_##suffix##_bodies)               \
    QC_BINARY_KERNEL(add, suffix, neon, qc_add_params, T, add_##suffix##_row)                                    \
    ROW(sub_##suffix##_row, qc_add_rule, suffix, T, sub_lanes, qc_sub_one)                                       \
    QC_BINARY_KERNEL(sub, suffix, neon, qc_add_params, T, sub_##suffix##_row)
ADD_VERSIONS(s8, int8_t, _narrow)
ADD_VERSIONS(u8, uint8_t, _narrow)
ADD_VERSIONS(s16, int16_t, )

static inline int32x4_t weighted_sum_lanes(const qc_weighted_sum_rule *r, int32x4_t q1, int32x4_t q2) {
    const int32x4_t x1 = vaddq_s32(q1, vdupq_n_s32(r->input1_offset));
    const int32x4_t x2 = vaddq_s32(q2, vdupq_n_s32(r->input2_offset));
    const int32x4_t sum = vmlaq_n_s32(vmulq_n_s32(x1, r->weight1), x2, r->weight2);
    const int32x4_t y = vrshlq_s32(sum, vdupq_n_s32(-r->shift));
    return clamp_lanes(vaddq_s32(y, vdupq_n_s32(r->output_offset)), r->activation_min, r->activation_max);
}

#define WEIGHTED_SUM_VERSION(suffix, T)                                                                          \
    ROW(weighted_sum_##suffix##_row, qc_weighted_sum_rule, suffix, T, weighted_sum_lanes, qc_weighted_sum_one)   \
    QC_BINARY_KERNEL(weighted_sum, suffix, neon, qc_weighted_sum_params, T, weighted_sum_##suffix##_row)
WEIGHTED_SUM_VERSION(s8, int8_t)
WEIGHTED_SUM_VERSION(u8, uint8_t)

static inline int32x4_t offset_product(int32_t offset1, int32_t offset2, int32x4_t q1, int32x4_t q2) {
    return vmulq_s32(vaddq_s32(q1, vdupq_n_s32(offset1)), vaddq_s32(q2, vdupq_n_s32(offset2)));
}

/* qc_mul_one: element 0 says which rule all have. */
static inline int32x4_t mul_any_lanes(const qc_mul_params *p, int32x4_t q1, int32x4_t q2) {
    const qc_requant *r = &p->requant;
    const int32x4_t product = offset_product(p->input1_offset, p->input2_offset, q1, q2);
    return qc_offset_and_clamp_neon(r, qc_requantize_by_neon(r, r->body > 0 ? r->rounding : r->tail, product, 0));
}

static inline int32x4_t mul_scaled(const qc_mul_rule *r, int32x4_t q1, int32x4_t q2) {
    const int32x4_t product = offset_product(r->input1_offset, r->input2_offset, q1, q2);
    return qc_multiply_fixed_neon(0, product, vdupq_n_s32(r->multiplier), vdupq_n_s32(r->shift));
}
static inline int32x4_t add_offset(const qc_mul_rule *r, int32x4_t y) {
    return vaddq_s32(y, vdupq_n_s32(r->output_offset));
}
static inline int32x4_t mul_plain_lanes(const qc_mul_rule *r, int32x4_t q1, int32x4_t q2) {
    return clamp_lanes(add_offset(r, mul_scaled(r, q1, q2)), r->activation_min, r->activation_max);
}
static inline int32x4_t mul_saturated_lanes(const qc_mul_rule *r, int32x4_t q1, int32x4_t q2) {
    const int32x4_t y = clamp_lanes(mul_scaled(r, q1, q2), INT16_MIN, INT16_MAX);
    return clamp_lanes(wrap16(add_offset(r, y)), r->activation_min, r->activation_max);
}
static inline int32x4_t mul_wrapped_lanes(const qc_mul_rule *r, int32x4_t q1, int32x4_t q2) {
    const int32x4_t y = wrap16(mul_scaled(r, q1, q2));
    return clamp_lanes(wrap16(add_offset(r, y)), r->activation_min, r->activation_max);
}
static inline int32x4_t mul_vanished_lanes(const qc_mul_rule *r, int32x4_t q1, int32x4_t q2) {
    (void)q1;
    (void)q2;
    return clamp_lanes(vdupq_n_s32(r->output_offset), r->activation_min, r->activation_max);
}

#define MUL_VERSION(suffix, T)                                                                                   \
    ROW(mul_##suffix##_any_rule, qc_mul_params, suffix, T, mul_any_lanes, qc_mul_one)                            \
    ROW(mul_##suffix##_plain, qc_mul_rule, suffix, T, mul_plain_lanes, qc_mul_one_double_rounding)               \
    ROW(mul_##suffix##_saturated, qc_mul_rule, suffix, T, mul_saturated_lanes, qc_mul_one_saturated)             \
    ROW(mul_##suffix##_wrapped, qc_mul_rule, suffix, T, mul_wrapped_lanes, qc_mul_one_wrapped)                   \
    ROW(mul_##suffix##_vanished, qc_mul_rule, suffix, T, mul_vanished_lanes, qc_mul_one_vanished)                \
    static const qc_binary_row mul_##suffix##_bodies[] = {mul_##suffix##_saturated, mul_##suffix##_wrapped,      \
                                                          mul_##suffix##_vanished};                              \
    QC_BLOCKS_ROW(mul_##suffix##_row, qc_mul_rule, T, mul_##suffix##_plain, mul_##suffix##_bodies)               \
    qc_status qc_mul_##suffix##_neon(const qc_mul_params *p, const T *input1, const T *input2, T *output,        \
                                     void *scratch) {                                                            \
        (void)scratch;                                                                                           \
        const qc_mul_rule rule = qc_mul_rule_of(p);                                                              \
        const int simple = p->requant.rounding == QC_DOUBLE_ROUNDING;                                            \
        qc_broadcast_walk(&p->broadcast, simple ? (const void *)&rule : p, input1, input2, output, sizeof(T),    \
                          simple ? mul_##suffix##_row : mul_##suffix##_any_rule);                                \
        return QC_OK;                                                                                            \
    }
MUL_VERSION(s8, int8_t)
MUL_VERSION(u8, uint8_t)
MUL_VERSION(s16, int16_t)
