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

/* (q + offset) * 2^left_shift on the common scale of ADD and SUB. */
static inline int32_t qc_add_rescale(int32_t q, int32_t offset, int32_t left_shift, int32_t multiplier,
                                     int32_t shift) {
    const int32_t shifted = qc_shift_left_wrap(q + offset, left_shift);
    return qc_rounding_divide_by_pot(qc_srdhm(shifted, multiplier), -shift);
}

static inline int32_t qc_add_store(const qc_add_rule *r, int32_t sum) {
    const int32_t y = qc_multiply_double_rounding(sum, r->output_multiplier, r->output_shift);
    return qc_clamp(y + r->output_offset, r->activation_min, r->activation_max);
}

static inline int32_t qc_add_one(const qc_add_rule *r, int32_t q1, int32_t q2) {
    const int32_t a = qc_add_rescale(q1, r->input1_offset, r->left_shift, r->input1_multiplier, r->input1_shift);
    const int32_t b = qc_add_rescale(q2, r->input2_offset, r->left_shift, r->input2_multiplier, r->input2_shift);
    return qc_add_store(r, a + b);
}

static inline int32_t qc_sub_one(const qc_add_rule *r, int32_t q1, int32_t q2) {
    const int32_t a = qc_add_rescale(q1, r->input1_offset, r->left_shift, r->input1_multiplier, r->input1_shift);
    const int32_t b = qc_add_rescale(q2, r->input2_offset, r->left_shift, r->input2_multiplier, r->input2_shift);
    return qc_add_store(r, a - b);
}

/* MUL by whatever rule the requantization names. */
static inline int32_t qc_mul_one(const qc_mul_params *p, int32_t q1, int32_t q2) {
    return qc_requantize(&p->requant, (q1 + p->input1_offset) * (q2 + p->input2_offset), 0);
}

/* MUL by double rounding, with the multiplier by value: the same result, in a loop that vectorises. */
typedef struct {
    int32_t input1_offset, input2_offset, multiplier, shift, output_offset, activation_min, activation_max;
} qc_mul_rule;

static inline int32_t qc_mul_one_double_rounding(const qc_mul_rule *r, int32_t q1, int32_t q2) {
    const int32_t product = (q1 + r->input1_offset) * (q2 + r->input2_offset);
    const int32_t y = qc_multiply_double_rounding(product, r->multiplier, r->shift);
    return qc_clamp(qc_wrap32((int64_t)y + r->output_offset), r->activation_min, r->activation_max);
}

static inline qc_mul_rule qc_mul_rule_of(const qc_mul_params *p) {
    const qc_requant *r = &p->requant;
    const qc_mul_rule rule = {p->input1_offset, p->input2_offset,  r->multiplier[0],  r->shift[0],
                              r->output_offset, r->activation_min, r->activation_max};
    return rule;
}

/* Defines kernel qc_<op>_<suffix>_<isa> of ADD or SUB. */
#define QC_ADD_KERNEL(op, suffix, isa, target, T)                                                            \
    QC_BINARY_ROW(op##_##suffix##_row, target, qc_add_rule, T, qc_##op##_one)                                \
    qc_status qc_##op##_##suffix##_##isa(const qc_add_params *p, const T *input1, const T *input2, T *output, \
                                         void *scratch) {                                                    \
        (void)scratch;                                                                                       \
        qc_broadcast_walk(&p->broadcast, &p->rule, input1, input2, output, sizeof(T), op##_##suffix##_row);  \
        return QC_OK;                                                                                        \
    }

#define QC_MUL_KERNEL(suffix, isa, target, T)                                                                \
    QC_BINARY_ROW(mul_##suffix##_row, target, qc_mul_params, T, qc_mul_one)                                  \
    QC_BINARY_ROW(mul_##suffix##_row_double_rounding, target, qc_mul_rule, T, qc_mul_one_double_rounding)    \
    qc_status qc_mul_##suffix##_##isa(const qc_mul_params *p, const T *input1, const T *input2, T *output,   \
                                      void *scratch) {                                                       \
        (void)scratch;                                                                                       \
        const qc_mul_rule rule = qc_mul_rule_of(p);                                                          \
        const int simple = p->requant.rounding == QC_DOUBLE_ROUNDING;                                        \
        qc_broadcast_walk(&p->broadcast, simple ? (const void *)&rule : p, input1, input2, output, sizeof(T), \
                          simple ? mul_##suffix##_row_double_rounding : mul_##suffix##_row);                 \
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
QC_ARITHMETIC_RULE(add, s32, int32_t, (uint32_t)a + (uint32_t)b, qc_clamp)
QC_ARITHMETIC_RULE(sub, s32, int32_t, (uint32_t)a - (uint32_t)b, qc_clamp)
QC_ARITHMETIC_RULE(mul, s32, int32_t, (uint32_t)a * (uint32_t)b, qc_clamp)
QC_ARITHMETIC_RULE(add, s64, int64_t, (uint64_t)a + (uint64_t)b, qc_clamp_s64)
QC_ARITHMETIC_RULE(sub, s64, int64_t, (uint64_t)a - (uint64_t)b, qc_clamp_s64)
QC_ARITHMETIC_RULE(mul, s64, int64_t, (uint64_t)a * (uint64_t)b, qc_clamp_s64)

#define QC_ARITHMETIC_KERNEL(op, suffix, isa, target, T)                                                     \
    QC_BINARY_ROW(op##_##suffix##_row, target, qc_arithmetic_##suffix##_params, T, qc_##op##_##suffix##_one) \
    qc_status qc_##op##_##suffix##_##isa(const qc_arithmetic_##suffix##_params *p, const T *input1,          \
                                         const T *input2, T *output, void *scratch) {                        \
        (void)scratch;                                                                                       \
        qc_broadcast_walk(&p->broadcast, p, input1, input2, output, sizeof(T), op##_##suffix##_row);         \
        return QC_OK;                                                                                        \
    }

#define QC_ARITHMETIC(suffix, isa, target, T)            \
    QC_ARITHMETIC_KERNEL(add, suffix, isa, target, T)    \
    QC_ARITHMETIC_KERNEL(sub, suffix, isa, target, T)    \
    QC_ARITHMETIC_KERNEL(mul, suffix, isa, target, T)

#define QC_QUANTIZED_BINARY(isa, target)            \
    QC_ADD_KERNEL(add, s8, isa, target, int8_t)     \
    QC_ADD_KERNEL(add, u8, isa, target, uint8_t)    \
    QC_ADD_KERNEL(sub, s8, isa, target, int8_t)     \
    QC_ADD_KERNEL(sub, u8, isa, target, uint8_t)    \
    QC_MUL_KERNEL(s8, isa, target, int8_t)          \
    QC_MUL_KERNEL(u8, isa, target, uint8_t)

#endif
