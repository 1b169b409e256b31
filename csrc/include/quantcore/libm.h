/* Functions of the C library that vector versions compute themselves. Which bits a library's expf and tanhf have is not
 * fixed anywhere; glibc has changed them. So a call says which of them are known to have the bits that vector versions
 * compute, on this machine; the others are left to the definitions. */
#ifndef QUANTCORE_LIBM_H
#define QUANTCORE_LIBM_H

/* Bits of the field `known_libm` of a kernel's params. Definitions do not read it. */
typedef enum { QC_KNOWN_EXPF = 1, QC_KNOWN_TANHF = 2 } qc_known_libm;

#endif
