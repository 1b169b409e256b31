/* ADD and SUB as they are defined, for vectors: inputs rescaled and rounded, their sum rescaled and rounded.
 *
 * An input x = q + offset is brought to words of 16 bits, v = x * 2^(left_shift - 15). Its term is one floor division,
 * see qc_requant_form, of v * 2^15 by the input's multiplier m and shift -e:
 *
 *   (v * m + 2^15 + (e >= 1 ? 2^(15 + e) - 2^16 [v < 0] : 0)) >> (16 + e)
 *
 * With m = high * 2^16 + low, low in [-2^15, 2^15), and s = v >> 15, that is
 *
 *   (v * high + s * (e >= 1) + ((v * low + nudge) >> 16)) >> e
 *
 * where vpmaddwd multiplies pairs (v, s). The sum is rescaled in float64 as MUL is (elementwise_avx512.c). */
#ifndef QUANTCORE_X86_SCALED_SUM_H
#define QUANTCORE_X86_SCALED_SUM_H

#include <stdint.h>

#include "pair_sum.h"

typedef struct {
    int32_t high; /* two weights of 16 bits, of v and s */
    int32_t low;
    int32_t nudge;
    int32_t right;
} qc_scaled_term;

/* Fills the term of an input with |v| <= most; returns the greatest magnitude that it has, -1 where 32 bits may not
 * hold it. */
static inline int64_t qc_make_scaled_term(int64_t most, int32_t multiplier, int32_t shift, qc_scaled_term *term) {
    const int32_t e = -shift, half = 1 << 15;
    const int32_t high = (int32_t)(((int64_t)multiplier + half) >> 16);
    if (e > 14 || e < 0 || multiplier < 0 || high >= half) return -1;
    term->high = qc_weight_pair((int16_t)high, e >= 1);
    term->low = qc_weight_pair((int16_t)(multiplier - high * 2 * half), 0);
    term->nudge = half + (e >= 1 ? half << e : 0);
    term->right = e;
    return ((most * multiplier) >> (16 + e)) + 1;
}

/* left: how far an input is shifted left to be v. */
typedef struct {
    const qc_add_rule *rule;
    qc_scaled_term term1, term2;
    int32_t left;
} qc_scaled_sum;

/* The greatest |v| of inputs in [lowest, highest]; -1 where 16 bits do not hold all of them. */
static inline int64_t qc_most_of_words(int32_t lowest, int32_t highest, int32_t offset, int32_t left) {
    const int64_t low = ((int64_t)lowest + offset) * (1 << left), high = ((int64_t)highest + offset) * (1 << left);
    if (low < INT16_MIN || high > INT16_MAX) return -1;
    return -low > high ? -low : high;
}

/* Whether qc_floor_scaled holds values of at most this magnitude in 32 bits, with their nudge. */
static inline int qc_floor_fits(int64_t most, int32_t multiplier, int32_t shift) {
    if (multiplier < 0 || shift > 0 || shift < -29 || most > INT32_MAX) return 0;
    return ((most * multiplier) >> 30) + 4 + ((int64_t)1 << -shift) < INT32_MAX;
}

/* Fills the sum of a rule, of inputs in [lowest, highest]; returns whether it gives the bits of the definition: 32 bits
 * hold all of it, and no vector body has another rule. */
static inline int qc_make_scaled_sum(const qc_add_rule *r, int32_t lowest, int32_t highest, qc_scaled_sum *s) {
    s->rule = r;
    s->left = r->left_shift - 15;
    if (r->body.block || r->repeated_body.block || s->left < 0 || s->left > 6 || r->output_shift > -1) return 0;
    const int64_t v1 = qc_most_of_words(lowest, highest, r->input1_offset, s->left);
    const int64_t v2 = qc_most_of_words(lowest, highest, r->input2_offset, s->left);
    if (v1 < 0 || v2 < 0) return 0;
    const int64_t most1 = qc_make_scaled_term(v1, r->input1_multiplier, r->input1_shift, &s->term1);
    const int64_t most2 = qc_make_scaled_term(v2, r->input2_multiplier, r->input2_shift, &s->term2);
    return most1 >= 0 && most2 >= 0 && qc_floor_fits(most1 + most2, r->output_multiplier, r->output_shift);
}

#endif
