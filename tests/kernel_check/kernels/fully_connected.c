/* FULLY_CONNECTED on int8, int16 and float32, right as they are. */
#include "quantcore/fully_connected.h"

qc_status fully_connected(const qc_fully_connected_params *params, const int8_t *input, const int8_t *filter,
                          const int32_t *bias, int8_t *output, void *scratch) {
    (void)scratch;
    for (int32_t b = 0; b < params->batches; ++b) {
        for (int32_t u = 0; u < params->units; ++u) {
            int32_t acc = bias ? bias[u] : 0;
            for (int32_t i = 0; i < params->depth; ++i)
                acc += (input[b * params->depth + i] + params->input_offset) *
                       (filter[u * params->depth + i] + params->filter_offset);
            *output++ = (int8_t)qc_requantize(&params->requant, acc, u);
        }
    }
    return QC_OK;
}

qc_status fully_connected_float(const qc_fully_connected_f32_params *params, const float *input, const float *filter,
                                const float *bias, float *output, void *scratch) {
    (void)scratch;
    for (int32_t b = 0; b < params->batches; ++b) {
        for (int32_t u = 0; u < params->units; ++u) {
            float sum = 0;
            for (int32_t i = 0; i < params->depth; ++i)
                sum += input[b * params->depth + i] * filter[u * params->depth + i];
            *output++ = qc_clamp_f32(sum + (bias ? bias[u] : 0), params->activation_min, params->activation_max);
        }
    }
    return QC_OK;
}

/* Wants scratch of its own, and uses all of it. */
int64_t own_scratch(const qc_fully_connected_params *params) {
    return 3 + params->units;
}

qc_status with_own_scratch(const qc_fully_connected_params *params, const int8_t *input, const int8_t *filter,
                           const int32_t *bias, int8_t *output, void *scratch) {
    for (int64_t i = 0; i < own_scratch(params); ++i) ((char *)scratch)[i] = (char)i;
    return fully_connected(params, input, filter, bias, output, scratch);
}
