/* MEAN, SUM, REDUCE_MAX and the other reductions: the definitions. The axis tensor is known when the operator is
 * lowered; kernels do not read it. */
#include "quantcore/reduce.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

/* Whether no reduced dimension outside the innermost one has advanced. */
static int at_first(const qc_reduction *r, const int64_t *index) {
    for (int32_t d = 0; d < r->rank - 1; ++d)
        if (r->output_stride[d] == 0 && index[d] != 0) return 0;
    return 1;
}

/* Defines fold_<name>: combines every input, in order, with the accumulator of its output, which begins as `start`, or,
 * with r->from_first, as TAKE of the output's first element. COMBINE(a, b) is of an accumulator and an element; both may
 * use the parameters of the scaled product, `with`, which is NULL for the others. */
#define FOLD(name, T, ACC, TAKE, COMBINE)                                                              \
    static void fold_##name(const qc_reduction *r, const T *x, ACC *acc, ACC start,                    \
                            const qc_scaled_product_params *with) {                                    \
        (void)with;                                                                                    \
        const int32_t last = r->rank - 1;                                                              \
        const int64_t width = r->shape[last];                                                          \
        int64_t index[QC_REDUCTION_RANK] = {0};                                                        \
        for (int64_t i = 0; i < r->outputs; ++i) acc[i] = start;                                       \
        if (r->elements == 0) return;                                                                  \
        for (;;) {                                                                                     \
            const int fresh = r->from_first && at_first(r, index);                                     \
            if (r->output_stride[last] == 0) {                                                         \
                ACC total = fresh ? (ACC)TAKE(x[0]) : (ACC)COMBINE(acc[0], x[0]);                      \
                for (int64_t i = 1; i < width; ++i) total = (ACC)COMBINE(total, x[i]);                 \
                acc[0] = total;                                                                        \
            } else if (fresh) {                                                                        \
                for (int64_t i = 0; i < width; ++i) acc[i] = (ACC)TAKE(x[i]);                          \
            } else {                                                                                   \
                for (int64_t i = 0; i < width; ++i) acc[i] = (ACC)COMBINE(acc[i], x[i]);               \
            }                                                                                          \
            x += width;                                                                                \
            int32_t d = last - 1; /* the outer dimensions advance like an odometer */                  \
            for (; d >= 0 && ++index[d] == r->shape[d]; --d) {                                         \
                index[d] = 0;                                                                          \
                acc -= (r->shape[d] - 1) * r->output_stride[d];                                        \
            }                                                                                          \
            if (d < 0) return;                                                                         \
            acc += r->output_stride[d];                                                                \
        }                                                                                              \
    }

#define ITSELF(x) (x)
#define ADD32(a, b) qc_wrap32((int64_t)(a) + (b))
#define ADD64(a, b) ((int64_t)((uint64_t)(a) + (uint64_t)(b)))
#define ADD(a, b) ((a) + (b))
FOLD(sum_s8, int8_t, int32_t, ITSELF, ADD32)
FOLD(sum_u8, uint8_t, int32_t, ITSELF, ADD32)
FOLD(sum_s16, int16_t, int32_t, ITSELF, ADD32)
FOLD(sum_f32, float, float, ITSELF, ADD)
FOLD(sum_s32_wide, int32_t, int64_t, ITSELF, ADD64)
FOLD(sum_s32, int32_t, int32_t, ITSELF, ADD32)
FOLD(sum_s64, int64_t, int64_t, ITSELF, ADD64)

#define FILL(value)                                                             \
    do {                                                                        \
        for (int64_t i = 0; i < p->reduction.outputs; ++i) output[i] = (value); \
        return QC_OK;                                                           \
    } while (0)

#define MEAN_KERNEL(suffix, T)                                                                               \
    qc_status qc_mean_##suffix##_ref(const qc_mean_params *p, const T *input, const int32_t *axis, T *output, \
                                     void *scratch) {                                                        \
        (void)axis;                                                                                          \
        if (p->reduction.elements == 0) FILL(0);                                                             \
        int32_t *acc = (int32_t *)scratch;                                                                   \
        const int32_t zero = qc_wrap32(p->input_zero_point * p->reduction.elements);                         \
        fold_sum_##suffix(&p->reduction, input, acc, 0, NULL);                                                     \
        for (int64_t i = 0; i < p->reduction.outputs; ++i)                                                   \
            output[i] = (T)qc_requantize(&p->requant, qc_wrap32((int64_t)acc[i] - zero), (int32_t)(i % p->channels)); \
        return QC_OK;                                                                                        \
    }

MEAN_KERNEL(s8, int8_t)
MEAN_KERNEL(u8, uint8_t)
MEAN_KERNEL(s16, int16_t)

