// SPDX-License-Identifier: BSD-3-Clause
// go_rwmutex: many readers or one writer.
//
// `readers` counts the readers inside and waiting; a writer that has come takes READERS_MAX away,
// so it is negative from then on: new readers wait, and those inside count themselves out in
// `readers_leaving`. The last of them gives the writer its permit; the writer, when it leaves,
// gives one to each reader that has come meanwhile. Writers keep each other out by `w`.
//
// Invariants:
//   I1  readers >= 0: no writer. readers < 0: one writer, and readers + READERS_MAX readers.
//   I2  readers_leaving is how many the writer still waits for; it may be below 0 for a moment,
//       when a reader counts itself out before the writer has counted it in.
// Order:  All that readers and the writer do to each other is ordered by the read-modify-writes of
//         `readers`, one location, or by a permit (sema.c).
#include "chan/chan_impl.h"

enum { READERS_MAX = 1 << 30 };

bool
grwmutex_rlock_fast(go_rwmutex *rw)
{
	// order: claim, pairs with grwmutex_unlock
	return likely(add_acq(ATOMIC_INT(&rw->readers), 1) >= 0);
}

void
grwmutex_rlock_slow(go_rwmutex *rw)
{
	sema_acquire(&rw->reader_sem, WAIT_rwmutex_rlock, false);
}

bool
grwmutex_try_rlock(go_rwmutex *rw)
{
	int32_t n = load_rlx(ATOMIC_INT(&rw->readers)); // order: hint, claimed below
	while (n >= 0) // order: claim, pairs with grwmutex_unlock
		if (cas_acq(ATOMIC_INT(&rw->readers), &n, n + 1))
			return true;
	return false;
}

// False: a writer waits, or nobody is in; *left is for the slow half.
bool
grwmutex_runlock_fast(go_rwmutex *rw, int32_t *left)
{
	*left = sub_rel(ATOMIC_INT(&rw->readers), 1) - 1; // order: release, see grwmutex_lock
	return likely(*left >= 0);
}

void
grwmutex_runlock_slow(go_rwmutex *rw, int32_t left)
{
	if (left + 1 == 0 || left + 1 == -READERS_MAX)
		fatal("sync: RUnlock of unlocked RWMutex");
	if (sub_ar(ATOMIC_INT(&rw->readers_leaving), 1) - 1 == 0) // order: gathers all readers
		sema_release(&rw->writer_sem, false);
}

// The writer has `w`; n readers are in.  Blocks: G.
static void
wait_for_readers(go_rwmutex *rw, int32_t n)
{
	if (n != 0 && add_acq(ATOMIC_INT(&rw->readers_leaving), n) + n != 0) // order: as in runlock
		sema_acquire(&rw->writer_sem, WAIT_rwmutex_lock, false);
}

void
grwmutex_lock(go_rwmutex *rw)
{
	gmutex_lock(&rw->w, WAIT_rwmutex_lock);
	wait_for_readers(rw, add_acq(ATOMIC_INT(&rw->readers), -READERS_MAX)); // order: claim
}

bool
grwmutex_try_lock(go_rwmutex *rw)
{
	if (!gmutex_try_lock(&rw->w))
		return false;
	int32_t none = 0;
	if (cas_acq(ATOMIC_INT(&rw->readers), &none, -READERS_MAX)) // order: claim, see runlock
		return true;
	gmutex_unlock(&rw->w);
	return false;
}

void
grwmutex_unlock(go_rwmutex *rw)
{
	// order: release, pairs with rlock
	int32_t waiting = add_rel(ATOMIC_INT(&rw->readers), READERS_MAX) + READERS_MAX;
	if (waiting >= READERS_MAX || waiting < 0)
		fatal("sync: Unlock of unlocked RWMutex");
	for (int32_t i = 0; i < waiting; i++)
		sema_release(&rw->reader_sem, false);
	gmutex_unlock(&rw->w);
}
