/* Vectors of 16 floats, for files that are written for any width: what the compiler's vector types do not have. Masks
 * have & and |; `choose` has the lanes of a, and of b where the mask is not set. */
#ifndef QUANTCORE_X86_FLOATS_AVX512_H
#define QUANTCORE_X86_FLOATS_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#include "powers.h"

#define QC_TARGET "avx512f,avx512vl,avx512dq,avx512bw"
#define QC_WIDTH 16
#define QC_ISA(name) name##_avx512
#define INLINE static inline __attribute__((target(QC_TARGET), always_inline))
#define KERNEL __attribute__((target(QC_TARGET)))

typedef float floats __attribute__((vector_size(4 * QC_WIDTH), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(4 * QC_WIDTH), aligned(4), may_alias));
typedef float halves __attribute__((vector_size(2 * QC_WIDTH), aligned(4), may_alias));
typedef double doubles __attribute__((vector_size(4 * QC_WIDTH)));
typedef uint64_t words __attribute__((vector_size(4 * QC_WIDTH)));
typedef __mmask16 mask;

INLINE mask is_less(floats a, floats b) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ);
}
INLINE mask is_nan(floats a) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)a, _CMP_UNORD_Q);
}
INLINE mask is_less_int(ints a, ints b) {
    return _mm512_cmplt_epi32_mask((__m512i)a, (__m512i)b);
}
INLINE mask is_equal_int(ints a, ints b) {
    return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b);
}
INLINE floats choose(mask m, floats a, floats b) {
    return (floats)_mm512_mask_blend_ps(m, (__m512)b, (__m512)a);
}

INLINE halves low_half(floats x) {
    return (halves)_mm512_castps512_ps256((__m512)x);
}
INLINE halves high_half(floats x) {
    return (halves)_mm512_extractf32x8_ps((__m512)x, 1);
}
INLINE floats join(halves low, halves high) {
    return (floats)_mm512_insertf32x8(_mm512_castps256_ps512((__m256)low), (__m256)high, 1);
}
INLINE doubles widen(halves x) {
    return (doubles)_mm512_cvtps_pd((__m256)x);
}
INLINE halves narrow(doubles x) {
    return (halves)_mm512_cvtpd_ps((__m512d)x);
}

/* a * b + c, rounded once. */
INLINE doubles fused(doubles a, doubles b, doubles c) {
    return (doubles)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}

/* qc_powers[k % 32]: two tables of 16 for an instruction that looks at 4 bits. */
INLINE words powers_of(words k) {
    const __m512i a = _mm512_loadu_si512(qc_powers), b = _mm512_loadu_si512(qc_powers + 8);
    const __m512i c = _mm512_loadu_si512(qc_powers + 16), d = _mm512_loadu_si512(qc_powers + 24);
    const __mmask8 is_upper = _mm512_test_epi64_mask((__m512i)k, _mm512_set1_epi64(16));
    const __m512i low = _mm512_permutex2var_epi64(a, (__m512i)k, b), high = _mm512_permutex2var_epi64(c, (__m512i)k, d);
    return (words)_mm512_mask_blend_epi64(is_upper, low, high);
}

#endif
