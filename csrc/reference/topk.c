/* TOPK_V2: the definition, for each dtype. */
#include "quantcore/topk.h"

#include <string.h>

static void write_place(uint8_t *places, int64_t i, int32_t size, int64_t place) {
    const int16_t narrow = (int16_t)place;
    const int32_t wide = (int32_t)place;
    memcpy(places + i * size, size == 2 ? (const void *)&narrow : (const void *)&wide, (size_t)size);
}

static void move_place(uint8_t *places, int64_t to, int64_t from, int32_t size) {
    memcpy(places + to * size, places + from * size, (size_t)size);
}

/* The outputs are a list of the largest so far, in order; an element that is larger than the last is inserted
 * behind its equals. */
#define QC_TOPK(suffix, T)                                                                                          \
    qc_status qc_topk_##suffix##_ref(const qc_topk_params *p, void *const *tensors, void *scratch) {               \
        (void)scratch;                                                                                             \
        for (int64_t row = 0; row < p->rows; ++row) {                                                              \
            const T *x = (const T *)tensors[0] + row * p->size;                                                    \
            T *values = (T *)tensors[2] + row * p->k;                                                              \
            uint8_t *places = (uint8_t *)tensors[3] + row * p->k * p->index_bytes;                                 \
            for (int64_t i = 0, found = 0; i < p->size; ++i) {                                                     \
                if (found == p->k && !(x[i] > values[found - 1])) continue;                                        \
                int64_t at = found < p->k ? found++ : found - 1;                                                   \
                for (; at > 0 && x[i] > values[at - 1]; --at) {                                                    \
                    values[at] = values[at - 1];                                                                   \
                    move_place(places, at, at - 1, p->index_bytes);                                                \
                }                                                                                                  \
                values[at] = x[i];                                                                                 \
                write_place(places, at, p->index_bytes, i);                                                        \
            }                                                                                                      \
        }                                                                                                          \
        return QC_OK;                                                                                              \
    }

QC_TOPK(s8, int8_t)
QC_TOPK(u8, uint8_t)
QC_TOPK(s16, int16_t)
QC_TOPK(s32, int32_t)
QC_TOPK(s64, int64_t)
QC_TOPK(f32, float)
