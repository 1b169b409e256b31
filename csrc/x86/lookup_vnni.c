/* Table lookup by byte permutation: 64 elements per instruction pair.
 *
 * The instructions are AVX-512 VBMI, which every CPU with VNNI has but the first (Cascade Lake). */
#include <immintrin.h>

#include "../kernels.h"

__attribute__((target("avx512f,avx512bw,avx512vbmi"))) static __m512i permute(const __m512i table[4], __m512i x) {
    const __m512i low = _mm512_permutex2var_epi8(table[0], x, table[1]);  /* by the low 7 bits */
    const __m512i high = _mm512_permutex2var_epi8(table[2], x, table[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, high);
}

__attribute__((target("avx512f,avx512bw,avx512vbmi"))) static void lookup(const qc_lookup_params *params,
                                                                          const uint8_t *input, uint8_t *output) {
    __m512i table[4];
    for (int k = 0; k < 4; ++k) table[k] = _mm512_loadu_si512(params->table + 64 * k);
    const int64_t count = params->count;
    int64_t i = 0;
    for (; i + 64 <= count; i += 64) _mm512_storeu_si512(output + i, permute(table, _mm512_loadu_si512(input + i)));
    if (i == count) return;
    const __mmask64 rest = (__mmask64)-1 >> (64 - (count - i));
    _mm512_mask_storeu_epi8(output + i, rest, permute(table, _mm512_maskz_loadu_epi8(rest, input + i)));
}

qc_status qc_lookup_x8_vnni(const qc_lookup_params *params, const uint8_t *input, uint8_t *output, void *scratch) {
    if (!__builtin_cpu_supports("avx512vbmi")) return qc_lookup_x8_avx512(params, input, output, scratch);
    lookup(params, input, output);
    return QC_OK;
}
