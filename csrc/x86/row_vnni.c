/* One row by a matrix on AVX-512 VNNI: FULLY_CONNECTED of a single sample, quantized and hybrid. What takes its time is
 * to read the filter, once, from the cache that it is in. So little else is read or written: the row is taken where it is,
 * sums begin at 0 and are completed in registers, and what all units have in common is read once. */
#include <string.h>

#include "gemm.h"
#include "product_avx512.h"

enum { PARTS = 4 }; /* sums of each unit, so that products need not wait for each other */

typedef struct {
    const uint8_t *bytes;
    int64_t quads;     /* whole ones of the row */
    int64_t all_quads; /* of the filter: one more where some bytes of the row are left */
    int32_t last;      /* those */
    __m512i flip, shift, start;
    const int8_t *filter;
    const int32_t *filter_sums;
    const int32_t *bias;
    int32_t units;
    const qc_requant *requant;
    int64_t block_step; /* 0 where all blocks of the requantization are alike */
} row;

/* parts += the products of 4 elements of the row and B blocks of 16 units, a constant. */
QC_INLINE void multiply_quad(const int B, const row *r, int32_t quad, const int8_t *w, __m512i *parts) {
    const int64_t block_size = r->all_quads * (QC_LANES * QC_QUAD);
    const __m512i four = _mm512_xor_si512(_mm512_set1_epi32(quad), r->flip);
    QC_UNROLL
    for (int b = 0; b < B; ++b)
        parts[b] = _mm512_dpbusd_epi32(parts[b], four, _mm512_loadu_si512(w + b * block_size));
}

QC_INLINE int32_t load_quad(const uint8_t *bytes) {
    int32_t quad;
    memcpy(&quad, bytes, sizeof quad);
    return quad;
}

/* sums[b] = the products of block `block` + b, of B blocks, which are 1 or 2. */
QC_INLINE void multiply(const int B, const row *r, int32_t block, __m512i *sums) {
    const int8_t *w = r->filter + block * r->all_quads * (QC_LANES * QC_QUAD);
    const uint8_t *x = r->bytes;
    __m512i parts[PARTS][2];
    int64_t left = r->quads;
    QC_UNROLL
    for (int i = 0; i < PARTS; ++i)
        QC_UNROLL
        for (int b = 0; b < B; ++b) parts[i][b] = _mm512_setzero_si512();
    for (; left >= PARTS; left -= PARTS, x += PARTS * QC_QUAD, w += PARTS * QC_LANES * QC_QUAD)
        QC_UNROLL
        for (int i = 0; i < PARTS; ++i)
            multiply_quad(B, r, load_quad(x + i * QC_QUAD), w + i * QC_LANES * QC_QUAD, parts[i]);
    for (; left > 0; --left, x += QC_QUAD, w += QC_LANES * QC_QUAD) multiply_quad(B, r, load_quad(x), w, parts[0]);
    if (r->quads != r->all_quads) multiply_quad(B, r, r->last, w, parts[1]);
    QC_UNROLL
    for (int b = 0; b < B; ++b)
        sums[b] = _mm512_add_epi32(_mm512_add_epi32(parts[0][b], parts[1][b]),
                                   _mm512_add_epi32(parts[2][b], parts[3][b]));
}

/* sums += what they begin with: offsets and bias. */
QC_INLINE void add_start(const int B, const row *r, int32_t first, __m512i *sums) {
    QC_UNROLL
    for (int b = 0; b < B; ++b) {
        const __m512i filter_sum = _mm512_loadu_si512(r->filter_sums + first + b * QC_LANES);
        sums[b] = _mm512_add_epi32(sums[b], r->start);
        sums[b] = _mm512_add_epi32(sums[b], _mm512_mullo_epi32(r->shift, filter_sum));
        if (r->bias == NULL) continue;
        const int32_t left = r->units - first - b * QC_LANES;
        const __mmask16 exist = left >= QC_LANES ? 0xFFFF : (__mmask16)((1u << left) - 1);
        sums[b] = _mm512_add_epi32(sums[b], _mm512_maskz_loadu_epi32(exist, r->bias + first + b * QC_LANES));
    }
}

/* FORM is a constant. */
QC_INLINE void scale_form(const qc_requant_form FORM, const int B, const row *r, int32_t block, __m512i *sums) {
    const qc_requant_block *constants = r->requant->blocks + block * r->block_step;
    QC_UNROLL
    for (int b = 0; b < B; ++b, constants += r->block_step)
        sums[b] = qc_is_floor(FORM) ? qc_floor_avx512(FORM, constants, sums[b])
                                    : qc_prepared_avx512(FORM, constants, sums[b]);
}

QC_INLINE void scale(const int B, const row *r, int32_t block, __m512i *sums) {
    switch (r->requant->form) {
        case QC_FORM_FLOOR: scale_form(QC_FORM_FLOOR, B, r, block, sums); break;
        case QC_FORM_FLOOR_AWAY: scale_form(QC_FORM_FLOOR_AWAY, B, r, block, sums); break;
        case QC_FORM_FLOOR_WIDE: scale_form(QC_FORM_FLOOR_WIDE, B, r, block, sums); break;
        case QC_FORM_FLOAT32: scale_form(QC_FORM_FLOAT32, B, r, block, sums); break;
        default: scale_form(QC_FORM_FLOAT64, B, r, block, sums); break;
    }
}

