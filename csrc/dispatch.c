/* CPU probing, and the table of kernels made from kernels.def. */
#include <string.h>

#include "quantcore/plan.h"

/* An adapter converts the untyped pointer table to the kernel's typed prototype. */
#define QC_KERNEL_1(name, isa, P, A, O)                                                            \
    static qc_status invoke_##name##_##isa(const void *p, void *const *t, void *scratch) {         \
        return qc_##name##_##isa((const P *)p, (const A *)t[0], (O *)t[1], scratch);               \
    }
#define QC_KERNEL_2(name, isa, P, A, B, O)                                                         \
    static qc_status invoke_##name##_##isa(const void *p, void *const *t, void *scratch) {         \
        return qc_##name##_##isa((const P *)p, (const A *)t[0], (const B *)t[1], (O *)t[2], scratch); \
    }
#define QC_KERNEL_3(name, isa, P, A, B, C, O)                                                      \
    static qc_status invoke_##name##_##isa(const void *p, void *const *t, void *scratch) {         \
        return qc_##name##_##isa((const P *)p, (const A *)t[0], (const B *)t[1], (const C *)t[2],  \
                                 (O *)t[3], scratch);                                              \
    }
#define QC_KERNEL_V(name, isa, P)                                                                  \
    static qc_status invoke_##name##_##isa(const void *p, void *const *t, void *scratch) {         \
        return qc_##name##_##isa((const P *)p, t, scratch);                                        \
    }
#include "kernels.def"
#undef QC_KERNEL_1
#undef QC_KERNEL_2
#undef QC_KERNEL_3
#undef QC_KERNEL_V

typedef struct {
    const char *name;
    qc_isa isa;
    int arity;
    qc_invoke invoke;
} row;

enum { ISA_ref = QC_ISA_SCALAR, ISA_avx2 = QC_ISA_AVX2, ISA_avx512 = QC_ISA_AVX512, ISA_vnni = QC_ISA_VNNI,
       ISA_amx = QC_ISA_AMX };

#define QC_ROW(name, isa, arity) {#name, (qc_isa)ISA_##isa, arity, invoke_##name##_##isa},
#define QC_KERNEL_1(name, isa, ...) QC_ROW(name, isa, 2)
#define QC_KERNEL_2(name, isa, ...) QC_ROW(name, isa, 3)
#define QC_KERNEL_3(name, isa, ...) QC_ROW(name, isa, 4)
#define QC_KERNEL_V(name, isa, ...) QC_ROW(name, isa, -1)
static const row table[] = {
#include "kernels.def"
};
enum { ROWS = sizeof table / sizeof table[0] };

qc_invoke qc_kernel_find(const char *name, qc_isa isa, int *arity, qc_isa *chosen) {
    const row *best = NULL;
    for (int i = 0; i < ROWS; ++i) {
        if (table[i].isa > isa || strcmp(table[i].name, name) != 0) continue;
        if (best == NULL || table[i].isa > best->isa) best = &table[i];
    }
    if (best == NULL) return NULL;
    *arity = best->arity;
    *chosen = best->isa;
    return best->invoke;
}

const char *qc_kernel_row(int index, qc_isa *isa) {
    if (index < 0 || index >= ROWS) return NULL;
    *isa = table[index].isa;
    return table[index].name;
}

qc_isa qc_isa_detect(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return QC_ISA_SCALAR;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
        return QC_ISA_AVX2;
    if (!__builtin_cpu_supports("avx512vnni")) return QC_ISA_AVX512;
    return QC_ISA_VNNI;
#else
    return QC_ISA_SCALAR;
#endif
}
