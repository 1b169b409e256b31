/* Data movement by rules that no fixed stride expresses: mirrored edges, blocks, filled arrays.
 * Elements are copied, never changed. All arrays are row-major and contiguous; `input` and `output` are
 * positions in the pointer table, as in movement.h. */
#ifndef QUANTCORE_REARRANGE_H
#define QUANTCORE_REARRANGE_H

#include <stdint.h>

#include "quantcore/movement.h"
#include "quantcore/status.h"

/* output[i0, i1, ...] = input[offset[0][i0] + offset[1][i1] + ...]: each dimension has a table of offsets, in
 * elements of the input, stored one after the other in `offset`.
 * rank: 0 to QC_MAX_RANK. shape: of the output. element_bytes: 1, 2, 4, 8 or 16. */
typedef struct {
    int32_t output;
    int32_t rank;
    int32_t element_bytes;
    int64_t shape[QC_MAX_RANK];
    const int64_t *offset;
} qc_mapped_copy_params;

/* MIRROR_PAD. */
qc_status qc_mapped_copy_ref(const qc_mapped_copy_params *, void *const *tensors, void *scratch);

/* `count` elements of the value at position `input`. */
typedef struct {
    int32_t input;
    int32_t output;
    int32_t element_bytes;
    int64_t count;
} qc_fill_params;

/* FILL. */
qc_status qc_fill_ref(const qc_fill_params *, void *const *tensors, void *scratch);

/* Blocks of block[0] x block[1] pixels, spread over the batch: pixel (y, x) of a block lies in image
 * (y * block[1] + x) * batch + b of the batched array, for image b of the spatial one.
 * space: height and width of the spatial array; origin: rows and columns of the blocks' grid that lie before it
 * (padding of SPACE_TO_BATCH_ND, crops of BATCH_TO_SPACE_ND). grid: blocks along height and width.
 * value: the bytes of one element, for what is padded. */
typedef struct {
    int32_t output;
    int32_t element_bytes;
    int64_t batch;
    int64_t space[2];
    int64_t block[2];
    int64_t origin[2];
    int64_t grid[2];
    int64_t depth;
    uint8_t value[16];
} qc_blocks_params;

/* SPACE_TO_BATCH_ND: input [batch][space][depth], output [batch * block][grid][depth]. */
qc_status qc_space_to_batch_ref(const qc_blocks_params *, void *const *tensors, void *scratch);

/* BATCH_TO_SPACE_ND: the reverse; origin + space lies within grid * block. */
qc_status qc_batch_to_space_ref(const qc_blocks_params *, void *const *tensors, void *scratch);

/* ONE_HOT: output [outer][depth][inner] is the value at position 2 where indices [outer][inner] (position 0) name
 * the place along depth, and the value at position 3 elsewhere; position 4 is the output. index_bytes: 4 or 8.
 * Of an index, the low 32 bits count. */
typedef struct {
    int64_t outer;
    int64_t depth;
    int64_t inner;
    int32_t index_bytes;
    int32_t element_bytes;
} qc_one_hot_params;

qc_status qc_one_hot_ref(const qc_one_hot_params *, void *const *tensors, void *scratch);

/* REVERSE_SEQUENCE: [outer][low][middle][high][slice_bytes], where one of low and high is the batch and the other
 * the sequence. Entry b of `lengths` (index_bytes each, 4 or 8) says how many leading elements of the sequence
 * b are reversed; outside [0, sequence] it is QC_BAD_DATA. */
typedef struct {
    int64_t outer;
    int64_t low;
    int64_t middle;
    int64_t high;
    int64_t slice_bytes;
    int32_t sequence_is_high;
    int32_t index_bytes;
} qc_reverse_sequence_params;

qc_status qc_reverse_sequence_ref(const qc_reverse_sequence_params *, const uint8_t *input, const uint8_t *lengths,
                                  uint8_t *output, void *scratch);

#endif
