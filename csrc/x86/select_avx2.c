/* SELECT by rows, which the compiler makes vectors of. */
#include <string.h>

#include "../kernels.h"
#include "collapsed_rows.h"

#define TARGET __attribute__((target("avx2")))
#define INLINE TARGET static inline __attribute__((always_inline))

/* Both elements are read before one is chosen, so that there is no branch. Strides are constants where they are 0 or
 * 1. */
#define ROW(T)                                                                                                 \
    INLINE void row_##T(const uint8_t *c, const T *a, const T *b, T *y, int64_t count, int64_t step_c,         \
                        int64_t step_a, int64_t step_b) {                                                      \
        for (int64_t i = 0; i < count; ++i) {                                                                  \
            const T x = a[i * step_a], z = b[i * step_b];                                                      \
            y[i] = c[i * step_c] ? x : z;                                                                      \
        }                                                                                                      \
    }                                                                                                          \
    TARGET static void select_##T(const void *context, const uint8_t *const *inputs, const int64_t *strides,   \
                                  uint8_t *output, int64_t count) {                                            \
        (void)context;                                                                                         \
        const uint8_t *c = inputs[0];                                                                          \
        const T *a = (const T *)(const void *)inputs[1], *b = (const T *)(const void *)inputs[2];              \
        T *y = (T *)(void *)output;                                                                            \
        const int64_t sc = strides[0], sa = strides[1], sb = strides[2];                                       \
        if (sc == 1 && sa == 1 && sb == 1) row_##T(c, a, b, y, count, 1, 1, 1);                                \
        else if (sc == 1 && sa == 1 && sb == 0) row_##T(c, a, b, y, count, 1, 1, 0);                           \
        else if (sc == 1 && sa == 0 && sb == 1) row_##T(c, a, b, y, count, 1, 0, 1);                           \
        else if (sc == 1 && sa == 0 && sb == 0) row_##T(c, a, b, y, count, 1, 0, 0);                           \
        else if (sc == 0 && (*c ? sa : sb) == 1) memcpy(y, *c ? a : b, (size_t)count * sizeof *y);             \
        else row_##T(c, a, b, y, count, sc, sa, sb);                                                           \
    }
ROW(uint8_t)
ROW(uint16_t)
ROW(uint32_t)
ROW(uint64_t)

qc_status qc_select_avx2(const qc_select_params *p, const uint8_t *condition, const uint8_t *input1,
                         const uint8_t *input2, uint8_t *output, void *scratch) {
    qc_row *row;
    switch (p->size) {
        case 1: row = select_uint8_t; break;
        case 2: row = select_uint16_t; break;
        case 4: row = select_uint32_t; break;
        case 8: row = select_uint64_t; break;
        default: return qc_select_ref(p, condition, input1, input2, output, scratch);
    }
    const qc_rows rows = qc_collapse_rows(p->rank, p->shape, p->condition_stride, p->stride1, p->stride2);
    const uint8_t *const inputs[] = {condition, input1, input2};
    const int64_t items[] = {1, p->size, p->size};
    qc_walk_rows(&rows, NULL, inputs, items, output, p->size, row);
    return QC_OK;
}
