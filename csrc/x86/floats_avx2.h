/* Vectors of 8 floats, for files that are written for any width: what the compiler's vector types do not have. Masks
 * have & and |; `choose` has the lanes of a, and of b where the mask is not set. */
#ifndef QUANTCORE_X86_FLOATS_AVX2_H
#define QUANTCORE_X86_FLOATS_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#include "powers.h"

#define QC_TARGET "avx2,fma"
#define QC_WIDTH 8
#define QC_ISA(name) name##_avx2
#define INLINE static inline __attribute__((target(QC_TARGET), always_inline))
#define KERNEL __attribute__((target(QC_TARGET)))

typedef float floats __attribute__((vector_size(4 * QC_WIDTH), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(4 * QC_WIDTH), aligned(4), may_alias));
typedef float halves __attribute__((vector_size(2 * QC_WIDTH), aligned(4), may_alias));
typedef double doubles __attribute__((vector_size(4 * QC_WIDTH)));
typedef uint64_t words __attribute__((vector_size(4 * QC_WIDTH)));
typedef ints mask;

INLINE mask is_less(floats a, floats b) {
    return (mask)_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_LT_OQ);
}
INLINE mask is_nan(floats a) {
    return (mask)_mm256_cmp_ps((__m256)a, (__m256)a, _CMP_UNORD_Q);
}
INLINE mask is_less_int(ints a, ints b) {
    return (mask)_mm256_cmpgt_epi32((__m256i)b, (__m256i)a);
}
INLINE mask is_equal_int(ints a, ints b) {
    return (mask)_mm256_cmpeq_epi32((__m256i)a, (__m256i)b);
}
INLINE floats choose(mask m, floats a, floats b) {
    return (floats)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m);
}

INLINE halves low_half(floats x) {
    return (halves)_mm256_castps256_ps128((__m256)x);
}
INLINE halves high_half(floats x) {
    return (halves)_mm256_extractf128_ps((__m256)x, 1);
}
INLINE floats join(halves low, halves high) {
    return (floats)_mm256_set_m128((__m128)high, (__m128)low);
}
INLINE doubles widen(halves x) {
    return (doubles)_mm256_cvtps_pd((__m128)x);
}
INLINE halves narrow(doubles x) {
    return (halves)_mm256_cvtpd_ps((__m256d)x);
}

/* a * b + c, rounded once. */
INLINE doubles fused(doubles a, doubles b, doubles c) {
    return (doubles)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}

/* qc_powers[k % 32]. */
INLINE words powers_of(words k) {
    return (words)_mm256_i64gather_epi64((const long long *)(const void *)qc_powers, (__m256i)(k & 31), 8);
}

#endif
