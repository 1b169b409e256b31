/* Fake quantization and its gradients with AVX2: the bits of csrc/reference/fake_quant.c. The 8 lanes are elements of
 * one channel, where there is but one, or one element of each of 8 channels. */
#include <immintrin.h>

#include "../kernels.h"
#include "quantcore/fake_quant_rules.h"

#define TARGET __attribute__((target("avx2")))
enum { LANES = 8 };

/* How each lane is computed. */
typedef struct {
    __m256 min, max, scale, inverse_scale, steps_to_zero;
    __m256 is_empty; /* a mask */
    int by_quotient;
} lanes_of_channels;

/* qc_flush_input; a NaN is not below the limit. */
TARGET static inline __m256 flush(__m256 x) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    const __m256 keep = _mm256_cmp_ps(_mm256_andnot_ps(sign, x), _mm256_set1_ps(0x1p-126f), _CMP_NLT_UQ);
    return _mm256_and_ps(x, _mm256_or_ps(keep, sign));
}

/* Lane l computes channel c + l, or the only one. */
TARGET static lanes_of_channels load_lanes(const qc_fake_quant_params *p, int64_t c) {
    float values[6][LANES] = {{0}};
    for (int l = 0; l < LANES; ++l) {
        const qc_fake_quant_channel channel = qc_fake_quant_channel_of(p, p->channels == 1 ? 0 : c + l);
        values[0][l] = channel.range.min;
        values[1][l] = channel.range.max;
        values[2][l] = channel.range.scale;
        values[3][l] = channel.range.inverse_scale;
        values[4][l] = channel.steps_to_zero;
        values[5][l] = channel.is_empty ? 1.0f : 0.0f;
    }
    return (lanes_of_channels){
        .min = _mm256_loadu_ps(values[0]),
        .max = _mm256_loadu_ps(values[1]),
        .scale = _mm256_loadu_ps(values[2]),
        .inverse_scale = _mm256_loadu_ps(values[3]),
        .steps_to_zero = _mm256_loadu_ps(values[4]),
        .is_empty = _mm256_cmp_ps(_mm256_loadu_ps(values[5]), _mm256_setzero_ps(), _CMP_NEQ_OQ),
        .by_quotient = p->form == QC_FAKE_QUANT_VARS,
    };
}

/* min and max return their second operand where one is a NaN, as the comparisons of the definition do. */
TARGET static inline __m256 fake_quant(const lanes_of_channels *c, __m256 x) {
    const __m256 clamped = _mm256_max_ps(c->min, _mm256_min_ps(c->max, flush(x)));
    const __m256 shifted = flush(_mm256_sub_ps(clamped, c->min));
    const __m256 steps = c->by_quotient ? _mm256_div_ps(shifted, c->scale) : _mm256_mul_ps(shifted, c->inverse_scale);
    const __m256 q = _mm256_add_ps(_mm256_sub_ps(steps, c->steps_to_zero), _mm256_set1_ps(0.5f));
    return _mm256_andnot_ps(c->is_empty, _mm256_mul_ps(_mm256_floor_ps(q), c->scale));
}

TARGET static inline __m256 masked(__m256 gradient, __m256 passes) {
    return _mm256_mul_ps(flush(gradient), _mm256_and_ps(passes, _mm256_set1_ps(1.0f)));
}

TARGET static inline __m256 gradient_of_input(const lanes_of_channels *c, __m256 gradient, __m256 input) {
    const __m256 x = flush(input);
    const __m256 inside = _mm256_and_ps(_mm256_cmp_ps(x, c->min, _CMP_GE_OQ), _mm256_cmp_ps(x, c->max, _CMP_LE_OQ));
    return _mm256_blendv_ps(masked(gradient, inside), gradient, c->is_empty);
}

/* Elements of one channel, or rows of several, that fill the lanes. */
static int64_t whole(const qc_fake_quant_params *p) {
    return p->channels == 1 ? p->outer / LANES : p->outer;
}

static int64_t stride_of(const qc_fake_quant_params *p) {
    return p->channels == 1 ? LANES : p->channels;
}

/* The elements of a channel that are left over. */
static int64_t first_left(const qc_fake_quant_params *p) {
    return p->channels == 1 ? p->outer / LANES * LANES : 0;
}

/* The channels that fill the lanes. */
static int64_t channels_in_lanes(const qc_fake_quant_params *p) {
    return p->channels == 1 ? LANES : p->channels / LANES * LANES;
}

