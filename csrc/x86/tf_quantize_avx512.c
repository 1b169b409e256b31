/* TensorFlow's QuantizeV2 to 8 and 16 bits with AVX-512, 16 elements at a time.
 *
 * The definition flushes subnormals after each operation. Where the scale is at most 2^60 and the lower end of the
 * range is 0 or at least 2^-100, that has no effect on the integer: a subnormal input or difference is far below half
 * a step, and the sum with what is added next, which is 0 or not as small, absorbs it. Other ranges, and those where
 * an infinite input could meet a zero, are left to the definition. */
#include <immintrin.h>

#include "../kernels.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#define INLINE TARGET static inline __attribute__((always_inline))
enum { LANES = 16 };

/* Half away from zero; see affine_avx2.c. */
INLINE __m512 round_away(__m512 v) {
    const __m512 sign = _mm512_and_ps(v, _mm512_set1_ps(-0.0f));
    const __m512 half = _mm512_or_ps(sign, _mm512_set1_ps(0x1.fffffep-2f));
    return _mm512_roundscale_ps(_mm512_add_ps(v, half), _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}

INLINE __m512 round_even(__m512 v) {
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* The constants of a slice in registers; low and high: what values are clamped to, before they are scaled (the first
 * three modes of `quantize`) or after. */
typedef struct {
    __m512 low, high, least, scale, offset;
} lanes;

INLINE __m512 clamp(__m512 x, const lanes *r) {
    return _mm512_max_ps(_mm512_min_ps(x, r->high), r->low);
}

INLINE __m512 quantize(qc_tf_mode mode, int is_signed, const lanes *r, __m512 x) {
    switch (mode) {
    case QC_TF_MIN_COMBINED: {
        const __m512 steps = _mm512_mul_ps(_mm512_sub_ps(clamp(x, r), r->least), r->scale);
        const __m512 shifted = _mm512_sub_ps(steps, r->offset);
        return is_signed ? round_away(shifted) : shifted;
    }
    case QC_TF_SCALED_HALF_AWAY_FROM_ZERO:
        return round_away(_mm512_mul_ps(clamp(x, r), r->scale));
    case QC_TF_SCALED_HALF_TO_EVEN:
        return round_even(_mm512_mul_ps(clamp(x, r), r->scale));
    case QC_TF_MIN_FIRST:
        return clamp(_mm512_sub_ps(round_away(_mm512_mul_ps(x, r->scale)), r->offset), r);
    case QC_TF_ONEDNN_SCALED:
        return clamp(round_even(_mm512_mul_ps(x, r->scale)), r);
    default: /* QC_TF_ONEDNN_MIN_FIRST */
        return clamp(round_even(_mm512_add_ps(_mm512_mul_ps(x, r->scale), r->offset)), r);
    }
}

INLINE lanes load_range(qc_tf_mode mode, const qc_tf_quantize_range *range, float lowest, float highest) {
    const int before =
        mode == QC_TF_MIN_COMBINED || mode == QC_TF_SCALED_HALF_AWAY_FROM_ZERO || mode == QC_TF_SCALED_HALF_TO_EVEN;
    const lanes r = {_mm512_set1_ps(before ? range->min_range : lowest),
                     _mm512_set1_ps(before ? range->max_range : highest), _mm512_set1_ps(range->min_range),
                     _mm512_set1_ps(range->scale), _mm512_set1_ps(range->offset)};
    return r;
}

static int has_simple_range(const qc_tf_quantize_range *r) {
    return r->scale > 0.0f && r->scale <= 0x1p+60f && (r->min_range == 0.0f || r->min_range <= -0x1p-100f);
}

#define DEFINE_RUN(suffix, T, is_signed, lowest, highest, store)                                             \
    INLINE void run_mode_##suffix(qc_tf_mode mode, const qc_tf_quantize_range *range, const float *x, int64_t count, \
                                  T *y) {                                                                    \
        const lanes r = load_range(mode, range, lowest, highest);                                            \
        int64_t i = 0;                                                                                       \
        for (; i + LANES <= count; i += LANES)                                                               \
            store(y + i, (__mmask16)0xFFFF,                                                                  \
                  _mm512_cvttps_epi32(quantize(mode, is_signed, &r, _mm512_loadu_ps(x + i))));               \
        if (i == count) return;                                                                              \
        const __mmask16 rest = (__mmask16)((1u << (count - i)) - 1);                                         \
        store(y + i, rest, _mm512_cvttps_epi32(quantize(mode, is_signed, &r, _mm512_maskz_loadu_ps(rest, x + i)))); \
    }                                                                                                        \
    TARGET static void run_##suffix(qc_tf_mode mode, const qc_tf_quantize_range *range, const float *x, int64_t count, \
                                    T *y) {                                                                  \
        switch (mode) {                                                                                      \
        case QC_TF_MIN_COMBINED: run_mode_##suffix(QC_TF_MIN_COMBINED, range, x, count, y); break;           \
        case QC_TF_SCALED_HALF_AWAY_FROM_ZERO:                                                               \
            run_mode_##suffix(QC_TF_SCALED_HALF_AWAY_FROM_ZERO, range, x, count, y);                         \
            break;                                                                                           \
        case QC_TF_SCALED_HALF_TO_EVEN: run_mode_##suffix(QC_TF_SCALED_HALF_TO_EVEN, range, x, count, y); break; \
        case QC_TF_MIN_FIRST: run_mode_##suffix(QC_TF_MIN_FIRST, range, x, count, y); break;                 \
        case QC_TF_ONEDNN_SCALED: run_mode_##suffix(QC_TF_ONEDNN_SCALED, range, x, count, y); break;         \
        default: run_mode_##suffix(QC_TF_ONEDNN_MIN_FIRST, range, x, count, y);                              \
        }                                                                                                    \
    }                                                                                                        \
    qc_status qc_tf_quantize_f32_##suffix##_avx512(const qc_tf_quantize_params *p, const float *input, T *output, \
                                                   void *scratch) {                                          \
        for (int64_t o = 0; o < p->outer; ++o)                                                               \
            for (int64_t s = 0; s < p->slices; ++s, input += p->inner, output += p->inner) {                 \
                const qc_tf_quantize_params one = {1, 1, p->inner, p->mode, p->range + s};                   \
                if (p->inner < LANES || p->mode == QC_TF_ONEDNN_MIN_FIRST_SCALAR || !has_simple_range(p->range + s)) \
                    qc_tf_quantize_f32_##suffix##_ref(&one, input, output, scratch);                         \
                else run_##suffix(p->mode, p->range + s, input, p->inner, output);                           \
            }                                                                                                \
        return QC_OK;                                                                                        \
    }
DEFINE_RUN(s8, int8_t, 1, -128.0f, 127.0f, _mm512_mask_cvtepi32_storeu_epi8)
DEFINE_RUN(u8, uint8_t, 0, 0.0f, 255.0f, _mm512_mask_cvtepi32_storeu_epi8)
DEFINE_RUN(s16, int16_t, 1, -32768.0f, 32767.0f, _mm512_mask_cvtepi32_storeu_epi16)
DEFINE_RUN(u16, uint16_t, 0, 0.0f, 65535.0f, _mm512_mask_cvtepi32_storeu_epi16)
