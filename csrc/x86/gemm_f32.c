/* The part of the float matrix product that does not depend on the instruction set. */
#include "gemm_f32.h"

#include <stddef.h>

#include "gemm.h"
#include "quantcore/fixed_point.h"

const float *qc_packed_filter_f32(const void *packed, const qc_pack_filter_params *p, const float *filter,
                                  uint8_t **scratch) {
    if (packed != NULL) return packed;
    float *memory = qc_take(scratch, p->groups * qc_packed_group_size_f32(p->units, p->depth));
    qc_pack_filter_f32_ref(p, filter, memory, NULL);
    return memory;
}

static void finish(const qc_float_gemm *g, const float *sums, int32_t first, int32_t count, float *output) {
    const float low = g->low, high = g->high;
    if (g->bias != NULL) {
        for (int32_t i = 0; i < count; ++i)
            output[i] = qc_clamp_f32(sums[i] + g->bias[first + i], low, high);
    } else {
        for (int32_t i = 0; i < count; ++i) output[i] = qc_clamp_f32(sums[i] + 0.0f, low, high);
    }
}

void qc_float_gemm_run(const qc_float_gemm *g, const qc_place *places, int64_t count, int64_t row_step,
                       int64_t rows, float *output, int64_t row_size) {
    _Alignas(64) float sums[QC_FLOAT_TILE_ROWS * QC_FLOAT_TILE_UNITS];
    const int64_t block_size = g->depth * QC_LANES;
    for (int32_t unit = 0; unit < g->units; unit += g->isa->units) {
        const int32_t units = g->units - unit < g->isa->units ? g->units - unit : g->isa->units;
        const int32_t blocks = (units + QC_LANES - 1) / QC_LANES;
        const int64_t filter_offset = unit / QC_LANES * block_size;
        for (int64_t r = 0; r < rows; r += QC_FLOAT_TILE_ROWS) {
            const int32_t tile = (int32_t)(rows - r < QC_FLOAT_TILE_ROWS ? rows - r : QC_FLOAT_TILE_ROWS);
            g->isa->tile(places, count, r * row_step, row_step, tile, filter_offset, block_size, blocks,
                         sums);
            for (int32_t i = 0; i < tile; ++i)
                finish(g, sums + i * QC_FLOAT_TILE_UNITS, unit, units, output + (r + i) * row_size + unit);
        }
    }
}
