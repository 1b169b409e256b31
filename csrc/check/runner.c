/* Runs one kernel on the cases that come through a pipe, with guarded memory around every array.
 *
 * It is linked with a file that is written for the kernel (programs.py), which has the two functions below. Requests
 * come from descriptor argv[1], replies go to argv[2]; both are made of 64-bit words. A request is
 *
 *   REQUEST_WORDS words, see below; for each array its size, role and alignment, and its bytes unless it is an output
 *   or scratch; for each pointer the array and the offset it is stored at, and the array it points to; for each tensor
 *   its array, or -1.
 *
 * Array 0 is the params, array 1 the scratch. A reply has REPLY_WORDS words, then the bytes of each output. A signal
 * is reported in the same way, without outputs, and ends the process. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* The call, by the kernel's own prototype; and how much scratch it wants, -1: as much as the case says. */
int quantcore_check_call(const void *params, void *const *tensors, void *scratch);
int64_t quantcore_check_scratch(const void *params);

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { ARRAYS, POINTERS, TENSORS, AT_END, OUTPUT_FILL, SCRATCH_FILL, STACK_FILL, REPEAT, REQUEST_WORDS };
enum { STATUS, SIGNAL, FAULT, ARRAY, OFFSET, WRITE, NANOSECONDS, REPLY_WORDS };
enum { NO_FAULT, BEFORE, AFTER, CHANGED, STACK_OVERFLOW, ELSEWHERE }; /* FAULT */
enum { INPUT, OUTPUT, SCRATCH };                                      /* roles */
enum { MAX_ARRAYS = 256, MAX_TENSORS = 64, PAINTED = 128 * 1024 };

typedef struct {
    char *region; /* a page without access, `room` bytes, a page without access */
    size_t room;
    char *data;
    size_t size;
    char *copy; /* of an input */
    int64_t role;
} array;

static array arrays[MAX_ARRAYS];
static int64_t array_count;
static size_t page;
static int replies = -1;
static char *stack_top;
static unsigned char slack_fill;

static void fail(const char *what) {
    fprintf(stderr, "quantcore runner: %s: %s\n", what, strerror(errno));
    _exit(120);
}

static void receive(int from, void *to, size_t size) {
    for (char *next = to; size > 0;) {
        const ssize_t got = read(from, next, size);
        if (got == 0) _exit(0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail("read");
        next += got;
        size -= (size_t)got;
    }
}

static void deliver(const void *what, size_t size) {
    for (const char *next = what; size > 0;) {
        const ssize_t put = write(replies, next, size);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) _exit(121);
        next += put;
        size -= (size_t)put;
    }
}

/* -- memory -- */

static void place(array *a, size_t size, size_t alignment, int at_end) {
    a->size = size;
#if SANITIZED
    (void)at_end, (void)alignment;
    free(a->data); /* the sanitizer guards what lies around memory of exactly this size */
    if (posix_memalign((void **)&a->data, 16, size)) fail("memory");
#else
    const size_t room = (size / page + (size % page != 0) + (size == 0)) * page;
    if (a->room != room) {
        if (a->region != NULL) munmap(a->region, a->room + 2 * page);
        a->region = mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (a->region == MAP_FAILED) fail("mmap");
        a->room = room;
    }
    if (mprotect(a->region + page, room, PROT_READ | PROT_WRITE)) fail("mprotect");
    a->data = a->region + page + (at_end ? room - (size + alignment - 1) / alignment * alignment : 0);
    memset(a->region + page, slack_fill, room);
#endif
}

/* Take away the right to write to what a kernel only reads. */
static void protect(array *a) {
#if !SANITIZED
    if (a->role == INPUT && mprotect(a->region + page, a->room, PROT_READ)) fail("mprotect");
#else
    (void)a;
#endif
}

/* Find the first byte around or in an array that should not have changed. */
static int64_t look_for_fault(const array *a, int64_t *offset) {
    if (a->role == INPUT) {
        for (size_t i = 0; i < a->size; ++i)
            if (a->data[i] != a->copy[i]) return *offset = (int64_t)i, CHANGED;
    }
#if !SANITIZED
    for (const char *p = a->data; p > a->region + page; --p)
        if ((unsigned char)p[-1] != slack_fill) return *offset = p - 1 - a->data, BEFORE;
    for (const char *p = a->data + a->size; p < a->region + page + a->room; ++p)
        if ((unsigned char)*p != slack_fill) return *offset = p - a->data, AFTER;
#endif
    return NO_FAULT;
}

/* -- signals -- */

