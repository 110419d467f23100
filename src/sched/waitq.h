// SPDX-License-Identifier: BSD-3-Clause
// Queues of waiting goroutines. The queue's lock, which the caller holds, guards every field here.
//
// A queued Sudog has next or prev set, or is the only one (first == sg).
#ifndef UNDERGO_SCHED_WAITQ_H
#define UNDERGO_SCHED_WAITQ_H

#include "base/base.h"

typedef struct G G;

// A place in a queue of waiting goroutines; lives on the waiter's stack. Guarded by the queue's
// lock.
typedef struct Sudog Sudog;
struct Sudog {
	G *g;
	Sudog *next;
	Sudog *prev;
	void *elem;     // chan: data to hand over
	void *owner;    // chan: the Hchan
	uint32_t ticket; // select: index of its case; cond: order
	bool claimed;   // wakers must win sched_claim_peer first
	bool success;   // set by the waker: a value came; false: closed
	bool fired;     // set by the waker: of a select's many, the one that was woken through
};

// First in first out; zero is empty.
typedef struct WaitQ {
	Sudog *first;
	Sudog *last;
} WaitQ;

// See wait.c: tries to be the one that ends gp's wait.
bool sched_claim_peer(G *gp);

static inline void
waitq_push(WaitQ *q, Sudog *sg)
{
	sg->next = NULL;
	sg->prev = q->last;
	*(q->last != NULL ? &q->last->next : &q->first) = sg;
	q->last = sg;
}

static inline void
waitq_push_front(WaitQ *q, Sudog *sg)
{
	sg->prev = NULL;
	sg->next = q->first;
	*(q->first != NULL ? &q->first->prev : &q->last) = sg;
	q->first = sg;
}

// Takes sg out wherever it stands; nothing when it is not queued.
static inline void
waitq_unlink(WaitQ *q, Sudog *sg)
{
	if (sg->prev == NULL && q->first != sg)
		return;
	*(sg->prev != NULL ? &sg->prev->next : &q->first) = sg->next;
	*(sg->next != NULL ? &sg->next->prev : &q->last) = sg->prev;
	sg->next = sg->prev = NULL;
}

// The oldest waiter whose wait the caller may end, taken out; NULL when there is none. Its G is the
// caller's to sched_ready.
static inline Sudog *
waitq_pop(WaitQ *q)
{
	for (Sudog *sg; (sg = q->first) != NULL;) {
		q->first = sg->next;
		*(q->first != NULL ? &q->first->prev : &q->last) = NULL;
		sg->next = sg->prev = NULL;
		// A select may have been woken through another channel, or by its deadline; it will
		// find itself unlinked here.
		if (!sg->claimed || sched_claim_peer(sg->g))
			return sg;
	}
	return NULL;
}

#endif
