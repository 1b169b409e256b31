/* CPU probing, and the table of kernels made from kernels.def. */
#include <string.h>

#include "kernels.h"
#include "quantcore/plan.h"

#if defined(__x86_64__)
#include "x86/tiles.h"
#elif defined(__AARCH64EL__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__AARCH64EL__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

/* An adapter converts the untyped pointer table to the kernel's typed prototype. */
#define QC_KERNEL_1(name, P, A, O)                                                                     \
    QC_ADAPTER(name, 2, kernel((const P *)p, (const A *)t[0], (O *)t[1], scratch))
#define QC_KERNEL_2(name, P, A, B, O)                                                                  \
    QC_ADAPTER(name, 3, kernel((const P *)p, (const A *)t[0], (const B *)t[1], (O *)t[2], scratch))
#define QC_KERNEL_3(name, P, A, B, C, O)                                                               \
    QC_ADAPTER(name, 4,                                                                                \
               kernel((const P *)p, (const A *)t[0], (const B *)t[1], (const C *)t[2], (O *)t[3], scratch))
#define QC_KERNEL_V(name, P) QC_ADAPTER(name, -1, kernel((const P *)p, t, scratch))
#define QC_ADAPTER(name, tensors, call)                                                                \
    enum { ARITY_##name = tensors };                                                                   \
    static inline qc_status adapt_##name(qc_##name##_kernel *kernel, const void *p, void *const *t,    \
                                         void *scratch) {                                              \
        return call;                                                                                   \
    }                                                                                                  \
    QC_VERSION(name, ref)
#define QC_VERSION(name, isa)                                                                          \
    static qc_status invoke_##name##_##isa(const void *p, void *const *t, void *scratch) {             \
        return adapt_##name(qc_##name##_##isa, p, t, scratch);                                         \
    }
#include "kernels.def"

typedef struct {
    const char *name;
    qc_isa isa;
    int arity;
    qc_invoke invoke;
} row;

#if defined(__x86_64__)
static const char *const isa_names[] = {"scalar", "avx2", "avx512", "vnni", "amx"};
enum { ISA_ref = QC_ISA_SCALAR, ISA_avx2 = QC_ISA_AVX2, ISA_avx512 = QC_ISA_AVX512, ISA_vnni = QC_ISA_VNNI,
       ISA_amx = QC_ISA_AMX };
#elif defined(__AARCH64EL__)
static const char *const isa_names[] = {"scalar", "neon", "dotprod"};
enum { ISA_ref = QC_ISA_SCALAR, ISA_neon = QC_ISA_NEON, ISA_dotprod = QC_ISA_DOTPROD };
#else
static const char *const isa_names[] = {"scalar"};
enum { ISA_ref = QC_ISA_SCALAR };
#endif

const char *qc_isa_name(int isa) {
    const int count = sizeof isa_names / sizeof isa_names[0];
    return isa >= 0 && isa < count ? isa_names[isa] : NULL;
}

#define QC_KERNEL_1(name, ...) QC_VERSION(name, ref)
#define QC_KERNEL_2(name, ...) QC_VERSION(name, ref)
#define QC_KERNEL_3(name, ...) QC_VERSION(name, ref)
#define QC_KERNEL_V(name, ...) QC_VERSION(name, ref)
#define QC_VERSION(name, isa) {#name, (qc_isa)ISA_##isa, ARITY_##name, invoke_##name##_##isa},
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

int qc_takes_runs(qc_isa isa) {
#if defined(__x86_64__)
    return isa >= QC_ISA_AVX2;
#else
    (void)isa;
    return 0;
#endif
}

#if defined(__x86_64__)
/* The best but for AMX, which is not to be had without being asked for. */
static qc_isa detect_vectors(void) {
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return QC_ISA_SCALAR;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
        return QC_ISA_AVX2;
    if (!__builtin_cpu_supports("avx512vnni")) return QC_ISA_AVX512;
    return QC_ISA_VNNI;
}
#endif

int qc_isa_supported(qc_isa isa) {
#if defined(__x86_64__)
    if (isa != QC_ISA_AMX) return isa <= detect_vectors();
#endif
    return isa <= qc_isa_detect();
}

qc_isa qc_isa_detect(void) {
#if defined(__x86_64__)
    const qc_isa vectors = detect_vectors();
    return vectors == QC_ISA_VNNI && qc_tiles_work() ? QC_ISA_AMX : vectors;
#elif defined(__AARCH64EL__) && defined(__linux__)
    const unsigned long dot_product = 1ul << 20; /* HWCAP_ASIMDDP */
    return getauxval(AT_HWCAP) & dot_product ? QC_ISA_DOTPROD : QC_ISA_NEON;
#elif defined(__AARCH64EL__) && defined(__APPLE__)
    int dot_product = 0;
    size_t size = sizeof dot_product;
    sysctlbyname("hw.optional.arm.FEAT_DotProd", &dot_product, &size, NULL, 0);
    return dot_product ? QC_ISA_DOTPROD : QC_ISA_NEON;
#elif defined(__AARCH64EL__)
    return QC_ISA_NEON;
#else
    return QC_ISA_SCALAR;
#endif
}
