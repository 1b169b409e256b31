/* Table lookup by byte permutation, 16 elements at a time: each instruction knows 64 bytes of the table. What is
 * outside of them makes 0 (TBL) or stays as it is (TBX). */
#include <arm_neon.h>

#include "../kernels.h"

qc_status qc_lookup_x8_neon(const qc_lookup_params *params, const uint8_t *input, uint8_t *output, void *scratch) {
    (void)scratch;
    const qc_lookup_params p = *params; /* a copy, because stores to `output` could change *params */
    uint8x16x4_t table[4];
    for (int k = 0; k < 4; ++k)
        for (int n = 0; n < 4; ++n) table[k].val[n] = vld1q_u8(p.table + 64 * k + 16 * n);
    int64_t i = 0;
    for (; i + 16 <= p.count; i += 16) {
        const uint8x16_t x = vld1q_u8(input + i);
        uint8x16_t y = vqtbl4q_u8(table[0], x);
        y = vqtbx4q_u8(y, table[1], vsubq_u8(x, vdupq_n_u8(64)));
        y = vqtbx4q_u8(y, table[2], vsubq_u8(x, vdupq_n_u8(128)));
        y = vqtbx4q_u8(y, table[3], vsubq_u8(x, vdupq_n_u8(192)));
        vst1q_u8(output + i, y);
    }
    for (; i < p.count; ++i) output[i] = p.table[input[i]];
    return QC_OK;
}
