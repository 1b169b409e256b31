/* CUMSUM: the definition, for each dtype. U is the type to add in: unsigned, where T is an integer, so that sums wrap. */
#include "quantcore/scan.h"

#define QC_CUMSUM(suffix, T, U)                                                                                    \
    qc_status qc_cumsum_##suffix##_ref(const qc_cumsum_params *p, void *const *tensors, void *scratch) {          \
        (void)scratch;                                                                                            \
        const T *input = (const T *)tensors[0];                                                                   \
        T *output = (T *)tensors[2];                                                                              \
        for (int64_t o = 0; o < p->outer; ++o) {                                                                  \
            for (int64_t i = 0; i < p->inner; ++i) {                                                              \
                U sum = 0;                                                                                        \
                for (int64_t k = 0; k < p->size; ++k) {                                                           \
                    const int64_t place = p->reverse ? p->size - 1 - k : k;                                       \
                    const int64_t at = (o * p->size + place) * p->inner + i;                                      \
                    if (p->exclusive) output[at] = (T)sum;                                                        \
                    sum = sum + (U)input[at];                                                                     \
                    if (!p->exclusive) output[at] = (T)sum;                                                       \
                }                                                                                                 \
            }                                                                                                     \
        }                                                                                                         \
        return QC_OK;                                                                                             \
    }

QC_CUMSUM(s32, int32_t, uint32_t)
QC_CUMSUM(s64, int64_t, uint64_t)
QC_CUMSUM(f32, float, float)
