/* QUANTIZE, DEQUANTIZE, requantize, lookup tables, and the range of float data. */
#include "quantcore/affine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "quantcore/lookup.h"
#include "quantcore/min_max.h"

/* Scales: as models have them, a power of two, for which ties are exact, and extremes. */
static float random_scale(void) {
    const float power = ldexpf(1.0f, between(-20, 4));
    if (one_in(2)) return power;
    if (one_in(12)) {
        const float fraction = (float)between(1 << 22, 1 << 24);
        return ldexpf(fraction, between(-165, 100));
    }
    return power * (1.0f + (float)between(0, 1 << 20) / (float)(1 << 20));
}

static float any_float(void) {
    const uint32_t bits = random_bits();
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Halves of the scale, what is next to them, anything, and what does not fit. */
static float random_element(float scale) {
    const float half = ((float)between(-300, 300) + 0.5f) * scale;
    switch (between(0, 7)) {
        case 0: return nextafterf(half, INFINITY);
        case 1: return nextafterf(half, -INFINITY);
        case 2: return (float)between(-150000, 150000) * 0.001f * scale;
        case 3: return any_float();
        case 4: return (float)CHOOSE(0, INT32_MAX, INT32_MIN) * scale;
        default: return half;
    }
}

static qc_affine_params random_affine(int32_t low, int32_t high) {
    qc_affine_params p = {.outer = between(0, 3), .channels = 1, .inner = between(1, 40), .qmin = low, .qmax = high};
    const int32_t kind = between(0, 3);
    if (kind == 0) {
        p.outer = between(1, 3);
        p.channels = between(1, 20);
        p.inner = 1;
    } else if (kind == 1) {
        p.channels = between(1, 5);
    }
    float *scale = guarded(p.channels * 4);
    int32_t *zero_point = guarded(p.channels * 4);
    const int hostile = one_in(5);
    for (int64_t c = 0; c < p.channels; ++c) {
        scale[c] = random_scale();
        zero_point[c] = hostile ? (int32_t)random_bits() : between(low / 2, high / 2);
    }
    p.scale = scale;
    p.zero_point = zero_point;
    if (one_in(3)) {
        p.qmin = between(low, high);
        p.qmax = between(p.qmin, high);
    }
    return p;
}

typedef struct {
    const char *quantize, *dequantize, *reciprocal, *saturating, *terms;
    int32_t size, low, high;
} element_type;

static const element_type types[] = {
    {"quantize_f32_s8", "dequantize_s8_f32", "quantize_reciprocal_f32_s8", "quantize_saturating_f32_s8",
     "dequantize_terms_s8_f32", 1, -128, 127},
    {"quantize_f32_u8", "dequantize_u8_f32", "quantize_reciprocal_f32_u8", "quantize_saturating_f32_u8",
     "dequantize_terms_u8_f32", 1, 0, 255},
    {"quantize_f32_s16", "dequantize_s16_f32", "quantize_reciprocal_f32_s16", NULL, NULL, 2, -32768, 32767},
    {"quantize_f32_s32", NULL, NULL, NULL, NULL, 4, INT32_MIN, INT32_MAX},
};

static void compare_quantize(const element_type *t) {
    const qc_affine_params p = random_affine(t->low, t->high);
    const int64_t count = p.outer * p.channels * p.inner;
    float *x = guarded(count * 4);
    for (int64_t i = 0; i < count; ++i) x[i] = random_element(p.scale[i / p.inner % p.channels]);
    const void *inputs[] = {x};
    compare(t->quantize, &p, 1, inputs, count * t->size, NULL, 0);
    if (t->size == 4) compare_in_place(t->quantize, &p, 1, inputs, 0, count * t->size);
    const void *quantized[] = {random_bytes(count * t->size)};
    if (t->dequantize != NULL) compare(t->dequantize, &p, 1, quantized, count * 4, NULL, 0);
}

/* The forms of other backends. */
static void compare_bodies(const element_type *t) {
    qc_affine_body_params p = {.count = between(0, 60), .scale = random_scale(),
                               .zero_point = between(t->low / 2, t->high / 2), .qmin = t->low, .qmax = t->high};
    p.body = one_in(2) ? p.count / 8 * 8 : between(0, (int32_t)p.count);
    float *x = guarded(p.count * 4);
    for (int64_t i = 0; i < p.count; ++i) x[i] = random_element(p.scale);
    const void *floats[] = {x}, *quantized[] = {random_bytes(p.count * t->size)};
    if (t->reciprocal != NULL) compare(t->reciprocal, &p, 1, floats, p.count * t->size, NULL, 0);
    if (t->saturating != NULL) compare(t->saturating, &p, 1, floats, p.count * t->size, NULL, 0);
    if (t->terms != NULL) compare(t->terms, &p, 1, quantized, p.count * 4, NULL, 0);
}

static void compare_requantize(int from, int to) {
    static const struct {
        const char *name;
        int32_t size, low, high, bits;
    } kinds[] = {{"s8", 1, -128, 127, 8}, {"u8", 1, 0, 255, 8}, {"s16", 2, -32768, 32767, 8},
                 {"s32", 4, -(1 << 30), (1 << 30) - 1, 15}}; /* bounds less the offset must not overflow */
    static char names[4][4][32]; /* which the harness keeps */
    snprintf(names[from][to], sizeof names[from][to], "requantize_%s_%s", kinds[from].name, kinds[to].name);
    const int64_t count = (int64_t)CHOOSE(0, 1, 7, 8, 9, 64, 300);
    const qc_requantize_params p = {
        .count = count,
        .input_zero_point = one_in(8) ? (int32_t)random_bits() : between(kinds[from].low / 2, kinds[from].high / 2),
        .requant = random_requant((int32_t)count, 0, kinds[to].low, kinds[to].high, kinds[from].bits),
    };
    const void *x = kinds[from].size == 4 ? (const void *)random_words(count) : random_bytes(count * kinds[from].size);
    const void *inputs[] = {x};
    compare(names[from][to], &p, 1, inputs, count * kinds[to].size, NULL, 0);
    if (kinds[from].size == kinds[to].size)
        compare_in_place(names[from][to], &p, 1, inputs, 0, count * kinds[to].size);
}

static void compare_lookup(void) {
    qc_lookup_params p = {.count = between(0, 100)};
    for (int k = 0; k < 256; ++k) p.table[k] = (uint8_t)random_bits();
    const void *inputs[] = {random_bytes(p.count)};
    compare("lookup_x8", &p, 1, inputs, p.count, NULL, 0);
    compare_in_place("lookup_x8", &p, 1, inputs, 0, p.count);
}

static void compare_min_max(void) {
    const qc_min_max_params p = {between(0, 3), (int64_t)CHOOSE(1, 1, 2, 9), (int64_t)CHOOSE(1, 1, 3, 4, 50)};
    float *range = guarded(2 * p.channels * 4);
    for (int64_t c = 0; c < 2 * p.channels; ++c) range[c] = (float)between(-2, 2) * 0.5f;
    for (int64_t c = 0; c < p.channels && one_in(2); ++c) {
        range[c] = INFINITY;
        range[p.channels + c] = -INFINITY;
    }
    const int64_t count = p.outer * p.channels * p.inner;
    float *x = random_floats(count, one_in(2) ? 1e-3f : 1.0f);
    for (int64_t i = 0; i < count; ++i)
        if (one_in(4)) x[i] = one_in(2) ? -0.0f : -x[i];
    if (count > 0 && one_in(5)) x[between(0, (int32_t)count - 1)] = one_in(2) ? NAN : one_in(2) ? INFINITY : -INFINITY;
    const void *inputs[] = {x};
    compare("min_max_f32", &p, 1, inputs, 2 * p.channels * 4, range, 0);
}

void compare_affine(int times) {
    for (int i = 0; i < 4 * times; ++i) {
        compare_quantize(&types[i % 4]);
        compare_bodies(&types[i % 4]);
        release_all();
        for (int from = 0; from < 4; ++from) {
            compare_requantize(from, i % 4);
            release_all();
        }
        compare_lookup();
        compare_min_max();
        release_all();
    }
}
