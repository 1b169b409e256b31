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
        case QC_FORM_FLOOR_WIDE:
            qc_requantize_prepared_avx512(QC_FORM_FLOOR_WIDE, r, block, acc, count, output);
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
    .requantize = requantize,
    .product = &qc_product_vnni,
    .hybrid = &qc_hybrid_avx512,
    .hybrid_outputs = qc_hybrid_outputs_avx512,
    .hybrid_row = qc_hybrid_row_vnni,
};

const qc_gemm_isa qc_gemm_amx = {
    .is_signed = 0,
    .tile_rows = QC_TILE_ROWS,
    .tile = tile,
    .requantize = requantize,
    .product = &qc_product_amx,
};
