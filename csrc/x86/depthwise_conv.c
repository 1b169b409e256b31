/* DEPTHWISE_CONV_2D, quantized and hybrid, on vectors of channels.
 *
 * The image is first copied to bytes of the signedness that the instruction set multiplies, with the
 * channels of the output: vectors may then read past the channels of a pixel. */
#include <stddef.h>
#include <string.h>

#include "../kernels.h"
#include "gemm.h"

/* A convolution over one image, and its memory. */
typedef struct {
    const qc_gemm_isa *isa;
    const qc_conv_shape *shape;
    const int8_t *packed;
    int64_t taps;
    int32_t blocks; /* of 16 channels */
    int32_t input_shift;
    int32_t filter_shift;
    uint8_t flip;
    uint8_t *image;
    uint8_t *padding;       /* a pixel that stands for zeros */
    uint8_t *nothing;       /* a pixel of bytes 0, under the taps that fill up the last quad */
    const uint8_t **places; /* the pixel under each tap */
    int64_t *steps;         /* from there to the pixel under the tap for the next output */
    int32_t *start;
    int32_t *acc;
} depthwise;

/* The filter laid out: `packed` if it is not NULL, else made now in scratch memory. */
static const int8_t *packed_depthwise(const depthwise *d, const void *packed, int is_signed,
                                      const uint8_t *filter, uint8_t **scratch) {
    if (packed != NULL) return packed;
    const qc_pack_depthwise_params p = {d->shape->output_channels, d->taps};
    int8_t *memory = qc_take(scratch, qc_packed_depthwise_size(p.channels, p.taps));
    if (is_signed)
        qc_pack_depthwise_filter_s8_ref(&p, (const int8_t *)filter, memory, NULL);
    else
        qc_pack_depthwise_filter_u8_ref(&p, filter, memory, NULL);
    return memory;
}

static depthwise make_depthwise(const qc_gemm_isa *isa, const qc_conv_shape *s, const void *packed,
                                int is_signed, const uint8_t *filter, uint8_t *scratch) {
    const int64_t channels = qc_round_up(s->output_channels, 64);
    depthwise d = {.isa = isa, .shape = s, .taps = (int64_t)s->filter_height * s->filter_width};
    d.blocks = (s->output_channels + QC_LANES - 1) / QC_LANES;
    d.packed = packed_depthwise(&d, packed, is_signed, filter, &scratch);
    d.padding = qc_take(&scratch, channels);
    d.nothing = qc_take(&scratch, channels);
    d.places = qc_take(&scratch, qc_round_up(d.taps, QC_QUAD) * (int64_t)sizeof(void *));
    d.steps = qc_take(&scratch, qc_round_up(d.taps, QC_QUAD) * (int64_t)sizeof(int64_t));
    d.start = qc_take(&scratch, channels * (int64_t)sizeof(int32_t));
    d.acc = qc_take(&scratch, channels * (int64_t)sizeof(int32_t));
    d.image = scratch;
    return d;
}

/* Set what depends on the input's zero point. bias may be NULL. */
static void prepare(depthwise *d, int is_signed, int32_t input_offset, const int32_t *bias) {
    const int32_t channels = d->shape->output_channels;
    const int8_t *end = d->packed + qc_packed_depthwise_size(channels, d->taps);
    const int32_t *sums = (const int32_t *)(const void *)end - d->blocks * QC_LANES;
    d->flip = qc_panel_flip(d->isa, is_signed, input_offset, &d->input_shift);
    memset(d->padding, (uint8_t)-d->input_shift, (size_t)qc_round_up(channels, 64));
    memset(d->nothing, 0, (size_t)qc_round_up(channels, 64));
    const int64_t row_term = (int64_t)d->filter_shift * d->taps * d->input_shift;
    for (int32_t c = 0; c < d->blocks * QC_LANES; ++c) {
        const int64_t b = bias != NULL && c < channels ? bias[c] : 0;
        d->start[c] = qc_wrap32(b + row_term + (int64_t)d->input_shift * sums[c]);
    }
}

static void copy_image(const depthwise *d, const uint8_t *input) {
    const qc_conv_shape *s = d->shape;
    const int64_t count = qc_conv_image_size(s);
    const int32_t multiplier = s->output_channels / s->input_channels;
    if (multiplier == 1) {
        qc_copy_flipped(d->image, input, count, d->flip);
        return;
    }
    uint8_t *to = d->image;
    for (int64_t i = 0; i < count; ++i)
        for (int32_t m = 0; m < multiplier; ++m) *to++ = input[i] ^ d->flip;
}

