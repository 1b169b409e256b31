/* CONV_2D. Input and output are [batch, height, width, channel], the filter is [output channel, height,
 * width, input channel of its group], the bias is [output channel].
 *
 * Source of the rules: TFLite kernels/conv.cc, kernels/internal/reference/conv.h,
 * kernels/internal/reference/integer_ops/conv.h. Derivation: docs/numerics/conv_2d.md. */
#ifndef QUANTCORE_CONV_H
#define QUANTCORE_CONV_H

#include "quantcore/filter_kernel.h"
#include "quantcore/hybrid.h"
#include "quantcore/pack_filter.h"
#include "quantcore/requantize.h"

/* Where a window goes. Sizes, strides and dilations are at least 1 (batches at least 0). Places of the window outside
 * the input contribute nothing. Where padding is negative, the first window begins inside the input: the convolutions
 * that a TRANSPOSE_CONV is cut into have that. */
typedef struct {
    int32_t batches;
    int32_t input_height, input_width, input_channels;
    int32_t filter_height, filter_width;
    int32_t output_height, output_width, output_channels;
    int32_t stride_height, stride_width;
    int32_t dilation_height, dilation_width;
    int32_t pad_top, pad_left;
} qc_conv_shape;

/* Input row under row fy of the window at output row oy; outside [0, input_height) it is padding. */
static inline int64_t qc_input_row(const qc_conv_shape *s, int32_t oy, int32_t fy) {
    return (int64_t)oy * s->stride_height - s->pad_top + (int64_t)fy * s->dilation_height;
}

/* Input column under column fx of the window at output column ox. */
static inline int64_t qc_input_column(const qc_conv_shape *s, int32_t ox, int32_t fx) {
    return (int64_t)ox * s->stride_width - s->pad_left + (int64_t)fx * s->dilation_width;
}

/* How many output columns from ox on have all columns of their window inside the input. */
static inline int32_t qc_columns_inside(const qc_conv_shape *s, int32_t ox) {
    const int64_t room = s->input_width - 1 - qc_input_column(s, ox, s->filter_width - 1);
    if (qc_input_column(s, ox, 0) < 0 || room < 0) return 0;
    const int64_t run = room / s->stride_width + 1;
    const int32_t left = s->output_width - ox;
    return run < left ? (int32_t)run : left;
}

/* A convolution on products whose outputs are requantized in registers. Windows are read from bands of the image that
 * have their padding around them. A window is made of runs of elements next to each other: its rows, or its places
 * where they are not (dilation, groups). */
enum { QC_BAND_SIZE = 48 * 1024, QC_MOST_BAND_SIZE = 4 * 1024 * 1024 };

typedef struct {
    int32_t by_rows; /* whether runs are rows of the window */
    int64_t runs;    /* of a window */
    int64_t run;     /* elements of each; in the filter it is filled up to a multiple of 4 */
    int64_t width;   /* columns of a band */
    int64_t rows;    /* output rows that a band is for */
    int64_t size;    /* elements of a band; 0 where one output row takes more than QC_MOST_BAND_SIZE bytes */
} qc_conv_bands;

static inline int64_t qc_band_height(const qc_conv_shape *s, int64_t output_rows) {
    return (output_rows - 1) * s->stride_height + (int64_t)(s->filter_height - 1) * s->dilation_height + 1;
}

/* item: bytes of an element. */
static inline qc_conv_bands qc_make_bands(const qc_conv_shape *s, int32_t groups, int32_t item) {
    qc_conv_bands b = {.by_rows = s->dilation_width == 1 && groups == 1};
    b.runs = (int64_t)s->filter_height * (b.by_rows ? 1 : s->filter_width);
    b.run = (int64_t)(s->input_channels / groups) * (b.by_rows ? s->filter_width : 1);
    b.width =
        (int64_t)(s->output_width - 1) * s->stride_width + (int64_t)(s->filter_width - 1) * s->dilation_width + 1;
    const double row = (double)b.width * s->input_channels * item;
    if (row * (double)qc_band_height(s, 1) > QC_MOST_BAND_SIZE || s->output_height < 1 || s->output_width < 1)
        return b;
    for (b.rows = 1; b.rows < s->output_height; ++b.rows)
        if (row * (double)qc_band_height(s, b.rows + 1) > QC_BAND_SIZE) break;
    b.size = qc_band_height(s, b.rows) * b.width * s->input_channels;
    return b;
}

static inline qc_conv_bands qc_make_conv_bands(const qc_conv_shape *s, int32_t groups) {
    return qc_make_bands(s, groups, 1);
}

/* Number of elements of one image of the input. */
static inline int64_t qc_conv_image_size(const qc_conv_shape *s) {
    return (int64_t)s->input_height * s->input_width * s->input_channels;
}

