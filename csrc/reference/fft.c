/* RFFT2D: the definition. A split-radix transform, decimated in frequency, with exp(+i ...). */
#include "quantcore/fft.h"

#include <math.h>

static qc_complex add(qc_complex a, qc_complex b) { return (qc_complex){a.re + b.re, a.im + b.im}; }

static qc_complex sub(qc_complex a, qc_complex b) { return (qc_complex){a.re - b.re, a.im - b.im}; }

/* a + i b and a - i b */
static qc_complex add_i(qc_complex a, qc_complex b) { return (qc_complex){a.re - b.im, a.im + b.re}; }

static qc_complex sub_i(qc_complex a, qc_complex b) { return (qc_complex){a.re + b.im, a.im - b.re}; }

static qc_complex mul(qc_complex w, qc_complex x) {
    return (qc_complex){w.re * x.re - w.im * x.im, w.re * x.im + w.im * x.re};
}

/* x times exp(i pi / 4) */
static qc_complex turn(double eighth, qc_complex x) {
    return (qc_complex){eighth * (x.re - x.im), eighth * (x.im + x.re)};
}

/* A transform of `points` into quarters: two twiddles each for what becomes the third and fourth quarter. The second
 * quarter keeps a twiddle that its own transform (`late`) takes care of. */
static void divide(qc_complex *z, int64_t points, double eighth, const qc_complex *w) {
    const int64_t q = points / 4;
    for (int64_t k = 0; k < q; ++k, w += 2) {
        qc_complex *a = z + k, *b = a + q, *c = b + q, *d = c + q;
        const qc_complex even = add(*a, *c), odd = sub(*a, *c), sum = add(*b, *d), difference = sub(*b, *d);
        const qc_complex third = add_i(odd, difference), fourth = sub_i(odd, difference);
        *a = add(even, sum);
        *b = sub(even, sum);
        if (k == 0) {
            *c = third;
            *d = fourth;
        } else if (2 * k == q) {
            *c = turn(eighth, third);
            *d = (qc_complex){-eighth * (fourth.re + fourth.im), -eighth * (fourth.im - fourth.re)};
        } else {
            *c = mul(w[0], third);
            *d = mul(w[1], fourth);
        }
    }
}

/* The same for a part that still needs the twiddles of the division before. */
static void divide_late(qc_complex *z, int64_t points, double eighth, const qc_complex *w) {
    const int64_t q = points / 4;
    for (int64_t k = 0; k < q; ++k, w += 4) {
        qc_complex *a = z + k, *b = a + q, *c = b + q, *d = c + q;
        const qc_complex x0 = add_i(*a, *c), x1 = sub_i(*a, *c), x2 = add_i(*b, *d), x3 = sub_i(*b, *d);
        if (k == 0) {
            const qc_complex y2 = turn(eighth, x2), y3 = turn(eighth, x3);
            *a = add(x0, y2);
            *b = sub(x0, y2);
            *c = add_i(x1, y3);
            *d = sub_i(x1, y3);
        } else {
            const qc_complex y0 = mul(w[0], x0), y2 = mul(w[1], x2), y1 = mul(w[2], x1), y3 = mul(w[3], x3);
            *a = add(y0, y2);
            *b = sub(y0, y2);
            *c = add(y1, y3);
            *d = sub(y1, y3);
        }
    }
}

/* Twiddles of a transform: those of `divide`, then of `divide_late`, then of the transform of a quarter. */
static void transform(qc_complex *z, int64_t points, int late, double eighth, const qc_complex *w) {
    if (points < 2) return;
    if (points == 2) {
        const qc_complex a = z[0], b = z[1];
        z[0] = late ? add_i(a, b) : add(a, b);
        z[1] = late ? sub_i(a, b) : sub(a, b);
        return;
    }
    const int64_t q = points / 4;
    if (late)
        divide_late(z, points, eighth, w + 2 * q);
    else
        divide(z, points, eighth, w);
    w += 6 * q;
    transform(z, q, 0, eighth, w);
    transform(z + q, q, 1, eighth, w);
    transform(z + 2 * q, q, 0, eighth, w);
    transform(z + 3 * q, q, late, eighth, w);
}

/* Put the results, which are in the order of their reversed bits, in their own. */
static void reverse_bits(qc_complex *z, int64_t points) {
    for (int64_t i = 0, j = 0; i < points; ++i) {
        if (i < j) {
            const qc_complex kept = z[i];
            z[i] = z[j];
            z[j] = kept;
        }
        int64_t bit = points / 2;
        for (; bit > 0 && (j & bit); bit /= 2) j ^= bit;
        j ^= bit;
    }
}

