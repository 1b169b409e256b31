/* QUANTIZE, DEQUANTIZE, requantize: the bits of csrc/reference/affine.c, 8 elements at a time.
 *
 * FCVTAS rounds half away from zero and saturates, where the definition has INT32_MIN for all that does not fit.
 * A product of int8 or int16 with a float has at most 41 bits, so that rounding it to float64 first changes nothing;
 * that is so with a difference of up to 24 bits too. */
#include "../kernels.h"
#include "lanes_neon.h"
#include "requantize_neon.h"

/* qc_quantize_one */
static inline int32x4_t quantize_lanes(const qc_affine_params *p, float32x4_t x, float32x4_t scale,
                                       int32x4_t zero_point) {
    const float32x4_t v = vdivq_f32(x, scale);
    const uint32x4_t below = vcltq_f32(v, vdupq_n_f32(2147483648.0f)); /* and no NaN */
    const int32x4_t q = vbslq_s32(below, vcvtaq_s32_f32(v), vdupq_n_s32(INT32_MIN));
    const int32x4_t y = vmaxq_s32(vaddq_s32(q, zero_point), vdupq_n_s32(p->qmin));
    return vminq_s32(y, vdupq_n_s32(p->qmax));
}

#define QUANTIZE_VERSION(suffix, T)                                                                              \
    /* Elements of one channel. */                                                                               \
    static void quantize_##suffix##_run(const qc_affine_params *p, int64_t c, const float *x, T *y) {            \
        const float32x4_t scale = vdupq_n_f32(p->scale[c]);                                                      \
        const int32x4_t zero = vdupq_n_s32(p->zero_point[c]);                                                    \
        int64_t i = 0;                                                                                           \
        for (; i + 8 <= p->inner; i += 8) {                                                                      \
            const int32x4x2_t q = {{quantize_lanes(p, vld1q_f32(x + i), scale, zero),                            \
                                    quantize_lanes(p, vld1q_f32(x + i + 4), scale, zero)}};                      \
            qc_store_8_##suffix(y + i, q);                                                                       \
        }                                                                                                        \
        for (; i < p->inner; ++i)                                                                                \
            y[i] = (T)qc_quantize_one(x[i], p->scale[c], p->zero_point[c], p->qmin, p->qmax);                    \
    }                                                                                                            \
    /* One element of each channel. */                                                                           \
    static void quantize_##suffix##_row(const qc_affine_params *p, const float *x, T *y) {                       \
        int64_t c = 0;                                                                                           \
        for (; c + 8 <= p->channels; c += 8) {                                                                   \
            int32x4x2_t q;                                                                                       \
            for (int k = 0; k < 2; ++k) {                                                                        \
                const int64_t at = c + 4 * k;                                                                    \
                q.val[k] = quantize_lanes(p, vld1q_f32(x + at), vld1q_f32(p->scale + at),                        \
                                          vld1q_s32(p->zero_point + at));                                        \
            }                                                                                                    \
            qc_store_8_##suffix(y + c, q);                                                                       \
        }                                                                                                        \
        for (; c < p->channels; ++c)                                                                             \
            y[c] = (T)qc_quantize_one(x[c], p->scale[c], p->zero_point[c], p->qmin, p->qmax);                    \
    }                                                                                                            \
    AFFINE_KERNEL(quantize_f32_##suffix, float, T, quantize_##suffix)

/* The kernel of two loops, over elements of one channel and over one element of each. */
#define AFFINE_KERNEL(name, In, Out, loop)                                                                       \
    qc_status qc_##name##_neon(const qc_affine_params *p, const In *input, Out *output, void *scratch) {         \
        (void)scratch;                                                                                           \
        if (p->outer == 1 && p->channels == 1) {                                                                 \
            loop##_run(p, 0, input, output);                                                                     \
            return QC_OK;                                                                                        \
        }                                                                                                        \
        const int64_t row = p->channels * p->inner;                                                              \
        for (int64_t o = 0; o < p->outer; ++o, input += row, output += row) {                                    \
            if (p->inner == 1) {                                                                                 \
                loop##_row(p, input, output);                                                                    \
                continue;                                                                                        \
            }                                                                                                    \
            for (int64_t c = 0; c < p->channels; ++c)                                                            \
                loop##_run(p, c, input + c * p->inner, output + c * p->inner);                                   \
        }                                                                                                        \
        return QC_OK;                                                                                            \
    }

QUANTIZE_VERSION(s8, int8_t)
QUANTIZE_VERSION(u8, uint8_t)
QUANTIZE_VERSION(s16, int16_t)
QUANTIZE_VERSION(s32, int32_t)

