/* Functions of two 8-bit inputs as weighted sums: see pair_sum.h. Called while a model is prepared. */
#include "quantcore/pair_sum.h"

#include <math.h>

#include "quantcore/elementwise_rules.h"

enum { WEIGHT_BITS = 30, MOST_SHIFT = 22 };
#define BEYOND ((int64_t)1 << 60) /* any weighted sum */

qc_pair_sum qc_pair_sum_of(int64_t weight1, int64_t weight2, int64_t bias, int32_t n) {
    const int64_t limit = (int64_t)1 << WEIGHT_BITS, mask = ((int64_t)1 << QC_PAIR_SUM_BITS) - 1;
    const int64_t high = bias >> QC_PAIR_SUM_BITS;
    const int32_t shift = n - QC_PAIR_SUM_BITS;
    qc_pair_sum s = {0};
    if (shift < 0 || shift > MOST_SHIFT || weight1 >= limit || weight1 < -limit || weight2 >= limit ||
        weight2 < -limit || high >= limit || high < -limit)
        return s;
    s.fits = 1;
    s.high1 = (int16_t)(weight1 >> QC_PAIR_SUM_BITS);
    s.high2 = (int16_t)(weight2 >> QC_PAIR_SUM_BITS);
    s.low1 = (int16_t)(weight1 & mask);
    s.low2 = (int16_t)(weight2 & mask);
    s.bias_high = (int32_t)high;
    s.bias_low = (int32_t)(bias & mask);
    s.shift = shift;
    return s;
}

/* Whether some B gives all results for these weights, and one: what it adds to `nominal`. */
static int find_bias(const qc_pair_steps *s, int64_t weight1, int64_t weight2, int64_t nominal, int32_t n,
                     int64_t *bias) {
    const int64_t *from = s->from - s->least;
    const int32_t least = s->least, most = s->most;
    int64_t lowest = BEYOND, highest = -BEYOND; /* how far the sums are above the step of their result */
    for (int32_t i = 0; i < 256; ++i) {
        int64_t sum = (s->lowest + i) * weight1 + s->lowest * weight2 + nominal;
        for (int32_t j = 0; j < 256; ++j, sum += weight2) {
            const int32_t term = s->term1[i] + s->term2[j];
            const int64_t close = sum >> n;
            int64_t y = close < least ? least : close > most ? most : close;
            while (term < from[y]) --y;
            while (term >= from[y + 1]) ++y;
            const int64_t above = sum - (y << n);
            if (above < lowest && y > least) lowest = above;
            if (above > highest && y < most) highest = above;
        }
        if (highest - lowest >= (int64_t)1 << n) return 0;
    }
    const int64_t low = -lowest, high = ((int64_t)1 << n) - 1 - highest;
    *bias = nominal + (low > -BEYOND && high < BEYOND ? low + (high - low) / 2 : low > 0 ? low : high < 0 ? high : 0);
    return 1;
}

qc_pair_sum qc_pair_sum_fit(const qc_pair_steps *steps, double ratio1, double ratio2, double offset) {
    /* To round half away from zero, the weights must exceed the ratios, by less than any two results are apart. */
    static const double stretch[] = {0, 0x1p-22, 0x1p-20, 0x1p-19, 0x1p-18, -0x1p-20};
    const double largest = fmax(fabs(ratio1), fabs(ratio2));
    int32_t n = QC_PAIR_SUM_BITS + MOST_SHIFT;
    while (n >= QC_PAIR_SUM_BITS && ldexp(largest, n) * (1 + 0x1p-17) >= 0x1p+30) --n;
    qc_pair_sum none = {0};
    if (n < QC_PAIR_SUM_BITS || fabs(offset) > 0x1p+20) return none;
    for (int32_t k = 0; k < (int32_t)(sizeof stretch / sizeof stretch[0]); ++k) {
        const int64_t weight1 = llround(ldexp(ratio1, n) * (1 + stretch[k]));
        const int64_t weight2 = llround(ldexp(ratio2, n) * (1 + stretch[k]));
        const int64_t nominal = llround(ldexp(offset + 0.5, n));
        int64_t bias;
        if (find_bias(steps, weight1, weight2, nominal, n, &bias)) return qc_pair_sum_of(weight1, weight2, bias, n);
    }
    return none;
}

