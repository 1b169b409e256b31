/* CONV_2D, quantized and hybrid, on 8-bit matrix products. */
#include <stddef.h>
#include <string.h>

#include "../kernels.h"
#include "gemm.h"
#include "hybrid_rows.h"
#include "quantcore/hybrid_xnnpack.h"

/* One convolution over one image and one group. */
typedef struct {
    const qc_conv_shape *shape;
    int32_t depth; /* input channels of a group */
    uint8_t flip;
    uint8_t padding; /* a byte of the panel that stands for 0 */
} windows;

/* Copy the channels of a group under one row of the window. */
static void copy_window_row(const windows *w, const uint8_t *row, int32_t ox, uint8_t *to) {
    const qc_conv_shape *s = w->shape;
    for (int32_t fx = 0; fx < s->filter_width; ++fx, to += w->depth) {
        const int64_t ix = qc_input_column(s, ox, fx);
        if (ix < 0 || ix >= s->input_width)
            memset(to, w->padding, (size_t)w->depth);
        else
            qc_copy_flipped(to, row + ix * s->input_channels, w->depth, w->flip);
    }
}

/* Copy the window of output pixel (oy, ox) to a row of the panel. image: of the group's first channel. */
static void copy_window(const windows *w, const uint8_t *image, int32_t oy, int32_t ox, uint8_t *to) {
    const qc_conv_shape *s = w->shape;
    const int64_t width = (int64_t)s->filter_width * w->depth;
    const int64_t first = qc_input_column(s, ox, 0);
    const int contiguous = s->dilation_width == 1 && w->depth == s->input_channels && first >= 0 &&
                           first + s->filter_width <= s->input_width;
    for (int32_t fy = 0; fy < s->filter_height; ++fy, to += width) {
        const int64_t iy = qc_input_row(s, oy, fy);
        const uint8_t *row = image + iy * s->input_width * s->input_channels;
        if (iy < 0 || iy >= s->input_height)
            memset(to, w->padding, (size_t)width);
        else if (contiguous)
            qc_copy_flipped(to, row + first * s->input_channels, width, w->flip);
        else
            copy_window_row(w, row, ox, to);
    }
}

/* Whether the windows, one after the other, are the image itself. */
static int windows_are_image(const windows *w) {
    const qc_conv_shape *s = w->shape;
    return s->filter_height == 1 && s->filter_width == 1 && s->stride_height == 1 && s->stride_width == 1 &&
           s->pad_top == 0 && s->pad_left == 0 && s->output_width == s->input_width &&
           s->output_height <= s->input_height && w->depth == s->input_channels && w->depth % QC_QUAD == 0;
}

/* Convolve one image with one group of filters; rows of the product are numbered from first_row. */
static void convolve(const qc_gemm *g, const windows *w, const uint8_t *image, int64_t first_row,
                     uint8_t *panel, qc_store store, const void *context) {
    const qc_conv_shape *s = w->shape;
    const int64_t stride = qc_round_up(g->depth, QC_QUAD);
    const int64_t pixels = (int64_t)s->output_height * s->output_width;
    const int64_t most = qc_panel_rows(stride);
    const int is_image = windows_are_image(w);
    for (int64_t pixel = 0; pixel < pixels; pixel += most) {
        const int64_t rows = pixels - pixel < most ? pixels - pixel : most;
        const uint8_t *rows_data = panel;
        if (is_image && w->flip == 0) {
            rows_data = image + pixel * stride;
        } else if (is_image) {
            qc_copy_flipped(panel, image + pixel * stride, rows * stride, w->flip);
        } else {
            for (int64_t i = 0; i < rows; ++i)
                copy_window(w, image, (int32_t)((pixel + i) / s->output_width),
                            (int32_t)((pixel + i) % s->output_width), panel + i * stride);
        }
        qc_gemm_run(g, rows_data, (int32_t)rows, first_row + pixel, store, context);
    }
}

static qc_pack_filter_params filter_shape(const qc_conv_shape *s, int32_t groups) {
    const int64_t depth = (int64_t)s->filter_height * s->filter_width * (s->input_channels / groups);
    return (qc_pack_filter_params){groups, s->output_channels / groups, depth};
}

/* A convolution on products with requantization, and its memory. */
typedef struct {
    const qc_product_isa *isa;
    const qc_conv_params *p;
    qc_product_input x;
    qc_conv_bands bands;
    const int64_t *offsets; /* of runs */
    const int32_t *start;   /* [groups][units rounded up to 16] */
    uint8_t *scratch;
} by_runs;

