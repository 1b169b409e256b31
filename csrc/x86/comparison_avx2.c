/* Comparisons by rows, which the compiler makes vectors of: a loop for each rule of csrc/reference/comparison.c. */
#include <stddef.h>

#include "../kernels.h"
#include "collapsed_rows.h"
#include "quantcore/fixed_point.h"

#define TARGET __attribute__((target("avx2")))

#define INLINE TARGET static inline __attribute__((always_inline))

#define LOOP(V, step1, step2, value1, value2, expression)                                  \
    for (int64_t i = 0; i < count; ++i) {                                                  \
        const V a = value1(first[i * (step1)]), b = value2(second[i * (step2)]);           \
        y[i] = expression;                                                                 \
    }                                                                                      \
    return;

#define LOOPS(V, step1, step2, value1, value2)                                             \
    switch (p.comparison) {                                                                \
        case QC_EQUAL: LOOP(V, step1, step2, value1, value2, a == b)                       \
        case QC_NOT_EQUAL: LOOP(V, step1, step2, value1, value2, a != b)                   \
        case QC_GREATER: LOOP(V, step1, step2, value1, value2, a > b)                      \
        case QC_GREATER_EQUAL: LOOP(V, step1, step2, value1, value2, a >= b)               \
        case QC_LESS: LOOP(V, step1, step2, value1, value2, a < b)                         \
        case QC_LESS_EQUAL: LOOP(V, step1, step2, value1, value2, a <= b)                  \
        case QC_LOGICAL_AND: LOOP(V, step1, step2, value1, value2, (a != 0) & (b != 0))    \
        case QC_LOGICAL_OR: LOOP(V, step1, step2, value1, value2, (a != 0) | (b != 0))     \
    }

/* The kernel of elements T, compared as V: what value1 and value2 make of them. */
#define COMPARISON(suffix, P, T, V, value1, value2)                                                             \
    TARGET static void row_##suffix(const void *context, const uint8_t *const *inputs, const int64_t *strides,  \
                                    uint8_t *y, int64_t count) {                                                \
        const P p = *(const P *)context; /* a copy, which stores to y do not change */                          \
        const T *first = (const T *)(const void *)inputs[0], *second = (const T *)(const void *)inputs[1];      \
        if (strides[0] == 1 && strides[1] == 1) {                                                               \
            LOOPS(V, 1, 1, value1, value2)                                                                      \
        } else if (strides[0] == 1 && strides[1] == 0) {                                                        \
            LOOPS(V, 1, 0, value1, value2)                                                                      \
        } else {                                                                                                \
            LOOPS(V, strides[0], strides[1], value1, value2)                                                    \
        }                                                                                                       \
    }                                                                                                           \
    qc_status qc_compare_##suffix##_avx2(const P *p, const T *input1, const T *input2, uint8_t *output,         \
                                         void *scratch) {                                                       \
        (void)scratch;                                                                                          \
        const qc_broadcast *b = &p->broadcast;                                                                  \
        const qc_rows rows = qc_collapse_rows(b->rank, b->shape, b->stride1, b->stride2, NULL);                 \
        const uint8_t *const inputs[] = {(const uint8_t *)input1, (const uint8_t *)input2, NULL};               \
        const int64_t items[] = {(int64_t)sizeof(T), (int64_t)sizeof(T), 0};                                    \
        qc_walk_rows(&rows, p, inputs, items, output, 1, row_##suffix);                                         \
        return QC_OK;                                                                                           \
    }

#define SAME(x) (x)
COMPARISON(bool, qc_comparison_params, uint8_t, uint8_t, SAME, SAME)
COMPARISON(s16, qc_comparison_params, int16_t, int16_t, SAME, SAME)
COMPARISON(s32, qc_comparison_params, int32_t, int32_t, SAME, SAME)
COMPARISON(s64, qc_comparison_params, int64_t, int64_t, SAME, SAME)
COMPARISON(f32, qc_comparison_params, float, float, SAME, SAME)

INLINE int32_t rescaled(int32_t x, int32_t left_shift, int32_t multiplier, int32_t shift) {
    return qc_multiply_double_rounding(qc_shift_left_wrap(x, left_shift), multiplier, shift);
}
#define FIRST(x) rescaled((x) + p.input1_offset, p.left_shift, p.input1_multiplier, p.input1_shift)
#define SECOND(x) rescaled((x) + p.input2_offset, p.left_shift, p.input2_multiplier, p.input2_shift)
COMPARISON(scaled_s8, qc_scaled_comparison_params, int8_t, int32_t, FIRST, SECOND)
COMPARISON(scaled_u8, qc_scaled_comparison_params, uint8_t, int32_t, FIRST, SECOND)
COMPARISON(scaled_s16, qc_scaled_comparison_params, int16_t, int32_t, FIRST, SECOND)