/* The 256 values of an input on the common scale, by a body's rule or, without one, by the definition. */
static void rescale_all(const qc_body *body, int32_t lowest, int32_t offset, int32_t left_shift, int32_t multiplier,
                        int32_t shift, int32_t *scaled) {
    for (int32_t i = 0; i < 256; ++i) {
        const int32_t x = i + lowest + offset;
        scaled[i] = body == NULL                       ? qc_add_rounded(x, left_shift, multiplier, shift)
                    : body->variant == QC_ADD_COMBINED ? qc_add_combined(x, left_shift, multiplier, shift)
                                                       : qc_add_truncated(x, left_shift, multiplier, shift);
    }
}

/* Where the output becomes each of its values, as the sum grows. */
static void find_steps(const qc_add_rule *r, qc_pair_steps *s) {
    s->from[0] = INT64_MIN;
    for (int32_t y = s->least + 1; y <= s->most; ++y) {
        int64_t low = INT32_MIN, high = INT32_MAX; /* the first sum lies in between */
        if (s->from[y - s->least - 1] > low) low = s->from[y - s->least - 1];
        while (low < high) {
            const int64_t middle = low + (high - low) / 2;
            if (qc_add_store(r, (int32_t)middle) >= y) high = middle;
            else low = middle + 1;
        }
        s->from[y - s->least] = low;
    }
    s->from[s->most - s->least + 1] = INT64_MAX;
}

/* Whether the output stays within 16 bits, which vector bodies narrow it to. */
static int is_narrow(const qc_add_rule *r, const qc_pair_steps *s) {
    for (int32_t i = 0; i < 256; i += 255)
        for (int32_t j = 0; j < 256; j += 255) {
            const int32_t sum = s->term1[i] + s->term2[j];
            const int32_t y = qc_multiply_double_rounding(sum, r->output_multiplier, r->output_shift);
            if (y > INT16_MAX - 255 || y < INT16_MIN + 255) return 0;
        }
    return 1;
}

qc_status qc_fit_add_ref(const qc_fit_add_params *p, const qc_add_rule *rule, qc_add_rule *fitted, void *scratch) {
    (void)scratch;
    *fitted = *rule;
    qc_add_rule *r = fitted;
    const double output = ldexp(r->output_multiplier, r->output_shift - 31);
    const double ratio1 = ldexp(r->input1_multiplier, r->left_shift + r->input1_shift - 31) * output;
    const double ratio2 =
        ldexp(r->input2_multiplier, r->left_shift + r->input2_shift - 31) * (p->is_sub ? -output : output);
    const double offset = r->input1_offset * ratio1 + r->input2_offset * ratio2 + r->output_offset;
    const qc_body *bodies[3] = {NULL, &r->body, &r->repeated_body};
    qc_pair_sum *sums[3] = {&r->plain_sum, &r->body_sum, &r->repeated_sum};
    qc_pair_steps s;
    s.lowest = p->is_unsigned ? 0 : INT8_MIN;
    s.least = r->activation_min;
    s.most = r->activation_max;
    find_steps(r, &s);
    for (int32_t k = 0; k < 3; ++k) {
        if (bodies[k] && bodies[k]->block == 0) continue;
        rescale_all(bodies[k], s.lowest, r->input1_offset, r->left_shift, r->input1_multiplier, r->input1_shift, s.term1);
        rescale_all(bodies[k], s.lowest, r->input2_offset, r->left_shift, r->input2_multiplier, r->input2_shift, s.term2);
        for (int32_t i = 0; p->is_sub && i < 256; ++i) s.term2[i] = -s.term2[i];
        if (bodies[k] == NULL || is_narrow(r, &s)) *sums[k] = qc_pair_sum_fit(&s, ratio1, ratio2, offset);
    }
    return QC_OK;
}