/* Zero points for which differences of int16 have at most 24 bits. */
static inline int is_small(int32_t zero_point) {
    return zero_point > -(1 << 23) && zero_point < 1 << 23;
}

static inline float32x4_t dequantize_lanes(int32x4_t q, float32x4_t scale, int32x4_t zero_point) {
    return vmulq_f32(scale, vcvtq_f32_s32(vsubq_s32(q, zero_point)));
}

#define DEQUANTIZE_VERSION(suffix, T)                                                                            \
    static void dequantize_##suffix##_run(const qc_affine_params *p, int64_t c, const T *x, float *y) {          \
        const float32x4_t scale = vdupq_n_f32(p->scale[c]);                                                      \
        const int32x4_t zero = vdupq_n_s32(p->zero_point[c]);                                                    \
        int64_t i = 0;                                                                                           \
        for (; is_small(p->zero_point[c]) && i + 8 <= p->inner; i += 8) {                                        \
            const int32x4x2_t q = qc_load_8_##suffix(x + i);                                                     \
            for (int k = 0; k < 2; ++k) vst1q_f32(y + i + 4 * k, dequantize_lanes(q.val[k], scale, zero));       \
        }                                                                                                        \
        for (; i < p->inner; ++i) y[i] = qc_dequantize_one(x[i], p->scale[c], p->zero_point[c]);                 \
    }                                                                                                            \
    static void dequantize_##suffix##_row(const qc_affine_params *p, const T *x, float *y) {                     \
        int64_t c = 0;                                                                                           \
        for (; c + 8 <= p->channels; c += 8) {                                                                   \
            const int32x4x2_t q = qc_load_8_##suffix(x + c);                                                     \
            for (int k = 0; k < 2; ++k) {                                                                        \
                const int64_t at = c + 4 * k;                                                                    \
                const int32x4_t zero = vld1q_s32(p->zero_point + at);                                            \
                vst1q_f32(y + at, dequantize_lanes(q.val[k], vld1q_f32(p->scale + at), zero));                   \
                if (vmaxvq_u32(vreinterpretq_u32_s32(vabsq_s32(zero))) < 1u << 23) continue;                     \
                for (int64_t i = at; i < at + 4; ++i)                                                            \
                    y[i] = qc_dequantize_one(x[i], p->scale[i], p->zero_point[i]);                               \
            }                                                                                                    \
        }                                                                                                        \
        for (; c < p->channels; ++c) y[c] = qc_dequantize_one(x[c], p->scale[c], p->zero_point[c]);              \
    }                                                                                                            \
    AFFINE_KERNEL(dequantize_##suffix##_f32, T, float, dequantize_##suffix)

DEQUANTIZE_VERSION(s8, int8_t)
DEQUANTIZE_VERSION(u8, uint8_t)
DEQUANTIZE_VERSION(s16, int16_t)

#define REQUANTIZE_VERSION(isa, from, In, to, Out)                                                               \
    qc_status qc_requantize_##from##_##to##_##isa(const qc_requantize_params *p, const In *input, Out *output,   \
                                                  void *scratch) {                                               \
        (void)scratch;                                                                                           \
        const qc_requantize_params copy = *p; /* which stores to `output` cannot change */                       \
        const int32x4_t zero = vdupq_n_s32(p->input_zero_point);                                                 \
        int64_t i = 0;                                                                                           \
        for (; i + 8 <= copy.count && i < INT32_MAX - 8; i += 8) {                                               \
            int32x4x2_t x = qc_load_8_##from(input + i);                                                         \
            for (int k = 0; k < 2; ++k)                                                                          \
                x.val[k] = qc_requantize_neon(&copy.requant, vsubq_s32(x.val[k], zero), (int32_t)i + 4 * k);     \
            qc_store_8_##to(output + i, x);                                                                      \
        }                                                                                                        \
        for (; i < copy.count; ++i) {                                                                            \
            const int32_t x = qc_wrap32((int64_t)input[i] - copy.input_zero_point);                              \
            const int32_t place = i < INT32_MAX ? (int32_t)i : INT32_MAX - 1; /* in body or tail */              \
            output[i] = (Out)qc_requantize(&copy.requant, x, place);                                             \
        }                                                                                                        \
        return QC_OK;                                                                                            \
    }
QC_REQUANTIZE_8BIT(REQUANTIZE_VERSION, neon)
QC_REQUANTIZE_WIDE(REQUANTIZE_VERSION, neon)
