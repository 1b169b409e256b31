/* ADD, SUB and weighted sums with AVX2: 32 elements of 8 bits at a time, see pair_sum.h. The rest: the reference
 * rules, vectorised by the compiler. */
#include <immintrin.h>

#define QC_WALK qc_walk_long_rows
#include "pair_sum.h"

#define TARGET __attribute__((target("avx2")))
#define INLINE TARGET static inline __attribute__((always_inline))
enum { BLOCK = 32 };

/* A sum in registers. */
typedef struct {
    __m256i high, low, bias_high, bias_low, least, most;
    __m128i shift;
} lanes;

INLINE lanes load_sum(const qc_pair_sum *s, int32_t least, int32_t most) {
    const lanes r = {_mm256_set1_epi32(qc_weight_pair(s->high1, s->high2)),
                     _mm256_set1_epi32(qc_weight_pair(s->low1, s->low2)),
                     _mm256_set1_epi32(s->bias_high),
                     _mm256_set1_epi32(s->bias_low),
                     _mm256_set1_epi8((char)least),
                     _mm256_set1_epi8((char)most),
                     _mm_cvtsi32_si128(s->shift)};
    return r;
}

/* 8 pairs, each in one lane. */
INLINE __m256i sum_pairs(const lanes *r, __m256i pairs) {
    const __m256i low = _mm256_add_epi32(_mm256_madd_epi16(pairs, r->low), r->bias_low);
    const __m256i high = _mm256_add_epi32(_mm256_madd_epi16(pairs, r->high), r->bias_high);
    return _mm256_sra_epi32(_mm256_add_epi32(high, _mm256_srai_epi32(low, QC_PAIR_SUM_BITS)), r->shift);
}

/* 16 elements of each input in 16 bits, to 16 results in order. */
INLINE __m256i sum_words(const lanes *r, __m256i a, __m256i b) {
    return _mm256_packs_epi32(sum_pairs(r, _mm256_unpacklo_epi16(a, b)), sum_pairs(r, _mm256_unpackhi_epi16(a, b)));
}

INLINE __m256i load(const void *x) {
    return _mm256_loadu_si256((const __m256i *)x);
}

#define SUM_ROW(suffix, T, widen, pack, max, min)                                                            \
    INLINE __m256i sum_block_##suffix(const lanes *r, __m256i a, __m256i b) {                                \
        const __m256i y0 = sum_words(r, widen(_mm256_castsi256_si128(a)), widen(_mm256_castsi256_si128(b))); \
        const __m256i y1 =                                                                                   \
            sum_words(r, widen(_mm256_extracti128_si256(a, 1)), widen(_mm256_extracti128_si256(b, 1)));      \
        const __m256i y = _mm256_permute4x64_epi64(pack(y0, y1), _MM_SHUFFLE(3, 1, 2, 0));                   \
        return min(max(y, r->least), r->most);                                                               \
    }                                                                                                        \
    INLINE void sum_loop_##suffix(const lanes *r, const qc_pair_sum *s, const T *a, int64_t stride1, const T *b, \
                                  int64_t stride2, T *y, int64_t count, int32_t least, int32_t most) {       \
        const __m256i a0 = _mm256_set1_epi8((char)*a), b0 = _mm256_set1_epi8((char)*b);                      \
        int64_t i = 0;                                                                                       \
        for (; i + BLOCK <= count; i += BLOCK)                                                               \
            _mm256_storeu_si256((__m256i *)(y + i), sum_block_##suffix(r, stride1 ? load(a + i) : a0,        \
                                                                       stride2 ? load(b + i) : b0));         \
        for (; i < count; ++i)                                                                               \
            y[i] = (T)qc_clamp(qc_pair_sum_one(s, a[i * stride1], b[i * stride2]), least, most);             \
    }                                                                                                        \
    TARGET static void sum_row_##suffix(const qc_pair_sum *s, int32_t least, int32_t most, const T *a,       \
                                        int64_t stride1, const T *b, int64_t stride2, T *y, int64_t count) { \
        const lanes r = load_sum(s, least, most);                                                            \
        const qc_pair_sum sum = *s; /* a copy, because stores to `y` could change it */                      \
        if (!stride1) sum_loop_##suffix(&r, &sum, a, 0, b, 1, y, count, least, most);                        \
        else if (!stride2) sum_loop_##suffix(&r, &sum, a, 1, b, 0, y, count, least, most);                   \
        else sum_loop_##suffix(&r, &sum, a, 1, b, 1, y, count, least, most);                                 \
    }

SUM_ROW(s8, int8_t, _mm256_cvtepi8_epi16, _mm256_packs_epi16, _mm256_max_epi8, _mm256_min_epi8)
SUM_ROW(u8, uint8_t, _mm256_cvtepu8_epi16, _mm256_packus_epi16, _mm256_max_epu8, _mm256_min_epu8)

#define QC_SCALED_SUM(op, suffix, T)
QC_PAIR_KERNELS(s8, avx2, TARGET, int8_t)
QC_PAIR_KERNELS(u8, avx2, TARGET, uint8_t)
QC_ADD_KERNEL(s16, avx2, TARGET, int16_t, qc_add_combined_one, qc_add_truncated_one)
QC_SUB_KERNEL(s16, avx2, TARGET, int16_t)
QC_MUL_KERNEL(s8, avx2, TARGET, int8_t)
QC_MUL_KERNEL(u8, avx2, TARGET, uint8_t)
QC_MUL_KERNEL(s16, avx2, TARGET, int16_t)
QC_ARITHMETIC(f32, avx2, TARGET, float)
