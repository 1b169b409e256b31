/* Products of int16 matrices. */
#include "matmul_s16.h"

#include "gemm_s16.h"

void qc_multiply_s16(qc_tile_s16 *tile, const qc_matmul_shape *s, const qc_requant *r, const int16_t *left,
                     const int16_t *packed, int16_t *output) {
    const int64_t depth = s->depth, block = qc_round_up(depth, 2) * QC_LANES;
    _Alignas(64) int64_t sums[QC_MATMUL_ROWS_S16 * QC_LANES];
    for (int32_t unit = 0; unit < s->columns; unit += QC_LANES) {
        const int32_t count = s->columns - unit < QC_LANES ? s->columns - unit : QC_LANES;
        for (int32_t row = 0; row < s->rows; row += QC_MATMUL_ROWS_S16) {
            const int32_t rows = s->rows - row < QC_MATMUL_ROWS_S16 ? s->rows - row : QC_MATMUL_ROWS_S16;
            tile(left + row * depth, depth, rows, packed + unit / QC_LANES * block, sums);
            for (int32_t i = 0; i < rows; ++i)
                qc_store_s16_wide(r, sums + i * QC_LANES, 0, count, output + (int64_t)(row + i) * s->columns + unit);
        }
    }
}
