/* Threads that share the parts of steps. */
#define _POSIX_C_SOURCE 200809L /* for clock_gettime and pthread_sigmask */

#include "quantcore/threads.h"

#if defined(__unix__) || defined(__APPLE__)

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* How long a thread looks for parts before it sleeps: waking it takes about as long. */
static const int64_t LOOKING_NS = 100000;

/* How often the caller looks for the last parts before it lets others have its core: they may need it. */
enum { PATIENCE = 1000, CACHE_LINE = 64 };

typedef struct {
    qc_team *team;
    int32_t index; /* of the thread; the caller is 0 */
} seat;

struct qc_team {
    /* Parts that nobody has taken, a bit each; above them how many threads may take them. What describes the parts
     * is read after one was taken: until that part is done, nobody changes it. */
    _Alignas(CACHE_LINE) _Atomic uint64_t open;
    _Alignas(CACHE_LINE) _Atomic int32_t unfinished; /* parts that are not done */
    _Atomic int32_t status;                          /* of one that failed */
    _Alignas(CACHE_LINE) const qc_step *parts;
    void *const *pointers;
    char *scratch;
    int64_t scratch_stride;
    unsigned float_mode;
    _Alignas(CACHE_LINE) _Atomic int32_t asleep;
    _Atomic int32_t busy;
    uint32_t calls; /* to those asleep; guarded by the mutex */
    pthread_mutex_t mutex;
    pthread_cond_t call;
    int32_t started; /* threads beside the caller */
    seat seats[QC_MAX_PARTS];
};

