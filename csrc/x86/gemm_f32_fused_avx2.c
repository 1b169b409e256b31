/* Float products on AVX2, fused. */
#define QC_TARGET "avx2,fma"
#define QC_WIDTH 8
#define QC_VECTORS 2
#define QC_FUSED 1
#define QC_ISA qc_float_fused_avx2
#include "gemm_f32.inc"
