/* QUANTIZE, DEQUANTIZE, requantize: the definitions. */
#include "quantcore/affine.h"

#include <string.h>

/* for every element i of channel c of an [outer][channels][inner] array */
#define FOR_EACH(p, i, c)                                                                          \
    for (int64_t o = 0, i = 0; o < (p)->outer; ++o)                                                \
        for (int64_t c = 0; c < (p)->channels; ++c)                                                \
            for (int64_t k = 0; k < (p)->inner; ++k, ++i)

#define DEFINE_QUANTIZE(suffix, T)                                                                 \
    qc_status qc_quantize_f32_##suffix##_ref(const qc_affine_params *p, const float *input, T *output, \
                                             void *scratch) {                                      \
        (void)scratch;                                                                             \
        FOR_EACH(p, i, c) {                                                                        \
            output[i] = (T)qc_quantize_one(input[i], p->scale[c], p->zero_point[c], p->qmin, p->qmax); \
        }                                                                                          \
        return QC_OK;                                                                              \
    }

#define DEFINE_DEQUANTIZE(suffix, T)                                                               \
    qc_status qc_dequantize_##suffix##_f32_ref(const qc_affine_params *p, const T *input, float *output, \
                                               void *scratch) {                                    \
        (void)scratch;                                                                             \
        FOR_EACH(p, i, c) { output[i] = qc_dequantize_one(input[i], p->scale[c], p->zero_point[c]); } \
        return QC_OK;                                                                              \
    }

DEFINE_QUANTIZE(s8, int8_t)
DEFINE_QUANTIZE(u8, uint8_t)
DEFINE_QUANTIZE(s16, int16_t)
DEFINE_QUANTIZE(s32, int32_t)

DEFINE_DEQUANTIZE(s8, int8_t)
DEFINE_DEQUANTIZE(u8, uint8_t)
DEFINE_DEQUANTIZE(s16, int16_t)
DEFINE_DEQUANTIZE(s32, int32_t)

#define DEFINE_QUANTIZE_RECIPROCAL(suffix, T)                                                      \
    qc_status qc_quantize_reciprocal_f32_##suffix##_ref(const qc_affine_body_params *p, const float *input, \
                                                        T *output, void *scratch) {                \
        (void)scratch;                                                                             \
        const float reciprocal = (float)(1.0 / (double)p->scale);                                  \
        for (int64_t i = 0; i < p->count; ++i) {                                                   \
            const int32_t rounded = i < p->body ? qc_round_even_to_int32(input[i] * reciprocal)    \
                                                : qc_round_to_int32((double)input[i] / (double)p->scale); \
            output[i] = (T)qc_clamp(qc_wrap32((int64_t)rounded + p->zero_point), p->qmin, p->qmax); \
        }                                                                                          \
        return QC_OK;                                                                              \
    }
DEFINE_QUANTIZE_RECIPROCAL(s8, int8_t)
DEFINE_QUANTIZE_RECIPROCAL(u8, uint8_t)
DEFINE_QUANTIZE_RECIPROCAL(s16, int16_t)

static int32_t quantize_saturating_one(float x, float reciprocal, int32_t zero_point) {
    const float scaled = x * reciprocal;
    const float limited = scaled < 32767.0f ? scaled : 32767.0f; /* so is a NaN */
    const int32_t rounded = qc_clamp(qc_round_even_to_int32(limited), INT16_MIN, INT16_MAX);
    return qc_clamp(rounded + zero_point, INT16_MIN, INT16_MAX);
}

#define DEFINE_QUANTIZE_SATURATING(suffix, T)                                                      \
    qc_status qc_quantize_saturating_f32_##suffix##_ref(const qc_affine_body_params *p, const float *input, \
                                                        T *output, void *scratch) {                \
        (void)scratch;                                                                             \
        const float reciprocal = 1.0f / p->scale;                                                  \
        for (int64_t i = 0; i < p->count; ++i)                                                     \
            output[i] = (T)qc_clamp(quantize_saturating_one(input[i], reciprocal, p->zero_point), p->qmin, p->qmax); \
        return QC_OK;                                                                              \
    }
