/* The float CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED on vectors of output channels. */
#include <stddef.h>

#include "../kernels.h"
#include "gemm.h"
#include "gemm_f32.h"

/* A convolution over one image and one group. */
typedef struct {
    const qc_conv_shape *shape;
    int32_t depth; /* input channels of a filter */
    const float *image;
    const float *filter;
    int64_t filter_step; /* elements of the filter from one place to the next */
    qc_place *places;
} windows;

/* The columns of the window at output column ox that are inside the input: [*first, *last). */
static void columns_inside(const qc_conv_shape *s, int32_t ox, int32_t *first, int32_t *last) {
    *first = 0;
    *last = s->filter_width;
    while (*first < *last && qc_input_column(s, ox, *first) < 0) ++*first;
    while (*first < *last && qc_input_column(s, ox, *last - 1) >= s->input_width) --*last;
}

/* List the places of the window at (oy, ox); returns how many. Neighbours in a row are one place where the
 * elements of both input and filter follow each other. */
static int64_t find_places(const windows *w, int32_t oy, int32_t ox) {
    const qc_conv_shape *s = w->shape;
    const int merge = s->dilation_width == 1 && w->depth == s->input_channels;
    int32_t first, last;
    int64_t count = 0;
    columns_inside(s, ox, &first, &last);
    for (int32_t fy = 0; fy < s->filter_height; ++fy) {
        const int64_t iy = qc_input_row(s, oy, fy);
        if (iy < 0 || iy >= s->input_height) continue;
        for (int32_t fx = first; fx < last; fx += merge ? last - first : 1) {
            const int64_t pixel = iy * s->input_width + qc_input_column(s, ox, fx);
            const int64_t depth = merge ? (int64_t)(last - first) * w->depth : w->depth;
            const float *filter = w->filter + ((int64_t)fy * s->filter_width + fx) * w->filter_step;
            w->places[count++] = (qc_place){w->image + pixel * s->input_channels, filter, depth};
        }
    }
    return count;
}

/* One row of outputs: columns whose windows have the same places are computed together. */
static void convolve_row(const qc_float_gemm *g, const windows *w, int32_t oy, float *output) {
    const qc_conv_shape *s = w->shape;
    for (int32_t ox = 0; ox < s->output_width;) {
        const int32_t inside = qc_columns_inside(s, ox);
        const int32_t columns = inside > 0 ? inside : 1;
        const int64_t count = find_places(w, oy, ox);
        qc_float_gemm_run(g, w->places, count, (int64_t)s->stride_width * s->input_channels, columns,
                          output + (int64_t)ox * s->output_channels, s->output_channels);
        ox += columns;
    }
}

/* Whether outputs are products with single pixels, each with the next one. */
static int is_pointwise(const qc_conv_shape *s) {
    return s->filter_height == 1 && s->filter_width == 1 && s->stride_height == 1 && s->stride_width == 1 &&
           s->output_height == s->input_height && s->output_width == s->input_width && s->pad_top == 0 &&
           s->pad_left == 0;
}

/* All pixels of all images in one product. */
static void convolve_pixels(const qc_float_gemm *g, const windows *w, float *output) {
    const qc_conv_shape *s = w->shape;
    const int64_t pixels = (int64_t)s->batches * s->output_height * s->output_width;
    const qc_place place = {w->image, w->filter, w->depth};
    qc_float_gemm_run(g, &place, 1, s->input_channels, pixels, output, s->output_channels);
}

static qc_status conv_f32(const qc_float_isa *isa, const qc_conv_f32_params *p, const float *input,
                          const float *filter, const float *bias, float *output, void *scratch) {
    const qc_conv_shape *s = &p->shape;
    const int32_t depth = s->input_channels / p->groups;
    const int64_t taps = (int64_t)s->filter_height * s->filter_width;
    const qc_pack_filter_params pack = {p->groups, s->output_channels / p->groups, taps * depth};
    uint8_t *memory = scratch;
    const float *packed = qc_packed_filter_f32(p->packed, &pack, filter, &memory);
    windows w = {.shape = s, .depth = depth, .filter_step = (int64_t)depth * QC_LANES};
    w.places = qc_take(&memory, taps * (int64_t)sizeof(qc_place));
    const int64_t group_size = qc_packed_group_size_f32(pack.units, pack.depth) / (int64_t)sizeof(float);
    const int64_t row_size = (int64_t)s->output_width * s->output_channels;
    for (int32_t group = 0; group < p->groups; ++group) {
        const int32_t first = group * pack.units;
        const qc_float_gemm g = {isa,
                                 pack.units,
                                 pack.depth,
                                 bias != NULL ? bias + first : NULL,
                                 p->activation_min,
                                 p->activation_max};
        w.filter = packed + group * group_size;
        w.image = input + group * depth;
        if (is_pointwise(s)) {
            convolve_pixels(&g, &w, output + first);
            continue;
        }
        for (int32_t b = 0; b < s->batches; ++b) {
            w.image = input + b * qc_conv_image_size(s) + group * depth;
            for (int32_t oy = 0; oy < s->output_height; ++oy)
                convolve_row(&g, &w, oy, output + ((int64_t)b * s->output_height + oy) * row_size + first);
        }
    }
    return QC_OK;
}

