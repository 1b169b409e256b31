/* Float CONV_2D of stride 1 and 3 x 3 places on AVX-512, column of the input by column: see gemm_f32.h. */
#include <immintrin.h>
#include <stddef.h>
#include <string.h>

#include "gemm.h"
#include "gemm_f32.h"

#define QC_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2")))
#define QC_INLINE static inline __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2"), always_inline))
#define QC_UNROLL _Pragma("GCC unroll 16")

/* SUMS_IN_CACHE: sums that stay in the level 1 cache beside the filter. */
enum { PLACES = 3, MOST_SUMS = 9, SUMS_IN_CACHE = 3072 };

/* The elements of a row of the input that are not zero, see qc_float_columns. */
typedef struct {
    int64_t columns;
    const float *values;
    const int32_t *offsets, *starts;
} elements;

/* Add to the sums of ROWS rows of outputs what a row of the input gives them. STEP: elements of the filter from one
 * channel to the next. sums: of each row, from the column on that is two to the left of the first. An element meets all
 * places of the filter at once, so that sums are independent of each other, and each is added in the order of columns
 * and channels. */
QC_INLINE void add_row(const int ROWS, const int VECTORS, const int STEP, const elements *from, const float *filter,
                       float *const *sums) {
    const int PER_ROW = PLACES * VECTORS;
    for (int64_t column = 0; column < from->columns; ++column) {
        __m512 acc[MOST_SUMS];
        QC_UNROLL
        for (int i = 0; i < ROWS * PER_ROW; ++i) {
            const int64_t at = (column + PLACES - 1 - i % PER_ROW / VECTORS) * VECTORS + i % VECTORS;
            acc[i] = _mm512_loadu_ps(sums[i / PER_ROW] + at * QC_LANES);
        }
        for (int64_t e = from->starts[column]; e < from->starts[column + 1]; ++e) {
            const __m512 x = _mm512_set1_ps(from->values[e]);
            const float *w = filter + (int64_t)from->offsets[e] * (STEP / QC_LANES);
            __asm__("" : "+r"(w)); /* one register, and not a sum in each load */
            QC_UNROLL
            for (int i = 0; i < ROWS * PER_ROW; ++i)
                acc[i] = _mm512_add_ps(acc[i], _mm512_mul_ps(x, _mm512_loadu_ps(w + i * QC_LANES)));
        }
        QC_UNROLL
        for (int i = 0; i < ROWS * PER_ROW; ++i) {
            const int64_t at = (column + PLACES - 1 - i % PER_ROW / VECTORS) * VECTORS + i % VECTORS;
            _mm512_storeu_ps(sums[i / PER_ROW] + at * QC_LANES, acc[i]);
        }
    }
}

#define ADD_ROW(ROWS, VECTORS, STEP)                                                                                  \
    QC_TARGET static void add_row_##ROWS##_##VECTORS(const elements *from, const float *filter, float *const *sums) { \
        add_row(ROWS, VECTORS, STEP, from, filter, sums);                                                             \
    }
ADD_ROW(1, 1, PLACES * PLACES * QC_LANES)
ADD_ROW(2, 1, PLACES * PLACES * QC_LANES)
ADD_ROW(3, 1, PLACES * PLACES * QC_LANES)
ADD_ROW(1, 2, PLACES * 2 * QC_LANES)

/* Clamp the sums of a row with their bias. `units` of them exist in each column. */
QC_TARGET static void store_row(int32_t vectors, const qc_float_columns *c, const float *sums, int32_t unit, int32_t units,
                                float *to) {
    const __m512 low = _mm512_set1_ps(c->low), high = _mm512_set1_ps(c->high), zero = _mm512_setzero_ps();
    for (int32_t v = 0; v < vectors; ++v) {
        const int32_t left = units - v * QC_LANES;
        const __mmask16 exist = left >= QC_LANES ? 0xFFFF : (__mmask16)((1u << left) - 1);
        const __m512 bias = c->bias != NULL ? _mm512_maskz_loadu_ps(exist, c->bias + unit + v * QC_LANES) : zero;
        const float *from = sums + ((PLACES - 1) * vectors + v) * QC_LANES;
        float *y = to + unit + v * QC_LANES;
        for (int32_t column = 0; column < c->output_width; ++column, from += vectors * QC_LANES, y += c->units) {
            const __m512 biased = _mm512_add_ps(_mm512_loadu_ps(from), bias);
            _mm512_mask_storeu_ps(y, exist, _mm512_min_ps(high, _mm512_max_ps(low, biased)));
        }
    }
}

