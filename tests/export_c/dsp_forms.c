/* Each DSP function by its CMSIS name and as portable C, on edges and on many values: the same bits. */
#include "quantcore/dsp.h"

#ifdef ON_TARGET
#include "harness.h"
#else
#include <stdio.h>
#endif

static uint64_t state = 1;
static unsigned wrong;

static uint32_t draw(void) {
    static const uint32_t edges[] = {0,          1,          0x7FFF,     0x8000,     0xFFFF,     0x7FFFFFFF, 0x80000000,
                                     0xFFFFFFFF, 0x80008000, 0x7FFF7FFF, 0x80007FFF, 0x80808080, 0x7F7F7F7F, 0x00FF00FF};
    state = state * 6364136223846793005u + 1442695040888963407u;
    uint32_t bits = (uint32_t)(state >> 32);
    return bits % 4 == 0 ? edges[(bits >> 8) % (sizeof edges / sizeof edges[0])] : bits;
}

static void same(const char *name, uint64_t got, uint64_t expected) {
    if (got == expected || wrong++ > 20) {
        return;
    }
#ifdef ON_TARGET
    harness_print(name);
    harness_print(" ");
    harness_print_hex((uint32_t)got);
    harness_print(", expected ");
    harness_print_hex((uint32_t)expected);
    harness_print("\n");
#else
    printf("%s %#llx, expected %#llx\n", name, (unsigned long long)got, (unsigned long long)expected);
#endif
}

#define SAME(name, portable, ...) same(#name, (uint64_t)name(__VA_ARGS__), (uint64_t)qc_dsp_##portable(__VA_ARGS__))
#define SAME_BITS(bits) (SAME(__SSAT, ssat, (int32_t)x, bits), SAME(__USAT, usat, (int32_t)x, bits - 1))
#define SAME_ROTATED(n)                                                                                                \
    (same("__SXTB16_RORn", __SXTB16_RORn(x, n), qc_dsp_sxtb16(qc_dsp_ror(x, n))),                                      \
     same("__SXTAB16_RORn", __SXTAB16_RORn(x, y, n), qc_dsp_sxtab16(x, qc_dsp_ror(y, n))))

static void compare(uint32_t x, uint32_t y, uint32_t z, uint64_t sum) {
    SAME(__SXTB16, sxtb16, x), SAME(__UXTB16, uxtb16, x);
    SAME(__SXTAB16, sxtab16, x, y), SAME(__UXTAB16, uxtab16, x, y);
    SAME(__SADD16, sadd16, x, y), SAME(__SSUB16, ssub16, x, y);
    SAME(__QADD16, qadd16, x, y), SAME(__QSUB16, qsub16, x, y);
    SAME(__SMUAD, smuad, x, y), SAME(__SMUADX, smuadx, x, y);
    SAME(__SMUSD, smusd, x, y), SAME(__SMUSDX, smusdx, x, y);
    SAME(__SMLAD, smlad, x, y, z), SAME(__SMLADX, smladx, x, y, z);
    SAME(__SMLSD, smlsd, x, y, z), SAME(__SMLSDX, smlsdx, x, y, z);
    SAME(__SMLALD, smlald, x, y, sum), SAME(__SMLALDX, smlaldx, x, y, sum);
    SAME(__SMMLA, smmla, (int32_t)x, (int32_t)y, (int32_t)z);
    SAME(__QADD, qadd, (int32_t)x, (int32_t)y), SAME(__QSUB, qsub, (int32_t)x, (int32_t)y);
    SAME(__ROR, ror, x, y % 32);
    SAME_BITS(1), SAME_BITS(8), SAME_BITS(9), SAME_BITS(16), SAME_BITS(31), SAME_BITS(32);
    SAME(__PKHBT, pkhbt, x, y, 0), SAME(__PKHBT, pkhbt, x, y, 16), SAME(__PKHBT, pkhbt, x, y, 31);
    SAME(__PKHTB, pkhtb, x, y, 0), SAME(__PKHTB, pkhtb, x, y, 16), SAME(__PKHTB, pkhtb, x, y, 31);
    SAME_ROTATED(0), SAME_ROTATED(8), SAME_ROTATED(16), SAME_ROTATED(24);
}

/* A few results by hand, so that the two forms are not wrong alike. */
static void compare_known(void) {
    same("sxtb16", __SXTB16(0x7F80FF01u), 0xFF800001u);
    same("smlad", __SMLAD(0x0003FFFEu, 0x00050007u, 100), 100 + 3 * 5 - 2 * 7);
    same("smuad, which wraps around", __SMUAD(0x80008000u, 0x80008000u), 0x80000000u);
    same("smlald", __SMLALD(0x80008000u, 0x80008000u, 1), 0x80000001u);
    same("qadd16", __QADD16(0x7FFF8000u, 0x0001FFFFu), 0x7FFF8000u);
    same("ssat", (uint32_t)__SSAT(-200, 8), 0xFFFFFF80u);
    same("usat", __USAT(300, 8), 255);
    same("pkhbt", __PKHBT(0x11112222u, 0x33334444u, 16), 0x44442222u);
    same("pkhtb", __PKHTB(0x11112222u, 0x33334444u, 16), 0x11113333u);
    same("smmla", (uint32_t)__SMMLA(-1, 1, 5), 4);
}

static int run(void) {
    compare_known();
    for (int i = 0; i < 20000; i++) {
        compare(draw(), draw(), draw(), (uint64_t)draw() << 32 | draw());
    }
    return wrong == 0 ? 0 : 1;
}

#ifdef ON_TARGET
int harness_main(void) {
    return run();
}
#else
int main(void) {
    return run();
}
#endif
