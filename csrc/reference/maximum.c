/* MAXIMUM and MINIMUM: the definitions. */
#include "quantcore/maximum.h"

#include "quantcore/elementwise_rules.h"

#define SELECTION_ROW(op, compare, suffix, T, value)      \
    QC_SELECTION_RULE(op, compare, suffix, T, value)      \
    QC_BINARY_ROW(op##_##suffix##_row, , qc_selection_params, T, qc_##op##_##suffix##_one)

#define SELECTION_KERNEL(op, suffix, T, row)                                                                 \
    qc_status qc_##op##_##suffix##_ref(const qc_selection_params *p, const T *input1, const T *input2,       \
                                       T *output, void *scratch) {                                           \
        (void)scratch;                                                                                       \
        qc_broadcast_walk(&p->broadcast, p, input1, input2, output, sizeof(T), row);                         \
        return QC_OK;                                                                                        \
    }

#define SELECTION(suffix, T)                                     \
    SELECTION_ROW(maximum, >, suffix, T, QC_AS_STORED)              \
    SELECTION_ROW(minimum, <, suffix, T, QC_AS_STORED)              \
    SELECTION_KERNEL(maximum, suffix, T, maximum_##suffix##_row) \
    SELECTION_KERNEL(minimum, suffix, T, minimum_##suffix##_row)

SELECTION(s8, int8_t)
SELECTION(u8, uint8_t)
SELECTION(s16, int16_t)
SELECTION(s32, int32_t)
SELECTION(s64, int64_t)
SELECTION(f32, float)

/* Where input 1 repeats along a row, XNNPACK runs its kernel for a repeated second input with the inputs swapped. */
#define FLUSHED_SELECTION(op, compare)                                                                       \
    SELECTION_ROW(op, compare, f32_flushed, float, qc_flush_input)                                           \
    static void op##_f32_flushed_swapping_row(const void *rule, const void *input1, int64_t stride1,         \
                                              const void *input2, int64_t stride2, void *output,             \
                                              int64_t count) {                                               \
        if (stride1 == 0)                                                                                    \
            op##_f32_flushed_row(rule, input2, stride2, input1, stride1, output, count);                     \
        else                                                                                                 \
            op##_f32_flushed_row(rule, input1, stride1, input2, stride2, output, count);                     \
    }                                                                                                        \
    SELECTION_KERNEL(op, f32_flushed, float, op##_f32_flushed_swapping_row)

FLUSHED_SELECTION(maximum, >)
FLUSHED_SELECTION(minimum, <)