/* The product of a group. */
static qc_product group_product(const by_runs *c, int32_t group) {
    const qc_conv_params *p = c->p;
    const int32_t units = p->shape.output_channels / p->groups;
    const int64_t quads = (c->bands.run + QC_QUAD - 1) / QC_QUAD;
    const int64_t padded = qc_round_up(units, QC_LANES);
    const int8_t *packed = p->packed;
    return (qc_product){
        .filter = packed + group * qc_packed_group_size(units, c->bands.runs * quads * QC_QUAD),
        .start = c->start + group * padded,
        .offsets = c->offsets,
        .runs = c->bands.runs,
        .quads = quads,
        .units = units,
        .requant = &p->requant,
        .blocks = p->requant.blocks + group * padded / QC_LANES,
    };
}

/* Copy the rows under output rows [first, first + rows) with their padding, bytes that stand for 0. width: of a row of
 * the copy. */
static void copy_band(const qc_conv_shape *s, int64_t width, uint8_t flip, uint8_t padding, const uint8_t *image,
                      int32_t first, int64_t rows, uint8_t *to) {
    const int64_t channels = s->input_channels;
    const int64_t left = qc_input_column(s, 0, 0);
    const int64_t begin = left < 0 ? 0 : left, wanted = left + width;
    const int64_t end = wanted > s->input_width ? s->input_width : wanted;
    const int64_t height = qc_band_height(s, rows);
    for (int64_t i = 0; i < height; ++i, to += width * channels) {
        const int64_t iy = qc_input_row(s, first, 0) + i;
        if (iy < 0 || iy >= s->input_height || begin >= end) {
            memset(to, padding, (size_t)(width * channels));
            continue;
        }
        memset(to, padding, (size_t)((begin - left) * channels));
        qc_product_copy(to + (begin - left) * channels, image + (iy * s->input_width + begin) * channels,
                        (end - begin) * channels, flip);
        memset(to + (end - left) * channels, padding, (size_t)((wanted - end) * channels));
    }
}

/* Fill [runs + 1] offsets of the runs of a window in a band; the last is 0. */
static void find_runs(const qc_conv_shape *s, const qc_conv_bands *bands, int64_t *offsets) {
    for (int64_t fy = 0; fy < s->filter_height; ++fy) {
        const int64_t row = fy * s->dilation_height * bands->width;
        for (int64_t fx = 0; fx < (bands->by_rows ? 1 : s->filter_width); ++fx)
            *offsets++ = (row + fx * s->dilation_width) * s->input_channels;
    }
    *offsets = 0;
}

/* `count` outputs of all groups, of windows that are `stride` bytes apart. */
static void convolve_row(const by_runs *c, const uint8_t *windows, int64_t stride, int32_t count, int32_t *terms,
                         uint8_t *output) {
    const qc_conv_params *p = c->p;
    for (int32_t group = 0; group < p->groups; ++group) {
        const qc_product product = group_product(c, group);
        const uint8_t *rows = windows + group * (p->shape.input_channels / p->groups);
        const int32_t *added = qc_product_terms(c->isa, &c->x, &product, c->bands.run, rows, stride, count,
                                                terms);
        c->isa->rows(&product, rows, stride, count, added, output + group * product.units,
                     p->shape.output_channels);
    }
}

static void convolve_image(const by_runs *c, const uint8_t *image, uint8_t *output) {
    const qc_conv_shape *s = &c->p->shape;
    const int64_t row_size = (int64_t)s->output_width * s->output_channels;
    const int64_t stride = (int64_t)s->stride_width * s->input_channels;
    const int64_t step = s->stride_height * c->bands.width * s->input_channels;
    int32_t *terms = (int32_t *)(void *)c->scratch;
    uint8_t *band = c->scratch + qc_round_up(s->output_width * (int64_t)sizeof *terms, 64);
    for (int64_t first = 0; first < s->output_height; first += c->bands.rows) {
        const int64_t left = s->output_height - first;
        const int32_t rows = (int32_t)(left < c->bands.rows ? left : c->bands.rows);
        copy_band(s, c->bands.width, c->x.flip, (uint8_t)-c->x.shift, image, (int32_t)first, rows, band);
        for (int32_t row = 0; row < rows; ++row)
            convolve_row(c, band + row * step, stride, s->output_width, terms,
                         output + (first + row) * row_size);
    }
}

/* Whether the windows are the pixels of whole rows of the image, one after the other. */
static int windows_are_pixels(const qc_conv_params *p) {
    const qc_conv_shape *s = &p->shape;
    return s->filter_height == 1 && s->filter_width == 1 && s->stride_height == 1 && s->stride_width == 1 &&
           s->pad_left == 0 && s->output_width == s->input_width && s->pad_top <= 0 &&
           (int64_t)s->output_height - s->pad_top <= s->input_height;
}

