/* QUANTIZE, DEQUANTIZE, requantize with AVX2: the bits of csrc/reference/affine.c, 32 elements at a time.
 *
 * The definition divides and rounds half away from zero. A division costs more than everything else, so x is
 * multiplied by two neighbours of 1 / scale instead, 2^-21 below and above it. With all rounding errors
 * (2^-24 each) the products enclose the quotient, and rounding is monotonic: where both products round to
 * the same integer, so does the quotient, which then is no tie. A block in which they differ anywhere is
 * divided. NaN and overflow are INT32_MIN in the conversion, as in the definition.
 *
 * round() half away from zero is trunc(v + copysign(pred(0.5), v)) with pred(0.5) the float below 0.5: checked
 * for every float of magnitude below 2^31. */
#include <immintrin.h>

#include "../kernels.h"
#include "lookup.h"

#define TARGET __attribute__((target("avx2,f16c")))
enum { LANES = 8, BLOCK = 32 };

TARGET static inline __m256i divide_and_round(const float *input, __m256 scale) {
    const __m256 v = _mm256_div_ps(_mm256_loadu_ps(input), scale);
    const __m256 sign = _mm256_and_ps(v, _mm256_set1_ps(-0.0f));
    const __m256 half = _mm256_or_ps(sign, _mm256_set1_ps(0x1.fffffep-2f));
    return _mm256_cvttps_epi32(_mm256_add_ps(v, half));
}

/* Whether the neighbours of 1 / scale are normal floats, with the relative errors assumed above. */
static inline int has_reciprocal(float scale) {
    return scale > 0x1p-100f && scale < 0x1p+100f;
}

/* round(input / scale) of a block */
TARGET static inline void round_block(const float *input, float scale, __m256i q[4]) {
    const __m256 below = _mm256_set1_ps(1.0f / scale * (1 - 0x1p-21f));
    const __m256 above = _mm256_set1_ps(1.0f / scale * (1 + 0x1p-21f));
    __m256i differ = _mm256_setzero_si256();
    for (int k = 0; k < 4; ++k) {
        const __m256 x = _mm256_loadu_ps(input + LANES * k);
        const __m256i high = _mm256_cvtps_epi32(_mm256_mul_ps(x, above));
        q[k] = _mm256_cvtps_epi32(_mm256_mul_ps(x, below));
        differ = _mm256_or_si256(differ, _mm256_xor_si256(q[k], high));
    }
    if (!_mm256_testz_si256(differ, differ))
        for (int k = 0; k < 4; ++k) q[k] = divide_and_round(input + LANES * k, _mm256_set1_ps(scale));
}

/* Packing saturates, which never hurts: the bounds are within the range of the type. It also interleaves
 * the halves of its arguments, which the permutations undo. */
TARGET static inline void store_s8(int8_t *output, const __m256i q[4], int32_t qmin, int32_t qmax) {
    const __m256i words = _mm256_packs_epi32(q[0], q[1]);
    const __m256i more = _mm256_packs_epi32(q[2], q[3]);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(words, more), order);
    bytes = _mm256_max_epi8(bytes, _mm256_set1_epi8((char)qmin));
    _mm256_storeu_si256((__m256i *)output, _mm256_min_epi8(bytes, _mm256_set1_epi8((char)qmax)));
}
TARGET static inline void store_u8(uint8_t *output, const __m256i q[4], int32_t qmin, int32_t qmax) {
    const __m256i words = _mm256_packs_epi32(q[0], q[1]);
    const __m256i more = _mm256_packs_epi32(q[2], q[3]);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(words, more), order);
    bytes = _mm256_max_epu8(bytes, _mm256_set1_epi8((char)qmin));
    _mm256_storeu_si256((__m256i *)output, _mm256_min_epu8(bytes, _mm256_set1_epi8((char)qmax)));
}
TARGET static inline void store_s16(int16_t *output, const __m256i q[4], int32_t qmin, int32_t qmax) {
    for (int k = 0; k < 4; k += 2) {
        __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(q[k], q[k + 1]), _MM_SHUFFLE(3, 1, 2, 0));
        words = _mm256_max_epi16(words, _mm256_set1_epi16((short)qmin));
        words = _mm256_min_epi16(words, _mm256_set1_epi16((short)qmax));
        _mm256_storeu_si256((__m256i *)(output + LANES * k), words);
    }
}
TARGET static inline void store_s32(int32_t *output, const __m256i q[4], int32_t qmin, int32_t qmax) {
    for (int k = 0; k < 4; ++k) {
        const __m256i y = _mm256_max_epi32(q[k], _mm256_set1_epi32(qmin));
        _mm256_storeu_si256((__m256i *)(output + LANES * k), _mm256_min_epi32(y, _mm256_set1_epi32(qmax)));
    }
}

