/* MAX_POOL_2D and AVERAGE_POOL_2D: the definitions.
 *
 * The innermost loop runs over channels, which are independent of each other, so that compilers can
 * vectorise it without changing the order of any float sum. */
#include "quantcore/pool.h"

#include <float.h>

#include "quantcore/fixed_point.h"

/* Defines a kernel: `start` is the value of every channel before the window, `take` adds one element to
 * it, `finish` makes the output of it and of the number n of elements taken, `clamp` bounds it. */
#define POOL_KERNEL(name, P, T, ACC, accumulators, start, take, finish, clamp)                               \
    static void name##_window(const P *p, qc_window_part part, const T *image, ACC *acc, T *y) {             \
        const int32_t channels = p->window.channels, width = p->window.input_width;                          \
        const int32_t n = (part.bottom - part.top) * (part.right - part.left);                               \
        const ACC low = (ACC)p->activation_min, high = (ACC)p->activation_max;                               \
        (void)n;                                                                                             \
        for (int32_t c = 0; c < channels; ++c) acc[c] = (start);                                             \
        for (int32_t row = part.top; row < part.bottom; ++row) {                                             \
            for (int32_t column = part.left; column < part.right; ++column) {                                \
                const T *x = image + ((int64_t)row * width + column) * channels;                             \
                for (int32_t c = 0; c < channels; ++c) acc[c] = (ACC)(take);                                 \
            }                                                                                                \
        }                                                                                                    \
        for (int32_t c = 0; c < channels; ++c) {                                                             \
            const ACC result = (ACC)(finish);                                                                \
            y[c] = (T)clamp(result, low, high);                                                              \
        }                                                                                                    \
    }                                                                                                        \
    qc_status qc_##name##_ref(const P *p, const T *input, T *output, void *scratch) {                        \
        (void)scratch;                                                                                       \
        const qc_window *w = &p->window;                                                                     \
        for (int32_t b = 0; b < w->batches; ++b) {                                                           \
            const T *image = input + (int64_t)b * w->input_height * w->input_width * w->channels;            \
            for (int32_t i = 0; i < w->output_height; ++i) {                                                 \
                for (int32_t j = 0; j < w->output_width; ++j) {                                              \
                    name##_window(p, qc_window_inside(w, i, j), image, (ACC *)(accumulators), output);       \
                    output += w->channels;                                                                   \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
        return QC_OK;                                                                                        \
    }

/* A maximum accumulates in the output itself. Like std::max, it keeps the first of equal values. */
#define LARGER acc[c] < x[c] ? x[c] : acc[c]
POOL_KERNEL(max_pool_s8, qc_pool_params, int8_t, int8_t, output, INT8_MIN, LARGER, acc[c], qc_clamp)
POOL_KERNEL(max_pool_u8, qc_pool_params, uint8_t, uint8_t, output, 0, LARGER, acc[c], qc_clamp)
POOL_KERNEL(max_pool_s16, qc_pool_params, int16_t, int16_t, output, INT16_MIN, LARGER, acc[c], qc_clamp)
POOL_KERNEL(max_pool_f32, qc_pool_f32_params, float, float, output, -FLT_MAX, LARGER, acc[c], qc_clamp_f32)

/* C divides toward zero, so half the count is added away from zero first. */
#define NEAREST (acc[c] > 0 ? acc[c] + n / 2 : acc[c] - n / 2) / n
POOL_KERNEL(average_pool_s8, qc_pool_params, int8_t, int32_t, scratch, 0, acc[c] + x[c], NEAREST, qc_clamp)
POOL_KERNEL(average_pool_u8, qc_pool_params, uint8_t, int32_t, scratch, 0, acc[c] + x[c], NEAREST, qc_clamp)
POOL_KERNEL(average_pool_s16, qc_pool_params, int16_t, int32_t, scratch, 0, acc[c] + x[c], NEAREST, qc_clamp)
POOL_KERNEL(average_pool_f32, qc_pool_f32_params, float, float, scratch, 0.0f, acc[c] + x[c], acc[c] / (float)n,
            qc_clamp_f32)