/* The same for several groups: so many pixels at a time that their copy fits the scratch memory. */
static void convolve_pixels(const by_runs *c, const uint8_t *pixels, int64_t count, uint8_t *output) {
    const qc_conv_params *p = c->p;
    const int64_t channels = p->shape.input_channels;
    const int64_t most = qc_product_rows(channels);
    int32_t *terms = (int32_t *)(void *)c->scratch;
    uint8_t *panel = c->scratch + qc_round_up(most * (int64_t)sizeof *terms, 64);
    for (int64_t first = 0; first < count; first += most) {
        const int32_t some = (int32_t)(count - first < most ? count - first : most);
        qc_product_copy(panel, pixels + first * channels, some * channels, c->x.flip);
        convolve_row(c, panel, channels, some, terms, output + first * p->shape.output_channels);
    }
}

/* Fill the places of runs and the start values. */
static void prepare_by_runs(by_runs *c, const int32_t *bias, uint8_t *scratch) {
    const qc_conv_params *p = c->p;
    const qc_conv_shape *s = &p->shape;
    const int64_t padded = qc_round_up(s->output_channels / p->groups, QC_LANES);
    int64_t *offsets = qc_take(&scratch, (c->bands.runs + 1) * (int64_t)sizeof *offsets);
    int32_t *start = qc_take(&scratch, p->groups * padded * (int64_t)sizeof *start);
    find_runs(s, &c->bands, offsets);
    c->offsets = offsets;
    c->start = start;
    c->scratch = scratch;
    for (int32_t group = 0; group < p->groups; ++group) {
        const qc_product product = group_product(c, group);
        qc_product_start(&c->x, product.filter, product.runs * product.quads * QC_QUAD, product.units,
                         qc_has_flipped_start(c->isa, &p->requant),
                         bias != NULL ? bias + group * product.units : NULL, start + group * padded);
    }
}

/* qc_conv_s8 or qc_conv_u8 where the filter is packed by runs. */
static qc_status conv_by_runs(const qc_product_isa *isa, int is_signed, const qc_conv_params *p,
                              const uint8_t *input, const int32_t *bias, uint8_t *output, void *scratch) {
    const qc_conv_shape *s = &p->shape;
    if (s->output_height < 1 || s->output_width < 1) return QC_OK;
    by_runs c = {.isa = isa, .p = p, .bands = qc_make_conv_bands(s, p->groups)};
    c.x = qc_make_product_input(isa, is_signed, p->input_offset, p->filter_offset, c.bands.runs * c.bands.run);
    prepare_by_runs(&c, bias, scratch);
    const int64_t pixels = (int64_t)s->output_height * s->output_width;
    for (int32_t b = 0; b < s->batches; ++b, output += pixels * s->output_channels) {
        const uint8_t *image = input + b * qc_conv_image_size(s);
        const int64_t skipped = windows_are_pixels(p) ? -(int64_t)s->pad_top * s->input_width : 0;
        const uint8_t *first = image + skipped * s->input_channels;
        const qc_product product = group_product(&c, 0);
        if (!windows_are_pixels(p))
            convolve_image(&c, image, output);
        else if (p->groups > 1)
            convolve_pixels(&c, first, pixels, output);
        else
            qc_product_matrix(isa, &c.x, &product, first, pixels, c.scratch, output, s->output_channels);
    }
    return QC_OK;
}

/* qc_conv_s8 or qc_conv_u8 with the instructions of `isa`. */
static qc_status conv_bytes(const qc_gemm_isa *isa, int is_signed, const qc_conv_params *p,
                            const uint8_t *input, const uint8_t *filter, const int32_t *bias,
                            uint8_t *output, void *scratch) {
    if (p->by_runs) return conv_by_runs(isa->product, is_signed, p, input, bias, output, scratch);
    const qc_conv_shape *s = &p->shape;
    const qc_pack_filter_params pack = filter_shape(s, p->groups);
    const int64_t pixels = (int64_t)s->output_height * s->output_width;
    uint8_t *memory = scratch;
    const int8_t *packed = qc_packed_filter(p->packed, &pack, is_signed, filter, &memory);
    qc_gemm g = {.isa = isa, .units = pack.units, .depth = pack.depth};
    g.filter_shift = p->filter_offset + (is_signed ? 0 : 128);
    g.start = qc_take(&memory, qc_round_up(pack.units, QC_LANES) * (int64_t)sizeof(int32_t));
    windows w = {.shape = s, .depth = s->input_channels / p->groups};
    w.flip = qc_panel_flip(isa, is_signed, p->input_offset, &g.input_shift);
    w.padding = (uint8_t)-g.input_shift;
    for (int32_t group = 0; group < p->groups; ++group) {
        const int32_t first = group * pack.units;
        const qc_requant_store store = {isa, &p->requant, output, s->output_channels, first};
        g.packed = packed + group * qc_packed_group_size(pack.units, pack.depth);
        qc_gemm_prepare(&g, bias != NULL ? bias + first : NULL);
        for (int32_t b = 0; b < s->batches; ++b)
            convolve(&g, &w, input + b * qc_conv_image_size(s) + group * w.depth, b * pixels, memory,
                     qc_store_requantized, &store);
    }
    return QC_OK;
}

