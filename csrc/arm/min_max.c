/* Running minimum and maximum: the result of csrc/reference/min_max.c, 8 elements at a time. */
#include <arm_neon.h>
#include <math.h>

#include "../kernels.h"

/* Widen *low and *high to a run of elements; whether all are finite. */
static int widen_to_run(const float *x, int64_t count, float *low, float *high) {
    const float32x4_t zero = vdupq_n_f32(0.0f);
    float32x4_t lows = vdupq_n_f32(INFINITY), highs = vdupq_n_f32(-INFINITY);
    uint32x4_t greatest = vdupq_n_u32(0); /* of the bits without sign */
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const float32x4_t four = vaddq_f32(vld1q_f32(x + i), zero); /* -0 becomes +0 */
        greatest = vmaxq_u32(greatest, vreinterpretq_u32_f32(vabsq_f32(four)));
        lows = vminq_f32(lows, four);
        highs = vmaxq_f32(highs, four);
    }
    if (vmaxvq_u32(greatest) >= 0x7F800000u) return 0;
    if (i > 0 && vminvq_f32(lows) < *low) *low = vminvq_f32(lows);
    if (i > 0 && vmaxvq_f32(highs) > *high) *high = vmaxvq_f32(highs);
    for (; i < count; ++i) {
        const float one = x[i] + 0.0f;
        if (!isfinite(one)) return 0;
        if (one < *low) *low = one;
        if (one > *high) *high = one;
    }
    return 1;
}

/* One element of each of `count` channels; whether all are finite. */
static int widen_channels(const float *x, int64_t count, float *low, float *high) {
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const float32x4_t four = vaddq_f32(vld1q_f32(x + i), vdupq_n_f32(0.0f));
        if (vmaxvq_u32(vreinterpretq_u32_f32(vabsq_f32(four))) >= 0x7F800000u) return 0;
        const float32x4_t lows = vld1q_f32(low + i), highs = vld1q_f32(high + i);
        vst1q_f32(low + i, vbslq_f32(vcltq_f32(four, lows), four, lows));
        vst1q_f32(high + i, vbslq_f32(vcgtq_f32(four, highs), four, highs));
    }
    for (; i < count; ++i)
        if (!widen_to_run(x + i, 1, low + i, high + i)) return 0;
    return 1;
}

qc_status qc_min_max_f32_neon(const qc_min_max_params *p, const float *input, float *range, void *scratch) {
    (void)scratch;
    float *low = range;
    float *high = range + p->channels;
    for (int64_t o = 0; o < p->outer; ++o) {
        if (p->inner == 1) {
            if (!widen_channels(input, p->channels, low, high)) return QC_BAD_DATA;
            input += p->channels;
            continue;
        }
        for (int64_t c = 0; c < p->channels; ++c, input += p->inner)
            if (!widen_to_run(input, p->inner, low + c, high + c)) return QC_BAD_DATA;
    }
    return QC_OK;
}
