/* SELECT: the definition. */
#include "quantcore/select.h"

#include <string.h>

qc_status qc_select_ref(const qc_select_params *p, const uint8_t *condition, const uint8_t *input1,
                        const uint8_t *input2, uint8_t *output, void *scratch) {
    (void)scratch;
    const size_t size = (size_t)p->size;
    int32_t index[QC_BROADCAST_RANK] = {0};
    for (int32_t d = 0; d < p->rank; ++d)
        if (p->shape[d] == 0) return QC_OK;
    for (;; output += size) {
        int64_t at = 0, at1 = 0, at2 = 0;
        for (int32_t d = 0; d < p->rank; ++d) {
            at += index[d] * p->condition_stride[d];
            at1 += index[d] * p->stride1[d];
            at2 += index[d] * p->stride2[d];
        }
        memcpy(output, condition[at] ? input1 + at1 * p->size : input2 + at2 * p->size, size);
        int32_t d = p->rank - 1;
        for (; d >= 0 && ++index[d] == p->shape[d]; --d) index[d] = 0;
        if (d < 0) return QC_OK;
    }
}
