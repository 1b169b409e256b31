/* Data movement: the definitions. */
#include "quantcore/movement.h"

#include <string.h>

#include "quantcore/affine.h"
#include "quantcore/indexing.h"

qc_status qc_copy_ref(const qc_copy_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    memcpy(tensors[p->output], tensors[p->input], (size_t)p->size_bytes);
    return QC_OK;
}

/* One row of `count` elements, `stride_bytes` apart in the input; the end of the output row is returned. */
static uint8_t *copy_row(const uint8_t *input, int64_t stride_bytes, int64_t count, int32_t size, uint8_t *output) {
    if (stride_bytes == size) {
        memcpy(output, input, (size_t)(count * size));
        return output + count * size;
    }
    /* a constant size lets the compiler make one move of each memcpy */
    switch (size) {
#define CASE(n)                                                                                    \
    case n:                                                                                        \
        for (int64_t i = 0; i < count; ++i) memcpy(output + i * n, input + i * stride_bytes, n);   \
        break;
        CASE(1) CASE(2) CASE(4) CASE(8) CASE(16)
#undef CASE
    }
    return output + count * size;
}

qc_status qc_strided_copy_ref(const qc_strided_copy_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    const uint8_t *input = (const uint8_t *)tensors[p->input];
    uint8_t *output = (uint8_t *)tensors[p->output];
    const int32_t size = p->element_bytes;
    int64_t row = p->first; /* index of the element at which the next row of the last dimension starts */
    if (p->rank == 0) {
        memcpy(output, input + row * size, (size_t)size);
        return QC_OK;
    }
    for (int32_t d = 0; d < p->rank; ++d)
        if (p->shape[d] == 0) return QC_OK;
    const int32_t last = p->rank - 1;
    int64_t index[QC_MAX_RANK] = {0};
    for (;;) {
        output = copy_row(input + row * size, p->stride[last] * size, p->shape[last], size, output);
        int32_t d = last - 1; /* advance the index of the outer dimensions, as an odometer */
        for (; d >= 0 && ++index[d] == p->shape[d]; --d) {
            index[d] = 0;
            row -= (p->shape[d] - 1) * p->stride[d];
        }
        if (d < 0) return QC_OK;
        row += p->stride[d];
    }
}

/* `rows` rows of `bytes`, `from_step` bytes apart, to rows `to_step` apart. */
static void copy_rows(const uint8_t *from, int64_t from_step, uint8_t *to, int64_t to_step, int64_t rows,
                      int64_t bytes) {
    /* a constant size lets the compiler make one move of each memcpy */
    switch (bytes) {
#define CASE(n)                                                                                    \
    case n:                                                                                        \
        for (int64_t i = 0; i < rows; ++i) memcpy(to + i * to_step, from + i * from_step, n);      \
        return;
        CASE(1) CASE(2) CASE(4) CASE(8) CASE(16)
#undef CASE
    }
    for (int64_t i = 0; i < rows; ++i) memcpy(to + i * to_step, from + i * from_step, (size_t)bytes);
}

static int64_t row_bytes(const qc_parts_params *p) {
    int64_t sum = 0;
    for (int32_t k = 0; k < p->parts; ++k) sum += p->part_bytes[k];
    return sum;
}

qc_status qc_join_ref(const qc_parts_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    uint8_t *whole = (uint8_t *)tensors[p->whole];
    const int64_t row = row_bytes(p);
    for (int32_t k = 0; k < p->parts; whole += p->part_bytes[k++])
        copy_rows((const uint8_t *)tensors[p->first_part + k], p->part_bytes[k], whole, row, p->rows, p->part_bytes[k]);
    return QC_OK;
}

qc_status qc_split_ref(const qc_parts_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    const uint8_t *whole = (const uint8_t *)tensors[p->whole];
    const int64_t row = row_bytes(p);
    for (int32_t k = 0; k < p->parts; whole += p->part_bytes[k++])
        copy_rows(whole, row, (uint8_t *)tensors[p->first_part + k], p->part_bytes[k], p->rows, p->part_bytes[k]);
    return QC_OK;
}

static uint8_t rescale_u8(uint8_t q, float ratio, float bias, int32_t zero_point) {
    const float product = (float)q * ratio;
    const int32_t y = qc_round_float_to_int32(product + bias);
    return (uint8_t)qc_clamp(qc_wrap32((int64_t)y + zero_point), 0, 255);
}

