/* Affine quantization: real = scale * (q - zero_point).
 *
 * Arrays are seen as [outer][channels][inner], row-major; per-tensor parameters are the case
 * channels = 1. Derivations: docs/numerics/README.md. Sources of the rules: TFLite
 * kernels/internal/reference/{quantize,dequantize,requantize}.h. */
#ifndef QUANTCORE_AFFINE_H
#define QUANTCORE_AFFINE_H

#include "quantcore/requantize.h"
#include "quantcore/status.h"

/* scale: [channels]. zero_point: [channels]. qmin, qmax: bounds of the quantized values, within the
 * range of the quantized type (not used by dequantization). */
typedef struct {
    int64_t outer;
    int64_t channels;
    int64_t inner;
    const float *scale;
    const int32_t *zero_point;
    int32_t qmin;
    int32_t qmax;
} qc_affine_params;

/* v rounded half away from zero to int32. NaN and values outside int32 give INT32_MIN, whatever their
 * sign: the result of x86's conversion instruction, which TFLite's kernels are compiled to. */
static inline int32_t qc_round_float_to_int32(float v) {
    const float r = roundf(v);
    return r >= -2147483648.0f && r < 2147483648.0f ? (int32_t)r : INT32_MIN;
}

/* clamp(round(x / scale) + zero_point, qmin, qmax): a true division in float32; the sum wraps. */
static inline int32_t qc_quantize_one(float x, float scale, int32_t zero_point, int32_t qmin, int32_t qmax) {
    const int32_t q = qc_wrap32((int64_t)qc_round_float_to_int32(x / scale) + zero_point);
    return qc_clamp(q, qmin, qmax);
}

/* scale * (q - zero_point), the product in float64, rounded once more to float32. */
static inline float qc_dequantize_one(int32_t q, float scale, int32_t zero_point) {
    return (float)((double)scale * (double)((int64_t)q - zero_point));
}

/* IEEE binary16 to binary32, exact. A NaN becomes quiet and keeps its sign and payload. */
float qc_half_to_float(uint16_t half);

typedef struct {
    int64_t count;
} qc_half_params;

#define QC_DECLARE_AFFINE(name, In, Out)                                                           \
    qc_status name(const qc_affine_params *params, const In *input, Out *output, void *scratch);

/* QUANTIZE from float32. input and output hold outer * channels * inner elements. */
QC_DECLARE_AFFINE(qc_quantize_f32_s8_ref, float, int8_t)
QC_DECLARE_AFFINE(qc_quantize_f32_u8_ref, float, uint8_t)
QC_DECLARE_AFFINE(qc_quantize_f32_s16_ref, float, int16_t)
QC_DECLARE_AFFINE(qc_quantize_f32_s32_ref, float, int32_t)

/* DEQUANTIZE to float32; from float16 it is a conversion without a scale. */
QC_DECLARE_AFFINE(qc_dequantize_s8_f32_ref, int8_t, float)
QC_DECLARE_AFFINE(qc_dequantize_u8_f32_ref, uint8_t, float)
QC_DECLARE_AFFINE(qc_dequantize_s16_f32_ref, int16_t, float)
QC_DECLARE_AFFINE(qc_dequantize_s32_f32_ref, int32_t, float)
qc_status qc_dequantize_f16_f32_ref(const qc_half_params *params, const uint16_t *input, float *output, void *scratch);

/* QUANTIZE and DEQUANTIZE, per tensor, where a backend computes them otherwise than above. The first `body`
 * elements, in [0, count], go by the backend's vector code, the others by its scalar code. qmin, qmax: as in
 * qc_affine_params, not used by dequantization. */
typedef struct {
    int64_t count;
    int64_t body;
    float scale;
    int32_t zero_point;
    int32_t qmin;
    int32_t qmax;
} qc_affine_body_params;

/* v rounded half to even to int32; NaN and values outside int32 give INT32_MIN, as x86's conversion. */
static inline int32_t qc_round_even_to_int32(float v) {
    const float r = nearbyintf(v);
    return r >= -2147483648.0f && r < 2147483648.0f ? (int32_t)r : INT32_MIN;
}

