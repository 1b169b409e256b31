/* The rules of activations on float32: shared by the definition and the vector versions. */
#ifndef QUANTCORE_ACTIVATION_RULES_H
#define QUANTCORE_ACTIVATION_RULES_H

#include <math.h>

#include "quantcore/activation.h"

static inline float qc_relu_f32_one(const qc_relu_f32_params *p, float x) {
    const float low = x < p->activation_min ? p->activation_min : x;
    return low > p->activation_max ? p->activation_max : low;
}

static inline float qc_leaky_relu_f32_one(const qc_leaky_relu_f32_params *p, float x) {
    const int stays = p->keeps_zeros ? !(x < 0.0f) : x > 0.0f;
    return stays ? x : x * p->alpha;
}

/* `tail`: x stands after the last whole vector of four. */
static inline float qc_hard_swish_f32_one(qc_hard_swish_form form, float x, int tail) {
    const float sixth = 0x1.555556p-3f;
    if (form == QC_HARD_SWISH_FUSED) {
        const float factor = fmaf(x, sixth, 0.5f);
        const float positive = 0.0f < factor ? factor : 0.0f;
        return x * (positive < 1.0f ? positive : 1.0f);
    }
    const float shifted = x + 3.0f;
    const float positive = 0.0f < shifted ? shifted : 0.0f;
    const float factor = positive < 6.0f ? positive : 6.0f;
    if (tail && form == QC_HARD_SWISH_PRODUCT) return x * factor * sixth;
    return form == QC_HARD_SWISH_PRODUCT ? x * sixth * factor : x * factor / 6.0f;
}

#endif
