/* Float products with one vector, 16 units at a time. */
#define QC_TARGET "avx512f,avx512vl,avx512dq,avx512bw"
#define QC_WIDTH 16
#define QC_ISA qc_float_rows_avx512
#include "rows_f32.inc"
