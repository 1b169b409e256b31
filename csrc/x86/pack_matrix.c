/* Right matrices laid out with AVX2. */
#include "pack_matrix.h"

#include <immintrin.h>
#include <stddef.h>

#include "quantcore/pack_filter.h"

#define TARGET __attribute__((target("avx2")))
#define INLINE TARGET static inline __attribute__((always_inline))
enum { DWORD = 4, BLOCK = QC_LANES * DWORD };

/* `count` bytes, at most 16; the others are 0. */
INLINE __m128i load_some(const uint8_t *from, int64_t count) {
    if (count >= 16) return _mm_loadu_si128((const __m128i *)(const void *)from);
    if (count <= 0) return _mm_setzero_si128();
    uint8_t bytes[16] = {0};
    for (int64_t i = 0; i < count; ++i) bytes[i] = from[i];
    return _mm_loadu_si128((const __m128i *)(const void *)bytes);
}

INLINE void store(uint8_t *to, __m128i x) {
    _mm_storeu_si128((__m128i *)(void *)to, x);
}

/* sums[i] += the four bytes of dword i. */
INLINE __m128i add_bytes(__m128i sums, __m128i bytes) {
    const __m128i pairs = _mm_maddubs_epi16(_mm_set1_epi8(1), bytes);
    return _mm_add_epi32(sums, _mm_madd_epi16(pairs, _mm_set1_epi16(1)));
}

/* 16 bytes of each of four units to four dwords of each. */
INLINE void transpose_dwords(__m128i x[4]) {
    const __m128i low01 = _mm_unpacklo_epi32(x[0], x[1]), high01 = _mm_unpackhi_epi32(x[0], x[1]);
    const __m128i low23 = _mm_unpacklo_epi32(x[2], x[3]), high23 = _mm_unpackhi_epi32(x[2], x[3]);
    x[0] = _mm_unpacklo_epi64(low01, low23);
    x[1] = _mm_unpackhi_epi64(low01, low23);
    x[2] = _mm_unpacklo_epi64(high01, high23);
    x[3] = _mm_unpackhi_epi64(high01, high23);
}

TARGET void qc_pack_units(const uint8_t *rows, int32_t units, int64_t size, uint8_t *packed, int32_t *sums) {
    const int64_t dwords = (size + DWORD - 1) / DWORD;
    for (int64_t unit = 0; unit < qc_round_up(units, QC_LANES); unit += 4) {
        uint8_t *to = packed + unit / QC_LANES * dwords * BLOCK + unit % QC_LANES * DWORD;
        __m128i sum = _mm_setzero_si128();
        for (int64_t d = 0; d < dwords; d += 4) {
            __m128i x[4];
            for (int i = 0; i < 4; ++i)
                x[i] = load_some(rows + (unit + i) * size + d * DWORD, unit + i < units ? size - d * DWORD : 0);
            transpose_dwords(x);
            for (int i = 0; i < 4 && d + i < dwords; ++i) {
                store(to + (d + i) * BLOCK, x[i]);
                sum = add_bytes(sum, x[i]);
            }
        }
        if (sums != NULL) store((uint8_t *)(sums + unit), sum);
    }
}

/* 16 units of four depths of int8. */
INLINE void interleave_bytes(const __m128i x[4], __m128i y[4]) {
    const __m128i low01 = _mm_unpacklo_epi8(x[0], x[1]), high01 = _mm_unpackhi_epi8(x[0], x[1]);
    const __m128i low23 = _mm_unpacklo_epi8(x[2], x[3]), high23 = _mm_unpackhi_epi8(x[2], x[3]);
    y[0] = _mm_unpacklo_epi16(low01, low23);
    y[1] = _mm_unpackhi_epi16(low01, low23);
    y[2] = _mm_unpacklo_epi16(high01, high23);
    y[3] = _mm_unpackhi_epi16(high01, high23);
}

/* The dwords of 16 units from `rows` on, of which `left` exist: `depths` depths of DWORD / item, the others 0. */
INLINE void load_depths(const uint8_t *rows, int64_t row_size, int64_t depths, int64_t item, int64_t left,
                        __m128i y[4]) {
    if (item == 1) {
        __m128i x[4];
        for (int i = 0; i < 4; ++i) x[i] = load_some(rows + i * row_size, i < depths ? left : 0);
        interleave_bytes(x, y);
    } else if (item == 2) {
        for (int i = 0; i < 2; ++i) {
            const __m128i x0 = load_some(rows + i * 16, (left - i * 8) * 2);
            const __m128i x1 = load_some(rows + row_size + i * 16, depths > 1 ? (left - i * 8) * 2 : 0);
            y[2 * i] = _mm_unpacklo_epi16(x0, x1);
            y[2 * i + 1] = _mm_unpackhi_epi16(x0, x1);
        }
    } else {
        for (int i = 0; i < 4; ++i) y[i] = load_some(rows + i * 16, (left - i * 4) * 4);
    }
}

TARGET void qc_pack_depths(const uint8_t *rows, int32_t units, int64_t depth, int64_t item, uint8_t *packed,
                           int32_t *sums) {
    const int64_t together = DWORD / item, row_size = units * item;
    for (int64_t unit = 0; unit < units; unit += QC_LANES) {
        __m128i sum[4] = {_mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128()};
        for (int64_t d = 0; d < depth; d += together, packed += BLOCK) {
            __m128i y[4];
            load_depths(rows + d * row_size + unit * item, row_size, depth - d, item, units - unit, y);
            for (int i = 0; i < 4; ++i) {
                store(packed + i * 16, y[i]);
                sum[i] = add_bytes(sum[i], y[i]);
            }
        }
        for (int i = 0; i < 4 && sums != NULL; ++i) store((uint8_t *)(sums + unit + 4 * i), sum[i]);
    }
}
