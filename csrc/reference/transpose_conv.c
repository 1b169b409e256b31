/* TRANSPOSE_CONV: the definitions. */
#include "quantcore/transpose_conv.h"

#include <stddef.h>

#include "quantcore/hybrid.h"
#include "quantcore/hybrid_xnnpack.h"

/* The input rows (or columns) [first, last] that reach output row `o`. */
typedef struct {
    int32_t first, last;
} reach;

static reach rows_reaching(int32_t o, int32_t pad, int32_t stride, int32_t filter, int32_t input) {
    const int64_t top = (int64_t)o + pad; /* row of the filter under input row 0 */
    const int64_t below = top - filter + 1;
    const int64_t first = below <= 0 ? 0 : (below + stride - 1) / stride;
    const int64_t last = top / stride;
    const reach r = {(int32_t)(first > input ? input : first), (int32_t)(last >= input ? input - 1 : last)};
    return r;
}

/* Defines TRANSPOSE_CONV for input type T and filter type W: `product` is one term of X and F, summed in ACC,
 * `store` makes an output of the sum, of its channel and of its position in the output. */
#define TRANSPOSE_CONV_KERNEL(name, P, T, W, B, ACC, O, context, product, store)                             \
    static ACC name##_sum(const P *p, context, const T *image, const W *filter, int32_t oy, int32_t ox,      \
                          int32_t channel) {                                                                 \
        (void)q;                                                                                             \
        const qc_conv_shape *s = &p->layout.shape;                                                           \
        const int32_t depth = s->input_channels;                                                             \
        const reach ys = rows_reaching(oy, s->pad_top, s->stride_height, s->filter_height, s->input_height); \
        const reach xs = rows_reaching(ox, s->pad_left, s->stride_width, s->filter_width, s->input_width);   \
        const W *own = filter + (int64_t)channel * s->filter_height * s->filter_width * depth;               \
        ACC sum = 0;                                                                                         \
        for (int32_t iy = ys.first; iy <= ys.last; ++iy) {                                                   \
            const int32_t fy = oy + s->pad_top - iy * s->stride_height;                                      \
            for (int32_t ix = xs.first; ix <= xs.last; ++ix) {                                               \
                const int32_t fx = ox + s->pad_left - ix * s->stride_width;                                  \
                const T *x = image + ((int64_t)iy * s->input_width + ix) * depth;                            \
                const W *w = own + ((int64_t)fy * s->filter_width + fx) * depth;                             \
                for (int32_t c = 0; c < depth; ++c) {                                                        \
                    const T X = x[c];                                                                        \
                    const W F = w[c];                                                                        \
                    sum += (ACC)(product);                                                                   \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
        return sum;                                                                                          \
    }                                                                                                        \
    static void name##_image(const P *p, context, const T *image, const W *filter, const B *bias,            \
                             int64_t first, O *output) {                                                     \
        const qc_conv_shape *s = &p->layout.shape;                                                           \
        int64_t i = 0;                                                                                       \
        for (int32_t oy = 0; oy < s->output_height; ++oy) {                                                  \
            for (int32_t ox = 0; ox < s->output_width; ++ox) {                                               \
                for (int32_t channel = 0; channel < s->output_channels; ++channel, ++i) {                    \
                    ACC acc = name##_sum(p, q, image, filter, oy, ox, channel);                              \
                    if (bias != NULL) acc += (ACC)bias[channel];                                             \
                    const int32_t place = (int32_t)(first + i);                                              \
                    (void)place;                                                                             \
                    output[i] = (O)(store);                                                                  \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }

/* The kernel that takes every image as it is. */
#define EVERY_IMAGE(name, P, T, W, B, O, none)                                                               \
    qc_status qc_##name##_ref(const P *p, void *const *tensors, void *scratch) {                             \
        (void)scratch;                                                                                       \
        const qc_conv_shape *s = &p->layout.shape;                                                           \
        const int64_t size = (int64_t)s->output_height * s->output_width * s->output_channels;               \
        const B *bias = p->layout.bias < 0 ? NULL : (const B *)tensors[p->layout.bias];                      \
        O *output = (O *)tensors[p->layout.output];                                                          \
        for (int32_t b = 0; b < s->batches; ++b)                                                             \
            name##_image(p, none, (const T *)tensors[2] + b * qc_conv_image_size(s),                         \
                         (const W *)tensors[1], bias, b * size, output + b * size);                          \
        return QC_OK;                                                                                        \
    }

#define OFFSET_PRODUCT ((int32_t)X + p->input_offset) * ((int32_t)F + p->filter_offset)
#define STORE_NARROW qc_requantize(&p->requant, (int32_t)acc, p->flat ? place : channel)

#define QUANTIZED_KERNEL(name, T, W, B, ACC, product, store)                                                 \
    TRANSPOSE_CONV_KERNEL(name, qc_transpose_conv_params, T, W, B, ACC, T, const void *q, product, store)    \
    EVERY_IMAGE(name, qc_transpose_conv_params, T, W, B, T, NULL)

QUANTIZED_KERNEL(transpose_conv_s8, int8_t, int8_t, int32_t, uint32_t, OFFSET_PRODUCT, STORE_NARROW)
QUANTIZED_KERNEL(transpose_conv_u8, uint8_t, uint8_t, int32_t, uint32_t, OFFSET_PRODUCT, STORE_NARROW)
QUANTIZED_KERNEL(transpose_conv_s16, int16_t, int8_t, int32_t, uint32_t, (int32_t)X * F, STORE_NARROW)
QUANTIZED_KERNEL(transpose_conv_s16_wide, int16_t, int8_t, int64_t, int64_t, (int32_t)X * F,
                 qc_requantize_wide(&p->requant, acc, channel))

#define STORE_FLOAT qc_clamp_f32(acc, p->activation_min, p->activation_max)

TRANSPOSE_CONV_KERNEL(transpose_conv_f32, qc_transpose_conv_f32_params, float, float, float, float, float,
                      const void *q, X *F, STORE_FLOAT)
EVERY_IMAGE(transpose_conv_f32, qc_transpose_conv_f32_params, float, float, float, float, NULL)

TRANSPOSE_CONV_KERNEL(transpose_conv_hybrid, qc_transpose_conv_f32_params, int8_t, int8_t, float, float, float,
                      const qc_hybrid_scale *q,
                      (float)(((int32_t)X - q->zero_point) * (int32_t)F) * p->filter_scale[channel] * q->scale,
                      STORE_FLOAT)

qc_status qc_transpose_conv_hybrid_ref(const qc_transpose_conv_f32_params *p, void *const *tensors,
                                       void *scratch) {
    const qc_conv_shape *s = &p->layout.shape;
    const int64_t image_size = qc_conv_image_size(s);
    const int64_t size = (int64_t)s->output_height * s->output_width * s->output_channels;
    const float *bias = p->layout.bias < 0 ? NULL : (const float *)tensors[p->layout.bias];
    float *output = (float *)tensors[p->layout.output];
    int8_t *image = (int8_t *)scratch;
    for (int32_t b = 0; b < s->batches; ++b) {
        const float *input = (const float *)tensors[2] + b * image_size;
        const qc_hybrid_scale q = qc_hybrid_quantize_asymmetric(&qc_hybrid_ref, input, image_size, image);
        transpose_conv_hybrid_image(p, &q, image, (const int8_t *)tensors[1], bias, b * size, output + b * size);
    }
    return QC_OK;
}

/* An image as XNNPACK has it. */
typedef struct {
    qc_xnnpack_scale scale;
    const float *bias;
} fma_image;

TRANSPOSE_CONV_KERNEL(transpose_conv_hybrid_fma, qc_transpose_conv_f32_params, int8_t, int8_t, float, uint32_t, float,
                      const fma_image *q, ((int32_t)X - q->scale.zero_point) * (int32_t)F,
                      qc_xnnpack_clamp(qc_xnnpack_output((int32_t)acc, q->scale, p->filter_scale[channel],
                                                         q->bias != NULL ? q->bias[channel] : 0.0f),
                                       p->activation_min, p->activation_max))

qc_status qc_transpose_conv_hybrid_fma_ref(const qc_transpose_conv_f32_params *p, void *const *tensors,
                                           void *scratch) {
    const qc_conv_shape *s = &p->layout.shape;
    const int64_t image_size = qc_conv_image_size(s);
    const int64_t size = (int64_t)s->output_height * s->output_width * s->output_channels;
    fma_image image = {.bias = p->layout.bias < 0 ? NULL : (const float *)tensors[p->layout.bias]};
    float *output = (float *)tensors[p->layout.output];
    int8_t *quantized = (int8_t *)scratch;
    for (int32_t b = 0; b < s->batches; ++b) {
        image.scale = qc_xnnpack_quantize((const float *)tensors[2] + b * image_size, image_size, quantized);
        transpose_conv_hybrid_fma_image(p, &image, quantized, (const int8_t *)tensors[1], NULL, b * size,
                                        output + b * size);
    }
    return QC_OK;
}
