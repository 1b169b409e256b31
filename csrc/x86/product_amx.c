/* Products with requantization on AMX: tdpbusd multiplies a tile of 16 rows, 64 unsigned bytes each, by 64 x 16 signed
 * ones of the filter as it is packed, and adds to 16 x 16 sums of int32. The sums of up to 32 rows and 32 units are then
 * requantized from memory in AVX-512 registers.
 *
 * Rows are read where they are, `stride` bytes apart. What is too little for tiles is left to VNNI. */
#include <string.h>

#include "product_avx512.h"
#include "tiles.h"

#if defined(QC_HAS_TILES)
#define QC_TILES __attribute__((target(QC_TILES_TARGET)))
#define QC_TILES_INLINE QC_TILES static inline __attribute__((always_inline))

/* Rows, quads of 4 depths, and units of one tile at most; tiles of rows and of units that are multiplied at a time. */
enum { MOST_ROWS = 16, MOST_QUADS = 16, PAIR = 2, SUMS_ROW = PAIR * QC_LANES };

/* How a product is cut into tiles. A run is `steps` tiles of `quads` quads, and a smaller one where `tail` are left. */
typedef struct {
    int32_t rows; /* of a tile: the last one begins earlier where as many are not left, and computes some again */
    int32_t tiles; /* of rows */
    int32_t blocks; /* of units */
    int64_t quads;
    int64_t steps;
    int64_t tail;
} cuts;

/* Steps of equal size where a quarter more of them or fewer allow it: two blocks of units are multiplied at a time then.
 * With a tail the tiles suffice for one. */
static cuts cut(const qc_product *p, int32_t count) {
    cuts c = {.tiles = (count + MOST_ROWS - 1) / MOST_ROWS, .blocks = (p->units + QC_LANES - 1) / QC_LANES};
    c.rows = (count + c.tiles - 1) / c.tiles;
    const int64_t least = (p->quads + MOST_QUADS - 1) / MOST_QUADS;
    for (c.steps = least; c.steps <= least + least / 4; ++c.steps) {
        c.quads = p->quads / c.steps;
        if (c.quads * c.steps == p->quads) return c;
    }
    c.quads = MOST_QUADS;
    c.steps = p->quads / MOST_QUADS;
    c.tail = p->quads % MOST_QUADS;
    return c;
}

/* Whether tiles take fewer cycles than VNNI: 16 for each product of tiles, 3 more for 16 sums on their way through
 * memory, and some hundred to begin and end, against two vpdpbusd per cycle. */
static int pays(const qc_product *p, int32_t count, const cuts *c) {
#if defined(QC_EMULATED_TILES)
    return 1;
#endif
    const int64_t products = p->runs * (c->steps + (c->tail != 0)) * c->tiles * c->blocks;
    const int64_t sums = (int64_t)count * c->blocks;
    return 16 * products + 3 * sums + 500 < sums * p->runs * p->quads / 2;
}

/* Tiles: 0 to 3 are sums (2 * tile of rows + block of units), 4 and 5 rows, 6 and 7 the filter. With a tail, there is
 * one block of units: 1 and 3 are rows of the tail, 7 is the filter's. */
QC_TILES static void configure(const cuts *c) {
    qc_tile_config config;
    memset(&config, 0, sizeof config);
    config.palette = 1;
    for (int i = 0; i < 6; ++i) {
        config.rows[i] = (uint8_t)c->rows;
        config.row_bytes[i] = i < 4 ? QC_LANES * QC_QUAD : (uint16_t)(c->quads * QC_QUAD);
    }
    for (int i = 6; i < 8; ++i) {
        config.rows[i] = (uint8_t)c->quads;
        config.row_bytes[i] = QC_LANES * QC_QUAD;
    }
    if (c->tail != 0) {
        config.row_bytes[1] = config.row_bytes[3] = (uint16_t)(c->tail * QC_QUAD);
        config.rows[7] = (uint8_t)c->tail;
    }
    qc_tile_configure(&config);
}

