/* RESIZE_BILINEAR with AVX-512. */
#define QC_TARGET "avx512f,avx512bw,avx512vl,avx512dq"
#define QC_WIDTH 16
#define QC_ISA(name) name##_avx512
#include "resize.inc"
