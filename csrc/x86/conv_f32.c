/* The float CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED on vectors of output channels. */
#include <immintrin.h>
#include <stddef.h>
#include <string.h>

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
        qc_float_gemm_run(g, w->places, count, 0, (int64_t)s->stride_width * s->input_channels, columns,
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
    qc_float_gemm_run(g, &place, 1, 0, s->input_channels, pixels, output, s->output_channels);
}

/* Bands of an image with zeros around it -------------------------------------------------------------------
 *
 * Where all elements of the filter are finite, what padding of zeros adds is 0 or -0. A sum starts at 0, and is never -0
 * where it is rounded to nearest and subnormals are kept, since products are rounded before they are added: x - x is 0,
 * and 0 + -0 is 0. So the zeros change no bit, and all windows have the same places. */

static int zeros_are_neutral(void) {
    const unsigned flush_to_zero = 1u << 15, rounding = 3u << 13, denormals_are_zeros = 1u << 6;
    return (_mm_getcsr() & (flush_to_zero | rounding | denormals_are_zeros)) == 0;
}

/* An image whose windows are read from bands of it, or where they lie in it. */
typedef struct {
    const qc_conv_shape *shape;
    qc_conv_bands bands;
    int in_place;
    float *memory;
} banded;

static int windows_are_inside(const qc_conv_shape *s) {
    return qc_input_row(s, 0, 0) >= 0 && qc_input_column(s, 0, 0) >= 0 &&
           qc_input_row(s, s->output_height - 1, s->filter_height - 1) < s->input_height &&
           qc_input_column(s, s->output_width - 1, s->filter_width - 1) < s->input_width;
}

static banded make_banded(const qc_conv_shape *s, int32_t groups, float *memory) {
    banded b = {s, qc_make_bands(s, groups, sizeof(float)), windows_are_inside(s), memory};
    if (b.in_place && b.bands.size > 0) {
        b.bands.rows = s->output_height;
        b.bands.width = s->input_width;
    }
    return b;
}

/* The window of output (first, 0), in a band for `rows` output rows. */
static const float *band_at(const banded *b, const float *image, int32_t first, int32_t rows) {
    const qc_conv_shape *s = b->shape;
    const int64_t channels = s->input_channels, width = b->bands.width, left = qc_input_column(s, 0, 0);
    if (b->in_place) return image + (qc_input_row(s, first, 0) * width + left) * channels;
    const int64_t begin = left < 0 ? 0 : left, wanted = left + width;
    const int64_t end = wanted > s->input_width ? s->input_width : wanted;
    const int64_t height = qc_band_height(s, rows);
    float *to = b->memory;
    for (int64_t i = 0; i < height; ++i, to += width * channels) {
        const int64_t iy = qc_input_row(s, first, 0) + i;
        const size_t row = (size_t)(width * channels) * sizeof *to;
        if (iy < 0 || iy >= s->input_height || begin >= end) {
            memset(to, 0, row);
            continue;
        }
        const int64_t before = (begin - left) * channels, count = (end - begin) * channels;
        memset(to, 0, (size_t)before * sizeof *to);
        memcpy(to + before, image + (iy * s->input_width + begin) * channels, (size_t)count * sizeof *to);
        memset(to + before + count, 0, row - (size_t)(before + count) * sizeof *to);
    }
    return b->memory;
}

/* List the places of a window that begins at `window`, see qc_conv_bands; returns how many. */
static int64_t find_band_places(const windows *w, const qc_conv_bands *bands, const float *window) {
    const qc_conv_shape *s = w->shape;
    const int32_t columns = bands->by_rows ? 1 : s->filter_width;
    int64_t count = 0;
    for (int32_t fy = 0; fy < s->filter_height; ++fy) {
        for (int32_t fx = 0; fx < columns; ++fx) {
            const int64_t pixel = (int64_t)fy * s->dilation_height * bands->width + (int64_t)fx * s->dilation_width;
            const float *filter = w->filter + ((int64_t)fy * s->filter_width + fx) * w->filter_step;
            w->places[count++] = (qc_place){window + pixel * s->input_channels, filter, bands->run};
        }
    }
    return count;
}

/* channel: the first of the group. */
static void convolve_bands(const qc_float_gemm *g, const windows *w, const banded *b, int32_t channel, float *output) {
    const qc_conv_shape *s = w->shape;
    const int64_t step = s->stride_height * b->bands.width * s->input_channels;
    for (int32_t first = 0; first < s->output_height; first += (int32_t)b->bands.rows) {
        const int32_t left = s->output_height - first;
        const int32_t rows = left < b->bands.rows ? left : (int32_t)b->bands.rows;
        const int64_t count = find_band_places(w, &b->bands, band_at(b, w->image, first, rows) + channel);
        for (int32_t row = 0; row < rows; ++row, output += (int64_t)s->output_width * s->output_channels)
            qc_float_gemm_run(g, w->places, count, row * step, (int64_t)s->stride_width * s->input_channels,
                              s->output_width, output, s->output_channels);
    }
}

