/* Transposed copies in tiles: what lies next to each other in the input and in the output is moved by vectors. */
#include <emmintrin.h>
#include <string.h>

#include "../kernels.h"
#include "pack_matrix.h"

/* One tile of SIZE x SIZE elements, steps in bytes: interleaving the halves of a list log2(SIZE) times transposes. */
#define TILE(T, SIZE, ROUNDS, bits)                                                                          \
    static inline void tile_##T(const uint8_t *from, int64_t from_step, uint8_t *to, int64_t to_step) {      \
        __m128i x[SIZE], y[SIZE];                                                                            \
        for (int i = 0; i < SIZE; ++i)                                                                       \
            x[i] = _mm_loadu_si128((const __m128i *)(const void *)(from + i * from_step));                   \
        for (int round = 0; round < ROUNDS; ++round) {                                                       \
            for (int i = 0; i < SIZE / 2; ++i) {                                                             \
                y[2 * i] = _mm_unpacklo_epi##bits(x[i], x[i + SIZE / 2]);                                    \
                y[2 * i + 1] = _mm_unpackhi_epi##bits(x[i], x[i + SIZE / 2]);                                \
            }                                                                                                \
            memcpy(x, y, sizeof x);                                                                          \
        }                                                                                                    \
        for (int i = 0; i < SIZE; ++i) _mm_storeu_si128((__m128i *)(void *)(to + i * to_step), x[i]);        \
    }                                                                                                        \
    /* Rows [i, last_i) and columns [j, last_j), one by one. */                                              \
    static void rest_##T(const uint8_t *from, int64_t from_step, uint8_t *to, int64_t to_step, int64_t i,    \
                         int64_t last_i, int64_t j, int64_t last_j) {                                        \
        const int64_t item = sizeof(T);                                                                      \
        for (; i < last_i; ++i)                                                                              \
            for (int64_t k = j; k < last_j; ++k)                                                             \
                memcpy(to + k * to_step + i * item, from + i * from_step + k * item, sizeof(T));             \
    }                                                                                                        \
    static void transpose_##T(const uint8_t *from, int64_t rows, int64_t columns, int64_t from_step, uint8_t *to, \
                              int64_t to_step) {                                                             \
        const int64_t all_rows = rows / SIZE * SIZE, all_columns = columns / SIZE * SIZE;                    \
        for (int64_t i = 0; i < all_rows; i += SIZE)                                                         \
            for (int64_t j = 0; j < all_columns; j += SIZE)                                                  \
                tile_##T(from + i * from_step + j * (int64_t)sizeof(T), from_step,                           \
                         to + j * to_step + i * (int64_t)sizeof(T), to_step);                                \
        rest_##T(from, from_step, to, to_step, 0, all_rows, all_columns, columns);                           \
        rest_##T(from, from_step, to, to_step, all_rows, rows, 0, columns);                                  \
    }
TILE(uint8_t, 16, 4, 8)
TILE(uint16_t, 8, 3, 16)
TILE(uint32_t, 4, 2, 32)

void qc_transpose_matrix(const uint8_t *from, int64_t rows, int64_t columns, int64_t from_step, int64_t item,
                         uint8_t *to, int64_t to_step) {
    if (item == 1) transpose_uint8_t(from, rows, columns, from_step, to, to_step);
    else if (item == 2) transpose_uint16_t(from, rows, columns, from_step, to, to_step);
    else transpose_uint32_t(from, rows, columns, from_step, to, to_step);
}

/* The dimension along which the input is contiguous, where the last one is not; -1 if there is none of some length. */
static int32_t input_dimension(const qc_strided_copy_params *c) {
    enum { WORTH_IT = 8 };
    if (c->rank < 2 || c->shape[c->rank - 1] < WORTH_IT || c->element_bytes > 4) return -1;
    for (int32_t d = 0; d < c->rank - 1; ++d)
        if (c->stride[d] == 1 && c->shape[d] >= WORTH_IT) return d;
    return -1;
}

qc_status qc_strided_copy_avx2(const qc_strided_copy_params *p, void *const *tensors, void *scratch) {
    const qc_strided_copy_params c = *p;
    const int32_t inner = input_dimension(&c), last = c.rank - 1;
    if (inner < 0) return qc_strided_copy_ref(p, tensors, scratch);
    int64_t output_stride[QC_MAX_RANK], index[QC_MAX_RANK] = {0}, count = 1;
    for (int32_t d = last; d >= 0; count *= c.shape[d--]) output_stride[d] = count * c.element_bytes;
    if (count == 0) return QC_OK;
    const uint8_t *from = (const uint8_t *)tensors[p->input] + c.first * c.element_bytes;
    uint8_t *to = (uint8_t *)tensors[p->output];
    for (;;) { /* the other dimensions advance like an odometer */
        qc_transpose_matrix(from, c.shape[last], c.shape[inner], c.stride[last] * c.element_bytes, c.element_bytes, to,
                            output_stride[inner]);
        int32_t d = last - 1;
        for (; d >= 0; --d) {
            if (d == inner) continue;
            if (++index[d] < c.shape[d]) break;
            index[d] = 0;
            from -= (c.shape[d] - 1) * c.stride[d] * c.element_bytes;
            to -= (c.shape[d] - 1) * output_stride[d];
        }
        if (d < 0) return QC_OK;
        from += c.stride[d] * c.element_bytes;
        to += output_stride[d];
    }
}
