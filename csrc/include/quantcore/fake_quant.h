/* Fake quantization: float32 values rounded to the numbers that a quantized type has, and its gradients, as
 * TensorFlow's kernels compute them. Subnormal numbers count as 0, as on TensorFlow's threads.
 *
 * Source: TensorFlow, core/kernels/fake_quant_ops_functor.h; TFLite, kernels/internal/quantization_util.h
 * (FakeQuantizeArray). Derivation: docs/numerics/fake_quant.md. */
#ifndef QUANTCORE_FAKE_QUANT_H
#define QUANTCORE_FAKE_QUANT_H

#include <math.h>

#include "quantcore/fixed_point.h"
#include "quantcore/status.h"

/* Which of TensorFlow's functions: they divide by the scale, or multiply by its inverse, and add up the gradients of
 * a range in one order or another. */
typedef enum {
    QC_FAKE_QUANT_ARGS = 0,    /* fake_quant_with_min_max_args: by product; there are no gradients of the range */
    QC_FAKE_QUANT_VARS = 1,    /* ..._vars: by quotient */
    QC_FAKE_QUANT_CHANNELS = 2 /* ..._vars_per_channel: by product */
} qc_fake_quant_form;

/* The range whose ends and whose 0 are numbers of the quantized type. */
typedef struct {
    float min;
    float max;
    float scale;
    float inverse_scale;
    float zero_point; /* the quantized value that stands for 0 */
} qc_nudged_range;

static inline float qc_flushed_difference(float a, float b) {
    return qc_flush_input(a - b); /* a subnormal difference is exact */
}

static inline float qc_flushed_quotient(float a, float b) {
    return qc_flush_result(a / b, (double)a / (double)b);
}

static inline float qc_flushed_product(float a, float b) {
    return qc_flush_result(a * b, (double)a * (double)b);
}

/* The quantized value for 0, rounded half away from zero within the bounds. A quotient 0 / 0 gives 0. */
static inline float qc_nudged_zero_point(float min, float scale, float low, float high) {
    const float exact = qc_flushed_difference(low, qc_flushed_quotient(min, scale));
    return exact < low ? low : exact > high ? high : isnan(exact) ? 0.0f : roundf(exact);
}

/* min, max: finite. quant_min, quant_max: bounds of the quantized type, 0 or 1 and at most 65535. */
static inline qc_nudged_range qc_nudge(float min, float max, int32_t quant_min, int32_t quant_max) {
    const float low = (float)quant_min, high = (float)quant_max;
    const float start = qc_flush_input(min);
    const float width = qc_flushed_difference(qc_flush_input(max), start);
    const float scale = qc_flushed_quotient(width, high - low);
    const float zero_point = qc_nudged_zero_point(start, scale, low, high);
    return (qc_nudged_range){
        .min = qc_flushed_product(low - zero_point, scale),
        .max = qc_flushed_product(high - zero_point, scale),
        .scale = scale,
        .inverse_scale = qc_flushed_quotient(high - low, width),
        .zero_point = zero_point,
    };
}

/* Arrays are [outer][channels]; per tensor, channels = 1. min, max: [channels], finite. A range whose ends are both
 * 0 makes everything 0, and lets gradients pass. */
typedef struct {
    int64_t outer;
    int64_t channels;
    const float *min;
    const float *max;
    int32_t quant_min;
    int32_t quant_max;
    qc_fake_quant_form form;
    int32_t num_threads; /* of TensorFlow, at least 1: they decide in which order gradients are added up */
} qc_fake_quant_params;

qc_status qc_fake_quant_f32_ref(const qc_fake_quant_params *params, const float *input, float *output,
                                void *scratch);

/* tensors: gradients of the output, inputs (both [outer][channels]); gradients of the inputs, of min, of max
 * ([channels]; both NULL where they are not wanted). */
qc_status qc_fake_quant_gradient_f32_ref(const qc_fake_quant_params *params, void *const *tensors, void *scratch);

/* TFLite's FAKE_QUANT: low, high and scale are those of the nudged range. Subnormal numbers are no zeros here. */
typedef struct {
    int64_t count;
    float low;
    float high;
    float scale;
} qc_fake_quant_lite_params;

qc_status qc_fake_quant_lite_f32_ref(const qc_fake_quant_lite_params *params, const float *input, float *output,
                                     void *scratch);

#endif
