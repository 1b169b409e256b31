/* UNIDIRECTIONAL_SEQUENCE_LSTM on int8: sums of all gates at once, then 16 cells at a time. */
#include "quantcore/lstm.h"

#include <stddef.h>
#include <string.h>

#include "../kernels.h"
#include "functions16_avx2.h"
#include "gemm.h"
#include "quantcore/fixed_point_functions16.h"
#include "rows.h"

#define QC_AVX2 __attribute__((target("avx2"))) static

enum { CELLS = 16, GATE_INTEGER_BITS = 3 };

/* One matrix of weights, and memory for its products. */
typedef struct {
    const int8_t *packed;
    int32_t units;
    int32_t depth;
    void *vector;
    int32_t *start;
    int32_t *acc; /* readable for CELLS elements after the last unit */
} rows;

typedef struct {
    const qc_rows_isa *isa;
    const qc_lstm_params *params;
    void *const *tensors;
    int first_gate;
    rows input, recurrent, projection;
    int16_t *gates[QC_LSTM_GATES]; /* [cells rounded up] */
    int16_t *cell_state;           /* [cells rounded up] */
    int8_t *unprojected;           /* [cells rounded up] */
} memory;

static rows take_rows(const void *packed, int32_t units, int32_t depth, uint8_t **scratch) {
    const int64_t sums = (qc_round_up(units, QC_LANES) + CELLS) * (int64_t)sizeof(int32_t);
    rows r = {.packed = packed, .units = units, .depth = depth};
    r.vector = qc_take(scratch, qc_rows_vector_size(depth));
    r.start = qc_take(scratch, sums);
    r.acc = qc_take(scratch, sums);
    return r;
}

static void multiply(const qc_rows_isa *isa, const rows *r, const int8_t *x) {
    isa->prepare(x, r->depth, r->vector);
    isa->multiply(r->packed, qc_round_up(r->depth, QC_QUAD) / QC_QUAD,
                  (int32_t)(qc_round_up(r->units, QC_LANES) / QC_LANES), r->vector, r->start, r->acc);
}

/* The start values of all sums: biases of the gates are behind the normalization, if there is one. */
static void start_sums(const memory *m) {
    const qc_lstm_params *p = m->params;
    const int32_t cells = p->shape.cells;
    qc_rows_start(m->isa, m->input.packed, m->input.units, m->input.depth, p->input_offset, NULL, m->input.start);
    qc_rows_start(m->isa, m->recurrent.packed, m->recurrent.units, m->recurrent.depth, p->recurrent_offset, NULL,
                  m->recurrent.start);
    for (int which = m->first_gate; which < QC_LSTM_GATES && !p->shape.normalized; ++which) {
        const int32_t *bias = m->tensors[QC_LSTM_BIASES + which];
        int32_t *start = m->input.start + (int64_t)(which - m->first_gate) * cells;
        for (int32_t k = 0; k < cells; ++k) start[k] = (int32_t)((uint32_t)start[k] + (uint32_t)bias[k]);
    }
    if (m->projection.packed != NULL)
        qc_rows_start(m->isa, m->projection.packed, m->projection.units, m->projection.depth, -p->hidden_offset,
                      m->tensors[QC_LSTM_PROJECTION_BIAS], m->projection.start);
}

QC_AVX2 __m256i saturate16(__m256i x) {
    const __m256i low = _mm256_set1_epi32(INT16_MIN), high = _mm256_set1_epi32(INT16_MAX);
    return _mm256_min_epi32(_mm256_max_epi32(x, low), high);
}

/* The sum of a gate for 8 cells, in int32. */
QC_AVX2 __m256i gate_sum(const qc_factor_avx2 *input, const qc_factor_avx2 *recurrent, int clamp_recurrent,
                         const int32_t *fed, const int32_t *back) {
    const __m256i y = qc_rescale_avx2(recurrent, qc_load256(back));
    return _mm256_add_epi32(saturate16(qc_rescale_avx2(input, qc_load256(fed))), clamp_recurrent ? saturate16(y) : y);
}

QC_AVX2 void activate(const qc_lstm_params *p, int which, int16_t *gate) {
    for (int32_t k = 0; k < p->shape.cells; k += CELLS) {
        const __m256i x = qc_load256(gate + k);
        __m256i y;
        if (p->table)
            y = which == QC_LSTM_CELL ? qc_tanh_table16_avx2(x, 3, 0) : qc_logistic_table16_avx2(x, 3, 0);
        else
            y = which == QC_LSTM_CELL ? qc_tanh16_avx2(x, GATE_INTEGER_BITS) : qc_logistic16_avx2(x, GATE_INTEGER_BITS);
        qc_store256(gate + k, y);
    }
}

