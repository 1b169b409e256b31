/* Element-wise operators with two inputs and broadcasting: ADD, SUB, MUL.
 *
 * Every kernel walks the output in order and applies one scalar rule to a pair of elements.
 * elementwise_rules.h holds the rules; vector versions compile the same text for other instructions. */
#ifndef QUANTCORE_ELEMENTWISE_H
#define QUANTCORE_ELEMENTWISE_H

#include "quantcore/pair_sum.h"
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

/* Which elements of a row a backend's vector code computes, by a rule of its own: the leading `block * n` of
 * them, for the greatest n that fits. block: 0 for none. variant: which rule. */
typedef struct {
    int32_t block;
    int32_t variant;
} qc_body;

enum {
    QC_ADD_COMBINED = 0,  /* the shifts combined before the product */
    QC_ADD_TRUNCATED = 1, /* the shift after the product, truncating */
};

/* ADD and SUB on integers with scales s1, s2 and s. Both inputs are brought to the scale 2 * max(s1, s2),
 * with left_shift extra bits; the sum is brought to the output's scale:
 *
 *   A = rounding_divide_by_pot(srdhm((q1 + input1_offset) << left_shift, input1_multiplier), -input1_shift)
 *   B likewise from q2
 *   y = clamp(double_rounding(A + B; output_multiplier, output_shift) + output_offset)     SUB: A - B
 *
 * In a vector body of ADD, A is, and B likewise,
 *
 *   QC_ADD_COMBINED:  srdhm((q1 + input1_offset) << (left_shift + input1_shift), input1_multiplier)
 *   QC_ADD_TRUNCATED: srdhm((q1 + input1_offset) << left_shift, input1_multiplier) >> -input1_shift
 *
 * (a negative shift left is a truncating one right), and for 8-bit outputs the requantized sum and its sum with
 * the output's offset wrap to 16 bits.
 *
 * offsets: minus the zero points of the inputs, the zero point of the output. left_shift: 20 for 8-bit
 * elements, 15 for int16. multipliers: 0 or in [2^30, 2^31). shifts: in [-31, 0]. body: of rows in which both
 * inputs advance; repeated_body: of rows in which one input is a single element. The sums: what qc_fit_add found to
 * have the same results, for 8 bits; all zeros where it was not asked.
 * Source: TFLite kernels/internal/reference/integer_ops/add.h and reference/sub.h; the bodies:
 * kernels/internal/optimized/integer_ops/add.h and optimized_ops.h. */
typedef struct {
    qc_body body;
    qc_body repeated_body;
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
    qc_pair_sum plain_sum;
    qc_pair_sum body_sum;
    qc_pair_sum repeated_sum;
} qc_add_rule;

typedef struct {
    qc_broadcast broadcast;
    qc_add_rule rule;
} qc_add_params;

/* ADD and SUB as one fixed-point sum, rounded once, half up:
 *
 *   y = clamp(((q1 + input1_offset) * weight1 + (q2 + input2_offset) * weight2 + 2^(shift-1)) >> shift)
 *       + output_offset, clamped
 *
 * offsets: in [-255, 255]. |weights|: at most 2^21. shift: in [1, 30].
 * Source: XNNPACK src/qs8-vadd, src/microparams-init.c. */
typedef struct {
    int32_t input1_offset;
    int32_t input2_offset;
    int32_t weight1;
    int32_t weight2;
    int32_t shift;
    int32_t output_offset;
    int32_t activation_min;
    int32_t activation_max;
} qc_weighted_sum_rule;

typedef struct {
    qc_broadcast broadcast;
    qc_weighted_sum_rule rule;
} qc_weighted_sum_params;

/* ADD and SUB on int16 whose scales are powers of two, and of which one or both are the output's:
 *
 *   y = clamp(rounding_divide_by_pot(q1, shift1) + rounding_divide_by_pot(q2, shift2))     SUB: minus
 *
 * shifts: in [0, 15]. Source: TFLite kernels/internal/reference/{add,sub}.h. */
typedef struct {
    int32_t shift1;
    int32_t shift2;
    int32_t activation_min;
    int32_t activation_max;
} qc_shifted_sum_rule;

typedef struct {
    qc_broadcast broadcast;
    qc_shifted_sum_rule rule;
} qc_shifted_sum_params;

enum {
    QC_MUL_SATURATED = 0, /* the requantized product saturates to 16 bits */
    QC_MUL_WRAPPED = 1,   /* it wraps to 16 bits */
    QC_MUL_VANISHED = 2,  /* it is 0: a vector shift by 32 bits or more leaves nothing */
};

