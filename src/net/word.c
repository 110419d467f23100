// SPDX-License-Identifier: BSD-3-Clause
// Waiting for an event of a descriptor, and posting one: see word.h for states and invariants.
#include "net/word.h"

#include "undergo/base.h"

// Somebody is between two stores.
static void
wait_for_taker(void)
{
	arch_pause();
	os_yield();
}

// The word is TAKEN and the caller's. Who has left for another reason needs no event: the next one
// tries before it waits.
static G *
hand_over(PollWord *w, G *gp)
{
	Claimed how = sched_claim(gp, CLAIM_PEER);
	store_rel(w, POLL_NIL); // order: publish -> word_leave; gp is not ours now
	return how == CLAIMED ? gp : NULL;
}

G *
word_post(PollWord *w, Post post)
{
	uintptr_t seen = load_rlx(w); // order: hint, claimed below
	for (;;) {
		if (seen == POLL_READY) {
			// order: publish -> word_reset, word_announce, O2
			if (post != POST_END || cas_rel(w, &seen, POLL_READY))
				return NULL;
		} else if (seen == POLL_TAKEN) {
			if (post != POST_END) // I2: who is taken out tries again
				return NULL;
			wait_for_taker(); // O2
			seen = load_rlx(w); // order: hint, claimed below
		} else if (seen == POLL_NIL) {
			if (post == POST_INTERRUPTION)
				return NULL;
			if (cas_rel(w, &seen, POLL_READY)) // order: publish -> word_announce
				return NULL;
		} else {
			G *gp = (G *)seen;
			if (cas_acq(w, &seen, POLL_TAKEN)) // order: claim, observe <- word_announce
				return hand_over(w, gp);
		}
	}
}

// False: there was an event, which is used up now.
static bool
word_announce(PollWord *w, G *gp)
{
	uintptr_t seen = POLL_NIL;
	while (!cas_rel(w, &seen, (uintptr_t)gp)) { // order: publish -> word_post
		if (seen == POLL_TAKEN)
			wait_for_taker(); // the one before us has left, not its taker
		else if (seen != POLL_READY)
			throw("net: two goroutines wait for one side of a descriptor");
		else if (cas_rlx(w, &seen, POLL_NIL)) // order: own; word_leave observes what
			return false;                 // word_post published, through this
		seen = POLL_NIL;
	}
	return true;
}

// gp's wait is over, however it ended: nobody finds it here from now on.  I1
static void
word_leave(PollWord *w, G *gp)
{
	for (;;) {
		uintptr_t seen = load_acq(w); // order: observe <- hand_over, word_post
		if (seen == POLL_TAKEN)
			wait_for_taker();
		else if (seen != (uintptr_t)gp)
			return;
		else if (cas_rlx(w, &seen, POLL_NIL)) // order: own; nothing was handed over
			return;
	}
}

// Announced everywhere, and nobody has said that there is nothing to wait for.
static bool
shall_wait(PollWord *w, PollWord *w2, G *gp, ATOMIC_U32 *info, uint32_t over)
{
	if (!word_announce(w, gp))
		return false;
	if (w2 != NULL && !word_announce(w2, gp))
		return false;
	fence_seq();
	return (load_rlx(info) & over) == 0; // order: dekker with who stores it, O1
}

int
word_wait(PollWord *w, PollWord *w2, ATOMIC_U32 *info, uint32_t over, int64_t deadline)
{
	Wait wait;
	int err = sched_wait_begin(&wait, deadline);
	if (err != 0)
		return err;
	sched_wait_share(&wait); // whoever takes it out of the word has no lock to hold
	Claim by = CLAIM_PEER;
	bool waits = shall_wait(w, w2, wait.gp, info, over);
	if (waits) {
		sched_poll_waits();
		by = sched_wait_park(&wait, WAIT_io, NULL, NULL);
		sched_poll_waited();
	}
	word_leave(w, wait.gp);
	if (w2 != NULL)
		word_leave(w2, wait.gp);
	if (!waits)
		sched_wait_end(&wait);
	return sched_claim_error(by);
}
