/* FULLY_CONNECTED: the definitions. */
#include "quantcore/fully_connected.h"

#include <math.h>
#include <stddef.h>

#include "quantcore/float_sum.h"
#include "quantcore/hybrid.h"
#include "quantcore/hybrid_xnnpack.h"
#include "quantcore/unpack.h"

#define QC_ELEMENT int8_t
#define QC_FULLY_CONNECTED qc_fully_connected_s8_ref
#include "fully_connected_quantized.inc"

#define QC_ELEMENT uint8_t
#define QC_FULLY_CONNECTED qc_fully_connected_u8_ref
#include "fully_connected_quantized.inc"

/* bias + sum of products, modulo 2^64. */
static uint64_t sum_s16(const qc_fully_connected_params *p, const int16_t *x, const int8_t *w, int64_t bias) {
    uint64_t sum = (uint64_t)bias;
    for (int32_t d = 0; d < p->depth; ++d)
        sum += (uint64_t)((int64_t)(x[d] + p->input_offset) * (w[d] + p->filter_offset));
    return sum;
}

qc_status qc_fully_connected_s16_ref(const qc_fully_connected_params *p, const int16_t *input,
                                     const int8_t *filter, const int32_t *bias, int16_t *output, void *scratch) {
    (void)scratch;
    for (int32_t b = 0; b < p->batches; ++b) {
        const int16_t *x = input + (int64_t)b * p->depth;
        for (int32_t unit = 0; unit < p->units; ++unit) {
            const int8_t *w = filter + (int64_t)unit * p->depth;
            const uint32_t acc = (uint32_t)sum_s16(p, x, w, bias != NULL ? bias[unit] : 0);
            *output++ = (int16_t)qc_requantize(&p->requant, (int32_t)acc, unit);
        }
    }
    return QC_OK;
}

qc_status qc_fully_connected_s16_wide_ref(const qc_fully_connected_params *p, const int16_t *input,
                                          const int8_t *filter, const int64_t *bias, int16_t *output,
                                          void *scratch) {
    (void)scratch;
    for (int32_t b = 0; b < p->batches; ++b) {
        const int16_t *x = input + (int64_t)b * p->depth;
        for (int32_t unit = 0; unit < p->units; ++unit) {
            const int8_t *w = filter + (int64_t)unit * p->depth;
            const uint64_t acc = sum_s16(p, x, w, bias != NULL ? bias[unit] : 0);
            *output++ = (int16_t)qc_requantize_wide(&p->requant, (int64_t)acc, unit);
        }
    }
    return QC_OK;
}

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
