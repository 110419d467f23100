// SPDX-License-Identifier: BSD-3-Clause
// The threads that collect: one for each P, less the one that began the cycle; see worker.c.
#ifndef UNDERGO_GC_WORKER_H
#define UNDERGO_GC_WORKER_H

#include "gc/mark.h"

typedef void WorkerFn(Marker *m);

// So many as there are Ps, as far as the system grants threads. Before the stop.
bool workers_start(void); // false: no memory to mark with
uint32_t workers_count(void); // the caller included, who is number 0
Marker *workers_marker(uint32_t i);
void workers_reset(void); // their counts, before a mark
MarkCounts workers_counts(void);
int64_t workers_cpu_ns(void); // of the threads so far, the caller's excluded
// Runs fn on all workers and the caller; returns when all are through with it.
void workers_run(WorkerFn *fn);
// Lets them sweep while the program runs, and wake who runs finalizers. False: there are none.
bool workers_sweep(void);
// Waits until they do nothing.
void workers_wait(void);

#endif
