// SPDX-License-Identifier: BSD-3-Clause
// Where runnable Gs wait: a P's `next` slot, its hand and its ring, and the global queue behind
// sched.lock.
//
// P.next holds the G that was made runnable last, so that two Gs that talk to each other run in
// turns; sched_ready_aside has exceptions. The hand holds Gs older than those in the ring: as long
// as no other P is hungry they need not pass through the ring, whose claims cost a locked
// instruction. Both are touched by the owner of the P alone, at plain cost; a thief that finds
// nothing else freezes the owner's lease first (find.c).
#include "sched/sched_impl.h"

void
glist_append(GList *l, GList *tail)
{
	if (tail->first == NULL)
		return;
	if (l->last != NULL)
		l->last->link = tail->first;
	else
		l->first = tail->first;
	l->last = tail->last;
	l->n += tail->n;
	*tail = (GList){0};
}

void
globq_put(G *gp)
{
	assert_held(&sched.lock);
	glist_push(&sched.globq, gp);
	store_rlx(&sched.globq_n, sched.globq.n); // order: hint, rechecked under the lock
}

void
globq_put_list(GList *l)
{
	assert_held(&sched.lock);
	glist_append(&sched.globq, l);
	store_rlx(&sched.globq_n, sched.globq.n); // order: hint, rechecked under the lock
}

// A fair share of the global queue, at most max: the first to *first, the rest into pp's ring,
// which has to have room. A locked G goes to *first or stays: in a ring it would be switched to.
uint32_t
globq_take(P *pp, uint32_t max, G **first)
{
	assert_held(&sched.lock);
	uint32_t n = sched.globq.n / load_rlx(&sched_n_procs) + 1; // order: hint
	uint32_t room = RUNQ_SIZE - runq_len(&pp->runq) + 1;
	if (n > sched.globq.n)
		n = sched.globq.n;
	if (n > max)
		n = max;
	if (n > RUNQ_SIZE / 2)
		n = RUNQ_SIZE / 2;
	if (n > room)
		n = room;
	if (n == 0)
		return 0;
	*first = glist_pop(&sched.globq);
	for (uint32_t i = 1; i < n; i++) {
		if (unlikely(sched.globq.first->locked)) {
			n = i;
			break;
		}
		check(runq_put(&pp->runq, glist_pop(&sched.globq)), "globq_take: ring is full");
	}
	store_rlx(&sched.globq_n, sched.globq.n); // order: hint, rechecked under the lock
	return n;
}

// The first locked G of the global queue, or NULL.  Time: O(n).
G *
globq_take_locked(void)
{
	assert_held(&sched.lock);
	G *before = NULL;
	G *gp = sched.globq.first;
	while (gp != NULL && !gp->locked) {
		before = gp;
		gp = gp->link;
	}
	if (gp == NULL)
		return NULL;
	if (before == NULL) {
		(void)glist_pop(&sched.globq);
	} else {
		before->link = gp->link;
		if (sched.globq.last == gp)
			sched.globq.last = before;
		sched.globq.n--;
	}
	gp->link = NULL;
	store_rlx(&sched.globq_n, sched.globq.n); // order: hint, rechecked under the lock
	return gp;
}

// The ring is full: half of it and gp go to the global queue, in one lock.
// False when thieves made room meanwhile.
static COLD bool
put_overflow(P *pp, G *gp)
{
	G *batch[RUNQ_SIZE / 2];
	uint32_t n = runq_shed(&pp->runq, batch);
	if (n == 0)
		return false;
	GList l = {0};
	for (uint32_t i = 0; i < n; i++)
		glist_push(&l, batch[i]);
	glist_push(&l, gp);
	mutex_lock(&sched.lock);
	globq_put_list(&l);
	mutex_unlock(&sched.lock);
	return true;
}

static inline bool
put_in_hand(P *pp, G *gp)
{
	uint32_t tail = load_rlx(&pp->hand_tail);                 // order: own
	if (tail - load_rlx(&pp->hand_head) == HAND_SIZE ||       // order: own
	    load_rlx(&pp->runq.head) != load_rlx(&pp->runq.tail)) // order: own; thieves only take
		return false;
	store_rlx(&pp->hand[tail % HAND_SIZE], gp); // order: own
	store_rlx(&pp->hand_tail, tail + 1);        // order: own
	return true;
}

void
p_put_tail(P *pp, G *gp)
{
	if (likely(!others_hungry()) && likely(put_in_hand(pp, gp)))
		return;
	while (unlikely(!runq_put(&pp->runq, gp)))
		if (put_overflow(pp, gp))
			return;
}

// The hand is empty: the ring's oldest G, and some more into the hand while nobody is hungry.
G *
p_refill(P *pp)
{
	G *out[HAND_SIZE];
	uint32_t n = runq_take_some(&pp->runq, out, others_hungry() ? 1 : HAND_SIZE);
	if (n == 0)
		return NULL;
	for (uint32_t i = 1; i < n; i++)
		store_rlx(&pp->hand[i - 1], out[i]); // order: own
	store_rlx(&pp->hand_head, 0);     // order: own
	store_rlx(&pp->hand_tail, n - 1); // order: own
	return out[0];
}

// All that pp has goes to the global queue: nobody is going to own pp for a while, and what only
// its owner may touch could not be stolen.
void
p_empty(P *pp)
{
	GList work = {0};
	for (G *gp; (gp = p_take(pp)) != NULL;)
		glist_push(&work, gp);
	mutex_lock(&sched.lock);
	globq_put_list(&work);
	mutex_unlock(&sched.lock);
}
