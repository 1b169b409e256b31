/* Run the model on recorded inputs, compare its outputs, and count instructions.
 *
 * Reads inputs.bin (samples one after the other, each all inputs of the model) and expected.bin (the same of outputs),
 * writes outputs.bin, and prints a line for each thing that was found:
 *
 *     calibration COUNTED EXPECTED    instructions in LOOPS rounds of a loop of two
 *     different SAMPLE OUTPUT BYTE    the first byte that is not as expected
 *     equal N SAMPLES                 samples with all outputs as expected
 *     instructions MIN MAX            of one inference, over the samples
 *     stack BYTES SIZE                used by one inference at most, and what there is
 *     step N INSTRUCTIONS             each operator, for the first sample
 *     done
 */
#include "harness.h"
#include "model_io.h"

#define PAINT 0xA5C35A3Cu
#define LOOPS 1000u

static uint64_t counting; /* instructions that reading the counter takes itself */

static void fail(const char *what) {
    harness_print("failed ");
    harness_print(what);
    harness_print("\n");
    harness_exit(HARNESS_FAILED);
}

static void print_line(const char *name, uint64_t first, uint64_t second) {
    harness_print(name);
    harness_print(" ");
    harness_print_number(first);
    harness_print(" ");
    harness_print_number(second);
    harness_print("\n");
}

static uint64_t instructions_since(uint64_t start, uint64_t end) {
    return harness_counter_instructions(end - start) - counting;
}

/* Count a loop of two instructions. What is around it in C counts too, so calibrate() takes a difference. */
__attribute__((noinline)) static uint64_t count_loop(uint32_t times) {
    uint64_t start = harness_counter_read();
    __asm__ volatile(".syntax unified\n"
                     "1: subs %0, %0, #1\n"
                     "bne 1b\n"
                     : "+l"(times)
                     :
                     : "cc");
    return instructions_since(start, harness_counter_read());
}

static void calibrate(void) {
    uint64_t start;
    harness_counter_start();
    start = harness_counter_read();
    counting = harness_counter_instructions(harness_counter_read() - start);
    print_line("calibration", count_loop(2 * LOOPS) - count_loop(LOOPS), 2 * LOOPS);
}

/* Paint the stack below the caller (this is a part of it), and find out later how much of it was used. */
__attribute__((always_inline)) static inline const uint32_t *paint_stack(void) {
    uint32_t *here;
    __asm__ volatile("mov %0, sp" : "=r"(here));
    for (uint32_t *at = harness_stack_start; at < here; at++) {
        *at = PAINT;
    }
    return here;
}

static uint32_t used_stack(const uint32_t *from) {
    const uint32_t *at = harness_stack_start;
    while (at < from && *at == PAINT) {
        at++;
    }
    return (uint32_t)(from - at) * 4;
}

static uint32_t total(const struct model_buffer *buffers, int count) {
    uint32_t bytes = 0;
    for (int i = 0; i < count; i++) {
        bytes += buffers[i].size;
    }
    return bytes;
}

static void read_inputs(int file) {
    for (int i = 0; i < model_io_input_count; i++) {
        if (harness_read(file, model_io_inputs[i].data, model_io_inputs[i].size) != 0) {
            fail("inputs.bin cannot be read");
        }
    }
}

/* Compare all outputs with the file; returns whether they are equal. */
static int outputs_are_as(int expected, uint32_t sample) {
    int equal = 1;
    for (int i = 0; i < model_io_output_count; i++) {
        const uint8_t *data = model_io_outputs[i].data;
        uint8_t block[64];
        for (uint32_t at = 0; at < model_io_outputs[i].size;) {
            uint32_t left = model_io_outputs[i].size - at, n = left < sizeof block ? left : (uint32_t)sizeof block;
            if (harness_read(expected, block, n) != 0) {
                fail("expected.bin cannot be read");
            }
            for (uint32_t j = 0; j < n; j++, at++) {
                if (data[at] != block[j] && equal) {
                    equal = 0;
                    harness_print("different ");
                    harness_print_number(sample);
                    print_line("", (uint32_t)i, at);
                }
            }
        }
    }
    return equal;
}

static void write_outputs(int file) {
    for (int i = 0; i < model_io_output_count; i++) {
        if (harness_write(file, model_io_outputs[i].data, model_io_outputs[i].size) != 0) {
            fail("outputs.bin cannot be written");
        }
    }
}

static uint32_t count_samples(int inputs) {
    uint32_t each = total(model_io_inputs, model_io_input_count);
    int32_t size = harness_size(inputs);
    if (inputs < 0 || size < 0) {
        fail("inputs.bin cannot be opened in the current folder");
    }
    if (each != 0 && (uint32_t)size % each != 0) {
        fail("inputs.bin does not hold whole samples");
    }
    return each == 0 ? 1 : (uint32_t)size / each;
}

static void count_steps(void) {
    int inputs = harness_open("inputs.bin", 0);
    if (inputs < 0) {
        fail("inputs.bin cannot be opened in the current folder");
    }
    model_io_reset();
    read_inputs(inputs);
    harness_close(inputs);
    model_io_set_inputs();
    for (int i = 0; i < model_io_step_count; i++) {
        uint64_t start = harness_counter_read();
        int status = model_io_invoke_step(i);
        uint64_t end = harness_counter_read();
        if (status != 0) {
            fail("a step returned an error");
        }
        print_line("step", (uint32_t)i, instructions_since(start, end));
    }
}

int harness_main(void) {
    uint64_t least = UINT64_MAX, most = 0;
    uint32_t stack = 0, equal = 0;
    int inputs = harness_open("inputs.bin", 0), expected = harness_open("expected.bin", 0);
    int outputs = harness_open("outputs.bin", 1);
    uint32_t samples = count_samples(inputs);
    if (expected < 0 || outputs < 0) {
        fail("expected.bin or outputs.bin cannot be opened in the current folder");
    }
    calibrate();
    model_io_reset();
    for (uint32_t sample = 0; sample < samples; sample++) {
        const uint32_t *from;
        uint64_t start, spent;
        uint32_t used;
        int status;
        read_inputs(inputs);
        from = paint_stack();
        start = harness_counter_read();
        status = model_io_invoke();
        spent = instructions_since(start, harness_counter_read());
        if (status != 0) {
            fail("the model returned an error");
        }
        used = used_stack(from);
        stack = used > stack ? used : stack;
        least = spent < least ? spent : least;
        most = spent > most ? spent : most;
        write_outputs(outputs);
        equal += (uint32_t)outputs_are_as(expected, sample);
    }
    harness_close(inputs);
    harness_close(expected);
    harness_close(outputs);
    print_line("equal", equal, samples);
    print_line("instructions", least, most);
    print_line("stack", stack, (uint32_t)(harness_stack_end - harness_stack_start) * 4);
    count_steps();
    harness_print("done\n");
    return equal == samples ? HARNESS_EQUAL : HARNESS_DIFFERENT;
}
