/* Kernel lookup and the executor.
 *
 * Every kernel has a typed prototype in its family's header. The executor calls all of them through
 * qc_invoke, by adapters that dispatch.c makes from kernels.def. */
#ifndef QUANTCORE_PLAN_H
#define QUANTCORE_PLAN_H

#include <stdint.h>

#include "quantcore/status.h"

/* params: the kernel's parameter struct. tensors: data pointers of the inputs, in the operator's
 * order (NULL where an optional input is omitted), then of the outputs. scratch: 64-byte aligned
 * memory of at least the size that the kernel's *_scratch_size function states, or NULL for 0. */
typedef qc_status (*qc_invoke)(const void *params, void *const *tensors, void *scratch);

/* Instruction sets of the architecture that this is compiled for; each includes those before it. */
typedef enum {
    QC_ISA_SCALAR = 0,
#if defined(__x86_64__)
    QC_ISA_AVX2 = 1,
    QC_ISA_AVX512 = 2,
    QC_ISA_VNNI = 3, /* AVX-512 VNNI */
    QC_ISA_AMX = 4,  /* AMX int8 */
#elif defined(__AARCH64EL__)
    QC_ISA_NEON = 1,
    QC_ISA_DOTPROD = 2, /* NEON with SDOT and UDOT */
#endif
} qc_isa;

/* The name of an instruction set, as in the rows of kernels; NULL past the last. */
const char *qc_isa_name(int isa);

/* The best instruction set that this CPU and its operating system support; whether they support this one. Tiles of AMX
 * are asked of the operating system, and tried, where they are among those in question. */
qc_isa qc_isa_detect(void);
int qc_isa_supported(qc_isa isa);

/* Whether the versions of the quantized CONV_2D for an instruction set take filters that are packed by runs (see
 * qc_conv_params). */
int qc_takes_runs(qc_isa isa);

/* The adapter of kernel `name` for the best version not above `isa`; NULL if there is no such
 * kernel. `arity` receives the number of tensors it takes, or -1 where its parameters say so;
 * `chosen` the instruction set of the version found. */
qc_invoke qc_kernel_find(const char *name, qc_isa isa, int *arity, qc_isa *chosen);

/* Name and version of row `index` of the kernel table; NULL past its end. */
const char *qc_kernel_row(int index, qc_isa *isa);

typedef struct {
    qc_invoke invoke;
    const void *params;
    int32_t first_tensor; /* index of the first of its pointers in the pointer table */
    int32_t first_part;   /* the same work in parts that may run side by side: so many steps from here on in the */
    int32_t parts;        /* table of parts, at most QC_MAX_PARTS; 0 where it is not divided */
} qc_step;

enum { QC_MAX_PARTS = 32 };

/* steps: `count`, in the order in which they run. parts: what their first_part counts in; no part of a step reads
 * what another part of it writes. */
typedef struct {
    const qc_step *steps;
    int32_t count;
    const qc_step *parts;
} qc_plan;

/* Run all steps of a plan in order, none of them in parts. Stops at the first that fails; its index goes to
 * *failed. */
qc_status qc_plan_run(const qc_plan *plan, void *const *pointers, void *scratch, int32_t *failed);

#endif
