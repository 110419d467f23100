// SPDX-License-Identifier: BSD-3-Clause
// sync.Mutex where nobody waits: gccgo/mutex.c. None of it needs to be inside the runtime.
#include "gccgo/front/front.h"

#include "chan/chan.h"

FRONT_REST("sync.Mutex.Lock", void, rest_mutex_lock, (go_mutex *));
FRONT("sync.Mutex.Lock", void, rt_mutex_lock, (go_mutex *m))
{
	if (unlikely(m == NULL) || unlikely(!gmutex_try_lock(m)))
		rest_mutex_lock(m);
}

FRONT_REST("sync.Mutex.TryLock", bool, rest_mutex_trylock, (go_mutex *));
FRONT("sync.Mutex.TryLock", bool, rt_mutex_trylock, (go_mutex *m))
{
	return likely(m != NULL) ? gmutex_try_lock(m) : rest_mutex_trylock(m);
}

FRONT_REST("sync.Mutex.Unlock", void, rest_mutex_unlock, (go_mutex *, GmutexRest));
FRONT("sync.Mutex.Unlock", void, rt_mutex_unlock, (go_mutex *m))
{
	GmutexRest rest = likely(m != NULL) ? gmutex_unlock_quiet(m) : GMUTEX_ASK;
	if (unlikely(rest != GMUTEX_DONE))
		rest_mutex_unlock(m, rest);
}
