// SPDX-License-Identifier: BSD-3-Clause
// The handshake between a goroutine that waits for one side of a descriptor and those who end
// waits.
//
// A descriptor has two words, for reading and for writing. In each one goroutine waits at most.
//
//           an event                        a waiter announces itself
//   READY <------------ NIL -----------------------------------------> G
//     |                 ^ ^ ^                                          |  |
//     +-----------------+ | +---- it leaves, for a reason of its own --+  |
//      who would wait     |                                               |
//      uses it up         +------ TAKEN <---------------------------------+
//                          claimed        an event, or an interruption
//
// Whether the goroutine is off its stack is in its claim, not here (sched/wait.c): announced it is
// PREPARED, parked OPEN. Who takes it out of the word claims it, and makes it ready if it was OPEN;
// otherwise the M that parks it finds the claim. So an event may come at any moment, and a
// goroutine is made ready once, whoever else would have ended its wait.
//
// Invariants:
//   I1  TAKEN lasts a few instructions of the one who stored it. A waiter does not return before
//       that is over: or the claim of the other could hit its next wait.
//   I2  An event is never lost: a waiter goes on after it, or the word is READY after it, or a call
//       that would wait is tried after it. Who may wait tries first.
//   I3  A wait may end for no reason. Who waits looks again.
// Order:  O1  dekker: a waiter announces itself, fence, reads whether waits are over; who ends them
//             says so, fence, and interrupts (word_post without an event).
//         O2  publish: what was stored before POST_END is seen by who waits, or asks whether the
//             word is NIL (poll_quiet), after that. The poster does not leave the word without a
//             release of his own that they observe. A word that is READY he makes READY once more:
//             it is used up by an exchange, which either finds his or makes his fail. That it is
//             READY by another's event would not do, nor that it is TAKEN: the load that finds it
//             so may come before the store, for all that release and acquire say.
#ifndef UNDERGO_NET_WORD_H
#define UNDERGO_NET_WORD_H

#include "sched/sched.h"

typedef ATOMIC(uintptr_t) PollWord;

enum { POLL_NIL, POLL_READY, POLL_TAKEN }; // else a G

// POST_END is an event before which something was stored that who goes on has to see; O2.
typedef enum Post { POST_INTERRUPTION, POST_EVENT, POST_END } Post;

// Tells the waiter, or who comes next. The caller makes the result ready, unless NULL.
// Locks: any.  Stack: any.  Runs on: any thread.
G *word_post(PollWord *w, Post post);

// An event that came before what the caller does next says nothing about it.
static inline void
word_reset(PollWord *w)
{
	uintptr_t ready = POLL_READY;
	// order: hint; the event that is missed here costs a call that would wait
	// order: own; poll_quiet observes what word_post published, through this. Else what was
	// told is in the kernel, under a lock of its own
	if (unlikely(load_rlx(w) == POLL_READY))
		(void)cas_rlx(w, &ready, POLL_NIL);
}

// Waits for an event or an interruption of w, and of w2 unless that is NULL; not at all when *info
// has one of the bits `over` by then. 0, and the caller looks again; GO_ECANCELED; GO_ETIMEDOUT.
// Locks: none.  Blocks: G.
int word_wait(PollWord *w, PollWord *w2, ATOMIC_U32 *info, uint32_t over, int64_t deadline);

#endif
