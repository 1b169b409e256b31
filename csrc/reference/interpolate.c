/* Table of knots: the definition. */
#include "quantcore/interpolate.h"

qc_status qc_interpolate_s16_ref(const qc_interpolate_params *p, const int16_t *input, int16_t *output,
                                 void *scratch) {
    (void)scratch;
    for (int64_t i = 0; i < p->count; ++i) {
        if (input[i] < p->lowest) return QC_BAD_DATA;
        const int16_t *knot = p->table + 256 + (input[i] >> 7);
        const int16_t slope = (int16_t)(knot[1] - knot[0]);
        output[i] = (int16_t)(knot[0] + ((slope * (input[i] & 127) + 64) >> 7));
    }
    return QC_OK;
}
