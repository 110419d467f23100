// SPDX-License-Identifier: BSD-3-Clause
// A mutex that its owner takes with two stores and no locked instruction, while nobody else wants
// it: biased locking, as in Kawachiya, Koseki, Onodera, "Lock Reservation", OOPSLA 2002.
//
// The owner is a part that one M at a time plays, that of having a P for example, and what one did
// in it comes before what the next does. All others are strangers. The first of them, and the first
// after the owner has had the mutex to itself for a while, pays for a heavy fence. The order of
// things: biased.c.
#ifndef UNDERGO_SYNC_BIASED_H
#define UNDERGO_SYNC_BIASED_H

#include "sync/sync.h"

typedef struct Biased {
	ATOMIC_U32 inside; // owner writes: 1 while he has it without `lock`
	ATOMIC_U32 shared; // lock writes: not 0: the owner takes `lock`, for so many more times
	Mutex lock;
} Biased;

void biased_init(Biased *b, LockRank rank);

void biased_lock_own_slow(Biased *b);
void biased_leave_slow(Biased *b);

static inline void
biased_leave(Biased *b)
{
	store_rel(&b->inside, 0); // order: release, pairs with claim in biased.c
	fence_light();            // order: dekker with claim
	if (unlikely(load_rlx(&b->shared) != 0))
		biased_leave_slow(b);
}

// Blocks: M.  Stack: any, no signal handler.  Allocates: no.
static inline void
biased_lock_own(Biased *b)
{
	if (likely(load_rlx(&b->shared) == 0)) { // order: hint, looked at again
		store_rlx(&b->inside, 1);
		fence_light(); // order: dekker with claim
		if (likely(load_rlx(&b->shared) == 0)) {
			lockrank_acquire(&b->lock);
			return;
		}
		biased_leave(b);
	}
	biased_lock_own_slow(b);
}

static inline void
biased_unlock_own(Biased *b)
{
	if (unlikely(load_rlx(&b->inside) == 0)) { // order: own
		mutex_unlock(&b->lock);
		return;
	}
	lockrank_release(&b->lock);
	biased_leave(b);
}

// For strangers.  Blocks: M.  Stack: any, no signal handler.  Allocates: no.
void biased_lock(Biased *b);
// False: somebody has it, or is about to.
bool biased_trylock(Biased *b);

static inline void
biased_unlock(Biased *b)
{
	mutex_unlock(&b->lock);
}

#endif
