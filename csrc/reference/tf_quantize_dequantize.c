/* TensorFlow's QuantizeAndDequantize: the definitions. */
#include "quantcore/tf_quantize_dequantize.h"

#include <float.h>
#include <math.h>
#include <tgmath.h>

/* for every element i of slice s of an [outer][slices][inner] array */
#define FOR_EACH(p, i, s)                                                                          \
    for (int64_t o = 0; o < (p)->outer; ++o)                                                       \
        for (int64_t i = (o * (p)->slices + (s)) * (p)->inner, end = i + (p)->inner; i < end; ++i)

#define T float
#define NAME(name) name##_f32
#define PARAMS qc_tf_quantize_dequantize_f32_params
#define KERNEL qc_tf_quantize_dequantize_f32_ref
#define LARGEST FLT_MAX
#define SMALLEST 0x1p-126f /* that is not subnormal */
#define AWAY 0x1p60f       /* from the subnormal numbers, and from infinity */
#include "tf_quantize_dequantize.inc"

#define T double
#define NAME(name) name##_f64
#define PARAMS qc_tf_quantize_dequantize_f64_params
#define KERNEL qc_tf_quantize_dequantize_f64_ref
#define LARGEST DBL_MAX
#define SMALLEST 0x1p-1022
#define AWAY 0x1p400
#include "tf_quantize_dequantize.inc"
