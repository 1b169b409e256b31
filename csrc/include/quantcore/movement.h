/* Data movement: elements are copied, never changed. Kernels work on element sizes, not on types.
 * All arrays are row-major and contiguous. Sizes are in bytes where a name ends in _bytes.
 *
 * These kernels take the pointer table, because operators pass them operands that are not read any
 * more (a shape, an axis): `input` and `output` are positions in it. */
#ifndef QUANTCORE_MOVEMENT_H
#define QUANTCORE_MOVEMENT_H

#include <stdint.h>

#include "quantcore/status.h"

enum { QC_MAX_RANK = 8 };

typedef struct {
    int32_t input;
    int32_t output;
    int64_t size_bytes;
} qc_copy_params;

/* RESHAPE, SQUEEZE, EXPAND_DIMS: the same bytes under another shape. */
qc_status qc_copy_ref(const qc_copy_params *, void *const *tensors, void *scratch);

/* output[i0, i1, ...] = input[first + i0 * stride[0] + i1 * stride[1] + ...], output contiguous.
 * rank: 0 to QC_MAX_RANK. element_bytes: 1, 2, 4, 8 or 16. shape: of the output.
 * first, stride: in elements of the input; strides may be negative or 0. */
typedef struct {
    int32_t input;
    int32_t output;
    int32_t rank;
    int32_t element_bytes;
    int64_t first;
    int64_t shape[QC_MAX_RANK];
    int64_t stride[QC_MAX_RANK];
} qc_strided_copy_params;

/* STRIDED_SLICE, SLICE, TRANSPOSE. */
qc_status qc_strided_copy_ref(const qc_strided_copy_params *, void *const *tensors, void *scratch);

/* `parts` arrays, each seen as [rows][part_bytes[k]], next to each other in one array of
 * [rows][sum of part_bytes]. Positions in the pointer table: `whole`, and `first_part` onwards. */
typedef struct {
    int32_t whole;
    int32_t first_part;
    int64_t rows;
    int32_t parts;
    const int64_t *part_bytes;
} qc_parts_params;

/* CONCATENATION, PACK. */
qc_status qc_join_ref(const qc_parts_params *, void *const *tensors, void *scratch);

/* SPLIT, SPLIT_V, UNPACK. */
qc_status qc_split_ref(const qc_parts_params *, void *const *tensors, void *scratch);

/* CONCATENATION of uint8 arrays whose parameters differ: an element of part k becomes
 * clamp(round(q * ratio[k] + bias[k]) + output_zero_point, 0, 255) in float32 (two roundings, then half
 * away from zero), or is copied where ratio[k] is 0. */
typedef struct {
    qc_parts_params parts;
    const float *ratio;
    const float *bias;
    int32_t output_zero_point;
} qc_join_rescaled_params;

qc_status qc_join_rescaled_u8_ref(const qc_join_rescaled_params *, void *const *tensors, void *scratch);

/* PAD, PADV2: the input in the middle of an output filled with one value.
 * before, after: elements added on either side of each dimension, not negative.
 * value: the bytes of one element. */
typedef struct {
    int32_t input;
    int32_t output;
    int32_t rank;
    int32_t element_bytes;
    int64_t shape[QC_MAX_RANK]; /* of the input */
    int64_t before[QC_MAX_RANK];
    int64_t after[QC_MAX_RANK];
    uint8_t value[16];
} qc_pad_params;

qc_status qc_pad_ref(const qc_pad_params *, void *const *tensors, void *scratch);

/* GATHER: input [batch][outer][axis][slice_bytes], indices [batch][count] of index_bytes (2, 4 or 8,
 * signed) each, output [batch][outer][count][slice_bytes]. An index outside [0, axis) is QC_BAD_DATA. */
typedef struct {
    int64_t batch;
    int64_t outer;
    int64_t axis;
    int64_t count;
    int64_t slice_bytes;
    int32_t index_bytes;
} qc_gather_params;

qc_status qc_gather_ref(const qc_gather_params *, const uint8_t *input, const uint8_t *indices, uint8_t *output,
                        void *scratch);

#endif
