/* CONV_2D and FULLY_CONNECTED on 8-bit elements: the bits of csrc/reference/conv.c and fully_connected.c.
 *
 * Tiles of 4 output pixels by 16 channels; see product.h. Where the channels under one place of the window are whole
 * quads, the product reads them in the image, and what is outside of it in a pixel of padding. Other windows are
 * gathered into rows of bytes. Both go part by part, so that the memory for it has a fixed size: a part is PLACES
 * places of the window, or GATHERED bytes of its depth; all but the widest filters are one part. A FULLY_CONNECTED is
 * a convolution of images of one pixel. */
#include <stddef.h>
#include <string.h>

#include "../kernels.h"
#include "product.h"
#include "requantize_neon.h"

/* CACHED: bytes of the filter that all pixels are multiplied with before the next are. */
enum { PLACES = 64, GATHERED = 1024, CACHED = 24576 };

typedef struct {
    const qc_conv_shape *shape;
    qc_tile_product *product;
    const uint8_t *input;
    const int8_t *packed;
    const int32_t *bias; /* or NULL */
    const qc_requant *requant;
    uint8_t *output;
    int32_t groups, units;     /* units of a group */
    int64_t group_depth;       /* channels of a group */
    int64_t depth;             /* length of a sum */
    int64_t pixels;            /* of the output, of all images */
    int32_t input_shift, filter_shift;
    uint8_t flip;
    uint8_t padding_byte;
    int32_t gathers;  /* whether windows are gathered */
    int64_t parts;    /* of the depth */
    const uint8_t *padding; /* a pixel of padding */
} conv;

/* Up to 4 output pixels, and the part of their windows that is multiplied. */
typedef struct {
    int32_t rows;
    int64_t top[QC_TILE_ROWS], left[QC_TILE_ROWS]; /* of the windows, in the input */
    const uint8_t *image[QC_TILE_ROWS];            /* at the first channel of the group */
    qc_tile_runs runs;
    const uint8_t *places[PLACES * QC_TILE_ROWS];
    uint8_t gathered[QC_TILE_ROWS][GATHERED];
} tile;

static void begin_tile(const conv *c, int64_t first_pixel, int32_t group, tile *t) {
    const qc_conv_shape *s = c->shape;
    const int64_t left = c->pixels - first_pixel;
    t->rows = left < QC_TILE_ROWS ? (int32_t)left : QC_TILE_ROWS;
    for (int32_t r = 0; r < QC_TILE_ROWS; ++r) {
        const int64_t pixel = first_pixel + (r < t->rows ? r : t->rows - 1);
        const int64_t line = pixel / s->output_width;
        t->top[r] = qc_input_row(s, (int32_t)(line % s->output_height), 0);
        t->left[r] = qc_input_column(s, (int32_t)(pixel % s->output_width), 0);
        t->image[r] = c->input + line / s->output_height * qc_conv_image_size(s) + group * c->group_depth;
    }
}

/* The channels of the group under place `place` of the window of row r. */
static inline const uint8_t *find_place(const conv *c, const tile *t, int32_t r, int64_t place) {
    const qc_conv_shape *s = c->shape;
    const int64_t iy = t->top[r] + place / s->filter_width * s->dilation_height;
    const int64_t ix = t->left[r] + place % s->filter_width * s->dilation_width;
    if (iy < 0 || iy >= s->input_height || ix < 0 || ix >= s->input_width) return c->padding;
    return t->image[r] + (iy * s->input_width + ix) * s->input_channels;
}

static void point_at_places(const conv *c, int64_t part, tile *t) {
    const int64_t taps = (int64_t)c->shape->filter_height * c->shape->filter_width;
    const int64_t first = part * PLACES;
    const int64_t count = taps - first < PLACES ? taps - first : PLACES;
    for (int64_t k = 0; k < count; ++k)
        for (int32_t r = 0; r < QC_TILE_ROWS; ++r)
            t->places[k * QC_TILE_ROWS + r] = find_place(c, t, r, first + k);
    t->runs.runs = count;
    t->runs.quads = c->group_depth / QC_QUAD;
}

/* Copy elements [begin, end) of the window of row r. */
static void gather_row(const conv *c, const tile *t, int32_t r, int64_t begin, int64_t end, uint8_t *to) {
    for (int64_t d = begin; d < end;) {
        const int64_t channel = d % c->group_depth;
        const int64_t left = c->group_depth - channel;
        const size_t count = (size_t)(end - d < left ? end - d : left);
        const uint8_t *place = find_place(c, t, r, d / c->group_depth);
        if (place == c->padding)
            memset(to, c->padding_byte, count);
        else
            memcpy(to, place + channel, count);
        to += count;
        d += (int64_t)count;
    }
    memset(to, c->flip, (size_t)(qc_round_up(end - begin, QC_QUAD) - (end - begin))); /* p = 0 */
}

