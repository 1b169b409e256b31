/* SCATTER_ND and DYNAMIC_UPDATE_SLICE: elements written at places that indices name. */
#ifndef QUANTCORE_SCATTER_H
#define QUANTCORE_SCATTER_H

#include <stdint.h>

#include "quantcore/movement.h"
#include "quantcore/status.h"

/* SCATTER_ND: indices [count][depth] (position 0) address slices of `slice` elements in an output (position 3) whose
 * first dimensions are size[0..depth); the updates (position 1) of slices named more than once add up, and
 * integers wrap. All else of the `total` elements is 0. index_bytes: 4 or 8. An index outside is QC_BAD_DATA. */
typedef struct {
    int64_t count;
    int64_t slice;
    int64_t total;
    int32_t depth;
    int32_t index_bytes;
    int64_t size[QC_MAX_RANK];
} qc_scatter_nd_params;

qc_status qc_scatter_nd_s8_ref(const qc_scatter_nd_params *, void *const *tensors, void *scratch);
qc_status qc_scatter_nd_u8_ref(const qc_scatter_nd_params *, void *const *tensors, void *scratch);
qc_status qc_scatter_nd_s32_ref(const qc_scatter_nd_params *, void *const *tensors, void *scratch);
qc_status qc_scatter_nd_s64_ref(const qc_scatter_nd_params *, void *const *tensors, void *scratch);
qc_status qc_scatter_nd_f32_ref(const qc_scatter_nd_params *, void *const *tensors, void *scratch);

/* DYNAMIC_UPDATE_SLICE: the input (position 0) with a box of shape update[] replaced by the update (position 1). It
 * starts at the indices (position 2), moved into the array where it would reach beyond; position 3 is the output.
 * 0 <= update[d] <= shape[d]. rank: 1 to QC_MAX_RANK. index_bytes: 4 or 8. */
typedef struct {
    int32_t rank;
    int32_t element_bytes;
    int32_t index_bytes;
    int64_t shape[QC_MAX_RANK];
    int64_t update[QC_MAX_RANK];
} qc_update_slice_params;

qc_status qc_update_slice_ref(const qc_update_slice_params *, void *const *tensors, void *scratch);

#endif
