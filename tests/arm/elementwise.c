/* ADD, SUB, MUL and the weighted sum, with broadcasting and vector bodies. */
#include "quantcore/elementwise.h"

#include <stdio.h>
#include <string.h>

#include "harness.h"

typedef struct {
    const char *suffix;
    int32_t size, low, high;
} element_type;

static const element_type types[] = {{"s8", 1, -128, 127}, {"u8", 1, 0, 255}, {"s16", 2, -32768, 32767}};

/* Random sizes of which some repeat; *count1, *count2, *count: elements of the inputs and of the output. */
static qc_broadcast random_broadcast(int64_t *count1, int64_t *count2, int64_t *count) {
    qc_broadcast b = {.rank = between(1, 4)};
    *count1 = *count2 = *count = 1;
    for (int32_t d = b.rank - 1; d >= 0; --d) {
        const int repeats = between(0, 5);
        b.shape[d] = d == b.rank - 1 ? (int32_t)CHOOSE(1, 3, 7, 8, 9, 16, 23, 40, 64, 100) : between(1, 3);
        if (one_in(40)) b.shape[d] = 0;
        b.stride1[d] = repeats == 1 ? 0 : *count1;
        b.stride2[d] = repeats == 2 ? 0 : *count2;
        if (repeats != 1) *count1 *= b.shape[d];
        if (repeats != 2) *count2 *= b.shape[d];
        *count *= b.shape[d];
    }
    return b;
}

static qc_body random_body(int32_t variants) {
    const qc_body body = {(int32_t)CHOOSE(0, 4, 8, 16), between(0, variants - 1)};
    return body;
}

static int32_t random_multiplier(void) {
    return (int32_t)CHOOSE(0, 1 << 30, 3 << 29, INT32_MAX, between(1 << 30, INT32_MAX), between(1 << 30, INT32_MAX));
}

static void random_bounds(const element_type *t, int32_t *low, int32_t *high) {
    *low = t->low;
    *high = t->high;
    if (one_in(2)) return;
    *low = between(t->low, t->high);
    *high = between(*low, t->high);
}

/* Runs the kernel `op` of a type. counts: elements of the inputs. */
static void compare_op(const char *op, const element_type *t, const void *params, const void *inputs[2],
                       const int64_t counts[2], int64_t outputs) {
    static char names[64][32]; /* which the harness keeps */
    static int count;
    char name[32];
    snprintf(name, sizeof name, "%s_%s", op, t->suffix);
    int known = 0;
    while (known < count && strcmp(names[known], name) != 0) ++known;
    if (known == count) strcpy(names[count++], name);
    compare(names[known], params, 2, inputs, outputs * t->size, NULL, 0);
    const int which = between(0, 1);
    if (counts[which] == outputs) compare_in_place(names[known], params, 2, inputs, which, outputs * t->size);
}

static void compare_add(const element_type *t) {
    int64_t counts[2], count;
    qc_add_params p = {.broadcast = random_broadcast(&counts[0], &counts[1], &count)};
    qc_add_rule *r = &p.rule;
    const int hostile = one_in(4);
    r->body = random_body(2);
    r->repeated_body = random_body(2);
    r->left_shift = t->size == 1 ? 20 : 15;
    r->input1_offset = t->size == 1 ? between(-t->high, -t->low) : 0;
    r->input2_offset = t->size == 1 ? between(-t->high, -t->low) : 0;
    r->output_offset = t->size == 1 ? between(t->low, t->high) : 0;
    r->input1_multiplier = random_multiplier();
    r->input2_multiplier = random_multiplier();
    r->output_multiplier = random_multiplier();
    r->input1_shift = hostile ? between(-31, 0) : between(-3, 0);
    r->input2_shift = hostile ? between(-31, 0) : between(-3, 0);
    r->output_shift = hostile ? between(-31, 0) : between(-2, 2) - r->left_shift;
    if (one_in(4)) { /* sums that leave 16 bits, where vector bodies wrap */
        r->input1_shift = r->input2_shift = between(-2, 0);
        r->output_shift = between(-14, -10);
    }
    random_bounds(t, &r->activation_min, &r->activation_max);
    const void *inputs[] = {random_bytes(counts[0] * t->size), random_bytes(counts[1] * t->size)};
    compare_op("add", t, &p, inputs, counts, count);
    compare_op("sub", t, &p, inputs, counts, count);
}

static void compare_weighted_sum(const element_type *t) {
    int64_t counts[2], count;
    qc_weighted_sum_params p = {.broadcast = random_broadcast(&counts[0], &counts[1], &count)};
    qc_weighted_sum_rule *r = &p.rule;
    const int hostile = one_in(4);
    r->input1_offset = between(-255, 255);
    r->input2_offset = between(-255, 255);
    r->weight1 = between(-(1 << 21), 1 << 21);
    r->weight2 = between(-(1 << 21), 1 << 21);
    r->shift = hostile ? between(1, 30) : between(19, 22);
    r->output_offset = between(t->low, t->high);
    random_bounds(t, &r->activation_min, &r->activation_max);
    const void *inputs[] = {random_bytes(counts[0]), random_bytes(counts[1])};
    compare_op("weighted_sum", t, &p, inputs, counts, count);
}

static void compare_mul(const element_type *t) {
    int64_t counts[2], count;
    qc_mul_params p = {.broadcast = random_broadcast(&counts[0], &counts[1], &count)};
    p.requant = random_requant(1, 0, t->low, t->high, t->size == 1 ? 15 : 23);
    p.body = random_body(3);
    p.repeated_body = random_body(3);
    if (t->size == 1) {
        p.input1_offset = between(-t->high, -t->low);
        p.input2_offset = between(-t->high, -t->low);
    } else {
        p.requant.output_offset = 0;
    }
    const void *inputs[] = {random_bytes(counts[0] * t->size), random_bytes(counts[1] * t->size)};
    compare_op("mul", t, &p, inputs, counts, count);
}

void compare_elementwise(int times) {
    for (int i = 0; i < 3 * times; ++i) {
        const element_type *t = &types[i % 3];
        compare_add(t);
        compare_mul(t);
        if (t->size == 1) compare_weighted_sum(t);
        release_all();
    }
}
