/* SVDF with int8 features: products of the features for all filters at once, then 8 units at a time over time. */
#include "quantcore/svdf.h"

#include <stddef.h>
#include <string.h>

#include "../kernels.h"
#include "functions16_avx2.h"
#include "gemm.h"
#include "rows.h"

#define QC_AVX2 __attribute__((target("avx2"))) static
#define QC_AVX2_INLINE QC_AVX2 inline __attribute__((always_inline))

enum { UNITS = 8, PART = 16 };

/* A requantization by one factor with double rounding. */
typedef struct {
    qc_factor_avx2 factor;
    __m256i offset, low, high;
} output_rule;

QC_AVX2 output_rule make_rule(const qc_requant *r) {
    const output_rule rule = {qc_make_factor_avx2(r->multiplier[0], r->shift[0]), _mm256_set1_epi32(r->output_offset),
                              _mm256_set1_epi32(r->activation_min), _mm256_set1_epi32(r->activation_max)};
    return rule;
}

QC_AVX2_INLINE __m256i requantize(const output_rule *r, __m256i acc) {
    const __m256i y = _mm256_add_epi32(qc_rescale_avx2(&r->factor, acc), r->offset);
    return _mm256_min_epi32(_mm256_max_epi32(y, r->low), r->high);
}

/* PART elements from `first` of `end`, as int16; what is beyond the end is 0. WIDE is a constant: elements of int16. */
QC_AVX2_INLINE __m256i elements(const int WIDE, const void *values, int64_t first, int64_t end) {
    const int64_t left = end - first;
    const void *from = WIDE ? (const void *)((const int16_t *)values + first) : (const int8_t *)values + first;
    int16_t rest[PART] = {0};
    if (left < PART) {
        memcpy(rest, from, (size_t)(WIDE ? 2 * left : left));
        from = rest;
    }
    return WIDE ? qc_load256(from) : _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)from));
}

/* sum times * (past - offset) of one unit, in 8 parts. `count` elements from `first`; memory ends at `end`. */
QC_AVX2_INLINE __m256i unit_sum(const int WIDE, const void *times, const void *past, int64_t first, int64_t count,
                                int64_t end, __m256i offset) {
    const __m256i places = _mm256_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m256i sum = _mm256_setzero_si256();
    for (int64_t i = 0; i < count; i += PART) {
        __m256i w = elements(WIDE, times, first + i, end);
        if (count - i < PART) /* the rest is of the next unit */
            w = _mm256_and_si256(w, _mm256_cmpgt_epi16(_mm256_set1_epi16((int16_t)(count - i)), places));
        const __m256i x = _mm256_sub_epi16(elements(WIDE, past, first + i, end), offset);
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(w, x));
    }
    return sum;
}

