/* CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED on int16 activations with an int8 filter. */
#include <stddef.h>
#include <string.h>

#include "../kernels.h"
#include "functions16_avx2.h"
#include "gemm.h"
#include "gemm_s16.h"

#define QC_TARGET_AVX2 __attribute__((target("avx2")))

enum { CHANNELS = 16 };

/* FULLY_CONNECTED: copy rows to a panel with quads that are whole. */
static void fully_connected(const qc_gemm_s16_isa *isa, int wide, const qc_fully_connected_params *p,
                            const int16_t *input, const void *bias, int16_t *output, void *scratch) {
    const int64_t stride = qc_round_up(p->depth, QC_QUAD);
    const int64_t most = qc_panel_rows(stride * (int64_t)sizeof *input);
    const qc_gemm_s16 g = {isa, wide, p->packed, p->units, p->depth, &p->requant, bias, output, p->units, 0};
    int16_t *panel = scratch;
    for (int64_t first = 0; first < p->batches; first += most) {
        const int64_t rows = p->batches - first < most ? p->batches - first : most;
        const int16_t *from = input + first * p->depth;
        for (int64_t r = 0; r < rows && stride != p->depth; ++r) {
            memset(panel + (r + 1) * stride - QC_QUAD, 0, QC_QUAD * sizeof *panel);
            memcpy(panel + r * stride, from + r * p->depth, (size_t)p->depth * sizeof *panel);
        }
        qc_gemm_s16_run(&g, stride != p->depth ? panel : from, (int32_t)rows, first);
    }
}

/* Copy the window of output pixel (oy, ox) to a row of the panel. image: of the group's first channel, of `depth`. */
static void copy_window(const qc_conv_shape *s, int32_t depth, const int16_t *image, int32_t oy, int32_t ox,
                        int16_t *to) {
    const size_t size = (size_t)depth * sizeof *to;
    for (int32_t fy = 0; fy < s->filter_height; ++fy) {
        const int64_t iy = qc_input_row(s, oy, fy);
        const int inside = iy >= 0 && iy < s->input_height;
        for (int32_t fx = 0; fx < s->filter_width; ++fx, to += depth) {
            const int64_t ix = qc_input_column(s, ox, fx);
            if (inside && ix >= 0 && ix < s->input_width)
                memcpy(to, image + (iy * s->input_width + ix) * s->input_channels, size);
            else
                memset(to, 0, size);
        }
    }
}

/* CONV_2D of one image with one group of filters. */
static void convolve(const qc_gemm_s16 *g, const qc_conv_shape *s, int32_t depth, const int16_t *image,
                     int64_t first_row, int16_t *panel) {
    const int64_t stride = qc_round_up(g->depth, QC_QUAD), pixels = (int64_t)s->output_height * s->output_width;
    const int64_t most = qc_panel_rows(stride * (int64_t)sizeof *panel);
    for (int64_t pixel = 0; pixel < pixels; pixel += most) {
        const int64_t rows = pixels - pixel < most ? pixels - pixel : most;
        for (int64_t i = 0; i < rows; ++i) {
            int16_t *row = panel + i * stride;
            memset(row + stride - QC_QUAD, 0, QC_QUAD * sizeof *row);
            copy_window(s, depth, image, (int32_t)((pixel + i) / s->output_width),
                        (int32_t)((pixel + i) % s->output_width), row);
        }
        qc_gemm_s16_run(g, panel, (int32_t)rows, first_row + pixel);
    }
}

