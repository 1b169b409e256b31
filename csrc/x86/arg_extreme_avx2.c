/* ARG_MAX and ARG_MIN of 8 bits with AVX2. Elements become keys, of which the first of the smallest is looked for:
 * unsigned bytes, with the bits flipped that make it so. */
#include <immintrin.h>
#include <string.h>

#include "../kernels.h"

#define TARGET __attribute__((target("avx2")))
enum { LANES = 32, COLUMNS = 8 };

TARGET static inline __m256i load_keys(const uint8_t *x, uint8_t flip) {
    return _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)x), _mm256_set1_epi8((char)flip));
}

/* The smallest of 32 keys, in all lanes. */
TARGET static inline __m256i smallest_of(__m256i keys) {
    __m128i k = _mm_min_epu8(_mm256_castsi256_si128(keys), _mm256_extracti128_si256(keys, 1));
    k = _mm_min_epu8(k, _mm_srli_epi16(k, 8)); /* of each pair, as a number of 16 bits */
    return _mm256_broadcastb_epi8(_mm_minpos_epu16(k));
}

/* Lanes in which `key` is, as bits. */
TARGET static inline uint32_t lanes_with(__m256i keys, __m256i key) {
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(keys, key));
}

/* The index in a row of more than 32 elements; the last vector overlaps the one before. */
TARGET static int64_t find_in_row(const uint8_t *x, int64_t axis, uint8_t flip) {
    __m256i least = load_keys(x + axis - LANES, flip);
    for (int64_t i = 0; i + LANES <= axis; i += LANES) least = _mm256_min_epu8(least, load_keys(x + i, flip));
    least = smallest_of(least);
    for (int64_t i = 0; i + LANES <= axis; i += LANES) {
        const uint32_t found = lanes_with(load_keys(x + i, flip), least);
        if (found) return i + __builtin_ctz(found);
    }
    return axis - LANES + __builtin_ctz(lanes_with(load_keys(x + axis - LANES, flip), least));
}

static inline void store_index(void *output, int64_t i, int64_t index, int32_t wide) {
    if (wide) {
        ((int64_t *)output)[i] = index;
    } else {
        ((int32_t *)output)[i] = (int32_t)index;
    }
}

/* Rows of up to 32 elements: a vector each, which reaches into the rows behind it. */
TARGET static void find_in_short_rows(const qc_arg_extreme_params *p, const uint8_t *x, uint8_t flip, void *output) {
    const int64_t axis = p->axis;
    uint8_t outside[LANES];
    for (int i = 0; i < LANES; ++i) outside[i] = i < axis ? 0 : 0xFF;
    const __m256i beyond = _mm256_loadu_si256((const __m256i *)outside);
    for (int64_t o = 0; o < p->outer; ++o, x += axis) {
        uint8_t last[LANES] = {0};
        const uint8_t *row = x;
        if ((p->outer - o) * axis < LANES) row = (const uint8_t *)memcpy(last, x, (size_t)axis);
        const __m256i keys = _mm256_or_si256(load_keys(row, flip), beyond);
        store_index(output, o, __builtin_ctz(lanes_with(keys, smallest_of(keys))), p->wide);
    }
}

/* Eight neighbouring columns of [axis][inner]. */
TARGET static inline __m256i find_in_columns(const uint8_t *x, int64_t axis, int64_t inner, uint8_t flip) {
    const __m256i bits = _mm256_set1_epi32(flip);
    __m256i least = _mm256_set1_epi32(256), index = _mm256_setzero_si256();
    for (int64_t i = 0; i < axis; ++i, x += inner) {
        const __m256i elements = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)x));
        const __m256i keys = _mm256_xor_si256(elements, bits);
        index = _mm256_blendv_epi8(index, _mm256_set1_epi32((int32_t)i), _mm256_cmpgt_epi32(least, keys));
        least = _mm256_min_epi32(least, keys);
    }
    return index;
}

TARGET static void find_in_planes(const qc_arg_extreme_params *p, const uint8_t *x, uint8_t flip, void *output) {
    for (int64_t o = 0; o < p->outer; ++o, x += p->axis * p->inner) {
        for (int64_t i = 0; i < p->inner; i += COLUMNS) {
            if (i + COLUMNS > p->inner) i = p->inner - COLUMNS; /* overlaps the columns before */
            int32_t index[COLUMNS];
            _mm256_storeu_si256((__m256i *)index, find_in_columns(x + i, p->axis, p->inner, flip));
            for (int k = 0; k < COLUMNS; ++k) store_index(output, o * p->inner + i + k, index[k], p->wide);
        }
    }
}

/* Whether there was a fast way. */
static int find(const qc_arg_extreme_params *p, const uint8_t *input, uint8_t flip, void *output) {
    if (p->inner == 1 && p->axis <= LANES) {
        find_in_short_rows(p, input, flip, output);
    } else if (p->inner == 1) {
        for (int64_t o = 0; o < p->outer; ++o)
            store_index(output, o, find_in_row(input + o * p->axis, p->axis, flip), p->wide);
    } else if (p->inner >= COLUMNS) {
        find_in_planes(p, input, flip, output);
    } else {
        return 0;
    }
    return 1;
}

qc_status qc_arg_extreme_u8_avx2(const qc_arg_extreme_params *p, void *const *tensors, void *scratch) {
    const uint8_t flip = p->smallest ? 0x00 : 0xFF;
    if (find(p, (const uint8_t *)tensors[0], flip, tensors[2])) return QC_OK;
    return qc_arg_extreme_u8_ref(p, tensors, scratch);
}

qc_status qc_arg_extreme_s8_avx2(const qc_arg_extreme_params *p, void *const *tensors, void *scratch) {
    const uint8_t flip = p->smallest ? 0x80 : 0x7F;
    if (find(p, (const uint8_t *)tensors[0], flip, tensors[2])) return QC_OK;
    return qc_arg_extreme_s8_ref(p, tensors, scratch);
}
