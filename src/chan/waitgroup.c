// SPDX-License-Identifier: BSD-3-Clause
// go_waitgroup: a count to wait for.
//
// state: the count in the upper half, in the lower half 1 while somebody waits. Whoever brings the
// count to 0 while somebody waits wakes them all.
//
// Invariants:
//   I1  A waiter queues under root->lock, and only while the count is not 0.
//   I2  After the count has become 0 its last owner touches the group only under root->lock with a
//       waiter queued: the group may be gone otherwise, since waiting for 0 needs no wake-up
//       (sema.c, I3).
// Order:  Adds are read-modify-writes of one word; who sees 0, or is woken for it, has acquired
//         them all.
#include "chan/chan_impl.h"

static inline int32_t
count_of(uint64_t state)
{
	return (int32_t)(state >> 32);
}

static inline ATOMIC_U64 *
state_of(go_waitgroup *wg)
{
	return ATOMIC_WORD64(&wg->state);
}

bool
gwg_add_fast(go_waitgroup *wg, int n)
{
	uint64_t delta = (uint64_t)(uint32_t)n << 32;
	uint64_t state = add_ar(state_of(wg), delta) + delta; // order: gathers, pairs with gwg_done
	int32_t count = count_of(state);
	bool waited = (uint32_t)state != 0;
	if (unlikely(count < 0))
		panic("sync: negative WaitGroup counter");
	if (unlikely(waited && n > 0 && count == n))
		panic("sync: WaitGroup misuse: Add called concurrently with Wait");
	return count > 0 || !waited;
}

// The count has become 0 while somebody waited.
void
gwg_wake(go_waitgroup *wg)
{
	SemaRoot *root = sema_root(wg);
	GList wake = {0};
	mutex_lock(&root->lock);
	// A count that is not 0 is a later use of the same memory: the waiter that we came for has
	// left at its deadline, having seen our 0, and somebody waits there anew.
	if (sema_waits(root, wg, WAITER_WG) &&          // I2
	    count_of(load_rlx(state_of(wg))) == 0) { // order: lock
		store_rel(state_of(wg), 0); // order: publish -> gwg_done, what adds gathered
		for (Waiter *w; (w = sema_pop(root, wg, WAITER_WG)) != NULL;)
			glist_push(&wake, w->sg.g);
	}
	mutex_unlock(&root->lock);
	if (wake.n != 0)
		sched_ready_list(&wake);
}

bool
gwg_done(go_waitgroup *wg)
{
	return count_of(load_acq(state_of(wg))) == 0; // order: observe <- gwg_add_fast
}

// Queues, unless the count is 0. Locks: root held.
static bool
enqueue(go_waitgroup *wg, SemaRoot *root, Waiter *w)
{
	uint64_t state = load_acq(state_of(wg)); // order: observe <- gwg_add_fast
	do {
		if (count_of(state) == 0)
			return false;
	} while (!cas_acq(state_of(wg), &state, state | 1)); // order: observe <- gwg_add_fast
	sema_push(root, w, false);
	return true;
}

// A deadline or a cancellation came. Late, when the count is 0 all the same.
static int
leave(go_waitgroup *wg, SemaRoot *root, Waiter *w, int err)
{
	mutex_lock(&root->lock);
	if (sema_unlink(root, w) && !sema_waits(root, wg, WAITER_WG))
		and_ar(state_of(wg), ~(uint64_t)UINT32_MAX); // order: both ways, one location
	if (gwg_done(wg))
		err = 0;
	mutex_unlock(&root->lock);
	return err;
}

int
gwg_wait(go_waitgroup *wg, int64_t deadline)
{
	if (gwg_done(wg))
		return 0;
	Wait w;
	int err = sched_wait_begin(&w, deadline);
	if (err != 0)
		return err;
	SemaRoot *root = sema_root(wg);
	Waiter waiter = {
	    .sg = {.g = w.gp, .claimed = w.claimable},
	    .addr = wg,
	    .kind = WAITER_WG,
	};
	mutex_lock(&root->lock);
	if (!enqueue(wg, root, &waiter)) {
		mutex_unlock(&root->lock);
		sched_wait_end(&w);
		return 0;
	}
	Claim by = sched_wait_park(&w, WAIT_waitgroup_wait, sched_unlock_after, &root->lock);
	if (by != CLAIM_PEER)
		return leave(wg, root, &waiter, sched_claim_error(by));
	if (load_rlx(state_of(wg)) != 0) // order: after sched_ready
		panic("sync: WaitGroup is reused before previous Wait has returned");
	return 0;
}
