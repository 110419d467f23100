// SPDX-License-Identifier: BSD-3-Clause
// go_sem: a counting semaphore, first come first served, with deadlines.
//
// opaque[0]: the permits in the lower half, WAITERS above them. While nobody waits, both calls are
// one read-modify-write; otherwise they go through the queue of the address.
//
// Invariants:
//   I1  WAITERS is set and cleared under root->lock: set exactly while somebody is queued.
//   I2  While WAITERS is set there are no permits: they go to who waits.
// Order:  A permit carries what its releaser did, by the word (release, acquire) or by root->lock.
#include "chan/chan_impl.h"

static const uint64_t WAITERS = (uint64_t)1 << 32;

static inline ATOMIC_U64 *
state_of(go_sem *s)
{
	return ATOMIC_WORD64(&s->opaque[0]);
}

void
gsem_init(go_sem *s, uint32_t n)
{
	*s = (go_sem){0};
	init_plain(state_of(s), n);
}

bool
gsem_try_acquire(go_sem *s)
{
	uint64_t state = load_rlx(state_of(s)); // order: hint, claimed below
	while ((uint32_t)state != 0)
		if (cas_acq(state_of(s), &state, state - 1)) // order: claim, pairs with release
			return true;
	return false;
}

// Announces a waiter unless there is a permit, which it takes. Locks: root held.
static bool
take_or_announce(go_sem *s)
{
	uint64_t state = load_rlx(state_of(s)); // order: hint, claimed below
	for (;;) {
		bool take = (uint32_t)state != 0;
		// order: claim, pairs with release
		if (cas_acq(state_of(s), &state, take ? state - 1 : state | WAITERS))
			return take;
	}
}

// Locks: root held.
static void
note_waiters(go_sem *s, SemaRoot *root)
{
	if (!sema_waits(root, s, WAITER_SEM))
		and_ar(state_of(s), ~WAITERS); // order: lock; others only add and take permits
}

int
gsem_acquire(go_sem *s, int64_t deadline)
{
	if (gsem_try_acquire(s))
		return 0;
	Wait w;
	int err = sched_wait_begin(&w, deadline);
	if (err != 0)
		return err;
	SemaRoot *root = sema_root(s);
	Waiter waiter = {
	    .sg = {.g = w.gp, .claimed = w.claimable},
	    .addr = s,
	    .kind = WAITER_SEM,
	};
	mutex_lock(&root->lock);
	if (take_or_announce(s)) {
		mutex_unlock(&root->lock);
		sched_wait_end(&w);
		return 0;
	}
	sema_push(root, &waiter, false);
	Claim by = sched_wait_park(&w, WAIT_semacquire, sched_unlock_after, &root->lock);
	if (by != CLAIM_PEER) {
		mutex_lock(&root->lock);
		sema_unlink(root, &waiter);
		note_waiters(s, root);
		mutex_unlock(&root->lock);
	}
	return sched_claim_error(by);
}

// Adds n permits, and sets WAITERS as told, in one step.
static bool
add_permits(go_sem *s, uint64_t *state, uint32_t n, uint64_t waiters)
{
	if ((uint64_t)(uint32_t)*state + n > UINT32_MAX)
		panic("sync: semaphore count out of range");
	// order: release, pairs with acquire
	return cas_rel(state_of(s), state, ((uint32_t)*state + n) | waiters);
}

bool
gsem_release_fast(go_sem *s, uint32_t n)
{
	uint64_t state = load_rlx(state_of(s)); // order: hint, checked by the CAS
	while ((state & WAITERS) == 0)
		if (add_permits(s, &state, n, 0))
			return true;
	return false;
}

void
gsem_release_slow(go_sem *s, uint32_t n)
{
	SemaRoot *root = sema_root(s);
	GList wake = {0};
	mutex_lock(&root->lock);
	for (Waiter *w; n > 0 && (w = sema_pop(root, s, WAITER_SEM)) != NULL; n--)
		glist_push(&wake, w->sg.g);
	uint64_t waiters = sema_waits(root, s, WAITER_SEM) ? WAITERS : 0;
	uint64_t state = load_rlx(state_of(s)); // order: hint, checked by the CAS
	while (!add_permits(s, &state, n, waiters))
		;
	mutex_unlock(&root->lock);
	if (wake.n != 0)
		sched_ready_list(&wake);
}
