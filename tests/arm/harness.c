/* Compares every vector version that the machine has with its definition, over generated shapes and parameters: its
 * argument says how often.
 * Prints a row per version: kernel, instruction set, number of comparisons, and the share of the outputs' bytes that
 * differ from their neighbours: data that is all saturated would prove nothing. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "quantcore/plan.h"

static uint64_t state = 0x9E3779B97F4A7C15u;

uint32_t random_bits(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state * 0x2545F4914F6CDD1Du >> 32);
}

int32_t between(int32_t low, int32_t high) {
    return (int32_t)(low + (int64_t)(random_bits() % ((uint64_t)((int64_t)high - low) + 1)));
}

int one_in(int32_t n) {
    return between(1, n) == 1;
}

int64_t choose(int count, const int64_t *from) {
    return from[between(0, count - 1)];
}

enum { PAGE = 65536, BLOCKS = 64 };
static struct {
    char *pages;
    size_t size;
} blocks[BLOCKS];
static int used;

void *guarded(int64_t size) {
    const size_t whole = ((size_t)size + PAGE - 1) / PAGE * PAGE;
    char *pages = mmap(NULL, whole + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || used == BLOCKS || mprotect(pages + whole, PAGE, PROT_NONE) != 0) abort();
    blocks[used].pages = pages;
    blocks[used++].size = whole + PAGE;
    return pages + whole - size;
}

void release_all(void) {
    while (used > 0) {
        --used;
        munmap(blocks[used].pages, blocks[used].size);
    }
}

void *random_bytes(int64_t size) {
    static const uint8_t extremes[] = {0x80, 0x80, 0x7F, 0xFF, 0, 1};
    uint8_t *bytes = guarded(size);
    const int extreme = one_in(4), same = one_in(8);
    const uint8_t repeated = extremes[between(0, 5)];
    for (int64_t i = 0; i < size; ++i)
        bytes[i] = same ? repeated : extreme ? extremes[between(0, 5)] : (uint8_t)random_bits();
    return bytes;
}

int32_t *random_words(int64_t count) {
    int32_t *words = guarded(count * 4);
    const int small = one_in(2);
    for (int64_t i = 0; i < count; ++i) words[i] = small ? between(-20000, 20000) : (int32_t)random_bits();
    return words;
}

float *random_floats(int64_t count, float scale) {
    float *floats = guarded(count * 4);
    for (int64_t i = 0; i < count; ++i) {
        const uint32_t bits = random_bits();
        memcpy(&floats[i], &bits, 4);
        if (scale != 0) floats[i] = (float)between(-(1 << 20), 1 << 20) / (float)(1 << between(8, 20)) * scale;
    }
    return floats;
}

/* Multipliers whose products are often ties, the greatest, and any. */
static int32_t random_multiplier(void) {
    return (int32_t)CHOOSE(0, 1 << 30, 3 << 29, 5 << 28, INT32_MAX, between(1 << 30, INT32_MAX),
                           between(1 << 30, INT32_MAX), between(1 << 30, INT32_MAX));
}

qc_requant random_requant(int32_t channels, int per_channel, int32_t low, int32_t high, int32_t accumulator_bits) {
    const int32_t count = per_channel ? channels : 1;
    int32_t *multiplier = guarded(count * 4), *shift = guarded(count * 4);
    double *real = guarded(count * 8);
    qc_requant r = {.body = INT32_MAX, .per_channel = per_channel, .multiplier = multiplier, .shift = shift,
                    .real_multiplier = real, .output_offset = between(low, high), .activation_min = low,
                    .activation_max = high};
    r.rounding = (qc_rounding)CHOOSE(QC_DOUBLE_ROUNDING, QC_DOUBLE_ROUNDING, QC_RUY, QC_RUY, QC_SINGLE_ROUNDING,
                                     QC_FLOAT32, QC_FLOAT64, QC_INT16_MULTIPLIER);
    r.tail = r.rounding;
    if (one_in(3)) {
        r.tail = (qc_rounding)between(QC_DOUBLE_ROUNDING, QC_INT16_MULTIPLIER);
        r.body = between(0, channels + 1);
    }
    if (one_in(3)) {
        r.activation_min = between(low, high);
        r.activation_max = between(r.activation_min, high);
    }
    if (one_in(3)) r.activation_min = r.output_offset < r.activation_max ? r.output_offset : r.activation_max;
    const int hostile = one_in(4);
    const int narrow = r.rounding == QC_INT16_MULTIPLIER || r.tail == QC_INT16_MULTIPLIER;
    const int32_t usual = 8 - accumulator_bits;
    for (int32_t i = 0; i < count; ++i) {
        multiplier[i] = hostile || one_in(3) ? random_multiplier() : between(1 << 30, INT32_MAX);
        shift[i] = hostile ? between(-31, narrow ? 7 : 30) : between(usual - 2, usual + 2);
        const float factor = (float)multiplier[i] / 2147483648.0f;
        const double any = hostile ? (double)CHOOSE(1, 1 << 20, (int64_t)1 << 40) * 0.75 : 1.0;
        real[i] = (double)factor * any * (shift[i] < 0 ? 1.0 / (double)((int64_t)1 << -shift[i])
                                                      : (double)((int64_t)1 << shift[i]));
        if (hostile && one_in(4)) real[i] = (double)(float)(one_in(2) ? 1e300 : 3e38); /* infinite in float32 */
    }
    return r;
}

