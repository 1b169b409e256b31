/* The float CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED on vectors of output channels. */
#include <immintrin.h>
#include <stddef.h>
#include <string.h>

#include "../kernels.h"
#include "gemm.h"
#include "gemm_f32.h"
#include "short_windows_f32.h"

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
static void convolve_pixels(const qc_float_gemm *g, const windows *w, int with_lists, uint8_t *memory, float *output) {
    const qc_conv_shape *s = w->shape;
    const int64_t pixels = (int64_t)s->batches * s->output_height * s->output_width;
    if (with_lists) {
        qc_float_rows_run(g, w->image, w->filter, pixels, memory, output, s->output_channels);
        return;
    }
    const qc_place place = {w->image, w->filter, w->depth};
    qc_float_gemm_run(g, &place, 1, 0, s->input_channels, pixels, output, s->output_channels);
}

/* Bands of an image with zeros around it: padding that is neutral, so that all windows have the same places. */

/* An image whose windows are read from bands of it, or where they lie in it. */
typedef struct {
    const qc_conv_shape *shape;
    qc_conv_bands bands;
    int in_place;
    int64_t pitch; /* columns from one row to the next */
    float *memory;
    void (*copy_rows)(float *to, const float *from, int64_t from_step, int64_t rows, int64_t before, int64_t count,
                      int64_t size);
} banded;

/* qc_copy_rows_avx512 for long rows, and without AVX-512. */
static void copy_rows(float *to, const float *from, int64_t from_step, int64_t rows, int64_t before, int64_t count,
                      int64_t size) {
    for (; rows > 0; --rows, to += size, from += from_step) {
        memset(to, 0, (size_t)before * sizeof *to);
        memcpy(to + before, from, (size_t)count * sizeof *to);
        memset(to + before + count, 0, (size_t)(size - before - count) * sizeof *to);
    }
}

static int windows_are_inside(const qc_conv_shape *s) {
    return qc_input_row(s, 0, 0) >= 0 && qc_input_column(s, 0, 0) >= 0 &&
           qc_input_row(s, s->output_height - 1, s->filter_height - 1) < s->input_height &&
           qc_input_column(s, s->output_width - 1, s->filter_width - 1) < s->input_width;
}

static banded make_banded(const qc_float_isa *isa, const qc_conv_shape *s, int32_t groups, float *memory) {
    const qc_conv_bands bands = qc_make_bands(s, groups, sizeof(float));
    const int in_place = windows_are_inside(s);
    return (banded){s, bands, in_place, in_place ? s->input_width : bands.width, memory,
                    isa->lists && bands.width * s->input_channels <= 64 ? qc_copy_rows_avx512 : copy_rows};
}

/* The window of output (first, 0), in a band for `rows` output rows. */
static const float *band_at(const banded *b, const float *image, int32_t first, int32_t rows) {
    const qc_conv_shape *s = b->shape;
    const int64_t channels = s->input_channels, width = b->bands.width, left = qc_input_column(s, 0, 0);
    if (b->in_place) return image + (qc_input_row(s, first, 0) * b->pitch + left) * channels;
    const int64_t begin = left < 0 ? 0 : left, wanted = left + width;
    const int64_t end = wanted > s->input_width ? s->input_width : wanted;
    const int64_t height = qc_band_height(s, rows), first_row = qc_input_row(s, first, 0), size = width * channels;
    int64_t above = first_row < 0 ? -first_row : 0, inside = s->input_height - first_row - above;
    if (above > height || begin >= end) above = height;
    if (inside < 0) inside = 0;
    if (inside > height - above) inside = height - above;
    float *to = b->memory;
    memset(to, 0, (size_t)(above * size) * sizeof *to);
    if (inside > 0)
        b->copy_rows(to + above * size, image + ((first_row + above) * s->input_width + begin) * channels,
                     s->input_width * channels, inside, (begin - left) * channels, (end - begin) * channels, size);
    memset(to + (above + inside) * size, 0, (size_t)((height - above - inside) * size) * sizeof *to);
    return b->memory;
}

/* List the places of a window that begins at `window`, see qc_conv_bands; returns how many. */
static int64_t find_band_places(const windows *w, const banded *b, const float *window) {
    const qc_conv_shape *s = w->shape;
    const qc_conv_bands *bands = &b->bands;
    const int32_t columns = bands->by_rows ? 1 : s->filter_width;
    int64_t count = 0;
    for (int32_t fy = 0; fy < s->filter_height; ++fy) {
        for (int32_t fx = 0; fx < columns; ++fx) {
            const int64_t pixel = fy * s->dilation_height * b->pitch + (int64_t)fx * s->dilation_width;
            const float *filter = w->filter + ((int64_t)fy * s->filter_width + fx) * w->filter_step;
            w->places[count++] = (qc_place){window + pixel * s->input_channels, filter, bands->run};
        }
    }
    return count;
}

