/* Tables of 256 bytes, looked up by vector code: what LOOKUP and the requantizations share. The output may be the
 * input. */
#ifndef QUANTCORE_X86_LOOKUP_H
#define QUANTCORE_X86_LOOKUP_H

#include <stdint.h>

#include "quantcore/affine.h"

/* With AVX2: for 16 entries at a time. */
void qc_lookup_bytes_avx2(const uint8_t table[256], const uint8_t *input, uint8_t *output, int64_t count);

/* With AVX-512 BW: for 64 pairs of entries at a time. */
void qc_lookup_bytes_avx512(const uint8_t table[256], const uint8_t *input, uint8_t *output, int64_t count);

/* Requantization of eight bits to eight bits: a lookup in the table that lowering has made, or in one that the
 * definition fills first. A tail that has a rule of its own is left to the definition. */
#define QC_REQUANTIZE_BY_TABLE(isa, from, In, to, Out)                                             \
    qc_status qc_requantize_##from##_##to##_##isa(const qc_requantize_params *p, const In *input, Out *output, \
                                                  void *scratch) {                                 \
        const int64_t body = p->requant.body < p->count ? p->requant.body : p->count;              \
        qc_requantize_params part = *p;                                                            \
        Out made[256];                                                                             \
        if (!p->table) {                                                                           \
            if (body < 512) return qc_requantize_##from##_##to##_ref(p, input, output, scratch);   \
            In q[256];                                                                             \
            for (int i = 0; i < 256; ++i) q[i] = (In)i;                                            \
            part.count = 256;                                                                      \
            const qc_status status = qc_requantize_##from##_##to##_ref(&part, q, made, scratch);   \
            if (status != QC_OK) return status;                                                    \
        }                                                                                          \
        qc_lookup_bytes_##isa(p->table ? p->table : (const uint8_t *)made, (const uint8_t *)input, \
                              (uint8_t *)output, body);                                            \
        part.count = p->count - body;                                                              \
        part.requant.body = 0;                                                                     \
        return qc_requantize_##from##_##to##_ref(&part, input + body, output + body, scratch);     \
    }

#endif
