/* Layouts of filters for the vector versions. A constant filter is laid out once, when the model is lowered;
 * a filter that is computed at run time is laid out in scratch memory by each call. */
#ifndef QUANTCORE_PACK_FILTER_H
#define QUANTCORE_PACK_FILTER_H

#include <stdint.h>

#include "quantcore/status.h"

/* QC_PANEL_ROWS: most rows of a panel. QC_PLACE_SIZE: bytes for one place of a window, in scratch memory
 * of the float versions. */
enum { QC_LANES = 16, QC_QUAD = 4, QC_PANEL_ROWS = 96, QC_PLACE_SIZE = 32 };

static inline int64_t qc_round_up(int64_t n, int64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

/* Rows of activations that the vector versions prepare at a time: about 64 KB, and a multiple of the 6
 * rows of the largest tile. stride: bytes of a row. */
static inline int64_t qc_panel_rows(int64_t stride) {
    const int64_t rows = 65536 / stride;
    return rows < 6 ? 6 : rows > QC_PANEL_ROWS ? QC_PANEL_ROWS : rows / 6 * 6;
}

/* The same for products whose outputs are requantized in registers, a multiple of the rows of all tiles: about 16 KB,
 * or 128 KB where rows are long, so that the filter is not read again for a few of them. */
static inline int64_t qc_product_rows(int64_t stride) {
    const int64_t few = 131072 / stride / 24 * 24, rows = 16384 / stride / 24 * 24;
    if (rows < 96) return few < 24 ? 24 : few > 96 ? 96 : few;
    return rows > 960 ? 960 : rows;
}

/* Bytes of scratch for a panel of such rows, and a term for each. */
static inline int64_t qc_product_scratch_size(int64_t stride) {
    const int64_t rows = qc_product_rows(stride);
    return qc_round_up(rows * (int64_t)sizeof(int32_t), 64) + qc_round_up(rows * stride, 64) + 64;
}

/* Bytes of a panel of int16 activations. */
static inline int64_t qc_panel_size_s16(int64_t depth) {
    const int64_t stride = qc_round_up(depth, QC_QUAD) * (int64_t)sizeof(int16_t);
    return qc_panel_rows(stride) * stride;
}

/* A filter of [groups * units][depth] elements: units are output channels of one group, depth the length
 * of one dot product. Each group is laid out by itself. */
typedef struct {
    int32_t groups;
    int32_t units;
    int64_t depth;
} qc_pack_filter_params;

/* 8-bit: [unit / 16][depth / 4][unit % 16][depth % 4] int8, then the sum over the depth of each unit, [units
 * rounded up to 16] int32. Elements beyond units and depth are 0. uint8 elements are stored minus 128. */
static inline int64_t qc_packed_group_size(int64_t units, int64_t depth) {
    const int64_t padded = qc_round_up(units, QC_LANES);
    return padded * qc_round_up(depth, QC_QUAD) + padded * (int64_t)sizeof(int32_t);
}

qc_status qc_pack_filter_s8_ref(const qc_pack_filter_params *params, const int8_t *filter, int8_t *packed,
                                void *scratch);
qc_status qc_pack_filter_u8_ref(const qc_pack_filter_params *params, const uint8_t *filter, int8_t *packed,
                                void *scratch);

/* float32: [unit / 16][depth][unit % 16]. */
static inline int64_t qc_packed_group_size_f32(int64_t units, int64_t depth) {
    return qc_round_up(units, QC_LANES) * depth * (int64_t)sizeof(float);
}

/* Rows of floats whose elements the vector versions list at a time, where they leave out zeros; bytes of scratch for the
 * lists of `elements` elements in `columns` columns, with `runs` runs. */
static inline int64_t qc_float_list_rows(int64_t depth) {
    const int64_t rows = 65536 / depth;
    return rows < 1 ? 1 : rows > 64 ? 64 : rows;
}

static inline int64_t qc_float_lists_bytes(int64_t elements, int64_t columns, int64_t runs) {
    return 2 * (qc_round_up(elements * 4, 64) + 64) + qc_round_up(columns * 4, 64) + runs * QC_PLACE_SIZE + 64;
}

static inline int64_t qc_float_lists_size(int64_t depth) {
    const int64_t rows = qc_float_list_rows(depth);
    return qc_float_lists_bytes(rows * depth, rows + 1, rows);
}

qc_status qc_pack_filter_f32_ref(const qc_pack_filter_params *params, const float *filter, float *packed,
                                 void *scratch);

#endif
