/* Elements written at places that indices name: the definitions. */
#include "quantcore/scatter.h"

#include <string.h>

#include "quantcore/indexing.h"

/* U is the type to add in: unsigned, where T is an integer, so that sums wrap. */
#define QC_SCATTER_ND(suffix, T, U)                                                                                 \
    qc_status qc_scatter_nd_##suffix##_ref(const qc_scatter_nd_params *p, void *const *tensors, void *scratch) {   \
        (void)scratch;                                                                                             \
        const uint8_t *indices = (const uint8_t *)tensors[0];                                                      \
        const T *updates = (const T *)tensors[1];                                                                  \
        T *output = (T *)tensors[3];                                                                               \
        memset(output, 0, (size_t)p->total * sizeof(T));                                                           \
        for (int64_t i = 0; i < p->count; ++i) {                                                                   \
            int64_t place = 0;                                                                                     \
            for (int32_t d = 0; d < p->depth; ++d) {                                                               \
                const int64_t index = qc_read_index(indices, i * p->depth + d, p->index_bytes);                    \
                if (index < 0 || index >= p->size[d]) return QC_BAD_DATA;                                          \
                place = place * p->size[d] + index;                                                                \
            }                                                                                                      \
            for (int64_t k = 0; k < p->slice; ++k) {                                                               \
                T *y = output + place * p->slice + k;                                                              \
                *y = (T)((U)*y + (U)updates[i * p->slice + k]);                                                    \
            }                                                                                                      \
        }                                                                                                          \
        return QC_OK;                                                                                              \
    }

QC_SCATTER_ND(s8, int8_t, uint32_t)
QC_SCATTER_ND(u8, uint8_t, uint32_t)
QC_SCATTER_ND(s32, int32_t, uint32_t)
QC_SCATTER_ND(s64, int64_t, uint64_t)
QC_SCATTER_ND(f32, float, float)

/* Dimension d of the box; the end of its part of the update is returned. */
static const uint8_t *write_dimension(const qc_update_slice_params *p, int32_t d, const int64_t *start,
                                      const uint8_t *update, uint8_t *output) {
    int64_t step = p->element_bytes;
    for (int32_t k = d + 1; k < p->rank; ++k) step *= p->shape[k];
    output += start[d] * step;
    if (d == p->rank - 1) {
        memcpy(output, update, (size_t)(p->update[d] * step));
        return update + p->update[d] * step;
    }
    for (int64_t i = 0; i < p->update[d]; ++i)
        update = write_dimension(p, d + 1, start, update, output + i * step);
    return update;
}

qc_status qc_update_slice_ref(const qc_update_slice_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    int64_t start[QC_MAX_RANK], size = p->element_bytes;
    for (int32_t d = 0; d < p->rank; ++d) {
        const int64_t last = p->shape[d] - p->update[d];
        const int64_t index = qc_read_index((const uint8_t *)tensors[2], d, p->index_bytes);
        start[d] = index < 0 ? 0 : index > last ? last : index;
        size *= p->shape[d];
    }
    memcpy(tensors[3], tensors[0], (size_t)size);
    for (int32_t d = 0; d < p->rank; ++d)
        if (p->update[d] == 0) return QC_OK;
    write_dimension(p, 0, start, (const uint8_t *)tensors[1], (uint8_t *)tensors[3]);
    return QC_OK;
}
