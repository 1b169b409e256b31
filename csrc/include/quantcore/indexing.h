/* Operators that read slices of an array by index. Elements are copied, never changed. */
#ifndef QUANTCORE_INDEXING_H
#define QUANTCORE_INDEXING_H

#include <stdint.h>
#include <string.h>

#include "quantcore/movement.h"
#include "quantcore/status.h"

/* Element i of an array of signed integers of `size` bytes: 2, 4 or 8. */
static inline int64_t qc_read_index(const uint8_t *indices, int64_t i, int32_t size) {
    int16_t narrow;
    int32_t middle;
    int64_t wide;
    switch (size) {
        case 2: memcpy(&narrow, indices + i * 2, 2); return narrow;
        case 4: memcpy(&middle, indices + i * 4, 4); return middle;
        default: memcpy(&wide, indices + i * 8, 8); return wide;
    }
}

/* GATHER_ND: indices [count][depth] address slices of slice_bytes in an input whose first dimensions are
 * size[0..depth); the slices follow each other in the output. depth: 0 to QC_MAX_RANK.
 * An index outside [0, size) is QC_BAD_DATA. Source: TFLite kernels/gather_nd.cc. */
typedef struct {
    int64_t count;
    int32_t depth;
    int32_t index_bytes;
    int64_t slice_bytes;
    int64_t size[QC_MAX_RANK];
} qc_gather_nd_params;

qc_status qc_gather_nd_ref(const qc_gather_nd_params *, const uint8_t *input, const uint8_t *indices,
                           uint8_t *output, void *scratch);

#endif
