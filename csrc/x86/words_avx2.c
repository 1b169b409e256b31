/* Element-wise operators on int16, and PRELU and SQUARED_DIFFERENCE of 8 bits, 16 elements at a time: functions and
 * rescaling of functions16_avx2.h. Rules other than double rounding are left to the definitions. */
#include <string.h>

#include "../kernels.h"
#include "functions16_avx2.h"
#include "long_rows.h"

#define TARGET __attribute__((target("avx2")))
#define INLINE QC_INLINE_AVX2
enum { LANES = 16 };

/* LOGISTIC and TANH. */
#define FUNCTION(name, P, function, parameters)                                                             \
    TARGET qc_status qc_##name##_avx2(const P *p, const int16_t *input, int16_t *output, void *scratch) {   \
        (void)scratch;                                                                                      \
        int64_t i = 0;                                                                                      \
        for (; i + LANES <= p->count; i += LANES)                                                           \
            qc_store256(output + i, function parameters);                                                   \
        if (i == p->count) return QC_OK;                                                                    \
        P rest = *p;                                                                                        \
        rest.count = p->count - i;                                                                          \
        return qc_##name##_ref(&rest, input + i, output + i, scratch);                                      \
    }

/* qc_saturating_shift_left16 by 0 or 1. */
INLINE __m256i shifted(const qc_sigmoid_fixed_params *p, const int16_t *input) {
    const __m256i x = qc_load256(input);
    return p->left_shift ? _mm256_adds_epi16(x, x) : x;
}

FUNCTION(logistic_s16, qc_sigmoid_s16_params, qc_logistic_table16_avx2,
         (qc_load256(input + i), p->multiplier, p->right_shift))
FUNCTION(tanh_s16, qc_sigmoid_s16_params, qc_tanh_table16_avx2,
         (qc_load256(input + i), p->multiplier, p->right_shift))
FUNCTION(logistic_fixed_s16, qc_sigmoid_fixed_params, qc_logistic16_avx2, (shifted(p, input + i), 3))
FUNCTION(tanh_fixed_s16, qc_sigmoid_fixed_params, qc_tanh16_avx2, (shifted(p, input + i), 3))

/* Two vectors of 8 int32 to 16 elements, in order; what does not fit is saturated. */
INLINE void store_s16(int16_t *to, __m256i low, __m256i high) {
    qc_store256(to, qc_pack16_avx2(low, high));
}

