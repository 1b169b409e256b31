/* Element-wise operators with two inputs and broadcasting: ADD, SUB, MUL.
 *
 * Every kernel walks the output in order and applies one scalar rule to a pair of elements.
 * elementwise_rules.h holds the rules; vector versions compile the same text for other instructions. */
#ifndef QUANTCORE_ELEMENTWISE_H
#define QUANTCORE_ELEMENTWISE_H

#include "quantcore/requantize.h"
#include "quantcore/status.h"

#define QC_BROADCAST_RANK 8

/* Shapes after broadcasting, innermost dimension last.
 * shape: of the output, each >= 0. stride1, stride2: distance in elements between neighbours of input 1
 * and 2 along a dimension, 0 where the input repeats; the innermost ones are 0 or 1. */
typedef struct {
    int32_t rank; /* in [1, QC_BROADCAST_RANK] */
    int32_t shape[QC_BROADCAST_RANK];
    int64_t stride1[QC_BROADCAST_RANK];
    int64_t stride2[QC_BROADCAST_RANK];
} qc_broadcast;

/* ADD and SUB on integers with scales s1, s2 and s. Both inputs are brought to the scale 2 * max(s1, s2),
 * with left_shift extra bits; the sum is brought to the output's scale:
 *
 *   A = rounding_divide_by_pot(srdhm((q1 + input1_offset) << left_shift, input1_multiplier), -input1_shift)
 *   B likewise from q2
 *   y = clamp(double_rounding(A + B; output_multiplier, output_shift) + output_offset)     SUB: A - B
 *
 * offsets: minus the zero points of the inputs, the zero point of the output. left_shift: 20 for 8-bit
 * elements. multipliers: 0 or in [2^30, 2^31). shifts: in [-31, 0].
 * Source: TFLite kernels/internal/reference/integer_ops/add.h and reference/sub.h. */
typedef struct {
    int32_t left_shift;
    int32_t input1_offset;
    int32_t input1_multiplier;
    int32_t input1_shift;
    int32_t input2_offset;
    int32_t input2_multiplier;
    int32_t input2_shift;
    int32_t output_offset;
    int32_t output_multiplier;
    int32_t output_shift;
    int32_t activation_min;
    int32_t activation_max;
} qc_add_rule;

typedef struct {
    qc_broadcast broadcast;
    qc_add_rule rule;
} qc_add_params;

/* MUL on integers with scales: y = requantize((q1 + input1_offset) * (q2 + input2_offset)).
 * offsets: minus the zero points, in [-255, 255]. requant: per tensor.
 * Source: TFLite kernels/internal/reference/integer_ops/mul.h. */
typedef struct {
    qc_broadcast broadcast;
    int32_t input1_offset;
    int32_t input2_offset;
    qc_requant requant;
} qc_mul_params;

/* Arithmetic without scales: y = clamp(q1 op q2, activation_min, activation_max). Integers wrap as two's
 * complement does; a NaN passes the clamp. Source: TFLite kernels/internal/reference/{add,sub,mul}.h. */
typedef struct {
    qc_broadcast broadcast;
    float activation_min;
    float activation_max;
} qc_arithmetic_f32_params;

typedef struct {
    qc_broadcast broadcast;
    int32_t activation_min;
    int32_t activation_max;
} qc_arithmetic_s32_params;

typedef struct {
    qc_broadcast broadcast;
    int64_t activation_min;
    int64_t activation_max;
} qc_arithmetic_s64_params;

/* Inputs have the dimensions that `broadcast` walks, the output those of broadcast.shape; the output must
 * not overlap an input. scratch: none. */
#define QC_DECLARE_BINARY(name, P, T) \
    qc_status qc_##name(const P *params, const T *input1, const T *input2, T *output, void *scratch);
#define QC_DECLARE_QUANTIZED_BINARY(isa)                \
    QC_DECLARE_BINARY(add_s8_##isa, qc_add_params, int8_t)  \
    QC_DECLARE_BINARY(add_u8_##isa, qc_add_params, uint8_t) \
    QC_DECLARE_BINARY(sub_s8_##isa, qc_add_params, int8_t)  \
    QC_DECLARE_BINARY(sub_u8_##isa, qc_add_params, uint8_t) \
    QC_DECLARE_BINARY(mul_s8_##isa, qc_mul_params, int8_t)  \
    QC_DECLARE_BINARY(mul_u8_##isa, qc_mul_params, uint8_t)

#define QC_DECLARE_ARITHMETIC(suffix, isa, T)                                    \
    QC_DECLARE_BINARY(add_##suffix##_##isa, qc_arithmetic_##suffix##_params, T)  \
    QC_DECLARE_BINARY(sub_##suffix##_##isa, qc_arithmetic_##suffix##_params, T)  \
    QC_DECLARE_BINARY(mul_##suffix##_##isa, qc_arithmetic_##suffix##_params, T)

QC_DECLARE_QUANTIZED_BINARY(ref)
QC_DECLARE_ARITHMETIC(f32, ref, float)
QC_DECLARE_ARITHMETIC(s32, ref, int32_t)
QC_DECLARE_ARITHMETIC(s64, ref, int64_t)

#if defined(__x86_64__)
QC_DECLARE_QUANTIZED_BINARY(avx2)
QC_DECLARE_ARITHMETIC(f32, avx2, float)
QC_DECLARE_QUANTIZED_BINARY(avx512)
#endif

#endif
