/* MEAN: the definitions. The axis tensor is known when the operator is lowered; kernels do not read it. */
#include "quantcore/reduce.h"

#include <math.h>

/* Defines sum_<suffix>: adds every input, in order, to the accumulator of its output. ADD(a, b) is the sum
 * of an accumulator and an element. */
#define SUM(suffix, T, ACC, ADD)                                                                     \
    static void sum_##suffix(const qc_reduction *r, const T *x, ACC *acc) {                          \
        const int32_t last = r->rank - 1;                                                            \
        const int64_t width = r->shape[last];                                                        \
        int64_t index[QC_REDUCTION_RANK] = {0};                                                      \
        for (int64_t i = 0; i < r->outputs; ++i) acc[i] = 0;                                         \
        for (;;) {                                                                                   \
            if (r->output_stride[last] != 0) {                                                       \
                for (int64_t i = 0; i < width; ++i) acc[i] = ADD(acc[i], x[i]);                      \
            } else {                                                                                 \
                ACC total = *acc;                                                                    \
                for (int64_t i = 0; i < width; ++i) total = ADD(total, x[i]);                        \
                *acc = total;                                                                        \
            }                                                                                        \
            x += width;                                                                              \
            int32_t d = last - 1; /* the outer dimensions advance like an odometer */                \
            for (; d >= 0 && ++index[d] == r->shape[d]; --d) {                                       \
                index[d] = 0;                                                                        \
                acc -= (r->shape[d] - 1) * r->output_stride[d];                                      \
            }                                                                                        \
            if (d < 0) return;                                                                       \
            acc += r->output_stride[d];                                                              \
        }                                                                                            \
    }

#define WRAP32(a, b) ((int32_t)((uint32_t)(a) + (uint32_t)(b)))
#define WRAP64(a, b) ((int64_t)((uint64_t)(a) + (uint64_t)(b)))
#define PLAIN(a, b) ((a) + (b))
SUM(s8, int8_t, int32_t, WRAP32)
SUM(u8, uint8_t, int32_t, WRAP32)
SUM(s16, int16_t, int32_t, WRAP32)
SUM(f32, float, float, PLAIN)
SUM(s32, int32_t, int64_t, WRAP64)
SUM(s64, int64_t, int64_t, WRAP64)

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
        sum_##suffix(&p->reduction, input, acc);                                                             \
        for (int64_t i = 0; i < p->reduction.outputs; ++i)                                                   \
            output[i] = (T)qc_requantize(&p->requant, qc_wrap32((int64_t)acc[i] - zero), 0);                 \
        return QC_OK;                                                                                        \
    }

MEAN_KERNEL(s8, int8_t)
MEAN_KERNEL(u8, uint8_t)
MEAN_KERNEL(s16, int16_t)

qc_status qc_mean_f32_ref(const qc_mean_plain_params *p, const float *input, const int32_t *axis, float *output,
                          void *scratch) {
    (void)axis, (void)scratch;
    if (p->reduction.elements == 0) FILL(NAN);
    sum_f32(&p->reduction, input, output);
    for (int64_t i = 0; i < p->reduction.outputs; ++i) output[i] /= (float)p->reduction.elements;
    return QC_OK;
}

qc_status qc_mean_s32_ref(const qc_mean_plain_params *p, const int32_t *input, const int32_t *axis, int32_t *output,
                          void *scratch) {
    (void)axis;
    if (p->reduction.elements == 0) FILL(0);
    int64_t *acc = (int64_t *)scratch;
    sum_s32(&p->reduction, input, acc);
    for (int64_t i = 0; i < p->reduction.outputs; ++i) output[i] = (int32_t)(acc[i] / p->reduction.elements);
    return QC_OK;
}

qc_status qc_mean_s64_ref(const qc_mean_plain_params *p, const int64_t *input, const int32_t *axis, int64_t *output,
                          void *scratch) {
    (void)axis, (void)scratch;
    if (p->reduction.elements == 0) FILL(0);
    sum_s64(&p->reduction, input, output);
    for (int64_t i = 0; i < p->reduction.outputs; ++i) output[i] /= p->reduction.elements;
    return QC_OK;
}
