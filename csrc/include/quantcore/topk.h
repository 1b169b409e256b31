/* TOPK_V2: the largest elements of each row, largest first; of equal ones, the earlier first. */
#ifndef QUANTCORE_TOPK_H
#define QUANTCORE_TOPK_H

#include <stdint.h>

#include "quantcore/status.h"

/* input [rows][size] at position 0; values and places [rows][k] at positions 2 and 3.
 * 1 <= k <= size. index_bytes: size of a place, 2 or 4. */
typedef struct {
    int64_t rows;
    int64_t size;
    int64_t k;
    int32_t index_bytes;
} qc_topk_params;

qc_status qc_topk_s8_ref(const qc_topk_params *, void *const *tensors, void *scratch);
qc_status qc_topk_u8_ref(const qc_topk_params *, void *const *tensors, void *scratch);
qc_status qc_topk_s16_ref(const qc_topk_params *, void *const *tensors, void *scratch);
qc_status qc_topk_s32_ref(const qc_topk_params *, void *const *tensors, void *scratch);
qc_status qc_topk_s64_ref(const qc_topk_params *, void *const *tensors, void *scratch);
qc_status qc_topk_f32_ref(const qc_topk_params *, void *const *tensors, void *scratch);

#endif
