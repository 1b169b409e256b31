/* RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR: the definitions. */
#include <math.h>
#include <string.h>

#include "quantcore/resize_rules.h"

typedef qc_resize_place place;

static int32_t nearest(int32_t i, int32_t input, int32_t output, const qc_resize_shape *s) {
    const float scale = qc_resize_scale(input, output, s->align_corners);
    const float position = ((float)i + (s->half_pixel_centers ? 0.5f : 0.0f)) * scale;
    const float rounded = s->align_corners ? roundf(position) : floorf(position);
    return rounded >= (float)input ? input - 1 : qc_at_most((int64_t)rounded, input - 1);
}

qc_status qc_resize_nearest_ref(const qc_resize_nearest_params *p, void *const *tensors, void *scratch) {
    (void)scratch;
    const qc_resize_shape *s = &p->shape;
    const int64_t pixel = (int64_t)s->channels * p->element_bytes, row = pixel * s->input_width;
    const uint8_t *image = (const uint8_t *)tensors[0];
    uint8_t *output = (uint8_t *)tensors[2];
    for (int32_t b = 0; b < s->batches; ++b, image += row * s->input_height) {
        for (int32_t i = 0; i < s->output_height; ++i) {
            const uint8_t *from = image + row * nearest(i, s->input_height, s->output_height, s);
            for (int32_t j = 0; j < s->output_width; ++j, output += pixel)
                memcpy(output, from + pixel * nearest(j, s->input_width, s->output_width, s), (size_t)pixel);
        }
    }
    return QC_OK;
}

/* The four neighbours of one output: top left, top right, bottom left, bottom right. */

static inline int64_t fixed10(const place *y, const place *x, int64_t tl, int64_t tr, int64_t bl, int64_t br) {
    const int64_t fy = y->fixed, fx = x->fixed;
    const int64_t sum = tl * (1024 - fy) * (1024 - fx) + bl * fy * (1024 - fx) + tr * (1024 - fy) * fx + br * fy * fx;
    return (sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20);
}

static inline float terms(const place *y, const place *x, float tl, float tr, float bl, float br) {
    const float wy = y->weight, wx = x->weight;
    float sum = tl * (1.0f - wy) * (1.0f - wx);
    sum += bl * wy * (1.0f - wx);
    sum += tr * (1.0f - wy) * wx;
    sum += br * wy * wx;
    return sum;
}

static inline float weights(const place *y, const place *x, float tl, float tr, float bl, float br) {
    const float wy = y->weight, wx = x->weight;
    float sum = 0.0f + tl * ((1.0f - wy) * (1.0f - wx));
    sum += tr * ((1.0f - wy) * wx);
    sum += bl * (wy * (1.0f - wx));
    sum += br * (wy * wx);
    return sum;
}

static inline int64_t fixed11(const place *y, const place *x, int64_t tl, int64_t tr, int64_t bl, int64_t br) {
    const int64_t top = tl * 2048 + (tr - tl) * x->fixed;
    const int64_t bottom = bl * 2048 + (br - bl) * x->fixed;
    return (top * 2048 + (bottom - top) * y->fixed + (1 << 21)) >> 22;
}

static inline float lerp(const place *y, const place *x, float tl, float tr, float bl, float br) {
    const float top = tl + (tr - tl) * x->weight;
    const float bottom = bl + (br - bl) * x->weight;
    return top + (bottom - top) * y->weight;
}

/* A weight is 0 or 1/2; where it is 0, the two neighbours are one. */
static inline float mean(const place *y, const place *x, float tl, float tr, float bl, float br) {
    const float left = y->weight == 0.0f ? tl : (tl + bl) * 0.5f;
    const float right = y->weight == 0.0f ? tr : (tr + br) * 0.5f;
    return x->weight == 0.0f ? left : (left + right) * 0.5f;
}

/* Where columns lie is worked out once for so many of them. */
enum { COLUMNS = 64 };

/* Defines the channels of one output pixel of T; `value` makes one of its neighbours tl, tr, bl, br. */
#define BILINEAR_PIXEL(name, T, value)                                                                \
    static inline void name(qc_bilinear_form form, const place *y, const place *x, const T *top,      \
                            const T *bottom, int32_t channels, T *restrict output) {                  \
        (void)form;                                                                                   \
        const T *tls = top + (int64_t)x->low * channels, *trs = top + (int64_t)x->high * channels;    \
        const T *bls = bottom + (int64_t)x->low * channels;                                           \
        const T *brs = bottom + (int64_t)x->high * channels;                                          \
        for (int32_t c = 0; c < channels; ++c) {                                                      \
            const T tl = tls[c], tr = trs[c], bl = bls[c], br = brs[c];                               \
            output[c] = (T)(value);                                                                   \
        }                                                                                             \
    }

