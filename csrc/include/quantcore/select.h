/* SELECT: one of two inputs, by a truth value (a byte, 0 or 1). */
#ifndef QUANTCORE_SELECT_H
#define QUANTCORE_SELECT_H

#include "quantcore/elementwise.h"

/* output = condition ? input1 : input2, elements of `size` bytes. shape: of the output. strides: distance in elements
 * between neighbours along a dimension, 0 where an input repeats. */
typedef struct {
    int32_t size;
    int32_t rank; /* in [1, QC_BROADCAST_RANK] */
    int32_t shape[QC_BROADCAST_RANK];
    int64_t condition_stride[QC_BROADCAST_RANK];
    int64_t stride1[QC_BROADCAST_RANK];
    int64_t stride2[QC_BROADCAST_RANK];
} qc_select_params;

/* The output must not overlap an input. scratch: none. Source: TFLite kernels/internal/reference/select.h. */
qc_status qc_select_ref(const qc_select_params *params, const uint8_t *condition, const uint8_t *input1,
                        const uint8_t *input2, uint8_t *output, void *scratch);

#endif
