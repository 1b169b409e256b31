/* ADD, SUB, MUL: the reference rules, vectorised by the compiler for AVX2. */
#include "../kernels.h"
#include "quantcore/elementwise_rules.h"

#define AVX2 __attribute__((target("avx2")))

QC_QUANTIZED_BINARY(avx2, AVX2)
QC_ARITHMETIC(f32, avx2, AVX2, float)
