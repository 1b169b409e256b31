/* Products of 8-bit matrices with exact int32 sums: what the vector versions of CONV_2D and FULLY_CONNECTED
 * share.
 *
 * Rows of activations are copied to a panel of bytes; the filter is laid out as in pack_filter.h. An
 * instruction set multiplies panel and filter into a tile of accumulators, and a store function turns a row
 * of it into outputs. Panels hold bytes of the signedness that the instruction set multiplies, so elements
 * may be flipped (x ^ 0x80, which adds or subtracts 128); the offsets account for that:
 *
 *   sum (x + input_offset) * (w + filter_offset)
 *     = sum p * f  +  input_shift * sum f  +  filter_shift * (sum p + depth * input_shift)
 *
 * where p = x + input_offset - input_shift and f = w + filter_offset - filter_shift are what is stored. */
#ifndef QUANTCORE_X86_GEMM_H
#define QUANTCORE_X86_GEMM_H

#include <stdint.h>

#include "quantcore/hybrid.h"
#include "quantcore/pack_filter.h"
#include "product.h"
#include "quantcore/requantize.h"

/* Most rows and units of one tile. */
enum { QC_TILE_ROWS = 6, QC_TILE_UNITS = 64 };

/* What differs between the forms of an operator: from accumulators of units [first, first + count) of
 * row `row` to outputs. */
typedef void (*qc_store)(const void *context, const int32_t *acc, int64_t row, int32_t first,
                         int32_t count);

/* How sums of a hybrid CONV_2D become floats: clamp((sum * filter_scale[i]) * scale + bias[i]), or, where filter_scale is
 * NULL, clamp((0 + sum * scale) + bias[i]). */
typedef struct {
    const float *filter_scale;
    const float *bias;
    float scale, low, high;
} qc_hybrid_output;

/* How the sums of a row of a hybrid FULLY_CONNECTED become floats: bias[i] + sum * (scale * filter_scale[i]), then
 * qc_fully_connected_activate if is_bounded. bias may be NULL. */
typedef struct {
    const float *filter_scale; /* [units] if per_channel, else [1] */
    const float *bias;
    int32_t per_channel;
    int32_t is_bounded;
    float scale, low, high;
} qc_hybrid_row;

typedef struct {
    uint8_t is_signed; /* whether panels hold int8 (else uint8) */
    int32_t tile_rows; /* at most QC_TILE_ROWS */

    /* acc[row * QC_TILE_UNITS + unit] = start[unit] + sum of products, for rows <= tile_rows and blocks
     * of 16 units, at most 4. filter: the first block, the next is 64 * quads bytes on. */
    void (*tile)(const uint8_t *panel, int64_t stride, int32_t rows, const int8_t *filter, int64_t quads,
                 int32_t blocks, const int32_t *start, int32_t *acc);

    /* output[i] = requantized acc[i] of channel first + i, as the low byte. */
    void (*requantize)(const qc_requant *r, const int32_t *acc, int32_t first, int32_t count,
                       uint8_t *output);

    const qc_product_isa *product; /* with requantization in registers */

    /* The float sides of the hybrid forms. */
    const qc_hybrid_loops *hybrid;
    void (*hybrid_outputs)(const qc_hybrid_output *h, const int32_t *acc, int32_t count, float *output);

    /* The outputs of one row of int8 of a hybrid FULLY_CONNECTED, or NULL. x has no filter_shift. */
    void (*hybrid_row)(const qc_product_input *x, const int8_t *filter, int32_t units, const qc_hybrid_row *h,
                       const int8_t *input, float *output);
} qc_gemm_isa;

extern const qc_gemm_isa qc_gemm_avx2;
extern const qc_gemm_isa qc_gemm_vnni;
extern const qc_gemm_isa qc_gemm_amx; /* that of VNNI where there is no product with requantization */

extern const qc_hybrid_loops qc_hybrid_avx2, qc_hybrid_avx512;
void qc_hybrid_outputs_avx2(const qc_hybrid_output *h, const int32_t *acc, int32_t count, float *output);
void qc_hybrid_outputs_avx512(const qc_hybrid_output *h, const int32_t *acc, int32_t count, float *output);

