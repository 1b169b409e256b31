/* The products of all windows of a convolution, and what each sum is stored as.
 *
 * Tiles of 4 output pixels by 16 channels; see product.h. Where the channels under one place of the window are whole
 * quads, the product reads them in the image, and what is outside of it in a pixel of padding. Other windows are
 * gathered into rows of bytes. Both go part by part, so that the memory for it has a fixed size: a part is PLACES
 * places of the window, or GATHERED bytes of its depth; all but the widest filters are one part. */
#include "windows.h"

#include <stddef.h>
#include <string.h>

/* CACHED: bytes of the filter that all pixels are multiplied with before the next are. */
enum { PLACES = 64, GATHERED = 1024, CACHED = 24576 };

typedef struct {
    const qc_windows *w;
    const qc_conv_shape *shape;
    int32_t units;       /* of a group */
    int64_t group_depth; /* channels of a group */
    int64_t depth;       /* length of a sum */
    int64_t pixels;      /* of the output, of all images */
    int32_t input_shift, filter_shift;
    uint8_t flip;
    uint8_t padding_byte;
    int32_t gathers;        /* whether windows are gathered */
    int64_t parts;          /* of the depth */
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
        t->image[r] = c->w->input + line / s->output_height * qc_conv_image_size(s) + group * c->group_depth;
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
    const int8_t *packed = c->w->packed + group * qc_packed_group_size(c->units, c->depth);
    const int32_t *sums = (const int32_t *)(const void *)(packed + qc_round_up(c->units, QC_LANES) * stride);
    const int32_t count = c->units - unit < QC_LANES ? c->units - unit : QC_LANES;
    const int32_t channel = group * c->units + unit;
    uint32_t start[QC_LANES];
    int32_t acc[QC_TILE_ROWS * QC_LANES];
    find_start(c, sums + unit, c->w->bias != NULL ? c->w->bias + channel : NULL, count, start);
    for (int32_t r = 0; r < QC_TILE_ROWS; ++r)
        for (int32_t u = 0; u < QC_LANES; ++u) acc[r * QC_LANES + u] = (int32_t)(start[u] + terms[r]);
    const int8_t *filter = packed + unit * stride;
    for (int64_t part = 0; part < c->parts; ++part) {
        if (c->parts > 1) take_part(c, part, t);
        c->w->product(&t->runs, t->rows, filter, acc);
        filter += t->runs.runs * t->runs.quads * QC_LANES * QC_QUAD;
    }
    for (int32_t r = 0; r < t->rows; ++r)
        c->w->store(c->w->context, acc + r * QC_LANES, first_pixel + r, channel, count);
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

void qc_multiply_windows(const qc_windows *w) {
    const qc_conv_shape *s = w->shape;
    const int64_t taps = (int64_t)s->filter_height * s->filter_width;
    conv c = {.w = w, .shape = s, .units = s->output_channels / w->groups};
    c.group_depth = s->input_channels / w->groups;
    c.depth = taps * c.group_depth;
    c.pixels = (int64_t)s->batches * s->output_height * s->output_width;
    c.flip = w->is_signed ? 0 : 0x80;
    c.input_shift = w->input_offset + (w->is_signed ? 0 : 128);
    c.filter_shift = w->filter_offset + (w->is_signed ? 0 : 128);
    c.padding_byte = (uint8_t)-w->input_offset;
    c.gathers = c.group_depth % QC_QUAD != 0 || c.group_depth > GATHERED;
    c.parts = c.gathers ? (c.depth + GATHERED - 1) / GATHERED : (taps + PLACES - 1) / PLACES;
    uint8_t padding[GATHERED];
    memset(padding, c.padding_byte, sizeof padding);
    c.padding = padding;
    const int64_t cached = CACHED / qc_round_up(c.depth + 1, QC_QUAD) / QC_LANES * QC_LANES;
    const int64_t units = cached > QC_LANES ? cached : QC_LANES;
    for (int32_t group = 0; group < w->groups; ++group)
        for (int64_t first = 0; first < c.units; first += units)
            run_units(&c, group, (int32_t)first, (int32_t)(first + units < c.units ? first + units : c.units));
}

const int8_t *qc_filter_in_layout(const void *packed, const qc_conv_shape *s, int32_t groups, int is_signed,
                                  const uint8_t *filter, void *memory) {
    if (packed != NULL) return packed;
    const int64_t taps = (int64_t)s->filter_height * s->filter_width;
    const qc_pack_filter_params layout = {groups, s->output_channels / groups, taps * (s->input_channels / groups)};
    if (is_signed)
        qc_pack_filter_s8_ref(&layout, (const int8_t *)filter, memory, NULL);
    else
        qc_pack_filter_u8_ref(&layout, filter, memory, NULL);
    return memory;
}

qc_conv_shape qc_rows_as_pixels(int32_t rows, int32_t depth, int32_t units) {
    const qc_conv_shape shape = {.batches = rows, .input_height = 1, .input_width = 1, .input_channels = depth,
                                 .filter_height = 1, .filter_width = 1, .output_height = 1, .output_width = 1,
                                 .output_channels = units, .stride_height = 1, .stride_width = 1,
                                 .dilation_height = 1, .dilation_width = 1};
    return shape;
}
