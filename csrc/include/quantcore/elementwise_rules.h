/* The scalar rules of the element-wise operators, and the walk over broadcast shapes.
 *
 * A file that includes this compiles the kernels for an instruction set by QC_QUANTIZED_BINARY and
 * QC_ARITHMETIC. There is one definition of each rule. */
#ifndef QUANTCORE_ELEMENTWISE_RULES_H
#define QUANTCORE_ELEMENTWISE_RULES_H

#include <stddef.h>

#include "quantcore/elementwise.h"

/* One row: `count` outputs; an input of stride 0 is one element that repeats. */
typedef void (*qc_binary_row)(const void *rule, const void *input1, int64_t stride1, const void *input2,
                              int64_t stride2, void *output, int64_t count);

/* Calls `row` for every row of the output, in order. size: of an element, in bytes. */
static inline void qc_broadcast_walk(const qc_broadcast *b, const void *rule, const void *input1,
                                     const void *input2, void *output, int64_t size, qc_binary_row row) {
    const int32_t last = b->rank - 1;
    const char *x = (const char *)input1;
    const char *y = (const char *)input2;
    char *z = (char *)output;
    int32_t index[QC_BROADCAST_RANK] = {0};
    for (int32_t d = 0; d < b->rank; ++d)
        if (b->shape[d] == 0) return;
    for (;;) {
        row(rule, x, b->stride1[last], y, b->stride2[last], z, b->shape[last]);
        z += b->shape[last] * size;
        int32_t d = last - 1; /* the outer dimensions advance like an odometer */
        for (; d >= 0 && ++index[d] == b->shape[d]; --d) {
            index[d] = 0;
            x -= (b->shape[d] - 1) * b->stride1[d] * size;
            y -= (b->shape[d] - 1) * b->stride2[d] * size;
        }
        if (d < 0) return;
        x += b->stride1[d] * size;
        y += b->stride2[d] * size;
    }
}

/* Defines the row function of `one(const R *, a, b)` on elements of type T. The rule is copied because a
 * store to an int8 array could change what a pointer shows, which would keep the loops from vectorising. */
#define QC_BINARY_ROW(name, target, R, T, one)                                                          \
    target static void name(const void *rule, const void *input1, int64_t stride1, const void *input2,  \
                            int64_t stride2, void *output, int64_t count) {                             \
        const R r = *(const R *)rule;                                                                   \
        const T *a = (const T *)input1;                                                                 \
        const T *b = (const T *)input2;                                                                 \
        T *y = (T *)output;                                                                             \
        if (stride1 == 0) {                                                                             \
            const T repeated = *a;                                                                      \
            for (int64_t i = 0; i < count; ++i) y[i] = (T)one(&r, repeated, b[i]);                      \
        } else if (stride2 == 0) {                                                                      \
            const T repeated = *b;                                                                      \
            for (int64_t i = 0; i < count; ++i) y[i] = (T)one(&r, a[i], repeated);                      \
        } else {                                                                                        \
            for (int64_t i = 0; i < count; ++i) y[i] = (T)one(&r, a[i], b[i]);                          \
        }                                                                                               \
    }

/* Defines the row function `name` of the rule `plain`, with vector bodies: `leading[variant]` computes the full
 * blocks of a row, `plain` the rest. P: what `rule` points to, with the fields body and repeated_body. */
#define QC_BLOCKS_ROW(name, P, T, plain, leading)                                                            \
    static void name(const void *rule, const void *input1, int64_t stride1, const void *input2,              \
                     int64_t stride2, void *output, int64_t count) {                                         \
        const P *p = (const P *)rule;                                                                        \
        const qc_body body = stride1 && stride2 ? p->body : p->repeated_body;                                \
        const int64_t full = body.block ? count / body.block * body.block : 0;                               \
        const T *a = (const T *)input1;                                                                      \
        const T *b = (const T *)input2;                                                                      \
        T *y = (T *)output;                                                                                  \
        leading[body.variant](rule, a, stride1, b, stride2, y, full);                                        \
        plain(rule, a + full * stride1, stride1, b + full * stride2, stride2, y + full, count - full);       \
    }

static inline int32_t qc_wrap16(int32_t x) {
    return (int16_t)(uint16_t)(uint32_t)x;
}

/* x * 2^shift: wrapped to 32 bits, or truncated toward minus infinity for a negative shift; shift in [-31, 31]. */
static inline int32_t qc_shift_either_way(int32_t x, int shift) {
    return shift < 0 ? x >> -shift : qc_shift_left_wrap(x, shift);
}

/* An input of ADD or SUB on the common scale, rounded as the definition and the two vector bodies do. */
static inline int32_t qc_add_rounded(int32_t x, int32_t left_shift, int32_t multiplier, int32_t shift) {
    return qc_rounding_divide_by_pot(qc_srdhm(qc_shift_left_wrap(x, left_shift), multiplier), -shift);
}

