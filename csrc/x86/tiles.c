/* Whether AMX can be used: see tiles.h. */
#define _DEFAULT_SOURCE /* for syscall */
#include "tiles.h"

#include <string.h>

#if defined(QC_HAS_TILES)

#if !defined(QC_EMULATED_TILES) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* CPUID leaves 1 (bit of XGETBV), 7 (AMX-TILE, AMX-INT8) and 29 (sizes of palette 1), and what XCR0 says that the
 * operating system saves: configuration and data of tiles. */
static int cpu_has_tiles(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return 0;
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low >> 17 & 3) != 3) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 24 & 1) || !(d >> 25 & 1)) return 0;
    if (!__get_cpuid_count(29, 1, &a, &b, &c, &d)) return 0;
    return b >> 16 >= 8 && (b & 0xFFFF) >= 64 && (c & 0xFFFF) >= 16;
}

/* Linux gives the state of tiles to a process that asks: Documentation/arch/x86/xstate.rst. It may refuse, as to a
 * process with an alternate signal stack that is too small for it. */
static int may_use_tiles(void) {
    enum { GET_PERMISSIONS = 0x1022, REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    uint64_t permissions = 0;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0 &&
           syscall(SYS_arch_prctl, GET_PERMISSIONS, &permissions) == 0 && (permissions >> TILE_DATA & 1);
}
#elif !defined(QC_EMULATED_TILES)
static int cpu_has_tiles(void) {
    return 0;
}

static int may_use_tiles(void) {
    return 0;
}
#endif

enum { MOST = 16 };

/* A product of [rows][4 * quads] and [quads][units] by tiles. */
__attribute__((target(QC_TILES_TARGET))) static void multiply(int rows, int quads, int units,
                                                              const int32_t *start, const uint8_t *a,
                                                              const int8_t *b, int32_t *sums) {
    qc_tile_config config;
    memset(&config, 0, sizeof config);
    config.palette = 1;
    config.rows[0] = config.rows[1] = (uint8_t)rows;
    config.rows[2] = (uint8_t)quads;
    config.row_bytes[0] = config.row_bytes[2] = (uint16_t)(4 * units);
    config.row_bytes[1] = (uint16_t)(4 * quads);
    qc_tile_configure(&config);
    qc_tile_load(0, start, 0);
    qc_tile_load(1, a, 4 * MOST);
    qc_tile_load(2, b, 4 * MOST);
    qc_tile_multiply(0, 1, 2);
    qc_tile_store(0, sums, 4 * MOST);
    qc_tile_release();
}

/* Whether a product has the sums of its definition, and leaves alone what is beyond them. */
static int is_right(int rows, int quads, int units) {
    static const uint8_t left[] = {255, 0, 128, 1, 127, 254, 3};
    static const int8_t right[] = {-128, 127, -1, 1, 0, -127, 77, -128, 126, 5, -128};
    int32_t start[MOST], sums[MOST][MOST];
    uint8_t a[MOST][4 * MOST];
    int8_t b[MOST][MOST][4];
    memset(sums, 0x5A, sizeof sums);
    for (int i = 0; i < MOST; ++i) {
        start[i] = i % 3 == 0 ? INT32_MAX : i % 3 == 1 ? INT32_MIN : -i;
        for (int k = 0; k < 4 * MOST; ++k) {
            a[i][k] = left[(unsigned)(i * 5 + k) % sizeof left];
            b[i][k / 4][k % 4] = right[(unsigned)(i * 64 + k) % sizeof right];
        }
    }
    multiply(rows, quads, units, start, a[0], b[0][0], sums[0]);
    for (int i = 0; i < MOST; ++i) {
        for (int j = 0; j < MOST; ++j) {
            uint32_t expected = UINT32_C(0x5A5A5A5A);
            if (i < rows && j < units) {
                expected = (uint32_t)start[j];
                for (int k = 0; k < 4 * quads; ++k) expected += (uint32_t)(a[i][k] * b[k / 4][j][k % 4]);
            }
            if ((uint32_t)sums[i][j] != expected) return 0;
        }
    }
    return 1;
}

int qc_tiles_work(void) {
    return cpu_has_tiles() && may_use_tiles() && is_right(16, 16, 16) && is_right(5, 3, 16) &&
           is_right(1, 16, 16) && is_right(16, 1, 7);
}

#else
int qc_tiles_work(void) {
    return 0;
}
#endif
