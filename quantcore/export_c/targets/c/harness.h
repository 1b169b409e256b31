/* What the parts of the harness share: output and files by semihosting, the counter, the stack. */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdint.h>

/* Exit codes of the program. */
enum { HARNESS_EQUAL = 0, HARNESS_DIFFERENT = 1, HARNESS_FAILED = 3, HARNESS_FAULT = 4 };

/* Semihosting: the debugger, or QEMU, does what the program asks for. */
void harness_print(const char *text);
void harness_print_hex(uint32_t value);
void harness_print_number(uint64_t value);
void harness_exit(int code) __attribute__((noreturn));

/* Files of the computer that runs QEMU or the debugger, in its current folder.
 * harness_open: returns a handle, or a negative number. harness_read, harness_write: 0 if all bytes went. */
int harness_open(const char *name, int for_writing);
int32_t harness_size(int file);
int harness_read(int file, void *to, uint32_t size);
int harness_write(int file, const void *from, uint32_t size);
void harness_close(int file);

/* Instructions, where QEMU counts them; see counter.c. */
void harness_counter_start(void);
uint64_t harness_counter_read(void);
uint64_t harness_counter_instructions(uint64_t ticks);

/* The stack, and the ends of the linker script. */
extern uint32_t harness_stack_start[], harness_stack_end[];

int harness_main(void);

#endif