/* MUL on integers with scales: y = requantize((q1 + input1_offset) * (q2 + input2_offset)).
 * offsets: minus the zero points, in [-255, 255]; 0 for int16. requant: per tensor.
 * In a vector body (8 bits; QC_DOUBLE_ROUNDING alone) the requantized product is narrowed to 16 bits, and its sum
 * with the output's offset wraps to 16 bits. body, repeated_body: as for ADD.
 * Source: TFLite kernels/internal/reference/integer_ops/mul.h, optimized/integer_ops/mul.h, optimized_ops.h. */
typedef struct {
    qc_broadcast broadcast;
    qc_body body;
    qc_body repeated_body;
    int32_t input1_offset;
    int32_t input2_offset;
    qc_requant requant;
} qc_mul_params;

/* Arithmetic without scales: y = clamp(q1 op q2, activation_min, activation_max). Integers wrap as two's
 * complement does; a NaN passes the clamp. The kernels <op>_f32_flushed take subnormal inputs for zeros, and make
 * zeros of subnormal results. Source: TFLite kernels/internal/reference/{add,sub,mul}.h. */
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

/* Fills the sums of a rule of ADD or SUB on 8 bits, once per model; left_shift is 20. scratch: none. */
typedef struct {
    int32_t is_sub;
    int32_t is_unsigned; /* uint8 */
} qc_fit_add_params;

qc_status qc_fit_add_ref(const qc_fit_add_params *params, const qc_add_rule *rule, qc_add_rule *fitted, void *scratch);

/* Inputs have the dimensions that `broadcast` walks, the output those of broadcast.shape; the output must
 * not overlap an input. scratch: none. */
#define QC_DECLARE_BINARY(name, P, T) \
    qc_status qc_##name(const P *params, const T *input1, const T *input2, T *output, void *scratch);

QC_DECLARE_BINARY(add_s8_ref, qc_add_params, int8_t)
QC_DECLARE_BINARY(add_u8_ref, qc_add_params, uint8_t)
QC_DECLARE_BINARY(add_s16_ref, qc_add_params, int16_t)
QC_DECLARE_BINARY(sub_s8_ref, qc_add_params, int8_t)
QC_DECLARE_BINARY(sub_u8_ref, qc_add_params, uint8_t)
QC_DECLARE_BINARY(sub_s16_ref, qc_add_params, int16_t)
QC_DECLARE_BINARY(weighted_sum_s8_ref, qc_weighted_sum_params, int8_t)
QC_DECLARE_BINARY(weighted_sum_u8_ref, qc_weighted_sum_params, uint8_t)
QC_DECLARE_BINARY(mul_s8_ref, qc_mul_params, int8_t)
QC_DECLARE_BINARY(mul_u8_ref, qc_mul_params, uint8_t)
QC_DECLARE_BINARY(mul_s16_ref, qc_mul_params, int16_t)
QC_DECLARE_BINARY(add_shifted_s16_ref, qc_shifted_sum_params, int16_t)
QC_DECLARE_BINARY(sub_shifted_s16_ref, qc_shifted_sum_params, int16_t)
QC_DECLARE_BINARY(add_f32_ref, qc_arithmetic_f32_params, float)
QC_DECLARE_BINARY(sub_f32_ref, qc_arithmetic_f32_params, float)
QC_DECLARE_BINARY(mul_f32_ref, qc_arithmetic_f32_params, float)
QC_DECLARE_BINARY(add_s32_ref, qc_arithmetic_s32_params, int32_t)
QC_DECLARE_BINARY(sub_s32_ref, qc_arithmetic_s32_params, int32_t)
QC_DECLARE_BINARY(mul_s32_ref, qc_arithmetic_s32_params, int32_t)
QC_DECLARE_BINARY(add_s64_ref, qc_arithmetic_s64_params, int64_t)
QC_DECLARE_BINARY(sub_s64_ref, qc_arithmetic_s64_params, int64_t)
QC_DECLARE_BINARY(mul_s64_ref, qc_arithmetic_s64_params, int64_t)
QC_DECLARE_BINARY(add_f32_flushed_ref, qc_arithmetic_f32_params, float)
QC_DECLARE_BINARY(sub_f32_flushed_ref, qc_arithmetic_f32_params, float)
QC_DECLARE_BINARY(mul_f32_flushed_ref, qc_arithmetic_f32_params, float)
QC_DECLARE_BINARY(div_f32_flushed_ref, qc_arithmetic_f32_params, float)

/* SQUARED_DIFFERENCE; on 8 bits with left_shift 7: d = A - B as in SUB, y = clamp(double_rounding(d * d) + offset).
 * Source: TFLite kernels/squared_difference.cc. */
QC_DECLARE_BINARY(squared_difference_s8_ref, qc_add_params, int8_t)
QC_DECLARE_BINARY(squared_difference_s32_ref, qc_arithmetic_s32_params, int32_t)
QC_DECLARE_BINARY(squared_difference_f32_ref, qc_arithmetic_f32_params, float)
QC_DECLARE_BINARY(squared_difference_f32_flushed_ref, qc_arithmetic_f32_params, float)

#endif
