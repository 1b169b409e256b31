/* BATCH_MATMUL: the definitions. */
#include "quantcore/batch_matmul.h"

#include "quantcore/hybrid_xnnpack.h"

/* Defines the kernel of operand type T and output type O: `product` is one term of a and b, summed in ACC, `store`
 * makes an output of acc. */
#define MATMUL_KERNEL(name, T, ACC, O, product, store)                                                       \
    static void name##_matrix(const qc_matmul_params *p, const T *lhs, const T *rhs, O *output) {            \
        const qc_matmul_shape *s = &p->shape;                                                                \
        for (int32_t i = 0; i < s->rows; ++i) {                                                              \
            for (int32_t j = 0; j < s->columns; ++j) {                                                       \
                const T *row = lhs + i * s->lhs_row, *column = rhs + j * s->rhs_column;                      \
                ACC acc = 0;                                                                                 \
                for (int32_t k = 0; k < s->depth; ++k) {                                                     \
                    const T a = row[k * s->lhs_depth], b = column[k * s->rhs_depth];                         \
                    acc += (ACC)(product);                                                                   \
                }                                                                                            \
                output[(int64_t)i * s->columns + j] = (O)(store);                                            \
            }                                                                                                \
        }                                                                                                    \
    }                                                                                                        \
    qc_status qc_##name##_ref(const qc_matmul_params *p, const T *lhs, const T *rhs, O *output,              \
                              void *scratch) {                                                               \
        (void)scratch;                                                                                       \
        const qc_matmul_shape *s = &p->shape;                                                                \
        const int64_t size = (int64_t)s->rows * s->columns;                                                  \
        for (int64_t b0 = 0; b0 < s->batch[0]; ++b0)                                                         \
            for (int64_t b1 = 0; b1 < s->batch[1]; ++b1)                                                     \
                for (int64_t b2 = 0; b2 < s->batch[2]; ++b2, output += size)                                 \
                    name##_matrix(p, lhs + BATCH_OFFSET(s->lhs_batch), rhs + BATCH_OFFSET(s->rhs_batch),     \
                                  output);                                                                   \
        return QC_OK;                                                                                        \
    }

#define BATCH_OFFSET(stride) (b0 * (stride)[0] + b1 * (stride)[1] + b2 * (stride)[2])

MATMUL_KERNEL(batch_matmul_s8, int8_t, uint32_t, int8_t, (a + p->lhs_offset) * (b + p->rhs_offset),
              qc_requantize(&p->requant, (int32_t)acc, 0))
MATMUL_KERNEL(batch_matmul_s16, int16_t, int64_t, int16_t, (int64_t)a * b, qc_requantize_wide(&p->requant, acc, 0))
MATMUL_KERNEL(batch_matmul_s8_s32, int8_t, uint32_t, int32_t, a * b, acc)
MATMUL_KERNEL(batch_matmul_f32, float, float, float, a * b, acc)

/* For every row of every matrix of the left operand: scale and zero point. Then a quantized row, and the row's
 * floats next to each other. */
typedef struct {
    qc_hybrid_scale *rows;
    int8_t *quantized;
    float *floats;
} hybrid_memory;

static hybrid_memory divide_scratch(const qc_matmul_shape *s, void *scratch) {
    hybrid_memory m;
    m.rows = (qc_hybrid_scale *)scratch;
    m.floats = (float *)(m.rows + qc_matmul_lhs_matrices(s) * s->rows);
    m.quantized = (int8_t *)(m.floats + s->depth);
    return m;
}

/* Quantizes row i of a matrix into memory.quantized, and returns its scale. */
static qc_hybrid_scale quantize_row(const qc_matmul_hybrid_params *p, const float *matrix, int32_t i,
                                    const hybrid_memory *m) {
    const qc_matmul_shape *s = &p->shape;
    for (int32_t k = 0; k < s->depth; ++k) m->floats[k] = matrix[i * s->lhs_row + k * s->lhs_depth];
    return qc_hybrid_quantize(&qc_hybrid_ref, p->asymmetric, m->floats, s->depth, m->quantized);
}

/* Row i of the product, by the quantized row and the scale `q` that goes with it. */
static void hybrid_row(const qc_matmul_hybrid_params *p, const int8_t *row, const int8_t *rhs, qc_hybrid_scale q,
                       float *output) {
    const qc_matmul_shape *s = &p->shape;
    for (int32_t j = 0; j < s->columns; ++j) {
        int32_t total = 0, weights = 0;
        for (int32_t k = 0; k < s->depth; ++k) {
            const int8_t w = rhs[j * s->rhs_column + k * s->rhs_depth];
            total += row[k] * w;
            weights += w;
        }
        total = (int32_t)((float)total - (float)weights * (float)q.zero_point);
        const float scale = q.scale * p->weight_scale[p->weight_scales > 1 ? j : 0];
        output[j] = 0.0f + scale * (float)total;
    }
}

