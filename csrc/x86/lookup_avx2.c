/* Table lookup with AVX2: 32 elements at a time, by shuffles of 16 entries.
 *
 * A shuffle gives 0 for an index with the highest bit set, and uses 4 of the other bits. So with x - 16k as index,
 * tables 0 to x / 16 contribute, and if each table is stored as its difference (xor) from the one before, the sum of
 * all of them is the entry of table x / 16. That works for x below 128; the tables above that have sums of their own,
 * with x - 128. The subtraction saturates: what is negative stays so. */
#include <immintrin.h>

#include "../kernels.h"
#include "lookup.h"

#define TARGET __attribute__((target("avx2")))
enum { BLOCK = 32, TABLES = 16 };

TARGET static inline __m256i sum_half(const __m256i *tables, __m256i x) {
    __m256i sum = _mm256_shuffle_epi8(tables[0], x);
    for (int k = 1; k < TABLES / 2; ++k) {
        x = _mm256_subs_epi8(x, _mm256_set1_epi8(16));
        sum = _mm256_xor_si256(sum, _mm256_shuffle_epi8(tables[k], x));
    }
    return sum;
}

TARGET void qc_lookup_bytes_avx2(const uint8_t table[256], const uint8_t *input, uint8_t *output, int64_t count) {
    __m256i tables[TABLES];
    for (int k = 0; k < TABLES; ++k)
        tables[k] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(table + 16 * k)));
    for (int k = TABLES - 1; k > 0; --k)
        if (k != TABLES / 2) tables[k] = _mm256_xor_si256(tables[k], tables[k - 1]);
    int64_t i = 0;
    for (; i + BLOCK <= count; i += BLOCK) {
        const __m256i x = _mm256_loadu_si256((const __m256i *)(input + i));
        const __m256i above = _mm256_xor_si256(x, _mm256_set1_epi8(-128));
        const __m256i y = _mm256_xor_si256(sum_half(tables, x), sum_half(tables + TABLES / 2, above));
        _mm256_storeu_si256((__m256i *)(output + i), y);
    }
    for (; i < count; ++i) output[i] = table[input[i]];
}

qc_status qc_lookup_x8_avx2(const qc_lookup_params *params, const uint8_t *input, uint8_t *output, void *scratch) {
    if (params->count < 2 * BLOCK) return qc_lookup_x8_ref(params, input, output, scratch);
    qc_lookup_bytes_avx2(params->table, input, output, params->count);
    return QC_OK;
}
