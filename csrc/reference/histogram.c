/* Histograms of bounded size: the definition. */
#include "quantcore/histogram.h"

#include <math.h>

void qc_histogram_coarsen(int64_t *counts, int32_t half, int32_t steps) {
    if (steps > 30) steps = 30;
    for (int32_t j = 1; j < half; ++j) {
        const int64_t above = counts[half + 1 + j], below = counts[half - 1 - j];
        counts[half + 1 + j] = counts[half - 1 - j] = 0;
        counts[half + 1 + (j >> steps)] += above;
        counts[half - 1 - (j >> steps)] += below;
    }
}

qc_status qc_histogram_f32_ref(const qc_histogram_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    const float *input = (const float *)tensors[0];
    float *low = (float *)tensors[1];
    float *high = low + p->channels;
    const int32_t half = (int32_t)1 << p->bits;
    for (int64_t o = 0; o < p->outer; ++o) {
        int64_t *counts = (int64_t *)tensors[2];
        for (int64_t c = 0; c < p->channels; ++c, counts += 2 * half + 1) {
            int32_t exponent = qc_histogram_exponent(low[c], high[c], p->bits);
            for (int64_t k = 0; k < p->inner; ++k) {
                const float x = *input++ + 0.0f; /* -0 becomes +0 */
                if (!isfinite(x)) return QC_BAD_DATA;
                if (x < low[c]) low[c] = x;
                if (x > high[c]) high[c] = x;
                const int32_t grown = qc_histogram_exponent(low[c], high[c], p->bits);
                if (grown > exponent) qc_histogram_coarsen(counts, half, grown - exponent);
                exponent = grown;
                ++counts[qc_histogram_bin(x, qc_histogram_scale(exponent), half)];
            }
        }
    }
    return QC_OK;
}