#define QC_DECLARE_AFFINE_BODY(name, In, Out)                                                      \
    qc_status name(const qc_affine_body_params *params, const In *input, Out *output, void *scratch);

/* TFLite's optimized QUANTIZE: a product with the reciprocal of the scale, half to even; what is left after
 * the body: a division in float64, half away from zero. Source: kernels/internal/optimized/optimized_ops.h. */
QC_DECLARE_AFFINE_BODY(qc_quantize_reciprocal_f32_s8_ref, float, int8_t)
QC_DECLARE_AFFINE_BODY(qc_quantize_reciprocal_f32_u8_ref, float, uint8_t)
QC_DECLARE_AFFINE_BODY(qc_quantize_reciprocal_f32_s16_ref, float, int16_t)

/* XNNPACK's QUANTIZE: the same product, saturated to 16 bits before and after the zero point is added. NaN
 * is the highest value. `body` is not used. Source: XNNPACK src/f32-qs8-vcvt. */
QC_DECLARE_AFFINE_BODY(qc_quantize_saturating_f32_s8_ref, float, int8_t)
QC_DECLARE_AFFINE_BODY(qc_quantize_saturating_f32_u8_ref, float, uint8_t)

/* TFLite's optimized DEQUANTIZE: q * scale + (-zero_point * scale), each term rounded; what is left after the
 * body: qc_dequantize_one. */
QC_DECLARE_AFFINE_BODY(qc_dequantize_terms_s8_f32_ref, int8_t, float)
QC_DECLARE_AFFINE_BODY(qc_dequantize_terms_u8_f32_ref, uint8_t, float)

/* DEQUANTIZE of 4-bit numbers, two per byte, the low half first: input holds half as many bytes, rounded up. */
QC_DECLARE_AFFINE(qc_dequantize_s4_f32_ref, uint8_t, float)
QC_DECLARE_AFFINE_BODY(qc_dequantize_terms_s4_f32_ref, uint8_t, float)

/* QUANTIZE from a quantized type: y = clamp(rule(q - input_zero_point) + output_offset), per tensor.
 * The difference wraps. The bounds are requant.activation_min/max; requant.body counts elements.
 * table: of 8 bits to 8 bits, the results in the body by input byte, made when the model is lowered; NULL: vector
 * versions make their own where it pays. The definition does not read it. */
typedef struct {
    int64_t count;
    int32_t input_zero_point;
    qc_requant requant;
    const uint8_t *table;
} qc_requantize_params;

/* X(isa, name and type of the input, name and type of the output) for every pair. */
#define QC_REQUANTIZE_8BIT(X, isa)                                                                 \
    X(isa, s8, int8_t, s8, int8_t) X(isa, s8, int8_t, u8, uint8_t) X(isa, u8, uint8_t, s8, int8_t) \
    X(isa, u8, uint8_t, u8, uint8_t)
#define QC_REQUANTIZE_WIDE(X, isa)                                                                 \
    X(isa, s8, int8_t, s16, int16_t) X(isa, s8, int8_t, s32, int32_t) X(isa, u8, uint8_t, s16, int16_t) \
    X(isa, u8, uint8_t, s32, int32_t) X(isa, s16, int16_t, s8, int8_t) X(isa, s16, int16_t, u8, uint8_t) \
    X(isa, s16, int16_t, s16, int16_t) X(isa, s16, int16_t, s32, int32_t) X(isa, s32, int32_t, s8, int8_t) \
    X(isa, s32, int32_t, u8, uint8_t) X(isa, s32, int32_t, s16, int16_t) X(isa, s32, int32_t, s32, int32_t)

#define QC_DECLARE_REQUANTIZE(isa, from, In, to, Out)                                              \
    qc_status qc_requantize_##from##_##to##_##isa(const qc_requantize_params *, const In *input, Out *output, \
                                                  void *scratch);
QC_REQUANTIZE_8BIT(QC_DECLARE_REQUANTIZE, ref)
QC_REQUANTIZE_WIDE(QC_DECLARE_REQUANTIZE, ref)

#endif