static void conv(const qc_gemm_s16_isa *isa, int wide, const qc_conv_params *p, const int16_t *input, const void *bias,
                 int16_t *output, void *scratch) {
    const qc_conv_shape *s = &p->shape;
    const int32_t units = s->output_channels / p->groups, depth = s->input_channels / p->groups;
    const int64_t pixels = (int64_t)s->output_height * s->output_width;
    const int64_t length = (int64_t)s->filter_height * s->filter_width * depth;
    const size_t element = wide ? sizeof(int64_t) : sizeof(int32_t);
    for (int32_t group = 0; group < p->groups; ++group) {
        const int32_t first = group * units;
        const void *group_bias = bias != NULL ? (const uint8_t *)bias + (size_t)first * element : NULL;
        const int8_t *packed = (const int8_t *)p->packed + group * qc_packed_group_size(units, length);
        const qc_gemm_s16 g = {isa, wide, packed, units, length, &p->requant, group_bias, output, s->output_channels,
                               first};
        for (int32_t b = 0; b < s->batches; ++b)
            convolve(&g, s, depth, input + b * qc_conv_image_size(s) + (int64_t)group * depth, b * pixels, scratch);
    }
}

/* One tap of 16 channels: pointers to the input, or NULL outside of it, and to the filter. */
typedef struct {
    const int16_t *input;
    const int8_t *filter;
} tap;

/* sums[channel] of one output pixel, for 16 channels; input and filter are readable that far. */
QC_TARGET_AVX2 static void depthwise_16(const tap *taps, int32_t count, int32_t channel, int32_t *sums) {
    __m256i low = _mm256_setzero_si256(), high = low;
    for (int32_t t = 0; t < count; t += 2) {
        const tap *second = taps + (t + 1 < count ? t + 1 : t);
        const __m256i x0 = qc_load256(taps[t].input + channel);
        const __m256i x1 = t + 1 < count ? qc_load256(second->input + channel) : _mm256_setzero_si256();
        const __m256i w0 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(taps[t].filter + channel)));
        const __m256i w1 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(second->filter + channel)));
        low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(x0, x1), _mm256_unpacklo_epi16(w0, w1)));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(x0, x1), _mm256_unpackhi_epi16(w0, w1)));
    }
    qc_store256(sums, _mm256_permute2x128_si256(low, high, 0x20));
    qc_store256(sums + 8, _mm256_permute2x128_si256(low, high, 0x31));
}

/* One output pixel from the sum of its channels' products, exact in int32. */
static void store_pixel(int wide, const qc_requant *r, int32_t *sums, const void *bias, int32_t channel, int32_t count,
                        int16_t *output) {
    int64_t wide_sums[CHANNELS];
    for (int32_t i = 0; i < count; ++i) {
        if (wide)
            wide_sums[i] = sums[i] + (bias != NULL ? ((const int64_t *)bias)[channel + i] : 0);
        else if (bias != NULL)
            sums[i] = (int32_t)((uint32_t)sums[i] + (uint32_t)((const int32_t *)bias)[channel + i]);
    }
    if (wide)
        qc_store_s16_wide(r, wide_sums, channel, count, output + channel);
    else
        qc_store_s16(r, sums, channel, count, output + channel);
}

/* The last channels, one by one. */
static void depthwise_rest(const tap *taps, int32_t count, int32_t channel, int32_t channels, int32_t *sums) {
    for (int32_t c = 0; c < channels; ++c) {
        sums[c] = 0;
        for (int32_t t = 0; t < count; ++t) sums[c] += taps[t].input[channel + c] * taps[t].filter[channel + c];
    }
}

