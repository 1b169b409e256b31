/* Start-up code: vector table, memory, floating point unit, and a report of faults.
 *
 * For any Cortex-M. The linker script gives the places. The stack lies at the low end of RAM, so that one that
 * overflows runs out of RAM, which is a fault, and not into the model's data.
 */
#include "harness.h"

extern uint32_t harness_stack_end[];
extern uint32_t harness_data_start[], harness_data_end[], harness_data_source[];
extern uint32_t harness_bss_start[], harness_bss_end[];

#define CFSR (*(volatile uint32_t *)0xE000ED28u) /* configurable fault status */

/* Bytes below RAM that a stack must not touch. RAM starts at a multiple of this. */
#define GUARD_BITS 14u
#define GUARD_SIZE (1u << GUARD_BITS)

void harness_reset(void);
void harness_start(void);
void harness_fault(void);
void harness_report_fault(const uint32_t *frame, uint32_t return_code);

uint32_t harness_fault_stack[256]; /* of the report: the other one may have overflowed */

/* Vectors 2 to 15 are exceptions of the core; interrupts of devices are never enabled. */
__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    harness_stack_end,
    (void *)harness_reset,
    (void *)harness_fault, (void *)harness_fault, (void *)harness_fault, (void *)harness_fault, (void *)harness_fault,
    (void *)harness_fault, (void *)harness_fault, (void *)harness_fault, (void *)harness_fault, (void *)harness_fault,
    (void *)harness_fault, (void *)harness_fault, (void *)harness_fault, (void *)harness_fault,
};

/* The floating point unit (and with it MVE) first: the compiler may use its registers in any C function. */
__attribute__((naked, used)) void harness_reset(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    __asm__ volatile("ldr r0, =0xE000ED88\n" /* CPACR: full access to coprocessors 10 and 11 */
                     "ldr r1, [r0]\n"
                     "orr r1, r1, #0xF00000\n"
                     "str r1, [r0]\n"
                     "dsb\n"
                     "isb\n");
#endif
    __asm__ volatile("ldr r0, =harness_start\n"
                     "bx r0\n"
                     ".ltorg\n");
}

/* Make a stack that overflows a fault: what is below its low end, and so below RAM, must not be touched. */
static void guard_stack(void) {
#if __ARM_ARCH >= 8 && __ARM_ARCH_ISA_THUMB == 2
    __asm__ volatile("msr msplim, %0" : : "r"(harness_stack_start));
#elif __ARM_ARCH == 7
    volatile uint32_t *mpu = (volatile uint32_t *)0xE000ED90u; /* type, control, number, base, attributes and size */
    if ((mpu[0] & 0xFF00) != 0) {
        mpu[2] = 0;
        mpu[3] = (uint32_t)(uintptr_t)harness_stack_start - GUARD_SIZE;
        mpu[4] = 1u << 28 | (GUARD_BITS - 1) << 1 | 1; /* no access, nothing to execute */
        mpu[1] = 5;                                    /* on, with the default memory map elsewhere */
        __asm__ volatile("dsb\nisb");
    }
#endif
}

void harness_start(void) {
    guard_stack();
    const uint32_t *source = harness_data_source;
    for (uint32_t *to = harness_data_start; to < harness_data_end; to++) {
        *to = *source++;
    }
    for (uint32_t *to = harness_bss_start; to < harness_bss_end; to++) {
        *to = 0;
    }
    harness_exit(harness_main());
}

/* Find the registers that the core has stored, and report on a stack of its own. */
__attribute__((naked, used)) void harness_fault(void) {
    __asm__ volatile(".syntax unified\n"
                     "mov r1, lr\n"
                     "movs r2, #4\n"
                     "tst r1, r2\n"
                     "bne 1f\n"
                     "mrs r0, msp\n"
                     "b 2f\n"
                     "1: mrs r0, psp\n"
                     "2: ldr r2, =harness_fault_stack + 1024\n"
                     "mov sp, r2\n"
                     "ldr r2, =harness_report_fault\n"
                     "bx r2\n"
                     ".ltorg\n");
}

static void print_register(const char *name, uint32_t value) {
    harness_print(name);
    harness_print_hex(value);
}

__attribute__((used)) void harness_report_fault(const uint32_t *frame, uint32_t return_code) {
    static const char *const stored[] = {"\nr0 ", " r1 ", " r2 ", " r3 ", "\nr12 ", " lr ", " pc ", " xpsr "};
    static const char *const exceptions[] = {"exception", "exception", "NMI", "HardFault", "MemManage", "BusFault",
                                             "UsageFault", "SecureFault"};
    uint32_t exception;
    __asm__ volatile("mrs %0, ipsr" : "=r"(exception));
    exception &= 0xFF;
    int overflowed = frame < harness_stack_start || frame + 8 > harness_stack_end;
#if __ARM_ARCH >= 8 && __ARM_ARCH_ISA_THUMB == 2
    overflowed = overflowed || (CFSR & 1u << 20) != 0;
#endif
    harness_print("fault ");
    harness_print(exceptions[exception < 8 ? exception : 0]);
    if (overflowed) {
        harness_print(" stack overflow: sp ");
        harness_print_hex((uint32_t)(uintptr_t)frame);
        harness_print(", the stack ends at ");
        harness_print_hex((uint32_t)(uintptr_t)harness_stack_start);
    } else {
        for (int i = 0; i < 8; i++) {
            print_register(stored[i], frame[i]);
        }
    }
    print_register("\nexc_return ", return_code);
#if __ARM_ARCH > 6
    print_register(" cfsr ", CFSR);
    print_register(" hfsr ", *(volatile uint32_t *)0xE000ED2Cu);
    print_register(" mmfar ", *(volatile uint32_t *)0xE000ED34u);
    print_register(" bfar ", *(volatile uint32_t *)0xE000ED38u);
#endif
    harness_print("\n");
    harness_exit(HARNESS_FAULT);
}
