// SPDX-License-Identifier: BSD-3-Clause
// What goroutines do, for those who want to know: traces (events.h), and how long the runnable ones
// wait for a processor.
//
// While nobody does it costs one load where an M gets a P or loses it. Else nothing:
// G.observed is a part of G.odd, which whoever parks, readies, yields or ends looks at anyway, and
// SCAN_OBSERVED of the word that says whether the stack of who is about to run is being read. Both
// are set and taken back in each record, the world stopped.
#ifndef UNDERGO_SCHED_OBSERVE_H
#define UNDERGO_SCHED_OBSERVE_H

#include "sched/sched.h"

enum {
	OBSERVE_TRACE = 1,
	OBSERVE_LATENCY = 2,
};

// Bits of the above begin, and end, for each G there is or will be.  World stopped.
void observe_begin(uint32_t bits);
void observe_end(uint32_t bits);
// A record that nobody else knows, as all are to be now.  Locks: allg held.
void observe_record(G *gp, uint32_t bits);

// For the scheduler, of a G with G.observed, no thread: it is about to be put into a queue; to
// park, to yield, to end, all on its own stack; to wait for a processor that it has lost; to run.
void observe_ready(G *gp);
void observe_parks(G *gp, WaitReason why);
void observe_yields(G *gp);
void observe_ends(G *gp);
void observe_waits_for_p(G *gp);
void observe_runs(G *gp);

// --- how long goroutines wait for a processor ----------------------------------------------------

enum { LATENCY_BUCKETS = 44 };

// From now on, one wait in eight is measured.
void latency_begin(void);
// How many waits took from 2^i nanoseconds on, and less than twice that; the last has all longer
// ones.
uint64_t latency_count(uint32_t i);

#endif
