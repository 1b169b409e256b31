/* CAST of integers to float32, vectorised by the compiler for AVX2. Other pairs are the definition's. */
#include "../kernels.h"

/* Integers of up to 32 bits go to float32 by one rounding, as over int64. */
#define TO_FLOAT(T)                                                                                       \
    __attribute__((target("avx2"))) static void from_##T(const uint8_t *input, int64_t count, float *output) { \
        const T *from = (const T *)(const void *)input;                                                   \
        for (int64_t i = 0; i < count; ++i) output[i] = (float)from[i];                                   \
    }
TO_FLOAT(int8_t)
TO_FLOAT(uint8_t)
TO_FLOAT(int16_t)
TO_FLOAT(int32_t)

qc_status qc_cast_avx2(const qc_cast_params *p, const uint8_t *input, uint8_t *output, void *scratch) {
    float *floats = (float *)(void *)output;
    if (p->to != QC_F32) return qc_cast_ref(p, input, output, scratch);
    switch (p->from) {
        case QC_S8: from_int8_t(input, p->count, floats); break;
        case QC_U8: from_uint8_t(input, p->count, floats); break;
        case QC_S16: from_int16_t(input, p->count, floats); break;
        case QC_S32: from_int32_t(input, p->count, floats); break;
        default: return qc_cast_ref(p, input, output, scratch);
    }
    return QC_OK;
}
