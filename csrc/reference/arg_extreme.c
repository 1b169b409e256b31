/* ARG_MAX and ARG_MIN: the definitions. */
#include "quantcore/arg_extreme.h"

static void store_index(void *output, int64_t i, int64_t index, int32_t wide) {
    if (wide) {
        ((int64_t *)output)[i] = index;
    } else {
        ((int32_t *)output)[i] = (int32_t)index;
    }
}

#define ARG_EXTREME_KERNEL(suffix, T)                                                                        \
    static int64_t find_##suffix(const qc_arg_extreme_params *p, const T *x) {                               \
        int64_t best = 0;                                                                                    \
        for (int64_t i = 1; i < p->axis; ++i) {                                                              \
            const T candidate = x[i * p->inner], held = x[best * p->inner];                                  \
            if (p->smallest ? candidate < held : candidate > held) best = i;                                 \
        }                                                                                                    \
        return best;                                                                                         \
    }                                                                                                        \
    qc_status qc_arg_extreme_##suffix##_ref(const qc_arg_extreme_params *p, void *const *tensors,            \
                                            void *scratch) {                                                 \
        (void)scratch;                                                                                       \
        const T *input = (const T *)tensors[0];                                                              \
        for (int64_t o = 0; o < p->outer; ++o)                                                               \
            for (int64_t i = 0; i < p->inner; ++i)                                                           \
                store_index(tensors[2], o * p->inner + i,                                                    \
                            find_##suffix(p, input + o * p->axis * p->inner + i), p->wide);                  \
        return QC_OK;                                                                                        \
    }

ARG_EXTREME_KERNEL(s8, int8_t)
ARG_EXTREME_KERNEL(u8, uint8_t)
ARG_EXTREME_KERNEL(s32, int32_t)
ARG_EXTREME_KERNEL(f32, float)