INLINE void store_s8(int8_t *to, __m256i low, __m256i high) {
    const __m256i words = qc_pack16_avx2(low, high);
    _mm_storeu_si128((__m128i *)(void *)to,
                     _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

INLINE void store_u8(uint8_t *to, __m256i low, __m256i high) {
    const __m256i words = qc_pack16_avx2(low, high);
    _mm_storeu_si128((__m128i *)(void *)to,
                     _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

/* A requantization by double rounding in registers. */
typedef struct {
    qc_factor_avx2 factor;
    __m256i input_offset, output_offset, low, high;
} lanes;

INLINE lanes load_lanes(const qc_requant *r, int32_t input_offset) {
    const lanes l = {qc_make_factor_avx2(r->multiplier[0], r->shift[0]), _mm256_set1_epi32(input_offset),
                     _mm256_set1_epi32(r->output_offset), _mm256_set1_epi32(r->activation_min),
                     _mm256_set1_epi32(r->activation_max)};
    return l;
}

INLINE __m256i requantized(const lanes *l, __m256i x) {
    const __m256i y = qc_rescale_avx2(&l->factor, _mm256_add_epi32(x, l->input_offset));
    return _mm256_min_epi32(_mm256_max_epi32(_mm256_add_epi32(y, l->output_offset), l->low), l->high);
}

static int is_known(const qc_requant *r) {
    return r->rounding == QC_DOUBLE_ROUNDING && r->body == INT32_MAX && r->multiplier[0] >= 0 && !r->per_channel;
}

/* A kernel on int16 with a requantization; offset: of its input. */
#define RESCALED(name, P, Out, suffix, offset)                                                              \
    TARGET qc_status qc_##name##_avx2(const P *p, const int16_t *input, Out *output, void *scratch) {       \
        if (!is_known(&p->requant)) return qc_##name##_ref(p, input, output, scratch);                      \
        const lanes l = load_lanes(&p->requant, offset);                                                    \
        int64_t i = 0;                                                                                      \
        for (; i + LANES <= p->count; i += LANES) {                                                         \
            const __m256i x = qc_load256(input + i);                                                        \
            const __m256i low = requantized(&l, qc_low_half_avx2(x)), high = requantized(&l, qc_high_half_avx2(x)); \
            store_##suffix(output + i, low, high);                                                          \
        }                                                                                                   \
        if (i == p->count) return QC_OK;                                                                    \
        P rest = *p;                                                                                        \
        rest.count = p->count - i;                                                                          \
        return qc_##name##_ref(&rest, input + i, output + i, scratch);                                      \
    }
#define MINUS(x) ((int32_t)(0 - (uint32_t)(x)))
RESCALED(relu_s16, qc_relu_params, int16_t, s16, p->input_offset)
RESCALED(requantize_s16_s8, qc_requantize_params, int8_t, s8, MINUS(p->input_zero_point))
RESCALED(requantize_s16_u8, qc_requantize_params, uint8_t, u8, MINUS(p->input_zero_point))
RESCALED(requantize_s16_s16, qc_requantize_params, int16_t, s16, MINUS(p->input_zero_point))

TARGET qc_status qc_leaky_relu_s16_avx2(const qc_leaky_relu_params *p, const int16_t *input, int16_t *output,
                                        void *scratch) {
    if (p->rounding == QC_SINGLE_ROUNDING || p->identity_multiplier < 0 || p->alpha_multiplier < 0)
        return qc_leaky_relu_s16_ref(p, input, output, scratch);
    const qc_factor_avx2 identity = qc_make_factor_avx2(p->identity_multiplier, p->identity_shift);
    const qc_factor_avx2 alpha = qc_make_factor_avx2(p->alpha_multiplier, p->alpha_shift);
    const __m256i input_offset = _mm256_set1_epi32(p->input_offset);
    const __m256i output_offset = _mm256_set1_epi32(p->output_offset), negates = _mm256_set1_epi32(-p->negates_alpha);
    int64_t i = 0;
    for (; i + LANES <= p->count; i += LANES) {
        const __m256i words = qc_load256(input + i);
        __m256i y[2] = {qc_low_half_avx2(words), qc_high_half_avx2(words)};
        for (int half = 0; half < 2; ++half) {
            const __m256i d = _mm256_add_epi32(y[half], input_offset);
            const __m256i scaled = qc_rescale_avx2(&alpha, d);
            const __m256i negative = _mm256_sub_epi32(_mm256_xor_si256(scaled, negates), negates);
            const __m256i one = _mm256_blendv_epi8(qc_rescale_avx2(&identity, d), negative, _mm256_srai_epi32(d, 31));
            y[half] = _mm256_add_epi32(one, output_offset);
        }
        store_s16(output + i, y[0], y[1]);
    }
    if (i == p->count) return QC_OK;
    qc_leaky_relu_params rest = *p;
    rest.count = p->count - i;
    return qc_leaky_relu_s16_ref(&rest, input + i, output + i, scratch);
}

/* Up to 16 bytes of a row; a stride of 0 repeats one. */
INLINE __m128i load_bytes(const uint8_t *from, int64_t stride, int64_t count) {
    if (stride == 0) return _mm_set1_epi8((char)*from);
    if (count >= LANES) return _mm_loadu_si128((const __m128i *)(const void *)from);
    uint8_t bytes[LANES] = {0};
    memcpy(bytes, from, (size_t)count);
    return _mm_loadu_si128((const __m128i *)(const void *)bytes);
}

/* Defines `name`, a row of two inputs of T: `one`(c, a, b) makes 8 outputs, c is the C that `load`(rule) gives. */
#define BYTE_ROW(name, P, C, T, widen, store, load, one)                                                      \
    TARGET static void name(const void *rule, const void *input1, int64_t stride1, const void *input2,        \
                            int64_t stride2, void *output, int64_t count) {                                   \
        const C c = load((const P *)rule);                                                                    \
        const uint8_t *first = (const uint8_t *)input1, *second = (const uint8_t *)input2;                    \
        for (int64_t i = 0; i < count; i += LANES) {                                                          \
            const __m128i a = load_bytes(first + i * stride1, stride1, count - i);                            \
            const __m128i b = load_bytes(second + i * stride2, stride2, count - i);                           \
            const __m256i low = one(&c, widen(a), widen(b));                                                  \
            const __m256i high = one(&c, widen(_mm_srli_si128(a, 8)), widen(_mm_srli_si128(b, 8)));           \
            T block[LANES];                                                                                   \
            store(block, low, high);                                                                          \
            memcpy((T *)output + i, block, (size_t)(count - i < LANES ? count - i : LANES));                  \
        }                                                                                                     \
    }

/* PRELU in registers. */
typedef struct {
    qc_factor_avx2 identity, alpha;
    __m256i input_offset, alpha_offset, output_offset;
} prelu_lanes;

INLINE prelu_lanes load_prelu(const qc_prelu_params *p) {
    const prelu_lanes l = {qc_make_factor_avx2(p->identity_multiplier, p->identity_shift),
                           qc_make_factor_avx2(p->alpha_multiplier, p->alpha_shift), _mm256_set1_epi32(p->input_offset),
                           _mm256_set1_epi32(p->alpha_offset), _mm256_set1_epi32(p->output_offset)};
    return l;
}

INLINE __m256i prelu_one(const prelu_lanes *l, __m256i q, __m256i a) {
    const __m256i d = _mm256_add_epi32(q, l->input_offset);
    const __m256i product = _mm256_mullo_epi32(d, _mm256_add_epi32(a, l->alpha_offset));
    const __m256i y = _mm256_blendv_epi8(qc_rescale_avx2(&l->identity, d), qc_rescale_avx2(&l->alpha, product),
                                         _mm256_srai_epi32(d, 31));
    return _mm256_add_epi32(y, l->output_offset);
}

#define PRELU(suffix, T, widen)                                                                                 \
    BYTE_ROW(prelu_##suffix##_row, qc_prelu_params, prelu_lanes, T, widen, store_##suffix, load_prelu, prelu_one) \
    qc_status qc_prelu_##suffix##_avx2(const qc_prelu_params *p, const T *input, const T *alpha, T *output,     \
                                       void *scratch) {                                                         \
        if (p->identity_multiplier < 0 || p->alpha_multiplier < 0)                                              \
            return qc_prelu_##suffix##_ref(p, input, alpha, output, scratch);                                   \
        qc_walk_long_rows(&p->broadcast, p, input, alpha, output, sizeof(T), prelu_##suffix##_row);             \
        return QC_OK;                                                                                           \
    }
PRELU(s8, int8_t, _mm256_cvtepi8_epi32)
PRELU(u8, uint8_t, _mm256_cvtepu8_epi32)

/* SQUARED_DIFFERENCE in registers. */
typedef struct {
    qc_factor_avx2 factor1, factor2, output;
    __m256i offset1, offset2, output_offset, low, high;
} difference_lanes;

INLINE qc_factor_avx2 input_factor(int32_t multiplier, int32_t left_shift, int32_t shift) {
    qc_factor_avx2 f = qc_make_factor_avx2(multiplier, shift);
    f.left = _mm_cvtsi32_si128(left_shift);
    return f;
}

INLINE difference_lanes load_difference(const qc_add_rule *r) {
    const difference_lanes l = {input_factor(r->input1_multiplier, r->left_shift, r->input1_shift),
                                input_factor(r->input2_multiplier, r->left_shift, r->input2_shift),
                                qc_make_factor_avx2(r->output_multiplier, r->output_shift),
                                _mm256_set1_epi32(r->input1_offset),
                                _mm256_set1_epi32(r->input2_offset),
                                _mm256_set1_epi32(r->output_offset),
                                _mm256_set1_epi32(r->activation_min),
                                _mm256_set1_epi32(r->activation_max)};
    return l;
}

INLINE __m256i square_one(const difference_lanes *l, __m256i q1, __m256i q2) {
    const __m256i a = qc_rescale_avx2(&l->factor1, _mm256_add_epi32(q1, l->offset1));
    const __m256i d = _mm256_sub_epi32(a, qc_rescale_avx2(&l->factor2, _mm256_add_epi32(q2, l->offset2)));
    const __m256i y = _mm256_add_epi32(qc_rescale_avx2(&l->output, _mm256_mullo_epi32(d, d)), l->output_offset);
    return _mm256_min_epi32(_mm256_max_epi32(y, l->low), l->high);
}

BYTE_ROW(squared_difference_row, qc_add_rule, difference_lanes, int8_t, _mm256_cvtepi8_epi32, store_s8,
         load_difference, square_one)

qc_status qc_squared_difference_s8_avx2(const qc_add_params *p, const int8_t *input1, const int8_t *input2,
                                        int8_t *output, void *scratch) {
    const qc_add_rule *r = &p->rule;
    if (r->input1_multiplier < 0 || r->input2_multiplier < 0 || r->output_multiplier < 0)
        return qc_squared_difference_s8_ref(p, input1, input2, output, scratch);
    qc_walk_long_rows(&p->broadcast, r, input1, input2, output, 1, squared_difference_row);
    return QC_OK;
}
