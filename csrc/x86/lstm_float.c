/* UNIDIRECTIONAL_SEQUENCE_LSTM on float32: sums of all gates at once, then 8 cells at a time. */
#include "quantcore/lstm_float.h"

#include <float.h>
#include <stddef.h>
#include <string.h>

#include "../kernels.h"
#include "eigen_functions_avx2.h"
#include "gemm.h"
#include "quantcore/eigen_product.h"
#include "rows.h"

#define QC_AVX2 __attribute__((target("avx2"))) static
#define QC_AVX2_INLINE QC_AVX2 inline __attribute__((always_inline))

enum { CELLS = 8 };

/* Products of an instruction set: of float weights, and of int8 ones. */
typedef struct {
    const qc_float_rows_isa *real;
    const qc_rows_isa *bytes;
} products;

/* The weights of one operand of all gates, or of the projection. `matrices` of `rows` rows each, one below the other. */
typedef struct {
    const void *packed;
    const void *const *weights; /* the matrices as the model has them */
    int32_t matrices, rows, depth;
    int8_t *quantized;
    void *vector;   /* the quantized one, laid out */
    int32_t *start; /* of exact sums */
    void *sums;     /* float, or with int8 weights int32; readable for CELLS elements after the last */
    qc_hybrid_scale q;
    int all_zero; /* the vector that was multiplied */
} operand;

typedef struct {
    const products *isa;
    const qc_lstm_f32_params *params;
    void *const *tensors;
    int first_gate;
    operand input, recurrent, projection;
    float *gates[QC_LSTM_GATES]; /* these have the cells rounded up */
    float *cell_state;
    float *unprojected;
} memory;

static operand take_operand(const void *packed, void *const *weights, int32_t matrices, int32_t rows, int32_t depth,
                            uint8_t **scratch) {
    const int64_t sums = (qc_round_up((int64_t)matrices * rows, QC_LANES) + CELLS) * (int64_t)sizeof(int32_t);
    operand o = {.packed = packed, .weights = (const void *const *)weights, .matrices = matrices, .rows = rows,
                 .depth = depth};
    o.quantized = qc_take(scratch, depth);
    o.vector = qc_take(scratch, qc_rows_vector_size(depth));
    o.start = qc_take(scratch, sums);
    o.sums = qc_take(scratch, sums);
    return o;
}

static int is_zero(const float *values, int64_t count) {
    int differ = 0;
    for (int64_t i = 0; i < count; ++i) differ |= values[i] != 0.0f;
    return !differ;
}

/* Eigen takes the last of an odd number of rows in another order. */
static void multiply_last_rows(const operand *o, const float *x) {
    if (o->rows % 2 == 0 || o->depth % QC_EIGEN_PACKET < 4) return;
    for (int32_t k = 0; k < o->matrices; ++k) {
        const float *row = (const float *)o->weights[k] + (int64_t)(o->rows - 1) * o->depth;
        ((float *)o->sums)[(int64_t)k * o->rows + o->rows - 1] = qc_eigen_row_times_vector(row, x, o->depth, 1);
    }
}

/* Multiply all rows by x. */
static void multiply(const memory *m, operand *o, const float *x) {
    const int64_t units = (int64_t)o->matrices * o->rows;
    o->all_zero = is_zero(x, o->depth);
    if (!m->params->hybrid) {
        m->isa->real->in_8_lanes(o->packed, o->depth, units, x, o->sums);
        multiply_last_rows(o, x);
        return;
    }
    if (o->all_zero) return;
    const qc_rows_isa *isa = m->isa->bytes;
    o->q = qc_hybrid_quantize(&qc_hybrid_avx2, m->params->asymmetric, x, o->depth, o->quantized);
    qc_rows_start(isa, o->packed, units, o->depth, -o->q.zero_point, NULL, o->start);
    isa->prepare(o->quantized, o->depth, o->vector);
    isa->multiply(o->packed, qc_round_up(o->depth, QC_QUAD) / QC_QUAD,
                  (int32_t)(qc_round_up(units, QC_LANES) / QC_LANES), o->vector, o->start, o->sums);
}

/* Add the products of matrix k to `values`, of all its rows. scale: of its weights, if they are int8. */
QC_AVX2 void add_products(const memory *m, const operand *o, int k, float scale, float *values) {
    const __m256 low = _mm256_set1_ps(-FLT_MAX), high = _mm256_set1_ps(FLT_MAX);
    const __m256 factor = _mm256_set1_ps(o->q.scale * scale);
    for (int32_t i = 0; i < o->rows; i += CELLS) {
        const __m256 value = _mm256_loadu_ps(values + i);
        const int64_t at = (int64_t)k * o->rows + i;
        if (m->params->hybrid) {
            const __m256i exact = _mm256_loadu_si256((const __m256i *)(const void *)((const int32_t *)o->sums + at));
            const __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(exact), factor);
            _mm256_storeu_ps(values + i, _mm256_add_ps(value, product));
        } else {
            const __m256 sum = _mm256_add_ps(_mm256_loadu_ps((const float *)o->sums + at), value);
            _mm256_storeu_ps(values + i, _mm256_min_ps(high, _mm256_max_ps(low, sum)));
        }
    }
}