static void gather(const conv *c, int64_t part, tile *t) {
    const int64_t begin = part * GATHERED;
    const int64_t end = c->depth - begin < GATHERED ? c->depth : begin + GATHERED;
    for (int32_t r = 0; r < QC_TILE_ROWS; ++r) {
        t->places[r] = t->gathered[r < t->rows ? r : 0];
        if (r < t->rows) gather_row(c, t, r, begin, end, t->gathered[r]);
    }
    t->runs.runs = 1;
    t->runs.quads = qc_round_up(end - begin, QC_QUAD) / QC_QUAD;
}

static void take_part(const conv *c, int64_t part, tile *t) {
    t->runs.places = t->places;
    t->runs.flip = c->flip;
    if (c->gathers)
        gather(c, part, t);
    else
        point_at_places(c, part, t);
}

/* The sum of p over the part of row r; it wraps. */
static uint32_t part_sum(const tile *t, int32_t r) {
    const int8x16_t flip = vdupq_n_s8((int8_t)t->runs.flip);
    int32x4_t sums = vdupq_n_s32(0);
    int64_t rest = 0;
    for (int64_t k = 0; k < t->runs.runs; ++k) {
        const uint8_t *bytes = t->places[k * QC_TILE_ROWS + r];
        const int64_t count = t->runs.quads * QC_QUAD;
        int64_t i = 0;
        for (; i + 16 <= count; i += 16) {
            const int8x16_t p = veorq_s8(vreinterpretq_s8_u8(vld1q_u8(bytes + i)), flip);
            sums = vpadalq_s16(sums, vpaddlq_s8(p));
        }
        for (; i < count; ++i) rest += (int8_t)(bytes[i] ^ t->runs.flip);
    }
    return (uint32_t)(uint64_t)rest + (uint32_t)vaddvq_s32(sums);
}

/* filter_shift * (sum p + depth * input_shift) of each row. */
static void find_row_terms(const conv *c, tile *t, uint32_t terms[QC_TILE_ROWS]) {
    for (int32_t r = 0; r < QC_TILE_ROWS; ++r) terms[r] = 0;
    if (c->filter_shift == 0) return;
    const uint32_t constant = (uint32_t)(uint64_t)(c->depth * c->input_shift);
    for (int64_t part = 0; part < c->parts; ++part) {
        if (c->parts > 1) take_part(c, part, t);
        for (int32_t r = 0; r < t->rows; ++r) terms[r] += part_sum(t, r);
    }
    for (int32_t r = 0; r < t->rows; ++r) terms[r] = (uint32_t)c->filter_shift * (terms[r] + constant);
}

/* What the sums of 16 units begin with: bias + input_shift * sum f. */
static void find_start(const conv *c, const int32_t *sums, const int32_t *bias, int32_t count, uint32_t start[16]) {
    for (int32_t u = 0; u < QC_LANES; ++u) {
        const uint32_t b = bias != NULL && u < count ? (uint32_t)bias[u] : 0;
        start[u] = b + (uint32_t)c->input_shift * (uint32_t)sums[u];
    }
}

/* Compute units [unit, unit + 16) of the pixels of a tile. */
static void multiply_block(const conv *c, tile *t, int64_t first_pixel, int32_t group, int32_t unit,
                           const uint32_t terms[QC_TILE_ROWS]) {
    const int64_t stride = qc_round_up(c->depth, QC_QUAD);
    const int8_t *packed = c->packed + group * qc_packed_group_size(c->units, c->depth);
    const int32_t *sums = (const int32_t *)(const void *)(packed + qc_round_up(c->units, QC_LANES) * stride);
    const int32_t count = c->units - unit < QC_LANES ? c->units - unit : QC_LANES;
    const int32_t channel = group * c->units + unit;
    uint32_t start[QC_LANES];
    int32_t acc[QC_TILE_ROWS * QC_LANES];
    find_start(c, sums + unit, c->bias != NULL ? c->bias + channel : NULL, count, start);
    for (int32_t r = 0; r < QC_TILE_ROWS; ++r)
        for (int32_t u = 0; u < QC_LANES; ++u) acc[r * QC_LANES + u] = (int32_t)(start[u] + terms[r]);
    const int8_t *filter = packed + unit * stride;
    for (int64_t part = 0; part < c->parts; ++part) {
        if (c->parts > 1) take_part(c, part, t);
        c->product(&t->runs, t->rows, filter, acc);
        filter += t->runs.runs * t->runs.quads * QC_LANES * QC_QUAD;
    }
    for (int32_t r = 0; r < t->rows; ++r) {
        uint8_t *output = c->output + (first_pixel + r) * c->shape->output_channels + channel;
        qc_requantize_some_neon(c->requant, acc + r * QC_LANES, channel, count, output);
    }
}

