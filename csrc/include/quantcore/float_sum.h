/* Sums of float products, plain and fused. */
#ifndef QUANTCORE_FLOAT_SUM_H
#define QUANTCORE_FLOAT_SUM_H

#include <math.h>
#include <stdint.h>

/* Fused sums are made in parts of so many products, which are then added in order: that keeps rounding errors of
 * long sums small. */
enum { QC_FUSED_PART = 256 };

/* The sum is total + part. A plain sum has one part. */
typedef struct {
    float total;
    float part;
    int32_t count; /* products in the part */
} qc_float_sum;

/* Add x * w: rounded first, or fused, that is unrounded. */
static inline void qc_add_product(qc_float_sum *sum, int fused, float x, float w) {
    sum->part = fused ? fmaf(x, w, sum->part) : sum->part + x * w;
    if (fused && ++sum->count == QC_FUSED_PART) {
        sum->total += sum->part;
        sum->part = 0.0f;
        sum->count = 0;
    }
}

#endif