DEFINE_QUANTIZE_SATURATING(s8, int8_t)
DEFINE_QUANTIZE_SATURATING(u8, uint8_t)

/* Element i of packed 4-bit numbers, with its sign. */
static int32_t four_bits(const uint8_t *packed, int64_t i) {
    const int32_t bits = packed[i / 2] >> (i % 2 ? 4 : 0) & 15;
    return bits < 8 ? bits : bits - 16;
}

qc_status qc_dequantize_s4_f32_ref(const qc_affine_params *p, const uint8_t *input, float *output, void *scratch) {
    (void)scratch;
    FOR_EACH(p, i, c) { output[i] = qc_dequantize_one(four_bits(input, i), p->scale[c], p->zero_point[c]); }
    return QC_OK;
}

qc_status qc_dequantize_terms_s4_f32_ref(const qc_affine_body_params *p, const uint8_t *input, float *output,
                                         void *scratch) {
    (void)scratch;
    const float zero = (float)(-(double)p->zero_point * (double)p->scale);
    for (int64_t i = 0; i < p->count; ++i) {
        const int32_t q = four_bits(input, i);
        const float scaled = (float)q * p->scale;
        output[i] = i < p->body ? scaled + zero : qc_dequantize_one(q, p->scale, p->zero_point);
    }
    return QC_OK;
}

#define DEFINE_DEQUANTIZE_TERMS(suffix, T)                                                         \
    qc_status qc_dequantize_terms_##suffix##_f32_ref(const qc_affine_body_params *p, const T *input, float *output, \
                                                     void *scratch) {                              \
        (void)scratch;                                                                             \
        const float zero = (float)(-(double)p->zero_point * (double)p->scale);                     \
        for (int64_t i = 0; i < p->count; ++i) {                                                   \
            const float scaled = (float)input[i] * p->scale;                                       \
            output[i] = i < p->body ? scaled + zero : qc_dequantize_one(input[i], p->scale, p->zero_point); \
        }                                                                                          \
        return QC_OK;                                                                              \
    }
DEFINE_DEQUANTIZE_TERMS(s8, int8_t)
DEFINE_DEQUANTIZE_TERMS(u8, uint8_t)

#define DEFINE_REQUANTIZE(isa, from, In, to, Out)                                                  \
    qc_status qc_requantize_##from##_##to##_##isa(const qc_requantize_params *p, const In *input, Out *output, \
                                                  void *scratch) {                                 \
        (void)scratch;                                                                             \
        for (int64_t i = 0; i < p->count; ++i) {                                                   \
            const int32_t x = qc_wrap32((int64_t)input[i] - p->input_zero_point);                  \
            const int32_t place = i < INT32_MAX ? (int32_t)i : INT32_MAX - 1; /* in body or tail */ \
            output[i] = (Out)qc_requantize(&p->requant, x, place);                                 \
        }                                                                                          \
        return QC_OK;                                                                              \
    }
QC_REQUANTIZE_8BIT(DEFINE_REQUANTIZE, ref)
QC_REQUANTIZE_WIDE(DEFINE_REQUANTIZE, ref)

/* half = sign(1) exponent(5) fraction(10); value = fraction * 2^-24 where the exponent field is 0. */
float qc_half_to_float(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    const uint32_t exponent = (half >> 10) & 31;
    const uint32_t fraction = half & 1023;
    float magnitude;
    uint32_t bits;
    if (exponent == 0) {
        magnitude = (float)fraction * 0x1p-24f;
        memcpy(&bits, &magnitude, sizeof bits);
    } else if (exponent == 31) {
        bits = 0x7F800000u | fraction << 13 | (fraction != 0 ? 0x00400000u : 0);
    } else {
        bits = (exponent + 127 - 15) << 23 | fraction << 13;
    }
    bits |= sign;
    memcpy(&magnitude, &bits, sizeof bits);
    return magnitude;
}

qc_status qc_dequantize_f16_f32_ref(const qc_half_params *p, const uint16_t *input, float *output, void *scratch) {
    (void)scratch;
    for (int64_t i = 0; i < p->count; ++i) output[i] = qc_half_to_float(input[i]);
    return QC_OK;
}
