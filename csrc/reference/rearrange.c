/* Data movement by rules that no fixed stride expresses: the definitions. */
#include "quantcore/rearrange.h"

#include <string.h>

#include "quantcore/indexing.h"

/* Dimension d of the output; `input` has the offsets of the outer dimensions added already. */
static uint8_t *copy_dimension(const qc_mapped_copy_params *p, int32_t d, const int64_t *offset, const uint8_t *input,
                               uint8_t *output) {
    if (d == p->rank) {
        memcpy(output, input, (size_t)p->element_bytes);
        return output + p->element_bytes;
    }
    for (int64_t i = 0; i < p->shape[d]; ++i)
        output = copy_dimension(p, d + 1, offset + p->shape[d], input + offset[i] * p->element_bytes, output);
    return output;
}

qc_status qc_mapped_copy_ref(const qc_mapped_copy_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    copy_dimension(p, 0, p->offset, (const uint8_t *)tensors[0], (uint8_t *)tensors[p->output]);
    return QC_OK;
}

static uint8_t *repeat(uint8_t *output, int64_t count, const uint8_t *value, int32_t size) {
    for (int64_t i = 0; i < count; ++i) memcpy(output + i * size, value, (size_t)size);
    return output + count * size;
}

qc_status qc_fill_ref(const qc_fill_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    repeat((uint8_t *)tensors[p->output], p->count, (const uint8_t *)tensors[p->input], p->element_bytes);
    return QC_OK;
}

qc_status qc_space_to_batch_ref(const qc_blocks_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    const uint8_t *input = (const uint8_t *)tensors[0];
    uint8_t *output = (uint8_t *)tensors[p->output];
    const int64_t row = p->depth * p->element_bytes;
    for (int64_t n = 0; n < p->batch * p->block[0] * p->block[1]; ++n) {
        const int64_t b = n % p->batch, place = n / p->batch;
        for (int64_t i = 0; i < p->grid[0]; ++i) {
            const int64_t y = i * p->block[0] + place / p->block[1] - p->origin[0];
            for (int64_t j = 0; j < p->grid[1]; ++j) {
                const int64_t x = j * p->block[1] + place % p->block[1] - p->origin[1];
                if (y < 0 || y >= p->space[0] || x < 0 || x >= p->space[1]) {
                    output = repeat(output, p->depth, p->value, p->element_bytes);
                } else {
                    memcpy(output, input + ((b * p->space[0] + y) * p->space[1] + x) * row, (size_t)row);
                    output += row;
                }
            }
        }
    }
    return QC_OK;
}

qc_status qc_batch_to_space_ref(const qc_blocks_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    const uint8_t *input = (const uint8_t *)tensors[0];
    uint8_t *output = (uint8_t *)tensors[p->output];
    const int64_t row = p->depth * p->element_bytes;
    for (int64_t b = 0; b < p->batch; ++b) {
        for (int64_t y = p->origin[0]; y < p->origin[0] + p->space[0]; ++y) {
            for (int64_t x = p->origin[1]; x < p->origin[1] + p->space[1]; ++x) {
                const int64_t place = y % p->block[0] * p->block[1] + x % p->block[1];
                const int64_t i = y / p->block[0], j = x / p->block[1];
                const int64_t n = place * p->batch + b;
                memcpy(output, input + ((n * p->grid[0] + i) * p->grid[1] + j) * row, (size_t)row);
                output += row;
            }
        }
    }
    return QC_OK;
}

qc_status qc_one_hot_ref(const qc_one_hot_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    const uint8_t *indices = (const uint8_t *)tensors[0];
    uint8_t *output = (uint8_t *)tensors[4];
    for (int64_t o = 0; o < p->outer; ++o) {
        for (int64_t place = 0; place < p->depth; ++place) {
            for (int64_t i = 0; i < p->inner; ++i) {
                const int32_t index = (int32_t)qc_read_index(indices, o * p->inner + i, p->index_bytes);
                memcpy(output, tensors[index == place ? 2 : 3], (size_t)p->element_bytes);
                output += p->element_bytes;
            }
        }
    }
    return QC_OK;
}

qc_status qc_reverse_sequence_ref(const qc_reverse_sequence_params *p, const uint8_t *input, const uint8_t *lengths,
                                  uint8_t *output, void *scratch) {
    (void)scratch;
    const int64_t size = p->sequence_is_high ? p->high : p->low;
    for (int64_t o = 0; o < p->outer; ++o) {
        for (int64_t i = 0; i < p->low; ++i) {
            for (int64_t m = 0; m < p->middle; ++m) {
                for (int64_t j = 0; j < p->high; ++j) {
                    const int64_t b = p->sequence_is_high ? i : j;
                    int64_t t = p->sequence_is_high ? j : i; /* the place along the sequence */
                    const int64_t length = qc_read_index(lengths, b, p->index_bytes);
                    if (length < 0 || length > size) return QC_BAD_DATA;
                    if (t < length) t = length - 1 - t;
                    const int64_t low = p->sequence_is_high ? i : t, high = p->sequence_is_high ? t : j;
                    const int64_t from = ((o * p->low + low) * p->middle + m) * p->high + high;
                    memcpy(output, input + from * p->slice_bytes, (size_t)p->slice_bytes);
                    output += p->slice_bytes;
                }
            }
        }
    }
    return QC_OK;
}
