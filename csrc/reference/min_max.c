/* Running minimum and maximum: the definition. */
#include "quantcore/min_max.h"

#include <math.h>

qc_status qc_min_max_f32_ref(const qc_min_max_params *p, const float *input, float *range, void *scratch) {
    (void)scratch;
    float *low = range;
    float *high = range + p->channels;
    for (int64_t o = 0; o < p->outer; ++o) {
        for (int64_t c = 0; c < p->channels; ++c) {
            for (int64_t k = 0; k < p->inner; ++k) {
                const float x = *input++ + 0.0f; /* -0 becomes +0 */
                if (!isfinite(x)) return QC_BAD_DATA;
                if (x < low[c]) low[c] = x;
                if (x > high[c]) high[c] = x;
            }
        }
    }
    return QC_OK;
}
