/* FULLY_CONNECTED, quantized and hybrid, on 8-bit matrix products. */
#include <math.h>
#include <stddef.h>

#include "../kernels.h"
#include "gemm.h"
#include "hybrid_rows.h"
#include "product.h"

/* qc_fully_connected_s8 or _u8 with a packed filter and a prepared requantization. */
static void multiply(const qc_product_isa *isa, int is_signed, const qc_fully_connected_params *p,
                     const uint8_t *input, const int32_t *bias, uint8_t *output, uint8_t *scratch) {
    const qc_product_input x =
        qc_make_product_input(isa, is_signed, p->input_offset, p->filter_offset, p->depth);
    if (p->batches == 1 && isa->one_row != NULL) {
        isa->one_row(&x, p->packed, p->units, bias, &p->requant, input, output);
        return;
    }
    const int64_t stride = qc_round_up(p->depth, QC_QUAD), offsets[2] = {0, 0};
    int32_t *start = qc_take(&scratch, qc_round_up(p->units, QC_LANES) * (int64_t)sizeof(int32_t));
    qc_product_start(&x, p->packed, stride, p->units, qc_has_flipped_start(isa, &p->requant), bias, start);
    const qc_product product = {.filter = p->packed,
                                .start = start,
                                .offsets = offsets,
                                .runs = 1,
                                .quads = stride / QC_QUAD,
                                .units = p->units,
                                .requant = &p->requant,
                                .blocks = p->requant.blocks};
    qc_product_matrix(isa, &x, &product, input, p->batches, scratch, output, p->units);
}

/* qc_fully_connected_s8 or _u8 with the instructions of `isa`. */
static qc_status fully_connected_bytes(const qc_gemm_isa *isa, int is_signed,
                                       const qc_fully_connected_params *p, const uint8_t *input,
                                       const uint8_t *filter, const int32_t *bias, uint8_t *output,
                                       void *scratch) {
    if (p->packed != NULL && p->requant.form != QC_UNPREPARED) {
        multiply(isa->product, is_signed, p, input, bias, output, scratch);
        return QC_OK;
    }
    const qc_pack_filter_params pack = {1, p->units, p->depth};
    const int64_t stride = qc_round_up(p->depth, QC_QUAD);
    const int64_t most = qc_panel_rows(stride);
    uint8_t *memory = scratch;
    qc_gemm g = {.isa = isa, .units = p->units, .depth = p->depth};
    g.packed = qc_packed_filter(p->packed, &pack, is_signed, filter, &memory);
    g.filter_shift = p->filter_offset + (is_signed ? 0 : 128);
    g.start = qc_take(&memory, qc_round_up(p->units, QC_LANES) * (int64_t)sizeof(int32_t));
    const uint8_t flip = qc_panel_flip(isa, is_signed, p->input_offset, &g.input_shift);
    const qc_requant_store store = {isa, &p->requant, output, p->units, 0};
    qc_gemm_prepare(&g, bias);
    for (int64_t first = 0; first < p->batches; first += most) {
        const int64_t rows = p->batches - first < most ? p->batches - first : most;
        for (int64_t r = 0; r < rows; ++r)
            qc_copy_flipped(memory + r * stride, input + (first + r) * p->depth, p->depth, flip);
        qc_gemm_run(&g, memory, (int32_t)rows, first, qc_store_requantized, &store);
    }
    return QC_OK;
}

typedef struct {
    const qc_fully_connected_hybrid_params *p;
    const float *bias;
    float *output;
} hybrid_outputs;

/* The arithmetic of qc_fully_connected_hybrid_ref. */
__attribute__((target("avx2"))) static void finish_hybrid(const void *context, qc_hybrid_scale q, const int32_t *acc,
                                                          const int32_t *columns, int64_t row, int32_t first,
                                                          int32_t count) {
    const hybrid_outputs *h = context;
    const qc_fully_connected_hybrid_params p = *h->p;
    float *restrict output = h->output + row * p.units + first;
    int32_t sums[QC_TILE_UNITS];
    qc_take_out_zero_point(q, acc, columns, count, sums);
    for (int32_t i = 0; i < count; ++i) {
        const float scale = q.scale * p.filter_scale[p.per_channel ? first + i : 0];
        output[i] = (h->bias != NULL ? h->bias[first + i] : 0.0f) + (float)sums[i] * scale;
    }
    if (isinf(p.activation_min)) return;
    for (int32_t i = 0; i < count; ++i) output[i] = qc_fully_connected_activate(&p, output[i]);
}

