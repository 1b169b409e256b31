/* MAXIMUM and MINIMUM: the definitions. */
#include "quantcore/maximum.h"

#include "quantcore/elementwise_rules.h"

#define SELECTION_KERNEL(op, compare, suffix, T)                                                             \
    static inline T op##_##suffix##_one(const qc_selection_params *p, T a, T b) {                            \
        (void)p;                                                                                             \
        return a compare b ? a : b;                                                                          \
    }                                                                                                        \
    QC_BINARY_ROW(op##_##suffix##_row, , qc_selection_params, T, op##_##suffix##_one)                        \
    qc_status qc_##op##_##suffix##_ref(const qc_selection_params *p, const T *input1, const T *input2,       \
                                       T *output, void *scratch) {                                           \
        (void)scratch;                                                                                       \
        qc_broadcast_walk(&p->broadcast, p, input1, input2, output, sizeof(T), op##_##suffix##_row);         \
        return QC_OK;                                                                                        \
    }

#define SELECTION(suffix, T)                \
    SELECTION_KERNEL(maximum, >, suffix, T) \
    SELECTION_KERNEL(minimum, <, suffix, T)

SELECTION(s8, int8_t)
SELECTION(u8, uint8_t)
SELECTION(s16, int16_t)
SELECTION(s32, int32_t)
SELECTION(s64, int64_t)
SELECTION(f32, float)
