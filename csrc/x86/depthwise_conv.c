/* DEPTHWISE_CONV_2D, quantized and hybrid: the part that does not depend on the instruction set.
 *
 * Each input row is copied once per strip of output columns, with its padding, one block of channels at a time; the rows
 * under a window are stacked, and products of stacks and filters summed in registers. See depthwise_layout.h. */
#include <stddef.h>
#include <string.h>

#include "../kernels.h"
#include "depthwise.h"
#include "gemm.h"
#include "quantcore/depthwise_layout.h"

/* What stays the same for all of an operator. */
typedef struct {
    const qc_depthwise_isa *isa;
    const qc_conv_shape *shape;
    qc_depthwise_layout layout;
    int32_t parts;
    int64_t record_size;
    const uint8_t *prepared;
    uint8_t flip;     /* from elements to unsigned bytes */
    uint8_t padding;  /* the byte that stands for zero */
    uint8_t *rows;    /* layout.rows places for rows of bytes, */
    uint8_t *nothing; /* and one of padding */
    int64_t row_bytes;
    uint8_t *stacks;
    uint8_t *sums;    /* outputs of a strip, as bytes or accumulators */
    int64_t *places;
} depthwise;

/* Channels [first, first + count) of the output. */
typedef struct {
    int32_t first, count, pitch, phases;
    const uint8_t *records;
} channel_block;

static int32_t block_count(const qc_conv_shape *s) {
    return (s->output_channels + QC_DEPTHWISE_BLOCK - 1) / QC_DEPTHWISE_BLOCK;
}

static channel_block nth_block(const depthwise *d, int32_t i) {
    const int32_t first = i * QC_DEPTHWISE_BLOCK, left = d->shape->output_channels - first;
    channel_block b = {.first = first, .count = left < QC_DEPTHWISE_BLOCK ? left : QC_DEPTHWISE_BLOCK};
    b.pitch = qc_depthwise_pitch(b.count);
    b.phases = qc_depthwise_phases(b.pitch, d->isa->lanes);
    const int64_t before = (int64_t)i * qc_depthwise_phases(QC_DEPTHWISE_BLOCK, d->isa->lanes);
    b.records = d->prepared + 64 + before * d->record_size;
    return b;
}

static depthwise make_depthwise(const qc_depthwise_isa *isa, const qc_conv_shape *s, int is_signed,
                                int32_t filter_offset) {
    depthwise d = {.isa = isa, .shape = s, .layout = qc_make_depthwise_layout(s, isa->depth, isa->lanes)};
    d.parts = qc_depthwise_parts(&d.layout, is_signed, filter_offset);
    d.record_size = qc_depthwise_record_size(&d.layout, s, d.parts);
    d.flip = is_signed ? 0x80 : 0;
    d.row_bytes = d.layout.row + 64; /* copies may write that much past their end */
    return d;
}

/* input_offset less what the flip has added. */
static int32_t shifted(const depthwise *d, int32_t input_offset) {
    return input_offset - d->flip;
}

/* Preparing the filter ------------------------------------------------------------------------------------ */

static qc_depthwise_store choose_rule(const qc_requant *r) {
    const unsigned whole = 1u << QC_DOUBLE_ROUNDING | 1u << QC_RUY;
    const int one_rule = r->body == INT32_MAX || r->tail == r->rounding;
    if (r->rounding == QC_FLOAT32 && one_rule) return QC_DEPTHWISE_FLOAT32;
    if (!(whole >> r->rounding & 1) || !(one_rule || (whole >> r->tail & 1))) return QC_DEPTHWISE_ACCUMULATORS;
    return r->activation_min >= r->output_offset ? QC_DEPTHWISE_POSITIVE : QC_DEPTHWISE_FIXED;
}

/* A filter element less its zero point; `is_signed` of the filter. */
static int32_t filter_element(const qc_depthwise_params *p, const uint8_t *filter, int is_signed, int64_t tap,
                              int32_t channel) {
    const uint8_t byte = filter[tap * p->shape.output_channels + channel];
    return (is_signed ? (int8_t)byte : byte) + p->filter_offset;
}

