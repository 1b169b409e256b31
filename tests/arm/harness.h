/* A kernel's vector versions beside its definition, on memory that ends where nothing may be read. */
#ifndef QUANTCORE_TESTS_ARM_HARNESS_H
#define QUANTCORE_TESTS_ARM_HARNESS_H

#include <stddef.h>
#include <stdint.h>

#include "quantcore/requantize.h"

/* Pseudo-random numbers; the same in every run. */
uint32_t random_bits(void);
int32_t between(int32_t low, int32_t high); /* both may come out */
int one_in(int32_t n);
int64_t choose(int count, const int64_t *from);
#define CHOOSE(...) \
    choose((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__})

/* `size` bytes, until the next release_all; the page behind them faults. */
void *guarded(int64_t size);
void *random_bytes(int64_t size);    /* of any value, or of extremes */
int32_t *random_words(int64_t count);
float *random_floats(int64_t count, float scale); /* if scale is 0: of any bits */
void release_all(void);

/* A requantization to a type with these bounds; max_shift: of the shifts. */
qc_requant random_requant(int32_t channels, int per_channel, int32_t low, int32_t high, int32_t accumulator_bits);

/* Run each version that this machine has, and end the program if its status or its bits are not the definition's. The output comes
 * behind the inputs; in_out: what it holds before, or NULL. */
void compare(const char *name, const void *params, int inputs, const void *const *input, int64_t output_size,
             const void *in_out, int64_t scratch_size);

/* The same where the output is written over input `which`, whose size it has. */
void compare_in_place(const char *name, const void *params, int inputs, const void *const *input, int which,
                      int64_t size);

/* Each family's kernels, every one about `times` times. */
void compare_affine(int times);
void compare_elementwise(int times);
void compare_pools(int times);
void compare_products(int times);

#endif
