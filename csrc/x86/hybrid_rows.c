/* Hybrid products of many rows, and XNNPACK's rules, which the compiler makes vectors of. */
#include "hybrid_rows.h"

#include <stddef.h>

#include "quantcore/hybrid_xnnpack.h"

#define TARGET __attribute__((target("avx2,fma")))

TARGET static void quantize_elements(const float *input, int64_t count, float scale, int32_t zero_point,
                                     int8_t *restrict output) {
    for (int64_t i = 0; i < count; ++i) output[i] = qc_xnnpack_element(input[i], scale, zero_point);
}

/* 0 where nothing but denormals is on this side of 0. */
static float without_denormals(float bound) {
    return fabsf(bound) < FLT_MIN ? 0.0f : bound;
}

qc_hybrid_scale qc_quantize_xnnpack_avx2(const qc_hybrid_loops *loops, const float *input, int64_t count,
                                         int8_t *output) {
    float low, high, scale;
    loops->range(input, count, &low, &high);
    const qc_xnnpack_scale q = qc_xnnpack_choose(without_denormals(low), without_denormals(high), &scale);
    quantize_elements(input, count, scale, q.zero_point, output);
    return (qc_hybrid_scale){q.inverse_scale, q.zero_point};
}

TARGET void qc_xnnpack_outputs_avx2(qc_hybrid_scale q, const float *filter_scale, int per_channel, const float *bias,
                                    const int32_t *sums, int32_t count, float *restrict output) {
    const qc_xnnpack_scale scale = {q.scale, q.zero_point};
    float scales[QC_TILE_UNITS], biases[QC_TILE_UNITS];
    for (int32_t i = 0; i < count; ++i) scales[i] = filter_scale[per_channel ? i : 0];
    for (int32_t i = 0; i < count; ++i) biases[i] = bias != NULL ? bias[i] : 0.0f;
    for (int32_t i = 0; i < count; ++i) output[i] = qc_xnnpack_output(sums[i], scale, scales[i], biases[i]);
}

/* The rows of a panel. */
typedef struct {
    const qc_hybrid_rows *h;
    const int32_t *columns;
    int64_t first_row;
    qc_hybrid_scale q[QC_PANEL_ROWS];
} panel_rows;

static void store(const void *context, const int32_t *acc, int64_t row, int32_t first, int32_t count) {
    const panel_rows *r = context;
    r->h->finish(r->h->context, r->q[row], acc, r->columns + first, r->first_row + row, first, count);
}

void qc_multiply_hybrid_rows(const qc_hybrid_rows *h, const float *input, int64_t row_step, int64_t element_step,
                             int64_t rows, float *floats, uint8_t *scratch) {
    const int64_t stride = qc_round_up(h->depth, QC_QUAD), most = qc_panel_rows(stride);
    qc_gemm g = {.isa = h->isa, .packed = h->packed, .units = h->units, .depth = h->depth};
    g.start = qc_take(&scratch, qc_round_up(h->units, QC_LANES) * (int64_t)sizeof(int32_t));
    const uint8_t flip = qc_panel_flip(h->isa, 1, 0, &g.input_shift);
    panel_rows r = {.h = h};
    r.columns = (const int32_t *)(const void *)(h->packed + qc_round_up(h->units, QC_LANES) * stride);
    qc_gemm_prepare(&g, NULL);
    for (r.first_row = 0; r.first_row < rows; r.first_row += most) {
        const int64_t count = rows - r.first_row < most ? rows - r.first_row : most;
        for (int64_t i = 0; i < count; ++i) {
            const float *x = input + (r.first_row + i) * row_step;
            for (int64_t k = 0; element_step != 1 && k < h->depth; ++k) floats[k] = x[k * element_step];
            if (element_step != 1) x = floats;
            int8_t *row = (int8_t *)(scratch + i * stride);
            r.q[i] = h->xnnpack ? qc_quantize_xnnpack_avx2(h->isa->hybrid, x, h->depth, row)
                                : qc_hybrid_quantize(h->isa->hybrid, h->asymmetric, x, h->depth, row);
            if (flip != 0) qc_copy_flipped((uint8_t *)row, (const uint8_t *)row, h->depth, flip);
        }
        qc_gemm_run(&g, scratch, (int32_t)count, 0, store, &r);
    }
}
