/* BATCH_MATMUL on the products of FULLY_CONNECTED: right matrices are laid out as filters, by each call. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "../kernels.h"
#include "gemm.h"
#include "hybrid_rows.h"
#include "matmul_s16.h"
#include "pack_matrix.h"

/* One product of matrices: left is [rows][depth], right laid out; scratch of qc_fully_connected_scratch_size. */
typedef void matrix_product(const qc_matmul_params *p, const void *left, const void *packed, void *output,
                            void *scratch);

/* Where the matrices of batch number `b` begin, in elements. */
static int64_t batch_offset(const qc_matmul_shape *s, const int64_t *strides, int64_t b) {
    const int64_t b2 = b % s->batch[2], b1 = b / s->batch[2] % s->batch[1], b0 = b / s->batch[2] / s->batch[1];
    return b0 * strides[0] + b1 * strides[1] + b2 * strides[2];
}

/* The right matrix as a filter; with the sums of its columns behind it, of int8. */
static void pack_right(const qc_matmul_shape *s, const uint8_t *right, int64_t item, uint8_t *packed) {
    const int64_t size = qc_round_up(s->depth * item, QC_QUAD) * qc_round_up(s->columns, QC_LANES);
    int32_t *sums = item == 1 ? (int32_t *)(void *)(packed + size) : NULL;
    if (s->rhs_depth == 1)
        qc_pack_units(right, s->columns, s->depth * item, packed, sums);
    else
        qc_pack_depths(right, s->columns, s->depth, item, packed, sums);
}

/* The left matrix with rows that follow each other. */
static const uint8_t *left_rows(const qc_matmul_shape *s, const uint8_t *left, int64_t item, uint8_t *memory) {
    if (s->lhs_depth == 1) return left;
    qc_transpose_matrix(left, s->depth, s->rows, s->lhs_depth * item, item, memory, s->depth * item);
    return memory;
}

/* Every batch; items: bytes of an element of the operands and of the output. */
static void multiply_batches(const qc_matmul_params *p, const void *lhs, const void *rhs, void *output, int64_t item,
                             int64_t output_item, matrix_product *product, void *scratch) {
    const qc_matmul_shape *s = &p->shape;
    const int64_t batches = (int64_t)s->batch[0] * s->batch[1] * s->batch[2];
    const int64_t size = (int64_t)s->rows * s->columns * output_item;
    uint8_t *memory = scratch;
    uint8_t *packed = qc_take(&memory, qc_matmul_packed_size(s, item));
    uint8_t *transposed = qc_take(&memory, s->lhs_depth == 1 ? 0 : s->rows * s->depth * item);
    for (int64_t b = 0; b < batches; ++b) {
        const int64_t right = batch_offset(s, s->rhs_batch, b), left = batch_offset(s, s->lhs_batch, b);
        if (b == 0 || right != batch_offset(s, s->rhs_batch, b - 1))
            pack_right(s, (const uint8_t *)rhs + right * item, item, packed);
        const uint8_t *rows = left_rows(s, (const uint8_t *)lhs + left * item, item, transposed);
        product(p, rows, packed, (uint8_t *)output + b * size, memory);
    }
}

static int is_empty(const qc_matmul_shape *s) {
    return s->depth < 1 || s->rows < 1 || s->columns < 1;
}

