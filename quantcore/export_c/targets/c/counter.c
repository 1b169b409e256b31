/* Instructions, by a timer of the board that QEMU emulates.
 *
 * With `-icount shift=7` QEMU's time advances by 128 ns at each instruction, exactly, and by nothing else. A timer of
 * more than 2 ticks in 128 ns therefore tells instructions apart; board.h says how many ticks there are in how many
 * instructions. Without -icount, and on a real board, the same timers say something else.
 */
#include "board.h"
#include "harness.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#if defined(BOARD_DUAL_TIMER)

/* Arm's CMSDK dual timer: two counters of 32 bits that count down. The second counts every 256th tick and says how often
 * the first has wrapped around. */
enum { ENABLE = 0x80, PRESCALE_256 = 0x8, BITS_32 = 0x2 };

void harness_counter_start(void) {
    REGISTER(BOARD_DUAL_TIMER + 0x08) = ENABLE | BITS_32;
    REGISTER(BOARD_DUAL_TIMER + 0x28) = ENABLE | BITS_32 | PRESCALE_256;
}

uint64_t harness_counter_read(void) {
    uint32_t coarse = ~REGISTER(BOARD_DUAL_TIMER + 0x24);
    uint32_t fine = ~REGISTER(BOARD_DUAL_TIMER + 0x04);
    uint64_t about = (uint64_t)coarse << 8;
    return about + (uint64_t)(int64_t)(int32_t)(fine - (uint32_t)about);
}

#elif defined(BOARD_SYSTEM_COUNTER)

/* The system counter of Arm's SSE-300 (its control frame): 64 bits that count up. */
void harness_counter_start(void) {
    REGISTER(BOARD_SYSTEM_COUNTER) = 1;
}

uint64_t harness_counter_read(void) {
    uint32_t high, low;
    do {
        high = REGISTER(BOARD_SYSTEM_COUNTER + 0x0C);
        low = REGISTER(BOARD_SYSTEM_COUNTER + 0x08);
    } while (high != REGISTER(BOARD_SYSTEM_COUNTER + 0x0C));
    return (uint64_t)high << 32 | low;
}

#else

void harness_counter_start(void) {
}

uint64_t harness_counter_read(void) {
    return 0;
}

#endif

uint64_t harness_counter_instructions(uint64_t ticks) {
    return (ticks * BOARD_INSTRUCTIONS + BOARD_TICKS / 2) / BOARD_TICKS;
}