/* Repeat every channel of an image for each of its output channels. */
static void repeat_channels(const float *image, int64_t count, int32_t multiplier, float *to) {
    for (int64_t i = 0; i < count; ++i)
        for (int32_t m = 0; m < multiplier; ++m) *to++ = image[i];
}

static qc_status depthwise_f32(const qc_float_isa *isa, const qc_depthwise_f32_params *p,
                               const float *input, const float *filter, const float *bias, float *output,
                               void *scratch) {
    qc_conv_shape s = p->shape;
    const int32_t multiplier = s.output_channels / s.input_channels;
    const int64_t image_size = qc_conv_image_size(&s);
    uint8_t *memory = scratch;
    s.input_channels = s.output_channels;
    windows w = {.shape = &s, .filter = filter, .filter_step = s.output_channels};
    w.places = qc_take(&memory, (int64_t)s.filter_height * s.filter_width * (int64_t)sizeof(qc_place));
    qc_float_output out = {bias, p->activation_min, p->activation_max, output, s.output_channels};
    for (int32_t b = 0; b < s.batches; ++b) {
        w.image = input + b * image_size;
        if (multiplier > 1) {
            repeat_channels(w.image, image_size, multiplier, (float *)(void *)memory);
            w.image = (const float *)(const void *)memory;
        }
        for (int32_t oy = 0; oy < s.output_height; ++oy) {
            for (int32_t ox = 0; ox < s.output_width;) {
                const int32_t inside = qc_columns_inside(&s, ox);
                const int32_t columns = inside > 0 ? inside : 1;
                const int64_t count = find_places(&w, oy, ox);
                isa->depthwise(w.places, count, (int64_t)s.stride_width * s.output_channels, columns,
                               s.output_channels, &out);
                ox += columns;
                out.output += (int64_t)columns * s.output_channels;
            }
        }
    }
    return QC_OK;
}

static qc_status fully_connected_f32(const qc_float_isa *isa, const qc_fully_connected_f32_params *p,
                                     const float *input, const float *filter, const float *bias,
                                     float *output, void *scratch) {
    const qc_pack_filter_params pack = {1, p->units, p->depth};
    uint8_t *memory = scratch;
    const float *packed = qc_packed_filter_f32(p->packed, &pack, filter, &memory);
    const qc_float_gemm g = {isa, p->units, p->depth, bias, p->activation_min, p->activation_max};
    const qc_place row = {input, packed, p->depth};
    qc_float_gemm_run(&g, &row, 1, p->depth, p->batches, output, p->units);
    return QC_OK;
}

/* FORM is f32 or f32_fused, TABLE the products of that form. */
#define QC_FLOAT_VERSION(FORM, TABLE, ISA)                                                                \
    qc_status qc_conv_##FORM##_##ISA(const qc_conv_f32_params *p, const float *input, const float *filter, \
                                     const float *bias, float *output, void *scratch) {                   \
        return conv_f32(&TABLE##_##ISA, p, input, filter, bias, output, scratch);                         \
    }                                                                                                     \
    qc_status qc_depthwise_conv_##FORM##_##ISA(const qc_depthwise_f32_params *p, const float *input,      \
                                               const float *filter, const float *bias, float *output,     \
                                               void *scratch) {                                           \
        return depthwise_f32(&TABLE##_##ISA, p, input, filter, bias, output, scratch);                    \
    }                                                                                                     \
    qc_status qc_fully_connected_##FORM##_##ISA(const qc_fully_connected_f32_params *p, const float *input, \
                                                const float *filter, const float *bias, float *output,    \
                                                void *scratch) {                                          \
        return fully_connected_f32(&TABLE##_##ISA, p, input, filter, bias, output, scratch);              \
    }

QC_FLOAT_VERSION(f32, qc_float, avx2)
QC_FLOAT_VERSION(f32, qc_float, avx512)
QC_FLOAT_VERSION(f32_fused, qc_float_fused, avx2)
QC_FLOAT_VERSION(f32_fused, qc_float_fused, avx512)
