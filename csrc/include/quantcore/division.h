/* DIV, FLOOR_DIV, FLOOR_MOD: two inputs that broadcast. A divisor of 0 is QC_BAD_DATA, but for the float forms of
 * DIV and FLOOR_MOD. scratch: none. */
#ifndef QUANTCORE_DIVISION_H
#define QUANTCORE_DIVISION_H

#include "quantcore/elementwise.h"

/* DIV on integers with scales s1, s2 and s. With x = q1 + input1_offset, d = q2 + input2_offset (d > 0; otherwise
 * both change sign), h the number of redundant sign bits of x, and d = D * 2^(k - 31), D in [2^31, 2^32):
 *
 *   quotient = srdhm(x << h, 2^62 / D in fixed point)
 *   y = clamp(rounding_divide_by_pot(srdhm(quotient, multiplier), h + k - shift) + output_offset)
 *
 * The last shift can leave [0, 31], where C leaves the result undefined: see qc_div_shift.
 * multiplier, shift: of float32(s1 / float32(s2 * s)). divisors: number of elements of input 2.
 * Source: TFLite kernels/div.cc, kernels/internal/reference/div.h. */
typedef struct {
    qc_broadcast broadcast;
    int64_t divisors;
    int32_t input1_offset;
    int32_t input2_offset;
    int32_t multiplier;
    int32_t shift;
    int32_t output_offset;
    int32_t activation_min;
    int32_t activation_max;
} qc_div_params;

qc_status qc_div_s8_ref(const qc_div_params *, const int8_t *, const int8_t *, int8_t *, void *scratch);
qc_status qc_div_u8_ref(const qc_div_params *, const uint8_t *, const uint8_t *, uint8_t *, void *scratch);
qc_status qc_div_s16_ref(const qc_div_params *, const int16_t *, const int16_t *, int16_t *, void *scratch);

/* Division without scales. divisors: number of elements of input 2.
 *
 *   DIV        clamp(x / d), integers toward zero
 *   FLOOR_DIV  floor(x / d) in float64
 *   FLOOR_MOD  remainder with the sign of d
 *
 * The least integer by -1 wraps (DIV, FLOOR_DIV), or leaves 0 (FLOOR_MOD).
 * Source: TFLite kernels/internal/reference/{div,floor_div,floor_mod}.h. */
typedef struct {
    qc_arithmetic_f32_params arithmetic;
    int64_t divisors;
} qc_division_f32_params;

typedef struct {
    qc_arithmetic_s32_params arithmetic;
    int64_t divisors;
} qc_division_s32_params;

typedef struct {
    qc_broadcast broadcast;
    int64_t divisors;
} qc_floor_params;

qc_status qc_div_f32_ref(const qc_division_f32_params *, const float *, const float *, float *, void *);
qc_status qc_div_s32_ref(const qc_division_s32_params *, const int32_t *, const int32_t *, int32_t *, void *);

#define QC_FLOOR_KERNELS(X)                                                                                  \
    X(floor_div, s8, int8_t) X(floor_div, s16, int16_t) X(floor_div, s32, int32_t) X(floor_div, f32, float) \
    X(floor_mod, s8, int8_t) X(floor_mod, s16, int16_t) X(floor_mod, s32, int32_t)                          \
    X(floor_mod, s64, int64_t) X(floor_mod, f32, float)

#define QC_FLOOR_PROTOTYPE(op, suffix, T) \
    qc_status qc_##op##_##suffix##_ref(const qc_floor_params *, const T *, const T *, T *, void *scratch);
QC_FLOOR_KERNELS(QC_FLOOR_PROTOTYPE)
#undef QC_FLOOR_PROTOTYPE

#endif
