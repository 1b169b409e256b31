/* ADD and AVERAGE_POOL_2D on int8, right as they are. */
#include "quantcore/elementwise.h"
#include "quantcore/pool.h"

static int32_t scaled(const qc_add_rule *r, int32_t value, int32_t multiplier, int32_t shift) {
    return qc_multiply_double_rounding(value * (1 << r->left_shift), multiplier, shift);
}

qc_status add(const qc_add_params *params, const int8_t *input1, const int8_t *input2, int8_t *output, void *scratch) {
    const qc_broadcast *s = &params->broadcast;
    const qc_add_rule *r = &params->rule;
    int32_t index[QC_BROADCAST_RANK] = {0};
    int64_t count = 1;
    (void)scratch;
    for (int32_t d = 0; d < s->rank; ++d) count *= s->shape[d];
    for (int64_t i = 0; i < count; ++i) {
        int64_t place1 = 0, place2 = 0;
        for (int32_t d = 0; d < s->rank; ++d) {
            place1 += index[d] * s->stride1[d];
            place2 += index[d] * s->stride2[d];
        }
        const int32_t a = scaled(r, input1[place1] + r->input1_offset, r->input1_multiplier, r->input1_shift);
        const int32_t b = scaled(r, input2[place2] + r->input2_offset, r->input2_multiplier, r->input2_shift);
        const int32_t sum = qc_multiply_double_rounding(a + b, r->output_multiplier, r->output_shift);
        output[i] = (int8_t)qc_clamp(sum + r->output_offset, r->activation_min, r->activation_max);
        for (int32_t d = s->rank - 1; d >= 0 && ++index[d] == s->shape[d]; --d) index[d] = 0;
    }
    return QC_OK;
}

qc_status average_pool(const qc_pool_params *params, const int8_t *input, int8_t *output, void *scratch) {
    const qc_window *w = &params->window;
    (void)scratch;
    for (int32_t b = 0; b < w->batches; ++b, input += w->input_height * w->input_width * w->channels) {
        for (int32_t y = 0; y < w->output_height; ++y) {
            for (int32_t x = 0; x < w->output_width; ++x) {
                const qc_window_part part = qc_window_inside(w, y, x);
                const int32_t count = (part.bottom - part.top) * (part.right - part.left);
                for (int32_t c = 0; c < w->channels; ++c) {
                    int32_t sum = 0;
                    for (int32_t iy = part.top; iy < part.bottom; ++iy)
                        for (int32_t ix = part.left; ix < part.right; ++ix)
                            sum += input[(iy * w->input_width + ix) * w->channels + c];
                    const int32_t mean = (sum + (sum > 0 ? count / 2 : -(count / 2))) / count;
                    *output++ = (int8_t)qc_clamp(mean, params->activation_min, params->activation_max);
                }
            }
        }
    }
    return QC_OK;
}

/* Made for equal shapes alone. */
qc_status add_equal_shapes(const qc_add_params *params, const int8_t *input1, const int8_t *input2, int8_t *output,
                           void *scratch) {
    const qc_broadcast *s = &params->broadcast;
    for (int32_t d = 0; d < s->rank; ++d)
        if (s->shape[d] > 1 && (s->stride1[d] == 0 || s->stride2[d] == 0)) return QC_BAD_ARGUMENT;
    return add(params, input1, input2, output, scratch);
}
