/* The part of the float matrix product that does not depend on the instruction set. */
#include "gemm_f32.h"

#include <immintrin.h>
#include <stddef.h>

#include "gemm.h"

/* Elements of the input that stay in the second-level cache while the filter passes by. */
enum { CACHED_INPUT = 1 << 16, WHOLE_TILES = 24 /* rows: a multiple of those of all tiles */ };

const float *qc_packed_filter_f32(const void *packed, const qc_pack_filter_params *p, const float *filter,
                                  uint8_t **scratch) {
    if (packed != NULL) return packed;
    float *memory = qc_take(scratch, p->groups * qc_packed_group_size_f32(p->units, p->depth));
    qc_pack_filter_f32_ref(p, filter, memory, NULL);
    return memory;
}

/* Rows [first, last) of outputs: those of one part of the filter after the other. */
static void run_rows(const qc_float_gemm *g, const qc_place *places, int64_t count, int64_t start, int64_t row_step,
                     int64_t first, int64_t last, float *output, int64_t row_size) {
    const int64_t block_size = g->depth * QC_LANES;
    for (int32_t unit = 0; unit < g->units; unit += g->isa->units) {
        const int32_t units = g->units - unit < g->isa->units ? g->units - unit : g->isa->units;
        const float *bias = g->bias != NULL ? g->bias + unit : NULL;
        const qc_float_output out = {bias, g->low, g->high, output + first * row_size + unit, row_size};
        g->isa->rows(places, count, start + first * row_step, row_step, last - first, unit / QC_LANES * block_size,
                     block_size, units, &out);
    }
}

void qc_float_gemm_run(const qc_float_gemm *g, const qc_place *places, int64_t count, int64_t start, int64_t row_step,
                       int64_t rows, float *output, int64_t row_size) {
    const int64_t tiles = CACHED_INPUT / (g->depth * WHOLE_TILES);
    const int64_t step = (tiles > 1 ? tiles : 1) * WHOLE_TILES;
    for (int64_t r = 0; r < rows; r += step)
        run_rows(g, places, count, start, row_step, r, rows - r < step ? rows : r + step, output, row_size);
}

int qc_zeros_are_neutral(void) {
    const unsigned flush_to_zero = 1u << 15, rounding = 3u << 13, denormals_are_zeros = 1u << 6;
    return (_mm_getcsr() & (flush_to_zero | rounding | denormals_are_zeros)) == 0;
}

void qc_float_rows_run(const qc_float_gemm *g, const float *input, const float *filter, int64_t rows, uint8_t *memory,
                       float *output, int64_t row_size) {
    const int64_t most = qc_float_list_rows(g->depth);
    const qc_float_list list = {
        .offsets = qc_take(&memory, (most * g->depth + 16) * (int64_t)sizeof(int32_t)),
        .values = qc_take(&memory, (most * g->depth + 16) * (int64_t)sizeof(float)),
    };
    int32_t *starts = qc_take(&memory, (most + 1) * (int64_t)sizeof(int32_t));
    qc_float_run *runs = (qc_float_run *)(void *)memory;
    for (int64_t first = 0; first < rows; first += most) {
        const int64_t some = rows - first < most ? rows - first : most;
        const float *x = input + first * g->depth;
        float *to = output + first * row_size;
        const int64_t counted = some > 8 ? 8 : some; /* rows that stand for all */
        const int64_t n = qc_count_elements_avx512(x, counted * g->depth);
        if (!qc_is_worth_a_list(n, counted * g->depth, some, g->units)) {
            const qc_place place = {x, filter, g->depth};
            qc_float_gemm_run(g, &place, 1, 0, g->depth, some, to, row_size);
            continue;
        }
        qc_list_row_avx512(x, some, g->depth, 0, 0, &list, starts);
        for (int64_t r = 0; r < some; ++r)
            runs[r] = (qc_float_run){list.offsets + starts[r], list.values + starts[r], starts[r + 1] - starts[r], filter};
        const qc_float_output out = {g->bias, g->low, g->high, to, row_size};
        qc_float_runs_avx512(runs, 1, some, g->depth * QC_LANES, g->units, &out);
    }
}