static int64_t sum_of_magnitudes(const qc_depthwise_params *p, const uint8_t *filter, int is_signed, int32_t channel) {
    int64_t sum = 0;
    for (int64_t t = 0; t < (int64_t)p->shape.filter_height * p->shape.filter_width; ++t) {
        const int32_t f = filter_element(p, filter, is_signed, t, channel);
        sum += f < 0 ? -f : f;
    }
    return sum;
}

/* How this operator stores: by its rule, if the accumulators are known to be small enough. */
static qc_depthwise_store choose_store(const qc_depthwise_params *p, const uint8_t *filter, int is_signed,
                                       const int32_t *bias) {
    const qc_requant *r = &p->requant;
    const qc_depthwise_store store = choose_rule(r);
    if (store != QC_DEPTHWISE_FIXED && store != QC_DEPTHWISE_POSITIVE) return store;
    int shifts_left = 0;
    for (int32_t c = 0; c < p->shape.output_channels; ++c) {
        const int32_t shift = r->shift[r->per_channel ? c : 0], left = shift > 0 ? shift : 0;
        if (left > 20 || shift < -30) return QC_DEPTHWISE_ACCUMULATORS;
        const int64_t b = bias != NULL ? bias[c] : 0;
        const int64_t most = 255 * sum_of_magnitudes(p, filter, is_signed, c) + (b < 0 ? -b : b);
        if (most >= (int64_t)1 << (29 - left)) return QC_DEPTHWISE_ACCUMULATORS;
        if (left > 0) shifts_left = 1;
    }
    return shifts_left ? QC_DEPTHWISE_SHIFTED : store;
}

/* The part of f that is left when `part` parts of 8 bits have been taken. */
static int32_t part_of(int32_t f, int32_t part) {
    for (; part > 0; --part) f -= qc_clamp(f, -128, 127);
    return f;
}

/* Put filter element f of one tap and row into a lane, at `place` of the stack. */
static void put_element(const depthwise *d, uint8_t *filter, int32_t lane, int32_t place, int32_t part, int32_t f) {
    uint8_t *to = filter + 4 * lane;
    if (d->isa->depth == 2) {
        const int16_t element = (int16_t)f;
        memcpy(to + 2 * place, &element, sizeof element);
    } else {
        to[place] = (uint8_t)qc_clamp(part_of(f, part), -128, 127);
    }
}

/* The filters of one lane, for both output rows of a group; returns how many parts they have. */
static int32_t put_filters(const depthwise *d, const qc_depthwise_params *p, const uint8_t *filter, int is_signed,
                           int32_t channel, int32_t lane, uint8_t *record) {
    const qc_conv_shape *s = d->shape;
    const qc_depthwise_layout *l = &d->layout;
    const int64_t width = 4 * l->lanes, taps = qc_depthwise_taps(l, s);
    int32_t parts = 1;
    for (int64_t t = 0; t < (int64_t)s->filter_height * s->filter_width; ++t) {
        const int32_t f = filter_element(p, filter, is_signed, t, channel);
        const int64_t fy = t / s->filter_width, fx = t % s->filter_width;
        for (int32_t part = 0; part < d->parts && (part == 0 || part_of(f, part) != 0); ++part) {
            if (part >= parts) parts = part + 1;
            for (int32_t row = 0; row < l->group; ++row) {
                const int64_t tap = part * taps + (fy + row) / l->depth * s->filter_width + fx;
                put_element(d, record + 64 + 36 * l->lanes + (tap * l->group + row) * width, lane,
                            (int32_t)((fy + row) % l->depth), part, f);
            }
        }
    }
    return parts;
}

