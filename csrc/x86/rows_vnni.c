/* Products of int8 weights with one vector by vpdpbusd, which multiplies unsigned by signed bytes. */
#include <immintrin.h>
#include <string.h>

#include "rows.h"

#define QC_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))) static
#define QC_VNNI_INLINE QC_VNNI inline __attribute__((always_inline))

enum { MOST = 8 };

/* Flipped, int8 elements are 128 more. */
QC_VNNI void prepare(const int8_t *x, int64_t count, void *to) {
    uint8_t *bytes = to;
    const __m512i flip = _mm512_set1_epi8((char)0x80);
    for (int64_t i = 0; i < count; i += 64) {
        const __mmask64 exist = count - i >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (count - i)) - 1;
        _mm512_storeu_si512(bytes + i, _mm512_xor_si512(_mm512_maskz_loadu_epi8(exist, x + i), flip));
    }
}

QC_VNNI_INLINE __m512i load(const void *p) {
    return _mm512_loadu_si512(p);
}

/* BLOCKS is a constant. Few blocks have two sums each, so that products need not wait for each other. */
QC_VNNI_INLINE void multiply_blocks(const int BLOCKS, const int8_t *packed, int64_t quads, const uint8_t *x,
                                    const int32_t *start, int32_t *acc) {
    __m512i sums[MOST], others[MOST];
    for (int b = 0; b < BLOCKS; ++b) {
        sums[b] = load(start + b * QC_LANES);
        others[b] = _mm512_setzero_si512();
    }
    const int64_t size = quads * QC_LANES * QC_QUAD;
    int64_t q = 0;
    for (; BLOCKS <= 4 && q + 2 <= quads; q += 2) {
        int32_t quad[2];
        memcpy(quad, x + q * QC_QUAD, sizeof quad);
        const __m512i first = _mm512_set1_epi32(quad[0]), second = _mm512_set1_epi32(quad[1]);
        const int8_t *w = packed + q * QC_LANES * QC_QUAD;
        for (int b = 0; b < BLOCKS; ++b) {
            sums[b] = _mm512_dpbusd_epi32(sums[b], first, load(w + b * size));
            others[b] = _mm512_dpbusd_epi32(others[b], second, load(w + b * size + QC_LANES * QC_QUAD));
        }
    }
    for (; q < quads; ++q) {
        int32_t quad;
        memcpy(&quad, x + q * QC_QUAD, sizeof quad);
        const __m512i element = _mm512_set1_epi32(quad);
        const int8_t *w = packed + q * QC_LANES * QC_QUAD;
        for (int b = 0; b < BLOCKS; ++b) sums[b] = _mm512_dpbusd_epi32(sums[b], element, load(w + b * size));
    }
    for (int b = 0; b < BLOCKS; ++b) {
        if (BLOCKS <= 4) sums[b] = _mm512_add_epi32(sums[b], others[b]);
        _mm512_storeu_si512(acc + b * QC_LANES, sums[b]);
    }
}

#define QC_BLOCKS_CASE(BLOCKS) \
    case BLOCKS: multiply_blocks(BLOCKS, packed, quads, x, start, acc); return;

QC_VNNI void multiply(const int8_t *packed, int64_t quads, int32_t blocks, const void *vector, const int32_t *start,
                      int32_t *acc) {
    const uint8_t *x = vector;
    for (; blocks > MOST; blocks -= MOST, start += MOST * QC_LANES, acc += MOST * QC_LANES) {
        multiply_blocks(MOST, packed, quads, x, start, acc);
        packed += MOST * quads * QC_LANES * QC_QUAD;
    }
    switch (blocks) {
        QC_BLOCKS_CASE(1)
        QC_BLOCKS_CASE(2)
        QC_BLOCKS_CASE(3)
        QC_BLOCKS_CASE(4)
        QC_BLOCKS_CASE(5)
        QC_BLOCKS_CASE(6)
        QC_BLOCKS_CASE(7)
        QC_BLOCKS_CASE(8)
        default: return;
    }
}

const qc_rows_isa qc_rows_vnni = {.shift = -128, .prepare = prepare, .multiply = multiply};
