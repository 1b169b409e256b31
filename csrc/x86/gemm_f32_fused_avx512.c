/* Float products on AVX-512, fused. */
#define QC_TARGET "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
#define QC_WIDTH 16
#define QC_VECTORS 4
#define QC_FUSED 1
#define QC_ISA qc_float_fused_avx512
#include "gemm_f32.inc"