/* int8 with requantization, by qc_fully_connected_s8. */
#define BYTES_VERSION(ISA)                                                                                             \
    static void bytes_##ISA(const qc_matmul_params *p, const void *left, const void *packed, void *output,             \
                            void *scratch) {                                                                           \
        const qc_fully_connected_params as_filter = {.batches = p->shape.rows,                                         \
                                                     .depth = p->shape.depth,                                          \
                                                     .units = p->shape.columns,                                        \
                                                     .input_offset = p->lhs_offset,                                    \
                                                     .filter_offset = p->rhs_offset,                                   \
                                                     .requant = p->requant,                                            \
                                                     .packed = packed};                                                \
        qc_fully_connected_s8_##ISA(&as_filter, left, NULL, NULL, output, scratch);                                    \
    }                                                                                                                  \
    qc_status qc_batch_matmul_s8_##ISA(const qc_matmul_params *p, const int8_t *lhs, const int8_t *rhs,                \
                                       int8_t *output, void *scratch) {                                                \
        if (is_empty(&p->shape) || p->requant.body != INT32_MAX)                                                       \
            return qc_batch_matmul_s8_ref(p, lhs, rhs, output, scratch);                                               \
        multiply_batches(p, lhs, rhs, output, 1, 1, bytes_##ISA, scratch);                                             \
        return QC_OK;                                                                                                  \
    }

/* Where the sums of int8 go as they are. */
typedef struct {
    int32_t *output;
    int64_t row_size;
} sums_store;

static void store_sums(const void *context, const int32_t *acc, int64_t row, int32_t first, int32_t count) {
    const sums_store *to = context;
    memcpy(to->output + row * to->row_size + first, acc, (size_t)count * sizeof *acc);
}

static void multiply_sums(const qc_gemm_isa *isa, const qc_matmul_shape *s, const uint8_t *left, const int8_t *packed,
                          int32_t *output, uint8_t *memory) {
    qc_gemm g = {.isa = isa, .packed = packed, .units = s->columns, .depth = s->depth};
    const sums_store to = {output, s->columns};
    const int64_t stride = qc_round_up(s->depth, QC_QUAD), most = qc_panel_rows(stride);
    g.start = qc_take(&memory, qc_round_up(s->columns, QC_LANES) * (int64_t)sizeof(int32_t));
    const uint8_t flip = qc_panel_flip(isa, 1, 0, &g.input_shift);
    qc_gemm_prepare(&g, NULL);
    for (int64_t first = 0; first < s->rows; first += most) {
        const int64_t rows = s->rows - first < most ? s->rows - first : most;
        for (int64_t r = 0; r < rows; ++r)
            qc_copy_flipped(memory + r * stride, left + (first + r) * s->depth, s->depth, flip);
        qc_gemm_run(&g, memory, (int32_t)rows, first, store_sums, &to);
    }
}

#define SUMS_VERSION(ISA)                                                                                              \
    static void sums_##ISA(const qc_matmul_params *p, const void *left, const void *packed, void *output,              \
                           void *scratch) {                                                                            \
        multiply_sums(&qc_gemm_##ISA, &p->shape, left, packed, output, scratch);                                       \
    }                                                                                                                  \
    qc_status qc_batch_matmul_s8_s32_##ISA(const qc_matmul_params *p, const int8_t *lhs, const int8_t *rhs,            \
                                           int32_t *output, void *scratch) {                                           \
        if (is_empty(&p->shape)) return qc_batch_matmul_s8_s32_ref(p, lhs, rhs, output, scratch);                      \
        multiply_batches(p, lhs, rhs, output, 1, (int64_t)sizeof(int32_t), sums_##ISA, scratch);                       \
        return QC_OK;                                                                                                  \
    }

#define WORDS_VERSION(ISA)                                                                                             \
    static void words_##ISA(const qc_matmul_params *p, const void *left, const void *packed, void *output,             \
                            void *scratch) {                                                                           \
        (void)scratch;                                                                                                 \
        qc_multiply_s16(qc_tile_s16_##ISA, &p->shape, &p->requant, left, packed, output);                              \
    }                                                                                                                  \
    qc_status qc_batch_matmul_s16_##ISA(const qc_matmul_params *p, const int16_t *lhs, const int16_t *rhs,             \
                                        int16_t *output, void *scratch) {                                              \
        if (is_empty(&p->shape)) return qc_batch_matmul_s16_ref(p, lhs, rhs, output, scratch);                         \
        multiply_batches(p, lhs, rhs, output, 2, 2, words_##ISA, scratch);                                             \
        return QC_OK;                                                                                                  \
    }

#define FLOAT_VERSION(ISA)                                                                                             \
    static void floats_##ISA(const qc_matmul_params *p, const void *left, const void *packed, void *output,            \
                             void *scratch) {                                                                          \
        const qc_fully_connected_f32_params as_filter = {                                                              \
            .batches = p->shape.rows, .depth = p->shape.depth, .units = p->shape.columns,                              \
            .activation_min = -INFINITY, .activation_max = INFINITY, .packed = packed};                                \
        qc_fully_connected_f32_##ISA(&as_filter, left, NULL, NULL, output, scratch);                                   \
    }                                                                                                                  \
    qc_status qc_batch_matmul_f32_##ISA(const qc_matmul_params *p, const float *lhs, const float *rhs, float *output,  \
                                        void *scratch) {                                                               \
        if (is_empty(&p->shape)) return qc_batch_matmul_f32_ref(p, lhs, rhs, output, scratch);                         \
        multiply_batches(p, lhs, rhs, output, 4, 4, floats_##ISA, scratch);                                            \
        return QC_OK;                                                                                                  \
    }

/* Outputs of one product of a hybrid call. */
typedef struct {
    const qc_matmul_hybrid_params *p;
    float *output;
} hybrid_outputs;

/* The arithmetic of qc_batch_matmul_hybrid_ref. */
__attribute__((target("avx2"))) static void finish_hybrid(const void *context, qc_hybrid_scale q, const int32_t *acc,
                                                          const int32_t *columns, int64_t row, int32_t first,
                                                          int32_t count) {
    const hybrid_outputs *h = context;
    const float *scales = h->p->weight_scale;
    const int per_column = h->p->weight_scales > 1;
    const float zero_point = (float)q.zero_point;
    float *restrict output = h->output + row * h->p->shape.columns + first;
    for (int32_t i = 0; i < count; ++i) {
        const int32_t total = (int32_t)((float)acc[i] - (float)columns[i] * zero_point);
        output[i] = 0.0f + q.scale * scales[per_column ? first + i : 0] * (float)total;
    }
}

/* That of qc_batch_matmul_hybrid_fma_ref. */
static void finish_hybrid_fma(const void *context, qc_hybrid_scale q, const int32_t *acc, const int32_t *columns,
                              int64_t row, int32_t first, int32_t count) {
    const hybrid_outputs *h = context;
    const int per_column = h->p->weight_scales > 1;
    int32_t sums[QC_TILE_UNITS];
    qc_take_out_zero_point(q, acc, columns, count, sums);
    qc_xnnpack_outputs_avx2(q, h->p->weight_scale + (per_column ? first : 0), per_column, NULL, sums, count,
                            h->output + row * h->p->shape.columns + first);
}

static void multiply_hybrid(const qc_gemm_isa *isa, int fma, const qc_matmul_hybrid_params *p, const float *lhs,
                            const int8_t *rhs, float *output, void *scratch) {
    const qc_matmul_shape *s = &p->shape;
    const int64_t batches = (int64_t)s->batch[0] * s->batch[1] * s->batch[2];
    uint8_t *memory = scratch;
    uint8_t *packed = qc_take(&memory, qc_matmul_packed_size(s, 1));
    float *floats = qc_take(&memory, s->depth * (int64_t)sizeof(float));
    for (int64_t b = 0; b < batches; ++b) {
        const int64_t right = batch_offset(s, s->rhs_batch, b);
        if (b == 0 || right != batch_offset(s, s->rhs_batch, b - 1))
            pack_right(s, (const uint8_t *)rhs + right, 1, packed);
        const hybrid_outputs outputs = {p, output + b * s->rows * s->columns};
        const qc_hybrid_rows rows = {.isa = isa,
                                     .packed = (const int8_t *)packed,
                                     .units = s->columns,
                                     .depth = s->depth,
                                     .xnnpack = fma,
                                     .asymmetric = p->asymmetric,
                                     .finish = fma ? finish_hybrid_fma : finish_hybrid,
                                     .context = &outputs};
        qc_multiply_hybrid_rows(&rows, lhs + batch_offset(s, s->lhs_batch, b), s->lhs_row, s->lhs_depth, s->rows,
                                floats, memory);
    }
}

/* Whether every row has the scale that it was quantized by: see batch_matmul.h. */
static int has_own_scales(const qc_matmul_shape *s) {
    int dimensions = 0;
    for (int d = 0; d < QC_MATMUL_BATCH_RANK; ++d) dimensions += s->lhs_batch[d] != 0 && s->batch[d] > 1;
    return dimensions <= 1;
}

#define HYBRID_VERSION(ISA)                                                                                            \
    qc_status qc_batch_matmul_hybrid_##ISA(const qc_matmul_hybrid_params *p, const float *lhs, const int8_t *rhs,      \
                                           float *output, void *scratch) {                                             \
        if (is_empty(&p->shape) || !has_own_scales(&p->shape))                                                         \
            return qc_batch_matmul_hybrid_ref(p, lhs, rhs, output, scratch);                                           \
        multiply_hybrid(&qc_gemm_##ISA, 0, p, lhs, rhs, output, scratch);                                              \
        return QC_OK;                                                                                                  \
    }                                                                                                                  \
    qc_status qc_batch_matmul_hybrid_fma_##ISA(const qc_matmul_hybrid_params *p, const float *lhs, const int8_t *rhs,  \
                                               float *output, void *scratch) {                                         \
        if (is_empty(&p->shape)) return qc_batch_matmul_hybrid_fma_ref(p, lhs, rhs, output, scratch);                  \
        multiply_hybrid(&qc_gemm_##ISA, 1, p, lhs, rhs, output, scratch);                                              \
        return QC_OK;                                                                                                  \
    }

HYBRID_VERSION(avx2)
HYBRID_VERSION(vnni)
BYTES_VERSION(avx2)
BYTES_VERSION(vnni)
BYTES_VERSION(amx)
SUMS_VERSION(avx2)
SUMS_VERSION(vnni)
WORDS_VERSION(avx2)
WORDS_VERSION(avx512)
FLOAT_VERSION(avx2)
FLOAT_VERSION(avx512)
