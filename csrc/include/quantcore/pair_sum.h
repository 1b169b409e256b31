/* A function of two 8-bit inputs as one weighted sum, where that gives the same results:
 *
 *   y = clamp(floor((q1 * W1 + q2 * W2 + B) / 2^n), activation_min, activation_max)
 *
 * ADD and SUB round each input, then the sum, so that no formula says for which scales the sum above has their
 * results. qc_pair_sum_fit tries weights of 30 bits on all 65536 pairs of inputs: each pair bounds B from below or
 * above, and any B within all bounds will do. With scales of trained models there nearly always is one. */
#ifndef QUANTCORE_PAIR_SUM_H
#define QUANTCORE_PAIR_SUM_H

#include <stdint.h>

enum { QC_PAIR_SUM_BITS = 15 };

/* W = high * 2^15 + low, with low in [0, 2^15); so is B. With floors nested,
 *   y = (q1 * high1 + q2 * high2 + bias_high + ((q1 * low1 + q2 * low2 + bias_low) >> 15)) >> shift,
 * where no sum leaves 32 bits. fits: 0 where there is no such sum, and nothing else is set. */
typedef struct {
    int32_t fits;
    int16_t high1;
    int16_t high2;
    int16_t low1;
    int16_t low2;
    int32_t bias_high;
    int32_t bias_low;
    int32_t shift;
} qc_pair_sum;

/* The results of a function that grows with a sum of two terms: those of q1 = lowest + i and q2 = lowest + j are the
 * greatest y in [least, most] with term1[i] + term2[j] >= from[y - least].
 * from: ascending, from[0] below all sums, one more entry than results, the last of them above all sums. */
typedef struct {
    int32_t lowest;
    int32_t least;
    int32_t most;
    int32_t term1[256];
    int32_t term2[256];
    int64_t from[257];
} qc_pair_steps;

/* The sum of W1, W2, B and n; fits is 0 where they are out of range. */
qc_pair_sum qc_pair_sum_of(int64_t weight1, int64_t weight2, int64_t bias, int32_t n);

/* The sum with the results of `steps`. ratio1, ratio2: what a step of either input adds to the output, about.
 * offset: what the output is for q1 = q2 = 0, about. */
qc_pair_sum qc_pair_sum_fit(const qc_pair_steps *steps, double ratio1, double ratio2, double offset);

/* One result before it is clamped. */
static inline int32_t qc_pair_sum_one(const qc_pair_sum *s, int32_t q1, int32_t q2) {
    const int32_t low = (q1 * s->low1 + q2 * s->low2 + s->bias_low) >> QC_PAIR_SUM_BITS;
    return (q1 * s->high1 + q2 * s->high2 + s->bias_high + low) >> s->shift;
}

#endif
