// SPDX-License-Identifier: BSD-3-Clause
// The threads that collect beside the one that began the cycle; see worker.c.
#ifndef UNDERGO_GC_WORKER_H
#define UNDERGO_GC_WORKER_H

#include "gc/mark.h"

typedef void WorkerFn(Marker *m);

// As many as so large a heap is worth, at most one for each P, as far as the system grants threads.
// Before the stop. heap_bytes: about what is to be marked. False: there is no memory to mark with.
bool workers_start(int64_t heap_bytes);
uint32_t workers_count(void); // the caller included, who is number 0
Marker *workers_marker(uint32_t i);
void workers_reset(void); // their counts, before a mark
MarkCounts workers_counts(void);
int64_t workers_cpu_ns(void); // of the threads so far, the caller's excluded
// Runs fn on the workers that are counted, the caller among them; returns when all are through.
void workers_run(WorkerFn *fn);
// Lets them sweep while the program runs, wake who runs finalizers, and shrink stacks. False: there
// are none.
bool workers_sweep(void);
// Waits until they do nothing.
void workers_wait(void);

#endif