static elements row_of_band(const qc_float_columns *c, int64_t row) {
    const int64_t columns = c->output_width + PLACES - 1;
    return (elements){columns, c->list.values, c->list.offsets, c->starts + row * (columns + 1)};
}

/* Outputs of one block of 16 units: the rows of outputs that see a row of the input are summed together. */
static void add_block(const qc_float_columns *c, const float *filter, int64_t rows, int64_t sums_row) {
    for (int64_t i = 0; i < rows + PLACES - 1; ++i) {
        const int64_t first = i < rows ? 0 : i - rows + 1, last = i < PLACES - 1 ? i : PLACES - 1;
        const elements from = row_of_band(c, i);
        float *sums[PLACES];
        for (int64_t y = first; y <= last; ++y) sums[y - first] = c->sums + (i - y) * sums_row;
        const float *w = filter + first * PLACES * QC_LANES;
        if (last - first == 2)
            add_row_3_1(&from, w, sums);
        else if (last - first == 1)
            add_row_2_1(&from, w, sums);
        else
            add_row_1_1(&from, w, sums);
    }
}

/* Outputs of two blocks: rows of the filter one after the other, which stay in the level 1 cache. */
static void add_two_blocks(const qc_float_columns *c, const float *filter, int64_t first, int64_t rows, int64_t sums_row) {
    for (int64_t fy = 0; fy < PLACES; ++fy, filter += c->channels * PLACES * 2 * QC_LANES) {
        for (int64_t y = 0; y < rows; ++y) {
            const elements from = row_of_band(c, first + y + fy);
            float *sums = c->sums + y * sums_row;
            add_row_1_2(&from, filter, &sums);
        }
    }
}

void qc_float_columns_avx512(const qc_float_columns *c, int64_t rows, float *to) {
    const int64_t to_row = (int64_t)c->output_width * c->units, block_size = PLACES * PLACES * c->channels * QC_LANES;
    const float *filter = c->filter;
    for (int32_t unit = 0; unit < c->units;) {
        const int32_t left = c->units - unit, vectors = left > QC_LANES ? 2 : 1;
        const int64_t sums_row = (c->output_width + 2 * (PLACES - 1)) * (int64_t)vectors * QC_LANES;
        const int64_t few = SUMS_IN_CACHE / sums_row, most = vectors == 1 ? rows : few > 0 ? few : 1;
        for (int64_t first = 0; first < rows; first += most) {
            const int64_t some = rows - first < most ? rows - first : most;
            memset(c->sums, 0, (size_t)(some * sums_row) * sizeof(float));
            if (vectors == 1)
                add_block(c, filter, some, sums_row);
            else
                add_two_blocks(c, filter, first, some, sums_row);
            for (int64_t y = 0; y < some; ++y)
                store_row(vectors, c, c->sums + y * sums_row, unit, left, to + (first + y) * to_row);
        }
        unit += vectors * QC_LANES;
        filter += vectors * block_size;
    }
}

void qc_float_columns_filter(const float *packed, int64_t channels, int32_t units, float *to) {
    const int64_t block_size = PLACES * PLACES * channels * QC_LANES;
    for (int32_t unit = 0; unit < units;) {
        const int32_t vectors = units - unit > QC_LANES ? 2 : 1;
        for (int64_t outer = 0; outer < (vectors == 1 ? 1 : PLACES); ++outer)
            for (int64_t c = 0; c < channels; ++c)
                for (int64_t place = 0; place < (vectors == 1 ? PLACES * PLACES : PLACES); ++place)
                    for (int32_t v = 0; v < vectors; ++v, to += QC_LANES)
                        memcpy(to, packed + v * block_size + ((outer * PLACES + place) * channels + c) * QC_LANES,
                               QC_LANES * sizeof *to);
        unit += vectors * QC_LANES;
        packed += vectors * block_size;
    }
}
