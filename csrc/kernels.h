/* What the rows of kernels.def declare: the type qc_<name>_kernel of each kernel, which its definition must have,
 * and the vector versions. */
#ifndef QUANTCORE_KERNELS_H
#define QUANTCORE_KERNELS_H

#include "quantcore/custom.h" /* of a kernel that has no row: qc_custom_kernel */

#define QC_KERNEL_1(name, P, A, O) \
    typedef qc_status qc_##name##_kernel(const P *params, const A *input, O *output, void *scratch); \
    QC_VERSION(name, ref)
#define QC_KERNEL_2(name, P, A, B, O) \
    typedef qc_status qc_##name##_kernel(const P *params, const A *, const B *, O *output, void *scratch); \
    QC_VERSION(name, ref)
#define QC_KERNEL_3(name, P, A, B, C, O) \
    typedef qc_status qc_##name##_kernel(const P *params, const A *, const B *, const C *, O *output, void *scratch); \
    QC_VERSION(name, ref)
#define QC_KERNEL_V(name, P) \
    typedef qc_status qc_##name##_kernel(const P *params, void *const *tensors, void *scratch); \
    QC_VERSION(name, ref)
#define QC_VERSION(name, isa) qc_##name##_kernel qc_##name##_##isa;
#include "kernels.def"

#endif