static void prepare_lane(const depthwise *d, const qc_depthwise_params *p, const uint8_t *filter, int is_signed,
                         const int32_t *bias, qc_depthwise_store store, int32_t channel, int32_t lane,
                         uint8_t *record) {
    const qc_requant *r = &p->requant;
    int32_t sum = 0;
    for (int64_t t = 0; t < (int64_t)d->shape->filter_height * d->shape->filter_width; ++t)
        sum = qc_wrap32((int64_t)sum + filter_element(p, filter, is_signed, t, channel));
    const int fixed = store != QC_DEPTHWISE_ACCUMULATORS && store != QC_DEPTHWISE_FLOAT32;
    const int64_t b = bias != NULL ? bias[channel] : 0;
    const int64_t start = b + (int64_t)shifted(d, p->input_offset) * sum + (fixed ? (int64_t)1 << 31 : 0);
    int32_t *parts = qc_record_parts(record), *starts = qc_record_start(record);
    starts[lane] = qc_wrap32(start);
    starts[d->isa->lanes + lane] = sum;
    const int32_t needed = put_filters(d, p, filter, is_signed, channel, lane, record);
    if (*parts < needed) *parts = needed;
    const int32_t c = r->per_channel ? channel : 0;
    if (store == QC_DEPTHWISE_FLOAT32) {
        const float multiplier = (float)r->real_multiplier[c];
        memcpy(record + 64 + 20 * d->isa->lanes + 4 * lane, &multiplier, sizeof multiplier);
    } else if (fixed) {
        const qc_rounding rule = channel < r->body ? r->rounding : r->tail;
        d->isa->fixed(record, lane, r->multiplier[c], r->shift[c], store, rule);
    }
}

static void prepare(depthwise *d, const qc_depthwise_params *p, const uint8_t *filter, int is_signed,
                    const int32_t *bias, uint8_t *prepared) {
    const int32_t lanes = d->isa->lanes;
    const int32_t store = (int32_t)choose_store(p, filter, is_signed, bias);
    memset(prepared, 0, (size_t)qc_depthwise_size_by(&d->layout, d->shape, d->parts));
    memcpy(prepared, &store, sizeof store);
    d->prepared = prepared;
    uint8_t *record = prepared + 64;
    for (int32_t i = 0; i < block_count(d->shape); ++i) {
        const channel_block b = nth_block(d, i);
        for (int32_t phase = 0; phase < b.phases; ++phase, record += d->record_size) {
            for (int32_t lane = 0; lane < lanes; ++lane) {
                const int32_t channel = (phase * lanes + lane) % b.pitch;
                if (channel < b.count)
                    prepare_lane(d, p, filter, is_signed, bias, (qc_depthwise_store)store, b.first + channel, lane,
                                 record);
            }
        }
    }
}

static qc_status prepare_bytes(const qc_depthwise_isa *isa, int is_signed, const qc_depthwise_params *p,
                               const uint8_t *filter, const int32_t *bias, uint8_t *prepared) {
    depthwise d = make_depthwise(isa, &p->shape, is_signed, p->filter_offset);
    if (qc_depthwise_fits(&p->shape)) prepare(&d, p, filter, is_signed, bias, prepared);
    return QC_OK;
}

/* Running ------------------------------------------------------------------------------------------------- */

/* Cut the working memory off the scratch memory, and fill what does not change. */
static void take_memory(depthwise *d, int32_t input_offset, uint8_t *scratch) {
    const qc_depthwise_layout *l = &d->layout;
    d->padding = (uint8_t)-shifted(d, input_offset);
    d->rows = qc_take(&scratch, (l->rows + 1) * d->row_bytes);
    d->nothing = d->rows + l->rows * d->row_bytes;
    d->stacks = qc_take(&scratch, l->stacks * l->row * 4);
    d->sums = qc_take(&scratch, l->group * (qc_round_up((int64_t)l->strip * l->pitch, 64) + 64) * 4);
    d->places = qc_take(&scratch, qc_depthwise_taps(l, d->shape) * (int64_t)sizeof(int64_t));
    memset(d->nothing, d->padding, (size_t)d->row_bytes);
}