static inline int32_t qc_add_combined(int32_t x, int32_t left_shift, int32_t multiplier, int32_t shift) {
    return qc_srdhm(qc_shift_either_way(x, left_shift + shift), multiplier);
}

static inline int32_t qc_add_truncated(int32_t x, int32_t left_shift, int32_t multiplier, int32_t shift) {
    return qc_srdhm(qc_shift_left_wrap(x, left_shift), multiplier) >> -shift;
}

/* The sum on the output's scale, to 32 bits, or narrowed to 16 bits by vector bodies. */
static inline int32_t qc_add_store(const qc_add_rule *r, int32_t sum) {
    const int32_t y = qc_multiply_double_rounding(sum, r->output_multiplier, r->output_shift);
    return qc_clamp(y + r->output_offset, r->activation_min, r->activation_max);
}

static inline int32_t qc_add_store_narrow(const qc_add_rule *r, int32_t sum) {
    const int32_t y = qc_multiply_double_rounding(sum, r->output_multiplier, r->output_shift);
    return qc_clamp(qc_wrap16(qc_wrap16(y) + r->output_offset), r->activation_min, r->activation_max);
}

/* Defines the rule qc_<name>_one: the two inputs rescaled, joined by `sign`, stored. */
#define QC_ADD_RULE(name, rescale, sign, store)                                                              \
    static inline int32_t qc_##name##_one(const qc_add_rule *r, int32_t q1, int32_t q2) {                    \
        const int32_t a = rescale(q1 + r->input1_offset, r->left_shift, r->input1_multiplier, r->input1_shift); \
        const int32_t b = rescale(q2 + r->input2_offset, r->left_shift, r->input2_multiplier, r->input2_shift); \
        return store(r, a sign b);                                                                           \
    }

QC_ADD_RULE(add, qc_add_rounded, +, qc_add_store)
QC_ADD_RULE(sub, qc_add_rounded, -, qc_add_store)
QC_ADD_RULE(add_combined, qc_add_combined, +, qc_add_store)
QC_ADD_RULE(add_truncated, qc_add_truncated, +, qc_add_store)
QC_ADD_RULE(add_combined_narrow, qc_add_combined, +, qc_add_store_narrow)
QC_ADD_RULE(add_truncated_narrow, qc_add_truncated, +, qc_add_store_narrow)

static inline int32_t qc_weighted_sum_one(const qc_weighted_sum_rule *r, int32_t q1, int32_t q2) {
    const int32_t sum = (q1 + r->input1_offset) * r->weight1 + (q2 + r->input2_offset) * r->weight2;
    const int32_t y = (sum + (1 << (r->shift - 1))) >> r->shift;
    return qc_clamp(y + r->output_offset, r->activation_min, r->activation_max);
}

/* MUL by whatever rule the requantization names. */
static inline int32_t qc_mul_one(const qc_mul_params *p, int32_t q1, int32_t q2) {
    return qc_requantize(&p->requant, (q1 + p->input1_offset) * (q2 + p->input2_offset), 0);
}

/* MUL by double rounding, with the multiplier by value: the same result, in a loop that vectorises. */
typedef struct {
    qc_body body, repeated_body;
    int32_t input1_offset, input2_offset, multiplier, shift, output_offset, activation_min, activation_max;
} qc_mul_rule;

static inline int32_t qc_mul_scaled(const qc_mul_rule *r, int32_t q1, int32_t q2) {
    const int32_t product = (q1 + r->input1_offset) * (q2 + r->input2_offset);
    return qc_multiply_double_rounding(product, r->multiplier, r->shift);
}

static inline int32_t qc_mul_one_double_rounding(const qc_mul_rule *r, int32_t q1, int32_t q2) {
    const int32_t y = qc_mul_scaled(r, q1, q2);
    return qc_clamp(qc_wrap32((int64_t)y + r->output_offset), r->activation_min, r->activation_max);
}

/* The same in the vector bodies, which hold the product in 16 bits. */
static inline int32_t qc_mul_one_saturated(const qc_mul_rule *r, int32_t q1, int32_t q2) {
    const int32_t y = qc_clamp(qc_mul_scaled(r, q1, q2), INT16_MIN, INT16_MAX);
    return qc_clamp(qc_wrap16(y + r->output_offset), r->activation_min, r->activation_max);
}

static inline int32_t qc_mul_one_wrapped(const qc_mul_rule *r, int32_t q1, int32_t q2) {
    const int32_t y = qc_wrap16(qc_mul_scaled(r, q1, q2));
    return qc_clamp(qc_wrap16(y + r->output_offset), r->activation_min, r->activation_max);
}

