/* EMBEDDING_LOOKUP: rows of a table, by number. An index outside [0, rows) is QC_BAD_DATA.
 * Source: TFLite kernels/embedding_lookup.cc. Derivation: docs/numerics/embedding_lookup.md. */
#ifndef QUANTCORE_EMBEDDING_LOOKUP_H
#define QUANTCORE_EMBEDDING_LOOKUP_H

#include <stdint.h>

#include "quantcore/status.h"

/* indices: [count]. The table has `rows` rows of `columns` elements.
 * element_bytes: size of an element that is copied.
 * four_bits: elements of the hybrid form have 4 bits, two in a byte, the first in the low half; rows are not padded.
 * scale: of the hybrid form, [rows] if per_row, else [1]. */
typedef struct {
    int64_t count;
    int64_t rows;
    int64_t columns;
    int32_t element_bytes;
    int32_t four_bits;
    int32_t per_row;
    const float *scale;
} qc_embedding_lookup_params;

/* Rows are copied. */
qc_status qc_embedding_lookup_copy_ref(const qc_embedding_lookup_params *, const int32_t *indices,
                                       const uint8_t *table, uint8_t *output, void *scratch);

/* Rows of int8 or 4 bits become float32: element * scale. */
qc_status qc_embedding_lookup_hybrid_ref(const qc_embedding_lookup_params *, const int32_t *indices,
                                         const uint8_t *table, float *output, void *scratch);

#endif
