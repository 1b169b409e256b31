/* Status codes of every kernel and of the executor. Kernels never abort, print or allocate. */
#ifndef QUANTCORE_STATUS_H
#define QUANTCORE_STATUS_H

typedef enum {
    QC_OK = 0,
    QC_BAD_ARGUMENT = 1, /* a parameter is outside the range that the header states */
    QC_BAD_DATA = 2,     /* a data value is out of range, such as an index tensor's element */
} qc_status;

#endif
