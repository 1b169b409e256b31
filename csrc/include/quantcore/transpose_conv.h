/* TRANSPOSE_CONV. Input and output are [batch, height, width, channel], the filter is [output channel, height,
 * width, input channel], the bias is [output channel].
 *
 * Input row i reaches the output rows i * stride - pad + f, for every row f of the filter; columns alike. Read
 * from the output: row o sums the input rows i with f = o + pad - i * stride inside the filter.
 *
 * Source of the rules: TFLite kernels/transpose_conv.cc, kernels/internal/reference/transpose_conv.h,
 * kernels/internal/reference/integer_ops/transpose_conv.h. Derivation: docs/numerics/transpose_conv.md. */
#ifndef QUANTCORE_TRANSPOSE_CONV_H
#define QUANTCORE_TRANSPOSE_CONV_H

#include "quantcore/conv.h"
#include "quantcore/requantize.h"
#include "quantcore/status.h"

/* Pointer table: output shape (not read), filter, input, bias if bias >= 0, output. `bias` and `output` are
 * positions in it. shape: dilations are not looked at. steps: the qc_transposed_steps of the vector versions
 * (transposed_steps.h), or NULL; they have scratch memory of their own. */
typedef struct {
    qc_conv_shape shape;
    int32_t bias;
    int32_t output;
    const void *steps;
} qc_transpose_conv_layout;

/* Quantized: with x = input + input_offset, w = filter + filter_offset,
 *
 *   output = requant(bias + sum x * w)        the sum in int32, wrapping
 *
 * s16_wide sums in int64, and its bias is int64: by QC_INT16_MULTIPLIER alone.
 *
 * flat: 1 if the requantization's body counts elements of the whole output, 0 if it counts channels.
 * scratch: none. */
typedef struct {
    qc_transpose_conv_layout layout;
    int32_t input_offset;
    int32_t filter_offset;
    int32_t flat;
    qc_requant requant;
} qc_transpose_conv_params;

qc_status qc_transpose_conv_s8_ref(const qc_transpose_conv_params *, void *const *tensors, void *scratch);
qc_status qc_transpose_conv_u8_ref(const qc_transpose_conv_params *, void *const *tensors, void *scratch);
qc_status qc_transpose_conv_s16_ref(const qc_transpose_conv_params *, void *const *tensors, void *scratch);
qc_status qc_transpose_conv_s16_wide_ref(const qc_transpose_conv_params *, void *const *tensors, void *scratch);

/* float32: output = clamp(sum + bias). The sum starts at 0 and adds one rounded product at a time, in the order
 * input row, input column, channel. scratch: none.
 *
 * Hybrid (int8 filter with scales): each image is quantized on the fly, asymmetrically, and every product is
 * (x - zero point) * w as float32, times filter_scale[channel], times the image's scale, each step rounded.
 * filter_scale: [output channels]; NULL for float32. scratch of the hybrid: qc_conv_image_size bytes. */
typedef struct {
    qc_transpose_conv_layout layout;
    float activation_min;
    float activation_max;
    const float *filter_scale;
} qc_transpose_conv_f32_params;

qc_status qc_transpose_conv_f32_ref(const qc_transpose_conv_f32_params *, void *const *tensors, void *scratch);
qc_status qc_transpose_conv_hybrid_ref(const qc_transpose_conv_f32_params *, void *const *tensors, void *scratch);

/* The hybrid form as XNNPACK computes it (hybrid_xnnpack.h): the products of integers are summed. */
qc_status qc_transpose_conv_hybrid_fma_ref(const qc_transpose_conv_f32_params *, void *const *tensors,
                                           void *scratch);

#endif
