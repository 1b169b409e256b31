/* 8-bit products on AVX-512 VNNI: vpdpbusd multiplies unsigned by signed bytes and adds four products to an
 * int32, without saturation. */
#include <string.h>

#include "gemm.h"
#include "requantize_avx512.h"

QC_AVX512 __m512i load(const void *bytes) {
    return _mm512_loadu_si512(bytes);
}

/* ROWS and BLOCKS are constants, so that the accumulators stay in registers. */
QC_AVX512 __attribute__((always_inline)) void tile_rows(const int ROWS, const int BLOCKS,
                                                        const uint8_t *panel, int64_t stride,
                                                        const int8_t *filter, int64_t quads,
                                                        const int32_t *start, int32_t *acc) {
    __m512i sums[QC_TILE_ROWS][4];
    for (int r = 0; r < ROWS; ++r)
        for (int b = 0; b < BLOCKS; ++b) sums[r][b] = load(start + b * QC_LANES);
    for (int64_t q = 0; q < quads; ++q) {
        __m512i w[4];
        for (int b = 0; b < BLOCKS; ++b) w[b] = load(filter + (b * quads + q) * (QC_LANES * QC_QUAD));
        for (int r = 0; r < ROWS; ++r) {
            int32_t quad;
            memcpy(&quad, panel + r * stride + q * QC_QUAD, sizeof quad);
            const __m512i x = _mm512_set1_epi32(quad);
            for (int b = 0; b < BLOCKS; ++b) sums[r][b] = _mm512_dpbusd_epi32(sums[r][b], x, w[b]);
        }
    }
    for (int r = 0; r < ROWS; ++r)
        for (int b = 0; b < BLOCKS; ++b)
            _mm512_storeu_si512(acc + r * QC_TILE_UNITS + b * QC_LANES, sums[r][b]);
}

#define QC_TILE_CASE(ROWS)                                                                \
    case ROWS:                                                                            \
        switch (blocks) {                                                                 \
            case 1: tile_rows(ROWS, 1, panel, stride, filter, quads, start, acc); break;  \
            case 2: tile_rows(ROWS, 2, panel, stride, filter, quads, start, acc); break;  \
            case 3: tile_rows(ROWS, 3, panel, stride, filter, quads, start, acc); break;  \
            default: tile_rows(ROWS, 4, panel, stride, filter, quads, start, acc); break; \
        }                                                                                 \
        break;

__attribute__((target(QC_AVX512_TARGET))) static void tile(const uint8_t *panel, int64_t stride,
                                                           int32_t rows, const int8_t *filter,
                                                           int64_t quads, int32_t blocks,
                                                           const int32_t *start, int32_t *acc) {
    switch (rows) {
        QC_TILE_CASE(1)
        QC_TILE_CASE(2)
        QC_TILE_CASE(3)
        QC_TILE_CASE(4)
        QC_TILE_CASE(5)
        QC_TILE_CASE(6)
        default: break;
    }
}

/* 16 channels in each 128-bit lane, 4 taps: vector j becomes channels 4 j to 4 j + 3 as [4 channels][4
 * taps]. */
QC_AVX512 void interleave_64(const uint8_t *const taps[4], int64_t first, __m512i out[4]) {
    const __m512i t0 = load(taps[0] + first), t1 = load(taps[1] + first);
    const __m512i t2 = load(taps[2] + first), t3 = load(taps[3] + first);
    const __m512i low01 = _mm512_unpacklo_epi8(t0, t1), high01 = _mm512_unpackhi_epi8(t0, t1);
    const __m512i low23 = _mm512_unpacklo_epi8(t2, t3), high23 = _mm512_unpackhi_epi8(t2, t3);
    out[0] = _mm512_unpacklo_epi16(low01, low23);
    out[1] = _mm512_unpackhi_epi16(low01, low23);
    out[2] = _mm512_unpacklo_epi16(high01, high23);
    out[3] = _mm512_unpackhi_epi16(high01, high23);
}

