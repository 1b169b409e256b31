/* The order in which Eigen, compiled for AVX, adds the products of a float32 matrix product: what TFLite's
 * x86 builds use for float FULLY_CONNECTED and LSTM. Every product and every sum is rounded (no FMA).
 *
 * Source: Eigen 5.0.1, Core/InnerProduct.h, Core/Redux.h, Core/products/GeneralMatrixVector.h,
 * Core/products/GeneralMatrixMatrix.h, Core/products/GeneralBlockPanelKernel.h (operator(),
 * lhs_process_one_packet), Core/arch/{SSE,AVX}/Reductions.h. Derivation: docs/numerics/eigen.md. */
#ifndef QUANTCORE_EIGEN_PRODUCT_H
#define QUANTCORE_EIGEN_PRODUCT_H

#include <stdint.h>

enum {
    QC_EIGEN_PACKET = 8,  /* floats in an AVX register */
    QC_EIGEN_ROWS = 16,   /* rows of a register block of the matrix product */
    QC_EIGEN_COLUMNS = 4, /* its columns */
    QC_EIGEN_SMALL = 20,  /* products with fewer rows, columns and terms together are computed one by one */
};

/* sum[l] += a[l] * b[l] for one packet. */
static inline void qc_eigen_madd(float *sum, const float *a, const float *b) {
    for (int l = 0; l < QC_EIGEN_PACKET; ++l) sum[l] += a[l] * b[l];
}

/* The sum of 4 lanes, and of 8: halves are added until one number is left. */
static inline float qc_eigen_sum4(const float *v) {
    return (v[0] + v[2]) + (v[1] + v[3]);
}

static inline float qc_eigen_sum8(const float *v) {
    const float halves[4] = {v[0] + v[4], v[1] + v[5], v[2] + v[6], v[3] + v[7]};
    return qc_eigen_sum4(halves);
}

/* sum + a[first] * b[first] + ..., in order. */
static inline float qc_eigen_in_order(float sum, const float *a, const float *b, int32_t first, int32_t end) {
    for (int32_t i = first; i < end; ++i) sum += a[i] * b[i];
    return sum;
}

/* Row of a matrix times a vector: the products in packets, those left over one by one. With `half`, 4 of
 * those left over are a packet of their own. */
static inline float qc_eigen_row_times_vector(const float *row, const float *x, int32_t count, int half) {
    float sums[QC_EIGEN_PACKET] = {0};
    int32_t i = 0;
    for (; i <= count - QC_EIGEN_PACKET; i += QC_EIGEN_PACKET) qc_eigen_madd(sums, row + i, x + i);
    float sum = qc_eigen_sum8(sums);
    if (half && i <= count - 4) {
        float products[4];
        for (int l = 0; l < 4; ++l) products[l] = row[i + l] * x[i + l];
        sum += qc_eigen_sum4(products);
        i += 4;
    }
    return qc_eigen_in_order(sum, row, x, i, count);
}

/* Inner product of two vectors: packets in 4 sums by turns, which are added from the last to the first, then
 * what is left over one by one. */
static inline float qc_eigen_inner_product(const float *a, const float *b, int32_t count) {
    float sums[4][QC_EIGEN_PACKET] = {{0}};
    const int32_t packets = count / QC_EIGEN_PACKET;
    for (int32_t k = 0; k < packets; ++k)
        qc_eigen_madd(sums[k % 4], a + k * QC_EIGEN_PACKET, b + k * QC_EIGEN_PACKET);
    for (int32_t k = (packets < 4 ? packets : 4) - 1; k > 0; --k)
        for (int l = 0; l < QC_EIGEN_PACKET; ++l) sums[k - 1][l] += sums[k][l];
    return qc_eigen_in_order(qc_eigen_sum8(sums[0]), a, b, packets * QC_EIGEN_PACKET, count);
}

/* Even and odd terms in sums of their own, up to a multiple of 8; then the rest. */
static inline float qc_eigen_even_and_odd(const float *a, const float *b, int32_t count) {
    const int32_t whole = count / 8 * 8;
    float even = 0.0f, odd = 0.0f;
    for (int32_t i = 0; i < whole; i += 2) {
        even += a[i] * b[i];
        odd += a[i + 1] * b[i + 1];
    }
    return qc_eigen_in_order(even + odd, a, b, whole, count);
}

/* 8 sums by turns, up to a multiple of 8, which become two, of even and of odd terms; pairs of what is left
 * go on with these, and a last term comes after their sum. */
static inline float qc_eigen_by_eight(const float *a, const float *b, int32_t count) {
    float sums[8] = {0};
    int32_t i = 0;
    for (; i <= count - 8; i += 8) qc_eigen_madd(sums, a + i, b + i);
    float even = (sums[0] + sums[2]) + (sums[4] + sums[6]);
    float odd = (sums[1] + sums[3]) + (sums[5] + sums[7]);
    for (; i <= count - 2; i += 2) {
        even += a[i] * b[i];
        odd += a[i + 1] * b[i + 1];
    }
    return qc_eigen_in_order(even + odd, a, b, i, count);
}

/* One element of a matrix [rows, count] times the transpose of vectors [columns, count]. All at least 1.
 *
 * Beyond 400 terms and with several rows and columns Eigen takes the terms in blocks that depend on the size
 * of the processor's L1 cache (400 terms for 32 KiB, 608 for 48 KiB); this is not done here. */
static inline float qc_eigen_product(const float *matrix, const float *vectors, int32_t count, int32_t rows,
                                     int32_t columns, int32_t row, int32_t column) {
    const float *w = matrix + (int64_t)row * count;
    const float *x = vectors + (int64_t)column * count;
    if (rows == 1 && columns == 1) return qc_eigen_inner_product(w, x, count);
    if (columns == 1) return qc_eigen_row_times_vector(w, x, count, row == rows - 1 && rows % 2 == 1);
    if (rows == 1) return qc_eigen_row_times_vector(x, w, count, column == columns - 1 && columns % 2 == 1);
    if ((int64_t)rows + columns + count < QC_EIGEN_SMALL) return qc_eigen_row_times_vector(w, x, count, 0);
    if (row < rows / QC_EIGEN_ROWS * QC_EIGEN_ROWS || column >= columns / QC_EIGEN_COLUMNS * QC_EIGEN_COLUMNS)
        return qc_eigen_in_order(0.0f, w, x, 0, count);
    return row < rows / 4 * 4 ? qc_eigen_even_and_odd(w, x, count) : qc_eigen_by_eight(w, x, count);
}

#endif
