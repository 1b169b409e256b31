/* TensorFlow's QuantizeV2 and Dequantize: the definitions. */
#include "quantcore/tf_quantize_rules.h"

static float clamp(float x, const qc_tf_quantize_range *r) {
    return qc_tf_greater(qc_tf_lesser(x, r->max_range), r->min_range);
}

/* Toward zero; NaN and values outside int32 give INT32_MIN, as x86's conversion. */
static int32_t convert_to_int32(float v) {
    return v >= -2147483648.0f && v < 2147483648.0f ? (int32_t)v : INT32_MIN;
}

/* A whole number in float32 as the integer that has to be wrapped: below 2^63 in all modes. */
static int64_t quantize_one(qc_tf_mode mode, const qc_tf_quantize_range *r, float lowest, float highest, float x) {
    float v = qc_flush_input(x);
    switch (mode) {
    case QC_TF_MIN_COMBINED:
        v = qc_tf_add(qc_tf_multiply(qc_tf_add(clamp(v, r), -r->min_range), r->scale), -r->offset);
        return (int64_t)(lowest < 0.0f ? roundf(v) : v);
    case QC_TF_MIN_FIRST:
        v = qc_tf_add(roundf(qc_tf_multiply(v, r->scale)), -r->offset);
        break;
    case QC_TF_SCALED_HALF_AWAY_FROM_ZERO:
        return (int64_t)roundf(qc_tf_multiply(clamp(v, r), r->scale));
    case QC_TF_SCALED_HALF_TO_EVEN:
        return (int64_t)nearbyintf(qc_tf_multiply(clamp(v, r), r->scale));
    case QC_TF_ONEDNN_SCALED:
        v = nearbyintf(qc_tf_multiply(v, r->scale));
        break;
    case QC_TF_ONEDNN_MIN_FIRST:
        v = nearbyintf(qc_tf_add(qc_tf_multiply(v, r->scale), r->offset));
        break;
    case QC_TF_ONEDNN_MIN_FIRST_SCALAR:
        return convert_to_int32(qc_tf_multiply(qc_tf_add(v, -r->min_range), r->scale));
    }
    return (int64_t)qc_tf_lesser(qc_tf_greater(v, lowest), highest);
}

/* for every element i of slice s of an [outer][slices][inner] array */
#define FOR_EACH(p, i, s)                                                                          \
    for (int64_t o = 0, i = 0; o < (p)->outer; ++o)                                                \
        for (int64_t s = 0; s < (p)->slices; ++s)                                                  \
            for (int64_t k = 0; k < (p)->inner; ++k, ++i)

/* U: the unsigned type of T's width, to which C wraps */
#define DEFINE_QUANTIZE(suffix, T, U, lowest, highest)                                             \
    qc_status qc_tf_quantize_f32_##suffix##_ref(const qc_tf_quantize_params *p, const float *input, T *output, \
                                                void *scratch) {                                   \
        (void)scratch;                                                                             \
        FOR_EACH(p, i, s) { output[i] = (T)(U)quantize_one(p->mode, &p->range[s], lowest, highest, input[i]); } \
        return QC_OK;                                                                              \
    }
DEFINE_QUANTIZE(s8, int8_t, uint8_t, -128.0f, 127.0f)
DEFINE_QUANTIZE(u8, uint8_t, uint8_t, 0.0f, 255.0f)
DEFINE_QUANTIZE(s16, int16_t, uint16_t, -32768.0f, 32767.0f)
DEFINE_QUANTIZE(u16, uint16_t, uint16_t, 0.0f, 65535.0f)
/* the highest float that is an int32: MIN_FIRST saturates there */
DEFINE_QUANTIZE(s32, int32_t, uint32_t, -2147483648.0f, 2147483520.0f)

static float to_bfloat16(float x) {
    union {
        float real;
        uint32_t bits;
    } u = {x};
    u.bits = (u.bits + 0x7fff + (u.bits >> 16 & 1)) & 0xffff0000u; /* half to even; beyond the largest: infinity */
    return u.real;
}

#define DEFINE_DEQUANTIZE(suffix, T)                                                               \
    qc_status qc_tf_dequantize_##suffix##_f32_ref(const qc_tf_dequantize_params *p, const T *input, float *output, \
                                                  void *scratch) {                                 \
        (void)scratch;                                                                             \
        FOR_EACH(p, i, s) {                                                                        \
            const qc_tf_dequantize_terms *t = &p->terms[s];                                        \
            const float q = p->by_int32 ? (float)convert_to_int32((float)input[i]) : (float)input[i];  \
            const float real = qc_tf_add(qc_tf_multiply(q + t->shift, t->scale), t->offset);       \
            output[i] = p->bfloat16 ? to_bfloat16(real) : real;                                    \
        }                                                                                          \
        return QC_OK;                                                                              \
    }
DEFINE_DEQUANTIZE(s8, int8_t)
DEFINE_DEQUANTIZE(u8, uint8_t)
DEFINE_DEQUANTIZE(s16, int16_t)
DEFINE_DEQUANTIZE(u16, uint16_t)
DEFINE_DEQUANTIZE(s32, int32_t)