/* That of qc_fully_connected_hybrid_fma_ref. */
__attribute__((target("avx2"))) static void finish_hybrid_fma(const void *context, qc_hybrid_scale q,
                                                              const int32_t *acc, const int32_t *columns, int64_t row,
                                                              int32_t first, int32_t count) {
    const hybrid_outputs *h = context;
    const qc_fully_connected_hybrid_params *p = h->p;
    int32_t sums[QC_TILE_UNITS];
    float *output = h->output + row * p->units + first;
    qc_take_out_zero_point(q, acc, columns, count, sums);
    qc_xnnpack_outputs_avx2(q, p->filter_scale + (p->per_channel ? first : 0), p->per_channel,
                            h->bias != NULL ? h->bias + first : NULL, sums, count, output);
    const float low = p->activation_min, high = p->activation_max;
    for (int32_t i = 0; i < count; ++i) output[i] = qc_clamp_f32(output[i], low, high);
}

static void multiply_hybrid(const qc_gemm_isa *isa, int fma, const qc_fully_connected_hybrid_params *p,
                            const float *input, const int8_t *filter, const float *bias, float *output, void *scratch) {
    const qc_pack_filter_params pack = {1, p->units, p->depth};
    const hybrid_outputs outputs = {p, bias, output};
    uint8_t *memory = scratch;
    const qc_hybrid_rows rows = {
        .isa = isa,
        .packed = qc_packed_filter(p->packed, &pack, 1, (const uint8_t *)filter, &memory),
        .units = p->units,
        .depth = p->depth,
        .xnnpack = fma,
        .asymmetric = p->asymmetric,
        .finish = fma ? finish_hybrid_fma : finish_hybrid,
        .context = &outputs,
    };
    qc_multiply_hybrid_rows(&rows, input, p->depth, 1, p->batches, NULL, memory);
}

/* The hybrid form of a single row. */
static void multiply_hybrid_row(const qc_gemm_isa *isa, const qc_fully_connected_hybrid_params *p, const float *input,
                                const int8_t *filter, const float *bias, float *output, void *scratch) {
    const qc_pack_filter_params pack = {1, p->units, p->depth};
    uint8_t *memory = scratch;
    const int8_t *packed = qc_packed_filter(p->packed, &pack, 1, (const uint8_t *)filter, &memory);
    int8_t *row = (int8_t *)memory;
    const qc_hybrid_scale q = qc_hybrid_quantize(isa->hybrid, p->asymmetric, input, p->depth, row);
    const qc_product_input x = qc_make_product_input(isa->product, 1, -q.zero_point, 0, p->depth);
    const int is_bounded = !isinf(p->activation_min);
    const qc_hybrid_row h = {p->filter_scale, bias, p->per_channel, is_bounded, q.scale, p->activation_min,
                             p->activation_max};
    isa->hybrid_row(&x, packed, p->units, &h, row, output);
}

/* qc_fully_connected_hybrid with the instructions of `isa`. */
static qc_status fully_connected_hybrid(const qc_gemm_isa *isa, const qc_fully_connected_hybrid_params *p,
                                        const float *input, const int8_t *filter, const float *bias,
                                        float *output, void *scratch) {
    /* These two are rare: the definition computes them. */
    if (p->sign_overflow || qc_hybrid_all_zero(input, (int64_t)p->batches * p->depth))
        return qc_fully_connected_hybrid_ref(p, input, filter, bias, output, scratch);
    if (p->batches == 1 && isa->hybrid_row != NULL)
        multiply_hybrid_row(isa, p, input, filter, bias, output, scratch);
    else
        multiply_hybrid(isa, 0, p, input, filter, bias, output, scratch);
    return QC_OK;
}

#define HYBRID_FMA_VERSION(ISA)                                                                             \
    qc_status qc_fully_connected_hybrid_fma_##ISA(const qc_fully_connected_hybrid_params *p, const float *input, \
                                                  const int8_t *filter, const float *bias, float *output,   \
                                                  void *scratch) {                                          \
        multiply_hybrid(&qc_gemm_##ISA, 1, p, input, filter, bias, output, scratch);                        \
        return QC_OK;                                                                                       \
    }
HYBRID_FMA_VERSION(avx2)
HYBRID_FMA_VERSION(vnni)

QC_PRODUCT_VERSIONS(fully_connected, qc_fully_connected_params, qc_fully_connected_hybrid_params, avx2)
QC_PRODUCT_VERSIONS(fully_connected, qc_fully_connected_params, qc_fully_connected_hybrid_params, vnni)
QC_BYTE_VERSIONS(fully_connected, qc_fully_connected_params, amx)
