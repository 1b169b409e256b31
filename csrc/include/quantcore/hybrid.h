/* Hybrid operators: float32 activations, int8 filters ("dynamic range"). The activations are quantized on the
 * fly, the products are summed in int32, and the sum is scaled back to float32.
 *
 * Source of the rules: TFLite kernels/internal/optimized/neon_tensor_utils.cc (SymmetricQuantizeFloats,
 * AsymmetricQuantizeFloats), which the reference kernels call too. Derivation: docs/numerics/hybrid.md. */
#ifndef QUANTCORE_HYBRID_H
#define QUANTCORE_HYBRID_H

#include <stdint.h>

/* The scale and zero point of quantized activations: real = scale * (q - zero_point). */
typedef struct {
    float scale;
    int32_t zero_point;
} qc_hybrid_scale;

/* The loops of a quantization, which have vector versions. range: *low = min(0, min input), *high =
 * max(0, max input); NaN is passed over. blocks: output[i] = clamp(round(input[i] * inverse_scale) +
 * zero_point, qmin, 127) for whole blocks of 8, as TFLite's vector code rounds. */
typedef struct {
    void (*range)(const float *input, int64_t count, float *low, float *high);
    void (*blocks)(const float *input, int64_t count, float inverse_scale, int32_t zero_point, int32_t qmin,
                   int8_t *output);
} qc_hybrid_loops;

extern const qc_hybrid_loops qc_hybrid_ref;

/* Quantize `count` floats to [-127, 127] with zero point 0: scale = max|x| / 127. All zero: scale 1. */
qc_hybrid_scale qc_hybrid_quantize_symmetric(const qc_hybrid_loops *loops, const float *input,
                                             int64_t count, int8_t *output);

/* Quantize `count` floats to [-128, 127] over the range of the data widened to contain 0. All zero: scale
 * 1, zero point 0. */
qc_hybrid_scale qc_hybrid_quantize_asymmetric(const qc_hybrid_loops *loops, const float *input,
                                              int64_t count, int8_t *output);

/* Whether there is nothing to quantize. */
static inline int qc_hybrid_all_zero(const float *input, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        if (input[i] != 0.0f) return 0;
    }
    return 1;
}

/* By one of the two. */
static inline qc_hybrid_scale qc_hybrid_quantize(const qc_hybrid_loops *loops, int asymmetric, const float *input,
                                                 int64_t count, int8_t *output) {
    return asymmetric ? qc_hybrid_quantize_asymmetric(loops, input, count, output)
                      : qc_hybrid_quantize_symmetric(loops, input, count, output);
}

/* How a hybrid convolution of a filter with a scale per channel makes a float of its sum; with q the scale of the
 * image and w that of the channel, products and sums rounded to float32. */
typedef enum {
    QC_HYBRID_REFERENCE = 0,  /* CONV_2D: sum * w * q + bias; DEPTHWISE_CONV_2D: sum * (w * q) + bias */
    QC_HYBRID_OPTIMIZED = 1,  /* CONV_2D: sum * (w * q) + bias; DEPTHWISE_CONV_2D: sum * w * q + bias in
                                 blocks of 4 channels, sum * q * w + bias in the rest */
} qc_hybrid_form;

/* What TFLite's x86 code for dot products adds to the sum of q[i] * w[i]: it multiplies |q| by w with
 * the sign of q, which for w = -128 and q < 0 has no int8 value and stays -128. Only whole blocks of 16
 * are affected; `position` is the place of q[0] in the row, `depth` the length of the row. */
static inline uint32_t qc_hybrid_sign_overflow(const int8_t *q, const int8_t *w, int64_t count,
                                               int64_t position, int64_t depth) {
    const int64_t blocks_end = depth / 16 * 16 - position;
    const int64_t end = count < blocks_end ? count : blocks_end;
    uint32_t sum = 0;
    for (int64_t i = 0; i < end; ++i) {
        if (w[i] == -128 && q[i] < 0) sum += (uint32_t)(256 * q[i]);
    }
    return sum;
}

/* sum (q - zero_point) * w over a row of quantized activations and one of a filter, as TFLite's x86 code has
 * it; sign_overflow: whether w may contain -128. */
static inline int32_t qc_hybrid_row_sum(const int8_t *q, int32_t zero_point, const int8_t *w, int32_t depth,
                                        int sign_overflow) {
    uint32_t sum = 0;
    for (int32_t d = 0; d < depth; ++d) sum += (uint32_t)((q[d] - zero_point) * w[d]);
    if (sign_overflow) sum += qc_hybrid_sign_overflow(q, w, depth, 0, depth);
    return (int32_t)sum;
}

#endif
