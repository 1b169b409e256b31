/* ARG_MAX and ARG_MIN: the index of the largest or smallest element along one axis, the first of equals. */
#ifndef QUANTCORE_ARG_EXTREME_H
#define QUANTCORE_ARG_EXTREME_H

#include <stdint.h>

#include "quantcore/status.h"

/* input: [outer][axis][inner], axis >= 1. output: [outer][inner] of int32, or int64 where wide is 1.
 * smallest: 1 for ARG_MIN. bool is u8. A NaN never replaces a candidate, and nothing replaces a NaN in
 * first place; TFLite's answer to a NaN depends on the layout, and can be no index at all.
 * The kernels take the pointer table: input, axis (not read), output. scratch: none.
 * Source: TFLite kernels/arg_min_max.cc, kernels/internal/reference/arg_min_max.h. */
typedef struct {
    int64_t outer;
    int64_t axis;
    int64_t inner;
    int32_t smallest;
    int32_t wide;
} qc_arg_extreme_params;

qc_status qc_arg_extreme_s8_ref(const qc_arg_extreme_params *, void *const *tensors, void *scratch);
qc_status qc_arg_extreme_u8_ref(const qc_arg_extreme_params *, void *const *tensors, void *scratch);
qc_status qc_arg_extreme_s32_ref(const qc_arg_extreme_params *, void *const *tensors, void *scratch);
qc_status qc_arg_extreme_f32_ref(const qc_arg_extreme_params *, void *const *tensors, void *scratch);

#endif
