/* From sums of 16x8 products to outputs: the part that does not depend on the instruction set of the products. */
#include "gemm_s16.h"

#include <stddef.h>
#include <string.h>

#include "functions16_avx2.h"
#include "gemm.h"
#include "requantize_avx2.h"

#define QC_TARGET_AVX2 __attribute__((target("avx2")))
#define QC_INLINE QC_TARGET_AVX2 static inline __attribute__((always_inline))

/* The low dwords of 4 qwords. */
QC_INLINE __m128i low_dwords(__m256i x) {
    return _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(x, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6)));
}

QC_INLINE __m128i high_dwords(__m256i x) {
    return _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(x, _mm256_setr_epi32(1, 3, 5, 7, 1, 3, 5, 7)));
}

/* qc_multiply_int16_multiplier on 4 sums; the product is taken modulo 2^64. */
QC_INLINE __m128i by_int16_multiplier(__m256i x, __m128i multiplier, __m128i shift) {
    const __m128i most = _mm_set1_epi32(0x7FFF0000 - 1);
    const __m128i rounded = _mm_srai_epi32(_mm_add_epi32(_mm_min_epi32(multiplier, most), _mm_set1_epi32(1 << 15)), 16);
    const __m128i is_large = _mm_cmpgt_epi32(multiplier, most);
    const __m256i reduced = _mm256_cvtepi32_epi64(_mm_blendv_epi8(rounded, _mm_set1_epi32(0x7FFF), is_large));
    const __m256i total = _mm256_cvtepi32_epi64(_mm_sub_epi32(_mm_set1_epi32(15), shift));
    const __m256i low = _mm256_mul_epu32(x, reduced), high = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), reduced);
    const __m256i one = _mm256_set1_epi64x(1);
    const __m256i rounding = _mm256_sllv_epi64(one, _mm256_sub_epi64(total, one));
    const __m256i sum = _mm256_add_epi64(_mm256_add_epi64(low, _mm256_slli_epi64(high, 32)), rounding);
    /* An arithmetic shift: with the sign flipped a logical one, which 2^63 then is taken off of. */
    const __m256i sign = _mm256_set1_epi64x(INT64_MIN);
    const __m256i shifted = _mm256_srlv_epi64(_mm256_xor_si256(sum, sign), total);
    return low_dwords(_mm256_sub_epi64(shifted, _mm256_srlv_epi64(sign, total)));
}

/* 4 sums as doubles, rounded once: the halves are exact. */
QC_INLINE __m256d to_double(__m256i x) {
    const __m256d two_52 = _mm256_set1_pd(0x1p52);
    const __m256i low_bits = _mm256_and_si256(x, _mm256_set1_epi64x(0xFFFFFFFF));
    const __m256d low = _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(low_bits, _mm256_castpd_si256(two_52))), two_52);
    return _mm256_add_pd(_mm256_mul_pd(_mm256_cvtepi32_pd(high_dwords(x)), _mm256_set1_pd(0x1p32)), low);
}

QC_INLINE __m128i by_float64(__m256i x, __m256d multiplier) {
    return qc_round_to_int32_avx2(_mm256_mul_pd(to_double(x), multiplier));
}

QC_TARGET_AVX2 void qc_store_s16_wide(const qc_requant *r, const int64_t *sums, int32_t channel, int32_t count,
                                      int16_t *output) {
    const __m128i low = _mm_set1_epi32(r->activation_min), high = _mm_set1_epi32(r->activation_max);
    const __m128i offset = _mm_set1_epi32(r->output_offset);
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const int32_t c = r->per_channel ? channel + i : 0;
        const __m256i x = qc_load256(sums + i);
        __m128i y;
        if (r->rounding == QC_FLOAT64) {
            const double *real = r->real_multiplier + c;
            y = by_float64(x, r->per_channel ? _mm256_loadu_pd(real) : _mm256_set1_pd(*real));
        } else if (r->per_channel) {
            y = by_int16_multiplier(x, _mm_loadu_si128((const __m128i *)(const void *)(r->multiplier + c)),
                                    _mm_loadu_si128((const __m128i *)(const void *)(r->shift + c)));
        } else {
            y = by_int16_multiplier(x, _mm_set1_epi32(r->multiplier[0]), _mm_set1_epi32(r->shift[0]));
        }
        y = _mm_min_epi32(_mm_max_epi32(_mm_add_epi32(y, offset), low), high);
        _mm_storel_epi64((__m128i *)(void *)(output + i), _mm_packs_epi32(y, y));
    }
    for (; i < count; ++i) output[i] = (int16_t)qc_requantize_wide(r, sums[i], channel + i);
}

