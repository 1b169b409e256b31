/* CONV_2D and FULLY_CONNECTED on 8-bit elements: the bits of csrc/reference/conv.c and fully_connected.c. */
#include "../kernels.h"
#include "requantize_neon.h"
#include "windows.h"

typedef struct {
    const qc_requant *requant;
    uint8_t *output;
    int32_t channels;
} requantized;

static void store_requantized(const void *context, const int32_t *acc, int64_t pixel, int32_t channel,
                              int32_t count) {
    const requantized *to = context;
    qc_requantize_some_neon(to->requant, acc, channel, count, to->output + pixel * to->channels + channel);
}

/* qc_conv_s8 or _u8. */
static qc_status conv_bytes(qc_tile_product *product, int is_signed, const qc_conv_params *p, const uint8_t *input,
                            const uint8_t *filter, const int32_t *bias, uint8_t *output, void *scratch) {
    const requantized to = {&p->requant, output, p->shape.output_channels};
    const qc_windows w = {
        .shape = &p->shape,
        .groups = p->groups,
        .is_signed = is_signed,
        .input_offset = p->input_offset,
        .filter_offset = p->filter_offset,
        .product = product,
        .input = input,
        .packed = qc_filter_in_layout(p->packed, &p->shape, p->groups, is_signed, filter, scratch),
        .bias = bias,
        .store = store_requantized,
        .context = &to,
    };
    qc_multiply_windows(&w);
    return QC_OK;
}

/* qc_fully_connected_s8 or _u8. */
static qc_status fully_connected_bytes(qc_tile_product *product, int is_signed, const qc_fully_connected_params *p,
                                       const uint8_t *input, const uint8_t *filter, const int32_t *bias,
                                       uint8_t *output, void *scratch) {
    const qc_conv_params as_conv = {
        .shape = qc_rows_as_pixels(p->batches, p->depth, p->units),
        .groups = 1,
        .input_offset = p->input_offset,
        .filter_offset = p->filter_offset,
        .requant = p->requant,
        .packed = p->packed,
    };
    return conv_bytes(product, is_signed, &as_conv, input, filter, bias, output, scratch);
}

#define QC_PRODUCT_VERSIONS(op, P, ISA)                                                                             \
    qc_status qc_##op##_s8_##ISA(const P *p, const int8_t *input, const int8_t *filter, const int32_t *bias,        \
                                 int8_t *output, void *scratch) {                                                   \
        return op##_bytes(qc_tile_product_##ISA, 1, p, (const uint8_t *)input, (const uint8_t *)filter, bias,       \
                          (uint8_t *)output, scratch);                                                              \
    }                                                                                                               \
    qc_status qc_##op##_u8_##ISA(const P *p, const uint8_t *input, const uint8_t *filter, const int32_t *bias,      \
                                 uint8_t *output, void *scratch) {                                                  \
        return op##_bytes(qc_tile_product_##ISA, 0, p, input, filter, bias, output, scratch);                       \
    }

QC_PRODUCT_VERSIONS(conv, qc_conv_params, neon)
QC_PRODUCT_VERSIONS(fully_connected, qc_fully_connected_params, neon)
#ifdef QC_DOTPROD
QC_PRODUCT_VERSIONS(conv, qc_conv_params, dotprod)
QC_PRODUCT_VERSIONS(fully_connected, qc_fully_connected_params, dotprod)
#endif