typedef struct {
    const qc_gemm_isa *isa;
    const qc_conv_hybrid_params *p;
    float scale; /* of the quantized image */
    const float *bias;
    float *output;
    int32_t first_channel;
} hybrid_store;

/* The arithmetic of qc_conv_hybrid_fma_ref. */
__attribute__((target("avx2"))) static void store_hybrid_fma(const void *context, const int32_t *acc, int64_t row,
                                                             int32_t first, int32_t count) {
    const hybrid_store *h = context;
    const qc_conv_hybrid_params *p = h->p;
    const int32_t channel = h->first_channel + first;
    const qc_hybrid_scale q = {h->scale, 0}; /* the sums have the zero point */
    float *output = h->output + row * p->shape.output_channels + channel;
    qc_xnnpack_outputs_avx2(q, p->filter_scale + (p->per_channel ? channel : 0), p->per_channel,
                            h->bias != NULL ? h->bias + channel : NULL, acc, count, output);
    const float low = p->activation_min, high = p->activation_max;
    for (int32_t i = 0; i < count; ++i) output[i] = qc_xnnpack_clamp(output[i], low, high);
}

/* The arithmetic of qc_conv_hybrid_ref. */
static void store_hybrid(const void *context, const int32_t *acc, int64_t row, int32_t first,
                         int32_t count) {
    const hybrid_store *h = context;
    const qc_conv_hybrid_params *p = h->p;
    const int32_t channel = h->first_channel + first;
    const qc_hybrid_output output = {
        .filter_scale = p->per_channel ? p->filter_scale + channel : NULL,
        .bias = h->bias + channel,
        .scale = p->per_channel ? h->scale : h->scale * p->filter_scale[0],
        .low = p->activation_min,
        .high = p->activation_max,
    };
    h->isa->hybrid_outputs(&output, acc, count, h->output + row * p->shape.output_channels + channel);
}

/* Copy runs of a window to a row of the panel; where they are short, bytes behind it may be overwritten. */
static void copy_runs(const uint8_t *window, const int64_t *offsets, int64_t runs, int64_t run, uint8_t *to) {
    for (int64_t i = 0; i < runs; ++i, to += run) {
        const uint8_t *from = window + offsets[i];
        if (run <= 8)
            memcpy(to, from, 8);
        else
            for (int64_t at = 0; at < run; at += 16) memcpy(to + at, from + at, 16);
    }
}

/* The same as convolve, from bands of the image. */
static void convolve_bands(const qc_gemm *g, const windows *w, const qc_conv_bands *bands, const uint8_t *image,
                           int64_t first_row, uint8_t *memory, qc_store store, const void *context) {
    const qc_conv_shape *s = w->shape;
    const int64_t stride = qc_round_up(g->depth, QC_QUAD), most = qc_panel_rows(stride);
    const int64_t step = (int64_t)s->stride_width * s->input_channels;
    const int64_t row_step = s->stride_height * bands->width * s->input_channels;
    int64_t *offsets = qc_take(&memory, (bands->runs + 1) * (int64_t)sizeof *offsets);
    uint8_t *band = qc_take(&memory, bands->size + 64), *panel = memory;
    find_runs(s, bands, offsets);
    for (int64_t first = 0; first < s->output_height; first += bands->rows) {
        const int64_t left = s->output_height - first, rows = left < bands->rows ? left : bands->rows;
        const int64_t pixels = rows * s->output_width;
        copy_band(s, bands->width, w->flip, w->padding, image, (int32_t)first, rows, band);
        for (int64_t pixel = 0; pixel < pixels; pixel += most) {
            const int64_t count = pixels - pixel < most ? pixels - pixel : most;
            for (int64_t i = 0; i < count; ++i) {
                const int64_t oy = (pixel + i) / s->output_width, ox = (pixel + i) % s->output_width;
                copy_runs(band + oy * row_step + ox * step, offsets, bands->runs, bands->run, panel + i * stride);
            }
            qc_gemm_run(g, panel, (int32_t)count, first_row + first * s->output_width + pixel, store, context);
        }
    }
}

