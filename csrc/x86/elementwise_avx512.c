/* ADD, SUB, MUL on 8-bit integers: the reference rules, vectorised by the compiler for AVX-512. */
#include "../kernels.h"
#include "quantcore/elementwise_rules.h"

QC_QUANTIZED_BINARY(avx512, __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))))
