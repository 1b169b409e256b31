/* EMBEDDING_LOOKUP: the definitions. */
#include "quantcore/embedding_lookup.h"

#include <string.h>

qc_status qc_embedding_lookup_copy_ref(const qc_embedding_lookup_params *p, const int32_t *indices,
                                       const uint8_t *table, uint8_t *output, void *scratch) {
    (void)scratch;
    const int64_t row_bytes = p->columns * p->element_bytes;
    for (int64_t i = 0; i < p->count; ++i) {
        if (indices[i] < 0 || indices[i] >= p->rows) return QC_BAD_DATA;
        memcpy(output + i * row_bytes, table + indices[i] * row_bytes, (size_t)row_bytes);
    }
    return QC_OK;
}

static void byte_row(const uint8_t *row, int64_t columns, float scale, float *output) {
    for (int64_t c = 0; c < columns; ++c) output[c] = (float)(int8_t)row[c] * scale;
}

/* Each element times 16, as it stands in the upper half of a byte. */
static void four_bit_row(const uint8_t *row, int64_t columns, float scale, float *output) {
    const float sixteenth = scale / 16.0f;
    for (int64_t c = 0; c < columns; ++c) {
        const uint8_t upper = (uint8_t)(c % 2 == 0 ? row[c / 2] << 4 : row[c / 2] & 0xF0);
        output[c] = (float)(int8_t)upper * sixteenth;
    }
}

qc_status qc_embedding_lookup_hybrid_ref(const qc_embedding_lookup_params *p, const int32_t *indices,
                                         const uint8_t *table, float *output, void *scratch) {
    (void)scratch;
    for (int64_t i = 0; i < p->count; ++i, output += p->columns) {
        if (indices[i] < 0 || indices[i] >= p->rows) return QC_BAD_DATA;
        const float scale = p->scale[p->per_row ? indices[i] : 0];
        const int64_t first = indices[i] * p->columns;
        /* In a table of an odd number of columns, TFLite starts odd rows at the byte that they share with the row
         * before, as if it were theirs. */
        if (p->four_bits)
            four_bit_row(table + first / 2, p->columns, scale, output);
        else
            byte_row(table + first, p->columns, scale, output);
    }
    return QC_OK;
}
