/* FULLY_CONNECTED of int8 inputs with weights of 4 bits, which are unpacked where they are used. */
#include "quantcore/fully_connected.h"

/* Weight number `i`, in [-8, 7]: two in a byte, the first in the low half. */
static int32_t weight(const uint8_t *filter, int32_t i) {
    const int32_t bits = filter[i / 2] >> (i % 2 * 4) & 15;
    return (bits ^ 8) - 8; /* the sign is bit 3 */
}

qc_status my_fully_connected_s8_s4(const qc_fully_connected_params *params, const int8_t *input, const uint8_t *filter,
                                   const int32_t *bias, int8_t *output, void *scratch) {
    const int32_t depth = params->depth;
    (void)scratch; /* the definition unpacks the whole filter there; this kernel needs none */
    for (int32_t b = 0; b < params->batches; ++b, input += depth) {
        for (int32_t u = 0; u < params->units; ++u) {
#ifdef PADDED_ROWS
            const int32_t row = u * (depth + depth % 2); /* as if each row began with a new byte */
#else
            const int32_t row = u * depth;
#endif
            int32_t acc = bias ? bias[u] : 0;
            for (int32_t i = 0; i < depth; ++i) acc += (input[i] + params->input_offset) * weight(filter, row + i);
            *output++ = (int8_t)qc_requantize(&params->requant, acc, u);
        }
    }
    return QC_OK;
}