static void depthwise(int wide, const qc_depthwise_params *p, const int16_t *input, const int8_t *filter,
                      const void *bias, int16_t *output) {
    const qc_conv_shape *s = &p->shape;
    const int32_t channels = s->output_channels;
    tap taps[QC_EXACT_TAPS];
    for (int64_t pixel = 0; pixel < (int64_t)s->batches * s->output_height * s->output_width; ++pixel) {
        const int32_t ox = (int32_t)(pixel % s->output_width);
        const int32_t oy = (int32_t)(pixel / s->output_width % s->output_height);
        const int16_t *image = input + pixel / s->output_width / s->output_height * qc_conv_image_size(s);
        int32_t count = 0;
        for (int32_t fy = 0; fy < s->filter_height; ++fy) {
            const int64_t iy = qc_input_row(s, oy, fy);
            for (int32_t fx = 0; fx < s->filter_width && iy >= 0 && iy < s->input_height; ++fx) {
                const int64_t ix = qc_input_column(s, ox, fx);
                if (ix < 0 || ix >= s->input_width) continue;
                const int64_t place = (int64_t)fy * s->filter_width + fx;
                taps[count++] = (tap){image + (iy * s->input_width + ix) * channels, filter + place * channels};
            }
        }
        for (int32_t c = 0; c < channels; c += CHANNELS) {
            const int32_t left = channels - c < CHANNELS ? channels - c : CHANNELS;
            int32_t sums[CHANNELS];
            if (left == CHANNELS)
                depthwise_16(taps, count, c, sums);
            else
                depthwise_rest(taps, count, c, left, sums);
            store_pixel(wide, &p->requant, sums, bias, c, left, output + pixel * channels);
        }
    }
}

/* Whether sums in int32 are exact, and each channel has an input of its own. */
static int is_known_depthwise(const qc_depthwise_params *p) {
    const qc_conv_shape *s = &p->shape;
    return p->input_offset == 0 && p->filter_offset == 0 && s->input_channels == s->output_channels &&
           (int64_t)s->filter_height * s->filter_width <= QC_EXACT_TAPS;
}

/* The kernel qc_<op>_<form>_<isa>: the definition where zero points are not 0, or the filter is not constant. */
#define QC_S16_VERSION(op, form, WIDE, Bias, P, ISA)                                                                  \
    qc_status qc_##op##_##form##_##ISA(const P *p, const int16_t *input, const int8_t *filter, const Bias *bias,      \
                                       int16_t *output, void *scratch) {                                              \
        if (p->packed == NULL || p->input_offset != 0 || p->filter_offset != 0)                                       \
            return qc_##op##_##form##_ref(p, input, filter, bias, output, scratch);                                   \
        op(&qc_gemm_s16_##ISA, WIDE, p, input, bias, output, scratch);                                                \
        return QC_OK;                                                                                                 \
    }

QC_S16_VERSION(conv, s16, 0, int32_t, qc_conv_params, avx2)
QC_S16_VERSION(conv, s16_wide, 1, int64_t, qc_conv_params, avx2)
QC_S16_VERSION(fully_connected, s16, 0, int32_t, qc_fully_connected_params, avx2)
QC_S16_VERSION(fully_connected, s16_wide, 1, int64_t, qc_fully_connected_params, avx2)
QC_S16_VERSION(conv, s16, 0, int32_t, qc_conv_params, vnni)
QC_S16_VERSION(conv, s16_wide, 1, int64_t, qc_conv_params, vnni)
QC_S16_VERSION(fully_connected, s16, 0, int32_t, qc_fully_connected_params, vnni)
QC_S16_VERSION(fully_connected, s16_wide, 1, int64_t, qc_fully_connected_params, vnni)

qc_status qc_depthwise_conv_s16_avx2(const qc_depthwise_params *p, const int16_t *input, const int8_t *filter,
                                     const int32_t *bias, int16_t *output, void *scratch) {
    if (!is_known_depthwise(p)) return qc_depthwise_conv_s16_ref(p, input, filter, bias, output, scratch);
    depthwise(0, p, input, filter, bias, output);
    return QC_OK;
}

qc_status qc_depthwise_conv_s16_wide_avx2(const qc_depthwise_params *p, const int16_t *input, const int8_t *filter,
                                          const int64_t *bias, int16_t *output, void *scratch) {
    if (!is_known_depthwise(p)) return qc_depthwise_conv_s16_wide_ref(p, input, filter, bias, output, scratch);
    depthwise(1, p, input, filter, bias, output);
    return QC_OK;
}
