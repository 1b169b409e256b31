/* UNIDIRECTIONAL_SEQUENCE_LSTM on float32: the definition. */
#include "quantcore/lstm_float.h"

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "quantcore/eigen_functions.h"
#include "quantcore/eigen_product.h"
#include "quantcore/fixed_point.h"
#include "quantcore/logistic.h"

/* The batches of one step that TFLite takes together: all with time_major, otherwise one. */
typedef struct {
    const qc_lstm_f32_params *params;
    void *const *tensors;
    int32_t batches;
} group;

/* A vector for each batch of a group; quantized for hybrid weights, unless it is all 0. */
typedef struct {
    const float *real;
    int32_t count;
    int all_zero;
    int8_t *quantized;
    qc_hybrid_scale *scales;
} vectors;

static float clamp_finite(float x) {
    return qc_clamp_f32(x, -FLT_MAX, FLT_MAX);
}

static int is_all_zero(const float *values, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        if (values[i] != 0.0f) return 0;
    }
    return 1;
}

/* Row `row` of the weights times the vector of batch b. */
static float product(const group *g, const float *weights, const vectors *v, int32_t rows, int32_t row,
                     int32_t b) {
    if (!g->params->micro) return qc_eigen_product(weights, v->real, v->count, rows, g->batches, row, b);
    const float *x = v->real + (int64_t)b * v->count;
    return qc_eigen_in_order(0.0f, weights + (int64_t)row * v->count, x, 0, v->count);
}

/* sums += weights * v for each batch. `first`: sums hold the bias, which TFLite Micro adds before it
 * clamps. */
static void add_product(const group *g, const void *weights, float scale, const vectors *v, int32_t rows,
                        int first, float *sums) {
    const qc_lstm_f32_params *p = g->params;
    const int bias_inside = p->micro ? first : g->batches == 1;
    if (v->all_zero && (p->hybrid || (first && !p->micro))) return;
    for (int32_t b = 0; b < g->batches; ++b) {
        for (int32_t row = 0; row < rows; ++row) {
            float *sum = sums + (int64_t)b * rows + row;
            if (p->hybrid) {
                const int8_t *w = (const int8_t *)weights + (int64_t)row * v->count;
                const int8_t *q = v->quantized + (int64_t)b * v->count;
                const int32_t exact = qc_hybrid_row_sum(q, v->scales[b].zero_point, w, v->count,
                                                        p->sign_overflow);
                *sum += (float)exact * (v->scales[b].scale * scale);
            } else {
                const float y = product(g, weights, v, rows, row, b);
                *sum = bias_inside ? clamp_finite(y + *sum) : clamp_finite(y) + *sum;
            }
        }
    }
}

static void quantize(const group *g, vectors *v) {
    v->all_zero = is_all_zero(v->real, (int64_t)g->batches * v->count);
    if (!g->params->hybrid || v->all_zero) return;
    for (int32_t b = 0; b < g->batches; ++b) {
        const float *x = v->real + (int64_t)b * v->count;
        int8_t *q = v->quantized + (int64_t)b * v->count;
        v->scales[b] = g->params->asymmetric ? qc_hybrid_quantize_asymmetric(&qc_hybrid_ref, x, v->count, q)
                                             : qc_hybrid_quantize_symmetric(&qc_hybrid_ref, x, v->count, q);
    }
}

void qc_lstm_normalize_f32(int32_t count, const float *coefficients, const float *bias, float *gate) {
    float sum = 0.0f, squares = 0.0f;
    for (int32_t k = 0; k < count; ++k) sum += gate[k];
    const float mean = sum / (float)count;
    for (int32_t k = 0; k < count; ++k) squares += (gate[k] - mean) * (gate[k] - mean);
    const float inverse = 1.0f / sqrtf(squares / (float)count + 1e-8f);
    for (int32_t k = 0; k < count; ++k) gate[k] = coefficients[k] * ((gate[k] - mean) * inverse) + bias[k];
}

static void logistic(const group *g, int64_t count, float *values) {
    if (g->params->micro) {
        const qc_function_f32_params size = {.count = count};
        qc_logistic_f32_ref(&size, values, values, NULL);
        return;
    }
    for (int64_t i = 0; i < count; ++i) values[i] = qc_eigen_logistic(values[i]);
}

static float activated(const qc_lstm_f32_params *p, float x) {
    switch (p->activation) {
        case QC_LSTM_TANH: return p->micro ? tanhf(x) : qc_eigen_tanh(x);
        case QC_LSTM_RELU: return 0.0f < x ? x : 0.0f;
        case QC_LSTM_RELU6: return 6.0f < x ? 6.0f : 0.0f < x ? x : 0.0f;
        case QC_LSTM_RELU_N1_TO_1: return 1.0f < x ? 1.0f : -1.0f < x ? x : -1.0f;
    }
    return x;
}