/* The activation of g and of the new cell state. */
QC_AVX2_INLINE __m256 activate(const qc_lstm_f32_params *p, __m256 x) {
    const __m256 one = _mm256_set1_ps(1.0f), six = _mm256_set1_ps(6.0f);
    switch (p->activation) {
        case QC_LSTM_TANH: return qc_eigen_tanh_avx2(x);
        case QC_LSTM_RELU: return _mm256_max_ps(x, _mm256_setzero_ps());
        case QC_LSTM_RELU6: return _mm256_min_ps(six, _mm256_max_ps(x, _mm256_setzero_ps()));
        case QC_LSTM_RELU_N1_TO_1: return _mm256_min_ps(one, _mm256_max_ps(x, _mm256_set1_ps(-1.0f)));
    }
    return x;
}

static void add_peephole(const memory *m, int which, const void *peephole, float *gate) {
    const qc_lstm_f32_params *p = m->params;
    for (int32_t k = 0; k < p->shape.cells; ++k) {
        const float w = p->hybrid ? p->peephole_scale[which] * (float)((const int8_t *)peephole)[k]
                                  : ((const float *)peephole)[k];
        gate[k] += w * m->cell_state[k];
    }
}

/* One gate from its sums, activated. */
QC_AVX2 void compute_gate(const memory *m, int which) {
    const qc_lstm_f32_params *p = m->params;
    const int32_t cells = p->shape.cells;
    const float *bias = m->tensors[QC_LSTM_BIASES + which];
    const void *peephole = qc_lstm_peephole(m->tensors, which);
    float *gate = m->gates[which];
    if (p->shape.normalized)
        memset(gate, 0, (size_t)cells * sizeof *gate);
    else
        memcpy(gate, bias, (size_t)cells * sizeof *gate);
    const int matrix = which - m->first_gate;
    if (!m->input.all_zero) add_products(m, &m->input, matrix, p->input_scale[which], gate);
    if (!p->hybrid || !m->recurrent.all_zero)
        add_products(m, &m->recurrent, matrix, p->recurrent_scale[which], gate);
    if (peephole != NULL) add_peephole(m, which, peephole, gate);
    if (p->shape.normalized)
        qc_lstm_normalize_f32(cells, m->tensors[QC_LSTM_NORM_COEFFICIENTS + which], bias, gate);
    for (int32_t k = 0; k < cells; k += CELLS) {
        const __m256 x = _mm256_loadu_ps(gate + k);
        _mm256_storeu_ps(gate + k, which == QC_LSTM_CELL ? activate(p, x) : qc_eigen_logistic_avx2(x));
    }
}

/* x in [-bound, bound] where there is a bound. */
QC_AVX2_INLINE __m256 clip(__m256 x, float bound) {
    if (!(bound > 0.0f)) return x;
    return _mm256_max_ps(_mm256_set1_ps(-bound), _mm256_min_ps(_mm256_set1_ps(bound), x));
}

QC_AVX2 void update_cell(const memory *m) {
    for (int32_t k = 0; k < m->params->shape.cells; k += CELLS) {
        const __m256 forget = _mm256_loadu_ps(m->gates[QC_LSTM_FORGET] + k);
        const __m256 input = m->first_gate == QC_LSTM_INPUT ? _mm256_loadu_ps(m->gates[QC_LSTM_INPUT] + k)
                                                            : _mm256_sub_ps(_mm256_set1_ps(1.0f), forget);
        const __m256 kept = _mm256_mul_ps(forget, _mm256_loadu_ps(m->cell_state + k));
        const __m256 added = _mm256_mul_ps(_mm256_loadu_ps(m->gates[QC_LSTM_CELL] + k), input);
        _mm256_storeu_ps(m->cell_state + k, clip(_mm256_add_ps(kept, added), m->params->cell_clip));
    }
}

