// SPDX-License-Identifier: BSD-3-Clause
// The run queue of a P: a ring with one producer, and G lists.
//
// Which calls may overlap:
//               put   take  steal_half  len
//   put          -     -       yes      yes     owner only (the M that holds the P)
//   take, shed   -     -       yes      yes     owner only
//   steal_half  yes   yes      yes      yes     any M, into a ring it owns itself
// take and steal_half are lock-free (a failed claim means another one succeeded); put is wait-free.
//
// Invariants:
//   Q1  tail - head <= RUNQ_SIZE; slots [head, tail) hold runnable Gs, each in no other list.
//   Q2  tail is written by the owner alone; head only grows, by claims.
// Order:  O1  A slot is written before the tail that covers it (publish tail -> consumers).
//         O2  A slot is read before the head that releases it (a claim by CAS); the owner reads
//             head with acquire before it writes the slot again.
#ifndef UNDERGO_SCHED_RUNQ_H
#define UNDERGO_SCHED_RUNQ_H

#include "base/base.h"

typedef struct G G;

#ifdef UNDERGO_STRESS
enum { RUNQ_SIZE = 4 };
#else
enum { RUNQ_SIZE = 256 };
#endif

typedef struct RunQ {
	ATOMIC_U32 head;            // claimed by CAS
	ATOMIC_U32 tail;            // owner P
	ATOMIC(G *) ring[RUNQ_SIZE]; // Q1
} RunQ;

// Gs linked through G.link, first in first out.
typedef struct GList {
	G *first;
	G *last;
	uint32_t n;
} GList;

// Appends gp; false when the ring is full and nothing was done.
static inline bool
runq_put(RunQ *q, G *gp)
{
	uint32_t head = load_acq(&q->head); // order: observe <- claims: their slot reads are over
	uint32_t tail = load_rlx(&q->tail); // order: own
	if (unlikely(tail - head >= RUNQ_SIZE))
		return false;
	store_rlx(&q->ring[tail % RUNQ_SIZE], gp); // order: published by tail
	store_rel(&q->tail, tail + 1);             // order: publish -> runq_steal_half
	return true;
}

// The oldest Gs, at most max, into out; how many. Owner only. One locked instruction however many.
uint32_t runq_take_some(RunQ *q, G **out, uint32_t max);
// The oldest G, or NULL. Owner only.
static inline G *
runq_take(RunQ *q)
{
	G *gp;
	return runq_take_some(q, &gp, 1) != 0 ? gp : NULL;
}
// Claims half of a full ring, oldest first, into out (RUNQ_SIZE / 2 places). Owner only. 0 when
// thieves made room meanwhile.
uint32_t runq_shed(RunQ *q, G **out);
// Moves half of victim's Gs, at least one, to the ring `mine` of the caller, which has to be empty.
// Returns how many.
uint32_t runq_steal_half(RunQ *victim, RunQ *mine);
// A guess unless called by the owner.
uint32_t runq_len(RunQ *q);
static inline bool
runq_empty(RunQ *q)
{
	return runq_len(q) == 0;
}

#endif