/* A gate from its sums, activated. */
QC_AVX2 void compute_gate(const memory *m, int which, int32_t batch) {
    const qc_lstm_params *p = m->params;
    const qc_lstm_gate *g = &p->gates[which];
    const qc_factor_avx2 input = qc_make_factor_avx2(g->input.multiplier, g->input.shift);
    const qc_factor_avx2 recurrent = qc_make_factor_avx2(g->recurrent.multiplier, g->recurrent.shift);
    const int64_t first = (int64_t)(which - m->first_gate) * p->shape.cells;
    int16_t *gate = m->gates[which];
    for (int32_t k = 0; k < p->shape.cells; k += CELLS) {
        const int32_t *fed = m->input.acc + first + k, *back = m->recurrent.acc + first + k;
        const __m256i low = gate_sum(&input, &recurrent, p->clamp_recurrent, fed, back);
        const __m256i high = gate_sum(&input, &recurrent, p->clamp_recurrent, fed + 8, back + 8);
        qc_store256(gate + k, qc_pack16_avx2(low, high));
    }
    const int16_t *peephole = qc_lstm_peephole(m->tensors, which);
    if (peephole != NULL) qc_lstm_add_peephole(p, g->peephole, peephole, m->cell_state, batch, gate);
    if (p->shape.normalized)
        qc_lstm_normalize(p, g, m->tensors[QC_LSTM_NORM_COEFFICIENTS + which], m->tensors[QC_LSTM_BIASES + which], gate);
    activate(p, which, gate);
}

/* The product of two vectors of int16, times a factor, saturated to int16. */
QC_AVX2 __m256i rescaled_product(__m256i a, __m256i b, const qc_factor_avx2 *factor) {
    const __m256i low = _mm256_mullo_epi16(a, b), high = _mm256_mulhi_epi16(a, b);
    /* Unpacking and packing both work on halves of the vectors. */
    return _mm256_packs_epi32(qc_rescale_avx2(factor, _mm256_unpacklo_epi16(low, high)),
                              qc_rescale_avx2(factor, _mm256_unpackhi_epi16(low, high)));
}

/* c = clip(f * c + i * g). */
QC_AVX2 void update_cell(const memory *m) {
    const qc_lstm_params *p = m->params;
    const qc_factor_avx2 forget_to_cell = qc_make_factor_avx2(p->forget_to_cell.multiplier, p->forget_to_cell.shift);
    const qc_factor_avx2 input_to_cell = qc_make_factor_avx2(p->input_to_cell.multiplier, p->input_to_cell.shift);
    const int32_t bound = p->cell_clip < INT16_MAX ? p->cell_clip : INT16_MAX;
    const __m256i most = _mm256_set1_epi16((int16_t)bound);
    const __m256i least = _mm256_set1_epi16((int16_t)(p->cell_clip > INT16_MAX ? INT16_MIN : -bound));
    for (int32_t k = 0; k < p->shape.cells; k += CELLS) {
        const __m256i forget = qc_load256(m->gates[QC_LSTM_FORGET] + k);
        const __m256i input = m->first_gate == QC_LSTM_INPUT
                                  ? qc_load256(m->gates[QC_LSTM_INPUT] + k)
                                  : _mm256_sub_epi16(_mm256_set1_epi16(INT16_MAX), forget);
        const __m256i kept = rescaled_product(forget, qc_load256(m->cell_state + k), &forget_to_cell);
        const __m256i added = rescaled_product(input, qc_load256(m->gates[QC_LSTM_CELL] + k), &input_to_cell);
        const __m256i c = _mm256_adds_epi16(kept, added);
        qc_store256(m->cell_state + k, _mm256_min_epi16(_mm256_max_epi16(c, least), most));
    }
}

/* tanh of 16 cells. */
QC_AVX2 __m256i cell_tanh(const qc_lstm_params *p, __m256i c) {
    const int integer_bits = 15 + p->cell_scale_power;
    if (!p->table) return qc_tanh16_avx2(c, integer_bits);
    const int bits = integer_bits - GATE_INTEGER_BITS;
    return qc_tanh_table16_avx2(c, bits > 0 ? 3 << bits : 3, bits < 0 ? -bits : 0);
}

