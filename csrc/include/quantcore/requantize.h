/* Requantization: from an int32 accumulator to an output element.
 *
 *   y = clamp(rule(acc) + output_offset, activation_min, activation_max)
 *
 * A rule is a named object; every operator stores through this one. See docs/numerics/requantize.md. */
#ifndef QUANTCORE_REQUANTIZE_H
#define QUANTCORE_REQUANTIZE_H

#include <stdint.h>

#include "quantcore/config.h"
#include "quantcore/fixed_point.h"

typedef enum {
    QC_DOUBLE_ROUNDING = 0,  /* multiplier, shift: qc_multiply_double_rounding */
    QC_RUY = 1,              /* multiplier, shift: qc_multiply_ruy */
    QC_SINGLE_ROUNDING = 2,  /* multiplier, shift: qc_multiply_single_rounding */
    QC_FLOAT32 = 3,          /* real_multiplier (float32 values): qc_multiply_float32 */
    QC_FLOAT64 = 4,          /* real_multiplier: qc_multiply_float64 */
    QC_INT16_MULTIPLIER = 5, /* multiplier, shift: qc_multiply_int16_multiplier */
} qc_rounding;

/* How the vector versions compute a prepared requantization, to the same bits.
 *
 * The three rules with multiplier m and shift are one floor division. With e = -shift >= 0 and an accumulator x,
 *
 *   y = floor((x * m + K + c) / 2^(31 + e)),    K = 2^30 + (e >= 1 ? 2^(30 + e) : 0)
 *
 * where c = -2^31 where x < 0, the rule is double rounding and e >= 1, else 0: qc_srdhm rounds half up, floors nest,
 * and ties away from zero are ties upward, less one unit of the first rounding below 0. Single rounding has K =
 * 2^(30 + e) and c = 0; for shift = 1, y = floor((x * m + 2^29) / 2^30). The low 32 bits of
 *
 *   w = floor((x * m + K) / 2^30)
 *
 * then hold all of it, and y = (w + c / 2^30) >> (e + 1). c does not matter where activation_min >= output_offset: x <
 * 0 gives the lower bound anyway. Larger x, as a bias of a channel with a tiny scale has them, need w / 2, rounded down,
 * and y = (w / 2 + c / 2^31) >> e. */
typedef enum {
    QC_UNPREPARED = 0,
    QC_FORM_FLOOR = 1,       /* c = 0 */
    QC_FORM_FLOOR_AWAY = 2,  /* c as above */
    QC_FORM_FLOAT32 = 3,     /* QC_FLOAT32 */
    QC_FORM_FLOAT64 = 4,     /* QC_FLOAT64 */
    QC_FORM_FLOOR_WIDE = 5,  /* by w / 2; c as above, -30 <= shift <= 0 */
} qc_requant_form;

/* Accumulators of the floor forms are below this in magnitude, so that w fits into 32 bits, and w / 2. */
enum { QC_PREPARED_LIMIT = 1 << 29, QC_WIDE_LIMIT = 3 << 29 };

/* Whether a form is a floor division. */
static inline int qc_is_floor(qc_requant_form form) {
    return form == QC_FORM_FLOOR || form == QC_FORM_FLOOR_AWAY || form == QC_FORM_FLOOR_WIDE;
}

/* Constants for 16 channels. Channels that do not exist have multipliers of 0.
 *
 * factor, addend: in the order of channels 0 1 4 5 8 9 12 13 2 3 6 7 10 11 14 15 (unpacked dwords). The double with the
 *   mantissa bits x ^ 2^31 and the exponent of 2^52 is d = 2^52 + 2^31 + x; w is the low dword of
 *   fma(d, factor, addend) rounded down, where factor = m / 2^30 and addend = 1.5 * 2^52 + K / 2^30 - away
 *   - factor * (2^52 + 2^31): all are exact.
 *   In QC_FORM_FLOAT64, factor is the real multiplier, in the order of the channels.
 * multiplier, nudge: m, and K - away * 2^30 in the order of channels 0 2 4 6 1 3 5 7, and so on from 8.
 * right: e + 1. away: 2 where c may be -2^31, else 0; it is taken off by addend and nudge, and is to be added where
 *   x >= 0. Of QC_FORM_FLOOR_WIDE: e, and 1.
 * real: the multiplier of QC_FORM_FLOAT32. */
typedef struct {
    double factor[16];
    double addend[16];
    int32_t right[16];
    int32_t away[16];
    int32_t multiplier[16];
    float real[16];
    int64_t nudge[16];
} qc_requant_block;

