/* The kernels of AMX on emulated tiles, and what the tests ask about these. Compiled with QC_EMULATED_TILES. */
#include "x86/product_amx.c"

#include "x86/gemm.h"

/* Not called: versions for AVX2, and the hybrid kernels of the files that have those for AMX. */
const qc_gemm_isa qc_gemm_avx2;
const qc_hybrid_loops qc_hybrid_avx2;

int64_t emulated_products(void) {
    return qc_emulated.products;
}

int emulated_tiles_are_in_use(void) {
    return qc_emulated.configured;
}