TARGET static inline __m256i load_s8(const int8_t *input) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)input));
}
TARGET static inline __m256i load_u8(const uint8_t *input) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)input));
}
TARGET static inline __m256i load_s16(const int16_t *input) {
    return _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)input));
}

/* Fewer channels than a block: parameters repeated until a row of them is whole blocks. */
typedef struct {
    float scale[BLOCK * BLOCK];
    int32_t zero_point[BLOCK * BLOCK];
} tile;

static qc_affine_params repeat_channels(const qc_affine_params *p, tile *t) {
    int64_t copies = 1;
    while (p->channels * copies % BLOCK != 0) ++copies;
    for (int64_t i = 0; i < p->channels * copies; ++i) {
        t->scale[i] = p->scale[i % p->channels];
        t->zero_point[i] = p->zero_point[i % p->channels];
    }
    qc_affine_params wide = *p;
    wide.outer = p->outer / copies;
    wide.channels = p->channels * copies;
    wide.scale = t->scale;
    wide.zero_point = t->zero_point;
    return wide;
}

/* A kernel from two loops: `run` over elements of one channel, `row` over one element of each channel. */
#define DEFINE_KERNEL(linkage, name, In, Out, run, row)                                            \
    static void name##_loops(const qc_affine_params *p, const In *input, Out *output) {            \
        for (int64_t o = 0; o < p->outer; ++o) {                                                   \
            if (p->inner == 1) {                                                                   \
                row(p, input, output);                                                             \
                input += p->channels;                                                              \
                output += p->channels;                                                             \
                continue;                                                                          \
            }                                                                                      \
            for (int64_t c = 0; c < p->channels; ++c, input += p->inner, output += p->inner)       \
                run(p, c, input, output);                                                          \
        }                                                                                          \
    }                                                                                              \
    linkage qc_status name(const qc_affine_params *p, const In *input, Out *output, void *scratch) { \
        (void)scratch;                                                                             \
        qc_affine_params rest = *p;                                                                \
        if (p->inner == 1 && p->channels < BLOCK && p->outer >= BLOCK) {                           \
            tile t;                                                                                \
            const qc_affine_params wide = repeat_channels(p, &t);                                  \
            name##_loops(&wide, input, output);                                                    \
            input += wide.outer * wide.channels;                                                   \
            output += wide.outer * wide.channels;                                                  \
            rest.outer -= wide.outer * wide.channels / p->channels;                                \
        }                                                                                          \
        name##_loops(&rest, input, output);                                                        \
        return QC_OK;                                                                              \
    }

