/* RELU family, LEAKY_RELU, HARD_SWISH: the definitions. */
#include "quantcore/activation_rules.h"
#include "quantcore/fixed_point_functions16.h"

#define RELU_KERNEL(suffix, T)                                                                         \
    qc_status qc_relu_##suffix##_ref(const qc_relu_params *params, const T *input, T *output, void *scratch) { \
        (void)scratch;                                                                                 \
        for (int64_t i = 0; i < params->count; ++i)                                                    \
            output[i] = (T)qc_requantize(&params->requant, input[i] + params->input_offset, 0);        \
        return QC_OK;                                                                                  \
    }

RELU_KERNEL(s8, int8_t)
RELU_KERNEL(u8, uint8_t)
RELU_KERNEL(s16, int16_t)

qc_status qc_relu_f32_ref(const qc_relu_f32_params *params, const float *input, float *output, void *scratch) {
    (void)scratch;
    const qc_relu_f32_params p = *params;
    for (int64_t i = 0; i < p.count; ++i) output[i] = qc_relu_f32_one(&p, input[i]);
    return QC_OK;
}

static int32_t leaky_relu_one(const qc_leaky_relu_params *p, int32_t q) {
    const int32_t d = q + p->input_offset;
    const int32_t multiplier = d >= 0 ? p->identity_multiplier : p->alpha_multiplier;
    const int32_t shift = d >= 0 ? p->identity_shift : p->alpha_shift;
    const int32_t y = p->rounding == QC_SINGLE_ROUNDING ? qc_multiply_single_rounding(d, multiplier, shift)
                                                        : qc_multiply_double_rounding(d, multiplier, shift);
    return qc_wrap32((d < 0 && p->negates_alpha ? -(int64_t)y : y) + (int64_t)p->output_offset);
}

#define LEAKY_RELU_KERNEL(suffix, T, LOWEST, HIGHEST)                                                        \
    qc_status qc_leaky_relu_##suffix##_ref(const qc_leaky_relu_params *p, const T *input, T *output,         \
                                           void *scratch) {                                                  \
        (void)scratch;                                                                                       \
        for (int64_t i = 0; i < p->count; ++i) output[i] = (T)qc_clamp(leaky_relu_one(p, input[i]), LOWEST, HIGHEST); \
        return QC_OK;                                                                                        \
    }

LEAKY_RELU_KERNEL(s8, int8_t, INT8_MIN, INT8_MAX)
LEAKY_RELU_KERNEL(u8, uint8_t, 0, UINT8_MAX)
LEAKY_RELU_KERNEL(s16, int16_t, INT16_MIN, INT16_MAX)

qc_status qc_leaky_relu_f32_ref(const qc_leaky_relu_f32_params *params, const float *input, float *output,
                                void *scratch) {
    (void)scratch;
    const qc_leaky_relu_f32_params p = *params;
    for (int64_t i = 0; i < p.count; ++i) output[i] = qc_leaky_relu_f32_one(&p, input[i]);
    return QC_OK;
}

/* x / 2^exponent as gemmlowp's 16-bit form has it: from 16 on the mask is cut to 16 bits, and every x becomes
 * 1 or -1 by its sign. exponent in [0, 31]. */
static int32_t rounding_divide_by_pot16(int16_t x, int exponent) {
    const int16_t mask = qc_wrap16((int32_t)(((uint32_t)1 << exponent) - 1));
    const int32_t remainder = x & mask;
    const int32_t threshold = (mask >> 1) + (x < 0);
    return (x >> exponent) + (remainder > threshold);
}

static int32_t hard_swish_one(const qc_hard_swish_params *p, int32_t q) {
    const int16_t x = (int16_t)((q + p->input_offset) * 128); /* as many significant bits as fit */
    const int16_t on_output_scale = qc_srdhm16(x, (int16_t)p->output_multiplier);
    /* x + 3 in units of 6: the factor in [0, 1], from x / 3 in [-1, 1], saturated */
    const int left = p->reluish_shift - 1; /* the last bit is shifted after the product */
    int16_t r = left > 0 ? qc_saturating_shift_left16(x, left < 15 ? left : 15) : x;
    r = qc_srdhm16(r, (int16_t)p->reluish_multiplier);
    if (p->reluish_shift > 0) r = qc_saturating_shift_left16(r, 1);
    if (p->reluish_shift < 0) r = (int16_t)rounding_divide_by_pot16(r, -p->reluish_shift);
    const int32_t factor = (r + (1 << 15)) >> 1;
    /* toward zero, which cancels the bias of the two high multiplies */
    const int16_t product = (int16_t)(factor * on_output_scale / (1 << 15));
    return qc_wrap16(rounding_divide_by_pot16(product, -p->output_shift) + p->output_offset);
}

#define HARD_SWISH_KERNEL(suffix, T, LOWEST, HIGHEST)                                                        \
    qc_status qc_hard_swish_##suffix##_ref(const qc_hard_swish_params *p, const T *input, T *output,         \
                                           void *scratch) {                                                  \
        (void)scratch;                                                                                       \
        for (int64_t i = 0; i < p->count; ++i) output[i] = (T)qc_clamp(hard_swish_one(p, input[i]), LOWEST, HIGHEST); \
        return QC_OK;                                                                                        \
    }

HARD_SWISH_KERNEL(s8, int8_t, INT8_MIN, INT8_MAX)
HARD_SWISH_KERNEL(u8, uint8_t, 0, UINT8_MAX)

qc_status qc_hard_swish_f32_ref(const qc_hard_swish_f32_params *p, const float *input, float *output, void *scratch) {
    (void)scratch;
    const int64_t body = p->count / 4 * 4;
    for (int64_t i = 0; i < p->count; ++i) output[i] = qc_hard_swish_f32_one(p->form, input[i], i >= body);
    return QC_OK;
}
