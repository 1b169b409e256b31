/* Arithmetic that takes subnormals for zeros and makes zeros of them: that of the processor with two bits set. The
 * kernels are those of other files, so that the compiler moves nothing across these bits. */
#include <float.h>
#include <math.h>
#include <xmmintrin.h>

#include "../kernels.h"

enum { FLUSH = 0x8040 };

/* Bounds must be none: the definition does not flush these. */
static int is_subnormal(float x) {
    return x != 0.0f && fabsf(x) < FLT_MIN;
}

static qc_status divide(const qc_arithmetic_f32_params *p, const float *input1, const float *input2, float *output) {
    const qc_division_f32_params division = {.arithmetic = *p};
    return qc_div_f32_avx2(&division, input1, input2, output, NULL);
}

#define FLUSHED(op, compute)                                                                                         \
    qc_status qc_##op##_f32_flushed_avx2(const qc_arithmetic_f32_params *p, const float *input1, const float *input2, \
                                         float *output, void *scratch) {                                             \
        if (is_subnormal(p->activation_min) || is_subnormal(p->activation_max))                                      \
            return qc_##op##_f32_flushed_ref(p, input1, input2, output, scratch);                                    \
        const unsigned mode = _mm_getcsr();                                                                          \
        _mm_setcsr(mode | FLUSH);                                                                                    \
        const qc_status status = compute;                                                                            \
        _mm_setcsr(mode);                                                                                            \
        return status;                                                                                               \
    }
FLUSHED(add, qc_add_f32_avx2(p, input1, input2, output, scratch))
FLUSHED(sub, qc_sub_f32_avx2(p, input1, input2, output, scratch))
FLUSHED(mul, qc_mul_f32_avx2(p, input1, input2, output, scratch))
FLUSHED(div, divide(p, input1, input2, output))
FLUSHED(squared_difference, qc_squared_difference_f32_avx2(p, input1, input2, output, scratch))