static void find_places(const depthwise *d, int32_t pitch) {
    const qc_conv_shape *s = d->shape;
    const qc_depthwise_layout *l = &d->layout;
    int64_t t = 0;
    for (int32_t stack = 0; stack < l->stacks; ++stack) {
        for (int32_t fx = 0; fx < s->filter_width; ++fx, ++t) {
            const int64_t plane = (int64_t)stack * l->planes + fx % l->planes;
            const int64_t column = (int64_t)fx * s->dilation_width / s->stride_width;
            d->places[t] = 4 * (plane * l->plane + column * pitch);
        }
    }
}

/* Copy `count` pixels, `stride` columns apart, of the channels of block b, each repeated as often as the output has
 * it. `from`: the first of the pixels. */
static void copy_repeated(const depthwise *d, const channel_block *b, const uint8_t *from, int64_t distance,
                          int64_t count, uint8_t *to) {
    const int32_t multiplier = d->shape->output_channels / d->shape->input_channels;
    for (int64_t i = 0; i < count; ++i, from += distance, to += b->pitch) {
        const uint8_t *x = from + b->first / multiplier;
        int32_t left = multiplier - b->first % multiplier;
        for (int32_t c = 0; c < b->count; ++x, left = multiplier) {
            const int32_t end = c + left < b->count ? c + left : b->count;
            const uint8_t byte = *x ^ d->flip;
            for (; c < end; ++c) to[c] = byte;
        }
    }
}

static void copy_pixels(const depthwise *d, const channel_block *b, const uint8_t *from, int64_t stride, int64_t count,
                        uint8_t *to) {
    const int32_t channels = d->shape->input_channels;
    if (channels != d->shape->output_channels)
        copy_repeated(d, b, from, stride * channels, count, to);
    else if (stride == 1 && b->pitch == channels)
        d->isa->copy(to, from, count * channels, d->flip);
    else
        d->isa->copy_pixels(to, b->pitch, from + b->first, stride * channels, count, b->count, d->flip);
}

/* How many steps of `step` it takes from `from` to reach zero or more. */
static int64_t steps_to_zero(int64_t from, int64_t step) {
    return from >= 0 ? 0 : (-from + step - 1) / step;
}

/* Output columns [first, first + columns), and for each plane of a row under them: which of its pixels [begin, end) are in
 * the image, the others being padding, and where in a row of the image the first of them is. */
typedef struct {
    int32_t first;
    int64_t columns;
    struct {
        int64_t begin, end, from;
    } planes[64];
} strip_columns;

static void find_columns(const depthwise *d, int32_t first, int64_t columns, strip_columns *c) {
    const qc_conv_shape *s = d->shape;
    const int64_t count = columns + d->layout.reach;
    c->first = first;
    c->columns = columns;
    for (int32_t plane = 0; plane < d->layout.planes; ++plane) {
        const int64_t class = (int64_t)plane * s->dilation_width % s->stride_width;
        const int64_t left = (int64_t)first * s->stride_width - s->pad_left + class;
        int64_t begin = steps_to_zero(left, s->stride_width);
        int64_t end = steps_to_zero(left - s->input_width, s->stride_width);
        if (begin > count) begin = count;
        if (end > count) end = count;
        c->planes[plane].begin = begin;
        c->planes[plane].end = end;
        c->planes[plane].from = (left + begin * s->stride_width) * s->input_channels;
    }
}

/* Fill `count` pixels with padding. */
static void pad_pixels(const depthwise *d, const channel_block *b, int64_t count, uint8_t *to) {
    if (count > 0) memset(to, d->padding, (size_t)(count * b->pitch));
}

