/* MAXIMUM and MINIMUM with broadcasting: a selection of stored values, whatever they stand for. */
#ifndef QUANTCORE_MAXIMUM_H
#define QUANTCORE_MAXIMUM_H

#include "quantcore/elementwise.h"

typedef struct {
    qc_broadcast broadcast;
} qc_selection_params;

/* MAXIMUM: input1 where it is greater, else input2; MINIMUM: input1 where it is less, else input2. Hence input2
 * where the values are equal or a NaN takes part. The kernels <op>_f32_flushed take subnormal numbers for zeros.
 * Inputs, output and scratch as for ADD.
 * Source: TFLite kernels/maximum_minimum.cc. */
#define QC_DECLARE_SELECTION(suffix, T)                                  \
    QC_DECLARE_BINARY(maximum_##suffix##_ref, qc_selection_params, T)    \
    QC_DECLARE_BINARY(minimum_##suffix##_ref, qc_selection_params, T)
QC_DECLARE_SELECTION(s8, int8_t)
QC_DECLARE_SELECTION(u8, uint8_t)
QC_DECLARE_SELECTION(s16, int16_t)
QC_DECLARE_SELECTION(s32, int32_t)
QC_DECLARE_SELECTION(s64, int64_t)
QC_DECLARE_SELECTION(f32, float)
QC_DECLARE_BINARY(maximum_f32_flushed_ref, qc_selection_params, float)
QC_DECLARE_BINARY(minimum_f32_flushed_ref, qc_selection_params, float)

#endif
