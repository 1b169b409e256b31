/* FULLY_CONNECTED, quantized and hybrid, on 8-bit matrix products. */
#include <math.h>
#include <stddef.h>

#include "../kernels.h"
#include "gemm.h"
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
    float scale; /* of the quantized row */
    const float *bias;
    float *output;
} hybrid_store;

/* The arithmetic of qc_fully_connected_hybrid_ref, without activation. */
static void store_hybrid(const void *context, const int32_t *acc, int64_t row, int32_t first,
                         int32_t count) {
    const hybrid_store *h = context;
    float *output = h->output + row * h->p->units + first;
    for (int32_t i = 0; i < count; ++i) {
        const float scale = h->scale * h->p->filter_scale[h->p->per_channel ? first + i : 0];
        output[i] = (h->bias != NULL ? h->bias[first + i] : 0.0f) + (float)acc[i] * scale;
    }
}

/* qc_fully_connected_hybrid with the instructions of `isa`. */
static qc_status fully_connected_hybrid(const qc_gemm_isa *isa, const qc_fully_connected_hybrid_params *p,
                                        const float *input, const int8_t *filter, const float *bias,
                                        float *output, void *scratch) {
    /* These two are rare: the definition computes them. */
    if (p->sign_overflow || qc_hybrid_all_zero(input, (int64_t)p->batches * p->depth))
        return qc_fully_connected_hybrid_ref(p, input, filter, bias, output, scratch);
    const qc_pack_filter_params pack = {1, p->units, p->depth};
    uint8_t *memory = scratch;
    qc_gemm g = {.isa = isa, .units = p->units, .depth = p->depth};
    g.packed = qc_packed_filter(p->packed, &pack, 1, (const uint8_t *)filter, &memory);
    g.start = qc_take(&memory, qc_round_up(p->units, QC_LANES) * (int64_t)sizeof(int32_t));
    int8_t *row = qc_take(&memory, p->depth);
    for (int32_t b = 0; b < p->batches; ++b) {
        const float *x = input + (int64_t)b * p->depth;
        const qc_hybrid_scale q = qc_hybrid_quantize(isa->hybrid, p->asymmetric, x, p->depth, row);
        const hybrid_store store = {p, q.scale, bias, output};
        const uint8_t flip = qc_panel_flip(isa, 1, -q.zero_point, &g.input_shift);
        qc_copy_flipped(memory, (const uint8_t *)row, p->depth, flip);
        qc_gemm_prepare(&g, NULL);
        qc_gemm_run(&g, memory, 1, b, store_hybrid, &store);
    }
    if (isinf(p->activation_min)) return QC_OK;
    const int64_t count = (int64_t)p->batches * p->units;
    for (int64_t i = 0; i < count; ++i) output[i] = qc_fully_connected_activate(p, output[i]);
    return QC_OK;
}

QC_PRODUCT_VERSIONS(fully_connected, qc_fully_connected_params, qc_fully_connected_hybrid_params, avx2)
QC_PRODUCT_VERSIONS(fully_connected, qc_fully_connected_params, qc_fully_connected_hybrid_params, vnni)
QC_BYTE_VERSIONS(fully_connected, qc_fully_connected_params, amx)
