/* The vector versions of kernels with a filter of 4 bits: the call on bytes that has the same bits. */
#ifndef QUANTCORE_UNPACKED_CALL_H
#define QUANTCORE_UNPACKED_CALL_H

#include "quantcore/plan.h"

/* invoke, params: of the kernel on bytes, on all of the output. filter: its elements as int8. */
typedef struct {
    qc_invoke invoke;
    const void *params;
    const int8_t *filter;
} qc_unpacked_call;

#endif