/* Two vectors of 8 int32 plus an offset, as 16 int8. */
QC_AVX2 __m128i to_bytes(__m256i low, __m256i high, int32_t offset) {
    const __m256i added = _mm256_set1_epi32(offset);
    const __m256i words = qc_pack16_avx2(_mm256_add_epi32(low, added), _mm256_add_epi32(high, added));
    return _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

/* o * tanh(c), scaled, with its offset. */
QC_AVX2 void compute_hidden(const memory *m) {
    const qc_lstm_params *p = m->params;
    const qc_factor_avx2 hidden = qc_make_factor_avx2(p->hidden.multiplier, p->hidden.shift);
    for (int32_t k = 0; k < p->shape.cells; k += CELLS) {
        const __m256i o = qc_load256(m->gates[QC_LSTM_OUTPUT] + k);
        const __m256i t = cell_tanh(p, qc_load256(m->cell_state + k));
        const __m256i low = _mm256_mullo_epi32(qc_low_half_avx2(o), qc_low_half_avx2(t));
        const __m256i high = _mm256_mullo_epi32(qc_high_half_avx2(o), qc_high_half_avx2(t));
        const __m128i y = to_bytes(qc_rescale_avx2(&hidden, low), qc_rescale_avx2(&hidden, high), p->hidden_offset);
        _mm_storeu_si128((__m128i *)(void *)(m->unprojected + k), y);
    }
}

/* The projection of what compute_hidden left. */
QC_AVX2 void project(const memory *m, int8_t *h) {
    const qc_lstm_params *p = m->params;
    const qc_factor_avx2 factor = qc_make_factor_avx2(p->projection.multiplier, p->projection.shift);
    const int32_t clip = p->projection_clip < INT8_MAX ? p->projection_clip : INT8_MAX;
    const __m128i most = _mm_set1_epi8((int8_t)clip);
    const __m128i least = _mm_set1_epi8((int8_t)(p->projection_clip > INT8_MAX ? INT8_MIN : -clip));
    multiply(m->isa, &m->projection, m->unprojected);
    for (int32_t k = 0; k < p->shape.outputs; k += CELLS) {
        const __m256i low = qc_rescale_avx2(&factor, qc_load256(m->projection.acc + k));
        const __m256i high = qc_rescale_avx2(&factor, qc_load256(m->projection.acc + k + 8));
        const __m128i y = _mm_min_epi8(_mm_max_epi8(to_bytes(low, high, p->output_offset), least), most);
        int8_t bytes[CELLS];
        _mm_storeu_si128((__m128i *)(void *)bytes, y);
        const int32_t left = p->shape.outputs - k;
        memcpy(h + k, bytes, (size_t)(left < CELLS ? left : CELLS));
    }
}

static void step(const memory *m, int32_t batch, const int8_t *x, int8_t *h) {
    const qc_lstm_shape *s = &m->params->shape;
    multiply(m->isa, &m->input, x);
    multiply(m->isa, &m->recurrent, h);
    for (int which = m->first_gate; which <= QC_LSTM_CELL; ++which) compute_gate(m, which, batch);
    update_cell(m);
    compute_gate(m, QC_LSTM_OUTPUT, batch);
    compute_hidden(m);
    if (m->projection.packed != NULL)
        project(m, h);
    else
        memcpy(h, m->unprojected, (size_t)s->outputs);
}

static memory take_memory(const qc_rows_isa *isa, const qc_lstm_params *p, void *const *tensors, uint8_t *scratch) {
    const qc_lstm_shape *s = &p->shape;
    const int64_t cells = qc_round_up(s->cells, CELLS);
    memory m = {.isa = isa, .params = p, .tensors = tensors};
    m.first_gate = tensors[QC_LSTM_INPUT_WEIGHTS] != NULL ? QC_LSTM_INPUT : QC_LSTM_FORGET;
    const int32_t units = (QC_LSTM_GATES - m.first_gate) * s->cells;
    m.input = take_rows(p->packed_input, units, s->inputs, &scratch);
    m.recurrent = take_rows(p->packed_recurrent, units, s->outputs, &scratch);
    m.projection = take_rows(p->packed_projection, s->outputs, s->cells, &scratch);
    for (int which = 0; which < QC_LSTM_GATES; ++which)
        m.gates[which] = qc_take(&scratch, cells * (int64_t)sizeof(int16_t));
    m.cell_state = qc_take(&scratch, cells * (int64_t)sizeof(int16_t));
    m.unprojected = qc_take(&scratch, cells);
    return m;
}

/* qc_lstm_s8 with the products of `isa`. */
static qc_status lstm_s8(const qc_rows_isa *isa, const qc_lstm_params *p, void *const *tensors, void *scratch) {
    if (p->packed_input == NULL || p->rounding != QC_DOUBLE_ROUNDING) return qc_lstm_s8_ref(p, tensors, scratch);
    const qc_lstm_shape *s = &p->shape;
    const memory m = take_memory(isa, p, tensors, scratch);
    const size_t state_size = (size_t)s->cells * sizeof(int16_t);
    start_sums(&m);
    memset(m.cell_state, 0, (size_t)qc_round_up(s->cells, CELLS) * sizeof(int16_t));
    for (int32_t b = 0; b < s->batches; ++b) {
        int8_t *h = (int8_t *)tensors[QC_LSTM_OUTPUT_STATE] + (int64_t)b * s->outputs;
        int16_t *c = (int16_t *)tensors[QC_LSTM_CELL_STATE] + (int64_t)b * s->cells;
        memcpy(m.cell_state, c, state_size);
        for (int32_t t = 0; t < s->steps; ++t) {
            const int64_t place = s->time_major ? (int64_t)t * s->batches + b : (int64_t)b * s->steps + t;
            step(&m, b, (const int8_t *)tensors[0] + place * s->inputs, h);
            memcpy((int8_t *)tensors[s->input_tensors] + place * s->outputs, h, (size_t)s->outputs);
        }
        memcpy(c, m.cell_state, state_size);
    }
    return QC_OK;
}

qc_status qc_lstm_s8_avx2(const qc_lstm_params *p, void *const *tensors, void *scratch) {
    return lstm_s8(&qc_rows_avx2, p, tensors, scratch);
}

qc_status qc_lstm_s8_vnni(const qc_lstm_params *p, void *const *tensors, void *scratch) {
    return lstm_s8(&qc_rows_vnni, p, tensors, scratch);
}
