/* Running minimum and maximum with AVX-512, in one pass with the check for NaN and infinity: products with zero are
 * added up, which is NaN once an element was not finite. */
#include <immintrin.h>

#include "../kernels.h"

#define TARGET __attribute__((target("avx512f,avx512vl,avx512dq")))
#define INLINE TARGET static inline __attribute__((always_inline))
enum {
    LANES = 16,
    UNROLL = 4,
    BLOCK = LANES * UNROLL,
    FROM_MEMORY = 1 << 18, /* elements: 1 MB is a level 2 cache */
    AHEAD = 128,           /* elements: 512 bytes */
};

typedef struct {
    __m512 low;
    __m512 high;
    __m512 zero;
} lanes;

INLINE void widen(lanes *r, __m512 x) {
    r->low = _mm512_min_ps(r->low, x);
    r->high = _mm512_max_ps(r->high, x);
    r->zero = _mm512_fmadd_ps(x, _mm512_setzero_ps(), r->zero);
}

INLINE int all_finite(__m512 zero) {
    return _mm512_cmp_ps_mask(zero, zero, _CMP_UNORD_Q) == 0;
}

INLINE __mmask16 places(int64_t left) {
    return left <= 0 ? (__mmask16)0 : left < LANES ? (__mmask16)((1u << left) - 1) : (__mmask16)0xFFFF;
}

/* The vectors at x, x + gap, x + 2 gap and x + 3 gap widen an accumulator each, since each operation waits for the one
 * before; `turns` times, `step` further each time. A vector is loaded once: the compiler would read it again for each
 * of the three operations, which costs half of the speed in the caches. `ahead`: elements to prefetch, 0 for none. */
INLINE void widen_streams(lanes r[UNROLL], const float *x, int64_t gap, int64_t step, int64_t turns, int ahead) {
    for (; turns > 0; --turns, x += step) {
#pragma GCC unroll 4
        for (int k = 0; k < UNROLL; ++k) {
            __m512 v = _mm512_loadu_ps(x + gap * k);
            __asm__("" : "+v"(v));
            if (ahead) _mm_prefetch((const char *)(x + gap * k + ahead), _MM_HINT_T0);
            widen(&r[k], v);
        }
    }
}

/* A run of one channel. It does not matter that an element counts twice, so the first vector is read where it is and
 * the others at multiples of 64 bytes. What comes from memory is read at four places at once: the hardware fetches
 * ahead within a page only, and one stream alone does not use all of the bandwidth. */
TARGET static int widen_run(const float *x, int64_t count, float *low, float *high) {
    lanes r[UNROLL];
    int64_t i = 0;
    for (int k = 0; k < UNROLL; ++k)
        r[k] = (lanes){_mm512_set1_ps(*low), _mm512_set1_ps(*high), _mm512_setzero_ps()};
    if (count >= BLOCK) {
        widen(&r[0], _mm512_loadu_ps(x));
        i = LANES - (int64_t)((uintptr_t)x / sizeof(float) % LANES);
        const int64_t turns = (count - i) / BLOCK;
        if (count >= FROM_MEMORY)
            widen_streams(r, x + i, turns * LANES, LANES, turns, AHEAD);
        else
            widen_streams(r, x + i, LANES, BLOCK, turns, 0);
        i += turns * BLOCK;
    }
    for (; i < count; i += LANES) /* lanes past the end repeat what is known */
        widen(&r[0], _mm512_mask_loadu_ps(_mm512_set1_ps(x[i]), places(count - i), x + i));
    for (int k = 1; k < UNROLL; ++k) {
        r[0].low = _mm512_min_ps(r[0].low, r[k].low);
        r[0].high = _mm512_max_ps(r[0].high, r[k].high);
        r[0].zero = _mm512_add_ps(r[0].zero, r[k].zero);
    }
    *low = _mm512_reduce_min_ps(r[0].low);
    *high = _mm512_reduce_max_ps(r[0].high);
    return all_finite(r[0].zero);
}

/* Rows of `channels` elements, of which up to BLOCK channels count. */
TARGET static int widen_columns(const float *x, int64_t rows, int64_t channels, int64_t count, float *low, float *high) {
    lanes r[UNROLL];
    for (int k = 0; k < UNROLL; ++k)
        r[k] = (lanes){_mm512_maskz_loadu_ps(places(count - LANES * k), low + LANES * k),
                       _mm512_maskz_loadu_ps(places(count - LANES * k), high + LANES * k), _mm512_setzero_ps()};
    const int vectors = (int)((count + LANES - 1) / LANES);
    if (vectors == UNROLL) {
        for (int64_t o = 0; o < rows; ++o, x += channels) {
            for (int k = 0; k < UNROLL - 1; ++k) widen(&r[k], _mm512_loadu_ps(x + LANES * k));
            widen(&r[UNROLL - 1], _mm512_maskz_loadu_ps(places(count - LANES * (UNROLL - 1)), x + LANES * (UNROLL - 1)));
        }
    } else {
        for (int64_t o = 0; o < rows; ++o, x += channels)
            for (int k = 0; k < UNROLL - 1; ++k)
                if (k < vectors) widen(&r[k], _mm512_maskz_loadu_ps(places(count - LANES * k), x + LANES * k));
    }
    __m512 zero = _mm512_setzero_ps();
    for (int k = 0; k < UNROLL; ++k) {
        _mm512_mask_storeu_ps(low + LANES * k, places(count - LANES * k), r[k].low);
        _mm512_mask_storeu_ps(high + LANES * k, places(count - LANES * k), r[k].high);
        zero = _mm512_add_ps(zero, r[k].zero);
    }
    return all_finite(zero);
}

TARGET qc_status qc_min_max_f32_avx512(const qc_min_max_params *p, const float *input, float *range, void *scratch) {
    float *low = range, *high = range + p->channels;
    if (p->channels == 1 && p->inner == 1) {
        const qc_min_max_params run = {1, 1, p->outer};
        return run.inner == 1 ? qc_min_max_f32_ref(p, input, range, scratch)
                              : qc_min_max_f32_avx512(&run, input, range, scratch);
    }
    for (int64_t c = 0; p->inner == 1 && c < p->channels; c += BLOCK) {
        const int64_t count = p->channels - c < BLOCK ? p->channels - c : BLOCK;
        if (!widen_columns(input + c, p->outer, p->channels, count, low + c, high + c)) return QC_BAD_DATA;
    }
    for (int64_t o = 0; p->inner != 1 && o < p->outer; ++o)
        for (int64_t c = 0; c < p->channels; ++c, input += p->inner)
            if (!widen_run(input, p->inner, low + c, high + c)) return QC_BAD_DATA;
    for (int64_t c = 0; c < p->channels; ++c) {
        low[c] += 0.0f; /* -0 becomes +0 */
        high[c] += 0.0f;
    }
    return QC_OK;
}