QC_TARGET_AVX2 void qc_store_s16(const qc_requant *r, const int32_t *sums, int32_t channel, int32_t count,
                                 int16_t *output) {
    int32_t i = 0;
    for (; i + 8 <= count && qc_has_vector_rules(r); i += 8) {
        const __m256i y = qc_requantize_avx2(r, qc_load256(sums + i), channel + i);
        _mm_storeu_si128((__m128i *)(void *)(output + i),
                         _mm_packs_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1)));
    }
    for (; i < count; ++i) output[i] = (int16_t)qc_requantize(r, sums[i], channel + i);
}

/* sums[unit] += parts[unit][0] + parts[unit][1] for 16 units, wrapping. */
QC_TARGET_AVX2 static void add_parts(const int32_t *parts, int32_t *sums) {
    for (int k = 0; k < QC_LANES; k += 8) {
        const __m256i pairs = _mm256_hadd_epi32(qc_load256(parts + 2 * k), qc_load256(parts + 2 * k + 8));
        qc_store256(sums + k, _mm256_add_epi32(qc_load256(sums + k), _mm256_permute4x64_epi64(pairs, 0xD8)));
    }
}

QC_TARGET_AVX2 static void add_parts_wide(const int32_t *parts, int64_t *sums) {
    for (int k = 0; k < QC_LANES; k += 4) {
        const __m256i pairs = qc_load256(parts + 2 * k);
        const __m256i a = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(pairs));
        const __m256i b = _mm256_cvtepi32_epi64(_mm256_extracti128_si256(pairs, 1));
        const __m256i both = _mm256_add_epi64(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
        qc_store256(sums + k, _mm256_add_epi64(qc_load256(sums + k), _mm256_permute4x64_epi64(both, 0xD8)));
    }
}

/* The sums of one row for 16 units. */
typedef union {
    int64_t wide[QC_LANES];
    int32_t narrow[QC_LANES];
} row_sums;

/* Up to QC_TILE_ROWS_S16 rows of `count` units from `unit` on. */
static void run_tile(const qc_gemm_s16 *g, const int16_t *panel, int32_t rows, int32_t unit, int32_t count,
                     int16_t *output) {
    const int64_t stride = qc_round_up(g->depth, QC_QUAD), quads = stride / QC_QUAD;
    const int8_t *filter = g->packed + unit * stride;
    const int32_t channel = g->first_channel + unit;
    _Alignas(64) int32_t parts[QC_TILE_ROWS_S16 * 2 * QC_LANES];
    row_sums start = {{0}};
    const size_t element = g->wide ? sizeof(int64_t) : sizeof(int32_t);
    if (g->bias != NULL) memcpy(&start, (const uint8_t *)g->bias + (size_t)unit * element, (size_t)count * element);
    row_sums sums[QC_TILE_ROWS_S16];
    for (int32_t r = 0; r < rows; ++r) sums[r] = start;
    for (int64_t q = 0; q < quads; q += QC_EXACT_QUADS) {
        const int64_t part = quads - q < QC_EXACT_QUADS ? quads - q : QC_EXACT_QUADS;
        g->isa->tile(panel + q * QC_QUAD, stride, rows, filter + q * QC_LANES * QC_QUAD, part, parts);
        for (int32_t r = 0; r < rows; ++r) {
            if (g->wide)
                add_parts_wide(parts + 2 * QC_LANES * r, sums[r].wide);
            else
                add_parts(parts + 2 * QC_LANES * r, sums[r].narrow);
        }
    }
    for (int32_t r = 0; r < rows; ++r) {
        int16_t *row = output + r * g->row_size;
        if (g->wide)
            qc_store_s16_wide(g->requant, sums[r].wide, channel, count, row);
        else
            qc_store_s16(g->requant, sums[r].narrow, channel, count, row);
    }
}

void qc_gemm_s16_run(const qc_gemm_s16 *g, const int16_t *panel, int32_t rows, int64_t first_row) {
    const int64_t stride = qc_round_up(g->depth, QC_QUAD);
    for (int32_t unit = 0; unit < g->units; unit += QC_LANES) {
        const int32_t count = g->units - unit < QC_LANES ? g->units - unit : QC_LANES;
        for (int32_t r = 0; r < rows; r += QC_TILE_ROWS_S16) {
            const int32_t tile = rows - r < QC_TILE_ROWS_S16 ? rows - r : QC_TILE_ROWS_S16;
            int16_t *output = g->output + (first_row + r) * g->row_size + g->first_channel + unit;
            run_tile(g, panel + r * stride, tile, unit, count, output);
        }
    }
}
