/* How the vector versions of DEPTHWISE_CONV_2D cut up their work, and how much memory it takes.
 *
 * Channels go in blocks of up to 64. The pixels of a row, with `pitch` bytes each, lie one behind the other, so that a
 * vector may hold several pixels of few channels. `depth` rows are stacked: element i of all of them becomes one int32
 * (4 bytes, or 2 int16), and so a product of two vectors is a sum over `depth` rows of the window. A stack of rows
 * often serves two output rows (`group`), with filters that are one row apart.
 * Where columns are strided, a row is kept as `planes`, in which the columns under one tap are neighbours. */
#ifndef QUANTCORE_DEPTHWISE_LAYOUT_H
#define QUANTCORE_DEPTHWISE_LAYOUT_H

#include "quantcore/conv.h"

enum { QC_DEPTHWISE_BLOCK = 64, QC_DEPTHWISE_POSITIONS = 4096 };

typedef struct {
    int32_t depth;  /* rows in a stack */
    int32_t lanes;  /* outputs computed at a time */
    int32_t pitch;  /* of a block that has all of its channels */
    int32_t group;  /* output rows computed together */
    int32_t rows;   /* input rows under them */
    int32_t stacks; /* that these rows make */
    int32_t planes; /* that a row is cut into */
    int32_t reach;  /* columns of a plane that a window takes, less one */
    int32_t strip;  /* output columns computed at a time */
    int64_t plane;  /* elements of a plane, */
    int64_t row;    /* and of all planes */
} qc_depthwise_layout;

/* Bytes from pixel to pixel for a block of `channels`: so many that 5 blocks of 64 hold whole pixels. */
static inline int32_t qc_depthwise_pitch(int32_t channels) {
    if (channels >= QC_DEPTHWISE_BLOCK) return QC_DEPTHWISE_BLOCK;
    int32_t pitch = channels;
    while (pitch / (pitch & -pitch) > 5) ++pitch;
    return pitch;
}

/* After how many vectors of `lanes` the channels repeat. */
static inline int32_t qc_depthwise_phases(int32_t pitch, int32_t lanes) {
    const int32_t common = pitch & -pitch;
    return pitch / (common < lanes ? common : lanes);
}

/* Taps of a window at a time: a row of each stack. */
static inline int64_t qc_depthwise_taps(const qc_depthwise_layout *l, const qc_conv_shape *s) {
    return (int64_t)l->stacks * s->filter_width;
}

/* The layout for stacks of `depth` rows and vectors of `lanes` outputs. */
static inline qc_depthwise_layout qc_make_depthwise_layout(const qc_conv_shape *s, int32_t depth, int32_t lanes) {
    qc_depthwise_layout l = {.depth = depth, .lanes = lanes, .pitch = qc_depthwise_pitch(s->output_channels)};
    /* A row more in the stacks must not cost another stack. */
    l.group = s->stride_height == 1 && s->dilation_height == 1 && s->filter_height % depth != 0 ? 2 : 1;
    l.rows = s->filter_height + l.group - 1;
    l.stacks = (l.rows + depth - 1) / depth;
    int32_t common = s->stride_width; /* greatest common divisor of stride and dilation */
    for (int32_t other = s->dilation_width % common; other != 0;) {
        const int32_t rest = common % other;
        common = other;
        other = rest;
    }
    const int32_t classes = s->stride_width / common;
    l.planes = s->filter_width < classes ? s->filter_width : classes;
    const int64_t reach = (int64_t)(s->filter_width - 1) * s->dilation_width / s->stride_width;
    l.reach = reach > INT32_MAX / 2 ? INT32_MAX / 2 : (int32_t)reach;
    const int64_t columns = QC_DEPTHWISE_POSITIONS / ((int64_t)l.planes * l.stacks * l.pitch) - l.reach;
    const int64_t most = columns < 16 ? 16 : columns;
    const int64_t strips = (s->output_width + most - 1) / most;
    l.strip = strips > 1 ? (int32_t)((s->output_width + strips - 1) / strips) : s->output_width;
    l.plane = qc_round_up(((int64_t)l.strip + l.reach) * l.pitch, 64) + 64;
    l.row = l.planes * l.plane;
    return l;
}

/* Whether the window is of a size that the vector versions take; the others are left to the definition. */
static inline int qc_depthwise_fits(const qc_conv_shape *s) {
    const qc_depthwise_layout l = qc_make_depthwise_layout(s, 4, 64);
    return s->filter_height <= 64 && l.reach <= 256 && (int64_t)l.planes * (l.reach + 16) <= 1024;
}

/* In how many int8 a filter element, less its zero point, may have to be split for instructions on bytes. */
static inline int32_t qc_depthwise_parts(const qc_depthwise_layout *l, int is_signed, int32_t filter_offset) {
    return l->depth == 4 && !(is_signed && filter_offset == 0) ? 3 : 1;
}

/* Bytes of what is prepared for one vector of outputs: see depthwise.h. */
static inline int64_t qc_depthwise_record_size(const qc_depthwise_layout *l, const qc_conv_shape *s, int32_t parts) {
    return 64 + l->lanes * (36 + 4 * parts * l->group * qc_depthwise_taps(l, s));
}

static inline int64_t qc_depthwise_size_by(const qc_depthwise_layout *l, const qc_conv_shape *s, int32_t parts) {
    const int32_t blocks = s->output_channels / QC_DEPTHWISE_BLOCK, rest = s->output_channels % QC_DEPTHWISE_BLOCK;
    int64_t records = (int64_t)blocks * qc_depthwise_phases(QC_DEPTHWISE_BLOCK, l->lanes);
    if (rest != 0) records += qc_depthwise_phases(qc_depthwise_pitch(rest), l->lanes);
    return 64 + records * qc_depthwise_record_size(l, s, parts);
}

/* Bytes of a filter prepared for any vector version. */
static inline int64_t qc_prepared_depthwise_size(const qc_conv_shape *s, int is_signed, int32_t filter_offset) {
    if (!qc_depthwise_fits(s)) return 64;
    const qc_depthwise_layout quads = qc_make_depthwise_layout(s, 4, 64), pairs = qc_make_depthwise_layout(s, 2, 32);
    const int64_t a = qc_depthwise_size_by(&quads, s, qc_depthwise_parts(&quads, is_signed, filter_offset));
    const int64_t b = qc_depthwise_size_by(&pairs, s, 1);
    return a > b ? a : b;
}

/* Bytes for rows, stacks, accumulators of a strip, places of the taps, in that order. Where windows are single pixels,
 * for rows of any width: the executor may divide an image into rows of another width. */
static inline int64_t qc_depthwise_work_size(const qc_conv_shape *s, int32_t depth, int32_t lanes) {
    qc_conv_shape widest = *s;
    if (s->filter_height == 1 && s->filter_width == 1)
        widest.output_width = QC_DEPTHWISE_POSITIONS / qc_depthwise_pitch(s->output_channels);
    const qc_depthwise_layout layout = qc_make_depthwise_layout(&widest, depth, lanes), *l = &layout;
    const int64_t rows = qc_round_up((l->rows + 1) * (l->row + 64), 64), stacks = l->stacks * l->row * 4;
    const int64_t sums = l->group * (qc_round_up((int64_t)l->strip * l->pitch, 64) + 64) * 4;
    return rows + stacks + sums + qc_round_up(qc_depthwise_taps(l, s) * 8, 64) + 8 * 64;
}

#endif
