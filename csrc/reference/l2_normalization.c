/* L2_NORMALIZATION: the definitions. */
#include "quantcore/l2_normalization.h"

#include <math.h>

#include "quantcore/inverse_sqrt.h"

#define FOR_EACH_ROW(p, x, y) \
    for (int64_t row = 0; row < (p)->rows; ++row, (x) += (p)->depth, (y) += (p)->depth)

#define INVERSE_NORM(T)                                                                                       \
    static int32_t inverse_norm_##T(const T *x, const qc_l2_normalization_params *p, int *right_shift) {     \
        int32_t sum = 0;                                                                                     \
        for (int64_t i = 0; i < p->depth; ++i) {                                                             \
            const int32_t d = x[i] - p->input_zero_point;                                                    \
            sum += d * d;                                                                                    \
        }                                                                                                    \
        return qc_inverse_sqrt(sum, right_shift);                                                            \
    }
INVERSE_NORM(int8_t)
INVERSE_NORM(uint8_t)

qc_status qc_l2_normalization_s8_ref(const qc_l2_normalization_params *p, const int8_t *input, int8_t *output,
                                     void *scratch) {
    (void)scratch;
    FOR_EACH_ROW(p, input, output) {
        int right_shift;
        const int32_t m = inverse_norm_int8_t(input, p, &right_shift);
        for (int64_t i = 0; i < p->depth; ++i) {
            const int32_t y = qc_multiply_double_rounding(input[i] - p->input_zero_point, m, 7 - right_shift);
            output[i] = (int8_t)qc_clamp(y, INT8_MIN, INT8_MAX);
        }
    }
    return QC_OK;
}

qc_status qc_l2_normalization_u8_ref(const qc_l2_normalization_params *p, const uint8_t *input, uint8_t *output,
                                     void *scratch) {
    (void)scratch;
    FOR_EACH_ROW(p, input, output) {
        int right_shift;
        const int32_t m = inverse_norm_uint8_t(input, p, &right_shift);
        for (int64_t i = 0; i < p->depth; ++i) {
            const int32_t d = 128 * (input[i] - p->input_zero_point);
            output[i] = (uint8_t)qc_clamp(128 + qc_multiply_double_rounding(d, m, -right_shift), 0, UINT8_MAX);
        }
    }
    return QC_OK;
}

qc_status qc_l2_normalization_f32_ref(const qc_l2_normalization_params *p, const float *input, float *output,
                                      void *scratch) {
    (void)scratch;
    FOR_EACH_ROW(p, input, output) {
        float sum = 0.0f;
        for (int64_t i = 0; i < p->depth; ++i) sum += input[i] * input[i];
        const float root = sqrtf(sum);
        const float norm = root < 1e-6f ? 1e-6f : root;
        for (int64_t i = 0; i < p->depth; ++i) output[i] = input[i] / norm;
    }
    return QC_OK;
}
