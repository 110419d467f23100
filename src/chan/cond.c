// SPDX-License-Identifier: BSD-3-Clause
// go_cond: wait for a condition that a mutex guards.
//
// A waiter queues while it still holds the mutex, so its place is that of its arrival and a signal
// given under the mutex, or after it, reaches it. Then it gives the mutex up and parks; a signal
// that comes in between finds it queued and not parked, and takes it out without readying it.
//
// Invariants, under root->lock:
//   I1  go_cond.opaque[0] is 1 while somebody is queued. All else in go_cond is unused.
//   I2  Waiter.parked says that its G is off its stack, or about to be when the lock is given up.
// Order:  gcond_idle reads I1's word without the lock. Who signals under the mutex, or after having
//         held it, comes after the store of who waited by that time; nothing is promised to others.
#include "chan/chan_impl.h"

static ATOMIC_U64 *
waiting(go_cond *c)
{
	return ATOMIC_WORD64(&c->opaque[0]);
}

bool
gcond_idle(go_cond *c)
{
	return load_rlx(waiting(c)) == 0; // order: hint, ordered by the caller's mutex
}

// Locks: root held.
static void
note_waiting(go_cond *c, SemaRoot *root)
{
	store_rlx(waiting(c), sema_waits(root, c, WAITER_COND)); // order: hint, see gcond_idle
}

// Parks until signalled. Locks: root held, given up.  Blocks: G.
static Claim
wait_parked(Waiter *cw, SemaRoot *root, Wait *w)
{
	cw->parked = true;
	cw->sg.claimed = w->claimable;
	return sched_wait_park(w, WAIT_cond_wait, sched_unlock_after, &root->lock);
}

int
gcond_wait(go_cond *c, go_mutex *m, int64_t deadline)
{
	Wait w;
	int err = sched_wait_begin(&w, deadline);
	if (err != 0)
		return err == GO_EAGAIN ? GO_ETIMEDOUT : err;

	SemaRoot *root = sema_root(c);
	Waiter cw = {.sg.g = w.gp, .addr = c, .kind = WAITER_COND};
	mutex_lock(&root->lock);
	sema_push(root, &cw, false);
	store_rlx(waiting(c), 1); // order: hint, see gcond_idle
	mutex_unlock(&root->lock);
	gmutex_unlock(m);

	mutex_lock(&root->lock);
	Claim by = CLAIM_PEER;
	if (cw.queued) {
		by = wait_parked(&cw, root, &w);
	} else {
		mutex_unlock(&root->lock);
		sched_wait_end(&w);
	}
	if (by != CLAIM_PEER) {
		mutex_lock(&root->lock);
		sema_unlink(root, &cw);
		note_waiting(c, root);
		mutex_unlock(&root->lock);
	}
	gmutex_lock(m, WAIT_mutex_lock);
	return sched_claim_error(by);
}

void
gcond_signal(go_cond *c)
{
	SemaRoot *root = sema_root(c);
	mutex_lock(&root->lock);
	Waiter *cw = sema_pop(root, c, WAITER_COND);
	G *gp = cw != NULL && cw->parked ? cw->sg.g : NULL;
	note_waiting(c, root);
	mutex_unlock(&root->lock);
	if (gp != NULL)
		sched_ready(gp);
}

void
gcond_broadcast(go_cond *c)
{
	SemaRoot *root = sema_root(c);
	GList wake = {0};
	mutex_lock(&root->lock);
	for (Waiter *cw; (cw = sema_pop(root, c, WAITER_COND)) != NULL;)
		if (cw->parked)
			glist_push(&wake, cw->sg.g);
	note_waiting(c, root);
	mutex_unlock(&root->lock);
	if (wake.n != 0)
		sched_ready_list(&wake);
}
