/* ADD, SUB and weighted sums of 8 bits by the sums of pair_sum.h: what the versions for AVX2 and AVX-512 share.
 *
 * QC_PAIR_KERNELS defines the kernels from sum_row_<suffix>(sum, least, most, input1, stride1, input2, stride2,
 * output, count), a row by one such sum. Rows whose rule has none go by the scalar rule, compiled for the target. */
#ifndef QUANTCORE_X86_PAIR_SUM_H
#define QUANTCORE_X86_PAIR_SUM_H

#include <string.h>

#include "../kernels.h"
#include "long_rows.h"
#include "quantcore/elementwise_rules.h"

/* XNNPACK's sum as one of 30-bit weights; its weights have at most 22 bits. */
static inline qc_pair_sum qc_pair_sum_of_weights(const qc_weighted_sum_rule *r) {
    enum { MORE = 8 };
    const int64_t inputs = (int64_t)r->input1_offset * r->weight1 + (int64_t)r->input2_offset * r->weight2;
    const int64_t output = r->output_offset * ((int64_t)1 << r->shift) + ((int64_t)1 << (r->shift - 1));
    return qc_pair_sum_of((int64_t)r->weight1 * (1 << MORE), (int64_t)r->weight2 * (1 << MORE),
                          (inputs + output) * (1 << MORE), r->shift + MORE);
}

/* The two weights of a pair as one 32-bit lane. */
static inline int32_t qc_weight_pair(int16_t first, int16_t second) {
    return (int32_t)((uint32_t)(uint16_t)first | (uint32_t)(uint16_t)second << 16);
}

#define QC_PAIR_SUM_ROW(op, suffix, T)                                                                       \
    static void op##_##suffix##_pairs(const void *rule, const void *input1, int64_t stride1, const void *input2, \
                                      int64_t stride2, void *output, int64_t count) {                        \
        const qc_add_rule *r = (const qc_add_rule *)rule;                                                    \
        const int both = stride1 && stride2;                                                                 \
        const int32_t block = both ? r->body.block : r->repeated_body.block;                                 \
        const qc_pair_sum *leading = both ? &r->body_sum : &r->repeated_sum;                                 \
        const int64_t full = block ? count / block * block : 0;                                              \
        const T *a = (const T *)input1, *b = (const T *)input2;                                              \
        T *y = (T *)output;                                                                                  \
        if ((full && !leading->fits) || !r->plain_sum.fits) {                                                \
            op##_##suffix##_row(rule, input1, stride1, input2, stride2, output, count);                      \
            return;                                                                                          \
        }                                                                                                    \
        if (full)                                                                                            \
            sum_row_##suffix(leading, r->activation_min, r->activation_max, a, stride1, b, stride2, y, full); \
        if (full < count)                                                                                    \
            sum_row_##suffix(&r->plain_sum, r->activation_min, r->activation_max, a + full * stride1, stride1, \
                             b + full * stride2, stride2, y + full, count - full);                           \
    }

/* What a row of a weighted sum needs. */
typedef struct {
    qc_pair_sum sum;
    int32_t least;
    int32_t most;
} qc_weighted_pairs;

#define QC_WEIGHTED_PAIRS_KERNEL(suffix, isa, target, T)                                                     \
    QC_BINARY_ROW(weighted_sum_##suffix##_row, target, qc_weighted_sum_rule, T, qc_weighted_sum_one)         \
    static void weighted_sum_##suffix##_pairs(const void *rule, const void *input1, int64_t stride1,         \
                                              const void *input2, int64_t stride2, void *output, int64_t count) { \
        const qc_weighted_pairs *r = (const qc_weighted_pairs *)rule;                                        \
        sum_row_##suffix(&r->sum, r->least, r->most, (const T *)input1, stride1, (const T *)input2, stride2, \
                         (T *)output, count);                                                                \
    }                                                                                                        \
    qc_status qc_weighted_sum_##suffix##_##isa(const qc_weighted_sum_params *p, const T *input1, const T *input2, \
                                               T *output, void *scratch) {                                   \
        (void)scratch;                                                                                       \
        const qc_weighted_pairs pairs = {qc_pair_sum_of_weights(&p->rule), p->rule.activation_min,           \
                                         p->rule.activation_max};                                            \
        const void *rule = pairs.sum.fits ? (const void *)&pairs : &p->rule;                                 \
        qc_walk_long_rows(&p->broadcast, rule, input1, input2, output, sizeof(T),                            \
                          pairs.sum.fits ? weighted_sum_##suffix##_pairs : weighted_sum_##suffix##_row);     \
        return QC_OK;                                                                                        \
    }

/* Rows may be joined where vector bodies have no rule of their own. */
static inline int qc_has_plain_rule(const qc_add_rule *r) {
    return r->body.block == 0 && r->repeated_body.block == 0;
}

#define QC_PAIR_KERNEL(op, suffix, isa, T)                                                                   \
    QC_PAIR_SUM_ROW(op, suffix, T)                                                                           \
    qc_status qc_##op##_##suffix##_##isa(const qc_add_params *p, const T *input1, const T *input2, T *output, \
                                         void *scratch) {                                                    \
        (void)scratch;                                                                                       \
        QC_SCALED_SUM(op, suffix, T)                                                                         \
        if (qc_has_plain_rule(&p->rule))                                                                     \
            qc_walk_long_rows(&p->broadcast, &p->rule, input1, input2, output, sizeof(T), op##_##suffix##_pairs); \
        else                                                                                                 \
            qc_broadcast_walk(&p->broadcast, &p->rule, input1, input2, output, sizeof(T), op##_##suffix##_pairs); \
        return QC_OK;                                                                                        \
    }

/* QC_SCALED_SUM(op, suffix, T) is what an instruction set does, and returns from, before it looks for pair sums. */
#define QC_PAIR_KERNELS(suffix, isa, target, T)                                                              \
    QC_ADD_ROWS(suffix, target, T, qc_add_combined_narrow_one, qc_add_truncated_narrow_one)                  \
    QC_PAIR_KERNEL(add, suffix, isa, T)                                                                      \
    QC_BINARY_ROW(sub_##suffix##_row, target, qc_add_rule, T, qc_sub_one)                                    \
    QC_PAIR_KERNEL(sub, suffix, isa, T)                                                                      \
    QC_WEIGHTED_PAIRS_KERNEL(suffix, isa, target, T)

#endif