static inline int32_t qc_mul_one_vanished(const qc_mul_rule *r, int32_t q1, int32_t q2) {
    (void)q1;
    (void)q2;
    return qc_clamp(r->output_offset, r->activation_min, r->activation_max);
}

static inline qc_mul_rule qc_mul_rule_of(const qc_mul_params *p) {
    const qc_requant *r = &p->requant;
    const qc_mul_rule rule = {p->body,          p->repeated_body,  p->input1_offset,  p->input2_offset, r->multiplier[0],
                              r->shift[0],      r->output_offset,  r->activation_min, r->activation_max};
    return rule;
}

/* Defines kernel qc_<op>_<suffix>_<isa>, which walks rows of `row`. */
#define QC_BINARY_KERNEL(op, suffix, isa, P, T, row)                                                         \
    qc_status qc_##op##_##suffix##_##isa(const P *p, const T *input1, const T *input2, T *output, void *scratch) { \
        (void)scratch;                                                                                       \
        qc_broadcast_walk(&p->broadcast, &p->rule, input1, input2, output, sizeof(T), row);                  \
        return QC_OK;                                                                                        \
    }

/* The rows of ADD; combined and truncated: the rules of its vector bodies. */
#define QC_ADD_ROWS(suffix, target, T, combined, truncated)                                                  \
    QC_BINARY_ROW(add_##suffix##_plain, target, qc_add_rule, T, qc_add_one)                                  \
    QC_BINARY_ROW(add_##suffix##_combined, target, qc_add_rule, T, combined)                                 \
    QC_BINARY_ROW(add_##suffix##_truncated, target, qc_add_rule, T, truncated)                               \
    static const qc_binary_row add_##suffix##_bodies[] = {add_##suffix##_combined, add_##suffix##_truncated}; \
    QC_BLOCKS_ROW(add_##suffix##_row, qc_add_rule, T, add_##suffix##_plain, add_##suffix##_bodies)

#define QC_ADD_KERNEL(suffix, isa, target, T, combined, truncated)                                           \
    QC_ADD_ROWS(suffix, target, T, combined, truncated)                                                      \
    QC_BINARY_KERNEL(add, suffix, isa, qc_add_params, T, add_##suffix##_row)

#define QC_SUB_KERNEL(suffix, isa, target, T)                                                                \
    QC_BINARY_ROW(sub_##suffix##_row, target, qc_add_rule, T, qc_sub_one)                                    \
    QC_BINARY_KERNEL(sub, suffix, isa, qc_add_params, T, sub_##suffix##_row)

#define QC_WEIGHTED_SUM_KERNEL(suffix, isa, target, T)                                                       \
    QC_BINARY_ROW(weighted_sum_##suffix##_row, target, qc_weighted_sum_rule, T, qc_weighted_sum_one)         \
    QC_BINARY_KERNEL(weighted_sum, suffix, isa, qc_weighted_sum_params, T, weighted_sum_##suffix##_row)

#define QC_MUL_ROWS(suffix, target, T)                                                                       \
    QC_BINARY_ROW(mul_##suffix##_any_rule, target, qc_mul_params, T, qc_mul_one)                             \
    QC_BINARY_ROW(mul_##suffix##_plain, target, qc_mul_rule, T, qc_mul_one_double_rounding)                  \
    QC_BINARY_ROW(mul_##suffix##_saturated, target, qc_mul_rule, T, qc_mul_one_saturated)                    \
    QC_BINARY_ROW(mul_##suffix##_wrapped, target, qc_mul_rule, T, qc_mul_one_wrapped)                        \
    QC_BINARY_ROW(mul_##suffix##_vanished, target, qc_mul_rule, T, qc_mul_one_vanished)                      \
    static const qc_binary_row mul_##suffix##_bodies[] = {mul_##suffix##_saturated, mul_##suffix##_wrapped,  \
                                                          mul_##suffix##_vanished};                          \
    QC_BLOCKS_ROW(mul_##suffix##_row, qc_mul_rule, T, mul_##suffix##_plain, mul_##suffix##_bodies)           \
    static void mul_##suffix##_rows(const qc_mul_params *p, const T *input1, const T *input2, T *output) {   \
        const qc_mul_rule rule = qc_mul_rule_of(p);                                                          \
        const int simple = p->requant.rounding == QC_DOUBLE_ROUNDING;                                        \
        qc_broadcast_walk(&p->broadcast, simple ? (const void *)&rule : p, input1, input2, output, sizeof(T), \
                          simple ? mul_##suffix##_row : mul_##suffix##_any_rule);                            \
    }

#define QC_MUL_KERNEL(suffix, isa, target, T)                                                                \
    QC_MUL_ROWS(suffix, target, T)                                                                           \
    qc_status qc_mul_##suffix##_##isa(const qc_mul_params *p, const T *input1, const T *input2, T *output,   \
                                      void *scratch) {                                                       \
        (void)scratch;                                                                                       \
        mul_##suffix##_rows(p, input1, input2, output);                                                      \
        return QC_OK;                                                                                        \
    }

/* The rules without scales: `expression` of a and b, clamped. */
#define QC_ARITHMETIC_RULE(op, suffix, T, expression, clamp)                                                 \
    static inline T qc_##op##_##suffix##_one(const qc_arithmetic_##suffix##_params *p, T a, T b) {           \
        return clamp((T)(expression), p->activation_min, p->activation_max);                                 \
    }

static inline int64_t qc_clamp_s64(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

QC_ARITHMETIC_RULE(add, f32, float, a + b, qc_clamp_f32)
QC_ARITHMETIC_RULE(sub, f32, float, a - b, qc_clamp_f32)
QC_ARITHMETIC_RULE(mul, f32, float, a * b, qc_clamp_f32)
QC_ARITHMETIC_RULE(div, f32, float, a / b, qc_clamp_f32)
QC_ARITHMETIC_RULE(squared_difference, f32, float, (a - b) * (a - b), qc_clamp_f32)
QC_ARITHMETIC_RULE(add, s32, int32_t, (uint32_t)a + (uint32_t)b, qc_clamp)
QC_ARITHMETIC_RULE(sub, s32, int32_t, (uint32_t)a - (uint32_t)b, qc_clamp)
QC_ARITHMETIC_RULE(mul, s32, int32_t, (uint32_t)a * (uint32_t)b, qc_clamp)
QC_ARITHMETIC_RULE(add, s64, int64_t, (uint64_t)a + (uint64_t)b, qc_clamp_s64)
QC_ARITHMETIC_RULE(sub, s64, int64_t, (uint64_t)a - (uint64_t)b, qc_clamp_s64)
QC_ARITHMETIC_RULE(mul, s64, int64_t, (uint64_t)a * (uint64_t)b, qc_clamp_s64)

/* MAXIMUM and MINIMUM; `value` is what a stored element counts as: itself, or as the flushed kernels take it. */
#define QC_AS_STORED(x) (x)
#define QC_SELECTION_RULE(op, compare, suffix, T, value)         \
    static inline T qc_##op##_##suffix##_one(const void *none, T a, T b) { \
        (void)none;                                              \
        const T x = value(a), y = value(b);                      \
        return x compare y ? x : y;                              \
    }

/* PRELU */
static inline float qc_prelu_f32_one(const void *none, float x, float a) {
    (void)none;
    return x >= 0.0f ? x : x * a;
}

/* What walks the rows of rules without scales; vector versions have another. */
#ifndef QC_WALK
#define QC_WALK qc_broadcast_walk
#endif

#define QC_ARITHMETIC_KERNEL(op, suffix, isa, target, T)                                                     \
    QC_BINARY_ROW(op##_##suffix##_row, target, qc_arithmetic_##suffix##_params, T, qc_##op##_##suffix##_one) \
    qc_status qc_##op##_##suffix##_##isa(const qc_arithmetic_##suffix##_params *p, const T *input1,          \
                                         const T *input2, T *output, void *scratch) {                        \
        (void)scratch;                                                                                       \
        QC_WALK(&p->broadcast, p, input1, input2, output, sizeof(T), op##_##suffix##_row);                   \
        return QC_OK;                                                                                        \
    }

#define QC_ARITHMETIC(suffix, isa, target, T)            \
    QC_ARITHMETIC_KERNEL(add, suffix, isa, target, T)    \
    QC_ARITHMETIC_KERNEL(sub, suffix, isa, target, T)    \
    QC_ARITHMETIC_KERNEL(mul, suffix, isa, target, T)

#define QC_QUANTIZED_BINARY(isa, target)                                                          \
    QC_ADD_KERNEL(s8, isa, target, int8_t, qc_add_combined_narrow_one, qc_add_truncated_narrow_one)   \
    QC_ADD_KERNEL(u8, isa, target, uint8_t, qc_add_combined_narrow_one, qc_add_truncated_narrow_one)  \
    QC_ADD_KERNEL(s16, isa, target, int16_t, qc_add_combined_one, qc_add_truncated_one)               \
    QC_SUB_KERNEL(s8, isa, target, int8_t)                                                            \
    QC_SUB_KERNEL(u8, isa, target, uint8_t)                                                           \
    QC_SUB_KERNEL(s16, isa, target, int16_t)                                                          \
    QC_WEIGHTED_SUM_KERNEL(s8, isa, target, int8_t)                                                   \
    QC_WEIGHTED_SUM_KERNEL(u8, isa, target, uint8_t)                                                  \
    QC_MUL_KERNEL(s8, isa, target, int8_t)                                                            \
    QC_MUL_KERNEL(u8, isa, target, uint8_t)                                                           \
    QC_MUL_KERNEL(s16, isa, target, int16_t)

#endif
