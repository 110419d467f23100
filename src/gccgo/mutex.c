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
// What is called before it, and looks at the stack, is no last call.
#define KEEP_FRAME() __asm__ volatile("")

PART void
lock_slow(go_mutex *m)
{
	sched_enter();
	int64_t begun = blocking_begin();
	gmutex_lock_slow(m, WAIT_semacquire);
	sched_leave();
	blocking_end(begun);
	KEEP_FRAME();
}

// What gmutex_unlock_quiet has left of an unlock. sync.Pool's first use unlocks when it is pinned
// already, and stays so.
PART void
unlock_rest(go_mutex *m, GmutexRest rest)
{
	if (rest == GMUTEX_ASK)
		rest = gmutex_unlock_contended(m);
	if (rest == GMUTEX_DONE)
		return;
	bool pinned = sched_enter()->pinned;
	int64_t waited = 0;
	int64_t *to = unlikely(contention_wanted()) ? &waited : NULL;
	if (rest == GMUTEX_HELD)
		gmutex_unlock_held(m, to);
	else
		gmutex_unlock_released(m, to);
	if (unlikely(pinned))
		return;
	sched_leave();
	if (unlikely(waited != 0)) {
		contention_end(waited, 0);
		KEEP_FRAME();
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
	unlock_rest(m, GMUTEX_ASK);
}
