// SPDX-License-Identifier: BSD-3-Clause
// What the collector does by the clock, or for the program, and nobody waits for. See chores.c.
#ifndef UNDERGO_GC_CHORES_H
#define UNDERGO_GC_CHORES_H

#include "gc/gc_impl.h"

// There is something to collect now: the goroutine that does chores, unless it is there. Cheap
// then. Inside the runtime, on a G, no lock held.
void chores_begin(void);
// Pages may have become free. Cheap while the monitor looks.  Locks: takes leaf, sched.
void chores_freed(void);
// The next cycle by the clock shall come so long from now.
void chores_cycle(int64_t now);
// pressure.c: memory is so much of the limit now; whoever asked for it is told, on a goroutine.
// Who holds gc.busy, or sweeps.  Locks: takes leaf, sched.
void pressure_check(int64_t memory, int64_t limit);

struct go_pressure;
typedef void PressureFn(const struct go_pressure *p, void *arg);
int pressure_add(PressureFn *fn, void *arg, int percent); // 0, GO_EINVAL, GO_ENOMEM
int pressure_remove(PressureFn *fn, void *arg);           // 0, GO_EINVAL

#endif