/* Point d->places at the pixels under the window of output pixel (oy, ox). */
static void find_places(const depthwise *d, int32_t oy, int32_t ox) {
    const qc_conv_shape *s = d->shape;
    const int64_t quads = (d->taps + QC_QUAD - 1) / QC_QUAD;
    int64_t t = 0;
    for (int32_t fy = 0; fy < s->filter_height; ++fy) {
        const int64_t iy = qc_input_row(s, oy, fy);
        const int row_inside = iy >= 0 && iy < s->input_height;
        for (int32_t fx = 0; fx < s->filter_width; ++fx, ++t) {
            const int64_t ix = qc_input_column(s, ox, fx);
            const int inside = row_inside && ix >= 0 && ix < s->input_width;
            d->places[t] = inside ? d->image + (iy * s->input_width + ix) * s->output_channels : d->padding;
            d->steps[t] = inside ? (int64_t)s->stride_width * s->output_channels : 0;
        }
    }
    for (; t < quads * QC_QUAD; ++t) {
        d->places[t] = d->nothing;
        d->steps[t] = 0;
    }
}

static void convolve(const depthwise *d, const uint8_t *input, int64_t first_row, qc_store store,
                     const void *context) {
    const qc_conv_shape *s = d->shape;
    const int64_t quads = (d->taps + QC_QUAD - 1) / QC_QUAD;
    copy_image(d, input);
    for (int32_t oy = 0; oy < s->output_height; ++oy) {
        int32_t same = 0; /* columns of which the places follow by steps */
        for (int32_t ox = 0; ox < s->output_width; ++ox, --same) {
            if (same > 0) {
                for (int64_t t = 0; t < quads * QC_QUAD; ++t) d->places[t] += d->steps[t];
            } else {
                find_places(d, oy, ox);
                same = qc_columns_inside(s, ox);
            }
            d->isa->depthwise(d->places, d->packed, quads, d->blocks, d->start, d->filter_shift, d->acc);
            store(context, d->acc, first_row++, 0, s->output_channels);
        }
    }
}

/* qc_depthwise_conv_s8 or _u8 with the instructions of `isa`. */
static qc_status depthwise_conv_bytes(const qc_gemm_isa *isa, int is_signed, const qc_depthwise_params *p,
                                      const uint8_t *input, const uint8_t *filter, const int32_t *bias,
                                      uint8_t *output, void *scratch) {
    const qc_conv_shape *s = &p->shape;
    depthwise d = make_depthwise(isa, s, p->packed, is_signed, filter, scratch);
    d.filter_shift = p->filter_offset + (is_signed ? 0 : 128);
    prepare(&d, is_signed, p->input_offset, bias);
    const qc_requant_store store = {isa, &p->requant, output, s->output_channels, 0};
    for (int32_t b = 0; b < s->batches; ++b)
        convolve(&d, input + b * qc_conv_image_size(s), (int64_t)b * s->output_height * s->output_width,
                 qc_store_requantized, &store);
    return QC_OK;
}

typedef struct {
    const qc_depthwise_hybrid_params *p;
    float scale; /* of the quantized image */
    const float *bias;
    float *output;
} hybrid_store;

/* The arithmetic of qc_depthwise_conv_hybrid_ref. */
static void store_hybrid(const void *context, const int32_t *acc, int64_t row, int32_t first,
                         int32_t count) {
    const hybrid_store *h = context;
    const float low = h->p->activation_min, high = h->p->activation_max;
    float *output = h->output + row * count;
    for (int32_t i = 0; i < count; ++i) {
        const float real = (float)acc[i] * (h->p->filter_scale[first + i] * h->scale);
        output[i] = qc_clamp_f32(h->bias != NULL ? real + h->bias[i] : real, low, high);
    }
}

/* qc_depthwise_conv_hybrid with the instructions of `isa`. */
static qc_status depthwise_conv_hybrid(const qc_gemm_isa *isa, const qc_depthwise_hybrid_params *p,
                                       const float *input, const int8_t *filter, const float *bias,
                                       float *output, void *scratch) {
    if (p->form != QC_HYBRID_REFERENCE)
        return qc_depthwise_conv_hybrid_ref(p, input, filter, bias, output, scratch);
    const qc_conv_shape *s = &p->shape;
    const int64_t image_size = qc_conv_image_size(s);
    uint8_t *memory = scratch;
    int8_t *image = qc_take(&memory, image_size);
    depthwise d = make_depthwise(isa, s, p->packed, 1, (const uint8_t *)filter, memory);
    for (int32_t b = 0; b < s->batches; ++b) {
        const qc_hybrid_scale q =
            qc_hybrid_quantize_asymmetric(&qc_hybrid_avx2, input + b * image_size, image_size, image);
        const hybrid_store store = {p, q.scale, bias, output};
        prepare(&d, 1, -q.zero_point, NULL);
        convolve(&d, (const uint8_t *)image, (int64_t)b * s->output_height * s->output_width, store_hybrid,
                 &store);
    }
    return QC_OK;
}

QC_PRODUCT_VERSIONS(depthwise_conv, qc_depthwise_params, qc_depthwise_hybrid_params, avx2)
QC_PRODUCT_VERSIONS(depthwise_conv, qc_depthwise_params, qc_depthwise_hybrid_params, vnni)
