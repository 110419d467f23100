// SPDX-License-Identifier: BSD-3-Clause
// sync.Mutex: its methods, upon go_mutex.
//
// Both are two words, 0 in a mutex that is free. So libgo's methods are left out: their Unlock is a
// locked instruction, this one a store. libgobegin.a has them as weak symbols, which these replace
// (scripts/gobegin). Where the compiler has inlined them into others of package sync their first
// steps stay, and the slow ones come here: chan/mutex.c says how both get along.
#include "chan/chan.h"

#include "gccgo/blocking.h"
#include "gccgo/gccgo.h"

static_assert(sizeof(go_mutex) == 2 * sizeof(int32_t), "what programs make room for");

// Within the functions below, whose frames are those that are shown.
#define PART static inline __attribute__((always_inline))

PART void
lock_slow(go_mutex *m)
{
	sched_enter();
	int64_t begun = blocking_begin();
	gmutex_lock_slow(m, WAIT_semacquire);
	sched_leave();
	blocking_end(begun);
}

// What gmutex_unlock_quiet has left of an unlock. sync.Pool's first use unlocks when it is pinned
// already, and stays so.
PART void
unlock_rest(go_mutex *m, GmutexRest rest)
{
	if (rest == GMUTEX_HELD)
		rest = gmutex_unlock_contended(m);
	if (rest == GMUTEX_DONE)
		return;
	bool pinned = sched_enter()->pinned;
	int64_t since = rest == GMUTEX_HELD ? gmutex_unlock_held(m) : gmutex_unlock_released(m);
	if (unlikely(pinned))
		return;
	sched_leave();
	if (unlikely(contention_wanted()) && since != 0) {
		contention_end(os_nanotime() - since, 0);
		__asm__ volatile(""); // our frame is to be seen, so this is no last call
	}
}

GOFUNC("sync.Mutex.Lock", void, rt_mutex_lock, (go_mutex *m))
{
	if (unlikely(!gmutex_try_lock(m)))
		lock_slow(m);
}
GOREST("sync.Mutex.Lock", "sync.Mutex.Lock");

GOFUNC("sync.Mutex.TryLock", bool, rt_mutex_trylock, (go_mutex *m))
{
	return gmutex_try_lock(m);
}
GOREST("sync.Mutex.TryLock", "sync.Mutex.TryLock");

GOFUNC("sync.Mutex.Unlock", void, rt_mutex_unlock, (go_mutex *m))
{
	GmutexRest rest = gmutex_unlock_quiet(m);
	if (unlikely(rest != GMUTEX_DONE))
		unlock_rest(m, rest);
}

GOFUNC(GOREST_PREFIX "sync.Mutex.Unlock", void, rest_mutex_unlock, (go_mutex *m, GmutexRest rest))
{
	unlock_rest(m, rest);
}

// --- where libgo's methods are inlined -----------------------------------------------------------

GOFUNC("sync.Mutex.lockSlow", void, rt_mutex_lockslow, (go_mutex *m))
{
	lock_slow(m);
}

GOFUNC("sync.Mutex.unlockSlow", void, rt_mutex_unlockslow, (go_mutex *m, int32_t left))
{
	if ((((uint32_t)left + GMUTEX_HELD_BIT) & GMUTEX_HELD_BIT) == 0)
		fatal("sync: unlock of unlocked mutex");
	unlock_rest(m, GMUTEX_HELD);
}
