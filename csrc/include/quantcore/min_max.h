/* Running minimum and maximum of float32 data, for calibration. */
#ifndef QUANTCORE_MIN_MAX_H
#define QUANTCORE_MIN_MAX_H

#include <stdint.h>

#include "quantcore/status.h"

/* input: [outer][channels][inner]. range: [2][channels], the minima so far, then the maxima; it is widened
 * to what the input holds. Zeros come out as +0. QC_BAD_DATA if an element is NaN or infinite: the
 * contents of range are unspecified then. */
typedef struct {
    int64_t outer;
    int64_t channels;
    int64_t inner;
} qc_min_max_params;

qc_status qc_min_max_f32_ref(const qc_min_max_params *, const float *input, float *range, void *scratch);

#endif