/* Defines the kernel of T. */
#define BILINEAR_KERNEL(suffix, T)                                                                           \
    qc_status qc_resize_bilinear_##suffix##_ref(const qc_resize_bilinear_params *p, void *const *tensors,    \
                                                void *scratch) {                                             \
        (void)scratch;                                                                                       \
        const qc_resize_shape *s = &p->shape;                                                                \
        const int64_t row = (int64_t)s->input_width * s->channels;                                           \
        const T *image = (const T *)tensors[0];                                                              \
        T *output = (T *)tensors[2];                                                                         \
        place columns[COLUMNS];                                                                              \
        for (int32_t first = 0; first < s->output_width; first += COLUMNS) {                                 \
            const int32_t count = qc_at_most((int64_t)s->output_width - first, COLUMNS);                     \
            for (int32_t j = 0; j < count; ++j)                                                              \
                columns[j] = qc_resize_place_of(first + j, s->input_width, s->output_width, p);              \
            for (int64_t i = 0; i < (int64_t)s->batches * s->output_height; ++i) {                           \
                const T *from = image + i / s->output_height * row * s->input_height;                        \
                const int32_t at = (int32_t)(i % s->output_height);                                              \
                const place y = qc_resize_place_of(at, s->input_height, s->output_height, p);                    \
                T *to = output + (i * s->output_width + first) * s->channels;                                \
                for (int32_t j = 0; j < count; ++j, to += s->channels)                                       \
                    bilinear_pixel_##suffix(p->form, &y, &columns[j], from + y.low * row,                    \
                                            from + y.high * row, s->channels, to);                           \
            }                                                                                                \
        }                                                                                                    \
        return QC_OK;                                                                                        \
    }

#define VALUE_8_BIT                                                               \
    form == QC_BILINEAR_FIXED10   ? fixed10(y, x, tl, tr, bl, br)                 \
    : form == QC_BILINEAR_FIXED11 ? fixed11(y, x, tl, tr, bl, br)                 \
    : form == QC_BILINEAR_TERMS   ? (int64_t)(terms(y, x, tl, tr, bl, br) + 0.5f) \
                                  : (int64_t)(weights(y, x, tl, tr, bl, br) + 0.5f)

BILINEAR_PIXEL(bilinear_pixel_s8, int8_t, VALUE_8_BIT)
BILINEAR_PIXEL(bilinear_pixel_u8, uint8_t, VALUE_8_BIT)
BILINEAR_PIXEL(bilinear_pixel_s16, int16_t, fixed10(y, x, tl, tr, bl, br))
/* TFLite adds a rounding offset to floats, too, of 0: it makes 0.0 of a -0.0. */
BILINEAR_PIXEL(pixel_terms, float, terms(y, x, tl, tr, bl, br) + 0.0f)
BILINEAR_PIXEL(pixel_weights, float, weights(y, x, tl, tr, bl, br))
BILINEAR_PIXEL(pixel_mean, float, mean(y, x, tl, tr, bl, br))
BILINEAR_PIXEL(pixel_lerp, float, lerp(y, x, tl, tr, bl, br))

/* One loop over the channels for each form, so that compilers make vectors of it. */
static void bilinear_pixel_f32(qc_bilinear_form form, const place *y, const place *x, const float *top,
                               const float *bottom, int32_t channels, float *output) {
    switch (form) {
        case QC_BILINEAR_TERMS: pixel_terms(form, y, x, top, bottom, channels, output); break;
        case QC_BILINEAR_WEIGHTS: pixel_weights(form, y, x, top, bottom, channels, output); break;
        case QC_BILINEAR_MEAN: pixel_mean(form, y, x, top, bottom, channels, output); break;
        default: pixel_lerp(form, y, x, top, bottom, channels, output); break;
    }
}

BILINEAR_KERNEL(s8, int8_t)
BILINEAR_KERNEL(u8, uint8_t)
BILINEAR_KERNEL(s16, int16_t)
BILINEAR_KERNEL(f32, float)
