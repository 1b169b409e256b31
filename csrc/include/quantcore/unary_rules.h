/* The rules of functions of one float: shared by the definition and the vector versions. */
#ifndef QUANTCORE_UNARY_RULES_H
#define QUANTCORE_UNARY_RULES_H

#include <math.h>

#include "quantcore/unary.h"

/* Half to even as TFLite does it, by comparing with the integer below: -0.5 becomes 0.0, not -0.0. */
static inline float qc_round_half_even(float x) {
    const float below = floorf(x), fraction = x - below, half = 0.5f * below;
    const int even = floorf(half) == half;
    return fraction < 0.5f || (fraction == 0.5f && even) ? below : below + 1.0f;
}

/* sqrt(2 / pi) * (x + 0.044715 x^3) */
static inline float qc_gelu_tanh_argument(float x) {
    return 0x1.988454p-1f * (x + 0x1.6e4e26p-5f * x * x * x);
}

/* One loop per function, so that the choice is not made for every element. */
#define QC_EACH(expression)                       \
    for (int64_t i = 0; i < p->count; ++i) {      \
        const float x = input[i];                 \
        output[i] = (expression);                 \
    }                                             \
    return QC_OK;

/* The cases of functions that compilers make vectors of. */
#define QC_PLAIN_FUNCTIONS                                              \
    case QC_ABS: QC_EACH(fabsf(x))                                      \
    case QC_NEG: QC_EACH(-x)                                            \
    case QC_SQUARE: QC_EACH(x * x)                                      \
    case QC_SQRT: QC_EACH(sqrtf(x))                                     \
    case QC_RSQRT: QC_EACH(1.0f / sqrtf(x))                             \
    case QC_FLOOR: QC_EACH(floorf(x))                                   \
    case QC_CEIL: QC_EACH(ceilf(x))                                     \
    case QC_ROUND: QC_EACH(qc_round_half_even(x))                       \
    case QC_RINT: QC_EACH(nearbyintf(x))                                \
    case QC_SIGN: QC_EACH((float)((x > 0.0f) - (x < 0.0f)))

#endif
