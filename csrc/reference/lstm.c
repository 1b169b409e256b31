/* UNIDIRECTIONAL_SEQUENCE_LSTM, quantized: the definitions. */
#include "quantcore/lstm.h"

#include <stddef.h>
#include <string.h>

#include "quantcore/fixed_point_functions16.h"
#include "quantcore/inverse_sqrt.h"
#include "quantcore/sigmoid_table.h"

enum { GATE_INTEGER_BITS = 3 }; /* sums of gates are Q3.12 */

static int32_t rescale(qc_rounding rounding, int32_t x, qc_multiplier factor) {
    return rounding == QC_SINGLE_ROUNDING ? qc_multiply_single_rounding(x, factor.multiplier, factor.shift)
                                          : qc_multiply_double_rounding(x, factor.multiplier, factor.shift);
}

static int16_t add_saturating(int16_t a, int32_t b) {
    return qc_saturate16(qc_wrap32((int64_t)a + b));
}

static int16_t tanh_q15(const qc_lstm_params *p, int16_t x, int integer_bits) {
    if (!p->table) return qc_tanh16(x, integer_bits);
    const int bits = integer_bits - GATE_INTEGER_BITS;
    return qc_tanh_from_table(qc_sigmoid_position(x, bits > 0 ? 3 << bits : 3, bits < 0 ? -bits : 0));
}

static int16_t logistic_q15(const qc_lstm_params *p, int16_t x) {
    if (p->table) return qc_logistic_from_table(qc_sigmoid_position(x, 3, 0));
    return qc_logistic16(x, GATE_INTEGER_BITS);
}

void qc_lstm_add_peephole(const qc_lstm_params *p, qc_multiplier factor, const int16_t *weights,
                          const int16_t *cell_state, int32_t batch, int16_t *gate) {
    const qc_lstm_shape *s = &p->shape;
    const int64_t first = s->time_major ? (int64_t)batch * s->cells : 0;
    const int64_t end = (s->time_major ? (int64_t)s->batches : 1) * s->outputs;
    for (int32_t k = 0; k < s->cells && first + k < end; ++k) {
        const int32_t column = (int32_t)((first + k) % s->outputs);
        const int32_t product = weights[column] * cell_state[k];
        const int32_t scaled = column < p->peephole_body
                                   ? qc_multiply_ruy(product, factor.multiplier, factor.shift)
                                   : rescale(p->rounding, product, factor);
        gate[k] = add_saturating(gate[k], scaled);
    }
}

/* The sum of squares over n, less the square of the mean, where mean is in steps of 1/1024. The integer
 * quotient of 2^20 stands for 1/n. */
static int32_t variance(const int16_t *values, int32_t n, int32_t *mean) {
    int64_t sum = 0, squares = 0;
    for (int32_t k = 0; k < n; ++k) {
        sum += values[k];
        squares += values[k] * values[k];
    }
    *mean = (int32_t)(sum * 1024 / n);
    return (int32_t)((squares * ((1 << 20) / n) - (int64_t)*mean * *mean) / (1 << 20));
}

void qc_lstm_normalize(const qc_lstm_params *p, const qc_lstm_gate *g, const int16_t *coefficients,
                       const int32_t *bias, int16_t *gate) {
    const qc_multiplier to_gate = {g->norm.multiplier, g->norm.shift + 12};
    int32_t mean, shift;
    const int32_t spread = variance(gate, p->shape.cells, &mean);
    const int32_t inverse = qc_inverse_sqrt(spread < 1 ? g->variance_guard : spread, &shift);
    for (int32_t k = 0; k < p->shape.cells; ++k) {
        const qc_multiplier deviation = {inverse, -shift};
        const int32_t unit = rescale(p->rounding, 1024 * gate[k] - mean, deviation);
        const int32_t weighted = (int32_t)((uint32_t)unit * (uint32_t)coefficients[k] + (uint32_t)bias[k]);
        const int64_t rounded = ((int64_t)weighted + (weighted > 0 ? 512 : -512)) / 1024;
        gate[k] = qc_saturate16(rescale(p->rounding, (int32_t)rounded, to_gate));
    }
}

/* c = clip(f * c + i * g); input is NULL for CIFG. */
static void update_cell(const qc_lstm_params *p, const int16_t *input, const int16_t *forget,
                        const int16_t *cell,
                        int16_t *state) {
    for (int32_t k = 0; k < p->shape.cells; ++k) {
        const int16_t i = input != NULL ? input[k] : (int16_t)(INT16_MAX - forget[k]);
        const int16_t kept = qc_saturate16(rescale(p->rounding, forget[k] * state[k], p->forget_to_cell));
        const int16_t added = qc_saturate16(rescale(p->rounding, i * cell[k], p->input_to_cell));
        state[k] = (int16_t)qc_clamp(add_saturating(kept, added), -p->cell_clip, p->cell_clip);
    }
}

/* o * tanh(c), scaled, with its offset, in [low, high]. */
static int32_t hidden(const qc_lstm_params *p, int16_t output_gate, int16_t cell, int32_t low, int32_t high) {
    const int16_t activated = tanh_q15(p, cell, 15 + p->cell_scale_power);
    const int32_t y = rescale(p->rounding, output_gate * activated, p->hidden);
    return qc_clamp(qc_wrap32((int64_t)y + p->hidden_offset), low, high);
}

#define QC_ELEMENT int8_t
#define QC_BIAS int32_t
#define QC_SUM uint32_t
#define QC_RESCALE(p, sum, factor) rescale((p)->rounding, (int32_t)(sum), factor)
#define QC_LOW INT8_MIN
#define QC_HIGH INT8_MAX
#define QC_NAME(name) name##_s8
#define QC_LSTM qc_lstm_s8_ref
#include "lstm_quantized.inc"

#define QC_ELEMENT int16_t
#define QC_BIAS int64_t
#define QC_SUM uint64_t
#define QC_RESCALE(p, sum, factor) \
    ((void)(p), qc_multiply_int16_multiplier((int64_t)(sum), (factor).multiplier, (factor).shift))
#define QC_LOW INT16_MIN
#define QC_HIGH INT16_MAX
#define QC_NAME(name) name##_s16
#define QC_LSTM qc_lstm_s16_ref
#include "lstm_quantized.inc"
