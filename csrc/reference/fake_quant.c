/* Fake quantization and its gradients: the definition. */
#include "quantcore/fake_quant.h"

#include <math.h>

#include "quantcore/fake_quant_rules.h"

qc_status qc_fake_quant_f32_ref(const qc_fake_quant_params *p, const float *input, float *output, void *scratch) {
    (void)scratch;
    const int64_t count = p->outer * p->channels;
    for (int64_t c = 0; c < p->channels; ++c) {
        const qc_fake_quant_channel channel = qc_fake_quant_channel_of(p, c);
        for (int64_t i = c; i < count; i += p->channels) output[i] = qc_fake_quant_one(&channel, input[i]);
    }
    return QC_OK;
}

static float sum_below(const void *terms, int64_t first, int64_t count) {
    return qc_eigen_sum_leaf(qc_below_term, terms, first, count);
}

static float sum_above(const void *terms, int64_t first, int64_t count) {
    return qc_eigen_sum_leaf(qc_above_term, terms, first, count);
}

qc_status qc_fake_quant_gradient_f32_ref(const qc_fake_quant_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    const float *gradients = tensors[0], *inputs = tensors[1];
    float *of_inputs = tensors[2], *of_min = tensors[3], *of_max = tensors[4];
    const int64_t count = p->outer * p->channels;
    for (int64_t c = 0; c < p->channels; ++c) {
        const qc_fake_quant_channel channel = qc_fake_quant_channel_of(p, c);
        for (int64_t i = c; i < count; i += p->channels)
            of_inputs[i] = qc_fake_quant_gradient_one(&channel, gradients[i], inputs[i]);
        const qc_outside_terms terms = {gradients + c, inputs + c, p->channels, 0.0f};
        if (of_min) qc_gradients_of_range(p, &channel, terms, sum_below, sum_above, of_min + c, of_max + c);
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
