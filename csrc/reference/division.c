/* DIV, FLOOR_DIV, FLOOR_MOD: the definitions. */
#include "quantcore/division.h"

#include <math.h>

#include "quantcore/elementwise_rules.h"
#include "quantcore/fixed_point_functions.h"

/* Leading zeros of x; 32 for 0. */
static int leading_zeros(uint32_t x) {
    int n = 0;
    for (; n < 32 && !(x >> 31); x <<= 1) ++n;
    return n;
}

/* rounding_divide_by_pot(x, exponent) for any exponent, as TFLite's code does on x86, where a shift counts modulo
 * the width: beyond 31 the quotient is x >> (exponent mod 32), plus 1 for x >= 0 (exponents up to 63). */
static int32_t qc_div_shift(int32_t x, int exponent) {
    const int32_t mask = qc_wrap32((int64_t)(((uint64_t)1 << (exponent & 63)) - 1));
    const int32_t remainder = x & mask;
    const int32_t threshold = (mask >> 1) + (x < 0);
    return (x >> (exponent & 31)) + (remainder > threshold);
}

static int32_t div_one(const qc_div_params *p, int32_t q1, int32_t q2) {
    int32_t x = q1 + p->input1_offset, divisor = q2 + p->input2_offset;
    if (divisor < 0) {
        x = -x;
        divisor = -divisor;
    }
    const int zeros = leading_zeros((uint32_t)divisor);
    const int over_one = 31 - zeros; /* bits of the divisor above its highest */
    const int32_t fraction = (int32_t)(((uint32_t)divisor << zeros) - ((uint32_t)1 << 31));
    const int32_t reciprocal = qc_one_over_one_plus_x(fraction);
    const int headroom = leading_zeros((uint32_t)(x < 0 ? ~x : x)) - 1;
    const int32_t quotient = qc_srdhm(qc_shift_left_wrap(x, headroom), reciprocal);
    const int32_t y = qc_div_shift(qc_srdhm(quotient, p->multiplier), over_one + headroom - p->shift);
    return qc_clamp(qc_wrap32((int64_t)y + p->output_offset), p->activation_min, p->activation_max);
}

#define REFUSE_DIVISOR(zero)                         \
    for (int64_t i = 0; i < p->divisors; ++i)        \
        if (input2[i] == (zero)) return QC_BAD_DATA;

#define DIV_KERNEL(suffix, T)                                                                                \
    QC_BINARY_ROW(div_##suffix##_row, , qc_div_params, T, div_one)                                           \
    qc_status qc_div_##suffix##_ref(const qc_div_params *p, const T *input1, const T *input2, T *output,     \
                                    void *scratch) {                                                         \
        (void)scratch;                                                                                       \
        REFUSE_DIVISOR(-p->input2_offset)                                                                    \
        qc_broadcast_walk(&p->broadcast, p, input1, input2, output, sizeof(T), div_##suffix##_row);          \
        return QC_OK;                                                                                        \
    }

DIV_KERNEL(s8, int8_t)
DIV_KERNEL(u8, uint8_t)
DIV_KERNEL(s16, int16_t)

static int32_t div_s32_one(const qc_arithmetic_s32_params *p, int32_t x, int32_t d) {
    return qc_clamp(qc_wrap32((int64_t)x / d), p->activation_min, p->activation_max);
}

QC_BINARY_ROW(div_f32_row, , qc_arithmetic_f32_params, float, qc_div_f32_one)
QC_BINARY_ROW(div_s32_row, , qc_arithmetic_s32_params, int32_t, div_s32_one)

qc_status qc_div_f32_ref(const qc_division_f32_params *p, const float *input1, const float *input2,
                         float *output, void *scratch) {
    (void)scratch;
    qc_broadcast_walk(&p->arithmetic.broadcast, &p->arithmetic, input1, input2, output, sizeof(float), div_f32_row);
    return QC_OK;
}

qc_status qc_div_s32_ref(const qc_division_s32_params *p, const int32_t *input1, const int32_t *input2,
                         int32_t *output, void *scratch) {
    (void)scratch;
    REFUSE_DIVISOR(0)
    qc_broadcast_walk(&p->arithmetic.broadcast, &p->arithmetic, input1, input2, output, sizeof(int32_t),
                      div_s32_row);
    return QC_OK;
}

/* floor(x / d) of 32 bits; the one quotient beyond int32, 2^31, wraps. */
static int32_t floor_div_integer(const qc_floor_params *p, int32_t x, int32_t d) {
    (void)p;
    return qc_wrap32((int64_t)floor((double)x / (double)d));
}

static float floor_div_float(const qc_floor_params *p, float x, float d) {
    (void)p;
    return (float)floor((double)x / (double)d);
}

static int64_t floor_mod_integer(const qc_floor_params *p, int64_t x, int64_t d) {
    (void)p;
    const int64_t r = d == -1 ? 0 : x % d;
    return r != 0 && (d < 0) != (r < 0) ? r + d : r;
}

static float floor_mod_float(const qc_floor_params *p, float x, float d) {
    (void)p;
    const float r = fmodf(x, d);
    return r != 0.0f && (d < 0.0f) != (r < 0.0f) ? r + d : r;
}

#define FLOOR_KERNEL(op, suffix, T, one, refused)                                                            \
    QC_BINARY_ROW(op##_##suffix##_row, , qc_floor_params, T, one)                                            \
    qc_status qc_##op##_##suffix##_ref(const qc_floor_params *p, const T *input1, const T *input2, T *output, \
                                       void *scratch) {                                                      \
        (void)scratch;                                                                                       \
        refused                                                                                              \
        qc_broadcast_walk(&p->broadcast, p, input1, input2, output, sizeof(T), op##_##suffix##_row);         \
        return QC_OK;                                                                                        \
    }

FLOOR_KERNEL(floor_div, s8, int8_t, floor_div_integer, REFUSE_DIVISOR(0))
FLOOR_KERNEL(floor_div, s16, int16_t, floor_div_integer, REFUSE_DIVISOR(0))
FLOOR_KERNEL(floor_div, s32, int32_t, floor_div_integer, REFUSE_DIVISOR(0))
FLOOR_KERNEL(floor_div, f32, float, floor_div_float, REFUSE_DIVISOR(0.0f))
FLOOR_KERNEL(floor_mod, s8, int8_t, floor_mod_integer, REFUSE_DIVISOR(0))
FLOOR_KERNEL(floor_mod, s16, int16_t, floor_mod_integer, REFUSE_DIVISOR(0))
FLOOR_KERNEL(floor_mod, s32, int32_t, floor_mod_integer, REFUSE_DIVISOR(0))
FLOOR_KERNEL(floor_mod, s64, int64_t, floor_mod_integer, REFUSE_DIVISOR(0))
FLOOR_KERNEL(floor_mod, f32, float, floor_mod_float, )