/* What one or two tiles of rows and of units are made from. */
typedef struct {
    const qc_product *p;
    const cuts *c;
    const uint8_t *rows[PAIR];
    int64_t stride;
    int32_t block;
    int32_t *sums; /* [PAIR][MOST_ROWS][SUMS_ROW] */
} operands;

/* The sums of R tiles of rows and B blocks of units; TAIL: whether runs end in a smaller step. All are constants. */
QC_TILES_INLINE void multiply(const int R, const int B, const int TAIL, const operands *o) {
    enum { ROW = QC_LANES * QC_QUAD, SUMS_STRIDE = SUMS_ROW * sizeof(int32_t) };
    const qc_product *p = o->p;
    const int64_t block_size = p->runs * p->quads * ROW, stride = o->stride;
    const int64_t step = o->c->quads * QC_QUAD, steps = o->c->steps, tail = o->c->tail;
    const int8_t *w = p->filter + o->block * block_size;
    const int32_t *start = p->start + o->block * QC_LANES;
    qc_tile_load(0, start, 0); /* a stride of 0: each row has the same start values */
    if (B == 2) qc_tile_load(1, start + QC_LANES, 0);
    if (R == 2) qc_tile_load(2, start, 0);
    if (R == 2 && B == 2) qc_tile_load(3, start + QC_LANES, 0);
    for (int64_t run = 0; run < p->runs; ++run) {
        const uint8_t *x = o->rows[0] + p->offsets[run], *y = o->rows[1] + p->offsets[run];
        for (int64_t s = 0; s < steps; ++s, x += step, y += step, w += step * QC_LANES) {
            qc_tile_load(4, x, stride);
            qc_tile_load(6, w, ROW);
            qc_tile_multiply(0, 4, 6);
            if (B == 2) {
                qc_tile_load(7, w + block_size, ROW);
                qc_tile_multiply(1, 4, 7);
            }
            if (R == 2) {
                qc_tile_load(5, y, stride);
                qc_tile_multiply(2, 5, 6);
            }
            if (R == 2 && B == 2) qc_tile_multiply(3, 5, 7);
        }
        if (TAIL) {
            qc_tile_load(1, x, stride);
            qc_tile_load(7, w, ROW);
            qc_tile_multiply(0, 1, 7);
            if (R == 2) {
                qc_tile_load(3, y, stride);
                qc_tile_multiply(2, 3, 7);
            }
            w += tail * ROW;
        }
    }
    int32_t *second = o->sums + MOST_ROWS * SUMS_ROW;
    qc_tile_store(0, o->sums, SUMS_STRIDE);
    if (B == 2) qc_tile_store(1, o->sums + QC_LANES, SUMS_STRIDE);
    if (R == 2) qc_tile_store(2, second, SUMS_STRIDE);
    if (R == 2 && B == 2) qc_tile_store(3, second + QC_LANES, SUMS_STRIDE);
}

#define QC_MULTIPLY(R, B, TAIL)                                             \
    QC_TILES static void multiply_##R##_##B##_##TAIL(const operands *o) {   \
        multiply(R, B, TAIL, o);                                            \
    }
QC_MULTIPLY(1, 1, 0) QC_MULTIPLY(1, 2, 0) QC_MULTIPLY(2, 1, 0) QC_MULTIPLY(2, 2, 0)
QC_MULTIPLY(1, 1, 1) QC_MULTIPLY(2, 1, 1)

/* By whether there is a tail, and two tiles of rows, and two blocks. */
static void (*const multiplies[2][2][2])(const operands *) = {
    {{multiply_1_1_0, multiply_1_2_0}, {multiply_2_1_0, multiply_2_2_0}},
    {{multiply_1_1_1, NULL}, {multiply_2_1_1, NULL}},
};

/* The outputs of R rows and B blocks, which are constants. */
QC_INLINE void store_some(const int R, const int B, const qc_tile_place *t, const int32_t *from) {
    __m512i sums[4][QC_PRODUCT_BLOCKS];
    QC_UNROLL
    for (int r = 0; r < R; ++r) {
        const __m512i term = _mm512_set1_epi32(t->terms != NULL ? t->terms[r] : 0);
        QC_UNROLL
        for (int b = 0; b < B; ++b)
            sums[r][b] = _mm512_add_epi32(_mm512_load_si512(from + r * SUMS_ROW + b * QC_LANES), term);
    }
    qc_scale_tile(R, B, t, sums);
    qc_store_tile(R, B, t, sums);
}

