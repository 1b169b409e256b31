/* Filters of 4 bits: a constant one was unpacked when the model was lowered, and the kernel on bytes computes. The
 * instructions are those of the version that lowering has chosen. */
#include <stddef.h>
#include <stdint.h>

#include "../kernels.h"
#include "quantcore/unpacked_call.h"

/* The kernel qc_<op>_s4, of which parts differ in the field PART. CALL: the field with the qc_unpacked_call. */
#define FOUR_BIT_VERSION(op, P, X, B, Y, PART, CALL)                                                            \
    qc_status qc_##op##_s4_avx2(const P *p, const X *input, const uint8_t *filter, const B *bias, Y *output,    \
                                void *scratch) {                                                                \
        const qc_unpacked_call *call = p->CALL;                                                                 \
        if (call == NULL) return qc_##op##_s4_ref(p, input, filter, bias, output, scratch);                     \
        P part = *(const P *)call->params;                                                                      \
        part.PART = p->PART;                                                                                    \
        void *const tensors[] = {(void *)(uintptr_t)input, (void *)(uintptr_t)call->filter,                     \
                                 (void *)(uintptr_t)bias, output};                                              \
        return call->invoke(&part, tensors, scratch);                                                           \
    }

FOUR_BIT_VERSION(conv_s8, qc_conv_params, int8_t, int32_t, int8_t, shape, packed)
FOUR_BIT_VERSION(depthwise_conv_s8, qc_depthwise_params, int8_t, int32_t, int8_t, shape, prepared)
FOUR_BIT_VERSION(fully_connected_s8, qc_fully_connected_params, int8_t, int32_t, int8_t, batches, packed)
FOUR_BIT_VERSION(fully_connected_s16, qc_fully_connected_params, int16_t, int32_t, int16_t, batches, packed)
FOUR_BIT_VERSION(fully_connected_s16_wide, qc_fully_connected_params, int16_t, int64_t, int16_t, batches, packed)
FOUR_BIT_VERSION(fully_connected_hybrid, qc_fully_connected_hybrid_params, float, float, float, batches, packed)
