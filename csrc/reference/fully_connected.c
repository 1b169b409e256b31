/* FULLY_CONNECTED: the definitions. */
#include "quantcore/fully_connected.h"

#include <stddef.h>

#include "quantcore/float_sum.h"
#include "quantcore/hybrid.h"
#include "quantcore/hybrid_xnnpack.h"
#include "quantcore/unpack.h"

#define QC_DEFINITION "fully_connected_quantized.inc"
#include "quantized_forms.inc"

static qc_status fully_connected_f32(const qc_fully_connected_f32_params *p, int fused, const float *input,
                                     const float *filter, const float *bias, float *output) {
    for (int32_t b = 0; b < p->batches; ++b) {
        const float *x = input + (int64_t)b * p->depth;
        for (int32_t unit = 0; unit < p->units; ++unit) {
            const float *w = filter + (int64_t)unit * p->depth;
            qc_float_sum sum = {0};
            for (int32_t d = 0; d < p->depth; ++d) qc_add_product(&sum, fused, x[d], w[d]);
            const float biased = sum.total + sum.part + (bias != NULL ? bias[unit] : 0.0f);
            *output++ = qc_clamp_f32(biased, p->activation_min, p->activation_max);
        }
    }
    return QC_OK;
}

qc_status qc_fully_connected_f32_ref(const qc_fully_connected_f32_params *p, const float *input,
                                     const float *filter, const float *bias, float *output, void *scratch) {
    (void)scratch;
    return fully_connected_f32(p, 0, input, filter, bias, output);
}

qc_status qc_fully_connected_f32_fused_ref(const qc_fully_connected_f32_params *p, const float *input,
                                           const float *filter, const float *bias, float *output,
                                           void *scratch) {
    (void)scratch;
    return fully_connected_f32(p, 1, input, filter, bias, output);
}

qc_status qc_fully_connected_hybrid_ref(const qc_fully_connected_hybrid_params *p, const float *input,
                                        const int8_t *filter, const float *bias, float *output,
                                        void *scratch) {
    int8_t *row = scratch;
    const int skip = qc_hybrid_all_zero(input, (int64_t)p->batches * p->depth);
    for (int32_t b = 0; b < p->batches; ++b) {
        const float *x = input + (int64_t)b * p->depth;
        const qc_hybrid_scale q = qc_hybrid_quantize(&qc_hybrid_ref, p->asymmetric, x, p->depth, row);
        for (int32_t unit = 0; unit < p->units; ++unit) {
            float real = bias != NULL ? bias[unit] : 0.0f;
            if (!skip) {
                const int8_t *w = filter + (int64_t)unit * p->depth;
                const int32_t sum = qc_hybrid_row_sum(row, q.zero_point, w, p->depth, p->sign_overflow);
                real += (float)sum * (q.scale * p->filter_scale[p->per_channel ? unit : 0]);
            }
            *output++ = qc_fully_connected_activate(p, real);
        }
    }
    return QC_OK;
}

qc_status qc_fully_connected_hybrid_fma_ref(const qc_fully_connected_hybrid_params *p, const float *input,
                                            const int8_t *filter, const float *bias, float *output,
                                            void *scratch) {
    int8_t *row = scratch;
    for (int32_t b = 0; b < p->batches; ++b) {
        const qc_xnnpack_scale q = qc_xnnpack_quantize(input + (int64_t)b * p->depth, p->depth, row);
        for (int32_t unit = 0; unit < p->units; ++unit) {
            const int8_t *w = filter + (int64_t)unit * p->depth;
            const int32_t sum = qc_hybrid_row_sum(row, q.zero_point, w, p->depth, 0);
            const float real = qc_xnnpack_output(sum, q, p->filter_scale[p->per_channel ? unit : 0],
                                                 bias != NULL ? bias[unit] : 0.0f);
            *output++ = qc_clamp_f32(real, p->activation_min, p->activation_max);
        }
    }
    return QC_OK;
}

/* The kernel of a form with a filter of 4 bits. */
#define FOUR_BIT_KERNEL(form, P, X, B, Y)                                                                    \
    qc_status qc_fully_connected_##form##_s4_ref(const P *p, const X *input, const uint8_t *filter,          \
                                                 const B *bias, Y *output, void *scratch) {                  \
        const int64_t count = (int64_t)p->units * p->depth;                                                  \
        int8_t *unpacked = scratch;                                                                          \
        qc_unpack_s4(filter, count, unpacked);                                                                  \
        return qc_fully_connected_##form##_ref(p, input, unpacked, bias, output,                             \
                                               unpacked + qc_round_up(count, 64));                           \
    }

FOUR_BIT_KERNEL(s8, qc_fully_connected_params, int8_t, int32_t, int8_t)
FOUR_BIT_KERNEL(s16, qc_fully_connected_params, int16_t, int32_t, int16_t)
FOUR_BIT_KERNEL(s16_wide, qc_fully_connected_params, int16_t, int64_t, int16_t)
FOUR_BIT_KERNEL(hybrid, qc_fully_connected_hybrid_params, float, float, float)
FOUR_BIT_KERNEL(hybrid_fma, qc_fully_connected_hybrid_params, float, float, float)
