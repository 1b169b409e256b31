/* Semihosting: https://github.com/ARM-software/abi-aa/blob/main/semihosting/semihosting.rst
 *
 * A breakpoint with a number that asks the debugger, or QEMU, for something: operation in r0, argument in r1.
 */
#include "harness.h"

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITE0 = 0x04,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_FLEN = 0x0C,
    SYS_EXIT_EXTENDED = 0x20
};
enum { MODE_READ_BINARY = 1, MODE_WRITE_BINARY = 5 };
enum { STOPPED_APPLICATION_EXIT = 0x20026 };

static int32_t call(uint32_t operation, const void *argument) {
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

static uint32_t address(const void *pointer) {
    return (uint32_t)(uintptr_t)pointer;
}

static uint32_t length(const char *text) {
    uint32_t n = 0;
    while (text[n] != '\0') {
        n++;
    }
    return n;
}

void harness_print(const char *text) {
    call(SYS_WRITE0, text);
}

void harness_print_hex(uint32_t value) {
    char text[11] = "0x";
    for (int i = 0; i < 8; i++) {
        text[2 + i] = "0123456789abcdef"[(value >> (28 - 4 * i)) & 0xF];
    }
    text[10] = '\0';
    harness_print(text);
}

void harness_print_number(uint64_t value) {
    char text[21];
    int at = 20;
    text[at] = '\0';
    do {
        text[--at] = (char)('0' + (int)(value % 10));
        value /= 10;
    } while (value != 0);
    harness_print(text + at);
}

void harness_exit(int code) {
    uint32_t block[2] = {STOPPED_APPLICATION_EXIT, (uint32_t)code};
    call(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}

int harness_open(const char *name, int for_writing) {
    uint32_t block[3] = {address(name), for_writing ? MODE_WRITE_BINARY : MODE_READ_BINARY, length(name)};
    return (int)call(SYS_OPEN, block);
}

int32_t harness_size(int file) {
    uint32_t block[1] = {(uint32_t)file};
    return call(SYS_FLEN, block);
}

int harness_read(int file, void *to, uint32_t size) {
    uint32_t block[3] = {(uint32_t)file, address(to), size};
    return size == 0 || call(SYS_READ, block) == 0 ? 0 : -1;
}

int harness_write(int file, const void *from, uint32_t size) {
    uint32_t block[3] = {(uint32_t)file, address(from), size};
    return size == 0 || call(SYS_WRITE, block) == 0 ? 0 : -1;
}

void harness_close(int file) {
    uint32_t block[1] = {(uint32_t)file};
    call(SYS_CLOSE, block);
}
