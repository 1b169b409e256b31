/* CAST: the same numbers in another dtype. */
#ifndef QUANTCORE_CAST_H
#define QUANTCORE_CAST_H

#include <stdint.h>

#include "quantcore/status.h"

typedef enum {
    QC_BOOL = 0,
    QC_S8 = 1,
    QC_U8 = 2,
    QC_S16 = 3,
    QC_U16 = 4,
    QC_S32 = 5,
    QC_U32 = 6,
    QC_S64 = 7,
    QC_F16 = 8,
    QC_F32 = 9,
    QC_F64 = 10,
} qc_dtype;

typedef struct {
    int64_t count;
    qc_dtype from;
    qc_dtype to;
    int32_t saturates; /* 1: float32 to every integer type of up to 32 bits; 0: as TFLite 2.21 */
} qc_cast_params;

/* Integers wrap. Floats are truncated toward zero; what is out of range follows TFLite's compiled
 * kernels, see docs/numerics/cast.md. Anything but zero is true. */
qc_status qc_cast_ref(const qc_cast_params *, const uint8_t *input, uint8_t *output, void *scratch);

#endif