/* Number of the matrix of the left operand from which TFLite takes the scales of batch (b0, b1, b2). */
static int64_t scale_matrix(const qc_matmul_shape *s, int64_t b0, int64_t b1, int64_t b2) {
    return (s->lhs_batch[0] ? b0 : 0) + (s->lhs_batch[1] ? b1 : 0) + (s->lhs_batch[2] ? b2 : 0);
}

static void find_scales(const qc_matmul_hybrid_params *p, const float *lhs, const hybrid_memory *m) {
    const qc_matmul_shape *s = &p->shape;
    qc_hybrid_scale *next = m->rows;
    for (int64_t b0 = 0; b0 < (s->lhs_batch[0] ? s->batch[0] : 1); ++b0)
        for (int64_t b1 = 0; b1 < (s->lhs_batch[1] ? s->batch[1] : 1); ++b1)
            for (int64_t b2 = 0; b2 < (s->lhs_batch[2] ? s->batch[2] : 1); ++b2)
                for (int32_t i = 0; i < s->rows; ++i)
                    *next++ = quantize_row(p, lhs + BATCH_OFFSET(s->lhs_batch), i, m);
}

qc_status qc_batch_matmul_hybrid_ref(const qc_matmul_hybrid_params *p, const float *lhs, const int8_t *rhs,
                                     float *output, void *scratch) {
    const qc_matmul_shape *s = &p->shape;
    const hybrid_memory m = divide_scratch(s, scratch);
    find_scales(p, lhs, &m);
    for (int64_t b0 = 0; b0 < s->batch[0]; ++b0) {
        for (int64_t b1 = 0; b1 < s->batch[1]; ++b1) {
            for (int64_t b2 = 0; b2 < s->batch[2]; ++b2) {
                const qc_hybrid_scale *scales = m.rows + scale_matrix(s, b0, b1, b2) * s->rows;
                for (int32_t i = 0; i < s->rows; ++i, output += s->columns) {
                    quantize_row(p, lhs + BATCH_OFFSET(s->lhs_batch), i, &m);
                    hybrid_row(p, m.quantized, rhs + BATCH_OFFSET(s->rhs_batch), scales[i], output);
                }
            }
        }
    }
    return QC_OK;
}

/* One matrix as XNNPACK multiplies it. */
static void fma_matrix(const qc_matmul_hybrid_params *p, const float *lhs, const int8_t *rhs, const hybrid_memory *m,
                       float *output) {
    const qc_matmul_shape *s = &p->shape;
    for (int32_t i = 0; i < s->rows; ++i) {
        for (int32_t k = 0; k < s->depth; ++k) m->floats[k] = lhs[i * s->lhs_row + k * s->lhs_depth];
        const qc_xnnpack_scale q = qc_xnnpack_quantize(m->floats, s->depth, m->quantized);
        for (int32_t j = 0; j < s->columns; ++j) {
            uint32_t sum = 0;
            for (int32_t k = 0; k < s->depth; ++k)
                sum += (uint32_t)((m->quantized[k] - q.zero_point) * rhs[j * s->rhs_column + k * s->rhs_depth]);
            const float scale = p->weight_scale[p->weight_scales > 1 ? j : 0];
            *output++ = qc_xnnpack_output((int32_t)sum, q, scale, 0.0f);
        }
    }
}

qc_status qc_batch_matmul_hybrid_fma_ref(const qc_matmul_hybrid_params *p, const float *lhs, const int8_t *rhs,
                                         float *output, void *scratch) {
    const qc_matmul_shape *s = &p->shape;
    const hybrid_memory m = divide_scratch(s, scratch);
    const int64_t size = (int64_t)s->rows * s->columns;
    for (int64_t b0 = 0; b0 < s->batch[0]; ++b0)
        for (int64_t b1 = 0; b1 < s->batch[1]; ++b1)
            for (int64_t b2 = 0; b2 < s->batch[2]; ++b2, output += size)
                fma_matrix(p, lhs + BATCH_OFFSET(s->lhs_batch), rhs + BATCH_OFFSET(s->rhs_batch), &m, output);
    return QC_OK;
}
