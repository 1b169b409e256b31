/* Element-wise operators of two inputs without scales: the rules of the definitions, vectorised by the compiler. */
#include "../kernels.h"
#define QC_WALK qc_walk_long_rows
#include "long_rows.h"

#define TARGET __attribute__((target("avx2")))

QC_ARITHMETIC(s32, avx2, TARGET, int32_t)
QC_ARITHMETIC(s64, avx2, TARGET, int64_t)
QC_ARITHMETIC_KERNEL(squared_difference, f32, avx2, TARGET, float)

QC_BINARY_ROW(div_f32_row, TARGET, qc_arithmetic_f32_params, float, qc_div_f32_one)
qc_status qc_div_f32_avx2(const qc_division_f32_params *p, const float *input1, const float *input2, float *output,
                          void *scratch) {
    (void)scratch;
    const qc_arithmetic_f32_params *rule = &p->arithmetic;
    qc_walk_long_rows(&rule->broadcast, rule, input1, input2, output, sizeof(float), div_f32_row);
    return QC_OK;
}

QC_BINARY_ROW(prelu_f32_row, TARGET, qc_prelu_f32_params, float, qc_prelu_f32_one)
qc_status qc_prelu_f32_avx2(const qc_prelu_f32_params *p, const float *input, const float *alpha, float *output,
                            void *scratch) {
    (void)scratch;
    qc_walk_long_rows(&p->broadcast, p, input, alpha, output, sizeof(float), prelu_f32_row);
    return QC_OK;
}

#define SELECTION_KERNEL(op, compare, suffix, T)                                                             \
    QC_SELECTION_RULE(op, compare, suffix, T, QC_AS_STORED)                                                  \
    QC_BINARY_ROW(op##_##suffix##_row, TARGET, qc_selection_params, T, qc_##op##_##suffix##_one)             \
    qc_status qc_##op##_##suffix##_avx2(const qc_selection_params *p, const T *input1, const T *input2,      \
                                        T *output, void *scratch) {                                          \
        (void)scratch;                                                                                       \
        qc_walk_long_rows(&p->broadcast, p, input1, input2, output, sizeof(T), op##_##suffix##_row);         \
        return QC_OK;                                                                                        \
    }
#define SELECTION(suffix, T)                    \
    SELECTION_KERNEL(maximum, >, suffix, T)     \
    SELECTION_KERNEL(minimum, <, suffix, T)
SELECTION(s8, int8_t)
SELECTION(u8, uint8_t)
SELECTION(s16, int16_t)
SELECTION(s32, int32_t)
SELECTION(f32, float)