/* Quantized: with x = input + input_offset, w = filter + filter_offset,
 *
 *   output = requant(bias + sum x * w)        the sum in int32, wrapping
 *
 * groups: divides input_channels and output_channels. input_offset, filter_offset: minus the zero
 * points, so that -offset is a value of the element type. packed: the filter as qc_pack_filter_s8 or
 * qc_pack_filter_u8 lays it out for the vector versions, or NULL, and they do it themselves. by_runs: whether each run
 * of packed (qc_conv_bands) was filled up with zeros, to be used with a prepared requantization alone. bias may be
 * NULL. scratch: qc_conv_scratch_size bytes, or qc_conv_runs_scratch_size where by_runs. */
typedef struct {
    qc_conv_shape shape;
    int32_t groups;
    int32_t input_offset;
    int32_t filter_offset;
    qc_requant requant;
    const void *packed;
    int32_t by_runs;
} qc_conv_params;

/* Bytes of scratch that the quantized kernels need: in the vector versions, a panel of windows, the start
 * values of the accumulators, and the filter if it is not packed. */
static inline int64_t qc_conv_scratch_size(const qc_conv_shape *s, int32_t groups, int is_packed) {
    const int64_t units = s->output_channels / groups;
    const int64_t depth = (int64_t)s->filter_height * s->filter_width * (s->input_channels / groups);
    const int64_t stride = qc_round_up(depth, QC_QUAD);
    const int64_t filter = is_packed ? 0 : qc_round_up(groups * qc_packed_group_size(units, depth), 64);
    return filter + qc_panel_rows(stride) * stride + 64 +
           qc_round_up(units, QC_LANES) * (int64_t)sizeof(int32_t);
}

/* The same where by_runs: start values of all groups, places of runs, and a band, or a panel of rows. */
static inline int64_t qc_conv_runs_scratch_size(const qc_conv_shape *s, int32_t groups) {
    const qc_conv_bands b = qc_make_conv_bands(s, groups);
    const int64_t units = qc_round_up(s->output_channels / groups, QC_LANES);
    const int64_t terms = qc_round_up(s->output_width * (int64_t)sizeof(int32_t), 64);
    const int64_t band = terms + qc_round_up(b.size, 64) + 64;
    const int64_t panel = qc_product_scratch_size(qc_round_up(s->input_channels, QC_QUAD));
    return qc_round_up(groups * units * (int64_t)sizeof(int32_t), 64) + qc_round_up((b.runs + 1) * (int64_t)sizeof(int64_t), 64) +
           (band > panel ? band : panel);
}

QC_FILTER_KERNEL(qc_conv_s8_ref, qc_conv_params, int8_t, int8_t, int32_t, int8_t)
QC_FILTER_KERNEL(qc_conv_u8_ref, qc_conv_params, uint8_t, uint8_t, int32_t, uint8_t)

/* As s8, with a filter of 4 bits (see unpack.h). packed is not used. scratch: qc_conv_s4_scratch_size bytes. */
static inline int64_t qc_conv_s4_scratch_size(const qc_conv_shape *s, int32_t groups) {
    return (int64_t)s->output_channels * s->filter_height * s->filter_width * (s->input_channels / groups);
}

QC_FILTER_KERNEL(qc_conv_s8_s4_ref, qc_conv_params, int8_t, uint8_t, int32_t, int8_t)

/* 16x8: int16 activations, int8 filter. The zero points are 0 in TFLite. s16 has int32 accumulators, which wrap,
 * and bias; s16_wide int64 ones, and the rules of qc_requantize_wide. packed: as for int8; where it is NULL, the definition
 * computes. scratch: qc_panel_size_s16 bytes, for the length of a sum. */
QC_FILTER_KERNEL(qc_conv_s16_ref, qc_conv_params, int16_t, int8_t, int32_t, int16_t)
QC_FILTER_KERNEL(qc_conv_s16_wide_ref, qc_conv_params, int16_t, int8_t, int64_t, int16_t)

/* float32: output = clamp(sum + bias). The sum starts at 0 and adds one rounded product at a time, in
 * the order filter row, filter column, channel; places outside the input are left out. bias may be NULL
 * (then 0 is added). packed: the filter as qc_pack_filter_f32 lays it out, or NULL. finite: whether it was laid out and
 * has neither NaN nor infinity; then the vector versions may add products with zeros, or leave them out.
 * scratch: qc_conv_f32_scratch_size bytes. */
typedef struct {
    qc_conv_shape shape;
    int32_t groups;
    float activation_min;
    float activation_max;
    const void *packed;
    int32_t finite;
} qc_conv_f32_params;

/* Bytes of a band of floats. */
static inline int64_t qc_float_band_size(const qc_conv_shape *s) {
    return qc_round_up(qc_make_bands(s, 1, sizeof(float)).size * (int64_t)sizeof(float), 64);
}

/* Whether a convolution of floats is computed by columns of the input, if it may be: of 3 x 3 places next to each other,
 * with so few channels that the filter of a block of units stays in the level 1 cache. */
