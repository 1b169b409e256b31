/* Any function of one 16-bit value, as 513 knots with lines between. */
#ifndef QUANTCORE_INTERPOLATE_H
#define QUANTCORE_INTERPOLATE_H

#include <stdint.h>

#include "quantcore/status.h"

/* output = table[i] + floor(((table[i + 1] - table[i]) * f + 64) / 128), with q + 2^15 = 128 i + f; the slope
 * wraps to 16 bits, and so does the result. Inputs below `lowest` are QC_BAD_DATA. scratch: none.
 * Source: TFLite kernels/internal/common.h (LUTLookup). */
typedef struct {
    int64_t count;
    int32_t lowest;
    int16_t table[513];
} qc_interpolate_params;

qc_status qc_interpolate_s16_ref(const qc_interpolate_params *params, const int16_t *input, int16_t *output,
                                 void *scratch);

#endif