static inline void pause_a_moment(void) {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* How floats are rounded, and whether subnormals are zeros, is a property of the thread: all do as the caller does. */
static inline unsigned float_mode(void) {
#if defined(__x86_64__)
    return _mm_getcsr();
#else
    return 0;
#endif
}

static inline void set_float_mode(unsigned mode) {
#if defined(__x86_64__)
    _mm_setcsr(mode);
#else
    (void)mode;
#endif
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void run_part(qc_team *team, int32_t part) {
    const qc_step *step = &team->parts[part];
    const qc_status status = step->invoke(step->params, team->pointers + step->first_tensor,
                                          team->scratch + part * team->scratch_stride);
    if (status != QC_OK) atomic_store_explicit(&team->status, (int32_t)status, memory_order_relaxed);
    atomic_fetch_sub_explicit(&team->unfinished, 1, memory_order_release);
}

static int has_part(uint64_t open, int32_t index) {
    return (uint32_t)open != 0 && (uint64_t)index < open >> 32;
}

/* Take a part and run it: that of the thread's own number if it is left, as the data of the part before may be in
 * its cache. Returns whether there was one. */
static int take_part(qc_team *team, int32_t index) {
    uint64_t open = atomic_load_explicit(&team->open, memory_order_acquire);
    int32_t part;
    do {
        if (!has_part(open, index)) return 0;
        const uint32_t left = (uint32_t)open;
        part = left >> index & 1 ? index : __builtin_ctz(left);
    } while (!atomic_compare_exchange_weak_explicit(&team->open, &open, open & ~(UINT64_C(1) << part),
                                                    memory_order_acq_rel, memory_order_acquire));
    if (index != 0) set_float_mode(team->float_mode);
    run_part(team, part);
    return 1;
}

static int look_for_part(qc_team *team, int32_t index) {
    const int64_t end = now_ns() + LOOKING_NS;
    do {
        for (int i = 0; i < 32; ++i) {
            if (has_part(atomic_load_explicit(&team->open, memory_order_relaxed), index)) return 1;
            pause_a_moment();
        }
    } while (now_ns() < end);
    return 0;
}

/* Either this thread sees the parts that are opened meanwhile, or whoever opens them sees that it is asleep: each
 * writes before it reads what the other writes, in one order for all. */
static void sleep_until_called(qc_team *team, int32_t index) {
    pthread_mutex_lock(&team->mutex);
    const uint32_t calls = team->calls;
    atomic_fetch_add(&team->asleep, 1);
    while (team->calls == calls) {
        if (has_part(atomic_load(&team->open), index)) {
            atomic_fetch_sub(&team->asleep, 1);
            break;
        }
        pthread_cond_wait(&team->call, &team->mutex);
    }
    pthread_mutex_unlock(&team->mutex);
}

static void call_all(qc_team *team) {
    pthread_mutex_lock(&team->mutex);
    ++team->calls;
    atomic_store(&team->asleep, 0);
    pthread_cond_broadcast(&team->call);
    pthread_mutex_unlock(&team->mutex);
}

static void *work(void *argument) {
    const seat *own = argument;
    for (;;) {
        while (take_part(own->team, own->index)) {
        }
        if (!look_for_part(own->team, own->index)) sleep_until_called(own->team, own->index);
    }
    return NULL;
}

size_t qc_team_size(void) {
    return sizeof(qc_team);
}

void qc_team_init(qc_team *team) {
    atomic_init(&team->open, 0);
    atomic_init(&team->unfinished, 0);
    atomic_init(&team->status, QC_OK);
    atomic_init(&team->asleep, 0);
    atomic_init(&team->busy, 0);
    team->calls = 0;
    team->started = 0;
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->call, NULL);
}

int32_t qc_team_grow(qc_team *team, int32_t threads) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for threads that know of the program */
    while (team->started < threads - 1 && team->started < QC_MAX_PARTS - 1) {
        seat *next = &team->seats[team->started];
        pthread_t thread;
        next->team = team;
        next->index = team->started + 1;
        if (pthread_create(&thread, NULL, work, next) != 0) break;
        pthread_detach(thread);
        ++team->started;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return team->started + 1;
}

static qc_status run_parts(qc_team *team, int32_t threads, const qc_plan *plan, const qc_step *step) {
    const uint64_t others = ((UINT64_C(1) << step->parts) - 1) & ~UINT64_C(1);
    team->parts = plan->parts + step->first_part;
    atomic_store_explicit(&team->status, QC_OK, memory_order_relaxed);
    atomic_store_explicit(&team->unfinished, step->parts, memory_order_relaxed);
    atomic_store(&team->open, (uint64_t)threads << 32 | others);
    if (atomic_load(&team->asleep) != 0) call_all(team);
    run_part(team, 0);
    while (take_part(team, 0)) {
    }
    for (int i = 0; atomic_load_explicit(&team->unfinished, memory_order_acquire) != 0;) {
        if (i < PATIENCE) {
            ++i;
            pause_a_moment();
        } else {
            sched_yield();
        }
    }
    return (qc_status)atomic_load_explicit(&team->status, memory_order_relaxed);
}

qc_status qc_team_run(qc_team *team, int32_t threads, const qc_plan *plan, void *const *pointers, char *scratch,
                      int64_t scratch_stride, int32_t *failed) {
    if (threads < 2 || atomic_exchange_explicit(&team->busy, 1, memory_order_acquire) != 0)
        return qc_plan_run(plan, pointers, scratch, failed);
    qc_status status = QC_OK;
    team->pointers = pointers;
    team->scratch = scratch;
    team->scratch_stride = scratch_stride;
    team->float_mode = float_mode();
    for (int32_t i = 0; i < plan->count && status == QC_OK; ++i) {
        const qc_step *step = &plan->steps[i];
        status = step->parts != 0 ? run_parts(team, threads, plan, step)
                                  : step->invoke(step->params, pointers + step->first_tensor, scratch);
        *failed = i;
    }
    atomic_store_explicit(&team->busy, 0, memory_order_release);
    return status;
}

#else

struct qc_team {
    char nothing;
};

size_t qc_team_size(void) {
    return sizeof(qc_team);
}

void qc_team_init(qc_team *team) {
    (void)team;
}

int32_t qc_team_grow(qc_team *team, int32_t threads) {
    (void)team;
    (void)threads;
    return 1;
}

qc_status qc_team_run(qc_team *team, int32_t threads, const qc_plan *plan, void *const *pointers, char *scratch,
                      int64_t scratch_stride, int32_t *failed) {
    (void)team;
    (void)threads;
    (void)scratch_stride;
    return qc_plan_run(plan, pointers, scratch, failed);
}

#endif