/* h = o * activation(c), projected if there are weights. */
QC_AVX2 void compute_output(memory *m, float *h) {
    const qc_lstm_f32_params *p = m->params;
    const size_t outputs = (size_t)p->shape.outputs * sizeof *h;
    for (int32_t k = 0; k < p->shape.cells; k += CELLS) {
        const __m256 c = activate(p, _mm256_loadu_ps(m->cell_state + k));
        _mm256_storeu_ps(m->unprojected + k, _mm256_mul_ps(_mm256_loadu_ps(m->gates[QC_LSTM_OUTPUT] + k), c));
    }
    if (m->projection.packed == NULL) {
        memcpy(h, m->unprojected, outputs);
        return;
    }
    multiply(m, &m->projection, m->unprojected);
    float *y = m->unprojected; /* has been multiplied */
    if (m->tensors[QC_LSTM_PROJECTION_BIAS] != NULL)
        memcpy(y, m->tensors[QC_LSTM_PROJECTION_BIAS], outputs);
    else
        memset(y, 0, outputs);
    if (!p->hybrid || !m->projection.all_zero) add_products(m, &m->projection, 0, p->projection_scale, y);
    for (int32_t k = 0; k < p->shape.outputs; k += CELLS)
        _mm256_storeu_ps(y + k, clip(_mm256_loadu_ps(y + k), p->projection_clip));
    memcpy(h, y, outputs);
}

static void step(memory *m, const float *x, float *h) {
    multiply(m, &m->input, x);
    multiply(m, &m->recurrent, h);
    for (int which = m->first_gate; which <= QC_LSTM_CELL; ++which) compute_gate(m, which);
    update_cell(m);
    compute_gate(m, QC_LSTM_OUTPUT);
    compute_output(m, h);
}

static memory take_memory(const products *isa, const qc_lstm_f32_params *p, void *const *tensors, uint8_t *scratch) {
    const qc_lstm_shape *s = &p->shape;
    const int64_t size = qc_round_up(s->cells > s->outputs ? s->cells : s->outputs, CELLS) * (int64_t)sizeof(float);
    memory m = {.isa = isa, .params = p, .tensors = tensors};
    m.first_gate = tensors[QC_LSTM_INPUT_WEIGHTS] != NULL ? QC_LSTM_INPUT : QC_LSTM_FORGET;
    const int gates = QC_LSTM_GATES - m.first_gate;
    m.input = take_operand(p->packed_input, tensors + QC_LSTM_INPUT_WEIGHTS + m.first_gate, gates, s->cells, s->inputs,
                           &scratch);
    m.recurrent = take_operand(p->packed_recurrent, tensors + QC_LSTM_RECURRENT_WEIGHTS + m.first_gate, gates, s->cells,
                               s->outputs, &scratch);
    m.projection =
        take_operand(p->packed_projection, tensors + QC_LSTM_PROJECTION_WEIGHTS, 1, s->outputs, s->cells, &scratch);
    for (int which = 0; which < QC_LSTM_GATES; ++which) m.gates[which] = qc_take(&scratch, size);
    m.cell_state = qc_take(&scratch, size);
    m.unprojected = qc_take(&scratch, size);
    memset(m.cell_state, 0, (size_t)size);
    return m;
}

/* What the vector form does not compute: several batches as one product, one row alone, which Eigen both sums in orders
 * of their own; TFLite Micro's functions; weights of -128. */
static int is_known(const qc_lstm_f32_params *p) {
    const qc_lstm_shape *s = &p->shape;
    return p->packed_input != NULL && !p->micro && !p->sign_overflow && !(s->time_major && s->batches > 1) &&
           (p->hybrid || (s->cells > 1 && s->outputs > 1));
}

static qc_status lstm_f32(const products *isa, const qc_lstm_f32_params *p, void *const *tensors, void *scratch) {
    if (!is_known(p)) return qc_lstm_f32_ref(p, tensors, scratch);
    const qc_lstm_shape *s = &p->shape;
    memory m = take_memory(isa, p, tensors, scratch);
    const size_t state_size = (size_t)s->cells * sizeof(float);
    for (int32_t b = 0; b < s->batches; ++b) {
        float *h = (float *)tensors[QC_LSTM_OUTPUT_STATE] + (int64_t)b * s->outputs;
        float *c = (float *)tensors[QC_LSTM_CELL_STATE] + (int64_t)b * s->cells;
        memcpy(m.cell_state, c, state_size);
        for (int32_t t = 0; t < s->steps; ++t) {
            const int64_t place = (int64_t)b * s->steps + t;
            step(&m, (const float *)tensors[0] + place * s->inputs, h);
            memcpy((float *)tensors[s->input_tensors] + place * s->outputs, h, (size_t)s->outputs * sizeof *h);
        }
        memcpy(c, m.cell_state, state_size);
    }
    return QC_OK;
}

#define QC_LSTM_VERSION(ISA, REAL, BYTES)                                                                        \
    qc_status qc_lstm_f32_##ISA(const qc_lstm_f32_params *p, void *const *tensors, void *scratch) {              \
        static const products isa = {&REAL, &BYTES};                                                             \
        return lstm_f32(&isa, p, tensors, scratch);                                                              \
    }

QC_LSTM_VERSION(avx2, qc_float_rows_avx2, qc_rows_avx2)
QC_LSTM_VERSION(avx512, qc_float_rows_avx512, qc_rows_avx2)
QC_LSTM_VERSION(vnni, qc_float_rows_avx512, qc_rows_vnni)
