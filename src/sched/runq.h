// SPDX-License-Identifier: BSD-3-Clause
// The run queue of a P: a ring with one producer, and G lists.
//
// Which calls may overlap:
//               put   take  steal_half  empty
//   put          -     -       yes       yes     owner only (the M that holds the P)
//   take         -     -       yes       yes     owner only
//   steal_half  yes   yes      yes       yes     any M, into a ring it owns itself
// take and steal_half are lock-free (a failed claim means another one succeeded); put is wait-free.
//
// Invariants:
//   Q1  tail - head <= RUNQ_SIZE; slots [head, tail) hold runnable Gs, each in no other list.
//   Q2  tail is written by the owner alone; head only grows, by claims.
// Order:  O1  A slot is written before the tail that covers it (publish tail -> consumers).
//         O2  A slot is read before the head that releases it (a claim by CAS); the owner reads head
//             with acquire before it writes the slot again.
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
bool runq_put(RunQ *q, G *gp);
// The oldest G, or NULL.
G *runq_take(RunQ *q);
// Claims half of a full ring, oldest first, into batch (RUNQ_SIZE / 2 places). Owner only. 0 when
// thieves made room meanwhile.
uint32_t runq_shed(RunQ *q, G **batch);
// Moves half of victim's Gs, at least one, to the ring `mine` of the caller, which has to be empty.
// Returns how many.
uint32_t runq_steal_half(RunQ *victim, RunQ *mine);
// A guess unless called by the owner.
bool runq_empty(RunQ *q);
uint32_t runq_len(RunQ *q);

#endif
