/* 8 integers of any type as two vectors of int32, and back; a store keeps the low bits. */
#ifndef QUANTCORE_ARM_LANES_NEON_H
#define QUANTCORE_ARM_LANES_NEON_H

#include <arm_neon.h>

static inline int32x4x2_t qc_load_8_s16_lanes(int16x8_t x) {
    const int32x4x2_t wide = {{vmovl_s16(vget_low_s16(x)), vmovl_high_s16(x)}};
    return wide;
}
static inline int32x4x2_t qc_load_8_s8(const int8_t *p) {
    return qc_load_8_s16_lanes(vmovl_s8(vld1_s8(p)));
}
static inline int32x4x2_t qc_load_8_u8(const uint8_t *p) {
    return qc_load_8_s16_lanes(vreinterpretq_s16_u16(vmovl_u8(vld1_u8(p))));
}
static inline int32x4x2_t qc_load_8_s16(const int16_t *p) {
    return qc_load_8_s16_lanes(vld1q_s16(p));
}
static inline int32x4x2_t qc_load_8_s32(const int32_t *p) {
    const int32x4x2_t x = {{vld1q_s32(p), vld1q_s32(p + 4)}};
    return x;
}
static inline int32x4x2_t qc_repeat_8(int32_t x) {
    const int32x4x2_t all = {{vdupq_n_s32(x), vdupq_n_s32(x)}};
    return all;
}

static inline int16x8_t qc_narrow_8(int32x4x2_t x) {
    return vmovn_high_s32(vmovn_s32(x.val[0]), x.val[1]);
}
static inline void qc_store_8_s8(int8_t *p, int32x4x2_t x) {
    vst1_s8(p, vmovn_s16(qc_narrow_8(x)));
}
static inline void qc_store_8_u8(uint8_t *p, int32x4x2_t x) {
    vst1_u8(p, vreinterpret_u8_s8(vmovn_s16(qc_narrow_8(x))));
}
static inline void qc_store_8_s16(int16_t *p, int32x4x2_t x) {
    vst1q_s16(p, qc_narrow_8(x));
}
static inline void qc_store_8_s32(int32_t *p, int32x4x2_t x) {
    vst1q_s32(p, x.val[0]);
    vst1q_s32(p + 4, x.val[1]);
}

#endif
