/* The tiles of csrc/x86/tiles.h in C, as Intel's Software Developer's Manual describes LDTILECFG, TILELOADD, TDPBUSD,
 * TILESTORED and TILERELEASE. What makes the instructions fault, or is reserved, ends the program. */
#ifndef QUANTCORE_TESTS_EMULATED_TILES_H
#define QUANTCORE_TESTS_EMULATED_TILES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QC_HAS_TILES 1
#define QC_TILES_TARGET QC_AVX512_TARGET

typedef struct {
    int configured;
    int rows[8], bytes[8];
    uint8_t data[8][16][64];
    int64_t products; /* since the start of the thread */
} qc_emulated_state;

/* Of each file that is compiled with it: none leaves tiles to another. */
static _Thread_local qc_emulated_state qc_emulated;

#define QC_EMULATED_NEEDS(condition)                                                     \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            fprintf(stderr, "tiles: %s: %s is not so\n", __func__, #condition);          \
            abort();                                                                     \
        }                                                                                \
    } while (0)

static inline void qc_tile_configure(const qc_tile_config *config) {
    qc_tile_config rest = *config;
    qc_emulated_state *e = &qc_emulated;
    QC_EMULATED_NEEDS(sizeof *config == 64);
    QC_EMULATED_NEEDS(config->palette == 1 && config->start_row == 0);
    memset(e->data, 0, sizeof e->data);
    for (int i = 0; i < 8; ++i) {
        QC_EMULATED_NEEDS(config->rows[i] <= 16 && config->row_bytes[i] <= 64);
        QC_EMULATED_NEEDS((config->rows[i] == 0) == (config->row_bytes[i] == 0));
        e->rows[i] = config->rows[i];
        e->bytes[i] = config->row_bytes[i];
        rest.rows[i] = 0;
        rest.row_bytes[i] = 0;
    }
    rest.palette = 0;
    const uint8_t *bytes = (const uint8_t *)&rest;
    for (int i = 0; i < 64; ++i) QC_EMULATED_NEEDS(bytes[i] == 0);
    e->configured = 1;
}

static inline void qc_tile_release(void) {
    memset(qc_emulated.data, 0, sizeof qc_emulated.data);
    qc_emulated.configured = 0;
}

static inline void qc_emulated_use(int tile) {
    QC_EMULATED_NEEDS(qc_emulated.configured);
    QC_EMULATED_NEEDS(qc_emulated.rows[tile] > 0);
}

static inline void qc_tile_load(int tile, const void *from, int64_t stride) {
    qc_emulated_use(tile);
    memset(qc_emulated.data[tile], 0, sizeof qc_emulated.data[tile]);
    for (int r = 0; r < qc_emulated.rows[tile]; ++r)
        memcpy(qc_emulated.data[tile][r], (const char *)from + r * stride, (size_t)qc_emulated.bytes[tile]);
}

static inline void qc_tile_store(int tile, void *to, int64_t stride) {
    qc_emulated_use(tile);
    for (int r = 0; r < qc_emulated.rows[tile]; ++r)
        memcpy((char *)to + r * stride, qc_emulated.data[tile][r], (size_t)qc_emulated.bytes[tile]);
}

/* TDPBUSD c, a, b. */
static inline void qc_tile_multiply(int c, int a, int b) {
    qc_emulated_state *e = &qc_emulated;
    qc_emulated_use(a);
    qc_emulated_use(b);
    qc_emulated_use(c);
    QC_EMULATED_NEEDS(c != a && c != b && a != b);
    QC_EMULATED_NEEDS(e->bytes[a] % 4 == 0 && e->bytes[b] % 4 == 0 && e->bytes[c] % 4 == 0);
    QC_EMULATED_NEEDS(e->rows[a] == e->rows[c]);
    QC_EMULATED_NEEDS(e->bytes[b] == e->bytes[c]);
    QC_EMULATED_NEEDS(e->bytes[a] == 4 * e->rows[b]);
    uint8_t made[16][64];
    memset(made, 0, sizeof made);
    for (int m = 0; m < e->rows[c]; ++m) {
        for (int n = 0; n < e->bytes[c] / 4; ++n) {
            uint32_t sum;
            memcpy(&sum, &e->data[c][m][4 * n], 4);
            for (int k = 0; k < e->bytes[a]; ++k) {
                const int32_t x = e->data[a][m][k], w = (int8_t)e->data[b][k / 4][4 * n + k % 4];
                sum += (uint32_t)(x * w);
            }
            memcpy(&made[m][4 * n], &sum, 4);
        }
    }
    memcpy(e->data[c], made, sizeof made);
    ++e->products;
}

/* CPUID and the request to the kernel: what is emulated is there. */
static inline int cpu_has_tiles(void) {
    return 1;
}

static inline int may_use_tiles(void) {
    return 1;
}

#endif
