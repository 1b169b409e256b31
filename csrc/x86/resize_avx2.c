/* RESIZE_BILINEAR with AVX2. */
#define QC_TARGET "avx2"
#define QC_WIDTH 8
#define QC_ISA(name) name##_avx2
#include "resize.inc"
