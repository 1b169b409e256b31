/* Functions of one element: the definitions. */
#include "quantcore/unary_rules.h"

#include "quantcore/eigen_functions.h"
#include "quantcore/inverse_sqrt.h"

static const float SQRT_HALF = 0x1.6a09e6p-1f, SQRT_2_PI = 0x1.988454p-1f;

qc_status qc_unary_f32_ref(const qc_unary_params *p, const float *input, float *output, void *scratch) {
    (void)scratch;
    switch (p->function) {
        QC_PLAIN_FUNCTIONS
        case QC_EXP: QC_EACH(expf(x))
        case QC_LOG: QC_EACH(logf(x))
        case QC_SIN: QC_EACH(sinf(x))
        case QC_COS: QC_EACH(cosf(x))
        case QC_ELU: QC_EACH(x < 0.0f ? expm1f(x) : x)
        case QC_ELU_EXP: QC_EACH(x < 0.0f ? expf(x) - 1.0f : x)
        case QC_GELU: QC_EACH(0.5f * x * erfcf(x * -SQRT_HALF))
        case QC_GELU_TANH: QC_EACH(0.5f * x * (1.0f + tanhf(qc_gelu_tanh_argument(x))))
        case QC_GELU_TANH_EIGEN:
            QC_EACH(0.5f * x * (1.0f + qc_eigen_tanh(SQRT_2_PI * (x + 0x1.6e4e26p-5f * (x * x * x)))))
    }
    return QC_BAD_ARGUMENT;
}

/* The sum and the difference wrap in the unsigned type, and conversion back keeps the bits. */
#define UNARY_INTEGER(suffix, T, U)                                                                          \
    qc_status qc_unary_##suffix##_ref(const qc_unary_params *p, const T *input, T *output, void *scratch) {  \
        (void)scratch;                                                                                       \
        for (int64_t i = 0; i < p->count; ++i) {                                                             \
            const T x = input[i], minus_x = (T)(U)(0u - (U)x);                                               \
            output[i] = p->function == QC_NEG   ? minus_x                                                    \
                        : p->function == QC_ABS ? (x < 0 ? minus_x : x)                                      \
                                                : (T)((x > 0) - (x < 0));                                    \
        }                                                                                                    \
        return p->function == QC_NEG || p->function == QC_ABS || p->function == QC_SIGN ? QC_OK              \
                                                                                        : QC_BAD_ARGUMENT;   \
    }

UNARY_INTEGER(s8, int8_t, uint8_t)
UNARY_INTEGER(s16, int16_t, uint16_t)
UNARY_INTEGER(s32, int32_t, uint32_t)
UNARY_INTEGER(s64, int64_t, uint64_t)

#define ABS_KERNEL(suffix, T)                                                                                \
    qc_status qc_abs_##suffix##_ref(const qc_abs_params *p, const T *input, T *output, void *scratch) {      \
        (void)scratch;                                                                                       \
        for (int64_t i = 0; i < p->count; ++i) {                                                             \
            const int32_t d = input[i] + p->input_offset;                                                    \
            output[i] = (T)qc_requantize(&p->requant, d < 0 ? -d : d, 0);                                    \
        }                                                                                                    \
        return QC_OK;                                                                                        \
    }

ABS_KERNEL(s8, int8_t)
ABS_KERNEL(s16, int16_t)

/* x truncated to int32; outside it, INT32_MIN, as x86's conversion. */
static int32_t truncate_to_int32(float x) {
    return x >= -2147483648.0f && x < 2147483648.0f ? (int32_t)x : INT32_MIN;
}

#define SQRT_KERNEL(suffix, T, low, high)                                                                    \
    qc_status qc_sqrt_##suffix##_ref(const qc_sqrt_params *p, const T *input, T *output, void *scratch) {    \
        (void)scratch;                                                                                       \
        for (int64_t i = 0; i < p->count; ++i) {                                                             \
            const float x = p->input_scale * (float)(input[i] - p->input_zero_point);                        \
            if (x < 0.0f) return QC_BAD_DATA;                                                                \
            const int32_t y = truncate_to_int32(sqrtf(x) / p->output_scale);                                 \
            output[i] = (T)qc_clamp(qc_wrap32((int64_t)y + p->output_zero_point), low, high);                \
        }                                                                                                    \
        return QC_OK;                                                                                        \
    }

SQRT_KERNEL(s8, int8_t, INT8_MIN, INT8_MAX)
SQRT_KERNEL(s16, int16_t, INT16_MIN, INT16_MAX)

static int32_t rsqrt_one(const qc_rsqrt_params *p, int32_t x) {
    int right_shift;
    const int32_t multiplier = qc_inverse_sqrt(x, &right_shift);
    return qc_requantize(&p->requant, qc_multiply_double_rounding(1, multiplier, 20 - right_shift), 0);
}

#define RSQRT_KERNEL(suffix, T, high)                                                                        \
    qc_status qc_rsqrt_##suffix##_ref(const qc_rsqrt_params *p, const T *input, T *output, void *scratch) {  \
        (void)scratch;                                                                                       \
        for (int64_t i = 0; i < p->count; ++i) {                                                             \
            const int32_t x = input[i] + p->input_offset;                                                    \
            if (x < 0) return QC_BAD_DATA;                                                                   \
            output[i] = x == 0 ? high : (T)rsqrt_one(p, x);                                                  \
        }                                                                                                    \
        return QC_OK;                                                                                        \
    }

RSQRT_KERNEL(s8, int8_t, INT8_MAX)
RSQRT_KERNEL(s16, int16_t, INT16_MAX)
