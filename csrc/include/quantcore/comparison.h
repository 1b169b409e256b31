/* EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS, LESS_EQUAL, LOGICAL_AND, LOGICAL_OR with broadcasting; LOGICAL_NOT.
 * Outputs are bytes, 0 or 1. */
#ifndef QUANTCORE_COMPARISON_H
#define QUANTCORE_COMPARISON_H

#include "quantcore/elementwise.h"

typedef enum {
    QC_EQUAL,
    QC_NOT_EQUAL,
    QC_GREATER,
    QC_GREATER_EQUAL,
    QC_LESS,
    QC_LESS_EQUAL,
    QC_LOGICAL_AND, /* of booleans only */
    QC_LOGICAL_OR,
} qc_comparison;

/* Values as they are stored; with a NaN only QC_NOT_EQUAL holds.
 * Source: TFLite kernels/internal/reference/comparisons.h, kernels/logical.cc. */
typedef struct {
    qc_broadcast broadcast;
    qc_comparison comparison;
} qc_comparison_params;

/* Integers with scales: A = double_rounding((q1 + input1_offset) << left_shift; input1_multiplier, input1_shift) is
 * compared with B, likewise from q2. The multipliers stand for the scales themselves.
 * offsets: minus the zero points. left_shift: 8. multipliers: in [2^30, 2^31). shifts: in [-31, 31]. */
typedef struct {
    qc_broadcast broadcast;
    qc_comparison comparison;
    int32_t left_shift;
    int32_t input1_offset;
    int32_t input1_multiplier;
    int32_t input1_shift;
    int32_t input2_offset;
    int32_t input2_multiplier;
    int32_t input2_shift;
} qc_scaled_comparison_params;

typedef struct {
    int64_t count;
} qc_logical_not_params;

/* scratch: none. */
#define QC_DECLARE_COMPARISON(suffix, P, T)                                                                  \
    qc_status qc_compare_##suffix##_ref(const P *params, const T *input1, const T *input2, uint8_t *output,  \
                                        void *scratch);
QC_DECLARE_COMPARISON(bool, qc_comparison_params, uint8_t)
QC_DECLARE_COMPARISON(s16, qc_comparison_params, int16_t)
QC_DECLARE_COMPARISON(s32, qc_comparison_params, int32_t)
QC_DECLARE_COMPARISON(s64, qc_comparison_params, int64_t)
QC_DECLARE_COMPARISON(f32, qc_comparison_params, float)
QC_DECLARE_COMPARISON(scaled_s8, qc_scaled_comparison_params, int8_t)
QC_DECLARE_COMPARISON(scaled_u8, qc_scaled_comparison_params, uint8_t)
QC_DECLARE_COMPARISON(scaled_s16, qc_scaled_comparison_params, int16_t)

qc_status qc_logical_not_ref(const qc_logical_not_params *params, const uint8_t *input, uint8_t *output,
                             void *scratch);

#endif
