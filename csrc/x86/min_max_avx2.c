/* Running minimum and maximum with AVX2, in one pass with the check for NaN and infinity: the largest
 * magnitude, compared as an integer, tells whether an element was not finite. */
#include <immintrin.h>

#include "../kernels.h"

#define TARGET __attribute__((target("avx2")))
enum { INFINITY_BITS = 0x7F800000 };

typedef struct {
    __m256 low;
    __m256 high;
    __m256i magnitude;
} lanes;

TARGET static inline void widen(lanes *r, __m256 x) {
    const __m256i bits = _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7FFFFFFF));
    r->low = _mm256_min_ps(r->low, x);
    r->high = _mm256_max_ps(r->high, x);
    r->magnitude = _mm256_max_epi32(r->magnitude, bits);
}

TARGET static inline lanes start(float low, float high) {
    const lanes r = {_mm256_set1_ps(low), _mm256_set1_ps(high), _mm256_setzero_si256()};
    return r;
}

TARGET static inline lanes join(lanes a, lanes b) {
    const lanes r = {_mm256_min_ps(a.low, b.low), _mm256_max_ps(a.high, b.high),
                     _mm256_max_epi32(a.magnitude, b.magnitude)};
    return r;
}

TARGET static inline int all_finite(__m256i magnitude) {
    const __m256i bad = _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(INFINITY_BITS - 1));
    return _mm256_testz_si256(bad, bad);
}

/* The first `count` (0 to 7) lanes. */
TARGET static inline __m256i first_lanes(int64_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* A run of one channel. Four accumulators, because each operation waits for the one before. */
TARGET static int widen_run(const float *x, int64_t count, float *low, float *high) {
    lanes r[4];
    int64_t i = 0;
    for (int k = 0; k < 4; ++k) r[k] = start(*low, *high);
    for (; i + 32 <= count; i += 32)
        for (int k = 0; k < 4; ++k) widen(&r[k], _mm256_loadu_ps(x + i + 8 * k));
    for (; i + 8 <= count; i += 8) widen(&r[0], _mm256_loadu_ps(x + i));
    if (i < count) { /* lanes past the end repeat what is known */
        const __m256i mask = first_lanes(count - i);
        const __m256 last = _mm256_maskload_ps(x + i, mask);
        widen(&r[1], _mm256_blendv_ps(_mm256_set1_ps(x[i]), last, _mm256_castsi256_ps(mask)));
    }
    const lanes all = join(join(r[0], r[1]), join(r[2], r[3]));
    float lows[8], highs[8];
    _mm256_storeu_ps(lows, all.low);
    _mm256_storeu_ps(highs, all.high);
    for (int k = 0; k < 8; ++k) {
        if (lows[k] < *low) *low = lows[k];
        if (highs[k] > *high) *high = highs[k];
    }
    return all_finite(all.magnitude);
}

/* One element of each channel. */
TARGET static int widen_row(const float *x, int64_t channels, float *low, float *high) {
    lanes r = start(0, 0);
    int64_t c = 0;
    for (; c + 8 <= channels; c += 8) {
        r.low = _mm256_loadu_ps(low + c);
        r.high = _mm256_loadu_ps(high + c);
        widen(&r, _mm256_loadu_ps(x + c));
        _mm256_storeu_ps(low + c, r.low);
        _mm256_storeu_ps(high + c, r.high);
    }
    if (c < channels) {
        const __m256i mask = first_lanes(channels - c);
        r.low = _mm256_maskload_ps(low + c, mask);
        r.high = _mm256_maskload_ps(high + c, mask);
        widen(&r, _mm256_maskload_ps(x + c, mask));
        _mm256_maskstore_ps(low + c, mask, r.low);
        _mm256_maskstore_ps(high + c, mask, r.high);
    }
    return all_finite(r.magnitude);
}

TARGET qc_status qc_min_max_f32_avx2(const qc_min_max_params *p, const float *input, float *range, void *scratch) {
    (void)scratch;
    float *low = range;
    float *high = range + p->channels;
    for (int64_t o = 0; o < p->outer; ++o) {
        if (p->inner == 1) {
            if (!widen_row(input, p->channels, low, high)) return QC_BAD_DATA;
            input += p->channels;
            continue;
        }
        for (int64_t c = 0; c < p->channels; ++c, input += p->inner)
            if (!widen_run(input, p->inner, low + c, high + c)) return QC_BAD_DATA;
    }
    for (int64_t c = 0; c < p->channels; ++c) {
        low[c] += 0.0f; /* -0 becomes +0 */
        high[c] += 0.0f;
    }
    return QC_OK;
}
