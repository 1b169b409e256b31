/* FULLY_CONNECTED: the definitions. */
#include "quantcore/fully_connected.h"

#include <math.h>
#include <stddef.h>

#include "quantcore/hybrid.h"

#define QC_ELEMENT int8_t
#define QC_FULLY_CONNECTED qc_fully_connected_s8_ref
#include "fully_connected_quantized.inc"

#define QC_ELEMENT uint8_t
#define QC_FULLY_CONNECTED qc_fully_connected_u8_ref
#include "fully_connected_quantized.inc"

qc_status qc_fully_connected_f32_ref(const qc_fully_connected_f32_params *p, const float *input,
                                     const float *filter, const float *bias, float *output, void *scratch) {
    (void)scratch;
    for (int32_t b = 0; b < p->batches; ++b) {
        const float *x = input + (int64_t)b * p->depth;
        for (int32_t unit = 0; unit < p->units; ++unit) {
            const float *w = filter + (int64_t)unit * p->depth;
            float sum = 0.0f;
            for (int32_t d = 0; d < p->depth; ++d) sum += x[d] * w[d];
            const float biased = sum + (bias != NULL ? bias[unit] : 0.0f);
            *output++ = qc_clamp_f32(biased, p->activation_min, p->activation_max);
        }
    }
    return QC_OK;
}

static int all_zero(const float *input, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        if (input[i] != 0.0f) return 0;
    }
    return 1;
}

/* The activation as TFLite applies it to a finished vector: max(low, min(v, high)). */
static float activate(const qc_fully_connected_hybrid_params *p, float v) {
    if (isinf(p->activation_min)) return v;
    const float bounded = p->activation_max < v ? p->activation_max : v;
    return p->activation_min < bounded ? bounded : p->activation_min;
}

qc_status qc_fully_connected_hybrid_ref(const qc_fully_connected_hybrid_params *p, const float *input,
                                        const int8_t *filter, const float *bias, float *output,
                                        void *scratch) {
    int8_t *row = scratch;
    const int skip = all_zero(input, (int64_t)p->batches * p->depth);
    for (int32_t b = 0; b < p->batches; ++b) {
        const float *x = input + (int64_t)b * p->depth;
        const qc_hybrid_scale q = p->asymmetric
                                      ? qc_hybrid_quantize_asymmetric(&qc_hybrid_ref, x, p->depth, row)
                                      : qc_hybrid_quantize_symmetric(&qc_hybrid_ref, x, p->depth, row);
        for (int32_t unit = 0; unit < p->units; ++unit) {
            float real = bias != NULL ? bias[unit] : 0.0f;
            if (!skip) {
                const int8_t *w = filter + (int64_t)unit * p->depth;
                const int32_t sum = qc_hybrid_row_sum(row, q.zero_point, w, p->depth, p->sign_overflow);
                real += (float)sum * (q.scale * p->filter_scale[p->per_channel ? unit : 0]);
            }
            *output++ = activate(p, real);
        }
    }
    return QC_OK;
}
