/* AMX int8: eight tiles of up to 16 rows of 64 bytes, and an instruction that multiplies two of them.
 *
 * A product C += A * B has C of [rows][units] int32, A of [rows][depth] uint8, and B of [depth / 4][units][4] int8: 16
 * units of a filter as in pack_filter.h. Sums wrap. Numbers of tiles are literals. Tiles hold state that the operating
 * system saves at each change of threads, so whoever configures them releases them before it returns.
 *
 * The functions that work on tiles are defined for compilers of x86 that know the instructions (QC_HAS_TILES). A test
 * compiles the kernels with others of the same name (QC_EMULATED_TILES), which compute the same in C. */
#ifndef QUANTCORE_X86_TILES_H
#define QUANTCORE_X86_TILES_H

#include <stdint.h>

#include "requantize_avx512.h"

/* What LDTILECFG reads. palette: 1. Of tiles that are not used, both sizes are 0. */
typedef struct {
    uint8_t palette;
    uint8_t start_row;
    uint8_t reserved[14];
    uint16_t row_bytes[16]; /* of tiles 0 to 7, a multiple of 4, at most 64 */
    uint8_t rows[16];       /* at most 16 */
} qc_tile_config;

/* Whether this CPU has tiles, the operating system gives them to this process (which this asks for: all threads have
 * them from then on), and their products are right. Where not: what needs them must not be called. */
int qc_tiles_work(void);

#if defined(QC_EMULATED_TILES)
#include QC_EMULATED_TILES
#elif (defined(__clang__) && __clang_major__ >= 11) || (!defined(__clang__) && __GNUC__ >= 11)
#define QC_HAS_TILES 1
#define QC_TILES_TARGET QC_AVX512_TARGET ",amx-tile,amx-int8"

/* Not the compiler's intrinsics: gcc's do not say that they read memory, so that stores before them may come late. */
#define qc_tile_configure(config) __asm__ volatile("ldtilecfg %0" : : "m"(*(config)) : "memory")
#define qc_tile_release() __asm__ volatile("tilerelease" : : : "memory")

/* Rows of the tile from `from` on, `stride` bytes apart, which may be 0. */
#define qc_tile_load(TILE, from, stride)                                                              \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #TILE                                               \
                     :                                                                                \
                     : "r"((const void *)(from)), "r"((int64_t)(stride))                              \
                     : "memory")
#define qc_tile_store(TILE, to, stride)                                                               \
    __asm__ volatile("tilestored %%tmm" #TILE ", (%0,%1,1)"                                           \
                     :                                                                                \
                     : "r"((void *)(to)), "r"((int64_t)(stride))                                      \
                     : "memory")

/* C += A * B. */
#define qc_tile_multiply(C, A, B) __asm__ volatile("tdpbusd %%tmm" #B ", %%tmm" #A ", %%tmm" #C : : : "memory")
#endif

#endif
