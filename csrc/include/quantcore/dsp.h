/* The DSP instructions of Cortex-M4, M7, M33 and M55 by their CMSIS names, for kernels of one's own.
 *
 * On a core that has them they are the instructions. Elsewhere they are portable C with the same result, so that a
 * kernel that is written with them is checked on a computer and runs on the target unchanged. A register holds two
 * int16 (lanes 0 and 1, lane 0 in the low half) or four bytes; signed lanes wrap around unless "saturating" is said.
 * Sums of products wrap around at 32 bits (the Q flag, which the instruction sets then, is not to be read; nor are the
 * GE flags, so __SEL is missing).
 *
 * The portable forms have names of their own as well, qc_dsp_*. Where CMSIS's own header has been included before, the
 * CMSIS names are left to it.
 */
#ifndef QUANTCORE_DSP_H
#define QUANTCORE_DSP_H

#include <stdint.h>

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !defined(__aarch64__)
#define QC_HAS_DSP 1
#else
#define QC_HAS_DSP 0
#endif

/* ---- memory, at any alignment, little-endian ---- */

/* Return four int8 at p as one register. */
static inline uint32_t qc_dsp_read_s8x4(const int8_t *p) {
    uint32_t value;
    __builtin_memcpy(&value, p, sizeof value);
    return value;
}

/* Return two int16 at p as one register. */
static inline uint32_t qc_dsp_read_s16x2(const int16_t *p) {
    uint32_t value;
    __builtin_memcpy(&value, p, sizeof value);
    return value;
}

/* ---- lanes ---- */

static inline int32_t qc_dsp_lane16(uint32_t x, int lane) {
    uint32_t bits = (x >> (16 * lane)) & 0xFFFFu;
    return (int32_t)(bits ^ 0x8000u) - 0x8000;
}

static inline uint32_t qc_dsp_product16(uint32_t x, uint32_t y, int lane) {
    return (uint32_t)(qc_dsp_lane16(x, lane) * qc_dsp_lane16(y, lane));
}

static inline int32_t qc_dsp_lane8(uint32_t x, int lane) {
    uint32_t bits = (x >> (8 * lane)) & 0xFFu;
    return (int32_t)(bits ^ 0x80u) - 0x80;
}

/* Return lanes 0 and 1; bits beyond 16 are dropped. */
static inline uint32_t qc_dsp_pack16(int32_t low, int32_t high) {
    return ((uint32_t)low & 0xFFFFu) | (uint32_t)high << 16;
}

static inline int32_t qc_dsp_clamp(int64_t x, int64_t least, int64_t most) {
    return (int32_t)(x < least ? least : x > most ? most : x);
}

static inline int32_t qc_dsp_signed(uint32_t x) {
    return x < 0x80000000u ? (int32_t)x : (int32_t)(x - 0x80000000u) - 0x7FFFFFFF - 1;
}

/* ---- portable forms ---- */

/* x rotated right by n bits, 0 <= n < 32. */
static inline uint32_t qc_dsp_ror(uint32_t x, uint32_t n) {
    n %= 32;
    return n == 0 ? x : x >> n | x << (32 - n);
}

/* Bytes 0 and 2 as int16 lanes; with rotation: of x rotated right by 0, 8, 16 or 24. */
static inline uint32_t qc_dsp_sxtb16(uint32_t x) {
    return qc_dsp_pack16(qc_dsp_lane8(x, 0), qc_dsp_lane8(x, 2));
}

static inline uint32_t qc_dsp_uxtb16(uint32_t x) {
    return x & 0x00FF00FFu;
}

static inline uint32_t qc_dsp_sadd16(uint32_t x, uint32_t y) {
    return qc_dsp_pack16(qc_dsp_lane16(x, 0) + qc_dsp_lane16(y, 0), qc_dsp_lane16(x, 1) + qc_dsp_lane16(y, 1));
}

static inline uint32_t qc_dsp_ssub16(uint32_t x, uint32_t y) {
    return qc_dsp_pack16(qc_dsp_lane16(x, 0) - qc_dsp_lane16(y, 0), qc_dsp_lane16(x, 1) - qc_dsp_lane16(y, 1));
}

