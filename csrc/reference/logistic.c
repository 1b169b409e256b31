/* LOGISTIC and TANH on float32 and int16: the definitions. */
#include "quantcore/logistic.h"

#include "quantcore/eigen_functions.h"
#include "quantcore/fixed_point_functions16.h"
#include "quantcore/sigmoid_table.h"

qc_status qc_logistic_f32_ref(const qc_function_f32_params *params, const float *input, float *output, void *scratch) {
    (void)scratch;
    const float upper = 0x1.09e79ep+4f; /* 16.619047: from here on the result rounds to 1 */
    const float lower = -9.0f;          /* below, 1 + exp(-x) would lose the 1 */
    for (int64_t i = 0; i < params->count; ++i) {
        const float x = input[i];
        if (x > upper)
            output[i] = 1.0f;
        else if (x < lower)
            output[i] = expf(x);
        else
            output[i] = qc_logistic(x);
    }
    return QC_OK;
}

qc_status qc_tanh_f32_ref(const qc_function_f32_params *params, const float *input, float *output, void *scratch) {
    (void)scratch;
    for (int64_t i = 0; i < params->count; ++i) output[i] = tanhf(input[i]);
    return QC_OK;
}

#define EACH(name, P, T, expression)                                                                         \
    qc_status name(const P *p, const T *input, T *output, void *scratch) {                                   \
        (void)scratch;                                                                                       \
        for (int64_t i = 0; i < p->count; ++i) {                                                             \
            const T x = input[i];                                                                            \
            output[i] = (expression);                                                                        \
        }                                                                                                    \
        return QC_OK;                                                                                        \
    }

EACH(qc_logistic_eigen_f32_ref, qc_function_f32_params, float, qc_eigen_logistic(x))
EACH(qc_tanh_eigen_f32_ref, qc_function_f32_params, float, qc_eigen_tanh(x))
EACH(qc_logistic_s16_ref, qc_sigmoid_s16_params, int16_t,
     qc_logistic_from_table(qc_sigmoid_position(x, p->multiplier, p->right_shift)))
EACH(qc_tanh_s16_ref, qc_sigmoid_s16_params, int16_t,
     qc_tanh_from_table(qc_sigmoid_position(x, p->multiplier, p->right_shift)))
EACH(qc_logistic_fixed_s16_ref, qc_sigmoid_fixed_params, int16_t,
     qc_logistic16(qc_saturating_shift_left16(x, p->left_shift), 3))
EACH(qc_tanh_fixed_s16_ref, qc_sigmoid_fixed_params, int16_t,
     qc_tanh16(qc_saturating_shift_left16(x, p->left_shift), 3))