void qc_hybrid_row_vnni(const qc_product_input *x, const int8_t *filter, int32_t units, const qc_hybrid_row *h,
                        const int8_t *input, float *output);

/* A matrix product for one group of output channels. */
typedef struct {
    const qc_gemm_isa *isa;
    const int8_t *packed;
    int32_t units;
    int64_t depth;
    int32_t input_shift;
    int32_t filter_shift;
    int32_t *start; /* memory for [units rounded up to 16] */
} qc_gemm;

/* How elements are flipped to become bytes of the panel (0 or 0x80), and the offset that remains. */
static inline uint8_t qc_panel_flip(const qc_gemm_isa *isa, int input_is_signed, int32_t input_offset,
                                    int32_t *input_shift) {
    if (isa->is_signed == input_is_signed) {
        *input_shift = input_offset;
        return 0;
    }
    *input_shift = input_is_signed ? input_offset - 128 : input_offset + 128;
    return 0x80;
}

/* Fill g->start: bias + input_shift * sum f. bias may be NULL. */
void qc_gemm_prepare(const qc_gemm *g, const int32_t *bias);

/* Multiply `rows` rows of a panel, whose distance is qc_round_up(depth, 4) bytes, and store them. */
void qc_gemm_run(const qc_gemm *g, const uint8_t *panel, int32_t rows, int64_t first_row, qc_store store,
                 const void *context);

/* Outputs of a quantized operator: row r begins at output + r * row_size, and unit u of the group is channel
 * first_channel + u. */
typedef struct {
    const qc_gemm_isa *isa;
    const qc_requant *requant;
    uint8_t *output;
    int64_t row_size;
    int32_t first_channel;
} qc_requant_store;

/* The qc_store of a qc_requant_store. */
void qc_store_requantized(const void *context, const int32_t *acc, int64_t row, int32_t first,
                          int32_t count);

/* Whether the vector forms of the requantization know the rules of r. */
static inline int qc_has_vector_rules(const qc_requant *r) {
    const unsigned known = 1u << QC_DOUBLE_ROUNDING | 1u << QC_RUY | 1u << QC_FLOAT64 | 1u << QC_FLOAT32;
    return (known >> r->rounding & 1) && (r->body == INT32_MAX || (known >> r->tail & 1));
}

/* Cut `size` bytes, aligned to 64, off the scratch memory. */
void *qc_take(uint8_t **scratch, int64_t size);

/* The filter laid out: `packed` if it is not NULL, else made now in scratch memory. */
const int8_t *qc_packed_filter(const void *packed, const qc_pack_filter_params *p, int is_signed,
                               const uint8_t *filter, uint8_t **scratch);

/* Copy `count` bytes, flipped. */
void qc_copy_flipped(uint8_t *to, const uint8_t *from, int64_t count, uint8_t flip);

/* The kernels qc_<op>_s8 and _u8 with the instructions ISA, of the function <op>_bytes. */
#define QC_BYTE_VERSIONS(op, P, ISA)                                                                           \
    qc_status qc_##op##_s8_##ISA(const P *p, const int8_t *input, const int8_t *filter, const int32_t *bias,   \
                                 int8_t *output, void *scratch) {                                              \
        return op##_bytes(&qc_gemm_##ISA, 1, p, (const uint8_t *)input, (const uint8_t *)filter, bias,         \
                          (uint8_t *)output, scratch);                                                         \
    }                                                                                                          \
    qc_status qc_##op##_u8_##ISA(const P *p, const uint8_t *input, const uint8_t *filter, const int32_t *bias, \
                                 uint8_t *output, void *scratch) {                                             \
        return op##_bytes(&qc_gemm_##ISA, 0, p, input, filter, bias, output, scratch);                         \
    }

/* These and qc_<op>_hybrid, of <op>_hybrid. */
#define QC_PRODUCT_VERSIONS(op, P, HybridP, ISA)                                                               \
    QC_BYTE_VERSIONS(op, P, ISA)                                                                               \
    qc_status qc_##op##_hybrid_##ISA(const HybridP *p, const float *input, const int8_t *filter,               \
                                     const float *bias, float *output, void *scratch) {                        \
        return op##_hybrid(&qc_gemm_##ISA, p, input, filter, bias, output, scratch);                           \
    }

#endif