TARGET qc_status qc_fake_quant_f32_avx2(const qc_fake_quant_params *p, const float *input, float *output,
                                        void *scratch) {
    (void)scratch;
    const int64_t stride = stride_of(p), count = p->outer * p->channels;
    int64_t c = 0;
    for (; c < channels_in_lanes(p); c += LANES) {
        const lanes_of_channels lanes = load_lanes(p, c);
        for (int64_t i = 0; i < whole(p); ++i)
            _mm256_storeu_ps(output + c + i * stride, fake_quant(&lanes, _mm256_loadu_ps(input + c + i * stride)));
    }
    for (c = p->channels == 1 ? 0 : c; c < p->channels; ++c) {
        const qc_fake_quant_channel channel = qc_fake_quant_channel_of(p, c);
        for (int64_t i = first_left(p) + c; i < count; i += p->channels)
            output[i] = qc_fake_quant_one(&channel, input[i]);
    }
    return QC_OK;
}

TARGET static inline __m256 outside(const qc_outside_terms *t, int64_t i, int is_above) {
    const __m256 x = flush(_mm256_loadu_ps(t->inputs + i)), bound = _mm256_set1_ps(t->bound);
    const __m256 passes = is_above ? _mm256_cmp_ps(x, bound, _CMP_GT_OQ) : _mm256_cmp_ps(x, bound, _CMP_LT_OQ);
    return masked(_mm256_loadu_ps(t->gradients + i), passes);
}

TARGET static inline __m256 add(__m256 a, __m256 b) {
    return flush(_mm256_add_ps(a, b));
}

/* qc_eigen_sum_leaf of a channel that stands alone. */
TARGET static inline float sum_leaf(const qc_outside_terms *t, int64_t first, int64_t count, int is_above) {
    __m256 sums[QC_EIGEN_SUMS] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
    int64_t i = 0;
    for (; i <= count - QC_EIGEN_SUMS * LANES; i += QC_EIGEN_SUMS * LANES)
        for (int k = 0; k < QC_EIGEN_SUMS; ++k) sums[k] = add(sums[k], outside(t, first + i + k * LANES, is_above));
    for (int k = 1; k < QC_EIGEN_SUMS; ++k) sums[0] = add(sums[0], sums[k]);
    for (; i <= count - LANES; i += LANES) sums[0] = add(sums[0], outside(t, first + i, is_above));
    float rest = 0.0f, lanes[LANES];
    for (; i < count; ++i)
        rest = qc_eigen_add(rest, is_above ? qc_above_term(t, first + i) : qc_below_term(t, first + i));
    _mm256_storeu_ps(lanes, sums[0]);
    return qc_eigen_add(rest, qc_eigen_fold(lanes));
}

TARGET static float sum_below(const void *terms, int64_t first, int64_t count) {
    return sum_leaf(terms, first, count, 0);
}

TARGET static float sum_above(const void *terms, int64_t first, int64_t count) {
    return sum_leaf(terms, first, count, 1);
}

static float sum_below_strided(const void *terms, int64_t first, int64_t count) {
    return qc_eigen_sum_leaf(qc_below_term, terms, first, count);
}

static float sum_above_strided(const void *terms, int64_t first, int64_t count) {
    return qc_eigen_sum_leaf(qc_above_term, terms, first, count);
}

TARGET static void gradients_of_inputs(const qc_fake_quant_params *p, const float *gradients, const float *inputs,
                                       float *of_inputs) {
    const int64_t stride = stride_of(p), count = p->outer * p->channels;
    int64_t c = 0;
    for (; c < channels_in_lanes(p); c += LANES) {
        const lanes_of_channels lanes = load_lanes(p, c);
        for (int64_t i = 0; i < whole(p); ++i) {
            const int64_t at = c + i * stride;
            const __m256 g = _mm256_loadu_ps(gradients + at);
            _mm256_storeu_ps(of_inputs + at, gradient_of_input(&lanes, g, _mm256_loadu_ps(inputs + at)));
        }
    }
    for (c = p->channels == 1 ? 0 : c; c < p->channels; ++c) {
        const qc_fake_quant_channel channel = qc_fake_quant_channel_of(p, c);
        for (int64_t i = first_left(p) + c; i < count; i += p->channels)
            of_inputs[i] = qc_fake_quant_gradient_one(&channel, gradients[i], inputs[i]);
    }
}

qc_status qc_fake_quant_gradient_f32_avx2(const qc_fake_quant_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    const float *gradients = tensors[0], *inputs = tensors[1];
    float *of_min = tensors[3], *of_max = tensors[4];
    gradients_of_inputs(p, gradients, inputs, tensors[2]);
    const int alone = p->channels == 1;
    for (int64_t c = 0; of_min && c < p->channels; ++c) {
        const qc_fake_quant_channel channel = qc_fake_quant_channel_of(p, c);
        const qc_outside_terms terms = {gradients + c, inputs + c, p->channels, 0.0f};
        qc_gradients_of_range(p, &channel, terms, alone ? sum_below : sum_below_strided,
                              alone ? sum_above : sum_above_strided, of_min + c, of_max + c);
    }
    return QC_OK;
}