#if !SANITIZED
static void on_signal(int number, siginfo_t *info, void *context) {
    int64_t reply[REPLY_WORDS] = {0};
    const char *at = info->si_addr;
    reply[SIGNAL] = number;
    reply[FAULT] = ELSEWHERE;
    reply[ARRAY] = -1;
    reply[WRITE] = -1;
#if defined(__x86_64__) && defined(REG_ERR)
    if (number == SIGSEGV || number == SIGBUS)
        reply[WRITE] = (((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#else
    (void)context;
#endif
    if (number == SIGSEGV || number == SIGBUS) {
        for (int64_t i = 0; i < array_count; ++i) {
            const array *a = &arrays[i];
            if (a->region == NULL || at < a->region || at >= a->region + a->room + 2 * page) continue;
            reply[ARRAY] = i;
            reply[OFFSET] = at - a->data;
            reply[FAULT] = at < a->data ? BEFORE : at >= a->data + a->size ? AFTER : CHANGED;
        }
        if (reply[ARRAY] < 0 && at < stack_top && at > stack_top - (256 << 20)) reply[FAULT] = STACK_OVERFLOW;
        if (reply[ARRAY] < 0) reply[OFFSET] = (int64_t)(uintptr_t)at;
    }
    deliver(reply, sizeof reply);
    _exit(122);
}

static void catch_signals(void) {
    static char memory[64 * 1024];
    const stack_t alternate = {.ss_sp = memory, .ss_size = sizeof memory};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND)};
    const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    if (sigaltstack(&alternate, NULL)) fail("sigaltstack");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i)
        if (sigaction(numbers[i], &action, NULL)) fail("sigaction");
}
#endif

/* -- the call -- */

/* Fill the stack below, where the kernel's variables will be. */
__attribute__((noinline)) static void paint_stack(int fill) {
    volatile unsigned char area[PAINTED];
    for (size_t i = 0; i < PAINTED; ++i) area[i] = (unsigned char)fill;
    (void)area[0];
}

static int64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int call_kernel(void **tensors) {
    const void *params = arrays[0].data;
    void *scratch = arrays[1].size > 0 ? arrays[1].data : NULL;
    return quantcore_check_call(params, tensors, scratch);
}

static void serve(int requests) {
    int64_t request[REQUEST_WORDS], reply[REPLY_WORDS] = {0};
    void *tensors[MAX_TENSORS] = {0};
    receive(requests, request, sizeof request);
    if (request[ARRAYS] > MAX_ARRAYS || request[TENSORS] > MAX_TENSORS) fail("a request with too many arrays");
    array_count = request[ARRAYS];
    slack_fill = (unsigned char)(request[SCRATCH_FILL] ^ 0x3C);
    for (int64_t i = 0; i < array_count; ++i) {
        int64_t head[3]; /* size, role, alignment */
        array *a = &arrays[i];
        receive(requests, head, sizeof head);
        a->role = head[1];
        place(a, (size_t)head[0], (size_t)head[2], (int)request[AT_END]);
        if (a->role == INPUT) receive(requests, a->data, a->size);
    }
    for (int64_t i = 0; i < request[POINTERS]; ++i) {
        int64_t pointer[3]; /* array, offset, array that it points to */
        receive(requests, pointer, sizeof pointer);
        memcpy(arrays[pointer[0]].data + pointer[1], &arrays[pointer[2]].data, sizeof(char *));
    }
    for (int64_t i = 0; i < request[TENSORS]; ++i) {
        int64_t index;
        receive(requests, &index, sizeof index);
        tensors[i] = index < 0 ? NULL : arrays[index].data;
    }
    const int64_t wanted = quantcore_check_scratch(arrays[0].data);
    if (wanted >= 0) place(&arrays[1], (size_t)wanted, 16, (int)request[AT_END]);
    for (int64_t i = 0; i < array_count; ++i) {
        array *a = &arrays[i];
        if (a->role != INPUT) {
            memset(a->data, (int)request[a->role == OUTPUT ? OUTPUT_FILL : SCRATCH_FILL], a->size);
            continue;
        }
        a->copy = realloc(a->copy, a->size + 1);
        if (a->copy == NULL) fail("memory");
        memcpy(a->copy, a->data, a->size);
        protect(a);
    }
    paint_stack((int)request[STACK_FILL]);
    reply[STATUS] = call_kernel(tensors);
    for (int64_t i = 0; i < array_count && reply[FAULT] == NO_FAULT; ++i) {
        reply[FAULT] = look_for_fault(&arrays[i], &reply[OFFSET]);
        reply[ARRAY] = i;
    }
    if (request[REPEAT] > 0) {
        const int64_t start = nanoseconds();
        for (int64_t i = 0; i < request[REPEAT]; ++i) call_kernel(tensors);
        reply[NANOSECONDS] = nanoseconds() - start;
    }
    fflush(stdout);
    deliver(reply, sizeof reply);
    for (int64_t i = 0; i < array_count; ++i)
        if (arrays[i].role == OUTPUT) deliver(arrays[i].data, arrays[i].size);
}

int main(int count, char **arguments) {
    char here;
    if (count != 3) return fprintf(stderr, "usage: runner REQUESTS REPLIES (descriptors)\n"), 119;
    page = (size_t)sysconf(_SC_PAGESIZE);
    replies = atoi(arguments[2]);
    stack_top = &here + 4096;
#if !SANITIZED
    catch_signals();
#endif
    for (;;) serve(atoi(arguments[1]));
}
