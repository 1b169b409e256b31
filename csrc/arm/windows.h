/* A convolution on 8-bit elements: what CONV_2D and FULLY_CONNECTED, quantized and hybrid, have in common. */
#ifndef QUANTCORE_ARM_WINDOWS_H
#define QUANTCORE_ARM_WINDOWS_H

#include "product.h"
#include "quantcore/conv.h"

/* Take the sums of channels [channel, channel + count) at an output pixel, counted through all images. count: at
 * most 16. */
typedef void qc_window_store(const void *context, const int32_t *acc, int64_t pixel, int32_t channel, int32_t count);

/* is_signed: whether elements are int8. packed: the filter, by qc_filter_in_layout. bias may be NULL. Offsets: as in
 * qc_conv_params. */
typedef struct {
    const qc_conv_shape *shape;
    int32_t groups;
    int32_t is_signed;
    int32_t input_offset;
    int32_t filter_offset;
    qc_tile_product *product;
    const uint8_t *input;
    const int8_t *packed;
    const int32_t *bias;
    qc_window_store *store;
    const void *context;
} qc_windows;

void qc_multiply_windows(const qc_windows *w);

/* A filter as pack_filter.h has it: `packed` if it is not NULL, else made now in `memory`. */
const int8_t *qc_filter_in_layout(const void *packed, const qc_conv_shape *s, int32_t groups, int is_signed,
                                  const uint8_t *filter, void *memory);

/* The convolution that a FULLY_CONNECTED is: of images of one pixel. */
qc_conv_shape qc_rows_as_pixels(int32_t rows, int32_t depth, int32_t units);

#endif