/* One gate of a group, activated. */
static void compute_gate(const group *g, int which, const vectors *x, const vectors *h, const float *c,
                         float *gate) {
    const qc_lstm_f32_params *p = g->params;
    const int32_t cells = p->shape.cells;
    const float *bias = g->tensors[QC_LSTM_BIASES + which];
    const void *peephole = qc_lstm_peephole(g->tensors, which);
    const int64_t count = (int64_t)g->batches * cells;
    for (int64_t i = 0; i < count; ++i) gate[i] = p->shape.normalized ? 0.0f : bias[i % cells];
    add_product(g, g->tensors[QC_LSTM_INPUT_WEIGHTS + which], p->input_scale[which], x, cells, 1, gate);
    add_product(g, g->tensors[QC_LSTM_RECURRENT_WEIGHTS + which], p->recurrent_scale[which], h, cells, 0,
                gate);
    for (int64_t i = 0; peephole != NULL && i < count; ++i) {
        const float w = p->hybrid ? p->peephole_scale[which] * (float)((const int8_t *)peephole)[i % cells]
                                  : ((const float *)peephole)[i % cells];
        gate[i] += w * c[i];
    }
    for (int32_t b = 0; p->shape.normalized && b < g->batches; ++b)
        qc_lstm_normalize_f32(cells, g->tensors[QC_LSTM_NORM_COEFFICIENTS + which], bias, gate + (int64_t)b * cells);
    if (which != QC_LSTM_CELL) {
        logistic(g, count, gate);
        return;
    }
    for (int64_t i = 0; i < count; ++i) gate[i] = activated(p, gate[i]);
}

static float clip(float x, float bound) {
    if (!(bound > 0.0f)) return x;
    const float upper = bound < x ? bound : x;
    return upper < -bound ? -bound : upper;
}

/* h = o * activation(c), projected if there are weights. memory: one element per cell and batch. */
static void compute_output(const group *g, const float *gate, const float *c, vectors *unprojected,
                           float *memory, float *h) {
    const qc_lstm_f32_params *p = g->params;
    const float *bias = g->tensors[QC_LSTM_PROJECTION_BIAS];
    const void *w = g->tensors[QC_LSTM_PROJECTION_WEIGHTS];
    const int64_t cells = (int64_t)g->batches * p->shape.cells,
        outputs = (int64_t)g->batches * p->shape.outputs;
    float *y = w == NULL ? h : memory;
    for (int64_t i = 0; i < cells; ++i) y[i] = gate[i] * activated(p, c[i]);
    if (w == NULL) return;
    unprojected->real = memory;
    quantize(g, unprojected);
    unprojected->all_zero = unprojected->all_zero && p->hybrid;
    for (int64_t i = 0; i < outputs; ++i) h[i] = bias != NULL ? bias[i % p->shape.outputs] : 0.0f;
    add_product(g, w, p->projection_scale, unprojected, p->shape.outputs, 1, h);
    for (int64_t i = 0; i < outputs; ++i) h[i] = clip(h[i], p->projection_clip);
}

/* One step of a group; h and c are its states. gates: four arrays of one element per cell and batch. */
static void step(const group *g, vectors *x, vectors *h, vectors *unprojected, float *state, float *c,
                 float *const *gates) {
    const qc_lstm_f32_params *p = g->params;
    const int has_input_gate = g->tensors[QC_LSTM_INPUT_WEIGHTS] != NULL;
    quantize(g, x);
    quantize(g, h);
    for (int which = has_input_gate ? QC_LSTM_INPUT : QC_LSTM_FORGET; which <= QC_LSTM_CELL; ++which)
        compute_gate(g, which, x, h, c, gates[which]);
    for (int64_t i = 0; i < (int64_t)g->batches * p->shape.cells; ++i) {
        const float forget = gates[QC_LSTM_FORGET][i];
        const float input = has_input_gate ? gates[QC_LSTM_INPUT][i] : 1.0f - forget;
        c[i] = clip(forget * c[i] + gates[QC_LSTM_CELL][i] * input, p->cell_clip);
    }
    compute_gate(g, QC_LSTM_OUTPUT, x, h, c, gates[QC_LSTM_OUTPUT]);
    /* The cell gate's memory is free now. */
    compute_output(g, gates[QC_LSTM_OUTPUT], c, unprojected, gates[QC_LSTM_CELL], state);
}

qc_status qc_lstm_f32_ref(const qc_lstm_f32_params *p, void *const *tensors, void *scratch) {
    const qc_lstm_shape *s = &p->shape;
    const int32_t together = s->time_major ? s->batches : 1;
    const group g = {p, tensors, together};
    float *gates[QC_LSTM_GATES];
    for (int which = 0; which < QC_LSTM_GATES; ++which)
        gates[which] = (float *)scratch + (int64_t)which * together * s->cells;
    float *const after_gates = (float *)scratch + (int64_t)QC_LSTM_GATES * together * s->cells;
    qc_hybrid_scale *scales = (qc_hybrid_scale *)after_gates;
    int8_t *quantized = (int8_t *)(scales + 3 * (int64_t)together);
    vectors x = {NULL, s->inputs, 0, quantized, scales};
    vectors h = {NULL, s->outputs, 0, x.quantized + (int64_t)together * s->inputs, scales + together};
    vectors unprojected = {NULL, s->cells, 0, h.quantized + (int64_t)together * s->outputs,
                           scales + 2 * together};

    for (int32_t first = 0; first < s->batches; first += together) {
        float *state = (float *)tensors[QC_LSTM_OUTPUT_STATE] + (int64_t)first * s->outputs;
        float *c = (float *)tensors[QC_LSTM_CELL_STATE] + (int64_t)first * s->cells;
        for (int32_t t = 0; t < s->steps; ++t) {
            const int64_t place = s->time_major ? (int64_t)t * s->batches : (int64_t)first * s->steps + t;
            x.real = (const float *)tensors[0] + place * s->inputs;
            h.real = state;
            step(&g, &x, &h, &unprojected, state, c, gates);
            float *output = (float *)tensors[s->input_tensors] + place * s->outputs;
            memcpy(output, state, (size_t)together * (size_t)s->outputs * sizeof *output);
        }
    }
    return QC_OK;
}