static inline int qc_takes_float_columns(const qc_conv_shape *s, int32_t groups) {
    return groups == 1 && s->filter_height == 3 && s->filter_width == 3 && s->stride_height == 1 && s->stride_width == 1 &&
           s->dilation_height == 1 && s->dilation_width == 1 && s->input_channels >= 8 &&
           s->input_channels <= (s->output_channels > QC_LANES ? 64 : 40);
}

/* Bytes of the filter arranged for it, and of the sums of a band, with two columns on each side. */
static inline int64_t qc_float_columns_filter_size(const qc_conv_shape *s) {
    return 9 * s->input_channels * qc_round_up(s->output_channels, QC_LANES) * (int64_t)sizeof(float);
}

static inline int64_t qc_float_columns_sums(const qc_conv_shape *s, int64_t rows) {
    return rows * ((int64_t)s->output_width + 4) * 2 * QC_LANES * (int64_t)sizeof(float);
}

/* Bytes of scratch that the vector versions need: places of the window, a band of the image and the list of its elements,
 * what is needed by columns, and the filter if it is not packed. */
static inline int64_t qc_conv_f32_scratch_size(const qc_conv_shape *s, int32_t groups, int is_packed) {
    const int64_t units = s->output_channels / groups;
    const int64_t taps = (int64_t)s->filter_height * s->filter_width;
    const int64_t depth = taps * (s->input_channels / groups);
    const int64_t filter = is_packed ? 0 : qc_round_up(groups * qc_packed_group_size_f32(units, depth), 64);
    const qc_conv_bands b = qc_make_bands(s, 1, sizeof(float));
    const int64_t columns = b.rows > 0 ? qc_band_height(s, b.rows) * (b.width + 1) : 0;
    int64_t band = qc_float_lists_bytes(b.size, columns, (int64_t)s->output_width * s->filter_height);
    if (qc_takes_float_columns(s, groups)) band += qc_float_columns_filter_size(s) + qc_float_columns_sums(s, b.rows) + 64;
    const int64_t rows = s->input_channels > 0 ? qc_float_lists_size(s->input_channels) : 0;
    return filter + qc_round_up(taps * QC_PLACE_SIZE, 64) + qc_float_band_size(s) + (band > rows ? band : rows);
}

QC_FILTER_KERNEL(qc_conv_f32_ref, qc_conv_f32_params, float, float, float, float)

/* The same with products that are added without being rounded, sum = fma(input, filter, sum), in parts of
 * QC_FUSED_PART products (float_sum.h). */
QC_FILTER_KERNEL(qc_conv_f32_fused_ref, qc_conv_f32_params, float, float, float, float)

/* Hybrid: float32 activations, int8 filter (zero points 0). Each image is quantized on the fly, then
 *
 *   per channel: output = clamp(f32(f32(sum * filter_scale[channel]) * scale) + bias)
 *   otherwise:   output = clamp(f32(sum * f32(scale * filter_scale[0])) + bias)
 *
 * with sum = sum (q - zero_point) * filter in int32, converted to float32. Per channel the quantization is
 * asymmetric, otherwise symmetric. filter_scale: [output_channels] or [1].
 * sign_overflow: whether the filter may contain -128 (see qc_hybrid_sign_overflow); it matters where there
 * is one scale, and output_channels is no multiple of 4.
 * form: how the product per channel is formed; the line above is the reference.
 * scratch: qc_conv_hybrid_scratch_size bytes. */
typedef struct {
    qc_conv_shape shape;
    int32_t groups;
    int32_t per_channel;
    int32_t sign_overflow;
    qc_hybrid_form form;
    const float *filter_scale;
    float activation_min;
    float activation_max;
    const void *packed;
} qc_conv_hybrid_params;

/* As qc_conv_scratch_size, and one byte per element of an image, and a band of it with the places of runs. */
static inline int64_t qc_conv_hybrid_scratch_size(const qc_conv_shape *s, int32_t groups, int is_packed) {
    const qc_conv_bands b = qc_make_conv_bands(s, groups);
    const int64_t band = b.size + qc_round_up((b.runs + 1) * (int64_t)sizeof(int64_t), 64) + 3 * 64;
    return qc_conv_scratch_size(s, groups, is_packed) + qc_round_up(qc_conv_image_size(s), 64) + qc_round_up(band, 64);
}

QC_FILTER_KERNEL(qc_conv_hybrid_ref, qc_conv_hybrid_params, float, int8_t, float, float)

/* The hybrid form as XNNPACK computes it: each image is quantized by qc_xnnpack_quantize, then
 *
 *   output = clamp(fma(f32(sum * inverse_scale), filter_scale, bias))
 *
 * where denormals are 0. Same params and scratch; sign_overflow, form and packed are not used, the bounds may be
 * infinite. A convolution that XNNPACK makes a FULLY_CONNECTED of is quantized by pixel: not this kernel's. */
QC_FILTER_KERNEL(qc_conv_hybrid_fma_ref, qc_conv_hybrid_params, float, int8_t, float, float)

#endif