static inline int32_t scaled_sum(const qc_scaled_sum_params *p, int32_t sum) {
    const float y = (float)sum * p->scale + p->bias;
    const int saturates = p->saturate && !(y < 2147483648.0f);
    const int32_t rounded = saturates ? INT32_MAX : qc_round_to_int32((double)y);
    const int64_t moved = (int64_t)rounded + p->output_offset;
    return qc_clamp(p->saturate ? qc_saturate32(moved) : qc_wrap32(moved), p->lowest, p->highest);
}

#define SCALED_SUM_KERNEL(suffix, T)                                                                           \
    qc_status qc_scaled_sum_##suffix##_ref(const qc_scaled_sum_params *p, const T *input, const int32_t *axis, \
                                           T *output, void *scratch) {                                         \
        (void)axis;                                                                                            \
        int32_t *acc = (int32_t *)scratch;                                                                     \
        fold_sum_##suffix(&p->reduction, input, acc, 0, NULL);                                                       \
        for (int64_t i = 0; i < p->reduction.outputs; ++i) output[i] = (T)scaled_sum(p, acc[i]);               \
        return QC_OK;                                                                                          \
    }

SCALED_SUM_KERNEL(s8, int8_t)
SCALED_SUM_KERNEL(u8, uint8_t)
SCALED_SUM_KERNEL(s16, int16_t)

qc_status qc_mean_f32_ref(const qc_mean_plain_params *p, const float *input, const int32_t *axis, float *output,
                          void *scratch) {
    (void)axis, (void)scratch;
    if (p->reduction.elements == 0) FILL(NAN);
    fold_sum_f32(&p->reduction, input, output, 0.0f, NULL);
    for (int64_t i = 0; i < p->reduction.outputs; ++i) output[i] /= (float)p->reduction.elements;
    return QC_OK;
}

qc_status qc_mean_s32_ref(const qc_mean_plain_params *p, const int32_t *input, const int32_t *axis, int32_t *output,
                          void *scratch) {
    (void)axis;
    if (p->reduction.elements == 0) FILL(0);
    int64_t *acc = (int64_t *)scratch;
    fold_sum_s32_wide(&p->reduction, input, acc, 0, NULL);
    for (int64_t i = 0; i < p->reduction.outputs; ++i) output[i] = (int32_t)(acc[i] / p->reduction.elements);
    return QC_OK;
}

qc_status qc_mean_s64_ref(const qc_mean_plain_params *p, const int64_t *input, const int32_t *axis, int64_t *output,
                          void *scratch) {
    (void)axis, (void)scratch;
    if (p->reduction.elements == 0) FILL(0);
    fold_sum_s64(&p->reduction, input, output, 0, NULL);
    for (int64_t i = 0; i < p->reduction.outputs; ++i) output[i] /= p->reduction.elements;
    return QC_OK;
}

/* Of equal values, and where one is NaN, the accumulator stays; with LATER the element is taken. */
#define LARGER(a, b) ((b) > (a) ? (b) : (a))
#define SMALLER(a, b) ((b) < (a) ? (b) : (a))
#define LARGER_LATER(a, b) ((a) > (b) ? (a) : (b))
#define SMALLER_LATER(a, b) ((a) < (b) ? (a) : (b))
#define MULTIPLY(a, b) ((a) * (b))
#define MULTIPLY_NARROW(a, b) ((a) * (b)) /* two 16-bit values at most: no overflow before the cast */
#define MULTIPLY32(a, b) ((int32_t)((uint32_t)(a) * (uint32_t)(b)))
#define MULTIPLY64(a, b) ((int64_t)((uint64_t)(a) * (uint64_t)(b)))