/* Copy what is under a strip of one row of the image. */
static void copy_row(const depthwise *d, const channel_block *b, const uint8_t *row, const strip_columns *c,
                     uint8_t *to) {
    const int64_t count = c->columns + d->layout.reach;
    for (int32_t plane = 0; plane < d->layout.planes; ++plane, to += d->layout.plane) {
        const int64_t begin = c->planes[plane].begin, end = c->planes[plane].end;
        pad_pixels(d, b, begin, to);
        if (end > begin)
            copy_pixels(d, b, row + c->planes[plane].from, d->shape->stride_width, end - begin, to + begin * b->pitch);
        pad_pixels(d, b, count - end, to + end * b->pitch);
    }
}

/* What happens to accumulators that are not stored as outputs by the strip itself: those of `count` channels of one
 * pixel from channel `first` on. `pixel` counts through the output. */
typedef void (*finish)(const void *context, const int32_t *acc, int64_t pixel, int32_t first, int32_t count);

typedef struct {
    const uint8_t *image;
    uint8_t *output; /* of the image, or NULL with a finish */
    int64_t first_pixel;
    qc_depthwise_store store;
    qc_depthwise_output bounds;
    finish finish;
    const void *context;
} depthwise_image;

/* Stack `count` elements of each plane of rows. */
static void stack_planes(const depthwise *d, const uint8_t *const *rows, int64_t count, uint8_t *stacks) {
    const uint8_t *planes[4];
    for (int32_t plane = 0; plane < d->layout.planes; ++plane) {
        for (int32_t i = 0; i < d->layout.depth; ++i) planes[i] = rows[i] + plane * d->layout.plane;
        d->isa->stack(planes, count, stacks + plane * d->layout.plane * 4);
    }
}

/* Make the stacks for output rows from oy on. `kept`: which image row is at each place. */
static void make_stacks(const depthwise *d, const channel_block *b, const uint8_t *image, int32_t oy,
                        const strip_columns *c, int64_t *kept) {
    const qc_conv_shape *s = d->shape;
    const qc_depthwise_layout *l = &d->layout;
    const int64_t row_size = (int64_t)s->input_width * s->input_channels;
    for (int32_t stack = 0; stack < l->stacks; ++stack) {
        const uint8_t *under[4] = {d->nothing, d->nothing, d->nothing, d->nothing};
        for (int32_t i = 0; i < l->depth; ++i) {
            const int32_t fy = stack * l->depth + i;
            const int64_t iy = qc_input_row(s, oy, fy);
            if (fy >= l->rows || iy < 0 || iy >= s->input_height) continue;
            const uint32_t place = (uint32_t)iy / (uint32_t)s->dilation_height % (uint32_t)l->rows;
            uint8_t *row = d->rows + place * d->row_bytes;
            if (kept[place] != iy) copy_row(d, b, image + iy * row_size, c, row);
            kept[place] = iy;
            under[i] = row;
        }
        stack_planes(d, under, qc_round_up((c->columns + l->reach) * b->pitch, 64), d->stacks + stack * l->row * 4);
    }
}

/* Hand `columns` pixels of one row of accumulators to the finish. */
static void finish_row(const depthwise_image *m, const channel_block *b, const int32_t *acc, int64_t pixel,
                       int64_t columns) {
    for (int64_t i = 0; i < columns; ++i, acc += b->pitch) m->finish(m->context, acc, pixel + i, b->first, b->count);
}

