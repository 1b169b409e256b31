/* Sums, averages and maxima over windows of bytes, one for each channel: what the instruction sets do for MAX_POOL_2D,
 * AVERAGE_POOL_2D, and sums over leading dimensions. */
#ifndef QUANTCORE_X86_POOL_H
#define QUANTCORE_X86_POOL_H

#include <stdint.h>

/* Element c of the pixel in row r and column k is at x[r * row_distance + k * distance + c]. At least one pixel. */
typedef struct {
    const uint8_t *x;
    int64_t row_distance, distance;
    int64_t rows, columns;
} qc_byte_window;

/* Most pixels of an average: up to here the quotient is exact in float32. */
enum { QC_AVERAGE_PIXELS = 4096 };

typedef struct {
    /* acc[c] += sum of x ^ flip, taken as unsigned, which may wrap. */
    void (*sums)(const qc_byte_window *w, uint8_t flip, int64_t channels, int32_t *acc);

    /* The sum of `count` bytes x ^ flip, taken as unsigned. */
    int64_t (*row_sum)(const uint8_t *x, uint8_t flip, int64_t count);

    /* y[c] = the average, rounded half away from zero, of at most QC_AVERAGE_PIXELS; the maximum. Clamped. */
    void (*average)(const qc_byte_window *w, int is_signed, int64_t channels, int32_t low, int32_t high, uint8_t *y);
    void (*maximum)(const qc_byte_window *w, int is_signed, int64_t channels, int32_t low, int32_t high, uint8_t *y);
} qc_pool_isa;

extern const qc_pool_isa qc_pool_avx2;
extern const qc_pool_isa qc_pool_vnni;

/* Nearest quotient of a sum and the number of its elements; C divides toward zero. */
static inline int32_t qc_nearest_average(int32_t sum, int32_t n) {
    return (sum > 0 ? sum + n / 2 : sum - n / 2) / n;
}

#endif