#define FOLDS(suffix, T, MULTIPLICATION)                     \
    FOLD(max_##suffix, T, T, ITSELF, LARGER)                 \
    FOLD(min_##suffix, T, T, ITSELF, SMALLER)                \
    FOLD(product_##suffix, T, T, ITSELF, MULTIPLICATION)
FOLDS(s8, int8_t, MULTIPLY_NARROW)
FOLDS(u8, uint8_t, MULTIPLY_NARROW)
FOLDS(s16, int16_t, MULTIPLY_NARROW)
FOLDS(s32, int32_t, MULTIPLY32)
FOLDS(s64, int64_t, MULTIPLY64)
FOLDS(f32, float, MULTIPLY)
FOLD(max_later_f32, float, float, ITSELF, LARGER_LATER)
FOLD(min_later_f32, float, float, ITSELF, SMALLER_LATER)

/* SUM: the case of the sum, which narrow integers do not have. */
#define INTEGER_KERNEL(suffix, T, LOWEST, HIGHEST, SUM)                                                \
    qc_status qc_reduce_##suffix##_ref(const qc_reduce_params *p, const T *input, const int32_t *axis, \
                                       T *output, void *scratch) {                                     \
        (void)axis, (void)scratch;                                                                     \
        const qc_reduction *r = &p->reduction;                                                         \
        switch (p->operation) {                                                                        \
            SUM                                                                                        \
            case QC_REDUCE_MAX: fold_max_##suffix(r, input, output, LOWEST, NULL); break;              \
            case QC_REDUCE_MIN: fold_min_##suffix(r, input, output, HIGHEST, NULL); break;             \
            case QC_REDUCE_PRODUCT: fold_product_##suffix(r, input, output, 1, NULL); break;           \
            default: return QC_BAD_ARGUMENT;                                                           \
        }                                                                                              \
        return QC_OK;                                                                                  \
    }

INTEGER_KERNEL(s8, int8_t, INT8_MIN, INT8_MAX, )
INTEGER_KERNEL(u8, uint8_t, 0, UINT8_MAX, )
INTEGER_KERNEL(s16, int16_t, INT16_MIN, INT16_MAX, )
INTEGER_KERNEL(s32, int32_t, INT32_MIN, INT32_MAX,
               case QC_REDUCE_SUM: fold_sum_s32(r, input, output, 0, NULL); break;)
INTEGER_KERNEL(s64, int64_t, INT64_MIN, INT64_MAX,
               case QC_REDUCE_SUM: fold_sum_s64(r, input, output, 0, NULL); break;)

qc_status qc_reduce_f32_ref(const qc_reduce_params *p, const float *input, const int32_t *axis, float *output,
                            void *scratch) {
    (void)axis, (void)scratch;
    const qc_reduction *r = &p->reduction;
    switch (p->operation) {
        case QC_REDUCE_SUM: fold_sum_f32(r, input, output, 0.0f, NULL); break;
        case QC_REDUCE_MAX: fold_max_f32(r, input, output, -FLT_MAX, NULL); break;
        case QC_REDUCE_MIN: fold_min_f32(r, input, output, FLT_MAX, NULL); break;
        case QC_REDUCE_PRODUCT: fold_product_f32(r, input, output, 1.0f, NULL); break;
        case QC_REDUCE_MAX_LATER: fold_max_later_f32(r, input, output, -FLT_MAX, NULL); break;
        case QC_REDUCE_MIN_LATER: fold_min_later_f32(r, input, output, FLT_MAX, NULL); break;
        default: return QC_BAD_ARGUMENT;
    }
    return QC_OK;
}

#define TRUTH(x) ((x) != 0)
#define EITHER(a, b) ((a) || (b))
#define BOTH(a, b) ((a) && (b))
FOLD(any, uint8_t, uint8_t, TRUTH, EITHER)
FOLD(all, uint8_t, uint8_t, TRUTH, BOTH)

qc_status qc_reduce_bool_ref(const qc_reduce_params *p, const uint8_t *input, const int32_t *axis, uint8_t *output,
                             void *scratch) {
    (void)axis, (void)scratch;
    switch (p->operation) {
        case QC_REDUCE_ANY: fold_any(&p->reduction, input, output, 0, NULL); break;
        case QC_REDUCE_ALL: fold_all(&p->reduction, input, output, 1, NULL); break;
        default: return QC_BAD_ARGUMENT;
    }
    return QC_OK;
}

/* TFLite keeps a product in range by rescaling it after every factor, by the int64 form of its rule. */
#define WITHOUT_ZERO(x) ((x)-with->input_zero_point)
#define RESCALED_PRODUCT(a, b)                                                                             \
    qc_multiply_int16_multiplier((int64_t)(a) * WITHOUT_ZERO(b), with->requant.multiplier[0], with->requant.shift[0])
FOLD(scaled_product_s8, int8_t, int32_t, WITHOUT_ZERO, RESCALED_PRODUCT)
FOLD(scaled_product_s16, int16_t, int32_t, WITHOUT_ZERO, RESCALED_PRODUCT)

#define SCALED_PRODUCT_KERNEL(suffix, T)                                                                           \
    qc_status qc_scaled_product_##suffix##_ref(const qc_scaled_product_params *p, const T *input,                  \
                                               const int32_t *axis, T *output, void *scratch) {                    \
        (void)axis;                                                                                                \
        int32_t *acc = (int32_t *)scratch;                                                                         \
        fold_scaled_product_##suffix(&p->reduction, input, acc, 0, p);                                             \
        for (int64_t i = 0; i < p->reduction.outputs; ++i) output[i] = (T)qc_requantize_wide(&p->requant, acc[i], 0); \
        return QC_OK;                                                                                              \
    }

SCALED_PRODUCT_KERNEL(s8, int8_t)
SCALED_PRODUCT_KERNEL(s16, int16_t)
