/* Functions of one element: ABS, NEG, SQUARE, SQRT, RSQRT, EXP, LOG, SIN, COS, FLOOR, CEIL, ROUND, SIGN.
 * Flat arrays of `count` elements. scratch: none.
 * Source: TFLite kernels/elementwise.cc, neg.cc, exp.cc, floor.cc, ceil.cc, round.cc, sign.cc. */
#ifndef QUANTCORE_UNARY_H
#define QUANTCORE_UNARY_H

#include "quantcore/requantize.h"
#include "quantcore/status.h"

typedef enum {
    QC_ABS = 0,
    QC_NEG = 1,
    QC_SQUARE = 2,
    QC_SQRT = 3,
    QC_RSQRT = 4, /* 1 / sqrt(x): two roundings */
    QC_EXP = 5,   /* EXP, LOG, SIN, COS: the C library's float functions */
    QC_LOG = 6,
    QC_SIN = 7,
    QC_COS = 8,
    QC_FLOOR = 9,
    QC_CEIL = 10,
    QC_ROUND = 11, /* half to even; 0.0 for -0.5 */
    QC_SIGN = 12,  /* 0 for 0 and NaN */
    QC_RINT = 13,  /* half to even; keeps the sign of a zero: XNNPACK's ROUND */
    QC_ELU = 14,   /* x, or expm1f(x) below 0 */
    QC_ELU_EXP = 15,         /* x, or expf(x) - 1 below 0: TFLite Micro's table */
    QC_GELU = 16,            /* x / 2 * erfcf(-x / sqrt(2)) */
    QC_GELU_TANH = 17,       /* x / 2 * (1 + tanhf(sqrt(2 / pi) * (x + 0.044715 x^3))) */
    QC_GELU_TANH_EIGEN = 18, /* the same with Eigen's tanh */
} qc_unary_function;

/* known_libm: see libm.h. */
typedef struct {
    int64_t count;
    qc_unary_function function;
    int32_t known_libm;
} qc_unary_params;

qc_status qc_unary_f32_ref(const qc_unary_params *, const float *input, float *output, void *scratch);

/* ABS, NEG and SIGN on integers as they are stored; the least integer stays. */
qc_status qc_unary_s8_ref(const qc_unary_params *, const int8_t *input, int8_t *output, void *scratch);
qc_status qc_unary_s16_ref(const qc_unary_params *, const int16_t *input, int16_t *output, void *scratch);
qc_status qc_unary_s32_ref(const qc_unary_params *, const int32_t *input, int32_t *output, void *scratch);
qc_status qc_unary_s64_ref(const qc_unary_params *, const int64_t *input, int64_t *output, void *scratch);

/* ABS with scales: y = requantize(|q + input_offset|). */
typedef struct {
    int64_t count;
    int32_t input_offset;
    qc_requant requant;
} qc_abs_params;

qc_status qc_abs_s8_ref(const qc_abs_params *, const int8_t *input, int8_t *output, void *scratch);
qc_status qc_abs_s16_ref(const qc_abs_params *, const int16_t *input, int16_t *output, void *scratch);

/* SQRT with scales, in float32: y = clamp(trunc(sqrt(input_scale * (q - input_zero_point)) / output_scale) +
 * output_zero_point). A negative number is QC_BAD_DATA. */
typedef struct {
    int64_t count;
    float input_scale;
    int32_t input_zero_point;
    float output_scale;
    int32_t output_zero_point;
} qc_sqrt_params;

qc_status qc_sqrt_s8_ref(const qc_sqrt_params *, const int8_t *input, int8_t *output, void *scratch);
qc_status qc_sqrt_s16_ref(const qc_sqrt_params *, const int16_t *input, int16_t *output, void *scratch);

/* RSQRT with scales: x = q + input_offset; 1 / sqrt(x) with 20 more bits by qc_inverse_sqrt, then
 * y = requantize(it): multiplier and shift of 1 / (sqrt(input scale) * output scale) / 2^20.
 * x = 0 gives the type's largest value; x < 0 is QC_BAD_DATA. */
typedef struct {
    int64_t count;
    int32_t input_offset;
    qc_requant requant;
} qc_rsqrt_params;

qc_status qc_rsqrt_s8_ref(const qc_rsqrt_params *, const int8_t *input, int8_t *output, void *scratch);
qc_status qc_rsqrt_s16_ref(const qc_rsqrt_params *, const int16_t *input, int16_t *output, void *scratch);

#endif
