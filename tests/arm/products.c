/* Convolutions and FULLY_CONNECTED on 8-bit elements. */
#include <math.h>

#include "harness.h"
#include "quantcore/conv.h"
#include "quantcore/depthwise_conv.h"
#include "quantcore/fully_connected.h"

static const char *name_of(const char *s8, const char *u8, int is_signed) {
    return is_signed ? s8 : u8;
}

static int32_t random_offset(int is_signed) {
    return is_signed ? between(-127, 128) : between(-255, 0);
}

/* Some size of the output, and padding that may be negative or more than the window. */
static qc_conv_shape random_shape(int32_t most_filter) {
    qc_conv_shape s = {.batches = (int32_t)CHOOSE(0, 1, 1, 1, 2), .input_height = between(1, 9),
                       .input_width = between(1, 12), .filter_height = between(1, most_filter),
                       .filter_width = between(1, most_filter), .output_height = between(1, 6),
                       .output_width = between(1, 11), .stride_height = between(1, 3), .stride_width = between(1, 3),
                       .dilation_height = (int32_t)CHOOSE(1, 1, 1, 2), .dilation_width = (int32_t)CHOOSE(1, 1, 1, 3)};
    s.pad_top = between(-1, s.filter_height);
    s.pad_left = between(-1, s.filter_width);
    if (one_in(3)) { /* as models have it */
        s.stride_height = s.stride_width = s.dilation_height = s.dilation_width = 1;
        s.output_height = s.input_height;
        s.output_width = s.input_width;
        s.pad_top = s.filter_height / 2;
        s.pad_left = s.filter_width / 2;
    }
    return s;
}

static int64_t outputs(const qc_conv_shape *s) {
    return (int64_t)s->batches * s->output_height * s->output_width * s->output_channels;
}

static const void *pack(const qc_pack_filter_params *p, int is_signed, const void *filter) {
    int8_t *packed = guarded(p->groups * qc_packed_group_size(p->units, p->depth));
    if (is_signed)
        qc_pack_filter_s8_ref(p, filter, packed, NULL);
    else
        qc_pack_filter_u8_ref(p, filter, packed, NULL);
    return packed;
}

/* About log2 of the sums: 14 bits of a product and half of those of their number. */
static int32_t bits_of_sums(int64_t depth) {
    int32_t bits = 12;
    for (; depth > 1; depth /= 4) ++bits;
    return bits;
}

static void compare_conv(int is_signed) {
    qc_conv_params p = {.shape = random_shape(4), .groups = (int32_t)CHOOSE(1, 1, 1, 2, 3)};
    qc_conv_shape *s = &p.shape;
    int32_t group_depth = (int32_t)CHOOSE(1, 2, 3, 4, 5, 8, 12, 16, 17, 20, 24, 40, 68);
    int32_t units = (int32_t)CHOOSE(1, 2, 3, 5, 8, 15, 16, 17, 20, 31, 32, 33, 50);
    if (one_in(20)) { /* more than one part */
        s->filter_height = 9;
        s->filter_width = between(8, 15);
        s->batches = 1;
        s->output_height = s->output_width = between(1, 2);
        units = between(1, 18);
    } else if (one_in(20)) { /* more than the padding, or than is cached */
        group_depth = (int32_t)CHOOSE(1024, 1028, 1200, 2051);
        s->filter_height = s->filter_width = 1;
        s->output_height = between(1, 3);
        s->output_width = 2;
    }
    s->input_channels = group_depth * p.groups;
    s->output_channels = units * p.groups;
    p.input_offset = random_offset(is_signed);
    p.filter_offset = is_signed && !one_in(4) ? 0 : random_offset(is_signed);
    const int64_t depth = (int64_t)s->filter_height * s->filter_width * group_depth;
    const void *filter = random_bytes(depth * s->output_channels);
    p.requant = random_requant(s->output_channels, one_in(2), is_signed ? -128 : 0, is_signed ? 127 : 255,
                               bits_of_sums(depth));
    const qc_pack_filter_params layout = {p.groups, units, depth};
    if (!one_in(4)) p.packed = pack(&layout, is_signed, filter);
    const void *inputs[] = {random_bytes(s->batches * qc_conv_image_size(s)), filter,
                            one_in(4) ? NULL : random_words(s->output_channels)};
    compare(name_of("conv_s8", "conv_u8", is_signed), &p, 3, inputs, outputs(s), NULL,
            qc_conv_scratch_size(s, p.groups, p.packed != NULL));
}

static void compare_fully_connected(int is_signed) {
    qc_fully_connected_params p = {.batches = (int32_t)CHOOSE(0, 1, 1, 2, 3, 4, 5, 8, 9),
                                   .depth = (int32_t)CHOOSE(1, 3, 4, 7, 16, 30, 64, 100, 256, 1023, 1024, 1500),
                                   .units = (int32_t)CHOOSE(1, 2, 3, 4, 5, 10, 16, 17, 31, 48, 65)};
    p.input_offset = random_offset(is_signed);
    p.filter_offset = is_signed && !one_in(4) ? 0 : random_offset(is_signed);
    const void *filter = random_bytes((int64_t)p.units * p.depth);
    p.requant = random_requant(p.units, one_in(2), is_signed ? -128 : 0, is_signed ? 127 : 255,
                               bits_of_sums(p.depth));
    const qc_pack_filter_params layout = {1, p.units, p.depth};
    if (!one_in(4)) p.packed = pack(&layout, is_signed, filter);
    const void *inputs[] = {random_bytes((int64_t)p.batches * p.depth), filter,
                            one_in(4) ? NULL : random_words(p.units)};
    compare(name_of("fully_connected_s8", "fully_connected_u8", is_signed), &p, 3, inputs,
            (int64_t)p.batches * p.units, NULL, qc_fully_connected_scratch_size(p.units, p.depth, p.packed != NULL));
}

