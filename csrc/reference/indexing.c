/* Slices by index: the definitions. */
#include "quantcore/indexing.h"

qc_status qc_gather_nd_ref(const qc_gather_nd_params *p, const uint8_t *input, const uint8_t *indices,
                           uint8_t *output, void *scratch) {
    (void)scratch;
    for (int64_t i = 0; i < p->count; ++i) {
        int64_t slice = 0;
        for (int32_t d = 0; d < p->depth; ++d) {
            const int64_t index = qc_read_index(indices, i * p->depth + d, p->index_bytes);
            if (index < 0 || index >= p->size[d]) return QC_BAD_DATA;
            slice = slice * p->size[d] + index;
        }
        memcpy(output + i * p->slice_bytes, input + slice * p->slice_bytes, (size_t)p->slice_bytes);
    }
    return QC_OK;
}