/* Saturating. */
static inline uint32_t qc_dsp_qadd16(uint32_t x, uint32_t y) {
    return qc_dsp_pack16(qc_dsp_clamp((int64_t)qc_dsp_lane16(x, 0) + qc_dsp_lane16(y, 0), INT16_MIN, INT16_MAX),
                         qc_dsp_clamp((int64_t)qc_dsp_lane16(x, 1) + qc_dsp_lane16(y, 1), INT16_MIN, INT16_MAX));
}

static inline uint32_t qc_dsp_qsub16(uint32_t x, uint32_t y) {
    return qc_dsp_pack16(qc_dsp_clamp((int64_t)qc_dsp_lane16(x, 0) - qc_dsp_lane16(y, 0), INT16_MIN, INT16_MAX),
                         qc_dsp_clamp((int64_t)qc_dsp_lane16(x, 1) - qc_dsp_lane16(y, 1), INT16_MIN, INT16_MAX));
}

/* x + sign-extended bytes 0 and 2 of y. */
static inline uint32_t qc_dsp_sxtab16(uint32_t x, uint32_t y) {
    return qc_dsp_sadd16(x, qc_dsp_sxtb16(y));
}

static inline uint32_t qc_dsp_uxtab16(uint32_t x, uint32_t y) {
    return qc_dsp_sadd16(x, qc_dsp_uxtb16(y));
}

/* The sum of the two products of lanes; X: lane 0 by lane 1 and lane 1 by lane 0. */
static inline uint32_t qc_dsp_smuad(uint32_t x, uint32_t y) {
    return qc_dsp_product16(x, y, 0) + qc_dsp_product16(x, y, 1);
}

static inline uint32_t qc_dsp_smuadx(uint32_t x, uint32_t y) {
    return qc_dsp_smuad(x, qc_dsp_ror(y, 16));
}

/* The product of lanes 0 less that of lanes 1. */
static inline uint32_t qc_dsp_smusd(uint32_t x, uint32_t y) {
    return qc_dsp_product16(x, y, 0) - qc_dsp_product16(x, y, 1);
}

static inline uint32_t qc_dsp_smusdx(uint32_t x, uint32_t y) {
    return qc_dsp_smusd(x, qc_dsp_ror(y, 16));
}

static inline uint32_t qc_dsp_smlad(uint32_t x, uint32_t y, uint32_t sum) {
    return qc_dsp_smuad(x, y) + sum;
}

static inline uint32_t qc_dsp_smladx(uint32_t x, uint32_t y, uint32_t sum) {
    return qc_dsp_smuadx(x, y) + sum;
}

static inline uint32_t qc_dsp_smlsd(uint32_t x, uint32_t y, uint32_t sum) {
    return qc_dsp_smusd(x, y) + sum;
}

static inline uint32_t qc_dsp_smlsdx(uint32_t x, uint32_t y, uint32_t sum) {
    return qc_dsp_smusdx(x, y) + sum;
}

/* Exact, but for the sum, which wraps around at 64 bits. */
static inline uint64_t qc_dsp_smlald(uint32_t x, uint32_t y, uint64_t sum) {
    int64_t products = (int64_t)qc_dsp_lane16(x, 0) * qc_dsp_lane16(y, 0) +
                       (int64_t)qc_dsp_lane16(x, 1) * qc_dsp_lane16(y, 1);
    return sum + (uint64_t)products;
}

static inline uint64_t qc_dsp_smlaldx(uint32_t x, uint32_t y, uint64_t sum) {
    return qc_dsp_smlald(x, qc_dsp_ror(y, 16), sum);
}

/* sum + the high word of the 64-bit product, which is rounded down. */
static inline int32_t qc_dsp_smmla(int32_t x, int32_t y, int32_t sum) {
    uint64_t exact = (uint64_t)((int64_t)x * y) + ((uint64_t)(uint32_t)sum << 32);
    return qc_dsp_signed((uint32_t)(exact >> 32));
}

/* Saturating at 32 bits. */
static inline int32_t qc_dsp_qadd(int32_t x, int32_t y) {
    return qc_dsp_clamp((int64_t)x + y, INT32_MIN, INT32_MAX);
}

static inline int32_t qc_dsp_qsub(int32_t x, int32_t y) {
    return qc_dsp_clamp((int64_t)x - y, INT32_MIN, INT32_MAX);
}

/* x in the range of a signed number of `bits` bits, 1 to 32. */
static inline int32_t qc_dsp_ssat(int32_t x, uint32_t bits) {
    int64_t end = (int64_t)1 << (bits - 1);
    return qc_dsp_clamp(x, -end, end - 1);
}