/* The versions take the filter as it is, and no scratch memory. */
static void compare_depthwise(int is_signed) {
    qc_depthwise_params p = {.shape = random_shape(5)};
    qc_conv_shape *s = &p.shape;
    s->input_channels = (int32_t)CHOOSE(1, 2, 3, 7, 8, 15, 16, 17, 20, 24, 32, 33, 48, 67);
    s->output_channels = s->input_channels * (int32_t)CHOOSE(1, 1, 1, 2, 3, 8);
    p.input_offset = random_offset(is_signed);
    p.filter_offset = is_signed && !one_in(4) ? 0 : random_offset(is_signed);
    const int64_t taps = (int64_t)s->filter_height * s->filter_width;
    const void *filter = random_bytes(taps * s->output_channels);
    p.requant = random_requant(s->output_channels, one_in(2), is_signed ? -128 : 0, is_signed ? 127 : 255,
                               bits_of_sums(taps));
    const void *inputs[] = {random_bytes(s->batches * qc_conv_image_size(s)), filter,
                            one_in(4) ? NULL : random_words(s->output_channels)};
    compare(name_of("depthwise_conv_s8", "depthwise_conv_u8", is_signed), &p, 3, inputs, outputs(s), NULL, 0);
}

/* Activations of a hybrid operator; some are all zero. */
static const void *random_activations(int64_t count) {
    float *x = random_floats(count, one_in(2) ? 1.0f : 1e-4f);
    const int zero = one_in(12);
    for (int64_t i = 0; i < count; ++i) x[i] = zero ? 0.0f : x[i];
    return x;
}

static const float *random_scales(int32_t count) {
    float *scale = guarded(count * 4);
    for (int32_t i = 0; i < count; ++i) scale[i] = (float)between(1, 1 << 20) * 0x1p-26f;
    return scale;
}

static void compare_conv_hybrid(void) {
    qc_conv_hybrid_params p = {.shape = random_shape(3), .groups = (int32_t)CHOOSE(1, 1, 2)};
    p.per_channel = p.groups > 1 || one_in(2); /* one scale has one group */
    qc_conv_shape *s = &p.shape;
    const int32_t group_depth = (int32_t)CHOOSE(1, 3, 4, 8, 17, 20);
    const int32_t units = (int32_t)CHOOSE(1, 3, 4, 8, 16, 17, 35);
    s->input_channels = group_depth * p.groups;
    s->output_channels = units * p.groups;
    p.sign_overflow = one_in(4);
    p.form = one_in(2) ? QC_HYBRID_REFERENCE : QC_HYBRID_OPTIMIZED;
    p.filter_scale = random_scales(p.per_channel ? s->output_channels : 1);
    p.activation_min = one_in(2) ? 0.0f : -0x1p100f;
    p.activation_max = one_in(2) ? 6.0f : 0x1p100f;
    const int64_t depth = (int64_t)s->filter_height * s->filter_width * group_depth;
    const void *filter = random_bytes(depth * s->output_channels);
    const qc_pack_filter_params layout = {p.groups, units, depth};
    if (!one_in(4)) p.packed = pack(&layout, 1, filter);
    const void *inputs[] = {random_activations(s->batches * qc_conv_image_size(s)), filter,
                            one_in(4) ? NULL : random_activations(s->output_channels)};
    compare("conv_hybrid", &p, 3, inputs, 4 * outputs(s), NULL,
            qc_conv_hybrid_scratch_size(s, p.groups, p.packed != NULL));
}

static void compare_fully_connected_hybrid(void) {
    qc_fully_connected_hybrid_params p = {.batches = between(0, 3), .depth = (int32_t)CHOOSE(1, 4, 7, 16, 100, 256),
                                          .units = (int32_t)CHOOSE(1, 4, 15, 16, 33), .asymmetric = one_in(2),
                                          .per_channel = one_in(2), .sign_overflow = one_in(4)};
    p.filter_scale = random_scales(p.per_channel ? p.units : 1);
    p.activation_min = one_in(3) ? -INFINITY : one_in(2) ? 0.0f : -1.0f;
    p.activation_max = one_in(2) ? INFINITY : 1.0f;
    const void *filter = random_bytes((int64_t)p.units * p.depth);
    const qc_pack_filter_params layout = {1, p.units, p.depth};
    if (!one_in(4)) p.packed = pack(&layout, 1, filter);
    const void *inputs[] = {random_activations((int64_t)p.batches * p.depth), filter,
                            one_in(4) ? NULL : random_activations(p.units)};
    compare("fully_connected_hybrid", &p, 3, inputs, 4 * (int64_t)p.batches * p.units, NULL,
            qc_fully_connected_hybrid_scratch_size(p.units, p.depth, p.packed != NULL));
}

void compare_products(int times) {
    for (int i = 0; i < 2 * times; ++i) {
        compare_conv(i % 2);
        release_all();
        compare_fully_connected(i % 2);
        release_all();
        compare_depthwise(i % 2);
        release_all();
        if (i % 2) continue;
        compare_conv_hybrid();
        release_all();
        compare_fully_connected_hybrid();
        release_all();
    }
}
