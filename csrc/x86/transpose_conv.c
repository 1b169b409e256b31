/* TRANSPOSE_CONV as convolutions of stride 1: see quantcore/transposed_steps.h. The instructions are those of the
 * convolutions that lowering has chosen. */
#include "quantcore/transposed_steps.h"

#include <stddef.h>
#include <string.h>

#include "../kernels.h"

/* Put the outputs of a step where they belong. pixel: bytes. */
static void spread(const qc_conv_shape *s, const qc_transposed_step *step, int64_t pixel, const uint8_t *from,
                   uint8_t *output) {
    const int64_t row = s->output_width * pixel;
    for (int32_t i = 0; i < step->rows; ++i) {
        uint8_t *to = output + (step->row + (int64_t)i * s->stride_height) * row + step->column * pixel;
        if (s->stride_width == 1) {
            memcpy(to, from, (size_t)(step->columns * pixel));
            from += step->columns * pixel;
            continue;
        }
        for (int32_t j = 0; j < step->columns; ++j, from += pixel, to += s->stride_width * pixel)
            memcpy(to, from, (size_t)pixel);
    }
}

/* item: bytes of an element of input and output. */
static qc_status run_steps(const qc_transpose_conv_layout *layout, int64_t item, void *const *tensors, void *scratch) {
    const qc_conv_shape *s = &layout->shape;
    const qc_transposed_steps *all = layout->steps;
    const int64_t pixel = s->output_channels * item;
    uint8_t *outputs = scratch;
    for (int32_t b = 0; b < s->batches; ++b) {
        uint8_t *input = (uint8_t *)tensors[2] + b * qc_conv_image_size(s) * item;
        uint8_t *output = (uint8_t *)tensors[layout->output] + (int64_t)b * s->output_height * s->output_width * pixel;
        for (int32_t i = 0; i < all->count; ++i) {
            const qc_transposed_step *step = all->steps + i;
            void *bias = layout->bias < 0 ? NULL : tensors[layout->bias];
            void *const table[] = {input, (void *)(uintptr_t)step->filter, bias, outputs};
            const qc_status status = step->invoke(step->params, table, outputs + all->output_size);
            if (status != QC_OK) return status;
            spread(s, step, pixel, outputs, output);
        }
    }
    return QC_OK;
}

#define QC_STEPS_VERSION(name, P, T)                                                                     \
    qc_status qc_transpose_conv_##name##_avx2(const P *p, void *const *tensors, void *scratch) {         \
        if (p->layout.steps == NULL) return qc_transpose_conv_##name##_ref(p, tensors, scratch);         \
        return run_steps(&p->layout, (int64_t)sizeof(T), tensors, scratch);                              \
    }

QC_STEPS_VERSION(s8, qc_transpose_conv_params, int8_t)
QC_STEPS_VERSION(u8, qc_transpose_conv_params, uint8_t)
QC_STEPS_VERSION(s16, qc_transpose_conv_params, int16_t)
QC_STEPS_VERSION(s16_wide, qc_transpose_conv_params, int16_t)
QC_STEPS_VERSION(f32, qc_transpose_conv_f32_params, float)
