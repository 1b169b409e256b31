/* The prototype of kernels with an input, a filter and a bias. */
#ifndef QUANTCORE_FILTER_KERNEL_H
#define QUANTCORE_FILTER_KERNEL_H

#include "quantcore/status.h"

#define QC_FILTER_KERNEL(name, P, Input, Filter, Bias, Output)                                               \
    qc_status name(const P *params, const Input *input, const Filter *filter, const Bias *bias, Output *output, \
                   void *scratch);

#endif
