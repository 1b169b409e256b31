/* Float products that leave out the zeros of the left matrix, on AVX-512: see gemm_f32.h. */
#include <immintrin.h>
#include <stddef.h>

#include "gemm_f32.h"

#define QC_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,popcnt")))
#define QC_INLINE static inline __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,popcnt"), always_inline))
#define QC_UNROLL _Pragma("GCC unroll 8")

enum { SUMS = 8 };

/* NaN is not zero. */
QC_INLINE int64_t list_elements(const float *x, int64_t count, int32_t first, int32_t *offsets, float *values) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i at = _mm512_add_epi32(_mm512_set1_epi32(first), _mm512_slli_epi32(lanes, 4));
    int64_t n = 0;
    for (int64_t i = 0; i < count; i += 16) {
        const __mmask16 exist = count - i >= 16 ? 0xFFFF : (__mmask16)((1u << (count - i)) - 1);
        const __m512 some = _mm512_maskz_loadu_ps(exist, x + i);
        const __mmask16 taken = _mm512_mask_cmp_ps_mask(exist, some, _mm512_setzero_ps(), _CMP_NEQ_UQ);
        _mm512_storeu_ps(values + n, _mm512_maskz_compress_ps(taken, some));
        _mm512_storeu_si512(offsets + n, _mm512_maskz_compress_epi32(taken, at));
        n += _mm_popcnt_u32(taken);
        at = _mm512_add_epi32(at, _mm512_set1_epi32(16 * QC_LANES));
    }
    return n;
}

QC_TARGET int64_t qc_count_elements_avx512(const float *x, int64_t count) {
    int64_t n = 0;
    for (int64_t i = 0; i < count; i += 16) {
        const __mmask16 exist = count - i >= 16 ? 0xFFFF : (__mmask16)((1u << (count - i)) - 1);
        const __m512 some = _mm512_maskz_loadu_ps(exist, x + i);
        n += _mm_popcnt_u32(_mm512_mask_cmp_ps_mask(exist, some, _mm512_setzero_ps(), _CMP_NEQ_UQ));
    }
    return n;
}

QC_TARGET int64_t qc_list_row_avx512(const float *x, int64_t columns, int64_t channels, int32_t step, int64_t n,
                                     const qc_float_list *to, int32_t *starts) {
    for (int64_t column = 0; column < columns; ++column, x += channels) {
        starts[column] = (int32_t)n;
        n += list_elements(x, channels, (int32_t)column * step, to->offsets + n, to->values + n);
    }
    starts[columns] = (int32_t)n;
    return n;
}

/* sums += the products of elements [from, to) of one run. VECTORS is a constant. */
QC_INLINE void add_elements(const int VECTORS, const qc_float_run *run, const float *filter, int64_t block_size, int64_t from,
                            int64_t to, __m512 *sums) {
    for (int64_t e = from; e < to; ++e) {
        const __m512 x = _mm512_set1_ps(run->values[e]);
        const float *w = filter + run->offsets[e];
        QC_UNROLL
        for (int v = 0; v < VECTORS; ++v)
            sums[v] = _mm512_add_ps(sums[v], _mm512_mul_ps(x, _mm512_loadu_ps(w + v * block_size)));
    }
}

/* Outputs of ROWS rows and VECTORS blocks of 16 units from `unit` on, of which `units` exist. Rows go side by side as far
 * as the shortest run reaches: one sum after the other would wait for its own addition. */
