/* Kernels of operators that quantcore does not have: custom operators, and builtin ones in a form that it does not
 * implement. Whoever writes one is told all that the model file says. */
#ifndef QUANTCORE_CUSTOM_H
#define QUANTCORE_CUSTOM_H

#include <stdint.h>

#include "quantcore/status.h"

/* Types of elements, numbered as in TFLite's schema (TensorType). */
typedef enum {
    QC_TYPE_NONE = -1, /* an optional input that is omitted */
    QC_TYPE_FLOAT32 = 0,
    QC_TYPE_FLOAT16 = 1,
    QC_TYPE_INT32 = 2,
    QC_TYPE_UINT8 = 3,
    QC_TYPE_INT64 = 4,
    QC_TYPE_BOOL = 6,
    QC_TYPE_INT16 = 7,
    QC_TYPE_COMPLEX64 = 8,
    QC_TYPE_INT8 = 9,
    QC_TYPE_FLOAT64 = 10,
    QC_TYPE_COMPLEX128 = 11,
    QC_TYPE_UINT64 = 12,
    QC_TYPE_UINT32 = 15,
    QC_TYPE_UINT16 = 16,
} qc_tensor_type;

/* A tensor without its data. dims: [rank]. scale, zero_point: [scales], where scales is 0 for a tensor that is not
 * quantized, 1 for one scale, and else the size of dimension `axis`. Arrays of no elements are NULL. */
typedef struct {
    qc_tensor_type type;
    int32_t rank;
    const int32_t *dims;
    int32_t scales;
    int32_t axis;
    const float *scale;
    const int32_t *zero_point;
} qc_custom_tensor;

/* tensors: [inputs + outputs], the inputs first. options: [options_size], the custom_options of the file, usually a
 * FlexBuffer; NULL where there are none, as for builtin operators. */
typedef struct {
    int32_t inputs;
    int32_t outputs;
    const qc_custom_tensor *tensors;
    const uint8_t *options;
    int64_t options_size;
} qc_custom_params;

/* tensors: data of the inputs (NULL for an omitted one), then of the outputs, which overlap no input, nor each other.
 * Inputs that hold state may be written. scratch: 64-byte aligned memory of as many bytes as the kernel's own function
 * `int64_t f(const qc_custom_params *)` says, or NULL without one. Called on several threads at once, each with memory
 * of its own. Any status but QC_OK ends the run. */
typedef qc_status qc_custom_kernel(const qc_custom_params *params, void *const *tensors, void *scratch);

static inline int64_t qc_custom_count(const qc_custom_tensor *tensor) {
    int64_t count = 1;
    for (int32_t i = 0; i < tensor->rank; ++i) count *= tensor->dims[i];
    return count;
}

#endif
