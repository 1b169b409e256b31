/* Kernels for the tests: right ones, and some that have the prototype of no kernel. */
#include <stddef.h>
#include <stdio.h>

#include "quantcore/conv.h"
#include "quantcore/pool.h"

/* As plainly as the formula is written. */
qc_status plain_conv_s8(const qc_conv_params *params, const int8_t *input, const int8_t *filter, const int32_t *bias,
                        int8_t *output, void *scratch) {
    const qc_conv_shape *s = &params->shape;
    const int32_t depth = s->input_channels / params->groups;
    const int32_t units = s->output_channels / params->groups;
    (void)scratch;
    for (int32_t n = 0; n < s->batches; ++n)
        for (int32_t oy = 0; oy < s->output_height; ++oy)
            for (int32_t ox = 0; ox < s->output_width; ++ox)
                for (int32_t c = 0; c < s->output_channels; ++c) {
                    uint32_t sum = bias ? (uint32_t)bias[c] : 0;
                    for (int32_t fy = 0; fy < s->filter_height; ++fy)
                        for (int32_t fx = 0; fx < s->filter_width; ++fx) {
                            const int64_t y = qc_input_row(s, oy, fy), x = qc_input_column(s, ox, fx);
                            if (y < 0 || y >= s->input_height || x < 0 || x >= s->input_width) continue;
                            for (int32_t k = 0; k < depth; ++k) {
                                const int64_t i =
                                    ((n * s->input_height + y) * s->input_width + x) * s->input_channels +
                                    c / units * depth + k;
                                const int64_t f = (((int64_t)c * s->filter_height + fy) * s->filter_width + fx) * depth + k;
                                sum += (uint32_t)((input[i] + params->input_offset) *
                                                  (filter[f] + params->filter_offset));
                            }
                        }
                    *output++ = (int8_t)qc_requantize(&params->requant, (int32_t)sum, c);
                }
    return QC_OK;
}

/* The same, less one where the output is even: what a wrong rounding may look like. */
qc_status wrong_conv_s8(const qc_conv_params *params, const int8_t *input, const int8_t *filter, const int32_t *bias,
                        int8_t *output, void *scratch) {
    const qc_conv_shape *s = &params->shape;
    const int64_t count = (int64_t)s->batches * s->output_height * s->output_width * s->output_channels;
    const qc_status status = plain_conv_s8(params, input, filter, bias, output, scratch);
    for (int64_t i = 0; i < count; ++i)
        if (output[i] % 2 == 0 && output[i] > params->requant.activation_min) output[i] = (int8_t)(output[i] - 1);
    return status;
}

qc_status refusing_conv_s8(const qc_conv_params *params, const int8_t *input, const int8_t *filter,
                           const int32_t *bias, int8_t *output, void *scratch) {
    (void)params, (void)input, (void)filter, (void)bias, (void)output, (void)scratch;
    return QC_BAD_ARGUMENT;
}

qc_status status_of_its_own(const qc_conv_params *params, const int8_t *input, const int8_t *filter,
                            const int32_t *bias, int8_t *output, void *scratch) {
    (void)params, (void)input, (void)filter, (void)bias, (void)output, (void)scratch;
    return (qc_status)77;
}

/* Writes all of the scratch memory that conv_scratch asks for, and the result of plain_conv_s8. */
int64_t conv_scratch(const qc_conv_params *params) {
    return (int64_t)params->shape.output_channels * 100000;
}

int64_t negative_scratch(const qc_conv_params *params) {
    return -(int64_t)params->shape.output_channels;
}

int64_t scratch_of_floats(const qc_conv_f32_params *params) {
    return params->groups;
}

qc_status conv_with_scratch_s8(const qc_conv_params *params, const int8_t *input, const int8_t *filter,
                               const int32_t *bias, int8_t *output, void *scratch) {
    for (int64_t i = 0; i < conv_scratch(params); ++i) ((char *)scratch)[i] = (char)i;
    return plain_conv_s8(params, input, filter, bias, output, scratch);
}

qc_status printing_conv_s8(const qc_conv_params *params, const int8_t *input, const int8_t *filter,
                           const int32_t *bias, int8_t *output, void *scratch) {
    printf("a kernel of %d channels\n", (int)params->shape.output_channels);
    return plain_conv_s8(params, input, filter, bias, output, scratch);
}

qc_status pool_s8(const qc_pool_params *params, const int8_t *input, int8_t *output, void *scratch) {
    const qc_window *w = &params->window;
    (void)scratch;
    for (int32_t n = 0; n < w->batches; ++n)
        for (int32_t y = 0; y < w->output_height; ++y)
            for (int32_t x = 0; x < w->output_width; ++x)
                for (int32_t c = 0; c < w->channels; ++c) {
                    const qc_window_part part = qc_window_inside(w, y, x);
                    int32_t best = -128;
                    for (int32_t row = part.top; row < part.bottom; ++row)
                        for (int32_t column = part.left; column < part.right; ++column) {
                            const int64_t i = ((n * (int64_t)w->input_height + row) * w->input_width + column) * w->channels + c;
                            if (input[i] > best) best = input[i];
                        }
                    *output++ = (int8_t)qc_clamp(best, params->activation_min, params->activation_max);
                }
    return QC_OK;
}

static qc_status hidden_pool_s8(const qc_pool_params *params, const int8_t *input, int8_t *output, void *scratch) {
    return pool_s8(params, input, output, scratch);
}

qc_status (*const uses_hidden)(const qc_pool_params *, const int8_t *, int8_t *, void *) = hidden_pool_s8;

qc_status short_bias_s8(const qc_conv_params *params, const int8_t *input, const int8_t *filter, const int16_t *bias,
                        int8_t *output, void *scratch) {
    (void)params, (void)input, (void)filter, (void)bias, (void)output, (void)scratch;
    return QC_OK;
}

qc_status without_parameters() {
    return QC_OK;
}

int32_t no_function;

qc_status crashing_conv_s8(const qc_conv_params *params, const int8_t *input, const int8_t *filter,
                           const int32_t *bias, int8_t *output, void *scratch) {
    (void)input, (void)filter, (void)bias, (void)scratch;
    for (int64_t i = 0; i < INT64_C(1) << 40; i += 4096) output[i] = (int8_t)params->groups;
    return QC_OK;
}