/* A store of whole vectors, unlike one with a mask, can be read again before it is in the cache. */
QC_INLINE void store(const int B, const row *r, int32_t first, const __m512i *y, uint8_t *output) {
    const qc_bytes_avx512 to_bytes = qc_make_bytes_avx512(r->requant);
    const __m512i bytes = qc_to_bytes_avx512(&to_bytes, y[0], y[B > 1 ? 1 : 0], y[B > 2 ? 2 : 0], y[B - 1]);
    const int32_t left = r->units - first;
    output += first;
    if (left < B * QC_LANES)
        _mm512_mask_storeu_epi8(output, qc_first_bytes(left), bytes);
    else if (B == 4)
        _mm512_storeu_si512(output, bytes);
    else if (B == 2)
        _mm256_storeu_si256((__m256i *)(void *)output, _mm512_castsi512_si256(bytes));
    else
        _mm_storeu_si128((__m128i *)(void *)output, _mm512_castsi512_si128(bytes));
}

/* Outputs of B blocks: 1, 2 or 4. */
QC_INLINE void blocks(const int B, const row *r, int32_t block, uint8_t *output) {
    __m512i sums[4];
    QC_UNROLL
    for (int b = 0; b < B; b += 2) multiply(B < 2 ? B : 2, r, block + b, sums + b);
    add_start(B, r, block * QC_LANES, sums);
    scale(B, r, block, sums);
    store(B, r, block * QC_LANES, sums, output);
}

/* A row whose sums begin at `start`, and the filter that it meets. */
QC_INLINE row make_row(const qc_product_input *x, const uint8_t *bytes, const int8_t *filter, int32_t units, uint32_t start) {
    const int64_t quads = x->depth / QC_QUAD, rest = x->depth % QC_QUAD;
    row r = {.bytes = bytes,
             .quads = quads,
             .all_quads = rest != 0 ? quads + 1 : quads,
             .flip = _mm512_set1_epi8((char)x->flip),
             .shift = _mm512_set1_epi32(x->shift),
             .start = _mm512_set1_epi32((int32_t)start),
             .filter = filter,
             .units = units};
    const int64_t padded = qc_round_up(units, QC_LANES);
    r.filter_sums = (const int32_t *)(const void *)(filter + padded * QC_QUAD * r.all_quads);
    if (rest != 0) memcpy(&r.last, bytes + quads * QC_QUAD, (size_t)rest);
    return r;
}

__attribute__((target(QC_AVX512_TARGET))) void qc_product_row_vnni(const qc_product_input *x, const int8_t *filter,
                                                                   int32_t units, const int32_t *bias,
                                                                   const qc_requant *requant, const uint8_t *input,
                                                                   uint8_t *output) {
    const int32_t all = (units + QC_LANES - 1) / QC_LANES;
    uint32_t start = (uint32_t)x->filter_shift * (uint32_t)x->depth * (uint32_t)x->shift;
    if (qc_is_floor(requant->form)) start += UINT32_C(1) << 31;
    if (x->filter_shift != 0)
        start += (uint32_t)x->filter_shift * (uint32_t)(uint64_t)qc_flipped_sum(input, x->depth, x->flip);
    row r = make_row(x, input, filter, units, start);
    r.bias = bias;
    r.requant = requant;
    r.block_step = requant->per_channel || requant->body < units;
    int32_t block = 0;
    for (; block + 4 <= all; block += 4) blocks(4, &r, block, output);
    if (all & 2) {
        blocks(2, &r, block, output);
        block += 2;
    }
    if (all & 1) blocks(1, &r, block, output);
}

/* Outputs of B blocks, 1 or 2: the arithmetic of qc_fully_connected_hybrid_ref and qc_fully_connected_activate. */
QC_INLINE void hybrid_blocks(const int B, const row *r, const qc_hybrid_row *h, int32_t block, float *output) {
    const __m512 scale = _mm512_set1_ps(h->scale), low = _mm512_set1_ps(h->low), high = _mm512_set1_ps(h->high);
    __m512i sums[2];
    multiply(B, r, block, sums);
    add_start(B, r, block * QC_LANES, sums);
    QC_UNROLL
    for (int b = 0; b < B; ++b) {
        const int32_t first = (block + b) * QC_LANES, left = r->units - first;
        const __mmask16 exist = left >= QC_LANES ? 0xFFFF : (__mmask16)((1u << left) - 1);
        const __m512 own = h->per_channel ? _mm512_maskz_loadu_ps(exist, h->filter_scale + first)
                                          : _mm512_set1_ps(h->filter_scale[0]);
        const __m512 bias = h->bias != NULL ? _mm512_maskz_loadu_ps(exist, h->bias + first) : _mm512_setzero_ps();
        const __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[b]), _mm512_mul_ps(scale, own));
        __m512 y = _mm512_add_ps(bias, product);
        if (h->is_bounded) y = _mm512_max_ps(_mm512_min_ps(high, y), low);
        _mm512_mask_storeu_ps(output + first, exist, y);
    }
}

__attribute__((target(QC_AVX512_TARGET))) void qc_hybrid_row_vnni(const qc_product_input *x, const int8_t *filter,
                                                                  int32_t units, const qc_hybrid_row *h,
                                                                  const int8_t *input, float *output) {
    const int32_t all = (units + QC_LANES - 1) / QC_LANES;
    const row r = make_row(x, (const uint8_t *)input, filter, units, 0);
    int32_t block = 0;
    for (; block + 2 <= all; block += 2) hybrid_blocks(2, &r, h, block, output);
    if (all & 1) hybrid_blocks(1, &r, h, block, output);
}