#define DEFINE_QUANTIZE(suffix, T)                                                                 \
    TARGET static void quantize_run_##suffix(const qc_affine_params *p, int64_t c, const float *input, T *output) { \
        const float scale = p->scale[c];                                                           \
        const __m256i zero_point = _mm256_set1_epi32(p->zero_point[c]);                            \
        int64_t i = 0;                                                                             \
        for (; i + BLOCK <= p->inner && has_reciprocal(scale); i += BLOCK) {                       \
            __m256i q[4];                                                                          \
            round_block(input + i, scale, q);                                                      \
            for (int k = 0; k < 4; ++k) q[k] = _mm256_add_epi32(q[k], zero_point);                 \
            store_##suffix(output + i, q, p->qmin, p->qmax);                                       \
        }                                                                                          \
        for (; i < p->inner; ++i)                                                                  \
            output[i] = (T)qc_quantize_one(input[i], scale, p->zero_point[c], p->qmin, p->qmax);   \
    }                                                                                              \
    TARGET static void quantize_row_##suffix(const qc_affine_params *p, const float *input, T *output) { \
        int64_t c = 0;                                                                             \
        for (; c + BLOCK <= p->channels; c += BLOCK) {                                             \
            __m256i q[4];                                                                          \
            for (int k = 0; k < 4; ++k) {                                                          \
                const int64_t first = c + LANES * k;                                               \
                q[k] = divide_and_round(input + first, _mm256_loadu_ps(p->scale + first));         \
                q[k] = _mm256_add_epi32(q[k], _mm256_loadu_si256((const __m256i *)(p->zero_point + first))); \
            }                                                                                      \
            store_##suffix(output + c, q, p->qmin, p->qmax);                                       \
        }                                                                                          \
        for (; c < p->channels; ++c)                                                               \
            output[c] = (T)qc_quantize_one(input[c], p->scale[c], p->zero_point[c], p->qmin, p->qmax); \
    }                                                                                              \
    DEFINE_KERNEL(, qc_quantize_f32_##suffix##_avx2, float, T, quantize_run_##suffix, quantize_row_##suffix)
DEFINE_QUANTIZE(s8, int8_t)
DEFINE_QUANTIZE(u8, uint8_t)
DEFINE_QUANTIZE(s16, int16_t)
DEFINE_QUANTIZE(s32, int32_t)

/* scale * (q - zero_point) in float32 is the float64 product rounded once while both factors are floats,
 * that is while |q - zero_point| <= 2^24. */
static int differences_are_floats(const qc_affine_params *p) {
    for (int64_t c = 0; c < p->channels; ++c)
        if (p->zero_point[c] < -(1 << 23) || p->zero_point[c] > 1 << 23) return 0;
    return 1;
}

#define DEFINE_DEQUANTIZE(suffix, T)                                                               \
    TARGET static void dequantize_run_##suffix(const qc_affine_params *p, int64_t c, const T *input, float *output) { \
        const __m256 scale = _mm256_set1_ps(p->scale[c]);                                          \
        const __m256i zero_point = _mm256_set1_epi32(p->zero_point[c]);                            \
        int64_t i = 0;                                                                             \
        for (; i + LANES <= p->inner; i += LANES) {                                                \
            const __m256i d = _mm256_sub_epi32(load_##suffix(input + i), zero_point);              \
            _mm256_storeu_ps(output + i, _mm256_mul_ps(_mm256_cvtepi32_ps(d), scale));             \
        }                                                                                          \
        for (; i < p->inner; ++i) output[i] = qc_dequantize_one(input[i], p->scale[c], p->zero_point[c]); \
    }                                                                                              \
    TARGET static void dequantize_row_##suffix(const qc_affine_params *p, const T *input, float *output) { \
        int64_t c = 0;                                                                             \
        for (; c + LANES <= p->channels; c += LANES) {                                             \
            const __m256i zero_point = _mm256_loadu_si256((const __m256i *)(p->zero_point + c));   \
            const __m256i d = _mm256_sub_epi32(load_##suffix(input + c), zero_point);              \
            _mm256_storeu_ps(output + c, _mm256_mul_ps(_mm256_cvtepi32_ps(d), _mm256_loadu_ps(p->scale + c))); \
        }                                                                                          \
        for (; c < p->channels; ++c) output[c] = qc_dequantize_one(input[c], p->scale[c], p->zero_point[c]); \
    }                                                                                              \
    DEFINE_KERNEL(static, dequantize_##suffix, T, float, dequantize_run_##suffix, dequantize_row_##suffix) \
    qc_status qc_dequantize_##suffix##_f32_avx2(const qc_affine_params *p, const T *input, float *output, \
                                                void *scratch) {                                   \
        if (!differences_are_floats(p)) return qc_dequantize_##suffix##_f32_ref(p, input, output, scratch); \
        return dequantize_##suffix(p, input, output, scratch);                                     \
    }
DEFINE_DEQUANTIZE(s8, int8_t)
DEFINE_DEQUANTIZE(u8, uint8_t)
DEFINE_DEQUANTIZE(s16, int16_t)

TARGET qc_status qc_dequantize_f16_f32_avx2(const qc_half_params *p, const uint16_t *input, float *output,
                                            void *scratch) {
    (void)scratch;
    int64_t i = 0;
    for (; i + 8 <= p->count; i += 8)
        _mm256_storeu_ps(output + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(input + i))));
    for (; i < p->count; ++i) output[i] = qc_half_to_float(input[i]);
    return QC_OK;
}

QC_REQUANTIZE_8BIT(QC_REQUANTIZE_BY_TABLE, avx2)