/* The sums of 8 vectors. */
QC_AVX2_INLINE __m256i add_across(const __m256i v[UNITS]) {
    const __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
    const __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(v[4], v[5]), _mm256_hadd_epi32(v[6], v[7]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
}

/* The outputs of one batch. */
QC_AVX2_INLINE void sum_over_time(const int WIDE, const qc_svdf_params *p, const void *times, const void *past,
                                  const int32_t *bias, int8_t *output) {
    const qc_svdf_shape *s = &p->shape;
    const int64_t count = (int64_t)s->rank * s->memory, end = (int64_t)s->filters * s->memory;
    const int32_t units = s->filters / s->rank;
    const output_rule rule = make_rule(&p->output);
    const __m256i offset = _mm256_set1_epi16((int16_t)p->state_offset);
    for (int32_t unit = 0; unit < units; unit += UNITS) {
        const int32_t left = units - unit < UNITS ? units - unit : UNITS;
        __m256i sums[UNITS];
        for (int u = 0; u < UNITS; ++u)
            sums[u] = u < left ? unit_sum(WIDE, times, past, (unit + u) * count, count, end, offset)
                               : _mm256_setzero_si256();
        int32_t y[UNITS] = {0};
        if (bias != NULL) memcpy(y, bias + unit, (size_t)left * sizeof *bias);
        qc_store256(y, requantize(&rule, _mm256_add_epi32(add_across(sums), qc_load256(y))));
        for (int32_t u = 0; u < left; ++u) output[unit + u] = (int8_t)y[u];
    }
}

/* The newest step of every filter of one batch from its sum. */
QC_AVX2_INLINE void append_steps(const int WIDE, const qc_svdf_params *p, const int32_t *sums, void *state) {
    const qc_svdf_shape *s = &p->shape;
    const output_rule rule = make_rule(&p->to_state);
    for (int32_t f = 0; f < s->filters; f += UNITS) {
        int32_t y[UNITS];
        qc_store256(y, requantize(&rule, qc_load256(sums + f)));
        for (int32_t u = 0; u < UNITS && f + u < s->filters; ++u) {
            const int64_t newest = (int64_t)(f + u + 1) * s->memory - 1;
            if (WIDE)
                ((int16_t *)state)[newest] = (int16_t)(y[u] + p->state_offset);
            else
                ((int8_t *)state)[newest] = (int8_t)(y[u] + p->state_offset);
        }
    }
}

/* Whether the vector form knows the rules, and differences from the state's zero point fit int16. */
static int is_known(const int WIDE, const qc_svdf_params *p) {
    return p->packed != NULL && p->to_state.rounding == QC_DOUBLE_ROUNDING && p->output.rounding == QC_DOUBLE_ROUNDING &&
           p->to_state.body == INT32_MAX && p->output.body == INT32_MAX && (!WIDE || p->state_offset == 0);
}

QC_AVX2_INLINE void svdf(const qc_rows_isa *isa, const int WIDE, const qc_svdf_params *p, void *const *tensors,
                         void *scratch) {
    const qc_svdf_shape *s = &p->shape;
    const int64_t element = WIDE ? sizeof(int16_t) : sizeof(int8_t), size = (int64_t)s->filters * s->memory;
    const int64_t padded = qc_round_up(s->filters, QC_LANES);
    uint8_t *memory = scratch, *state = tensors[4];
    void *vector = qc_take(&memory, qc_rows_vector_size(s->inputs));
    int32_t *start = qc_take(&memory, padded * (int64_t)sizeof *start);
    int32_t *sums = qc_take(&memory, padded * (int64_t)sizeof *sums);
    qc_rows_start(isa, p->packed, s->filters, s->inputs, p->input_offset, NULL, start);
    memmove(state, state + element, (size_t)((s->batches * size - 1) * element));
    for (int32_t b = 0; b < s->batches; ++b) {
        uint8_t *past = state + b * size * element;
        isa->prepare((const int8_t *)tensors[0] + (int64_t)b * s->inputs, s->inputs, vector);
        isa->multiply(p->packed, qc_round_up(s->inputs, QC_QUAD) / QC_QUAD, (int32_t)(padded / QC_LANES), vector, start,
                      sums);
        append_steps(WIDE, p, sums, past);
        sum_over_time(WIDE, p, tensors[2], past, tensors[3], (int8_t *)tensors[5] + (int64_t)b * (s->filters / s->rank));
    }
}

#define QC_SVDF_VERSIONS(ISA)                                                                                       \
    __attribute__((target("avx2"))) qc_status qc_svdf_s8_##ISA(const qc_svdf_params *p, void *const *tensors,       \
                                                               void *scratch) {                                     \
        if (!is_known(0, p)) return qc_svdf_s8_ref(p, tensors, scratch);                                            \
        svdf(&qc_rows_##ISA, 0, p, tensors, scratch);                                                               \
        return QC_OK;                                                                                               \
    }                                                                                                               \
    __attribute__((target("avx2"))) qc_status qc_svdf_state_s16_s8_##ISA(const qc_svdf_params *p,                   \
                                                                         void *const *tensors, void *scratch) {     \
        if (!is_known(1, p)) return qc_svdf_state_s16_s8_ref(p, tensors, scratch);                                  \
        svdf(&qc_rows_##ISA, 1, p, tensors, scratch);                                                               \
        return QC_OK;                                                                                               \
    }

QC_SVDF_VERSIONS(avx2)
QC_SVDF_VERSIONS(vnni)
