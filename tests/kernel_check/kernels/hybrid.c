/* FULLY_CONNECTED of floats by an int8 filter, right as it is; the activations are quantized by the definition's own
 * functions, in csrc/reference/hybrid.c. */
#include "quantcore/fully_connected.h"

qc_status hybrid(const qc_fully_connected_hybrid_params *params, const float *input, const int8_t *filter,
                 const float *bias, float *output, void *scratch) {
    int8_t *row = scratch;
    const int32_t depth = params->depth;
    const int nothing = qc_hybrid_all_zero(input, (int64_t)params->batches * depth);
    for (int32_t b = 0; b < params->batches; ++b) {
        const qc_hybrid_scale q =
            qc_hybrid_quantize(&qc_hybrid_ref, params->asymmetric, input + b * depth, depth, row);
        for (int32_t u = 0; u < params->units; ++u) {
            const float scale = q.scale * params->filter_scale[params->per_channel ? u : 0];
            float real = bias ? bias[u] : 0;
            if (!nothing)
                real += (float)qc_hybrid_row_sum(row, q.zero_point, filter + u * depth, depth, params->sign_overflow) *
                        scale;
            *output++ = qc_fully_connected_activate(params, real);
        }
    }
    return QC_OK;
}
