/* RFFT2D, and what takes complex numbers apart. A complex64 element is two floats, real and imaginary part. */
#ifndef QUANTCORE_FFT_H
#define QUANTCORE_FFT_H

#include <stdint.h>

#include "quantcore/status.h"

typedef struct {
    double re, im;
} qc_complex;

/* RFFT2D of slices [rows][columns], cropped or padded with zeros to [height][width], powers of two (width at least
 * 2): output [slices][height][width / 2 + 1]. All in double, rounded to float at the end, in the order of operations
 * of the split-radix transform that docs/numerics/rfft2d.md describes.
 * row_twiddles, column_twiddles: of a transform of width / 2 and of height points; half_twiddles [width / 4]: factors
 * that take the transform of width real numbers out of one of width / 2 complex ones; eighth: cos(pi / 4).
 * Scratch: qc_rfft2d_scratch_size bytes. */
typedef struct {
    int64_t slices;
    int64_t rows;
    int64_t columns;
    int64_t height;
    int64_t width;
    double eighth;
    const qc_complex *row_twiddles;
    const qc_complex *column_twiddles;
    const qc_complex *half_twiddles;
} qc_rfft2d_params;

/* One slice, and one column. */
static inline int64_t qc_rfft2d_scratch_size(const qc_rfft2d_params *p) {
    return (p->height * (p->width / 2 + 1) + p->height) * (int64_t)sizeof(qc_complex);
}

qc_status qc_rfft2d_ref(const qc_rfft2d_params *, void *const *tensors, void *scratch);

typedef struct {
    int64_t count;
} qc_complex_params;

/* COMPLEX_ABS, REAL, IMAG: count elements. */
qc_status qc_complex_abs_ref(const qc_complex_params *, const float *input, float *output, void *scratch);
qc_status qc_complex_real_ref(const qc_complex_params *, const float *input, float *output, void *scratch);
qc_status qc_complex_imag_ref(const qc_complex_params *, const float *input, float *output, void *scratch);

#endif
