/* Products without dot product instructions: SMULL makes int16 of 8 products, which always fit, and SADALP adds
 * pairs of them to int32. A unit has two sums, of which each takes half of a quad. */
#include "product.h"

/* ROWS is a constant, so that the sums stay in registers; those of 2 rows do. */
static inline __attribute__((always_inline)) void product(const int ROWS, const qc_tile_runs *t, int first,
                                                          const int8_t *filter, int32_t *acc) {
    const int8x16_t flip = vdupq_n_s8((int8_t)t->flip);
    int32x4_t sums[2][8]; /* [row][units 2 k and 2 k + 1] */
#pragma GCC unroll 2
    for (int r = 0; r < ROWS; ++r)
        for (int k = 0; k < 8; ++k) sums[r][k] = vdupq_n_s32(0);
    for (int64_t run = 0; run < t->runs; ++run) {
        const uint8_t *const *places = t->places + run * QC_TILE_ROWS + first;
        for (int64_t q = 0; q < t->quads; ++q, filter += QC_LANES * QC_QUAD) {
            int8x16_t x[2];
            for (int r = 0; r < ROWS; ++r) x[r] = veorq_s8(qc_load_quad(places[r] + q * QC_QUAD), flip);
#pragma GCC unroll 4
            for (int b = 0; b < 4; ++b) {
                /* no instruction; but products are not to be made before there is a register for them */
                __asm__("" : "+r"(filter), "+w"(sums[0][(2 * b + 7) % 8]));
                const int8x16_t w = vld1q_s8(filter + b * 16);
                for (int r = 0; r < ROWS; ++r) {
                    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x[r]));
                    sums[r][2 * b] = vpadalq_s16(sums[r][2 * b], low);
                    sums[r][2 * b + 1] = vpadalq_s16(sums[r][2 * b + 1], vmull_high_s8(w, x[r]));
                }
            }
        }
    }
#pragma GCC unroll 2
    for (int r = 0; r < ROWS; ++r) {
        for (int b = 0; b < 4; ++b) {
            int32_t *four = acc + (first + r) * QC_LANES + b * 4;
            vst1q_s32(four, vaddq_s32(vld1q_s32(four), vpaddq_s32(sums[r][2 * b], sums[r][2 * b + 1])));
        }
    }
}

void qc_tile_product_neon(const qc_tile_runs *t, int32_t rows, const int8_t *filter, int32_t *acc) {
    if (rows == 1) {
        product(1, t, 0, filter, acc);
    } else {
        product(2, t, 0, filter, acc);
        product(2, t, 2, filter, acc);
    }
}
