/* Table lookup: the definition. */
#include "quantcore/lookup.h"

qc_status qc_lookup_x8_ref(const qc_lookup_params *params, const uint8_t *input, uint8_t *output, void *scratch) {
    (void)scratch;
    const qc_lookup_params p = *params; /* a copy, because stores to `output` could change *params */
    int64_t i = 0;
    for (; i + 8 <= p.count; i += 8)
        for (int k = 0; k < 8; ++k) output[i + k] = p.table[input[i + k]];
    for (; i < p.count; ++i) output[i] = p.table[input[i]];
    return QC_OK;
}
