/* The order in which Eigen, compiled for AVX, adds the elements of a float32 expression when it reduces all of
 * them to one number, as TensorFlow's kernels do; with TensorFlow's threads, which flush subnormal numbers to 0.
 *
 * Source: Eigen 5.0.1, unsupported/CXX11/src/Tensor/TensorReduction.h (InnerMostDimReducer, FullReducer) and
 * TensorCostModel.h. Derivation: docs/numerics/eigen.md. */
#ifndef QUANTCORE_EIGEN_SUM_H
#define QUANTCORE_EIGEN_SUM_H

#include <stdint.h>

#include "quantcore/eigen_product.h"
#include "quantcore/fixed_point.h"

enum {
    QC_EIGEN_LEAF = 1024 * QC_EIGEN_PACKET, /* more elements are added in two halves */
    QC_EIGEN_SUMS = 4,                      /* packets that are added by turns */
};

/* Element i of what is added up. */
typedef float qc_eigen_term(const void *terms, int64_t i);

/* a + b; where that is subnormal it is exact. */
static inline float qc_eigen_add(float a, float b) {
    return qc_flush_input(a + b);
}

/* sum[l] += the next packet of terms. */
static inline void qc_eigen_add_packet(float *sum, qc_eigen_term *term, const void *terms, int64_t first) {
    for (int l = 0; l < QC_EIGEN_PACKET; ++l) sum[l] = qc_eigen_add(sum[l], term(terms, first + l));
}

/* The sum of a packet's lanes, which it changes: halves are added until one number is left. */
static inline float qc_eigen_fold(float *lanes) {
    for (int width = QC_EIGEN_PACKET / 2; width > 0; width /= 2)
        for (int l = 0; l < width; ++l) lanes[l] = qc_eigen_add(lanes[l], lanes[l + width]);
    return lanes[0];
}

/* At most QC_EIGEN_LEAF terms: packets in 4 sums by turns, then whole packets that are left in the first of them;
 * the terms behind the last whole packet have a sum of their own. */
static inline float qc_eigen_sum_leaf(qc_eigen_term *term, const void *terms, int64_t first, int64_t count) {
    float sums[QC_EIGEN_SUMS][QC_EIGEN_PACKET] = {{0}};
    float *sum = sums[0];
    const int64_t by_turns = count / (QC_EIGEN_SUMS * QC_EIGEN_PACKET) * QC_EIGEN_SUMS;
    int64_t packet = 0;
    for (; packet < by_turns; ++packet)
        qc_eigen_add_packet(sums[packet % QC_EIGEN_SUMS], term, terms, first + packet * QC_EIGEN_PACKET);
    for (int k = 1; k < QC_EIGEN_SUMS; ++k)
        for (int l = 0; l < QC_EIGEN_PACKET; ++l) sum[l] = qc_eigen_add(sum[l], sums[k][l]);
    for (; packet < count / QC_EIGEN_PACKET; ++packet)
        qc_eigen_add_packet(sum, term, terms, first + packet * QC_EIGEN_PACKET);
    float rest = 0.0f;
    for (int64_t i = packet * QC_EIGEN_PACKET; i < count; ++i) rest = qc_eigen_add(rest, term(terms, first + i));
    return qc_eigen_add(rest, qc_eigen_fold(sum));
}

/* The sum of at most QC_EIGEN_LEAF terms: qc_eigen_sum_leaf with a term, or a vector version of it. */
typedef float qc_eigen_leaf(const void *terms, int64_t first, int64_t count);

/* Any number of terms on one thread: halves, the first of them up to a multiple of a packet from the beginning of
 * all terms. */
static inline float qc_eigen_sum_tree(qc_eigen_leaf *leaf, const void *terms, int64_t first, int64_t count) {
    if (count <= QC_EIGEN_LEAF) return leaf(terms, first, count);
    const int64_t middle = first + (count + 1) / 2;
    const int64_t split = (middle + QC_EIGEN_PACKET - 1) / QC_EIGEN_PACKET * QC_EIGEN_PACKET;
    const float left = qc_eigen_add(0.0f, qc_eigen_sum_tree(leaf, terms, first, split - first));
    return qc_eigen_add(left, qc_eigen_sum_tree(leaf, terms, split, first + count - split));
}

/* How many of `most` threads Eigen starts for that many elements, of which it estimates the processor's cycles. */
static inline int64_t qc_eigen_threads(int64_t count, double cycles, int32_t most) {
    const double startup = 100000.0, per_thread = 100000.0;
    const double wanted = ((double)count * cycles - startup) / per_thread + 0x1.ccccccccccccdp-1; /* 0.9 */
    return wanted < 2.0 ? 1 : wanted < (double)most ? (int64_t)wanted : most;
}

/* The sum on at most that many threads: a block of equal size for each; what is left comes first. cycles: Eigen's
 * estimate for one term. */
static inline float qc_eigen_sum(qc_eigen_leaf *leaf, const void *terms, int64_t count, double cycles,
                                 int32_t num_threads) {
    const int64_t threads = qc_eigen_threads(count, cycles, num_threads);
    if (threads == 1) return qc_eigen_sum_tree(leaf, terms, 0, count);
    const int64_t size = count / threads, blocks = count / size;
    float sum = qc_eigen_sum_tree(leaf, terms, blocks * size, count - blocks * size);
    for (int64_t i = 0; i < blocks; ++i) sum = qc_eigen_add(sum, qc_eigen_sum_tree(leaf, terms, i * size, size));
    return sum;
}

#endif
