// SPDX-License-Identifier: BSD-3-Clause
// Waits that several parties may end: a peer, a deadline, a cancellation. One of them wins.
//
//                          park, off its stack
//   CLOSED --begin--> PREPARED -----------> OPEN --claim--> PEER, DEADLINE, CANCEL
//     ^                  |                                       |
//     |                  \--claim (deadline, cancel)--> the same |
//     \------------------- end, or the wait has returned --------/
//
// Invariants:
//   W1  Whoever moves the claim away from OPEN readies the G, once. Who moves it away from PREPARED
//       does not: the parking M finds it and readies the G itself.
//   W2  Peers claim only under the lock that the park gives up, so they find OPEN or a later state.
//       Those that have no such lock (net) take what they find, with sched_claim.
//   W3  A deadline is disarmed before its Wait leaves the stack; a canceller claims under its
//       scope's lock, and a stale claim could only cancel a later wait of the same cancelled scope.
// Order:  O1  dekker between a wait's begin (PREPARED stored, then the scope's flag read) and a
//             cancellation (flag stored, then the claim tried): a seq_cst fence at both.
//         O2  Data rides on the queue's lock, or on sched_ready's release and the M's acquire.
#include "sched/sched_impl.h"

int
sched_wait_begin(Wait *w, int64_t deadline)
{
	G *gp = sched_g();
	w->gp = gp;
	w->deadline = deadline;
	w->armed = false;
	w->claimable = deadline != GO_NEVER || gp->scope != NULL;
	if (!w->claimable)
		return 0;
	if (deadline == GO_POLL)
		return GO_EAGAIN;
	if (gp->scope != NULL) {
		store_rlx(&gp->claim, CLAIM_PREPARED); // order: dekker with cancellation, O1
		fence_seq();
		if (up_scope_canceled(gp)) {
			sched_wait_end(w);
			return GO_ECANCELED;
		}
	}
	if (deadline == GO_NEVER)
		return 0;
	if (deadline <= os_nanotime()) {
		sched_wait_end(w);
		return GO_ETIMEDOUT;
	}
	if (gp->scope == NULL)
		store_rlx(&gp->claim, CLAIM_PREPARED); // order: published by the timers' lock
	if (!gp->thread) { // a thread sleeps with the deadline itself
		up_deadline_arm(&w->timer, gp, deadline);
		w->armed = true;
	}
	return 0;
}

void
sched_wait_share(Wait *w)
{
	if (w->claimable)
		return;
	w->claimable = true;
	store_rlx(&w->gp->claim, CLAIM_PREPARED); // order: published by the queues' locks
}

void
sched_wait_end(Wait *w)
{
	if (!w->claimable)
		return;
	if (w->armed)
		up_deadline_disarm(&w->timer);
	w->armed = false;
	store_rlx(&w->gp->claim, CLAIM_CLOSED); // order: own, claims by now fail or do no harm (W3)
}

typedef struct ClaimPark {
	G *gp;
	void (*after)(void *);
	void *arg;
} ClaimPark;

// Off its stack: the wait is open to claims, unless one has come already.
static void
open_claim(void *v)
{
	ClaimPark *cp = v;
	G *gp = cp->gp;
	void (*after)(void *) = cp->after;
	void *arg = cp->arg;
	uint32_t seen = CLAIM_PREPARED;
	bool opened = cas_ar(&gp->claim, &seen, CLAIM_OPEN); // order: claim, both ways
	// From here on the G may run, and *cp be gone; the lock that `after` gives up is still
	// held.
	if (after != NULL)
		after(arg);
	if (!opened)
		sched_ready(gp);
}

static Claim thread_wait(Wait *w, WaitReason why, void (*after)(void *), void *arg);

Claim
sched_wait_park(Wait *w, WaitReason why, void (*after)(void *), void *arg)
{
	G *gp = w->gp;
	if (!w->claimable) {
		sched_park(why, after, arg);
		return CLAIM_PEER;
	}
	Claim by;
	if (gp->thread) {
		by = thread_wait(w, why, after, arg);
	} else {
		ClaimPark cp = {gp, after, arg};
		sched_park(why, open_claim, &cp);
		by = load_acq(&gp->claim); // order: observe <- the claim that won
	}
	sched_wait_end(w);
	return by;
}

int
sched_claim_error(Claim by)
{
	switch (by) {
	case CLAIM_DEADLINE:
		return GO_ETIMEDOUT;
	case CLAIM_CANCEL:
		return GO_ECANCELED;
	default:
		return 0;
	}
}

bool
sched_claim_peer(G *gp)
{
	uint32_t seen = CLAIM_OPEN;
	return cas_ar(&gp->claim, &seen, CLAIM_PEER); // order: claim, W2
}

Claimed
sched_claim(G *gp, Claim by)
{
	uint32_t seen = load_rlx(&gp->claim); // order: hint, claimed below
	while (seen == CLAIM_PREPARED || seen == CLAIM_OPEN) {
		uint32_t was = seen;
		if (cas_ar(&gp->claim, &seen, by)) // order: claim, W1
			return was == CLAIM_OPEN ? CLAIMED : CLAIMED_AWAKE;
	}
	return CLAIM_LOST;
}

void
sched_claim_and_ready(G *gp, Claim by)
{
	if (sched_claim(gp, by) == CLAIMED)
		sched_ready(gp);
}

// A thread of the program has no timer of ours: it sleeps with its deadline and then claims its own
// wait.
static Claim
thread_wait(Wait *w, WaitReason why, void (*after)(void *), void *arg)
{
	G *gp = w->gp;
	note_clear(&gp->note);
	store_rlx(&gp->wait, (uint8_t)why);  // order: count
	store_rlx(&gp->wait_since, os_nanotime()); // order: count
	store_rel(&gp->status, Gwaiting);    // order: publish -> dumps
	foreign_parks(gp);
	uint32_t seen = CLAIM_PREPARED;
	bool opened = cas_ar(&gp->claim, &seen, CLAIM_OPEN); // order: claim, both ways
	if (after != NULL)
		after(arg);
	if (opened) {
		if (w->deadline == GO_NEVER)
			foreign_sleeps(gp);
		M *mp = sched_m();
		if (!m_rest(mp, &gp->note, w->deadline)) {
			seen = CLAIM_OPEN;
			// order: claim; who was faster is about to ring
			if (!cas_ar(&gp->claim, &seen, CLAIM_DEADLINE))
				m_rest(mp, &gp->note, INT64_MAX);
		}
	}
	store_rlx(&gp->counted, 0);          // order: own, its waker is done
	store_rlx(&gp->status, Grunning);    // order: own
	return load_acq(&gp->claim);         // order: observe <- the claim that won
}
