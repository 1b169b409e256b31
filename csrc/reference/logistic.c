/* LOGISTIC and TANH on float32: the definitions. */
#include "quantcore/logistic.h"

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
