/* The kernels of AMX on emulated tiles, and what the tests ask about these. Compiled with QC_EMULATED_TILES. */
#include "x86/product_amx.c"

int64_t emulated_products(void) {
    return qc_emulated.products;
}

int emulated_tiles_are_in_use(void) {
    return qc_emulated.configured;
}
