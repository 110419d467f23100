// SPDX-License-Identifier: BSD-3-Clause
// Queues of waiting goroutines. The queue's lock, which the caller holds, guards every field here.
//
// A queued Sudog has next or prev set, or is the only one (first == sg).
#include "sched/sched.h"

void
waitq_push(WaitQ *q, Sudog *sg)
{
	sg->next = NULL;
	sg->prev = q->last;
	*(q->last != NULL ? &q->last->next : &q->first) = sg;
	q->last = sg;
}

void
waitq_push_front(WaitQ *q, Sudog *sg)
{
	sg->prev = NULL;
	sg->next = q->first;
	*(q->first != NULL ? &q->first->prev : &q->last) = sg;
	q->first = sg;
}

void
waitq_unlink(WaitQ *q, Sudog *sg)
{
	if (sg->prev == NULL && q->first != sg)
		return;
	*(sg->prev != NULL ? &sg->prev->next : &q->first) = sg->next;
	*(sg->next != NULL ? &sg->next->prev : &q->last) = sg->prev;
	sg->next = sg->prev = NULL;
}

Sudog *
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
