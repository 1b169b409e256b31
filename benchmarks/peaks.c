/* What this machine can do at most: loops of one instruction on registers, and passes over memory.
 *
 * Compiled by _machine.py with the system's compiler; not a part of the library. A probe does `rounds` rounds of
 * the same work and returns something that depends on all of it. Functions have target attributes, so that one
 * build serves all machines; `supported` says whether the CPU has the instructions. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const char *name;
    const char *isa;  /* as quantcore calls it, or the nearest below */
    const char *kind; /* int8 or float32 */
    double macs;      /* multiply-accumulates per round */
    int (*supported)(void);
    double (*run)(long rounds);
} probe;

/* The sums start as values that the compiler does not know: it would compute equal ones once. */
#define PRAGMA(text) _Pragma(#text)
#define UNROLL(n) PRAGMA(GCC unroll n)

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define TARGET(features) __attribute__((target(features)))

/* Independent sums, at least latency times throughput: of fused products, and of additions behind products. */
enum { SUMS = 12, SUMS_512 = 24, ADDED = 6 };

static int has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static int has_avx512(void) {
    __builtin_cpu_init();
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

static int has_vnni(void) { return has_avx512() && __builtin_cpu_supports("avx512vnni"); }

TARGET("avx2") static double run_avx2_bytes(long rounds) {
    const __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-5), ones = _mm256_set1_epi16(1);
    __m256i sum[ADDED], x = a;
    UNROLL(6) for (int i = 0; i < ADDED; ++i) {
        sum[i] = _mm256_setzero_si256();
        __asm__("" : "+x"(sum[i]));
    }
    for (long r = 0; r < rounds; ++r) {
        UNROLL(6) for (int i = 0; i < ADDED; ++i) {
            __asm__("" : "+x"(x)); /* a value that the compiler does not know, so that it keeps no product */
            sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(_mm256_maddubs_epi16(x, b), ones));
        }
    }
    UNROLL(6) for (int i = 1; i < ADDED; ++i) sum[0] = _mm256_add_epi32(sum[0], sum[i]);
    return (double)_mm256_extract_epi32(sum[0], 0);
}

TARGET("avx2") static double run_avx2_words(long rounds) {
    const __m256i b = _mm256_set1_epi16(-5);
    __m256i sum[ADDED], x = _mm256_set1_epi16(3);
    UNROLL(6) for (int i = 0; i < ADDED; ++i) {
        sum[i] = _mm256_setzero_si256();
        __asm__("" : "+x"(sum[i]));
    }
    for (long r = 0; r < rounds; ++r) {
        UNROLL(6) for (int i = 0; i < ADDED; ++i) {
            __asm__("" : "+x"(x));
            sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(x, b));
        }
    }
    UNROLL(6) for (int i = 1; i < ADDED; ++i) sum[0] = _mm256_add_epi32(sum[0], sum[i]);
    return (double)_mm256_extract_epi32(sum[0], 0);
}

TARGET("avx2,fma") static double run_avx2_fma(long rounds) {
    const __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);
    __m256 sum[SUMS];
    UNROLL(12) for (int i = 0; i < SUMS; ++i) {
        sum[i] = _mm256_setzero_ps();
        __asm__("" : "+x"(sum[i]));
    }
    for (long r = 0; r < rounds; ++r)
        UNROLL(12) for (int i = 0; i < SUMS; ++i) sum[i] = _mm256_fmadd_ps(a, b, sum[i]);
    UNROLL(12) for (int i = 1; i < SUMS; ++i) sum[0] = _mm256_add_ps(sum[0], sum[i]);
    return (double)_mm256_cvtss_f32(sum[0]);
}

TARGET("avx512f,avx512bw") static double run_avx512_words(long rounds) {
    const __m512i b = _mm512_set1_epi16(-5);
    __m512i sum[ADDED], x = _mm512_set1_epi16(3);
    UNROLL(6) for (int i = 0; i < ADDED; ++i) {
        sum[i] = _mm512_setzero_si512();
        __asm__("" : "+v"(sum[i]));
    }
    for (long r = 0; r < rounds; ++r) {
        UNROLL(6) for (int i = 0; i < ADDED; ++i) {
            __asm__("" : "+v"(x));
            sum[i] = _mm512_add_epi32(sum[i], _mm512_madd_epi16(x, b));
        }
    }
    UNROLL(6) for (int i = 1; i < ADDED; ++i) sum[0] = _mm512_add_epi32(sum[0], sum[i]);
    return (double)_mm512_reduce_add_epi32(sum[0]);
}

TARGET("avx512f,avx512bw,avx512vnni") static double run_vnni(long rounds) {
    const __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-5);
    __m512i sum[SUMS_512];
    UNROLL(24) for (int i = 0; i < SUMS_512; ++i) {
        sum[i] = _mm512_setzero_si512();
        __asm__("" : "+v"(sum[i]));
    }
    for (long r = 0; r < rounds; ++r)
        UNROLL(24) for (int i = 0; i < SUMS_512; ++i) sum[i] = _mm512_dpbusd_epi32(sum[i], a, b);
    UNROLL(24) for (int i = 1; i < SUMS_512; ++i) sum[0] = _mm512_add_epi32(sum[0], sum[i]);
    return (double)_mm512_reduce_add_epi32(sum[0]);
}

