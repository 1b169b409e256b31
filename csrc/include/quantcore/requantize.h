/* Requantization: from an int32 accumulator to an output element.
 *
 *   y = clamp(rule(acc) + output_offset, activation_min, activation_max)
 *
 * A rule is a named object; every operator stores through this one. See docs/numerics/requantize.md. */
#ifndef QUANTCORE_REQUANTIZE_H
#define QUANTCORE_REQUANTIZE_H

#include <stdint.h>

#include "quantcore/fixed_point.h"

typedef enum {
    QC_DOUBLE_ROUNDING = 0,  /* multiplier, shift: qc_multiply_double_rounding */
    QC_RUY = 1,              /* multiplier, shift: qc_multiply_ruy */
    QC_SINGLE_ROUNDING = 2,  /* multiplier, shift: qc_multiply_single_rounding */
    QC_FLOAT32 = 3,          /* real_multiplier (float32 values): qc_multiply_float32 */
    QC_FLOAT64 = 4,          /* real_multiplier: qc_multiply_float64 */
    QC_INT16_MULTIPLIER = 5, /* multiplier, shift: qc_multiply_int16_multiplier */
} qc_rounding;

/* multiplier: [channels] or [1], each 0 or in [2^30, 2^31).
 * shift: same length, in [-31, 31]; positive shifts left.
 * real_multiplier: same length, used by the two float rules only (otherwise may be NULL).
 * body: number of leading channels that `rounding` applies to; the rest use `tail`. Backends with vector
 *   code round the channels after the last full vector by another rule. INT32_MAX: `rounding` for all.
 * output_offset: zero point of the output. activation_min/max: bounds in the output type. */
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
} qc_requant;

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
        case QC_FLOAT32: {
            const int32_t y = qc_multiply_float32(acc, (float)r->real_multiplier[c]);
            return qc_clamp(y, -QC_FLOAT32_LIMIT, QC_FLOAT32_LIMIT);
        }
        case QC_FLOAT64: return qc_multiply_float64(acc, r->real_multiplier[c]);
        case QC_INT16_MULTIPLIER: return qc_multiply_int16_multiplier(acc, r->multiplier[c], r->shift[c]);
    }
    return 0;
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
    const int32_t scaled = r->rounding == QC_FLOAT64
                               ? qc_round_to_int32((double)acc * r->real_multiplier[c])
                               : qc_multiply_int16_multiplier(acc, r->multiplier[c], r->shift[c]);
    return qc_offset_and_clamp(r, scaled);
}

#endif