/* Lane l of vector j to place 4 l + j: channels in order; then the start values are added. */
QC_AVX512 void store_64(const __m512i sums[4], const int32_t *start, int32_t *acc) {
    const __m512i low01 = _mm512_shuffle_i32x4(sums[0], sums[1], 0x44);
    const __m512i low23 = _mm512_shuffle_i32x4(sums[2], sums[3], 0x44);
    const __m512i high01 = _mm512_shuffle_i32x4(sums[0], sums[1], 0xEE);
    const __m512i high23 = _mm512_shuffle_i32x4(sums[2], sums[3], 0xEE);
    const __m512i lanes[4] = {
        _mm512_shuffle_i32x4(low01, low23, 0x88), _mm512_shuffle_i32x4(low01, low23, 0xDD),
        _mm512_shuffle_i32x4(high01, high23, 0x88), _mm512_shuffle_i32x4(high01, high23, 0xDD)};
    for (int l = 0; l < 4; ++l)
        _mm512_storeu_si512(acc + l * QC_LANES, _mm512_add_epi32(lanes[l], load(start + l * QC_LANES)));
}

/* Four blocks of 16 channels from block b; WITH_BYTES is a constant. */
QC_AVX512 __attribute__((always_inline)) void depthwise_64(const int WITH_BYTES, const uint8_t *const *taps,
                                                           const int8_t *filter, int64_t quads,
                                                           int32_t blocks, int32_t b, const int32_t *start,
                                                           int32_t filter_shift, int32_t *acc) {
    const __m512i ones = _mm512_set1_epi8(1), shift = _mm512_set1_epi32(filter_shift);
    __m512i sums[4], bytes[4];
    for (int j = 0; j < 4; ++j) sums[j] = bytes[j] = _mm512_setzero_si512();
    for (int64_t q = 0; q < quads; ++q) {
        __m512i x[4];
        interleave_64(taps + q * QC_QUAD, b * QC_LANES, x);
        for (int j = 0; j < 4; ++j) {
            sums[j] = _mm512_dpbusd_epi32(sums[j], x[j], load(filter + ((q * 4 + j) * blocks + b) * 16));
            if (WITH_BYTES) bytes[j] = _mm512_dpbusd_epi32(bytes[j], x[j], ones);
        }
    }
    for (int j = 0; j < 4 && WITH_BYTES; ++j)
        sums[j] = _mm512_add_epi32(sums[j], _mm512_mullo_epi32(bytes[j], shift));
    store_64(sums, start + b * QC_LANES, acc + b * QC_LANES);
}

/* 16 channels of 4 taps as 4 vectors of [4 channels][4 taps] bytes. */
QC_AVX512 void interleave_16(const uint8_t *const taps[4], int64_t first, __m128i out[4]) {
    __m128i t[4];
    for (int i = 0; i < 4; ++i) t[i] = _mm_loadu_si128((const void *)(taps[i] + first));
    const __m128i low01 = _mm_unpacklo_epi8(t[0], t[1]), high01 = _mm_unpackhi_epi8(t[0], t[1]);
    const __m128i low23 = _mm_unpacklo_epi8(t[2], t[3]), high23 = _mm_unpackhi_epi8(t[2], t[3]);
    out[0] = _mm_unpacklo_epi16(low01, low23);
    out[1] = _mm_unpackhi_epi16(low01, low23);
    out[2] = _mm_unpacklo_epi16(high01, high23);
    out[3] = _mm_unpackhi_epi16(high01, high23);
}

