/* Products by SDOT, which adds four products of int8 to an int32. */
#include "product.h"

#ifdef QC_DOTPROD

/* One quad: 4 units in each vector of the filter, by lane `lane` of the activations of each row. What is no
 * instruction says that the filter's address depends on a sum: the compiler would load all four quads first, which
 * leaves no registers for the sums. */
#define QUAD(lane)                                                                                  \
    __asm__("" : "+r"(filter), "+w"(sums[0][3]));                                                   \
    for (int b = 0; b < 4; ++b) {                                                                   \
        const int8x16_t w = vld1q_s8(filter + (lane) * QC_LANES * QC_QUAD + b * 16);                \
        for (int r = 0; r < ROWS; ++r) sums[r][b] = vdotq_laneq_s32(sums[r][b], w, x[r], lane);     \
    }

/* ROWS is a constant, so that the sums stay in registers. */
QC_DOTPROD static inline __attribute__((always_inline)) void product(const int ROWS, const qc_tile_runs *t,
                                                                     const int8_t *filter, int32_t *acc) {
    const int8x16_t flip = vdupq_n_s8((int8_t)t->flip);
    int32x4_t sums[QC_TILE_ROWS][4];
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; ++r)
        for (int b = 0; b < 4; ++b) sums[r][b] = vld1q_s32(acc + r * QC_LANES + b * 4);
    for (int64_t k = 0; k < t->runs; ++k) {
        const uint8_t *const *places = t->places + k * QC_TILE_ROWS;
        int8x16_t x[QC_TILE_ROWS];
        int64_t q = 0;
        for (; q + 4 <= t->quads; q += 4, filter += 4 * QC_LANES * QC_QUAD) {
            for (int r = 0; r < ROWS; ++r)
                x[r] = veorq_s8(vreinterpretq_s8_u8(vld1q_u8(places[r] + q * QC_QUAD)), flip);
            QUAD(0)
            QUAD(1)
            QUAD(2)
            QUAD(3)
        }
        for (; q < t->quads; ++q, filter += QC_LANES * QC_QUAD) {
            for (int r = 0; r < ROWS; ++r) x[r] = veorq_s8(qc_load_quad(places[r] + q * QC_QUAD), flip);
            QUAD(0)
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; ++r)
        for (int b = 0; b < 4; ++b) vst1q_s32(acc + r * QC_LANES + b * 4, sums[r][b]);
}

QC_DOTPROD void qc_tile_product_dotprod(const qc_tile_runs *t, int32_t rows, const int8_t *filter, int32_t *acc) {
    if (rows == 1)
        product(1, t, filter, acc);
    else
        product(QC_TILE_ROWS, t, filter, acc);
}

#else
typedef int qc_no_dotprod; /* a file must not be empty */
#endif
