// SPDX-License-Identifier: BSD-3-Clause
// Stacks of what runs, taken by a signal: samples for a CPU profile, and the stack of one goroutine
// that somebody asks for. See sample.c.
#ifndef UNDERGO_PANIC_SAMPLE_H
#define UNDERGO_PANIC_SAMPLE_H

#include "sched/sched.h"

enum { SAMPLE_FRAMES = 64 };

typedef struct Sample {
	void *tag;
	size_t n;
	uintptr_t pcs[SAMPLE_FRAMES]; // from the inside; all as return addresses are
} Sample;

// From now on hz samples are taken of each second that the process computes. What tag() returns on
// the thread at hand goes with each.  Stack of tag: signal.
// One caller at a time starts, stops, takes. 0 or GO_E...
int sample_start(int hz, void *(*tag)(void));
void sample_stop(void);
// Takes a sample; false: there is none now.
bool sample_take(Sample *s);
// How many found no room since this was last asked.
uint64_t sample_lost(void);

// The stack of a G that runs on another thread: how many addresses, at most max. 0: it is not there
// any more, or its thread does not answer.  The caller is outside of the runtime.  Blocks: M, for
// some milliseconds, or until a busy machine gives that thread a processor, seconds at most.
size_t sample_of(const G *gp, uintptr_t *pcs, size_t max);
// The same for the process's one death: with limits to all that is waited for, and after some
// questions that found no answer none is asked any more.  Stack: signal.
size_t sample_of_dying(const G *gp, uintptr_t *pcs, size_t max);

#endif