/* `width` real numbers, in pairs: element 0 becomes (first, middle) frequency, both real. */
static void transform_row(const qc_rfft2d_params *p, qc_complex *z) {
    const int64_t points = p->width / 2;
    transform(z, points, 0, p->eighth, p->row_twiddles);
    reverse_bits(z, points);
    for (int64_t k = 1; k < points - k; ++k) {
        qc_complex *a = z + k, *b = z + points - k;
        const qc_complex x = {a->re - b->re, a->im + b->im};
        const qc_complex y = mul(p->half_twiddles[k], x);
        *a = sub(*a, y);
        *b = (qc_complex){b->re + y.re, b->im - y.im};
    }
    z[0] = (qc_complex){z[0].re + z[0].im, z[0].re - z[0].im};
}

/* The columns, of which the first holds two transforms of real numbers that are then separated: that of the first
 * frequency in the upper half, of the middle one in the lower half. */
static void transform_columns(const qc_rfft2d_params *p, qc_complex *z, qc_complex *column) {
    const int64_t h = p->height, stride = p->width / 2 + 1;
    for (int64_t j = 0; j < p->width / 2; ++j) {
        for (int64_t i = 0; i < h; ++i) column[i] = z[i * stride + j];
        transform(column, h, 0, p->eighth, p->column_twiddles);
        reverse_bits(column, h);
        for (int64_t i = 0; i < h; ++i) z[i * stride + j] = column[i];
    }
    for (int64_t i = 1; i < h - i; ++i) {
        qc_complex *a = z + i * stride, *b = z + (h - i) * stride;
        b->re = 0.5 * (a->re - b->re);
        a->re -= b->re;
        b->im = 0.5 * (a->im + b->im);
        a->im -= b->im;
    }
}

/* Give the first and the middle frequency a column each. */
static void separate(const qc_rfft2d_params *p, qc_complex *z) {
    const int64_t h = p->height, stride = p->width / 2 + 1, last = p->width / 2;
    for (int64_t i = h / 2 + 1; i < h; ++i) {
        qc_complex *lower = z + i * stride, *upper = z + (h - i) * stride;
        const qc_complex middle = {lower[0].im, lower[0].re};
        lower[last] = middle;
        upper[last] = (qc_complex){middle.re, -middle.im};
        lower[0] = (qc_complex){upper[0].re, -upper[0].im};
    }
    for (int64_t i = 0; i < h; i += h > 1 ? h / 2 : 1) {
        qc_complex *row = z + i * stride;
        row[last] = (qc_complex){row[0].im, 0.0};
        row[0].im = 0.0;
    }
}

qc_status qc_rfft2d_ref(const qc_rfft2d_params *p, void *const *tensors, void *scratch) {
    const float *x = (const float *)tensors[0];
    float *y = (float *)tensors[2];
    const int64_t stride = p->width / 2 + 1;
    qc_complex *z = (qc_complex *)scratch, *column = z + p->height * stride;
    for (int64_t s = 0; s < p->slices; ++s, x += p->rows * p->columns) {
        for (int64_t i = 0; i < p->height; ++i) {
            const int64_t count = i < p->rows ? p->columns : 0;
            for (int64_t j = 0; j < p->width / 2; ++j) {
                z[i * stride + j].re = 2 * j < count ? (double)x[i * p->columns + 2 * j] : 0.0;
                z[i * stride + j].im = 2 * j + 1 < count ? (double)x[i * p->columns + 2 * j + 1] : 0.0;
            }
            transform_row(p, z + i * stride);
        }
        transform_columns(p, z, column);
        separate(p, z);
        for (int64_t i = 0; i < p->height * stride; ++i) {
            *y++ = (float)z[i].re;
            *y++ = (float)-z[i].im; /* exp(-i ...) */
        }
    }
    return QC_OK;
}

qc_status qc_complex_abs_ref(const qc_complex_params *p, const float *input, float *output, void *scratch) {
    (void)scratch;
    for (int64_t i = 0; i < p->count; ++i) output[i] = hypotf(input[2 * i], input[2 * i + 1]);
    return QC_OK;
}

qc_status qc_complex_real_ref(const qc_complex_params *p, const float *input, float *output, void *scratch) {
    (void)scratch;
    for (int64_t i = 0; i < p->count; ++i) output[i] = input[2 * i];
    return QC_OK;
}

qc_status qc_complex_imag_ref(const qc_complex_params *p, const float *input, float *output, void *scratch) {
    (void)scratch;
    for (int64_t i = 0; i < p->count; ++i) output[i] = input[2 * i + 1];
    return QC_OK;
}