/* Compute units [first, last) of a group. */
static void run_units(const conv *c, int32_t group, int32_t first, int32_t last) {
    tile t;
    uint32_t terms[QC_TILE_ROWS];
    for (int64_t pixel = 0; pixel < c->pixels; pixel += QC_TILE_ROWS) {
        begin_tile(c, pixel, group, &t);
        if (c->parts == 1) take_part(c, 0, &t);
        find_row_terms(c, &t, terms);
        for (int32_t unit = first; unit < last; unit += QC_LANES) multiply_block(c, &t, pixel, group, unit, terms);
    }
}

static void run_conv(conv *c) {
    const qc_conv_shape *s = c->shape;
    uint8_t padding[GATHERED];
    memset(padding, c->padding_byte, sizeof padding);
    const int64_t taps = (int64_t)s->filter_height * s->filter_width;
    c->padding = padding;
    c->units = s->output_channels / c->groups;
    c->group_depth = s->input_channels / c->groups;
    c->depth = taps * c->group_depth;
    c->pixels = (int64_t)s->batches * s->output_height * s->output_width;
    c->gathers = c->group_depth % QC_QUAD != 0 || c->group_depth > GATHERED;
    c->parts = c->gathers ? (c->depth + GATHERED - 1) / GATHERED : (taps + PLACES - 1) / PLACES;
    const int64_t cached = CACHED / qc_round_up(c->depth + 1, QC_QUAD) / QC_LANES * QC_LANES;
    const int64_t units = cached > QC_LANES ? cached : QC_LANES;
    for (int32_t group = 0; group < c->groups; ++group)
        for (int64_t first = 0; first < c->units; first += units)
            run_units(c, group, (int32_t)first, (int32_t)(first + units < c->units ? first + units : c->units));
}

/* qc_conv_s8 or _u8. */
static qc_status conv_bytes(qc_tile_product *product, int is_signed, const qc_conv_params *p, const uint8_t *input,
                            const uint8_t *filter, const int32_t *bias, uint8_t *output, void *scratch) {
    const int8_t *packed = p->packed;
    if (packed == NULL) {
        const int32_t units = p->shape.output_channels / p->groups;
        const int64_t taps = (int64_t)p->shape.filter_height * p->shape.filter_width;
        const qc_pack_filter_params layout = {p->groups, units, taps * (p->shape.input_channels / p->groups)};
        if (is_signed)
            qc_pack_filter_s8_ref(&layout, (const int8_t *)filter, scratch, NULL);
        else
            qc_pack_filter_u8_ref(&layout, filter, scratch, NULL);
        packed = scratch;
    }
    conv c = {.shape = &p->shape, .product = product, .input = input, .packed = packed, .bias = bias};
    c.requant = &p->requant;
    c.output = output;
    c.groups = p->groups;
    c.flip = is_signed ? 0 : 0x80;
    c.input_shift = p->input_offset + (is_signed ? 0 : 128);
    c.filter_shift = p->filter_offset + (is_signed ? 0 : 128);
    c.padding_byte = (uint8_t)-p->input_offset;
    run_conv(&c);
    return QC_OK;
}

/* qc_fully_connected_s8 or _u8. */
static qc_status fully_connected_bytes(qc_tile_product *product, int is_signed, const qc_fully_connected_params *p,
                                       const uint8_t *input, const uint8_t *filter, const int32_t *bias,
                                       uint8_t *output, void *scratch) {
    const qc_conv_params conv_params = {
        .shape = {.batches = p->batches, .input_height = 1, .input_width = 1, .input_channels = p->depth,
                  .filter_height = 1, .filter_width = 1, .output_height = 1, .output_width = 1,
                  .output_channels = p->units, .stride_height = 1, .stride_width = 1, .dilation_height = 1,
                  .dilation_width = 1},
        .groups = 1, .input_offset = p->input_offset, .filter_offset = p->filter_offset, .requant = p->requant,
        .packed = p->packed,
    };
    return conv_bytes(product, is_signed, &conv_params, input, filter, bias, output, scratch);
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