/* The outputs of a tile of `rows` rows, at t, from their sums: four rows at a time, the last of them perhaps again. */
#define QC_STORE(B)                                                                                              \
    __attribute__((target(QC_AVX512_TARGET))) static void store_##B(const qc_tile_place *t, const int32_t *from, \
                                                                    int32_t rows) {                              \
        for (int32_t row = 0; row < rows; row += 4) {                                                            \
            const int32_t first = row + 4 <= rows ? row : rows - 4;                                              \
            qc_tile_place here = *t;                                                                             \
            here.output += first * t->output_stride;                                                             \
            if (t->terms != NULL) here.terms += first;                                                           \
            store_some(4, B, &here, from + first * SUMS_ROW);                                                    \
        }                                                                                                        \
    }
QC_STORE(1)
QC_STORE(2)

/* All rows with one or two blocks of units, those from t->block on. */
static void multiply_rows(const qc_tile_place *t, const cuts *c, int32_t blocks, int32_t count) {
    _Alignas(64) int32_t sums[PAIR * MOST_ROWS * SUMS_ROW];
    operands o = {.p = t->p, .c = c, .stride = t->stride, .block = t->block, .sums = sums};
    for (int32_t tile = 0; tile < c->tiles; tile += PAIR) {
        const int32_t tiles = c->tiles - tile < PAIR ? 1 : PAIR;
        int32_t first[PAIR] = {0, 0};
        for (int32_t i = 0; i < tiles; ++i) {
            first[i] = (tile + i) * c->rows;
            if (first[i] + c->rows > count) first[i] = count - c->rows;
        }
        o.rows[0] = t->rows + first[0] * t->stride;
        o.rows[1] = t->rows + first[1] * t->stride;
        multiplies[c->tail != 0][tiles - 1][blocks - 1](&o);
        for (int32_t i = 0; i < tiles; ++i) {
            qc_tile_place here = *t;
            here.output += first[i] * t->output_stride;
            if (t->terms != NULL) here.terms += first[i];
            (blocks == 2 ? store_2 : store_1)(&here, sums + i * MOST_ROWS * SUMS_ROW, c->rows);
        }
    }
}

static void multiply_all(const qc_product *p, const uint8_t *rows, int64_t stride, int32_t count,
                         const int32_t *terms, uint8_t *output, int64_t output_stride) {
    enum { LEAST_ROWS = 4 }; /* that are stored at a time */
    if (count < LEAST_ROWS || p->quads < 1) {
        qc_product_vnni.rows(p, rows, stride, count, terms, output, output_stride);
        return;
    }
    const cuts c = cut(p, count);
    if (!pays(p, count, &c)) {
        qc_product_vnni.rows(p, rows, stride, count, terms, output, output_stride);
        return;
    }
    configure(&c);
    for (int32_t block = 0; block < c.blocks;) {
        const int32_t some = c.tail == 0 && c.blocks - block >= PAIR ? PAIR : 1;
        const qc_tile_place t = {p, rows, stride, terms, block, output + block * QC_LANES, output_stride};
        multiply_rows(&t, &c, some, count);
        block += some;
    }
    qc_tile_release();
}

#else
/* This compiler does not know the instructions, and qc_tiles_work says that there are none. */
static void multiply_all(const qc_product *p, const uint8_t *rows, int64_t stride, int32_t count,
                         const int32_t *terms, uint8_t *output, int64_t output_stride) {
    qc_product_vnni.rows(p, rows, stride, count, terms, output, output_stride);
}
#endif

const qc_product_isa qc_product_amx = {
    .is_signed = 0, .flips_start = 1, .rows = multiply_all, .one_row = qc_product_row_vnni,
    .terms = qc_unsigned_terms};