static void convolve_rows(const depthwise *d, const channel_block *b, const depthwise_image *m, int32_t oy, int32_t rows,
                          int32_t first, int64_t columns) {
    const qc_conv_shape *s = d->shape;
    const int64_t channels = s->output_channels, positions = columns * b->pitch;
    const int is_whole = b->pitch == channels, is_block = b->count == QC_DEPTHWISE_BLOCK;
    const int is_direct = m->store != QC_DEPTHWISE_ACCUMULATORS && (is_whole || is_block) &&
                          (is_whole || d->isa->lanes == QC_DEPTHWISE_BLOCK);
    const int64_t size = m->store == QC_DEPTHWISE_ACCUMULATORS ? 4 : 1;
    qc_depthwise_strip strip = {
        .store = m->store,
        .rows = rows,
        .group = d->layout.group,
        .phases = b->phases,
        .record_size = d->record_size,
        .records = b->records,
        .stacks = d->stacks,
        .places = d->places,
        .taps = qc_depthwise_taps(&d->layout, s),
        .positions = positions,
        .output = m->bounds,
        .step = is_direct && !is_whole ? channels : d->isa->lanes * size,
    };
    const int64_t temporary = qc_round_up(positions, 64) * size;
    for (int32_t r = 0; r < rows; ++r) {
        const int64_t pixel = (int64_t)(oy + r) * s->output_width + first;
        strip.to[r] = is_direct ? m->output + pixel * channels + b->first : d->sums + r * temporary;
    }
    d->isa->run(&strip);
    for (int32_t r = 0; r < rows && !is_direct; ++r) {
        const int64_t pixel = (int64_t)(oy + r) * s->output_width + first;
        const uint8_t *from = d->sums + r * temporary;
        if (m->store == QC_DEPTHWISE_ACCUMULATORS) {
            finish_row(m, b, (const int32_t *)(const void *)from, m->first_pixel + pixel, columns);
            continue;
        }
        uint8_t *to = m->output + pixel * channels + b->first;
        for (int64_t i = 0; i < columns; ++i, to += channels, from += b->pitch) memcpy(to, from, (size_t)b->count);
    }
}

/* Output rows [begin, end) of a block. */
static void convolve_block(const depthwise *d, const channel_block *b, const depthwise_image *m, int32_t begin,
                           int32_t end) {
    const qc_conv_shape *s = d->shape;
    const qc_depthwise_layout *l = &d->layout;
    int64_t kept[65];
    strip_columns c;
    find_places(d, b->pitch);
    for (int32_t first = 0; first < s->output_width; first += l->strip) {
        const int32_t left = s->output_width - first, columns = left < l->strip ? left : l->strip;
        find_columns(d, first, columns, &c);
        for (int32_t i = 0; i < l->rows; ++i) kept[i] = -1;
        for (int32_t oy = begin; oy < end; oy += l->group) {
            const int32_t rows = end - oy < l->group ? end - oy : l->group;
            make_stacks(d, b, m->image, oy, &c, kept);
            convolve_rows(d, b, m, oy, rows, first, columns);
        }
    }
}

/* How many output rows of all blocks are computed before the next ones: so many that the image under them stays in the
 * level 2 cache, since blocks share its lines. An even number, as groups have two rows. */
static int32_t band_rows(const qc_conv_shape *s) {
    const int64_t size = (int64_t)s->input_width * s->input_channels * s->stride_height;
    const int64_t rows = size > 0 ? (1 << 18) / size : s->output_height;
    return rows < 16 ? 16 : rows < s->output_height ? (int32_t)rows & ~1 : s->output_height;
}

static void convolve(const depthwise *d, const depthwise_image *m) {
    const int32_t height = d->shape->output_height, most = band_rows(d->shape);
    for (int32_t row = 0; row < height; row += most) {
        const int32_t end = height - row < most ? height : row + most;
        for (int32_t i = 0; i < block_count(d->shape); ++i) {
            const channel_block b = nth_block(d, i);
            convolve_block(d, &b, m, row, end);
        }
    }
}

typedef struct {
    const qc_gemm_isa *isa;
    const qc_requant *requant;
    uint8_t *output;
    int64_t channels;
} requantized;

static void finish_requantized(const void *context, const int32_t *acc, int64_t pixel, int32_t first, int32_t count) {
    const requantized *q = context;
    q->isa->requantize(q->requant, acc, first, count, q->output + pixel * q->channels + first);
}

/* Bounds as int8, whatever the type of the output. */
static qc_depthwise_output output_bounds(const qc_requant *r, int is_signed) {
    const int32_t shift = is_signed ? 0 : 128;
    const qc_depthwise_output bounds = {
        .offset = (int16_t)(r->output_offset - shift),
        .low = (int8_t)(r->activation_min - shift),
        .high = (int8_t)(r->activation_max - shift),
        .flip = is_signed ? 0 : 0x80,
    };
    return bounds;
}

