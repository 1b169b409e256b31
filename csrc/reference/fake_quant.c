/* Fake quantization and its gradients: the definition. */
#include "quantcore/fake_quant.h"

#include <math.h>

#include "quantcore/eigen_sum.h"

static int is_empty(float min, float max) {
    return qc_flush_input(min) == 0.0f && qc_flush_input(max) == 0.0f;
}

/* steps_to_zero: steps from the lowest value to 0, a whole number. A NaN stays one. Steps below the normal numbers
 * vanish beside 1/2, whether they are flushed or not. */
static inline float fake_quant_one(const qc_nudged_range *range, float steps_to_zero, int by_quotient, float x) {
    const float value = qc_flush_input(x);
    const float bounded = range->max < value ? range->max : value;
    const float clamped = bounded < range->min ? range->min : bounded;
    const float shifted = qc_flush_input(clamped - range->min);
    const float steps = by_quotient ? shifted / range->scale : shifted * range->inverse_scale;
    return floorf(steps - steps_to_zero + 0.5f) * range->scale;
}

qc_status qc_fake_quant_f32_ref(const qc_fake_quant_params *p, const float *input, float *output, void *scratch) {
    (void)scratch;
    for (int64_t c = 0; c < p->channels; ++c) {
        const int64_t count = p->outer * p->channels;
        if (is_empty(p->min[c], p->max[c])) {
            for (int64_t i = c; i < count; i += p->channels) output[i] = 0.0f;
            continue;
        }
        const qc_nudged_range range = qc_nudge(p->min[c], p->max[c], p->quant_min, p->quant_max);
        const float steps_to_zero = floorf(qc_flushed_product(-range.min, range.inverse_scale) + 0.5f);
        const int by_quotient = p->form == QC_FAKE_QUANT_VARS;
        for (int64_t i = c; i < count; i += p->channels)
            output[i] = fake_quant_one(&range, steps_to_zero, by_quotient, input[i]);
    }
    return QC_OK;
}

/* Gradients where inputs lie below, or above, a bound; elsewhere they are multiplied by 0. */
typedef struct {
    const float *gradients;
    const float *inputs;
    int64_t stride;
    float bound;
} outside;

static inline float masked(float gradient, int passes) {
    return qc_flush_input(gradient) * (passes ? 1.0f : 0.0f);
}

static inline float below(const void *terms, int64_t i) {
    const outside *t = terms;
    return masked(t->gradients[i * t->stride], qc_flush_input(t->inputs[i * t->stride]) < t->bound);
}

static inline float above(const void *terms, int64_t i) {
    const outside *t = terms;
    return masked(t->gradients[i * t->stride], qc_flush_input(t->inputs[i * t->stride]) > t->bound);
}

/* Eigen's estimate for one term, in cycles: 4 loads of 4 bytes (gradient, input, bound, mask) at 11 cycles for 64;
 * a comparison in packets of 16, a product and, for 10, a sum in packets of 8. A channel costs 2 for the place of
 * each of gradient and input, in packets of 8. */
static double cycles_of_term(qc_fake_quant_form form) {
    const double term = 16.0 * 11.0 / 64.0 + 1.0 / 16.0 + 1.0 / 8.0 + 10.0 / 8.0;
    return form == QC_FAKE_QUANT_CHANNELS ? term + 2.0 * 2.0 / 8.0 : term;
}

/* The gradients of one channel's range. */
static void gradients_of_range(const qc_fake_quant_params *p, const qc_nudged_range *range, outside terms,
                               float *of_min, float *of_max) {
    const double cycles = cycles_of_term(p->form);
    terms.bound = range->min;
    *of_min = qc_eigen_sum(below, &terms, p->outer, cycles, p->num_threads);
    terms.bound = range->max;
    *of_max = qc_eigen_sum(above, &terms, p->outer, cycles, p->num_threads);
}

qc_status qc_fake_quant_gradient_f32_ref(const qc_fake_quant_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    const float *gradients = tensors[0], *inputs = tensors[1];
    float *of_inputs = tensors[2], *of_min = tensors[3], *of_max = tensors[4];
    const int64_t count = p->outer * p->channels;
    for (int64_t c = 0; c < p->channels; ++c) {
        if (of_min) of_min[c] = of_max[c] = 0.0f;
        if (is_empty(p->min[c], p->max[c])) {
            for (int64_t i = c; i < count; i += p->channels) of_inputs[i] = gradients[i];
            continue;
        }
        const qc_nudged_range range = qc_nudge(p->min[c], p->max[c], p->quant_min, p->quant_max);
        for (int64_t i = c; i < count; i += p->channels) {
            const float x = qc_flush_input(inputs[i]);
            of_inputs[i] = masked(gradients[i], x >= range.min && x <= range.max);
        }
        const outside terms = {gradients + c, inputs + c, p->channels, 0.0f};
        if (of_min) gradients_of_range(p, &range, terms, of_min + c, of_max + c);
    }
    return QC_OK;
}

/* A NaN becomes the lower end. */
qc_status qc_fake_quant_lite_f32_ref(const qc_fake_quant_lite_params *p, const float *input, float *output,
                                     void *scratch) {
    (void)scratch;
    const float inverse = 1.0f / p->scale;
    for (int64_t i = 0; i < p->count; ++i) {
        const float bounded = p->low < input[i] ? input[i] : p->low;
        const float clamped = bounded < p->high ? bounded : p->high;
        output[i] = roundf((clamped - p->low) * inverse) * p->scale + p->low;
    }
    return QC_OK;
}
