// SPDX-License-Identifier: BSD-3-Clause
// Note: a one-shot event that one thread sleeps for.
//
//              note_sleep                   note_wake
//   cleared ---------------> sleeping ---------------------> woken
//      ^  \                     |                              |
//      |   \------- deadline ---/      note_wake (no system call, when nobody sleeps)
//      |____________________________ note_clear _______________|
//
// Invariants:
//   N1  Between a clear and the next, one thread sleeps, at most, and one wakes, at most once.
//   N2  Who finds the note sleeping when it wakes it calls the system, nobody else does.
//   N3  note_sleep returns false only if it took the key from sleeping back to cleared itself: so
//       a wake that comes later is kept for the next sleep, and none is lost.
// Order:  O1  publish note_wake -> note_sleep: what the waker did before is visible to who was
//             woken.
//
// note_wake does not touch the note after the key is woken, except that the system is given its
// address, where nothing is read: the sleeper may free it as soon as it returns.
#include "sync/sync.h"

#include <errno.h>

#include "os/os.h"

enum { NOTE_CLEARED, NOTE_WOKEN, NOTE_SLEEPING };

// Locks: none.  Stack: any.
void
note_clear(Note *n)
{
	store_rlx(&n->key, NOTE_CLEARED); // order: own, the waker learns of the new round otherwise
}

// Locks: none.  Stack: any.  Signal-safe.
void
note_wake(Note *n)
{
	uint32_t before = xchg_rel(&n->key, NOTE_WOKEN); // O1  order: publish -> note_sleep
	assert(before != NOTE_WOKEN); // N1
	if (before == NOTE_SLEEPING)
		os_futex_wake(&n->key, 1); // N2
}

// Announces that we sleep. False when there is nothing to sleep for any more.
static bool
announce(Note *n)
{
	uint32_t key = NOTE_CLEARED;
	bool announced = cas_acq(&n->key, &key, NOTE_SLEEPING); // O1  order: observe <- note_wake
	assert(key != NOTE_SLEEPING); // N1
	return announced;
}

// Locks: none.  Stack: any.
bool
note_woken(Note *n)
{
	return load_acq(&n->key) == NOTE_WOKEN; // O1  order: observe <- note_wake
}

// The deadline has come: true when that is how the sleep ends, false when the waker was faster.
static bool
withdraw(Note *n)
{
	uint32_t sleeping = NOTE_SLEEPING;
	return cas_acq(&n->key, &sleeping, NOTE_CLEARED); // O1  order: observe <- note_wake
}

// Locks: none that the waker needs.  Stack: any.  Blocks: M.
bool
note_sleep(Note *n, int64_t deadline)
{
	if (!announce(n))
		return true;
	while (load_acq(&n->key) == NOTE_SLEEPING) { // O1  order: observe <- note_wake
		int err = os_futex_wait(&n->key, NOTE_SLEEPING, deadline);
		if (err == -ETIMEDOUT && withdraw(n))
			return false; // N3
	}
	return true;
}