/* Rows of outputs from a band, with the places of its windows. */
static void convolve_places(const qc_float_gemm *g, const windows *w, const banded *b, const float *window, int32_t rows,
                            float *output) {
    const qc_conv_shape *s = w->shape;
    const int64_t step = s->stride_height * b->pitch * s->input_channels, count = find_band_places(w, b, window);
    for (int32_t row = 0; row < rows; ++row, output += (int64_t)s->output_width * s->output_channels)
        qc_float_gemm_run(g, w->places, count, row * step, (int64_t)s->stride_width * s->input_channels, s->output_width,
                          output, s->output_channels);
}

/* The elements of a band that are not zero, and where its columns begin. */
typedef struct {
    qc_float_list list;
    int32_t *starts; /* [rows of the band][columns + 1] */
    qc_float_run *runs;
} band_lists;

static band_lists take_lists(const banded *b, uint8_t **memory) {
    const qc_conv_shape *s = b->shape;
    const int64_t size = (b->bands.size + 16) * 4, height = qc_band_height(s, b->bands.rows);
    band_lists l = {.list = {.offsets = qc_take(memory, size)}};
    l.list.values = qc_take(memory, size);
    l.starts = qc_take(memory, height * (b->bands.width + 1) * 4);
    l.runs = qc_take(memory, (int64_t)s->output_width * s->filter_height * QC_PLACE_SIZE);
    return l;
}

/* The same as convolve_places without the zeros of the band; returns 0 where it has too few. */
static int convolve_lists(const qc_float_gemm *g, const windows *w, const banded *b, const band_lists *l,
                          const float *window, int32_t rows, float *output) {
    const qc_conv_shape *s = w->shape;
    const int64_t channels = s->input_channels, width = b->bands.width, height = qc_band_height(s, rows);
    const int32_t column = (int32_t)channels * QC_LANES; /* offsets of a column */
    const float *middle = window + height / 2 * b->pitch * channels; /* a row that stands for all */
    if (!qc_is_worth_a_list(qc_count_elements_avx512(middle, width * channels), width * channels, height, g->units)) return 0;
    int64_t n = 0;
    for (int64_t i = 0; i < height; ++i)
        n = qc_list_row_avx512(window + i * b->pitch * channels, width, channels, column, n, &l->list,
                               l->starts + i * (width + 1));
    for (int32_t row = 0; row < rows; ++row, output += (int64_t)s->output_width * s->output_channels) {
        qc_float_run *run = l->runs;
        for (int32_t ox = 0; ox < s->output_width; ++ox) {
            const int64_t first = (int64_t)ox * s->stride_width;
            for (int32_t fy = 0; fy < s->filter_height; ++fy, ++run) {
                const int64_t i = (int64_t)row * s->stride_height + (int64_t)fy * s->dilation_height;
                const int32_t *starts = l->starts + i * (width + 1) + first;
                run->offsets = l->list.offsets + starts[0];
                run->values = l->list.values + starts[0];
                run->count = starts[s->filter_width] - starts[0];
                run->filter = w->filter + ((int64_t)fy * s->filter_width - first) * column;
            }
        }
        const qc_float_output out = {g->bias, g->low, g->high, output, s->output_channels};
        qc_float_runs_avx512(l->runs, s->filter_height, s->output_width, g->depth * QC_LANES, g->units, &out);
    }
    return 1;
}

/* Whether zeros are looked for: where each element takes part in many products. */
static int may_have_lists(const qc_float_gemm *g, const windows *w) {
    const int64_t taps = (int64_t)w->shape->filter_height * w->shape->filter_width;
    return g->isa->lists && w->depth >= 8 && g->units > QC_LANES && taps * g->units >= 96 &&
           w->depth == w->shape->input_channels;
}

/* A convolution by columns (qc_takes_float_columns): what is the same for all bands. */
static qc_float_columns prepare_columns(const qc_float_gemm *g, const windows *w, const band_lists *l, uint8_t *memory) {
    const qc_conv_shape *s = w->shape;
    float *filter = qc_take(&memory, qc_float_columns_filter_size(s));
    qc_float_columns_filter(w->filter, s->input_channels, g->units, filter);
    return (qc_float_columns){s->input_channels, l->list,         l->starts, filter, g->bias,
                              (float *)(void *)memory, s->output_width, g->units,  g->low, g->high};
}

/* The same as convolve_places by the columns of the band, without its zeros; returns 0 where it has too few. */
static int convolve_columns(const qc_float_columns *c, const windows *w, const banded *b, const band_lists *l,
                            const float *band, int32_t rows, float *output) {
    const int64_t channels = c->channels, width = b->bands.width, height = qc_band_height(w->shape, rows);
    const int64_t pitch = b->pitch * channels, count = width * channels;
    const float *middle = band + height / 2 * pitch; /* a row that stands for all */
    if (100 * qc_count_elements_avx512(middle, count) > 80 * count) return 0;
    int64_t n = 0;
    for (int64_t i = 0; i < height; ++i)
        n = qc_list_row_avx512(band + i * pitch, width, channels, 0, n, &l->list, l->starts + i * (width + 1));
    qc_float_columns_avx512(c, rows, output);
    return 1;
}