/* qc_conv_hybrid, or with `fma` qc_conv_hybrid_fma, with the instructions of `isa`. */
static void convolve_hybrid(const qc_gemm_isa *isa, int fma, const qc_conv_hybrid_params *p, const float *input,
                            const int8_t *filter, const float *bias, float *output, void *scratch) {
    /* Without the rows above the first window: a part of the output rows has them, since the image is quantized whole. */
    const int32_t above = p->shape.pad_top < 0 ? -p->shape.pad_top : 0;
    qc_conv_shape shape = p->shape;
    shape.pad_top += above;
    shape.input_height -= above;
    const qc_conv_shape *s = &shape;
    const qc_store store_outputs = fma ? store_hybrid_fma : store_hybrid;
    const qc_pack_filter_params pack = filter_shape(s, p->groups);
    const int64_t pixels = (int64_t)s->output_height * s->output_width;
    const int64_t image_size = qc_conv_image_size(&p->shape);
    const int64_t skipped = (int64_t)above * s->input_width * s->input_channels;
    uint8_t *memory = scratch;
    const int8_t *packed = qc_packed_filter(p->packed, &pack, 1, (const uint8_t *)filter, &memory);
    int8_t *image = qc_take(&memory, image_size);
    qc_gemm g = {.isa = isa, .units = pack.units, .depth = pack.depth};
    g.start = qc_take(&memory, qc_round_up(pack.units, QC_LANES) * (int64_t)sizeof(int32_t));
    windows w = {.shape = s, .depth = s->input_channels / p->groups};
    const qc_conv_bands bands = qc_make_conv_bands(s, p->groups);
    const int by_bands = p->groups == 1 && bands.size > 0 && !windows_are_image(&w);
    for (int32_t b = 0; b < s->batches; ++b) {
        const float *x = input + b * image_size;
        const qc_hybrid_scale q = fma ? qc_quantize_xnnpack_avx2(isa->hybrid, x, image_size, image)
                                      : qc_hybrid_quantize(isa->hybrid, p->per_channel, x, image_size, image);
        w.flip = qc_panel_flip(isa, 1, -q.zero_point, &g.input_shift);
        w.padding = (uint8_t)-g.input_shift;
        for (int32_t group = 0; group < p->groups; ++group) {
            const hybrid_store store = {isa, p, q.scale, bias, output, group * pack.units};
            const uint8_t *first = (const uint8_t *)image + skipped + group * w.depth;
            g.packed = packed + group * qc_packed_group_size(pack.units, pack.depth);
            qc_gemm_prepare(&g, NULL);
            if (by_bands)
                convolve_bands(&g, &w, &bands, first, b * pixels, memory, store_outputs, &store);
            else
                convolve(&g, &w, first, b * pixels, memory, store_outputs, &store);
        }
    }
}

static qc_status conv_hybrid(const qc_gemm_isa *isa, const qc_conv_hybrid_params *p, const float *input,
                             const int8_t *filter, const float *bias, float *output, void *scratch) {
    if (bias == NULL || p->form != QC_HYBRID_REFERENCE ||
        (p->sign_overflow && !p->per_channel && p->shape.output_channels % 4 != 0))
        return qc_conv_hybrid_ref(p, input, filter, bias, output, scratch);
    convolve_hybrid(isa, 0, p, input, filter, bias, output, scratch);
    return QC_OK;
}

#define HYBRID_FMA_VERSION(ISA)                                                                                  \
    qc_status qc_conv_hybrid_fma_##ISA(const qc_conv_hybrid_params *p, const float *input, const int8_t *filter, \
                                       const float *bias, float *output, void *scratch) {                        \
        convolve_hybrid(&qc_gemm_##ISA, 1, p, input, filter, bias, output, scratch);                             \
        return QC_OK;                                                                                            \
    }
HYBRID_FMA_VERSION(avx2)
HYBRID_FMA_VERSION(vnni)

QC_PRODUCT_VERSIONS(conv, qc_conv_params, qc_conv_hybrid_params, avx2)
QC_PRODUCT_VERSIONS(conv, qc_conv_params, qc_conv_hybrid_params, vnni)
QC_BYTE_VERSIONS(conv, qc_conv_params, amx)
