/* Filters of 4 bits: two elements in a byte, the first in the low half, rows not padded. */
#ifndef QUANTCORE_UNPACK_H
#define QUANTCORE_UNPACK_H

#include <stdint.h>

/* Unpack `count` elements from (count + 1) / 2 bytes, with their sign. */
static inline void qc_unpack_s4(const uint8_t *packed, int64_t count, int8_t *values) {
    for (int64_t i = 0; i < count; ++i) {
        const int32_t bits = packed[i / 2] >> (i % 2 * 4) & 15;
        values[i] = (int8_t)((bits ^ 8) - 8);
    }
}

#endif