TARGET("avx512f") static double run_avx512_fma(long rounds) {
    const __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);
    __m512 sum[SUMS_512];
    UNROLL(24) for (int i = 0; i < SUMS_512; ++i) {
        sum[i] = _mm512_setzero_ps();
        __asm__("" : "+v"(sum[i]));
    }
    for (long r = 0; r < rounds; ++r)
        UNROLL(24) for (int i = 0; i < SUMS_512; ++i) sum[i] = _mm512_fmadd_ps(a, b, sum[i]);
    UNROLL(24) for (int i = 1; i < SUMS_512; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    return (double)_mm512_reduce_add_ps(sum[0]);
}

#if defined(__linux__) && __GNUC__ >= 11
#include <sys/syscall.h>
#include <unistd.h>

enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* arch_prctl, see Documentation/arch/x86/xstate.rst */

/* The kernel grants the tile state to a process that asks for it. */
static int has_amx(void) {
    unsigned a, b, c, d;
    if (!has_avx512() || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    if (!(d >> 24 & 1) || !(d >> 25 & 1)) return 0; /* AMX-TILE, AMX-INT8 */
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes_per_row[16];
    uint8_t rows[16];
} tile_config;

/* Four sums of 16x16, two tiles of rows, two of columns: each product waits for none of the three before. */
TARGET("amx-tile,amx-int8") static double run_amx(long rounds) {
    tile_config config;
    int8_t ones[1024];
    int32_t out[256];
    memset(&config, 0, sizeof config);
    memset(ones, 1, sizeof ones);
    config.palette = 1;
    for (int i = 0; i < 8; ++i) {
        config.bytes_per_row[i] = 64;
        config.rows[i] = 16;
    }
    __asm__ volatile("" : : "r"(&config), "r"(ones) : "memory"); /* the intrinsics do not say what they read */
    _tile_loadconfig(&config);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, ones, 64);
    _tile_loadd(5, ones, 64);
    _tile_loadd(6, ones, 64);
    _tile_loadd(7, ones, 64);
    for (long r = 0; r < rounds; ++r) {
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 7);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
    }
    _tile_stored(3, out, 64);
    _tile_release();
    __asm__ volatile("" : : "r"(out) : "memory");
    return (double)out[0];
}
#define AMX_ROW {"AMX tdpbssd", "amx", "int8", 4 * 16 * 16 * 64, has_amx, run_amx},
#else
#define AMX_ROW
#endif

static const probe PROBES[] = {
    AMX_ROW
    {"AVX-512 vpdpbusd (VNNI)", "vnni", "int8", SUMS_512 * 64, has_vnni, run_vnni},
    {"AVX-512 vpmaddwd, vpaddd", "avx512", "int8", ADDED * 32, has_avx512, run_avx512_words},
    {"AVX2 vpmaddubsw, vpmaddwd, vpaddd", "avx2", "int8", ADDED * 32, has_avx2, run_avx2_bytes},
    {"AVX2 vpmaddwd, vpaddd", "avx2", "int8", ADDED * 16, has_avx2, run_avx2_words},
    {"AVX-512 vfmadd", "avx512", "float32", SUMS_512 * 16, has_avx512, run_avx512_fma},
    {"AVX2 vfmadd", "avx2", "float32", SUMS * 8, has_avx2, run_avx2_fma},
};
enum { PROBE_COUNT = sizeof PROBES / sizeof PROBES[0] };

TARGET("avx2") static uint64_t read_avx2(const void *data, size_t bytes) {
    const char *p = (const char *)data;
    __m256i sum[4];
    UNROLL(4) for (int i = 0; i < 4; ++i) sum[i] = _mm256_setzero_si256();
    for (size_t k = 0; k + 128 <= bytes; k += 128)
        UNROLL(4) for (int i = 0; i < 4; ++i)
            sum[i] = _mm256_xor_si256(sum[i], _mm256_loadu_si256((const __m256i *)(p + k + 32 * (size_t)i)));
    sum[0] = _mm256_xor_si256(_mm256_xor_si256(sum[0], sum[1]), _mm256_xor_si256(sum[2], sum[3]));
    return (uint64_t)_mm256_extract_epi64(sum[0], 0);
}

TARGET("avx512f") static uint64_t read_avx512(const void *data, size_t bytes) {
    const char *p = (const char *)data;
    __m512i sum[4];
    UNROLL(4) for (int i = 0; i < 4; ++i) sum[i] = _mm512_setzero_si512();
    for (size_t k = 0; k + 256 <= bytes; k += 256)
        UNROLL(4) for (int i = 0; i < 4; ++i)
            sum[i] = _mm512_xor_si512(sum[i], _mm512_loadu_si512(p + k + 64 * (size_t)i));
    sum[0] = _mm512_xor_si512(_mm512_xor_si512(sum[0], sum[1]), _mm512_xor_si512(sum[2], sum[3]));
    return (uint64_t)_mm512_reduce_add_epi64(sum[0]);
}

