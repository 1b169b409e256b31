/* MAX_POOL_2D and AVERAGE_POOL_2D on 8-bit elements. */
#include "quantcore/pool.h"

#include "harness.h"

static void compare_pool(int is_signed) {
    qc_pool_params p = {.window = {.batches = between(0, 2), .input_height = between(1, 9),
                                   .input_width = between(1, 9),
                                   .channels = (int32_t)CHOOSE(0, 1, 3, 15, 16, 17, 24, 32, 40, 70),
                                   .stride_height = between(1, 3), .stride_width = between(1, 3)}};
    qc_window *w = &p.window;
    w->filter_height = between(1, w->input_height + 2);
    w->filter_width = between(1, w->input_width + 2);
    w->pad_top = between(0, w->filter_height - 1);
    w->pad_left = between(0, w->filter_width - 1);
    /* every window has an element inside the image */
    w->output_height = between(1, (w->input_height - 1 + w->pad_top) / w->stride_height + 1);
    w->output_width = between(1, (w->input_width - 1 + w->pad_left) / w->stride_width + 1);
    const int32_t low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
    p.activation_min = one_in(3) ? between(low, high) : low;
    p.activation_max = one_in(3) ? between(p.activation_min, high) : high;
    const void *inputs[] = {random_bytes((int64_t)w->batches * w->input_height * w->input_width * w->channels)};
    const int64_t size = (int64_t)w->batches * w->output_height * w->output_width * w->channels;
    compare(is_signed ? "max_pool_s8" : "max_pool_u8", &p, 1, inputs, size, NULL, 0);
    compare(is_signed ? "average_pool_s8" : "average_pool_u8", &p, 1, inputs, size, NULL,
            qc_average_pool_scratch_size(w));
    release_all();
}

void compare_pools(int times) {
    for (int i = 0; i < 2 * times; ++i) compare_pool(i % 2);
}