QC_INLINE void few_rows(const int ROWS, const int VECTORS, const qc_float_run *runs, int64_t per_row, int64_t unit,
                        int64_t block_size, int32_t units, const qc_float_output *out) {
    __m512 sums[SUMS];
    QC_UNROLL
    for (int i = 0; i < ROWS * VECTORS; ++i) sums[i] = _mm512_setzero_ps();
    for (int64_t i = 0; i < per_row; ++i) {
        const int32_t *offsets[SUMS];
        const float *values[SUMS], *filter[SUMS];
        int64_t shortest = runs[i].count;
        QC_UNROLL
        for (int r = 0; r < ROWS; ++r) {
            const qc_float_run *run = runs + r * per_row + i;
            offsets[r] = run->offsets;
            values[r] = run->values;
            filter[r] = run->filter + unit / QC_LANES * block_size;
            if (run->count < shortest) shortest = run->count;
        }
        for (int64_t e = 0; e < shortest; ++e) {
            QC_UNROLL
            for (int r = 0; r < ROWS; ++r) {
                const __m512 x = _mm512_set1_ps(values[r][e]);
                const float *w = filter[r] + offsets[r][e];
                QC_UNROLL
                for (int v = 0; v < VECTORS; ++v)
                    sums[r * VECTORS + v] = _mm512_add_ps(sums[r * VECTORS + v],
                                                          _mm512_mul_ps(x, _mm512_loadu_ps(w + v * block_size)));
            }
        }
        QC_UNROLL
        for (int r = 0; r < ROWS; ++r) {
            const qc_float_run *run = runs + r * per_row + i;
            add_elements(VECTORS, run, filter[r], block_size, shortest, run->count, sums + r * VECTORS);
        }
    }
    const __m512 low = _mm512_set1_ps(out->low), high = _mm512_set1_ps(out->high), zero = _mm512_setzero_ps();
    QC_UNROLL
    for (int v = 0; v < VECTORS; ++v) {
        const int64_t first = unit + v * QC_LANES, left = units - first;
        const __mmask16 exist = left >= QC_LANES ? 0xFFFF : (__mmask16)((1u << left) - 1);
        const __m512 bias = out->bias != NULL ? _mm512_maskz_loadu_ps(exist, out->bias + first) : zero;
        QC_UNROLL
        for (int r = 0; r < ROWS; ++r) {
            const __m512 y = _mm512_add_ps(_mm512_add_ps(zero, sums[r * VECTORS + v]), bias);
            _mm512_mask_storeu_ps(out->output + r * out->row_size + first, exist,
                                  _mm512_min_ps(high, _mm512_max_ps(low, y)));
        }
    }
}

#define QC_FEW(ROWS, VECTORS)                                                                                          \
    QC_TARGET static void rows_##ROWS##_##VECTORS(const qc_float_run *runs, int64_t per_row, int64_t unit,            \
                                                  int64_t block_size, int32_t units, const qc_float_output *out) {     \
        few_rows(ROWS, VECTORS, runs, per_row, unit, block_size, units, out);                                          \
    }
QC_FEW(1, 8)
QC_FEW(1, 4)
QC_FEW(2, 4)
QC_FEW(1, 2)
QC_FEW(4, 2)
QC_FEW(1, 1)
QC_FEW(8, 1)

typedef void (*rows_function)(const qc_float_run *, int64_t, int64_t, int64_t, int32_t, const qc_float_output *);

/* The blocks of 16 units that are computed together where `left` are left: 8, 4, 2 or 1. With several rows, at most 4,
 * so that rows share what they read of the filter. */
static int32_t next_vectors(int64_t left, int64_t rows) {
    return left >= 8 && rows == 1 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

void qc_float_runs_avx512(const qc_float_run *runs, int64_t per_row, int64_t rows, int64_t block_size, int32_t units,
                          const qc_float_output *out) {
    const int64_t blocks = (units + QC_LANES - 1) / QC_LANES;
    for (int64_t block = 0; block < blocks;) {
        const int32_t vectors = next_vectors(blocks - block, rows);
        const rows_function one = vectors == 8 ? rows_1_8 : vectors == 4 ? rows_1_4 : vectors == 2 ? rows_1_2 : rows_1_1;
        const rows_function many = vectors == 8 ? rows_1_8 : vectors == 4 ? rows_2_4 : vectors == 2 ? rows_4_2 : rows_8_1;
        const int32_t together = SUMS / vectors;
        qc_float_output at = *out;
        for (int64_t row = 0; row < rows;) {
            const int32_t some = rows - row >= together ? together : 1;
            (some == together ? many : one)(runs + row * per_row, per_row, block * QC_LANES, block_size, units, &at);
            at.output += some * at.row_size;
            row += some;
        }
        block += vectors;
    }
}
