/* A team of threads that runs the parts of a plan's steps side by side.
 *
 * The thread that calls qc_team_run works itself; the others wait between parts, for a moment by looking, then
 * asleep. Any part may be done by any of them: where no other thread has come in time, the caller does all, so that
 * it never waits for one that sleeps. Where the system has no POSIX threads, a team has no others. */
#ifndef QUANTCORE_THREADS_H
#define QUANTCORE_THREADS_H

#include <stddef.h>
#include <stdint.h>

#include "quantcore/plan.h"

typedef struct qc_team qc_team;

/* Bytes that a team takes; its memory is aligned to 64, and must stay where it is for the life of the process:
 * its threads are never ended. */
size_t qc_team_size(void);

void qc_team_init(qc_team *team);

/* Start threads until there are `threads`, the caller's included. Returns how many there are now, which is less where
 * the system refuses. Not for two threads at a time. */
int32_t qc_team_grow(qc_team *team, int32_t threads);

/* As qc_plan_run, on up to `threads` threads of the team; alone where another call is using the team.
 * scratch: for part i of a step from scratch + i * scratch_stride on. */
qc_status qc_team_run(qc_team *team, int32_t threads, const qc_plan *plan, void *const *pointers, char *scratch,
                      int64_t scratch_stride, int32_t *failed);

#endif
