/* Activations on float32: the rules of the definitions, vectorised by the compiler. */
#include "../kernels.h"
#include "quantcore/activation_rules.h"

#define TARGET __attribute__((target("avx2,fma")))
#define INLINE TARGET static inline __attribute__((always_inline))

TARGET qc_status qc_relu_f32_avx2(const qc_relu_f32_params *params, const float *input, float *output, void *scratch) {
    (void)scratch;
    const qc_relu_f32_params p = *params;
    for (int64_t i = 0; i < p.count; ++i) output[i] = qc_relu_f32_one(&p, input[i]);
    return QC_OK;
}

TARGET qc_status qc_leaky_relu_f32_avx2(const qc_leaky_relu_f32_params *params, const float *input, float *output,
                                        void *scratch) {
    (void)scratch;
    const qc_leaky_relu_f32_params p = *params;
    for (int64_t i = 0; i < p.count; ++i) output[i] = qc_leaky_relu_f32_one(&p, input[i]);
    return QC_OK;
}

/* FORM is a constant. */
INLINE void hard_swish(const qc_hard_swish_form FORM, const float *input, int64_t count, float *output) {
    const int64_t body = count / 4 * 4;
    for (int64_t i = 0; i < body; ++i) output[i] = qc_hard_swish_f32_one(FORM, input[i], 0);
    for (int64_t i = body; i < count; ++i) output[i] = qc_hard_swish_f32_one(FORM, input[i], 1);
}

TARGET qc_status qc_hard_swish_f32_avx2(const qc_hard_swish_f32_params *p, const float *input, float *output,
                                        void *scratch) {
    (void)scratch;
    switch (p->form) {
        case QC_HARD_SWISH_FUSED: hard_swish(QC_HARD_SWISH_FUSED, input, p->count, output); break;
        case QC_HARD_SWISH_PRODUCT: hard_swish(QC_HARD_SWISH_PRODUCT, input, p->count, output); break;
        default: hard_swish(p->form, input, p->count, output); break;
    }
    return QC_OK;
}