/* qc_depthwise_conv_s8 or _u8 with the instructions of `isa`. */
static qc_status depthwise_conv_bytes(const qc_depthwise_isa *isa, const qc_gemm_isa *gemm, int is_signed,
                                      const qc_depthwise_params *p, const uint8_t *input, const uint8_t *filter, const int32_t *bias,
                                      uint8_t *output, void *scratch) {
    const qc_conv_shape *s = &p->shape;
    if (!qc_depthwise_fits(s)) {
        if (!is_signed) return qc_depthwise_conv_u8_ref(p, input, filter, bias, output, scratch);
        return qc_depthwise_conv_s8_ref(p, (const int8_t *)input, (const int8_t *)filter, bias, (int8_t *)output,
                                        scratch);
    }
    uint8_t *memory = scratch;
    depthwise d = make_depthwise(isa, s, is_signed, p->filter_offset);
    d.prepared = p->prepared;
    if (d.prepared == NULL)
        prepare(&d, p, filter, is_signed, bias,
                qc_take(&memory, qc_prepared_depthwise_size(s, is_signed, p->filter_offset)));
    take_memory(&d, p->input_offset, memory);
    int32_t store;
    memcpy(&store, d.prepared, sizeof store);
    const requantized context = {gemm, &p->requant, output, s->output_channels};
    const int64_t pixels = (int64_t)s->output_height * s->output_width;
    for (int32_t b = 0; b < s->batches; ++b) {
        const depthwise_image m = {
            .image = input + b * qc_conv_image_size(s),
            .output = output + b * pixels * s->output_channels,
            .first_pixel = b * pixels,
            .store = (qc_depthwise_store)store,
            .bounds = output_bounds(&p->requant, is_signed),
            .finish = finish_requantized,
            .context = &context,
        };
        convolve(&d, &m);
    }
    return QC_OK;
}

typedef struct {
    const qc_depthwise_hybrid_params *p;
    float scale; /* of the quantized image */
    const int32_t *correction; /* of each channel, for the zero point of the image */
    const float *bias;
    float *output;
} hybrid_image;

/* The arithmetic of qc_depthwise_conv_hybrid_ref. */
static void finish_hybrid(const void *context, const int32_t *acc, int64_t pixel, int32_t first, int32_t count) {
    const hybrid_image *h = context;
    const float low = h->p->activation_min, high = h->p->activation_max;
    float *output = h->output + pixel * h->p->shape.output_channels + first;
    for (int32_t i = 0; i < count; ++i) {
        const int32_t c = first + i;
        const int32_t sum = (int32_t)((uint32_t)acc[i] + (uint32_t)h->correction[c]);
        const float real = (float)sum * (h->p->filter_scale[c] * h->scale);
        output[i] = qc_clamp_f32(h->bias != NULL ? real + h->bias[c] : real, low, high);
    }
}

/* Add to what the accumulators of each channel start with the part that depends on the input's offset. */
static void find_corrections(const depthwise *d, int32_t input_offset, int32_t *corrections) {
    for (int32_t i = 0; i < block_count(d->shape); ++i) {
        const channel_block b = nth_block(d, i);
        for (int32_t c = 0; c < b.count; ++c) {
            const int32_t lanes = d->isa->lanes;
            int32_t sum;
            memcpy(&sum, b.records + c / lanes * d->record_size + 64 + 4 * lanes + 4 * (c % lanes), sizeof sum);
            corrections[b.first + c] = qc_wrap32((int64_t)input_offset * sum);
        }
    }
}

