/* Histograms of float32 data with a bounded number of bins, for calibration. */
#ifndef QUANTCORE_HISTOGRAM_H
#define QUANTCORE_HISTOGRAM_H

#include <stdint.h>
#include <string.h>

#include "quantcore/status.h"

/* Each channel has 2 * half + 1 bins, half = 2^bits, bits from 2 to 20, that mirror each other: bin half counts
 * the zeros, bin half + 1 + j the values with j <= x / width < j + 1, and bin half - 1 - j those with
 * j <= -x / width < j + 1. The width is a power of two that follows from the largest magnitude seen: bins of a
 * smaller width nest in those of a larger one, so the counts depend neither on the order of the values nor on how
 * they were split.
 *
 * tensors[0]: float input, [outer][channels][inner].
 * tensors[1]: float ends, [2][channels]: the minima so far, then the maxima; +inf and -inf before any data.
 * tensors[2]: int64_t counts, [channels][2 * half + 1]; zeros before any data.
 * ends and counts are updated. QC_BAD_DATA if an element is NaN or infinite: their contents are unspecified then.
 * scratch: qc_histogram_scratch bytes. */
typedef struct {
    int64_t outer;
    int64_t channels;
    int64_t inner;
    int32_t bits;
} qc_histogram_params;

enum {
    QC_HISTOGRAM_MIN_EXPONENT = -127, /* of a width: its reciprocal is the largest power of two in float32 */
    QC_HISTOGRAM_TABLES = 4,          /* of uint32 counts, in scratch */
    QC_HISTOGRAM_TABLE_EXTRA = 16,    /* entries beyond 2 * half */
};

static inline int64_t qc_histogram_scratch(const qc_histogram_params *p) {
    const int64_t tables = (((int64_t)2 << p->bits) + QC_HISTOGRAM_TABLE_EXTRA) * QC_HISTOGRAM_TABLES;
    return (int64_t)sizeof(uint32_t) * (tables > p->channels ? tables : p->channels);
}

/* The width of bins is 2 to this power, where the values lie between low and high. */
static inline int32_t qc_histogram_exponent(float low, float high, int32_t bits) {
    float magnitude = 0.0f; /* also where there are no values yet: low is +inf, high -inf */
    if (-low > magnitude) magnitude = -low;
    if (high > magnitude) magnitude = high;
    int32_t pattern;
    memcpy(&pattern, &magnitude, sizeof pattern);
    const int32_t exponent = (pattern >> 23) - 126 - bits; /* magnitude < 2^(exponent + bits) */
    return exponent > QC_HISTOGRAM_MIN_EXPONENT ? exponent : QC_HISTOGRAM_MIN_EXPONENT;
}

/* 2^-exponent. */
static inline float qc_histogram_scale(int32_t exponent) {
    const int32_t pattern = (127 - exponent) << 23;
    float scale;
    memcpy(&scale, &pattern, sizeof scale);
    return scale;
}

/* Bin of a finite value. The product is exact, or so small that its integer part is 0 in any case. */
static inline int32_t qc_histogram_bin(float x, float scale, int32_t half) {
    if (x > 0) return half + 1 + (int32_t)(x * scale);
    if (x < 0) return half - 1 - (int32_t)(-x * scale);
    return half;
}

/* Adds up bins of one channel as its width grows by 2^steps. */
void qc_histogram_coarsen(int64_t *counts, int32_t half, int32_t steps);

qc_status qc_histogram_f32_ref(const qc_histogram_params *, void *const *tensors, void *scratch);

#endif