/* channel: the first of the group. memory: for lists. */
static void convolve_bands(const qc_float_gemm *g, const windows *w, const banded *b, int32_t channel, uint8_t *memory,
                           float *output) {
    const qc_conv_shape *s = w->shape;
    const int lists_fit = g->isa->lists && b->bands.by_rows && b->bands.size < INT32_MAX / QC_LANES;
    const int by_columns = lists_fit && qc_takes_float_columns(s, 1);
    const int with_lists = lists_fit && (by_columns || may_have_lists(g, w));
    band_lists lists = {.runs = NULL};
    qc_float_columns columns = {.units = 0};
    if (with_lists) lists = take_lists(b, &memory);
    if (by_columns) columns = prepare_columns(g, w, &lists, memory);
    for (int32_t first = 0; first < s->output_height; first += (int32_t)b->bands.rows) {
        const int32_t left = s->output_height - first;
        const int32_t rows = left < b->bands.rows ? left : (int32_t)b->bands.rows;
        const float *window = band_at(b, w->image, first, rows) + channel;
        float *to = output + (int64_t)first * s->output_width * s->output_channels;
        const int is_done = by_columns   ? convolve_columns(&columns, w, b, &lists, window, rows, to)
                            : with_lists ? convolve_lists(g, w, b, &lists, window, rows, to)
                                         : 0;
        if (!is_done) convolve_places(g, w, b, window, rows, to);
    }
}

/* Whether windows have few elements, of which int64 offsets fit where there is room for places. */
static int has_short_windows(const qc_float_gemm *g, const qc_conv_shape *s, int32_t depth) {
    return g->isa->lists && depth <= 2 && depth == s->input_channels &&
           (int64_t)s->filter_height * s->filter_width * depth <= QC_SHORT_WINDOW;
}

static void convolve_short_windows(const qc_float_gemm *g, const windows *w, const banded *b, float *output) {
    const qc_conv_shape *s = w->shape;
    const int64_t row_size = (int64_t)s->output_width * s->output_channels, pitch = b->pitch * w->depth;
    int64_t *offsets = (int64_t *)(void *)w->places;
    qc_short_windows short_windows;
    short_windows.filter = w->filter;
    short_windows.offsets = offsets;
    short_windows.count = 0;
    short_windows.units = g->units;
    short_windows.columns = s->output_width;
    short_windows.step = (int64_t)s->stride_width * w->depth;
    for (int32_t fy = 0; fy < s->filter_height; ++fy)
        for (int32_t fx = 0; fx < s->filter_width; ++fx)
            for (int32_t c = 0; c < w->depth; ++c)
                offsets[short_windows.count++] =
                    fy * s->dilation_height * pitch + (int64_t)fx * s->dilation_width * w->depth + c;
    qc_prepare_short_windows_avx512(&short_windows);
    qc_float_output out = {g->bias, g->low, g->high, output, s->output_channels};
    for (int32_t first = 0; first < s->output_height; first += (int32_t)b->bands.rows) {
        const int32_t left = s->output_height - first;
        const int32_t rows = left < b->bands.rows ? left : (int32_t)b->bands.rows;
        const float *window = band_at(b, w->image, first, rows);
        for (int32_t row = 0; row < rows; ++row, window += s->stride_height * pitch, out.output += row_size)
            short_windows.row(&short_windows, window, &out);
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
    const banded bands = make_banded(isa, s, p->groups, qc_take(&memory, qc_float_band_size(s)));
    const int neutral = p->finite && !isa->fused && qc_zeros_are_neutral(), by_bands = neutral && bands.bands.size > 0;
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
            convolve_pixels(&g, &w, neutral && may_have_lists(&g, &w), memory, output + first);
            continue;
        }
        for (int32_t b = 0; b < s->batches; ++b) {
            float *to = output + b * s->output_height * row_size + first;
            w.image = input + b * qc_conv_image_size(s) + (by_bands ? 0 : group * depth);
            if (by_bands && has_short_windows(&g, s, depth)) {
                convolve_short_windows(&g, &w, &bands, to);
            } else if (by_bands) {
                convolve_bands(&g, &w, &bands, group * depth, memory, to);
            } else {
                for (int32_t oy = 0; oy < s->output_height; ++oy) convolve_row(&g, &w, oy, to + oy * row_size);
            }
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
    if (isa->lists && p->finite && p->depth >= 8 && p->units > QC_LANES && qc_zeros_are_neutral()) {
        qc_float_rows_run(&g, input, packed, p->batches, memory, output, p->units);
        return QC_OK;
    }
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