/* Rows of a part, as copy_rows. There are 256 values: from as many elements on, each is rescaled once. */
static void rescale_rows(const qc_join_rescaled_params *p, int32_t k, const uint8_t *from, uint8_t *to, int64_t to_step) {
    const int64_t bytes = p->parts.part_bytes[k], rows = p->parts.rows;
    uint8_t table[256];
    const int has_table = rows * bytes >= 256;
    for (int q = 0; has_table && q < 256; ++q)
        table[q] = rescale_u8((uint8_t)q, p->ratio[k], p->bias[k], p->output_zero_point);
    for (int64_t row = 0; row < rows; ++row, from += bytes, to += to_step)
        for (int64_t i = 0; i < bytes; ++i)
            to[i] = has_table ? table[from[i]] : rescale_u8(from[i], p->ratio[k], p->bias[k], p->output_zero_point);
}

qc_status qc_join_rescaled_u8_ref(const qc_join_rescaled_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    const qc_parts_params *parts = &p->parts;
    uint8_t *whole = (uint8_t *)tensors[parts->whole];
    const int64_t row = row_bytes(parts);
    for (int32_t k = 0; k < parts->parts; whole += parts->part_bytes[k++]) {
        const uint8_t *part = (const uint8_t *)tensors[parts->first_part + k];
        if (p->ratio[k] == 0.0f)
            copy_rows(part, parts->part_bytes[k], whole, row, parts->rows, parts->part_bytes[k]);
        else
            rescale_rows(p, k, part, whole, row);
    }
    return QC_OK;
}

/* `count` elements of one value: the first is copied, then what is there is doubled. */
static void fill(uint8_t *output, int64_t count, const uint8_t *value, int32_t size) {
    if (count == 0) return;
    memcpy(output, value, (size_t)size);
    for (int64_t done = size, chunk; done < count * size; done += chunk) {
        chunk = done < count * size - done ? done : count * size - done;
        memcpy(output + done, output, (size_t)chunk);
    }
}

/* Dimension d of the padded array: `input` is where its part of the input starts, advanced past it. */
static uint8_t *pad_dimension(const qc_pad_params *p, int32_t d, const uint8_t **input, uint8_t *output) {
    const int32_t size = p->element_bytes;
    if (d == p->rank) {
        memcpy(output, *input, (size_t)size);
        *input += size;
        return output + size;
    }
    int64_t inner = 1; /* elements of the output per step in this dimension */
    for (int32_t k = d + 1; k < p->rank; ++k) inner *= p->before[k] + p->shape[k] + p->after[k];
    fill(output, p->before[d] * inner, p->value, size);
    output += p->before[d] * inner * size;
    if (d == p->rank - 1) {
        memcpy(output, *input, (size_t)(p->shape[d] * size));
        *input += p->shape[d] * size;
        output += p->shape[d] * size;
    } else {
        for (int64_t i = 0; i < p->shape[d]; ++i) output = pad_dimension(p, d + 1, input, output);
    }
    fill(output, p->after[d] * inner, p->value, size);
    return output + p->after[d] * inner * size;
}

qc_status qc_pad_ref(const qc_pad_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    const uint8_t *input = (const uint8_t *)tensors[p->input];
    pad_dimension(p, 0, &input, (uint8_t *)tensors[p->output]);
    return QC_OK;
}

qc_status qc_gather_ref(const qc_gather_params *p, const uint8_t *input, const uint8_t *indices, uint8_t *output,
                        void *scratch) {
    (void)scratch;
    for (int64_t b = 0; b < p->batch; ++b) {
        for (int64_t o = 0; o < p->outer; ++o) {
            const uint8_t *slices = input + (b * p->outer + o) * p->axis * p->slice_bytes;
            for (int64_t i = 0; i < p->count; ++i) {
                const int64_t index = qc_read_index(indices, b * p->count + i, p->index_bytes);
                if (index < 0 || index >= p->axis) return QC_BAD_DATA;
                memcpy(output, slices + index * p->slice_bytes, (size_t)p->slice_bytes);
                output += p->slice_bytes;
            }
        }
    }
    return QC_OK;
}