/* x in the range of an unsigned number of `bits` bits, 0 to 31. */
static inline uint32_t qc_dsp_usat(int32_t x, uint32_t bits) {
    return (uint32_t)qc_dsp_clamp(x, 0, ((int64_t)1 << bits) - 1);
}

/* Lane 0 of x, and lane 1 of y << shift. */
static inline uint32_t qc_dsp_pkhbt(uint32_t x, uint32_t y, uint32_t shift) {
    return (x & 0x0000FFFFu) | ((y << shift) & 0xFFFF0000u);
}

/* Lane 1 of x, and lane 0 of y >> shift (arithmetic), 0 <= shift < 32. */
static inline uint32_t qc_dsp_pkhtb(uint32_t x, uint32_t y, uint32_t shift) {
    return (x & 0xFFFF0000u) | ((uint32_t)((uint64_t)(int64_t)qc_dsp_signed(y) >> shift) & 0x0000FFFFu);
}

/* ---- the CMSIS names ---- */

#if !defined(__CMSIS_COMPILER_H) && !defined(__CMSIS_GCC_H)

#if QC_HAS_DSP
#define QC_DSP_1(NAME, instruction)                                                                                    \
    static inline uint32_t NAME(uint32_t x) {                                                                          \
        uint32_t result;                                                                                               \
        __asm__(#instruction " %0, %1" : "=r"(result) : "r"(x));                                                       \
        return result;                                                                                                 \
    }
#define QC_DSP_2(NAME, instruction, type)                                                                              \
    static inline type NAME(type x, type y) {                                                                          \
        type result;                                                                                                   \
        __asm__(#instruction " %0, %1, %2" : "=r"(result) : "r"(x), "r"(y));                                           \
        return result;                                                                                                 \
    }
#define QC_DSP_3(NAME, instruction, type)                                                                              \
    static inline type NAME(type x, type y, type sum) {                                                                \
        type result;                                                                                                   \
        __asm__(#instruction " %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));                             \
        return result;                                                                                                 \
    }
#define QC_DSP_LONG(NAME, instruction)                                                                                 \
    static inline uint64_t NAME(uint32_t x, uint32_t y, uint64_t sum) {                                                \
        uint32_t low = (uint32_t)sum, high = (uint32_t)(sum >> 32);                                                    \
        __asm__(#instruction " %0, %1, %2, %3" : "+r"(low), "+r"(high) : "r"(x), "r"(y));                              \
        return (uint64_t)high << 32 | low;                                                                             \
    }
#else
#define QC_DSP_1(NAME, instruction)                                                                                    \
    static inline uint32_t NAME(uint32_t x) {                                                                          \
        return qc_dsp_##instruction(x);                                                                                \
    }
#define QC_DSP_2(NAME, instruction, type)                                                                              \
    static inline type NAME(type x, type y) {                                                                          \
        return qc_dsp_##instruction(x, y);                                                                             \
    }
#define QC_DSP_3(NAME, instruction, type)                                                                              \
    static inline type NAME(type x, type y, type sum) {                                                                \
        return qc_dsp_##instruction(x, y, sum);                                                                        \
    }
#define QC_DSP_LONG(NAME, instruction)                                                                                 \
    static inline uint64_t NAME(uint32_t x, uint32_t y, uint64_t sum) {                                                \
        return qc_dsp_##instruction(x, y, sum);                                                                        \
    }
#endif

QC_DSP_1(__SXTB16, sxtb16)
QC_DSP_1(__UXTB16, uxtb16)
QC_DSP_2(__SXTAB16, sxtab16, uint32_t)
QC_DSP_2(__UXTAB16, uxtab16, uint32_t)
QC_DSP_2(__SADD16, sadd16, uint32_t)
QC_DSP_2(__SSUB16, ssub16, uint32_t)
QC_DSP_2(__QADD16, qadd16, uint32_t)
QC_DSP_2(__QSUB16, qsub16, uint32_t)
QC_DSP_2(__SMUAD, smuad, uint32_t)
QC_DSP_2(__SMUADX, smuadx, uint32_t)
QC_DSP_2(__SMUSD, smusd, uint32_t)
QC_DSP_2(__SMUSDX, smusdx, uint32_t)
QC_DSP_2(__QADD, qadd, int32_t)
QC_DSP_2(__QSUB, qsub, int32_t)
QC_DSP_3(__SMLAD, smlad, uint32_t)
QC_DSP_3(__SMLADX, smladx, uint32_t)
QC_DSP_3(__SMLSD, smlsd, uint32_t)
QC_DSP_3(__SMLSDX, smlsdx, uint32_t)
QC_DSP_3(__SMMLA, smmla, int32_t)
QC_DSP_LONG(__SMLALD, smlald)
QC_DSP_LONG(__SMLALDX, smlaldx)

/* The compiler makes one instruction of it. */
static inline uint32_t __ROR(uint32_t x, uint32_t n) {
    return qc_dsp_ror(x, n);
}

/* With a constant as their last argument, as in CMSIS. */
#if QC_HAS_DSP
#define __SSAT(x, bits)                                                                                                \
    __extension__({                                                                                                    \
        int32_t qc_dsp_result;                                                                                         \
        __asm__("ssat %0, %1, %2" : "=r"(qc_dsp_result) : "I"(bits), "r"((int32_t)(x)));                               \
        qc_dsp_result;                                                                                                 \
    })
#define __USAT(x, bits)                                                                                                \
    __extension__({                                                                                                    \
        uint32_t qc_dsp_result;                                                                                        \
        __asm__("usat %0, %1, %2" : "=r"(qc_dsp_result) : "I"(bits), "r"((int32_t)(x)));                               \
        qc_dsp_result;                                                                                                 \
    })
#define __PKHBT(x, y, shift)                                                                                           \
    __extension__({                                                                                                    \
        uint32_t qc_dsp_result;                                                                                        \
        __asm__("pkhbt %0, %1, %2, lsl %3"                                                                             \
                : "=r"(qc_dsp_result)                                                                                  \
                : "r"((uint32_t)(x)), "r"((uint32_t)(y)), "I"(shift));                                                 \
        qc_dsp_result;                                                                                                 \
    })
#define __PKHTB(x, y, shift)                                                                                           \
    __extension__({                                                                                                    \
        uint32_t qc_dsp_result;                                                                                        \
        if ((shift) == 0) {                                                                                            \
            __asm__("pkhtb %0, %1, %2" : "=r"(qc_dsp_result) : "r"((uint32_t)(x)), "r"((uint32_t)(y)));                \
        } else {                                                                                                       \
            __asm__("pkhtb %0, %1, %2, asr %3"                                                                         \
                    : "=r"(qc_dsp_result)                                                                              \
                    : "r"((uint32_t)(x)), "r"((uint32_t)(y)), "I"((shift) == 0 ? 1 : (shift)));                        \
        }                                                                                                              \
        qc_dsp_result;                                                                                                 \
    })
#define __SXTB16_RORn(x, rotate)                                                                                       \
    __extension__({                                                                                                    \
        uint32_t qc_dsp_result;                                                                                        \
        __asm__("sxtb16 %0, %1, ror %2" : "=r"(qc_dsp_result) : "r"((uint32_t)(x)), "I"(rotate));                      \
        qc_dsp_result;                                                                                                 \
    })
#define __SXTAB16_RORn(x, y, rotate)                                                                                   \
    __extension__({                                                                                                    \
        uint32_t qc_dsp_result;                                                                                        \
        __asm__("sxtab16 %0, %1, %2, ror %3"                                                                           \
                : "=r"(qc_dsp_result)                                                                                  \
                : "r"((uint32_t)(x)), "r"((uint32_t)(y)), "I"(rotate));                                                \
        qc_dsp_result;                                                                                                 \
    })
#else
#define __SSAT(x, bits) qc_dsp_ssat((x), (bits))
#define __USAT(x, bits) qc_dsp_usat((x), (bits))
#define __PKHBT(x, y, shift) qc_dsp_pkhbt((x), (y), (shift))
#define __PKHTB(x, y, shift) qc_dsp_pkhtb((x), (y), (shift))
#define __SXTB16_RORn(x, rotate) qc_dsp_sxtb16(qc_dsp_ror((x), (rotate)))
#define __SXTAB16_RORn(x, y, rotate) qc_dsp_sxtab16((x), qc_dsp_ror((y), (rotate)))
#endif

#undef QC_DSP_1
#undef QC_DSP_2
#undef QC_DSP_3
#undef QC_DSP_LONG

#endif /* CMSIS's own */

#endif
