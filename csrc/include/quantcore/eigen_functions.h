/* float32 functions as TFLite's x86 builds get them from Eigen, compiled for AVX: every product and every
 * sum is rounded (no FMA). Here they are plain C, so that every machine gives the same bits.
 *
 * Source: Eigen 5.0.1, Core/arch/Default/GenericPacketMathFunctions.h (ptanh_float, pldexp_fast),
 * Core/functors/UnaryFunctors.h (scalar_logistic_op). Derivation: docs/numerics/eigen.md. */
#ifndef QUANTCORE_EIGEN_FUNCTIONS_H
#define QUANTCORE_EIGEN_FUNCTIONS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* 2^exponent for a whole number in [-126, 127]. */
static inline float qc_eigen_power_of_two(float exponent) {
    const uint32_t bits = (uint32_t)((int32_t)exponent + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

/* 1 / (1 + exp(-x)) as e / (1 + e), e = exp(x / 2)^2. exp(x / 2) = 2^m exp(r), |r| at most about ln(2) / 2;
 * exp(r) is a polynomial of degree 5. 1 from 16.6 on, 0 below -104. */
static inline float qc_eigen_logistic(float x) {
    if (x != x) return x;
    if (x < -104.0f) return 0.0f;
    const float half = 0.5f * (x > 0x1.0a2b24p+4f ? 0x1.0a2b24p+4f : x);
    const float m = floorf(half * 0x1.715476p+0f + 0.5f);
    const float coarse = m * -0.693359375f + half;
    const float r = m * 0x1.bd0106p-13f + coarse;
    const float r2 = r * r;
    const float even = r2 * 0x1.573bep-5f + 0x1.fffdcp-2f;
    const float odd = r2 * 0x1.111ca4p-7f + 0x1.55567p-3f;
    const float p = r2 * (r * odd + even) + (r + 1.0f);
    const float root = p * qc_eigen_power_of_two(m);
    const float e = root * root;
    return e / (1.0f + e);
}

/* tanh(x) as a quotient of polynomials of degrees 9 and 8; 1 from 7.9 on. */
static inline float qc_eigen_tanh(float x) {
    const float limit = 0x1.fa12acp+2f;
    const float upper = x > limit ? limit : x;
    const float a = upper < -limit ? -limit : upper;
    const float a2 = a * a;
    const float p = ((0x1.df2a3cp-27f * a2 + 0x1.60c7b8p-16f) * a2 + 0x1.cd78fep-9f) * a2 + 0x1.1279ecp-3f;
    const float q =
        (((0x1.ae58p-21f * a2 + 0x1.5cdb2cp-12f) * a2 + 0x1.a988cp-6f) * a2 + 0x1.de9244p-2f) * a2 + 1.0f;
    return (a2 * a * p + a) / q;
}

#endif
