/* CUMSUM: sums of everything so far along one dimension. */
#ifndef QUANTCORE_SCAN_H
#define QUANTCORE_SCAN_H

#include <stdint.h>

#include "quantcore/status.h"

/* [outer][size][inner] at position 0, sums at position 2. exclusive: without the element itself. reverse: from the
 * end. Integers wrap. */
typedef struct {
    int64_t outer;
    int64_t size;
    int64_t inner;
    int32_t exclusive;
    int32_t reverse;
} qc_cumsum_params;

qc_status qc_cumsum_s32_ref(const qc_cumsum_params *, void *const *tensors, void *scratch);
qc_status qc_cumsum_s64_ref(const qc_cumsum_params *, void *const *tensors, void *scratch);
qc_status qc_cumsum_f32_ref(const qc_cumsum_params *, void *const *tensors, void *scratch);

#endif
