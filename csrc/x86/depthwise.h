/* DEPTHWISE_CONV_2D on bytes: what the instruction sets do, and what is prepared for them.
 *
 * Rows are kept as unsigned bytes p = x + input_offset - input_shift, so that
 *
 *   sum (x + input_offset) * (w + filter_offset) = sum p * f + input_shift * sum f,    f = w + filter_offset
 *
 * f may have 10 bits. Where stacks hold bytes it is split into parts of 8 bits, as few as a vector needs.
 *
 * A prepared filter begins with an int32 in 64 bytes: how to store (qc_depthwise_store). Then there is a record for
 * each vector of outputs until the channels repeat, block by block; within it
 *
 *   number of parts, int32 in 64 bytes
 *   start       [lanes] int32      the accumulator before the first product
 *   sums        [lanes] int32      sum f
 *   left        [lanes] int32      \
 *   right       [lanes] int32      |
 *   negative    [lanes] int32       > of the store: see depthwise_vnni.c and depthwise_avx2.c
 *   factor      [lanes] 8 bytes    |
 *   addend      [lanes] 8 bytes    /
 *   filter      [part][stack][column][output row of the group][lane] 4 bytes */
#ifndef QUANTCORE_X86_DEPTHWISE_H
#define QUANTCORE_X86_DEPTHWISE_H

#include "quantcore/depthwise_conv.h"
#include "quantcore/requantize.h"

/* From accumulators to outputs. FIXED: the rules DOUBLE_ROUNDING and RUY as one floor division, which needs
 * accumulators below 2^29 and multipliers that do not shift left. POSITIVE: the same where negative accumulators end
 * at the lower bound. SHIFTED: with multipliers that may shift left. FLOAT32: that rule. Otherwise accumulators are
 * written, and requantized one by one. */
typedef enum {
    QC_DEPTHWISE_ACCUMULATORS = 0,
    QC_DEPTHWISE_FIXED = 1,
    QC_DEPTHWISE_POSITIVE = 2,
    QC_DEPTHWISE_SHIFTED = 3,
    QC_DEPTHWISE_FLOAT32 = 4,
} qc_depthwise_store;

/* Bounds of the outputs and their offset. Outputs are computed as int8; `flip` is 0x80 for uint8. */
typedef struct {
    int16_t offset;
    int8_t low, high;
    uint8_t flip;
} qc_depthwise_output;

/* A block of channels of one strip of a group of rows. */
typedef struct {
    qc_depthwise_store store;
    int32_t rows;            /* output rows to be computed, 1 or 2, */
    int32_t group;           /* and those that there are filters for */
    int32_t phases;
    int64_t record_size;
    const uint8_t *records;
    const uint8_t *stacks;
    const int64_t *places;   /* bytes from the stack under the first output to that under the tap */
    int64_t taps;
    int64_t positions;       /* outputs of a row */
    qc_depthwise_output output;
    void *to[2];             /* rows of bytes, or of accumulators, which are written in whole vectors */
    int64_t step;            /* bytes from one vector of outputs to the next */
} qc_depthwise_strip;

typedef struct {
    int32_t depth, lanes;

    /* stacked[i] = element i of the `depth` rows, for `count` elements, a multiple of 64. */
    void (*stack)(const uint8_t *const *rows, int64_t count, uint8_t *stacked);

    /* to[i] = from[i] ^ flip; bytes to a multiple of 64 may be overwritten. */
    void (*copy)(uint8_t *to, const uint8_t *from, int64_t count, uint8_t flip);

    /* The same for `width` (at most 64) bytes of each of `count` pixels. */
    void (*copy_pixels)(uint8_t *to, int64_t pitch, const uint8_t *from, int64_t distance, int64_t count,
                        int32_t width, uint8_t flip);

    void (*run)(const qc_depthwise_strip *strip);

    /* Fill lane `lane` of a record for the multiplier and shift of a fixed-point rule. */
    void (*fixed)(uint8_t *record, int32_t lane, int32_t multiplier, int32_t shift, qc_depthwise_store store,
                  qc_rounding rule);
} qc_depthwise_isa;

/* Call run_rows(ROWS, STORE, strip) with constants: each has code of its own, with its sums in registers. */
#define QC_DEPTHWISE_CASES(run_rows, s)                                                     \
    switch ((s)->store) {                                                                   \
        QC_DEPTHWISE_CASE(run_rows, QC_DEPTHWISE_FIXED, s)                                  \
        QC_DEPTHWISE_CASE(run_rows, QC_DEPTHWISE_POSITIVE, s)                               \
        QC_DEPTHWISE_CASE(run_rows, QC_DEPTHWISE_SHIFTED, s)                                \
        QC_DEPTHWISE_CASE(run_rows, QC_DEPTHWISE_FLOAT32, s)                                \
        QC_DEPTHWISE_CASE(run_rows, QC_DEPTHWISE_ACCUMULATORS, s)                           \
    }
#define QC_DEPTHWISE_CASE(run_rows, STORE, s)                                               \
    case STORE:                                                                             \
        if ((s)->rows == 1)                                                                 \
            run_rows(1, STORE, s);                                                          \
        else                                                                                \
            run_rows(2, STORE, s);                                                          \
        break;

extern const qc_depthwise_isa qc_depthwise_avx2;
extern const qc_depthwise_isa qc_depthwise_vnni;

static inline int32_t *qc_record_parts(uint8_t *record) { return (int32_t *)(void *)record; }
static inline int32_t *qc_record_start(uint8_t *record) { return (int32_t *)(void *)(record + 64); }

#endif
