/* Float windows of few elements on AVX-512: see short_windows_f32.h. Lanes are 16 units, or, where there are at most 8
 * and windows begin at successive elements, 8 units of two windows in turns: a load of 8 bytes repeats the elements of
 * both. */
#include <immintrin.h>
#include <stddef.h>
#include <string.h>

#include "short_windows_f32.h"

#define QC_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define QC_INLINE static inline __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"), always_inline))
#define QC_UNROLL _Pragma("GCC unroll 8")

enum { MOST = 8 }; /* vectors of sums: enough for the latency of their additions */

/* The mask of the lanes of 16 that are among the first n elements. */
QC_INLINE __mmask16 first_lanes(int64_t n) {
    return n >= QC_LANES ? 0xFFFF : n <= 0 ? 0 : (__mmask16)((1u << n) - 1);
}

QC_TARGET void qc_copy_rows_avx512(float *to, const float *from, int64_t from_step, int64_t rows, int64_t before,
                                   int64_t count, int64_t size) {
    for (int64_t i = 0; i < size; i += QC_LANES) {
        const __mmask16 inside = (__mmask16)(first_lanes(before + count - i) & ~first_lanes(before - i));
        const __mmask16 exist = first_lanes(size - i);
        const float *x = inside != 0 ? from + (i - before) : from;
        for (int64_t row = 0; row < rows; ++row, x += from_step)
            _mm512_mask_storeu_ps(to + row * size + i, exist, _mm512_maskz_loadu_ps(inside, x));
    }
}

/* The elements that a vector of sums meets: one, or two that follow each other. */
QC_INLINE __m512 repeat(const int IN_PAIRS, const float *x) {
    if (!IN_PAIRS) return _mm512_set1_ps(*x);
    double both;
    memcpy(&both, x, sizeof both);
    return _mm512_castpd_ps(_mm512_set1_pd(both));
}

QC_INLINE void add_products(const int N, const int IN_PAIRS, const qc_short_windows *w, const float *filter, const float *x,
                            __m512 *sums) {
    const int64_t distance = IN_PAIRS ? 2 : w->step;
    QC_UNROLL
    for (int n = 0; n < N; ++n) sums[n] = _mm512_setzero_ps();
    for (int32_t i = 0; i < w->count; ++i, filter += QC_LANES) {
        const __m512 units = _mm512_loadu_ps(filter);
        const float *first = x + w->offsets[i];
        __asm__("" : "+r"(first)); /* else the compiler makes an index of each window's place */
        QC_UNROLL
        for (int n = 0; n < N; ++n)
            sums[n] = _mm512_add_ps(sums[n], _mm512_mul_ps(repeat(IN_PAIRS, first + n * distance), units));
    }
}

/* The windows of a row, N at a time, which is a constant, by 16 units from `unit` on. What is left begins earlier. */
QC_INLINE void windows(const int N, const qc_short_windows *w, const float *x, int32_t unit, const qc_float_output *out) {
    const __mmask16 exist = first_lanes(w->units - unit);
    const __m512 low = _mm512_set1_ps(out->low), high = _mm512_set1_ps(out->high);
    const __m512 bias = out->bias != NULL ? _mm512_maskz_loadu_ps(exist, out->bias + unit) : _mm512_setzero_ps();
    const float *filter = w->filter + (int64_t)unit * w->count;
    const int64_t row_size = out->row_size, columns = w->columns;
    for (int64_t column = 0; column < columns; column += N) {
        if (column + N > columns) column = columns - N;
        float *y = out->output + column * row_size + unit;
        __m512 sums[MOST];
        add_products(N, 0, w, filter, x + column * w->step, sums);
        QC_UNROLL
        for (int n = 0; n < N; ++n, y += row_size)
            _mm512_mask_storeu_ps(y, exist, _mm512_min_ps(high, _mm512_max_ps(low, _mm512_add_ps(sums[n], bias))));
    }
}

/* The same, 2 N windows at a time, by at most 8 units. */
QC_INLINE void pairs(const int N, const qc_short_windows *w, const float *x, const qc_float_output *out) {
    const __m512i apart = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    const __mmask8 exist = (__mmask8)first_lanes(w->units);
    const __m512 low = _mm512_set1_ps(out->low), high = _mm512_set1_ps(out->high);
    const __m512 bias = _mm512_broadcast_f32x8(out->bias != NULL ? _mm256_maskz_loadu_ps(exist, out->bias)
                                                                 : _mm256_setzero_ps());
    const int64_t row_size = out->row_size, columns = w->columns;
    for (int64_t column = 0; column < columns; column += 2 * N) {
        if (column + 2 * N > columns) column = columns - 2 * N;
        float *y = out->output + column * row_size;
        __m512 sums[MOST];
        add_products(N, 1, w, w->pairs, x + column, sums);
        QC_UNROLL
        for (int n = 0; n < N; ++n, y += 2 * row_size) {
            const __m512 sum = _mm512_add_ps(_mm512_permutexvar_ps(apart, sums[n]), bias);
            const __m512 both = _mm512_min_ps(high, _mm512_max_ps(low, sum));
            if (row_size == QC_LANES / 2) {
                _mm512_storeu_ps(y, both);
                continue;
            }
            /* By way of a register: joined with the store, it would fault where the mask leaves out what is not there. */
            __m256 second = _mm512_extractf32x8_ps(both, 1);
            __asm__("" : "+v"(second));
            _mm256_mask_storeu_ps(y, exist, _mm512_castps512_ps256(both));
            _mm256_mask_storeu_ps(y + row_size, exist, second);
        }
    }
}

#define QC_ROW(N)                                                                                                      \
    QC_TARGET static void windows_##N(const qc_short_windows *w, const float *x, const qc_float_output *out) {         \
        for (int32_t unit = 0; unit < w->units; unit += QC_LANES) windows(N, w, x, unit, out);                         \
    }                                                                                                                  \
    QC_TARGET static void pairs_##N(const qc_short_windows *w, const float *x, const qc_float_output *out) {           \
        pairs(N, w, x, out);                                                                                           \
    }
QC_ROW(1) QC_ROW(2) QC_ROW(3) QC_ROW(4) QC_ROW(5) QC_ROW(6) QC_ROW(7) QC_ROW(8)

static qc_short_windows_row *const windows_of[MOST] = {windows_1, windows_2, windows_3, windows_4,
                                                       windows_5, windows_6, windows_7, windows_8};
static qc_short_windows_row *const pairs_of[MOST] = {pairs_1, pairs_2, pairs_3, pairs_4,
                                                     pairs_5, pairs_6, pairs_7, pairs_8};

/* Tiles of about the same size, at least one of which fits. */
QC_TARGET void qc_prepare_short_windows_avx512(qc_short_windows *w) {
    const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    const int in_pairs = w->units <= QC_LANES / 2 && w->step == 1 && w->columns > 1;
    const int32_t together = in_pairs ? 2 : 1, all = (w->columns + together - 1) / together;
    const int32_t tiles = (all + MOST - 1) / MOST, n = (all + tiles - 1) / tiles, most = w->columns / together;
    w->row = (in_pairs ? pairs_of : windows_of)[(n < most ? n : most) - 1];
    for (int32_t i = 0; i < w->count && in_pairs; ++i)
        _mm512_store_ps(w->pairs + i * QC_LANES, _mm512_permutexvar_ps(twice, _mm512_loadu_ps(w->filter + i * QC_LANES)));
}
