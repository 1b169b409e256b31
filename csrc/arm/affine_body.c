/* QUANTIZE and DEQUANTIZE as TFLite's optimized kernels and XNNPACK compute them: the bits of csrc/reference/affine.c,
 * 8 elements at a time. */
#include "../kernels.h"
#include "lanes_neon.h"

static inline int32x4_t clamp_lanes(int32x4_t x, int32_t low, int32_t high) {
    return vminq_s32(vmaxq_s32(x, vdupq_n_s32(low)), vdupq_n_s32(high));
}

/* qc_round_even_to_int32: FCVTNS saturates, where the definition has INT32_MIN for all that does not fit. */
static inline int32x4_t round_even(float32x4_t v) {
    const uint32x4_t below = vcltq_f32(v, vdupq_n_f32(2147483648.0f)); /* and no NaN */
    return vbslq_s32(below, vcvtnq_s32_f32(v), vdupq_n_s32(INT32_MIN));
}

static inline int32x4_t quantize_reciprocal(const qc_affine_body_params *p, float32x4_t x, float reciprocal) {
    const int32x4_t q = round_even(vmulq_n_f32(x, reciprocal));
    return clamp_lanes(vaddq_s32(q, vdupq_n_s32(p->zero_point)), p->qmin, p->qmax);
}

static inline int32x4_t quantize_saturating(const qc_affine_body_params *p, float32x4_t x, float reciprocal) {
    const float32x4_t scaled = vmulq_n_f32(x, reciprocal), most = vdupq_n_f32(32767.0f);
    const float32x4_t limited = vbslq_f32(vcltq_f32(scaled, most), scaled, most); /* so is a NaN */
    const int32x4_t q = clamp_lanes(vcvtnq_s32_f32(limited), INT16_MIN, INT16_MAX);
    const int32x4_t y = clamp_lanes(vaddq_s32(q, vdupq_n_s32(p->zero_point)), INT16_MIN, INT16_MAX);
    return clamp_lanes(y, p->qmin, p->qmax);
}

/* Elements [0, count / 8 * 8) by `rule`; `i` is then where the rest begins. */
#define QUANTIZE_LEADING(suffix, rule, count)                                                                    \
    for (; i + 8 <= (count); i += 8) {                                                                           \
        const int32x4x2_t q = {{rule(p, vld1q_f32(input + i), reciprocal),                                       \
                                rule(p, vld1q_f32(input + i + 4), reciprocal)}};                                 \
        qc_store_8_##suffix(output + i, q);                                                                      \
    }

/* The definition computes elements from i on. */
#define REST(name)                                                                                               \
    qc_affine_body_params rest = *p;                                                                             \
    rest.count = p->count - i;                                                                                   \
    rest.body = p->body - i;                                                                                     \
    return qc_##name##_ref(&rest, input + i, output + i, scratch);

#define QUANTIZE_RECIPROCAL_VERSION(suffix, T)                                                                   \
    qc_status qc_quantize_reciprocal_f32_##suffix##_neon(const qc_affine_body_params *p, const float *input,     \
                                                         T *output, void *scratch) {                             \
        const float reciprocal = (float)(1.0 / (double)p->scale);                                                \
        int64_t i = 0;                                                                                           \
        QUANTIZE_LEADING(suffix, quantize_reciprocal, p->body)                                                   \
        REST(quantize_reciprocal_f32_##suffix)                                                                   \
    }
QUANTIZE_RECIPROCAL_VERSION(s8, int8_t)
QUANTIZE_RECIPROCAL_VERSION(u8, uint8_t)
QUANTIZE_RECIPROCAL_VERSION(s16, int16_t)

#define QUANTIZE_SATURATING_VERSION(suffix, T)                                                                   \
    qc_status qc_quantize_saturating_f32_##suffix##_neon(const qc_affine_body_params *p, const float *input,     \
                                                         T *output, void *scratch) {                             \
        const float reciprocal = 1.0f / p->scale;                                                                \
        int64_t i = 0;                                                                                           \
        QUANTIZE_LEADING(suffix, quantize_saturating, p->count)                                                  \
        REST(quantize_saturating_f32_##suffix)                                                                   \
    }
QUANTIZE_SATURATING_VERSION(s8, int8_t)
QUANTIZE_SATURATING_VERSION(u8, uint8_t)

#define DEQUANTIZE_TERMS_VERSION(suffix, T)                                                                      \
    qc_status qc_dequantize_terms_##suffix##_f32_neon(const qc_affine_body_params *p, const T *input,            \
                                                      float *output, void *scratch) {                            \
        const float32x4_t zero = vdupq_n_f32((float)(-(double)p->zero_point * (double)p->scale));                \
        int64_t i = 0;                                                                                           \
        for (; i + 8 <= p->body; i += 8) {                                                                       \
            const int32x4x2_t q = qc_load_8_##suffix(input + i);                                                 \
            for (int k = 0; k < 2; ++k) {                                                                        \
                const float32x4_t scaled = vmulq_n_f32(vcvtq_f32_s32(q.val[k]), p->scale);                       \
                vst1q_f32(output + i + 4 * k, vaddq_f32(scaled, zero));                                          \
            }                                                                                                    \
        }                                                                                                        \
        REST(dequantize_terms_##suffix##_f32)                                                                    \
    }
DEQUANTIZE_TERMS_VERSION(s8, int8_t)
DEQUANTIZE_TERMS_VERSION(u8, uint8_t)
