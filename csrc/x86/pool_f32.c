/* MAX_POOL_2D and AVERAGE_POOL_2D on floats: lanes are channels, so that each sum keeps its order. */
#include <float.h>
#include <immintrin.h>

#include "../kernels.h"
#include "quantcore/pool.h"

/* Windows side by side: `rows` rows, `row_distance` floats apart, of `columns` pixels of `channels` floats; from one
 * window to the next there are `step` floats. */
typedef struct {
    const float *x;
    int64_t row_distance, channels, step;
    int32_t rows, columns, count;
    float low, high, reciprocal;
} windows;

#define QC_AVX512 __attribute__((target("avx512f,avx512vl")))
#define QC_AVX2 __attribute__((target("avx2")))
#define QC_UNROLL _Pragma("GCC unroll 4")

/* What a sum is to be multiplied with in place of being divided by n, where that is the same: the reciprocal of a power
 * of 2 is exact, so that both round the same number. 0 where it is not. */
static float exact_reciprocal(int32_t n) {
    return (n & (n - 1)) == 0 ? 1.0f / (float)n : 0.0f;
}

/* 16 channels of N windows, a constant. A maximum keeps the first of equal values and passes over NaN, as the second
 * operand of the instruction does. Bounds are those of qc_clamp_f32. */
QC_AVX512 static inline __attribute__((always_inline)) void tile_avx512(const int N, const int is_maximum,
                                                                        const windows *w, const float *x,
                                                                        __mmask16 exist, float *y) {
    const __m512 start = _mm512_set1_ps(is_maximum ? -FLT_MAX : 0.0f);
    const __m512 low = _mm512_set1_ps(w->low), high = _mm512_set1_ps(w->high);
    __m512 acc[4];
    QC_UNROLL
    for (int n = 0; n < N; ++n) acc[n] = start;
    for (int32_t r = 0; r < w->rows; ++r, x += w->row_distance) {
        const float *pixel = x;
        for (int32_t k = 0; k < w->columns; ++k, pixel += w->channels) {
            QC_UNROLL
            for (int n = 0; n < N; ++n) {
                const __m512 some = _mm512_maskz_loadu_ps(exist, pixel + n * w->step);
                acc[n] = is_maximum ? _mm512_max_ps(some, acc[n]) : _mm512_add_ps(acc[n], some);
            }
        }
    }
    QC_UNROLL
    for (int n = 0; n < N; ++n) {
        if (!is_maximum)
            acc[n] = w->reciprocal != 0.0f ? _mm512_mul_ps(acc[n], _mm512_set1_ps(w->reciprocal))
                                        : _mm512_div_ps(acc[n], _mm512_set1_ps((float)(w->rows * w->columns)));
        _mm512_mask_storeu_ps(y + n * w->channels, exist, _mm512_min_ps(high, _mm512_max_ps(low, acc[n])));
    }
}

QC_AVX512 static void pool_avx512(int is_maximum, const windows *w, float *y) {
    for (int64_t c = 0; c < w->channels; c += 16) {
        const __mmask16 exist = w->channels - c >= 16 ? 0xFFFF : (__mmask16)((1u << (w->channels - c)) - 1);
        const float *x = w->x + c;
        float *to = y + c;
        int32_t i = 0;
        for (; i + 4 <= w->count; i += 4, x += 4 * w->step, to += 4 * w->channels) {
            if (is_maximum)
                tile_avx512(4, 1, w, x, exist, to);
            else
                tile_avx512(4, 0, w, x, exist, to);
        }
        for (; i < w->count; ++i, x += w->step, to += w->channels) tile_avx512(1, is_maximum, w, x, exist, to);
    }
}

QC_AVX2 static void channels_avx2(int is_maximum, const windows *w, const float *x, __m256i exist, float *y) {
    const __m256 low = _mm256_set1_ps(w->low), high = _mm256_set1_ps(w->high);
    __m256 acc = _mm256_set1_ps(is_maximum ? -FLT_MAX : 0.0f);
    for (int32_t r = 0; r < w->rows; ++r, x += w->row_distance) {
        const float *pixel = x;
        for (int32_t k = 0; k < w->columns; ++k, pixel += w->channels) {
            const __m256 some = _mm256_maskload_ps(pixel, exist);
            acc = is_maximum ? _mm256_max_ps(some, acc) : _mm256_add_ps(acc, some);
        }
    }
    if (!is_maximum)
        acc = w->reciprocal != 0.0f ? _mm256_mul_ps(acc, _mm256_set1_ps(w->reciprocal))
                                 : _mm256_div_ps(acc, _mm256_set1_ps((float)(w->rows * w->columns)));
    _mm256_maskstore_ps(y, exist, _mm256_min_ps(high, _mm256_max_ps(low, acc)));
}

QC_AVX2 static void pool_avx2(int is_maximum, const windows *w, float *y) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (int64_t c = 0; c < w->channels; c += 8) {
        const int32_t left = w->channels - c < 8 ? (int32_t)(w->channels - c) : 8;
        const __m256i exist = _mm256_cmpgt_epi32(_mm256_set1_epi32(left), lanes);
        for (int32_t i = 0; i < w->count; ++i)
            channels_avx2(is_maximum, w, w->x + c + i * w->step, exist, y + c + i * w->channels);
    }
}

/* Output columns [*first, *end), those whose windows have all columns inside the image. */
static void columns_inside(const qc_window *s, int32_t *first, int32_t *end) {
    const int64_t stride = s->stride_width, pad = s->pad_left;
    const int64_t begin = pad > 0 ? (pad + stride - 1) / stride : 0;
    const int64_t room = (int64_t)s->input_width - s->filter_width + pad; /* where the last of them may start */
    const int64_t stop = room < 0 ? 0 : room / stride + 1;
    *first = (int32_t)(begin < s->output_width ? begin : s->output_width);
    *end = (int32_t)(stop > s->output_width ? s->output_width : stop < *first ? *first : stop);
}

static qc_status pool_f32(void (*pool)(int, const windows *, float *), int is_maximum, const qc_pool_f32_params *p,
                          const float *input, float *output) {
    const qc_window *s = &p->window;
    const int64_t row_size = (int64_t)s->input_width * s->channels;
    windows w = {.row_distance = row_size, .channels = s->channels, .low = p->activation_min, .high = p->activation_max};
    int32_t first, end;
    columns_inside(s, &first, &end);
    w.step = (int64_t)s->stride_width * s->channels;
    for (int32_t b = 0; b < s->batches; ++b, input += s->input_height * row_size) {
        for (int32_t y = 0; y < s->output_height; ++y) {
            for (int32_t x = 0; x < s->output_width; x += w.count, output += w.count * w.channels) {
                const qc_window_part part = qc_window_inside(s, y, x);
                w.x = input + part.top * row_size + (int64_t)part.left * s->channels;
                w.rows = part.bottom - part.top;
                w.columns = part.right - part.left;
                w.reciprocal = exact_reciprocal(w.rows * w.columns);
                w.count = x == first && first < end ? end - first : 1;
                pool(is_maximum, &w, output);
            }
        }
    }
    return QC_OK;
}

#define VERSION(name, is_maximum, ISA)                                                                            \
    qc_status qc_##name##_##ISA(const qc_pool_f32_params *p, const float *input, float *output, void *scratch) { \
        (void)scratch;                                                                                            \
        return pool_f32(pool_##ISA, is_maximum, p, input, output);                                            \
    }
VERSION(max_pool_f32, 1, avx2)
VERSION(max_pool_f32, 1, avx512)
VERSION(average_pool_f32, 0, avx2)
VERSION(average_pool_f32, 0, avx512)
