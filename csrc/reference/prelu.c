/* PRELU: the definitions. */
#include "quantcore/prelu.h"

#include "quantcore/elementwise_rules.h"

static inline int32_t prelu_one(const qc_prelu_params *p, int32_t q, int32_t a) {
    const int32_t d = q + p->input_offset;
    const int32_t y = d >= 0 ? qc_multiply_double_rounding(d, p->identity_multiplier, p->identity_shift)
                             : qc_multiply_double_rounding(d * (a + p->alpha_offset), p->alpha_multiplier,
                                                           p->alpha_shift);
    return qc_wrap32((int64_t)y + p->output_offset);
}

#define PRELU_KERNEL(suffix, T, LOWEST, HIGHEST)                                                              \
    static inline T prelu_##suffix##_one(const qc_prelu_params *p, T q, T a) {                               \
        return (T)qc_clamp(prelu_one(p, q, a), LOWEST, HIGHEST);                                             \
    }                                                                                                        \
    QC_BINARY_ROW(prelu_##suffix##_row, , qc_prelu_params, T, prelu_##suffix##_one)                          \
    qc_status qc_prelu_##suffix##_ref(const qc_prelu_params *p, const T *input, const T *alpha, T *output,   \
                                      void *scratch) {                                                       \
        (void)scratch;                                                                                       \
        qc_broadcast_walk(&p->broadcast, p, input, alpha, output, sizeof(T), prelu_##suffix##_row);          \
        return QC_OK;                                                                                        \
    }

PRELU_KERNEL(s8, int8_t, INT8_MIN, INT8_MAX)
PRELU_KERNEL(u8, uint8_t, 0, UINT8_MAX)

QC_BINARY_ROW(prelu_f32_row, , qc_prelu_f32_params, float, qc_prelu_f32_one)
qc_status qc_prelu_f32_ref(const qc_prelu_f32_params *p, const float *input, const float *alpha, float *output,
                           void *scratch) {
    (void)scratch;
    qc_broadcast_walk(&p->broadcast, p, input, alpha, output, sizeof(float), prelu_f32_row);
    return QC_OK;
}
