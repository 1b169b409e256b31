/* MAX_POOL_2D and AVERAGE_POOL_2D on bytes. */
#include "quantcore/pool.h"

#include "../kernels.h"
#include "pool.h"
#include "quantcore/fixed_point.h"

static qc_byte_window window_at(const qc_window *w, const uint8_t *image, int32_t y, int32_t x) {
    const qc_window_part part = qc_window_inside(w, y, x);
    const qc_byte_window window = {
        .x = image + ((int64_t)part.top * w->input_width + part.left) * w->channels,
        .row_distance = (int64_t)w->input_width * w->channels,
        .distance = w->channels,
        .rows = part.bottom - part.top,
        .columns = part.right - part.left,
    };
    return window;
}

/* An average of more elements than the vector versions divide by. */
static void average_of_many(const qc_pool_isa *isa, const qc_byte_window *w, int is_signed, const qc_pool_params *p,
                            int32_t *acc, uint8_t *y) {
    const int32_t n = (int32_t)(w->rows * w->columns), channels = p->window.channels;
    for (int32_t c = 0; c < channels; ++c) acc[c] = is_signed ? -128 * n : 0;
    isa->sums(w, is_signed ? 0x80 : 0, channels, acc);
    for (int32_t c = 0; c < channels; ++c)
        y[c] = (uint8_t)qc_clamp(qc_nearest_average(acc[c], n), p->activation_min, p->activation_max);
}

static qc_status pool(const qc_pool_isa *isa, int is_maximum, int is_signed, const qc_pool_params *p,
                      const uint8_t *input, uint8_t *output, void *scratch) {
    const qc_window *w = &p->window;
    const int32_t low = p->activation_min, high = p->activation_max;
    for (int32_t b = 0; b < w->batches; ++b) {
        const uint8_t *image = input + (int64_t)b * w->input_height * w->input_width * w->channels;
        for (int32_t y = 0; y < w->output_height; ++y) {
            for (int32_t x = 0; x < w->output_width; ++x, output += w->channels) {
                const qc_byte_window window = window_at(w, image, y, x);
                if (is_maximum)
                    isa->maximum(&window, is_signed, w->channels, low, high, output);
                else if (window.rows * window.columns <= QC_AVERAGE_PIXELS)
                    isa->average(&window, is_signed, w->channels, low, high, output);
                else
                    average_of_many(isa, &window, is_signed, p, scratch, output);
            }
        }
    }
    return QC_OK;
}

#define VERSION(name, is_maximum, is_signed, T, ISA)                                                             \
    qc_status qc_##name##_##ISA(const qc_pool_params *p, const T *input, T *output, void *scratch) {             \
        return pool(&qc_pool_##ISA, is_maximum, is_signed, p, (const uint8_t *)input, (uint8_t *)output, scratch); \
    }
#define VERSIONS(ISA)                            \
    VERSION(max_pool_s8, 1, 1, int8_t, ISA)      \
    VERSION(max_pool_u8, 1, 0, uint8_t, ISA)     \
    VERSION(average_pool_s8, 0, 1, int8_t, ISA)  \
    VERSION(average_pool_u8, 0, 0, uint8_t, ISA)
VERSIONS(avx2)
VERSIONS(vnni)
