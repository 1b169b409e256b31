/* Table lookup with AVX-512 BW: 64 elements at a time, by permutations of 16-bit words.
 *
 * A word of the table has the entries 2k and 2k + 1. A permutation of two registers has 64 words, so two of them have
 * all; the index is bits 1 to 6 of an element, bit 7 chooses between the two, bit 0 the half of the word. Elements at
 * even and odd places are looked up apart. */
#include <immintrin.h>

#include "../kernels.h"
#include "lookup.h"

#define TARGET __attribute__((target("avx512f,avx512bw")))
enum { BLOCK = 64 };

TARGET static inline __m512i find_word(const __m512i table[4], __m512i index, __mmask32 above) {
    const __m512i low = _mm512_permutex2var_epi16(table[0], index, table[1]);
    return _mm512_mask_mov_epi16(low, above, _mm512_permutex2var_epi16(table[2], index, table[3]));
}

TARGET static inline __m512i look_up(const __m512i table[4], __m512i x) {
    const __m512i eight = _mm512_set1_epi16(8);
    const __mmask32 above_even = _mm512_test_epi16_mask(x, _mm512_set1_epi16(0x80));
    const __m512i even = find_word(table, _mm512_srli_epi16(x, 1), above_even);
    const __m512i odd = find_word(table, _mm512_srli_epi16(x, 9), _mm512_movepi16_mask(x));
    const __m512i down = _mm512_and_si512(_mm512_slli_epi16(x, 3), eight);
    const __m512i up = _mm512_andnot_si512(_mm512_srli_epi16(x, 5), eight);
    return _mm512_mask_mov_epi8(_mm512_srlv_epi16(even, down), 0xAAAAAAAAAAAAAAAA, _mm512_sllv_epi16(odd, up));
}

TARGET void qc_lookup_bytes_avx512(const uint8_t table[256], const uint8_t *input, uint8_t *output, int64_t count) {
    __m512i words[4];
    for (int k = 0; k < 4; ++k) words[k] = _mm512_loadu_si512(table + BLOCK * k);
    int64_t i = 0;
    for (; i + BLOCK <= count; i += BLOCK)
        _mm512_storeu_si512(output + i, look_up(words, _mm512_loadu_si512(input + i)));
    if (i == count) return;
    const __mmask64 rest = (__mmask64)-1 >> (BLOCK - (count - i));
    _mm512_mask_storeu_epi8(output + i, rest, look_up(words, _mm512_maskz_loadu_epi8(rest, input + i)));
}

qc_status qc_lookup_x8_avx512(const qc_lookup_params *params, const uint8_t *input, uint8_t *output, void *scratch) {
    (void)scratch;
    qc_lookup_bytes_avx512(params->table, input, output, params->count);
    return QC_OK;
}
