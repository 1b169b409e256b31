/* The parts of products with requantization that do not depend on the instruction set; both have AVX2. */
#include "product.h"

#include <immintrin.h>
#include <string.h>

#define QC_AVX2 __attribute__((target("avx2")))

QC_AVX2 void qc_product_copy(uint8_t *to, const uint8_t *from, int64_t count, uint8_t flip) {
    const __m256i bits = _mm256_set1_epi8((char)flip);
    int64_t i = 0;
    for (; i + 32 <= count; i += 32) {
        const __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)(from + i));
        _mm256_storeu_si256((__m256i *)(void *)(to + i), _mm256_xor_si256(bytes, bits));
    }
    for (; i + 8 <= count; i += 8) {
        uint64_t eight;
        memcpy(&eight, from + i, sizeof eight);
        eight ^= flip * UINT64_C(0x0101010101010101);
        memcpy(to + i, &eight, sizeof eight);
    }
    for (; i < count; ++i) to[i] = from[i] ^ flip;
}

QC_AVX2 void qc_product_start(const qc_product_input *x, const int8_t *filter, int64_t padded_depth, int32_t units,
                              int flipped, const int32_t *bias, int32_t *start) {
    const int64_t padded = qc_round_up(units, QC_LANES);
    const int32_t *sums = (const int32_t *)(const void *)(filter + padded * padded_depth);
    const uint32_t all = (flipped ? UINT32_C(1) << 31 : 0) +
                         (uint32_t)x->filter_shift * (uint32_t)x->depth * (uint32_t)x->shift;
    const uint32_t shift = (uint32_t)x->shift;
    for (int64_t u = 0; u < padded; ++u) start[u] = (int32_t)(all + shift * (uint32_t)sums[u]);
    if (bias == NULL) return;
    for (int64_t u = 0; u < units; ++u) start[u] = (int32_t)((uint32_t)start[u] + (uint32_t)bias[u]);
}

QC_AVX2 int64_t qc_flipped_sum(const uint8_t *bytes, int64_t count, uint8_t flip) {
    const __m256i bits = _mm256_set1_epi8((char)flip), zero = _mm256_setzero_si256();
    __m256i sums = zero;
    int64_t i = 0;
    for (; i + 32 <= count; i += 32) {
        const __m256i some = _mm256_loadu_si256((const __m256i *)(const void *)(bytes + i));
        sums = _mm256_add_epi64(sums, _mm256_sad_epu8(_mm256_xor_si256(some, bits), zero));
    }
    __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    for (; i + 8 <= count; i += 8) {
        const __m128i some = _mm_loadl_epi64((const __m128i *)(const void *)(bytes + i));
        const __m128i eight = _mm_xor_si128(some, _mm256_castsi256_si128(bits));
        half = _mm_add_epi64(half, _mm_sad_epu8(_mm_move_epi64(eight), _mm_setzero_si128()));
    }
    int64_t sum = _mm_cvtsi128_si64(half) + _mm_extract_epi64(half, 1);
    for (; i < count; ++i) sum += bytes[i] ^ flip;
    return sum;
}

void qc_signed_terms(const qc_product *p, int64_t run, const uint8_t *rows, int64_t stride, int32_t count,
                     int32_t factor, int32_t *terms) {
    for (int32_t r = 0; r < count; ++r) {
        int64_t sum = -128 * run * p->runs;
        for (int64_t i = 0; i < p->runs; ++i) sum += qc_flipped_sum(rows + r * stride + p->offsets[i], run, 0x80);
        terms[r] = (int32_t)((uint32_t)factor * (uint32_t)(uint64_t)sum);
    }
}

void qc_product_matrix(const qc_product_isa *isa, const qc_product_input *x, const qc_product *p,
                       const uint8_t *input, int64_t count, uint8_t *scratch, uint8_t *output,
                       int64_t output_stride) {
    const int64_t stride = QC_QUAD * p->quads, most = qc_product_rows(stride);
    int32_t *terms = (int32_t *)(void *)scratch;
    uint8_t *panel = scratch + qc_round_up(most * (int64_t)sizeof *terms, 64);
    const int is_panel = x->flip == 0 && x->depth == stride;
    for (int64_t row = 0; row < count; row += most) {
        const int32_t some = (int32_t)(count - row < most ? count - row : most);
        const uint8_t *from = input + row * x->depth;
        if (is_panel) {
            panel = (uint8_t *)(uintptr_t)from;
        } else if (x->depth == stride) {
            qc_product_copy(panel, from, some * stride, x->flip);
        } else {
            for (int32_t r = 0; r < some; ++r)
                qc_product_copy(panel + r * stride, from + r * x->depth, x->depth, x->flip);
        }
        const int32_t *added =
            qc_product_terms(isa, x, p, x->depth, panel, stride, some, terms);
        isa->rows(p, panel, stride, some, added, output + row * output_stride, output_stride);
    }
}