/* qc_depthwise_conv_hybrid with the instructions of `isa`. */
static qc_status depthwise_conv_hybrid(const qc_depthwise_isa *isa, const qc_depthwise_hybrid_params *p,
                                       const float *input, const int8_t *filter, const float *bias,
                                       float *output, void *scratch) {
    const qc_conv_shape *s = &p->shape;
    if (p->form != QC_HYBRID_REFERENCE || !qc_depthwise_fits(s))
        return qc_depthwise_conv_hybrid_ref(p, input, filter, bias, output, scratch);
    const int64_t image_size = qc_conv_image_size(s), pixels = (int64_t)s->output_height * s->output_width;
    uint8_t *memory = scratch;
    int8_t *image = qc_take(&memory, image_size);
    int32_t *corrections = qc_take(&memory, s->output_channels * (int64_t)sizeof(int32_t));
    depthwise d = make_depthwise(isa, s, 1, 0);
    d.prepared = p->prepared;
    if (d.prepared == NULL) {
        const qc_depthwise_params integers = {.shape = *s, .requant = {.rounding = QC_INT16_MULTIPLIER}};
        prepare(&d, &integers, (const uint8_t *)filter, 1, NULL,
                qc_take(&memory, qc_prepared_depthwise_size(s, 1, 0)));
    }
    for (int32_t b = 0; b < s->batches; ++b) {
        const qc_hybrid_scale q =
            qc_hybrid_quantize_asymmetric(&qc_hybrid_avx2, input + b * image_size, image_size, image);
        const hybrid_image context = {p, q.scale, corrections, bias, output};
        find_corrections(&d, -q.zero_point, corrections);
        take_memory(&d, -q.zero_point, memory);
        const depthwise_image m = {
            .image = (const uint8_t *)image,
            .first_pixel = b * pixels,
            .store = QC_DEPTHWISE_ACCUMULATORS,
            .finish = finish_hybrid,
            .context = &context,
        };
        convolve(&d, &m);
    }
    return QC_OK;
}

#define VERSIONS(ISA)                                                                                                 \
    qc_status qc_depthwise_conv_s8_##ISA(const qc_depthwise_params *p, const int8_t *input, const int8_t *filter,     \
                                         const int32_t *bias, int8_t *output, void *scratch) {                        \
        return depthwise_conv_bytes(&qc_depthwise_##ISA, &qc_gemm_##ISA, 1, p, (const uint8_t *)input, (const uint8_t *)filter, bias, \
                                    (uint8_t *)output, scratch);                                                      \
    }                                                                                                                 \
    qc_status qc_depthwise_conv_u8_##ISA(const qc_depthwise_params *p, const uint8_t *input, const uint8_t *filter,   \
                                         const int32_t *bias, uint8_t *output, void *scratch) {                       \
        return depthwise_conv_bytes(&qc_depthwise_##ISA, &qc_gemm_##ISA, 0, p, input, filter, bias, output, scratch);                 \
    }                                                                                                                 \
    qc_status qc_depthwise_conv_hybrid_##ISA(const qc_depthwise_hybrid_params *p, const float *input,                 \
                                             const int8_t *filter, const float *bias, float *output, void *scratch) { \
        return depthwise_conv_hybrid(&qc_depthwise_##ISA, p, input, filter, bias, output, scratch);                   \
    }                                                                                                                 \
    qc_status qc_prepare_depthwise_s8_##ISA(const qc_depthwise_params *p, const int8_t *filter, const int32_t *bias,  \
                                            uint8_t *prepared, void *scratch) {                                       \
        (void)scratch;                                                                                                \
        return prepare_bytes(&qc_depthwise_##ISA, 1, p, (const uint8_t *)filter, bias, prepared);                     \
    }                                                                                                                 \
    qc_status qc_prepare_depthwise_u8_##ISA(const qc_depthwise_params *p, const uint8_t *filter, const int32_t *bias, \
                                            uint8_t *prepared, void *scratch) {                                       \
        (void)scratch;                                                                                                \
        return prepare_bytes(&qc_depthwise_##ISA, 0, p, filter, bias, prepared);                                      \
    }
VERSIONS(avx2)
VERSIONS(vnni)
