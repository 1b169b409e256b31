/* Requantizations prepared for the vector versions. */
#include "quantcore/requantize.h"

#include <string.h>

/* A rule of fixed point as a floor division: see qc_requant_form. */
typedef struct {
    int32_t multiplier;
    int64_t nudge; /* K */
    int32_t right;
    int32_t away;
} division;

/* The division of channel c; 0 where it has none. wide: by w / 2. Else multipliers below 2^-30 give 0 by every rule. */
static int divide(const qc_requant *r, qc_rounding rule, int32_t c, int wide, division *d) {
    const int32_t multiplier = r->multiplier[c], shift = r->shift[c];
    const int64_t half = (int64_t)1 << 30;
    const int vanishes = !wide && shift <= -30;
    if (shift > !wide || (wide && shift < -30) || multiplier < 0 || (multiplier != 0 && multiplier < half)) return 0;
    const int32_t e = shift > 0 ? 0 : vanishes ? 1 : -shift;
    d->multiplier = vanishes ? 0 : multiplier;
    d->right = shift > 0 ? 0 : e + 1;
    d->away = 0;
    if (shift > 0) {
        d->nudge = half / 2;
    } else if (rule == QC_SINGLE_ROUNDING) {
        d->nudge = half << e;
    } else {
        d->nudge = half + (e >= 1 ? half << e : 0);
        d->away = rule == QC_DOUBLE_ROUNDING && e >= 1 && r->activation_min < r->output_offset ? 2 : 0;
    }
    return 1;
}

/* Place of channel i among factors and addends, and among nudges. */
static int double_place(int i) {
    return i / 4 * 2 + i % 2 + (i & 2 ? 8 : 0);
}

static int nudge_place(int i) {
    return i / 8 * 8 + i % 2 * 4 + i % 8 / 2;
}

static void set_division(qc_requant_block *block, int i, const division *d) {
    const double factor = (double)d->multiplier * 0x1p-30;
    const int64_t nudge = d->nudge - d->away * ((int64_t)1 << 30);
    block->factor[double_place(i)] = factor;
    block->addend[double_place(i)] =
        (0x1.8p52 - factor * 0x1p52) + ((double)nudge * 0x1p-30 - factor * 0x1p31);
    block->right[i] = d->right;
    block->away[i] = d->away;
    block->multiplier[i] = d->multiplier;
    block->nudge[nudge_place(i)] = nudge;
}

/* Set place i of a block, for channel c of the multipliers; the form of this channel. */
static qc_requant_form prepare_channel(const qc_requant *r, qc_rounding rule, int32_t c, int64_t bound,
                                       qc_requant_block *block, int i) {
    if (rule == QC_FLOAT32) {
        block->real[i] = (float)r->real_multiplier[c];
        return block->real[i] >= 0.0f && block->real[i] <= 0x1.fffffep127f ? QC_FORM_FLOAT32 : QC_UNPREPARED;
    }
    if (bound < 0) return QC_UNPREPARED;
    if (rule == QC_FLOAT64) {
        const double real = r->real_multiplier[c];
        block->factor[i] = real;
        return real >= 0.0 && (double)bound * real < 0x1p30 ? QC_FORM_FLOAT64 : QC_UNPREPARED;
    }
    division d;
    const int wide = bound >= QC_PREPARED_LIMIT;
    if (rule == QC_INT16_MULTIPLIER || bound >= QC_WIDE_LIMIT || !divide(r, rule, c, wide, &d)) return QC_UNPREPARED;
    set_division(block, i, &d);
    if (!wide) return d.away ? QC_FORM_FLOOR_AWAY : QC_FORM_FLOOR;
    block->right[i] = d.right - 1;
    block->away[i] = d.away / 2;
    return QC_FORM_FLOOR_WIDE;
}

/* The form of channels of two forms. */
static qc_requant_form common_form(qc_requant_form a, qc_requant_form b) {
    if (a == b) return a;
    const int both_floor = (a == QC_FORM_FLOOR || a == QC_FORM_FLOOR_AWAY) &&
                           (b == QC_FORM_FLOOR || b == QC_FORM_FLOOR_AWAY);
    return both_floor ? QC_FORM_FLOOR_AWAY : QC_UNPREPARED;
}

qc_requant_form qc_prepare_requant(const qc_requant *r, int32_t units, int32_t groups, int64_t bound,
                                   qc_requant_block *blocks) {
    const int32_t most = 1 << 14; /* sums with offsets saturate in int16, beyond the bounds */
    if (r->activation_min < -128 || r->activation_max > 255 || r->output_offset < -most ||
        r->output_offset > most || (r->activation_min < 0 && r->activation_max > 127))
        return QC_UNPREPARED;
    const int64_t padded = (units + 15) / 16;
    memset(blocks, 0, (size_t)(groups * padded) * sizeof *blocks);
    qc_requant_form form = QC_UNPREPARED;
    for (int32_t channel = 0; channel < groups * units; ++channel) {
        const int32_t group = channel / units, unit = channel % units;
        const qc_rounding rule = channel < r->body ? r->rounding : r->tail;
        const qc_requant_form one = prepare_channel(r, rule, r->per_channel ? channel : 0, bound,
                                                    blocks + group * padded + unit / 16, unit % 16);
        form = channel == 0 ? one : common_form(form, one);
        if (form == QC_UNPREPARED) return form;
    }
    return form;
}
