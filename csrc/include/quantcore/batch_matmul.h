/* BATCH_MATMUL: products of matrices, [batch..., rows, depth] times [batch..., depth, columns], whose batch
 * dimensions broadcast. Either operand may be stored transposed: the strides say where elements lie.
 *
 * Source of the rules: TFLite kernels/batch_matmul.cc, kernels/internal/reference/batch_matmul.h. */
#ifndef QUANTCORE_BATCH_MATMUL_H
#define QUANTCORE_BATCH_MATMUL_H

#include <stdint.h>

#include "quantcore/fully_connected.h"
#include "quantcore/hybrid.h"
#include "quantcore/pack_filter.h"
#include "quantcore/requantize.h"
#include "quantcore/status.h"

enum { QC_MATMUL_BATCH_RANK = 3 };

/* batch: batch dimensions of the output, innermost last; 1 where there are fewer. lhs_batch, rhs_batch: distance
 * in elements between neighbours along them, 0 where the operand repeats. The other strides are within a matrix,
 * in elements: element (i, k) of the left one is at i * lhs_row + k * lhs_depth. */
typedef struct {
    int32_t batch[QC_MATMUL_BATCH_RANK];
    int64_t lhs_batch[QC_MATMUL_BATCH_RANK];
    int64_t rhs_batch[QC_MATMUL_BATCH_RANK];
    int32_t rows, columns, depth;
    int64_t lhs_row, lhs_depth;
    int64_t rhs_column, rhs_depth;
} qc_matmul_shape;

/* Quantized: with a = lhs + lhs_offset, b = rhs + rhs_offset,
 *
 *   output = requant(sum a * b)     int8: the sum in int32, wrapping; int16: in int64, by QC_INT16_MULTIPLIER
 *
 * s8_s32 stores the sum of int8 products itself (offsets and requant are not looked at). requant has one
 * multiplier, and its rule is that of channel 0. scratch: qc_matmul_scratch_size bytes. */
typedef struct {
    qc_matmul_shape shape;
    int32_t lhs_offset;
    int32_t rhs_offset;
    qc_requant requant;
} qc_matmul_params;

/* Bytes of a right matrix laid out for the vector versions; item: of an element. */
static inline int64_t qc_matmul_packed_size(const qc_matmul_shape *s, int64_t item) {
    const int64_t padded = qc_round_up(s->columns, QC_LANES);
    return padded * qc_round_up(s->depth * item, QC_QUAD) + padded * (int64_t)sizeof(int32_t);
}

/* Bytes of scratch that the vector versions need: the right matrix laid out, the left one with its rows next to each
 * other, and what products of int8 need. */
static inline int64_t qc_matmul_scratch_size(const qc_matmul_shape *s, int64_t item) {
    const int64_t left = s->lhs_depth == 1 ? 0 : s->rows * s->depth * item;
    const int64_t product = item == 1 && s->depth > 0 ? qc_fully_connected_scratch_size(s->columns, s->depth, 1) : 0;
    return qc_round_up(qc_matmul_packed_size(s, item), 64) + qc_round_up(left, 64) + product;
}

qc_status qc_batch_matmul_s8_ref(const qc_matmul_params *, const int8_t *, const int8_t *, int8_t *, void *);
qc_status qc_batch_matmul_s16_ref(const qc_matmul_params *, const int16_t *, const int16_t *, int16_t *, void *);
qc_status qc_batch_matmul_s8_s32_ref(const qc_matmul_params *, const int8_t *, const int8_t *, int32_t *, void *);

/* float32: the sum starts at 0 and adds one rounded product at a time. scratch: qc_matmul_scratch_size bytes. */
qc_status qc_batch_matmul_f32_ref(const qc_matmul_params *, const float *, const float *, float *, void *scratch);

/* Hybrid: float32 times int8 weights. Every row of the left operand is quantized on the fly (see hybrid.h), and
 *
 *   total  = sum q * w, then int(float(total) - float(sum w) * zero_point)     where asymmetric
 *   output = 0 + f32(s * total),  s = row scale * weight_scale[0], or weight_scale[column]
 *
 * The scale and zero point of row i of batch (b0, b1, b2) are those of row i of the matrix number b0 + b1 + b2 of
 * the left operand, counting only batch dimensions that it has: right for one batch dimension; with more TFLite
 * takes the wrong ones, and so does this.
 * weight_scales: 1 or columns. scratch: qc_matmul_hybrid_scratch_size bytes. */
typedef struct {
    qc_matmul_shape shape;
    int32_t asymmetric;
    int32_t weight_scales;
    const float *weight_scale;
} qc_matmul_hybrid_params;

/* Number of matrices of the left operand. */
static inline int64_t qc_matmul_lhs_matrices(const qc_matmul_shape *s) {
    int64_t count = 1;
    for (int d = 0; d < QC_MATMUL_BATCH_RANK; ++d)
        if (s->lhs_batch[d] != 0) count *= s->batch[d];
    return count;
}

/* Bytes of scratch: the scales of all rows, one as floats and quantized; or, in the vector versions, the right matrix
 * laid out, a row, and what products of int8 need. */
static inline int64_t qc_matmul_hybrid_scratch_size(const qc_matmul_shape *s) {
    const int64_t rows = qc_matmul_lhs_matrices(s) * s->rows;
    const int64_t definition = rows * (int64_t)sizeof(qc_hybrid_scale) + s->depth * (int64_t)(sizeof(float) + 1);
    if (s->depth < 1) return definition;
    const int64_t version = qc_round_up(qc_matmul_packed_size(s, 1), 64) +
                            qc_round_up(s->depth * (int64_t)sizeof(float), 64) +
                            qc_fully_connected_scratch_size(s->columns, s->depth, 1);
    return definition > version ? definition : version;
}

qc_status qc_batch_matmul_hybrid_ref(const qc_matmul_hybrid_params *, const float *lhs, const int8_t *rhs,
                                     float *output, void *scratch);

/* As XNNPACK computes it (hybrid_xnnpack.h): every row quantized by qc_xnnpack_quantize, whatever `asymmetric`. */
qc_status qc_batch_matmul_hybrid_fma_ref(const qc_matmul_hybrid_params *params, const float *lhs, const int8_t *rhs,
                                         float *output, void *scratch);

#endif