/* One block of 16 channels; WITH_BYTES is a constant. */
QC_AVX512 __attribute__((always_inline)) void depthwise_16(const int WITH_BYTES, const uint8_t *const *taps,
                                                           const int8_t *filter, int64_t quads,
                                                           int32_t blocks, int32_t b, const int32_t *start,
                                                           int32_t filter_shift, int32_t *acc) {
    const __m128i ones = _mm_set1_epi8(1), shift = _mm_set1_epi32(filter_shift);
    __m128i sums[4], bytes[4];
    for (int j = 0; j < 4; ++j) {
        sums[j] = _mm_loadu_si128((const void *)(start + b * QC_LANES + j * 4));
        bytes[j] = _mm_setzero_si128();
    }
    for (int64_t q = 0; q < quads; ++q) {
        __m128i x[4];
        interleave_16(taps + q * QC_QUAD, b * QC_LANES, x);
        for (int j = 0; j < 4; ++j) {
            const void *w = filter + ((q * 4 + j) * blocks + b) * 16;
            sums[j] = _mm_dpbusd_epi32(sums[j], x[j], _mm_loadu_si128(w));
            if (WITH_BYTES) bytes[j] = _mm_dpbusd_epi32(bytes[j], x[j], ones);
        }
    }
    for (int j = 0; j < 4; ++j) {
        if (WITH_BYTES) sums[j] = _mm_add_epi32(sums[j], _mm_mullo_epi32(bytes[j], shift));
        _mm_storeu_si128((void *)(acc + b * QC_LANES + j * 4), sums[j]);
    }
}

__attribute__((target(QC_AVX512_TARGET))) static void depthwise(const uint8_t *const *taps,
                                                                const int8_t *filter, int64_t quads,
                                                                int32_t blocks, const int32_t *start,
                                                                int32_t filter_shift, int32_t *acc) {
    int32_t b = 0;
    if (filter_shift == 0) {
        for (; b + 4 <= blocks; b += 4) depthwise_64(0, taps, filter, quads, blocks, b, start, 0, acc);
        for (; b < blocks; ++b) depthwise_16(0, taps, filter, quads, blocks, b, start, 0, acc);
    } else {
        for (; b + 4 <= blocks; b += 4)
            depthwise_64(1, taps, filter, quads, blocks, b, start, filter_shift, acc);
        for (; b < blocks; ++b) depthwise_16(1, taps, filter, quads, blocks, b, start, filter_shift, acc);
    }
}

/* qc_gemm_isa.requantize of a prepared requantization. */
__attribute__((target(QC_AVX512_TARGET))) static void requantize_prepared(const qc_requant *r, const int32_t *acc,
                                                                          int32_t first, int32_t count,
                                                                          uint8_t *output) {
    const qc_requant_block *block = qc_prepared_block(r, first);
    switch (r->form) {
        case QC_FORM_FLOOR: qc_requantize_prepared_avx512(QC_FORM_FLOOR, r, block, acc, count, output); break;
        case QC_FORM_FLOOR_AWAY:
            qc_requantize_prepared_avx512(QC_FORM_FLOOR_AWAY, r, block, acc, count, output);
            break;
        case QC_FORM_FLOAT32:
            qc_requantize_prepared_avx512(QC_FORM_FLOAT32, r, block, acc, count, output);
            break;
        default: qc_requantize_prepared_avx512(QC_FORM_FLOAT64, r, block, acc, count, output); break;
    }
}

__attribute__((target(QC_AVX512_TARGET))) static void requantize(const qc_requant *r, const int32_t *acc,
                                                                 int32_t first, int32_t count,
                                                                 uint8_t *output) {
    if (r->form != QC_UNPREPARED) {
        requantize_prepared(r, acc, first, count, output);
        return;
    }
    if (!qc_has_vector_rules(r)) {
        for (int32_t i = 0; i < count; ++i) output[i] = (uint8_t)qc_requantize(r, acc[i], first + i);
        return;
    }
    for (int32_t i = 0; i < count; i += QC_LANES) {
        const int32_t left = count - i;
        const __mmask16 exist = left >= QC_LANES ? 0xFFFF : (__mmask16)((1u << left) - 1);
        const __m512i y =
            qc_requantize_avx512(r, _mm512_maskz_loadu_epi32(exist, acc + i), first + i, exist);
        _mm_mask_storeu_epi8(output + i, exist, _mm512_cvtepi32_epi8(y));
    }
}

const qc_gemm_isa qc_gemm_vnni = {
    .is_signed = 0,
    .tile_rows = QC_TILE_ROWS,
    .tile = tile,
    .depthwise = depthwise,
    .requantize = requantize,
    .product = &qc_product_vnni,
};