static uint64_t read_once(const void *data, size_t bytes) {
    return has_avx512() ? read_avx512(data, bytes) : has_avx2() ? read_avx2(data, bytes) : 0;
}
#else
#if defined(__aarch64__) && defined(__linux__)
#include <arm_neon.h>
#include <sys/auxv.h>

enum { SUMS = 24, DOT_PRODUCT = 1 << 20 }; /* HWCAP_ASIMDDP */

static int has_neon(void) { return 1; }
static int has_dotprod(void) { return (getauxval(AT_HWCAP) & DOT_PRODUCT) != 0; }

__attribute__((target("arch=armv8.2-a+dotprod"))) static double run_dotprod(long rounds) {
    const int8x16_t a = vdupq_n_s8(3), b = vdupq_n_s8(-5);
    int32x4_t sum[SUMS];
    UNROLL(24) for (int i = 0; i < SUMS; ++i) {
        sum[i] = vdupq_n_s32(0);
        __asm__("" : "+w"(sum[i]));
    }
    for (long r = 0; r < rounds; ++r)
        UNROLL(24) for (int i = 0; i < SUMS; ++i) sum[i] = vdotq_s32(sum[i], a, b);
    UNROLL(24) for (int i = 1; i < SUMS; ++i) sum[0] = vaddq_s32(sum[0], sum[i]);
    return (double)vaddvq_s32(sum[0]);
}

static double run_neon(long rounds) {
    const int16x4_t a = vdup_n_s16(3), b = vdup_n_s16(-5);
    int32x4_t sum[SUMS];
    UNROLL(24) for (int i = 0; i < SUMS; ++i) {
        sum[i] = vdupq_n_s32(0);
        __asm__("" : "+w"(sum[i]));
    }
    for (long r = 0; r < rounds; ++r)
        UNROLL(24) for (int i = 0; i < SUMS; ++i) sum[i] = vmlal_s16(sum[i], a, b);
    UNROLL(24) for (int i = 1; i < SUMS; ++i) sum[0] = vaddq_s32(sum[0], sum[i]);
    return (double)vaddvq_s32(sum[0]);
}

static double run_neon_fma(long rounds) {
    const float32x4_t a = vdupq_n_f32(0.5f), b = vdupq_n_f32(0.25f);
    float32x4_t sum[SUMS];
    UNROLL(24) for (int i = 0; i < SUMS; ++i) {
        sum[i] = vdupq_n_f32(0.0f);
        __asm__("" : "+w"(sum[i]));
    }
    for (long r = 0; r < rounds; ++r)
        UNROLL(24) for (int i = 0; i < SUMS; ++i) sum[i] = vfmaq_f32(sum[i], a, b);
    UNROLL(24) for (int i = 1; i < SUMS; ++i) sum[0] = vaddq_f32(sum[0], sum[i]);
    return (double)vaddvq_f32(sum[0]);
}

static const probe PROBES[] = {
    {"NEON sdot", "dotprod", "int8", SUMS * 16, has_dotprod, run_dotprod},
    {"NEON smlal", "neon", "int8", SUMS * 4, has_neon, run_neon},
    {"NEON fmla", "neon", "float32", SUMS * 4, has_neon, run_neon_fma},
};
enum { PROBE_COUNT = sizeof PROBES / sizeof PROBES[0] };
#else
static const probe PROBES[1];
enum { PROBE_COUNT = 0 };
#endif

static uint64_t read_once(const void *data, size_t bytes) {
    const char *p = (const char *)data;
    uint64_t sum[4] = {0, 0, 0, 0};
    for (size_t k = 0; k + 32 <= bytes; k += 32)
        for (size_t i = 0; i < 4; ++i) {
            uint64_t word;
            memcpy(&word, p + k + 8 * i, 8);
            sum[i] ^= word;
        }
    return sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
}
#endif

int probe_count(void) { return PROBE_COUNT; }
const char *probe_name(int i) { return PROBES[i].name; }
const char *probe_isa(int i) { return PROBES[i].isa; }
const char *probe_kind(int i) { return PROBES[i].kind; }
double probe_macs(int i) { return PROBES[i].macs; }
int probe_supported(int i) { return PROBES[i].supported(); }
double probe_run(int i, long rounds) { return PROBES[i].run(rounds); }

/* Read `bytes` bytes, a multiple of 256, `rounds` times. */
double memory_read(const void *data, size_t bytes, long rounds) {
    uint64_t sum = 0;
    for (long r = 0; r < rounds; ++r) {
        sum += read_once(data, bytes);
        __asm__ volatile("" ::: "memory");
    }
    return (double)sum;
}

/* Copy `bytes` bytes `rounds` times. */
void memory_copy(void *to, const void *from, size_t bytes, long rounds) {
    for (long r = 0; r < rounds; ++r) {
        memcpy(to, from, bytes);
        __asm__ volatile("" ::: "memory");
    }
}
