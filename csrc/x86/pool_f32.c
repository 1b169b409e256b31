/* MAX_POOL_2D and AVERAGE_POOL_2D on floats: lanes are channels, so that each sum keeps its order. */
#include <float.h>
#include <immintrin.h>

#include "../kernels.h"
#include "quantcore/pool.h"

/* The elements of a window: `rows` rows, `row_distance` floats apart, of `columns` pixels of `channels` floats. */
typedef struct {
    const float *x;
    int64_t row_distance, channels;
    int32_t rows, columns;
    float low, high;
} window;

#define QC_AVX512 __attribute__((target("avx512f,avx512vl")))
#define QC_AVX2 __attribute__((target("avx2")))

/* A maximum keeps the first of equal values and passes over NaN, as the second operand of the instruction does. Bounds
 * are those of qc_clamp_f32. */
QC_AVX512 static void channels_avx512(int is_maximum, const window *w, float *y) {
    const __m512 low = _mm512_set1_ps(w->low), high = _mm512_set1_ps(w->high);
    const __m512 start = _mm512_set1_ps(is_maximum ? -FLT_MAX : 0.0f);
    const __m512 count = _mm512_set1_ps((float)(w->rows * w->columns));
    for (int64_t c = 0; c < w->channels; c += 16) {
        const __mmask16 exist = w->channels - c >= 16 ? 0xFFFF : (__mmask16)((1u << (w->channels - c)) - 1);
        const float *row = w->x + c;
        __m512 acc = start;
        for (int32_t r = 0; r < w->rows; ++r, row += w->row_distance) {
            const float *pixel = row;
            for (int32_t k = 0; k < w->columns; ++k, pixel += w->channels) {
                const __m512 x = _mm512_maskz_loadu_ps(exist, pixel);
                acc = is_maximum ? _mm512_max_ps(x, acc) : _mm512_add_ps(acc, x);
            }
        }
        if (!is_maximum) acc = _mm512_div_ps(acc, count);
        _mm512_mask_storeu_ps(y + c, exist, _mm512_min_ps(high, _mm512_max_ps(low, acc)));
    }
}

QC_AVX2 static void channels_avx2(int is_maximum, const window *w, float *y) {
    const __m256 low = _mm256_set1_ps(w->low), high = _mm256_set1_ps(w->high);
    const __m256 start = _mm256_set1_ps(is_maximum ? -FLT_MAX : 0.0f);
    const __m256 count = _mm256_set1_ps((float)(w->rows * w->columns));
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (int64_t c = 0; c < w->channels; c += 8) {
        const int32_t left = w->channels - c < 8 ? (int32_t)(w->channels - c) : 8;
        const __m256i exist = _mm256_cmpgt_epi32(_mm256_set1_epi32(left), lanes);
        const float *row = w->x + c;
        __m256 acc = start;
        for (int32_t r = 0; r < w->rows; ++r, row += w->row_distance) {
            const float *pixel = row;
            for (int32_t k = 0; k < w->columns; ++k, pixel += w->channels) {
                const __m256 x = _mm256_maskload_ps(pixel, exist);
                acc = is_maximum ? _mm256_max_ps(x, acc) : _mm256_add_ps(acc, x);
            }
        }
        if (!is_maximum) acc = _mm256_div_ps(acc, count);
        _mm256_maskstore_ps(y + c, exist, _mm256_min_ps(high, _mm256_max_ps(low, acc)));
    }
}

static qc_status pool_f32(void (*channels)(int, const window *, float *), int is_maximum, const qc_pool_f32_params *p,
                          const float *input, float *output) {
    const qc_window *s = &p->window;
    const int64_t row_size = (int64_t)s->input_width * s->channels;
    window w = {.row_distance = row_size, .channels = s->channels, .low = p->activation_min, .high = p->activation_max};
    for (int32_t b = 0; b < s->batches; ++b, input += s->input_height * row_size) {
        for (int32_t y = 0; y < s->output_height; ++y) {
            for (int32_t x = 0; x < s->output_width; ++x, output += s->channels) {
                const qc_window_part part = qc_window_inside(s, y, x);
                w.x = input + part.top * row_size + (int64_t)part.left * s->channels;
                w.rows = part.bottom - part.top;
                w.columns = part.right - part.left;
                channels(is_maximum, &w, output);
            }
        }
    }
    return QC_OK;
}

#define VERSION(name, is_maximum, ISA)                                                                            \
    qc_status qc_##name##_##ISA(const qc_pool_f32_params *p, const float *input, float *output, void *scratch) { \
        (void)scratch;                                                                                            \
        return pool_f32(channels_##ISA, is_maximum, p, input, output);                                            \
    }
VERSION(max_pool_f32, 1, avx2)
VERSION(max_pool_f32, 1, avx512)
VERSION(average_pool_f32, 0, avx2)
VERSION(average_pool_f32, 0, avx512)
