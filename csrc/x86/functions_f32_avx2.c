/* Functions of floats with AVX2 and FMA, 8 at a time. */
#include "eigen_functions_avx2.h"
#include "floats_avx2.h"

#include "functions_f32.inc"

/* Eigen's functions have no AVX-512 form: 8 at a time there, too. */
INLINE floats eigen_logistic(floats x) {
    return (floats)qc_eigen_logistic_avx2((__m256)x);
}
INLINE floats eigen_tanh(floats x) {
    return (floats)qc_eigen_tanh_avx2((__m256)x);
}
EACH_VECTOR(each_eigen_logistic, eigen_logistic)
EACH_VECTOR(each_eigen_tanh, eigen_tanh)

qc_status qc_logistic_eigen_f32_avx2(const qc_function_f32_params *p, const float *input, float *output,
                                     void *scratch) {
    (void)scratch;
    each_eigen_logistic(input, p->count, output);
    return QC_OK;
}

qc_status qc_tanh_eigen_f32_avx2(const qc_function_f32_params *p, const float *input, float *output, void *scratch) {
    (void)scratch;
    each_eigen_tanh(input, p->count, output);
    return QC_OK;
}