static qc_status conv_f32(const qc_float_isa *isa, const qc_conv_f32_params *p, const float *input,
                          const float *filter, const float *bias, float *output, void *scratch) {
    const qc_conv_shape *s = &p->shape;
    const int32_t depth = s->input_channels / p->groups;
    const int64_t taps = (int64_t)s->filter_height * s->filter_width;
    const qc_pack_filter_params pack = {p->groups, s->output_channels / p->groups, taps * depth};
    uint8_t *memory = scratch;
    if (s->output_height < 1 || s->output_width < 1) return QC_OK;
    const float *packed = qc_packed_filter_f32(p->packed, &pack, filter, &memory);
    windows w = {.shape = s, .depth = depth, .filter_step = (int64_t)depth * QC_LANES};
    w.places = qc_take(&memory, taps * (int64_t)sizeof(qc_place));
    const banded bands = make_banded(s, p->groups, (float *)(void *)memory);
    const int by_bands = p->finite && !isa->fused && bands.bands.size > 0 && zeros_are_neutral();
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
            float *to = output + b * s->output_height * row_size + first;
            w.image = input + b * qc_conv_image_size(s) + (by_bands ? 0 : group * depth);
            if (by_bands) {
                convolve_bands(&g, &w, &bands, group * depth, to);
                continue;
            }
            for (int32_t oy = 0; oy < s->output_height; ++oy) convolve_row(&g, &w, oy, to + oy * row_size);
        }
    }
    return QC_OK;
}

/* Repeat every channel of an image for each of its output channels. */
static void repeat_channels(const float *image, int64_t count, int32_t multiplier, float *to) {
    for (int64_t i = 0; i < count; ++i)
        for (int32_t m = 0; m < multiplier; ++m) *to++ = image[i];
}

/* The places first, first + step, ... of `count` that are in [0, size): *begin to *end - 1. */
static void places_inside(int64_t first, int32_t step, int32_t count, int32_t size, int32_t *begin, int32_t *end) {
    *begin = 0;
    while (*begin < count && first + (int64_t)*begin * step < 0) ++*begin;
    *end = count;
    while (*end > *begin && first + (int64_t)(*end - 1) * step >= size) --*end;
}

/* One row of outputs. Columns whose windows have all places inside are computed together. */
static void depthwise_row(const qc_float_isa *isa, const qc_conv_shape *s, const float *image, const float *filter,
                          int32_t oy, qc_float_output out) {
    const int64_t channels = s->output_channels, top = qc_input_row(s, oy, 0);
    int32_t first_row, last_row;
    places_inside(top, s->dilation_height, s->filter_height, s->input_height, &first_row, &last_row);
    qc_float_window window = {
        .rows = last_row - first_row,
        .row_step = (int64_t)s->dilation_height * s->input_width * channels,
        .column_step = s->dilation_width * channels,
        .filter_row_step = s->filter_width * channels,
        .filter_step = channels,
    };
    const float *row = image + (top + (int64_t)first_row * s->dilation_height) * s->input_width * channels;
    for (int32_t ox = 0; ox < s->output_width;) {
        const int32_t inside = qc_columns_inside(s, ox), columns = inside > 0 ? inside : 1;
        const int64_t left = qc_input_column(s, ox, 0);
        int32_t first = 0, last = s->filter_width;
        if (inside == 0) places_inside(left, s->dilation_width, s->filter_width, s->input_width, &first, &last);
        window.columns = last - first;
        if (window.columns == 0 || window.rows == 0) window.rows = window.columns = 0;
        window.input = row + (left + (int64_t)first * s->dilation_width) * channels;
        window.filter = filter + ((int64_t)first_row * s->filter_width + first) * channels;
        isa->depthwise(&window, s->stride_width * channels, columns, s->output_channels, &out);
        window.rows = last_row - first_row;
        out.output += columns * channels;
        ox += columns;
    }
}

static qc_status depthwise_f32(const qc_float_isa *isa, const qc_depthwise_f32_params *p,
                               const float *input, const float *filter, const float *bias, float *output,
                               void *scratch) {
    qc_conv_shape s = p->shape;
    const int32_t multiplier = s.output_channels / s.input_channels;
    const int64_t image_size = qc_conv_image_size(&s), row_size = (int64_t)s.output_width * s.output_channels;
    qc_float_output out = {bias, p->activation_min, p->activation_max, output, s.output_channels};
    s.input_channels = s.output_channels;
    for (int32_t b = 0; b < s.batches; ++b, input += image_size) {
        const float *image = input;
        if (multiplier > 1) {
            repeat_channels(image, image_size, multiplier, scratch);
            image = scratch;
        }
        for (int32_t oy = 0; oy < s.output_height; ++oy, out.output += row_size)
            depthwise_row(isa, &s, image, filter, oy, out);
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
    qc_float_gemm_run(&g, &row, 1, 0, p->depth, p->batches, output, p->units);
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
