/* CAST: the definition. A block of elements is widened to int64 or float64, which hold every value of the
 * other dtypes exactly, and narrowed from there. */
#include "quantcore/cast.h"

#include <math.h>
#include <string.h>

#include "quantcore/affine.h"

enum { BLOCK = 256 };

static int is_float(qc_dtype dtype) {
    return dtype == QC_F16 || dtype == QC_F32 || dtype == QC_F64;
}

/* float32 to binary16, to nearest even; overflow is infinity. */
static uint16_t float_to_half(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7FFFFFFF;
    if (bits > 0x7F800000) return (uint16_t)(sign | 0x7E00);
    if (bits >= 0x477FF000) return (uint16_t)(sign | 0x7C00); /* 65520 and above */
    if (bits < 0x38800000) { /* below 2^-14: a multiple of 2^-24 */
        float magnitude;
        memcpy(&magnitude, &bits, sizeof magnitude);
        return (uint16_t)(sign | (uint16_t)nearbyintf(magnitude * 0x1p24f));
    }
    bits -= (127 - 15) << 23;
    return (uint16_t)(sign | (bits + 0x0FFF + (bits >> 13 & 1)) >> 13);
}

/* Truncation as the conversion instructions of x86 do it: NaN and overflow give the lowest value. */
static int32_t to_int32(double v) {
    return v > -2147483649.0 && v < 2147483648.0 ? (int32_t)v : INT32_MIN;
}
static int64_t to_int64(double v) {
    return v >= -9223372036854775808.0 && v < 9223372036854775808.0 ? (int64_t)v : INT64_MIN;
}

/* Truncation with saturation; NaN gives `nan`. */
static int64_t saturate(double v, double low, double high, int64_t nan) {
    if (isnan(v)) return nan;
    return (int64_t)(v < low ? low : v > high ? high : v);
}

#define READ(T, expression)                                                                        \
    do {                                                                                           \
        const T *from = (const T *)(const void *)input;                                            \
        for (int i = 0; i < count; ++i) wide[i] = (expression);                                    \
    } while (0)
#define WRITE(T, expression)                                                                       \
    do {                                                                                           \
        T *to = (T *)(void *)output;                                                               \
        for (int i = 0; i < count; ++i) to[i] = (T)(expression);                                   \
    } while (0)

static void read_integers(qc_dtype dtype, const uint8_t *input, int count, int64_t *wide) {
    switch (dtype) {
        case QC_BOOL: READ(uint8_t, from[i] != 0); break;
        case QC_S8: READ(int8_t, from[i]); break;
        case QC_U8: READ(uint8_t, from[i]); break;
        case QC_S16: READ(int16_t, from[i]); break;
        case QC_U16: READ(uint16_t, from[i]); break;
        case QC_S32: READ(int32_t, from[i]); break;
        case QC_U32: READ(uint32_t, from[i]); break;
        default: READ(int64_t, from[i]); break;
    }
}

static void write_integers(const int64_t *wide, int count, qc_dtype dtype, uint8_t *output) {
    switch (dtype) {
        case QC_BOOL: WRITE(uint8_t, wide[i] != 0); break;
        case QC_S8: WRITE(int8_t, wide[i]); break;
        case QC_U8: WRITE(uint8_t, wide[i]); break;
        case QC_S16: WRITE(int16_t, wide[i]); break;
        case QC_U16: WRITE(uint16_t, wide[i]); break;
        case QC_S32: WRITE(int32_t, wide[i]); break;
        case QC_U32: WRITE(uint32_t, wide[i]); break;
        case QC_S64: WRITE(int64_t, wide[i]); break;
        case QC_F16: WRITE(uint16_t, float_to_half((float)wide[i])); break;
        case QC_F32: WRITE(float, wide[i]); break;
        case QC_F64: WRITE(double, wide[i]); break;
    }
}

static void read_floats(qc_dtype dtype, const uint8_t *input, int count, double *wide) {
    switch (dtype) {
        case QC_F16: READ(uint16_t, (double)qc_half_to_float(from[i])); break;
        case QC_F32: READ(float, (double)from[i]); break;
        default: READ(double, from[i]); break;
    }
}

static void write_floats(const double *wide, int count, qc_dtype from, qc_dtype dtype, uint8_t *output) {
    const int saturates = from == QC_F32; /* to uint8, int16 and int32, and nowhere else */
    switch (dtype) {
        case QC_BOOL: WRITE(uint8_t, wide[i] != 0); break;
        case QC_S8: WRITE(int8_t, to_int32(wide[i])); break;
        case QC_U8: WRITE(uint8_t, saturates ? saturate(wide[i], 0, 255, 0) : to_int32(wide[i])); break;
        case QC_S16: WRITE(int16_t, saturates ? saturate(wide[i], -32768, 32767, 0) : to_int32(wide[i])); break;
        case QC_U16: WRITE(uint16_t, to_int32(wide[i])); break;
        case QC_S32:
            WRITE(int32_t, saturates ? saturate(wide[i], INT32_MIN, INT32_MAX, INT32_MAX) : to_int32(wide[i]));
            break;
        case QC_U32: WRITE(uint32_t, to_int64(wide[i])); break;
        case QC_S64: WRITE(int64_t, to_int64(wide[i])); break;
        case QC_F16: WRITE(uint16_t, float_to_half((float)wide[i])); break;
        case QC_F32: WRITE(float, wide[i]); break;
        case QC_F64: WRITE(double, wide[i]); break;
    }
}

/* float32 to integers of up to 32 bits, saturated; NaN is 0. Other dtypes as above. */
static void write_saturated(const double *wide, int count, qc_dtype dtype, uint8_t *output) {
    switch (dtype) {
        case QC_S8: WRITE(int8_t, saturate(wide[i], INT8_MIN, INT8_MAX, 0)); break;
        case QC_U8: WRITE(uint8_t, saturate(wide[i], 0, UINT8_MAX, 0)); break;
        case QC_S16: WRITE(int16_t, saturate(wide[i], INT16_MIN, INT16_MAX, 0)); break;
        case QC_U16: WRITE(uint16_t, saturate(wide[i], 0, UINT16_MAX, 0)); break;
        case QC_S32: WRITE(int32_t, saturate(wide[i], INT32_MIN, INT32_MAX, 0)); break;
        case QC_U32: WRITE(uint32_t, saturate(wide[i], 0, UINT32_MAX, 0)); break;
        default: write_floats(wide, count, QC_F32, dtype, output);
    }
}

qc_status qc_cast_ref(const qc_cast_params *p, const uint8_t *input, uint8_t *output, void *scratch) {
    static const int sizes[] = {1, 1, 1, 2, 2, 4, 4, 8, 2, 4, 8};
    (void)scratch;
    for (int64_t done = 0; done < p->count; done += BLOCK) {
        const int count = p->count - done < BLOCK ? (int)(p->count - done) : BLOCK;
        const uint8_t *from = input + done * sizes[p->from];
        uint8_t *to = output + done * sizes[p->to];
        if (is_float(p->from)) {
            double wide[BLOCK];
            read_floats(p->from, from, count, wide);
            if (p->saturates && p->from == QC_F32)
                write_saturated(wide, count, p->to, to);
            else
                write_floats(wide, count, p->from, p->to, to);
        } else {
            int64_t wide[BLOCK];
            read_integers(p->from, from, count, wide);
            write_integers(wide, count, p->to, to);
        }
    }
    return QC_OK;
}
