/* The scalar rules of fake quantization that the definition and the vector versions share; see fake_quant.h. */
#ifndef QUANTCORE_FAKE_QUANT_RULES_H
#define QUANTCORE_FAKE_QUANT_RULES_H

#include "quantcore/eigen_sum.h"
#include "quantcore/fake_quant.h"

/* How the values of one channel are computed. */
typedef struct {
    qc_nudged_range range;
    float steps_to_zero; /* from the lowest value to 0, a whole number */
    int by_quotient;
    int is_empty; /* from 0 to 0 */
} qc_fake_quant_channel;

static inline qc_fake_quant_channel qc_fake_quant_channel_of(const qc_fake_quant_params *p, int64_t c) {
    qc_fake_quant_channel channel = {.by_quotient = p->form == QC_FAKE_QUANT_VARS};
    channel.is_empty = qc_flush_input(p->min[c]) == 0.0f && qc_flush_input(p->max[c]) == 0.0f;
    channel.range = qc_nudge(p->min[c], p->max[c], p->quant_min, p->quant_max);
    channel.steps_to_zero = floorf(qc_flushed_product(-channel.range.min, channel.range.inverse_scale) + 0.5f);
    return channel;
}

/* A NaN stays one. Steps below the normal numbers vanish beside 1/2, whether they are flushed or not. */
static inline float qc_fake_quant_one(const qc_fake_quant_channel *c, float x) {
    if (c->is_empty) return 0.0f;
    const qc_nudged_range *range = &c->range;
    const float value = qc_flush_input(x);
    const float bounded = range->max < value ? range->max : value;
    const float clamped = bounded < range->min ? range->min : bounded;
    const float shifted = qc_flush_input(clamped - range->min);
    const float steps = c->by_quotient ? shifted / range->scale : shifted * range->inverse_scale;
    return floorf(steps - c->steps_to_zero + 0.5f) * range->scale;
}

static inline float qc_masked_gradient(float gradient, int passes) {
    return qc_flush_input(gradient) * (passes ? 1.0f : 0.0f);
}

/* The gradient of an input. */
static inline float qc_fake_quant_gradient_one(const qc_fake_quant_channel *c, float gradient, float input) {
    if (c->is_empty) return gradient;
    const float x = qc_flush_input(input);
    return qc_masked_gradient(gradient, x >= c->range.min && x <= c->range.max);
}

/* Gradients of one channel where inputs lie below, or above, a bound; elsewhere they are multiplied by 0. */
typedef struct {
    const float *gradients;
    const float *inputs;
    int64_t stride;
    float bound;
} qc_outside_terms;

static inline float qc_below_term(const void *terms, int64_t i) {
    const qc_outside_terms *t = terms;
    return qc_masked_gradient(t->gradients[i * t->stride], qc_flush_input(t->inputs[i * t->stride]) < t->bound);
}

static inline float qc_above_term(const void *terms, int64_t i) {
    const qc_outside_terms *t = terms;
    return qc_masked_gradient(t->gradients[i * t->stride], qc_flush_input(t->inputs[i * t->stride]) > t->bound);
}

/* Eigen's estimate for one term, in cycles: 4 loads of 4 bytes (gradient, input, bound, mask) at 11 cycles for 64;
 * a comparison in packets of 16, a product and, for 10, a sum in packets of 8. A channel costs 2 for the place of
 * each of gradient and input, in packets of 8. */
static inline double qc_cycles_of_term(qc_fake_quant_form form) {
    const double term = 16.0 * 11.0 / 64.0 + 1.0 / 16.0 + 1.0 / 8.0 + 10.0 / 8.0;
    return form == QC_FAKE_QUANT_CHANNELS ? term + 2.0 * 2.0 / 8.0 : term;
}

/* The gradients of one channel's range, which the leaves add up. */
static inline void qc_gradients_of_range(const qc_fake_quant_params *p, const qc_fake_quant_channel *channel,
                                         qc_outside_terms terms, qc_eigen_leaf *below, qc_eigen_leaf *above,
                                         float *of_min, float *of_max) {
    const double cycles = qc_cycles_of_term(p->form);
    terms.bound = channel->range.min;
    *of_min = channel->is_empty ? 0.0f : qc_eigen_sum(below, &terms, p->outer, cycles, p->num_threads);
    terms.bound = channel->range.max;
    *of_max = channel->is_empty ? 0.0f : qc_eigen_sum(above, &terms, p->outer, cycles, p->num_threads);
}

#endif
