/* Float products with one vector, 8 units at a time. */
#define QC_TARGET "avx2"
#define QC_WIDTH 8
#define QC_ISA qc_float_rows_avx2
#include "rows_f32.inc"