/* How often each version was compared, and how many bytes of its outputs differ from the byte before. */
enum { VERSIONS = 512 };
static struct {
    const char *name;
    int isa;
    int64_t times, bytes, changes;
} counts[VERSIONS];

static int64_t count_one(const char *name, int isa, const uint8_t *output, int64_t size) {
    int i = 0;
    while (counts[i].name != NULL && (strcmp(counts[i].name, name) != 0 || counts[i].isa != isa)) ++i;
    counts[i].name = name;
    counts[i].isa = isa;
    counts[i].bytes += size;
    for (int64_t k = 1; k < size; ++k) counts[i].changes += output[k] != output[k - 1];
    return ++counts[i].times;
}

static qc_status run_version(const char *name, qc_isa isa, const void *params, int inputs, const void *const *input,
                             void *output, int64_t scratch_size) {
    int arity;
    qc_isa chosen;
    const qc_invoke invoke = qc_kernel_find(name, isa, &arity, &chosen);
    if (invoke == NULL || (arity >= 0 && arity != inputs + 1)) {
        printf("%s: no such kernel, or it has not %d inputs\n", name, inputs);
        exit(1);
    }
    void *tensors[8];
    for (int i = 0; i < inputs; ++i) memcpy(&tensors[i], &input[i], sizeof(void *));
    tensors[inputs] = output;
    const int64_t aligned = (scratch_size + 63) / 64 * 64;
    uint8_t *scratch = guarded(aligned);
    memset(scratch, 0xA5, (size_t)aligned);
    return invoke(params, tensors, scratch);
}

void compare(const char *name, const void *params, int inputs, const void *const *input, int64_t output_size,
             const void *in_out, int64_t scratch_size) {
    uint8_t *wanted = guarded(output_size), *output = guarded(output_size);
    if (in_out != NULL) memcpy(wanted, in_out, (size_t)output_size);
    const qc_status status = run_version(name, QC_ISA_SCALAR, params, inputs, input, wanted, scratch_size);
    for (int isa = QC_ISA_SCALAR + 1; isa <= (int)qc_isa_detect(); ++isa) {
        int arity;
        qc_isa chosen;
        qc_kernel_find(name, (qc_isa)isa, &arity, &chosen);
        if ((int)chosen != isa) continue;
        memset(output, 0x5A, (size_t)output_size);
        if (in_out != NULL) memcpy(output, in_out, (size_t)output_size);
        const qc_status ours = run_version(name, (qc_isa)isa, params, inputs, input, output, scratch_size);
        const int64_t number = count_one(name, isa, wanted, output_size);
        if (ours != status) {
            printf("%s %s, comparison %lld: status %d, of the definition %d\n", name, qc_isa_name(isa),
                   (long long)number, (int)ours, (int)status);
            exit(1);
        }
        if (status != QC_OK) continue;
        for (int64_t i = 0; i < output_size; ++i) {
            if (output[i] == wanted[i]) continue;
            printf("%s %s, comparison %lld: byte %lld of %lld is %d, in the definition %d\n", name, qc_isa_name(isa),
                   (long long)number, (long long)i, (long long)output_size, output[i], wanted[i]);
            exit(1);
        }
    }
}

void compare_in_place(const char *name, const void *params, int inputs, const void *const *input, int which,
                      int64_t size) {
    uint8_t *wanted = guarded(size);
    run_version(name, QC_ISA_SCALAR, params, inputs, input, wanted, 0);
    for (int isa = QC_ISA_SCALAR; isa <= (int)qc_isa_detect(); ++isa) {
        uint8_t *both = guarded(size);
        memcpy(both, input[which], (size_t)size);
        const void *tensors[2];
        for (int i = 0; i < inputs; ++i) tensors[i] = i == which ? both : input[i];
        run_version(name, (qc_isa)isa, params, inputs, tensors, both, 0);
        if (memcmp(both, wanted, (size_t)size) == 0) continue;
        printf("%s %s, written over input %d, differs\n", name, qc_isa_name(isa), which);
        exit(1);
    }
}

int main(int arguments, char **argument) {
    const int times = arguments > 1 ? atoi(argument[1]) : 100;
    compare_affine(times);
    compare_elementwise(times);
    compare_pools(times);
    compare_products(times);
    for (int i = 0; i < VERSIONS && counts[i].name != NULL; ++i)
        printf("%s %s %lld %.2f\n", counts[i].name, qc_isa_name(counts[i].isa), (long long)counts[i].times,
               (double)counts[i].changes / (double)counts[i].bytes);
    return 0;
}
