/* The functions of eigen_functions.h on 8 floats at a time: the same operations in the same order. Where a minimum or a
 * maximum meets NaN, its second operand is the result. */
#ifndef QUANTCORE_X86_EIGEN_FUNCTIONS_AVX2_H
#define QUANTCORE_X86_EIGEN_FUNCTIONS_AVX2_H

#include <immintrin.h>

#define QC_INLINE_EIGEN static inline __attribute__((target("avx2"), always_inline))

/* a * b + c, rounded twice. */
QC_INLINE_EIGEN __m256 qc_multiply_add_avx2(__m256 a, float b, float c) {
    return _mm256_add_ps(_mm256_mul_ps(a, _mm256_set1_ps(b)), _mm256_set1_ps(c));
}

/* qc_eigen_logistic. */
QC_INLINE_EIGEN __m256 qc_eigen_logistic_avx2(__m256 x) {
    const __m256 one = _mm256_set1_ps(1.0f);
    const __m256 half = _mm256_mul_ps(_mm256_set1_ps(0.5f), _mm256_min_ps(_mm256_set1_ps(0x1.0a2b24p+4f), x));
    const __m256 m = _mm256_floor_ps(qc_multiply_add_avx2(half, 0x1.715476p+0f, 0.5f));
    const __m256 coarse = _mm256_add_ps(_mm256_mul_ps(m, _mm256_set1_ps(-0.693359375f)), half);
    const __m256 r = _mm256_add_ps(_mm256_mul_ps(m, _mm256_set1_ps(0x1.bd0106p-13f)), coarse);
    const __m256 r2 = _mm256_mul_ps(r, r);
    const __m256 even = qc_multiply_add_avx2(r2, 0x1.573bep-5f, 0x1.fffdcp-2f);
    const __m256 odd = qc_multiply_add_avx2(r2, 0x1.111ca4p-7f, 0x1.55567p-3f);
    const __m256 p = _mm256_add_ps(_mm256_mul_ps(r2, _mm256_add_ps(_mm256_mul_ps(r, odd), even)), _mm256_add_ps(r, one));
    const __m256i exponent = _mm256_add_epi32(_mm256_cvttps_epi32(m), _mm256_set1_epi32(127));
    const __m256 root = _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
    const __m256 e = _mm256_mul_ps(root, root);
    const __m256 y = _mm256_div_ps(e, _mm256_add_ps(one, e));
    const __m256 is_tiny = _mm256_cmp_ps(x, _mm256_set1_ps(-104.0f), _CMP_LT_OQ);
    return _mm256_blendv_ps(_mm256_andnot_ps(is_tiny, y), x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}

/* qc_eigen_tanh. */
QC_INLINE_EIGEN __m256 qc_eigen_tanh_avx2(__m256 x) {
    const __m256 limit = _mm256_set1_ps(0x1.fa12acp+2f), minus_limit = _mm256_set1_ps(-0x1.fa12acp+2f);
    const __m256 a = _mm256_max_ps(minus_limit, _mm256_min_ps(limit, x));
    const __m256 a2 = _mm256_mul_ps(a, a);
    __m256 p = _mm256_add_ps(_mm256_mul_ps(_mm256_set1_ps(0x1.df2a3cp-27f), a2), _mm256_set1_ps(0x1.60c7b8p-16f));
    p = _mm256_add_ps(_mm256_mul_ps(p, a2), _mm256_set1_ps(0x1.cd78fep-9f));
    p = _mm256_add_ps(_mm256_mul_ps(p, a2), _mm256_set1_ps(0x1.1279ecp-3f));
    __m256 q = _mm256_add_ps(_mm256_mul_ps(_mm256_set1_ps(0x1.ae58p-21f), a2), _mm256_set1_ps(0x1.5cdb2cp-12f));
    q = _mm256_add_ps(_mm256_mul_ps(q, a2), _mm256_set1_ps(0x1.a988cp-6f));
    q = _mm256_add_ps(_mm256_mul_ps(q, a2), _mm256_set1_ps(0x1.de9244p-2f));
    q = _mm256_add_ps(_mm256_mul_ps(q, a2), _mm256_set1_ps(1.0f));
    return _mm256_div_ps(_mm256_add_ps(_mm256_mul_ps(_mm256_mul_ps(a2, a), p), a), q);
}

#endif
