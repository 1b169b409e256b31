/* Hybrid CONV_2D and FULLY_CONNECTED: the bits of csrc/reference/conv.c and fully_connected.c. Activations are
 * quantized by the loops of the definition; the products are those of the quantized forms. */
#include <stddef.h>

#include "../kernels.h"
#include "windows.h"

typedef struct {
    const qc_conv_hybrid_params *p;
    float scale;       /* of the quantized image */
    const float *bias; /* or NULL */
    float *output;
} conv_output;

/* The arithmetic of qc_conv_hybrid_ref. */
static void store_conv(const void *context, const int32_t *acc, int64_t pixel, int32_t channel, int32_t count) {
    const conv_output *to = context;
    const qc_conv_hybrid_params *p = to->p;
    float *output = to->output + pixel * p->shape.output_channels + channel;
    for (int32_t i = 0; i < count; ++i) {
        const float sum = (float)acc[i], filter_scale = p->filter_scale[p->per_channel ? channel + i : 0];
        const float bias = to->bias != NULL ? to->bias[channel + i] : 0.0f;
        float real;
        if (!p->per_channel)
            real = 0.0f + sum * (to->scale * filter_scale);
        else if (p->form == QC_HYBRID_OPTIMIZED)
            real = sum * (filter_scale * to->scale);
        else
            real = sum * filter_scale * to->scale;
        output[i] = qc_clamp_f32(real + bias, p->activation_min, p->activation_max);
    }
}

static qc_status conv_hybrid(qc_tile_product *product, const qc_conv_hybrid_params *p, const float *input,
                             const int8_t *filter, const float *bias, float *output, void *scratch) {
    if (p->sign_overflow && !p->per_channel && p->shape.output_channels % 4 != 0)
        return qc_conv_hybrid_ref(p, input, filter, bias, output, scratch); /* it is rare */
    qc_conv_shape one = p->shape;
    one.batches = 1;
    const int64_t image_size = qc_conv_image_size(&one);
    int8_t *image = scratch;
    const int8_t *packed = qc_filter_in_layout(p->packed, &one, p->groups, 1, (const uint8_t *)filter,
                                               image + qc_round_up(image_size, 64));
    const int64_t outputs = (int64_t)one.output_height * one.output_width * one.output_channels;
    for (int32_t b = 0; b < p->shape.batches; ++b) {
        const qc_hybrid_scale q =
            qc_hybrid_quantize(&qc_hybrid_ref, p->per_channel, input + b * image_size, image_size, image);
        const conv_output to = {p, q.scale, bias, output + b * outputs};
        const qc_windows w = {.shape = &one, .groups = p->groups, .is_signed = 1, .input_offset = -q.zero_point,
                              .product = product, .input = (const uint8_t *)image, .packed = packed,
                              .store = store_conv, .context = &to};
        qc_multiply_windows(&w);
    }
    return QC_OK;
}

typedef struct {
    const qc_fully_connected_hybrid_params *p;
    float scale;       /* of the quantized row */
    const float *bias; /* or NULL */
    float *output;
} row_output;

/* The arithmetic of qc_fully_connected_hybrid_ref. */
static void store_row(const void *context, const int32_t *acc, int64_t pixel, int32_t channel, int32_t count) {
    (void)pixel;
    const row_output *to = context;
    for (int32_t i = 0; i < count; ++i) {
        const int32_t unit = channel + i;
        const float bias = to->bias != NULL ? to->bias[unit] : 0.0f;
        const float scale = to->scale * to->p->filter_scale[to->p->per_channel ? unit : 0];
        to->output[unit] = qc_fully_connected_activate(to->p, bias + (float)acc[i] * scale);
    }
}

static qc_status fully_connected_hybrid(qc_tile_product *product, const qc_fully_connected_hybrid_params *p,
                                        const float *input, const int8_t *filter, const float *bias, float *output,
                                        void *scratch) {
    /* These two are rare: the definition computes them. */
    if (p->sign_overflow || qc_hybrid_all_zero(input, (int64_t)p->batches * p->depth))
        return qc_fully_connected_hybrid_ref(p, input, filter, bias, output, scratch);
    const qc_conv_shape shape = qc_rows_as_pixels(1, p->depth, p->units);
    int8_t *row = scratch;
    const int8_t *packed = qc_filter_in_layout(p->packed, &shape, 1, 1, (const uint8_t *)filter,
                                               row + qc_round_up(p->depth, 64));
    for (int32_t b = 0; b < p->batches; ++b) {
        const float *x = input + (int64_t)b * p->depth;
        const qc_hybrid_scale q = qc_hybrid_quantize(&qc_hybrid_ref, p->asymmetric, x, p->depth, row);
        const row_output to = {p, q.scale, bias, output + (int64_t)b * p->units};
        const qc_windows w = {.shape = &shape, .groups = 1, .is_signed = 1, .input_offset = -q.zero_point,
                              .product = product, .input = (const uint8_t *)row, .packed = packed,
                              .store = store_row, .context = &to};
        qc_multiply_windows(&w);
    }
    return QC_OK;
}

#define HYBRID_VERSIONS(ISA)                                                                                        \
    qc_status qc_conv_hybrid_##ISA(const qc_conv_hybrid_params *p, const float *input, const int8_t *filter,        \
                                   const float *bias, float *output, void *scratch) {                               \
        return conv_hybrid(qc_tile_product_##ISA, p, input, filter, bias, output, scratch);                         \
    }                                                                                                               \
    qc_status qc_fully_connected_hybrid_##ISA(const qc_fully_connected_hybrid_params *p, const float *input,        \
                                              const int8_t *filter, const float *bias, float *output,               \
                                              void *scratch) {                                                      \
        return fully_connected_hybrid(qc_tile_product_##ISA, p, input, filter, bias, output, scratch);              \
    }

HYBRID_VERSIONS(neon)
#ifdef QC_DOTPROD
HYBRID_VERSIONS(dotprod)
#endif