/* multiplier: [channels] or [1], each 0 or in [2^30, 2^31).
 * shift: same length, in [-31, 31]; positive shifts left.
 * real_multiplier: same length, used by the two float rules only (otherwise may be NULL).
 * body: number of leading channels that `rounding` applies to; the rest use `tail`. Backends with vector
 *   code round the channels after the last full vector by another rule. INT32_MAX: `rounding` for all.
 * output_offset: zero point of the output. activation_min/max: bounds in the output type.
 * form, units, blocks: the same prepared for the vector versions by qc_prepare_requant; QC_UNPREPARED and
 *   NULL where it is not. */
typedef struct {
    qc_rounding rounding;
    qc_rounding tail;
    int32_t body;
    int32_t per_channel; /* 0: one multiplier for all; 1: one per output channel */
    const int32_t *multiplier;
    const int32_t *shift;
    const double *real_multiplier;
    int32_t output_offset;
    int32_t activation_min;
    int32_t activation_max;
    qc_requant_form form;
    int32_t units; /* channels of a group: block g * ceil(units / 16) + u / 16 has channel g * units + u */
    const qc_requant_block *blocks;
} qc_requant;

/* Fill blocks, [groups * ceil(units / 16)] of 64-byte aligned memory, for accumulators of at most `bound` in magnitude
 * (-1: not known), and return the form; QC_UNPREPARED where there is none that has the bits of the rule. Outputs of 8
 * bits. */
qc_requant_form qc_prepare_requant(const qc_requant *r, int32_t units, int32_t groups, int64_t bound,
                                   qc_requant_block *blocks);

/* The block of the 16 channels from `channel` on, which is a multiple of 16 from the first of its group. */
static inline const qc_requant_block *qc_prepared_block(const qc_requant *r, int32_t channel) {
    const int32_t group = channel / r->units;
    return r->blocks + (int64_t)group * ((r->units + 15) / 16) + (channel - group * r->units) / 16;
}

/* Bound of products by QC_FLOAT32 in a requantization, beyond every output type: XNNPACK saturates, so that the
 * sum with the offset must not wrap. */
enum { QC_FLOAT32_LIMIT = 1 << 30 };

/* One accumulator by the rule of channel c, before offset and clamp. */
static inline int32_t qc_requantize_one(const qc_requant *r, int32_t acc, int32_t channel) {
    const int32_t c = r->per_channel ? channel : 0;
    switch (channel < r->body ? r->rounding : r->tail) {
        case QC_DOUBLE_ROUNDING: return qc_multiply_double_rounding(acc, r->multiplier[c], r->shift[c]);
        case QC_RUY: return qc_multiply_ruy(acc, r->multiplier[c], r->shift[c]);
        case QC_SINGLE_ROUNDING: return qc_multiply_single_rounding(acc, r->multiplier[c], r->shift[c]);
        case QC_INT16_MULTIPLIER: return qc_multiply_int16_multiplier(acc, r->multiplier[c], r->shift[c]);
#if QC_WITH_FLOAT_RULES
        case QC_FLOAT32: {
            const int32_t y = qc_multiply_float32(acc, (float)r->real_multiplier[c]);
            return qc_clamp(y, -QC_FLOAT32_LIMIT, QC_FLOAT32_LIMIT);
        }
        case QC_FLOAT64: return qc_multiply_float64(acc, r->real_multiplier[c]);
#endif
        default: return 0;
    }
}

/* A scaled accumulator plus the offset, clamped. The sum wraps, as TFLite's compiled code does where a
 * multiplier above 1 leaves the int32 range; XNNPACK clamps first, so that nothing wraps. */
static inline int32_t qc_offset_and_clamp(const qc_requant *r, int32_t scaled) {
    const int32_t offset = r->output_offset;
    if (r->rounding == QC_FLOAT32)
        return offset + qc_clamp(scaled, r->activation_min - offset, r->activation_max - offset);
    return qc_clamp(qc_wrap32((int64_t)scaled + offset), r->activation_min, r->activation_max);
}

/* One accumulator of output channel `channel` to an output element, clamped. */
static inline int32_t qc_requantize(const qc_requant *r, int32_t acc, int32_t channel) {
    return qc_offset_and_clamp(r, qc_requantize_one(r, acc, channel));
}

/* As qc_requantize, from an int64 accumulator of 16x8 operators, by QC_INT16_MULTIPLIER or QC_FLOAT64. */
static inline int32_t qc_requantize_wide(const qc_requant *r, int64_t acc, int32_t channel) {
    const int32_t c = r->per_channel ? channel : 0;
#if QC_WITH_FLOAT_RULES
    if (r->rounding == QC_FLOAT64)
        return qc_offset_and_clamp(r, qc_round_to_int32((double)acc * r->real_multiplier[c]));
#endif
    return qc_offset_and_clamp(r, qc_multiply_int16_multiplier(acc, r->multiplier[c], r->shift[c]));
}

#endif
