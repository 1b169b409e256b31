/* SVDF: the definitions. */
#include "quantcore/svdf.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "quantcore/eigen_functions.h"
#include "quantcore/hybrid.h"

#define QC_STATE int8_t
#define QC_SVDF qc_svdf_s8_ref
#include "svdf_quantized.inc"

#define QC_STATE int16_t
#define QC_SVDF qc_svdf_state_s16_s8_ref
#include "svdf_quantized.inc"

enum { LANES = 4 };

/* sum a * b, or sum a where b is NULL. */
static float sum_products(int micro, const float *a, const float *b, int32_t count, float start) {
    float lanes[LANES] = {0};
    int32_t i = 0;
    for (; !micro && i <= count - LANES; i += LANES)
        for (int l = 0; l < LANES; ++l) lanes[l] += b != NULL ? a[i + l] * b[i + l] : a[i + l];
    float sum = micro ? start : ((lanes[0] + lanes[1]) + lanes[2]) + lanes[3];
    for (; i < count; ++i) sum += b != NULL ? a[i] * b[i] : a[i];
    return micro ? sum : sum + start;
}

static int all_zero(const float *values, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        if (values[i] != 0.0f) return 0;
    }
    return 1;
}

/* The newest step of every filter of one batch. quantized: memory for the input. */
static void append_step(const qc_svdf_f32_params *p, const float *x, const void *features, int is_zero,
                        int8_t *quantized, float *state) {
    const qc_svdf_shape *s = &p->shape;
    qc_hybrid_scale q = {1.0f, 0};
    if (p->hybrid && !is_zero)
        q = p->asymmetric ? qc_hybrid_quantize_asymmetric(&qc_hybrid_ref, x, s->inputs, quantized)
                          : qc_hybrid_quantize_symmetric(&qc_hybrid_ref, x, s->inputs, quantized);
    for (int32_t f = 0; f < s->filters; ++f) {
        const int64_t row = (int64_t)f * s->inputs;
        float *newest = state + (int64_t)(f + 1) * s->memory - 1;
        if (!p->hybrid) {
            *newest = sum_products(p->micro, (const float *)features + row, x, s->inputs, 0.0f);
        } else if (is_zero) {
            *newest = 0.0f;
        } else {
            const int8_t *w = (const int8_t *)features + row;
            const int32_t sum = qc_hybrid_row_sum(quantized, q.zero_point, w, s->inputs, p->sign_overflow);
            *newest = (float)sum * (q.scale * p->feature_scale);
        }
    }
}

static float activate(const qc_svdf_f32_params *p, float x) {
    if (p->tanh) return p->micro ? tanhf(x) : qc_eigen_tanh(x);
    const float upper = p->activation_max < x ? p->activation_max : x;
    return isinf(p->activation_min) || p->activation_min < upper ? upper : p->activation_min;
}

qc_status qc_svdf_f32_ref(const qc_svdf_f32_params *p, void *const *tensors, void *scratch) {
    const qc_svdf_shape *s = &p->shape;
    const float *input = tensors[0];
    const float *bias = tensors[3];
    float *state = tensors[4];
    float *output = tensors[5];
    float *sums = scratch;
    float *dequantized = sums + s->rank;
    int8_t *quantized = (int8_t *)(dequantized + s->memory);
    const int32_t units = s->filters / s->rank;
    const int is_zero = all_zero(input, (int64_t)s->batches * s->inputs);

    memmove(state, state + 1, (size_t)((int64_t)s->batches * s->filters * s->memory - 1) * sizeof *state);
    for (int32_t b = 0; b < s->batches; ++b) {
        float *past = state + (int64_t)b * s->filters * s->memory;
        append_step(p, input + (int64_t)b * s->inputs, tensors[1], is_zero, quantized, past);
        for (int32_t unit = 0; unit < units; ++unit) {
            for (int32_t r = 0; r < s->rank; ++r) {
                const int64_t row = ((int64_t)unit * s->rank + r) * s->memory;
                const float *times = (const float *)tensors[2] + (p->hybrid ? 0 : row);
                for (int32_t m = 0; p->hybrid && m < s->memory; ++m)
                    dequantized[m] = (float)((const int8_t *)tensors[2])[row + m] * p->time_scale;
                sums[r] = sum_products(p->micro, p->hybrid ? dequantized : times, past + row, s->memory,
                                       0.0f);
            }
            const float y = sum_products(p->micro, sums, NULL, s->rank, bias != NULL ? bias[unit] : 0.0f);
            *output++ = activate(p, y);
        }
    }
    return QC_OK;
}
