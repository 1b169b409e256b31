/* Any function of one 8-bit value is a table of 256 bytes. */
#ifndef QUANTCORE_LOOKUP_H
#define QUANTCORE_LOOKUP_H

#include <stdint.h>

#include "quantcore/status.h"

/* table: the output for each input byte; an int8 input -1 is byte 255. */
typedef struct {
    int64_t count;
    uint8_t table[256];
} qc_lookup_params;

/* output[i] = table[input[i]], flat arrays of `count` elements. scratch: none. */
qc_status qc_lookup_x8_ref(const qc_lookup_params *params, const uint8_t *input, uint8_t *output, void *scratch);

#endif
