// SPDX-License-Identifier: BSD-3-Clause
// The C face of mutexes and their like. What neither waits nor wakes does not enter the runtime.
#include "chan/chan.h"

void
go_mutex_lock_slow(go_mutex *m)
{
	sched_enter();
	gmutex_lock_slow(m, WAIT_mutex_lock);
	sched_leave();
}

// What is left of an unlock.
static COLD void
mutex_unlock_rest(go_mutex *m, GmutexRest rest)
{
	sched_enter();
	if (rest == GMUTEX_HELD)
		gmutex_unlock_held(m, NULL);
	else
		gmutex_unlock_released(m, NULL);
	sched_leave();
}

void
go_mutex_unlock(go_mutex *m)
{
	GmutexRest rest = gmutex_unlock_fast(m);
	if (unlikely(rest != GMUTEX_DONE))
		mutex_unlock_rest(m, rest);
}

void
go_mutex_unlock_slow(go_mutex *m)
{
	go_mutex_unlock(m);
}

void
go_rwmutex_rlock(go_rwmutex *rw)
{
	if (grwmutex_rlock_fast(rw))
		return;
	sched_enter();
	grwmutex_rlock_slow(rw);
	sched_leave();
}

bool
go_rwmutex_try_rlock(go_rwmutex *rw)
{
	return grwmutex_try_rlock(rw);
}

void
go_rwmutex_runlock(go_rwmutex *rw)
{
	int32_t left;
	if (grwmutex_runlock_fast(rw, &left))
		return;
	sched_enter();
	grwmutex_runlock_slow(rw, left);
	sched_leave();
}

void
go_rwmutex_lock(go_rwmutex *rw)
{
	sched_enter();
	grwmutex_lock(rw);
	sched_leave();
}

bool
go_rwmutex_try_lock(go_rwmutex *rw)
{
	sched_enter();
	bool got = grwmutex_try_lock(rw);
	sched_leave();
	return got;
}

void
go_rwmutex_unlock(go_rwmutex *rw)
{
	sched_enter();
	grwmutex_unlock(rw);
	sched_leave();
}

int
go_cond_wait(go_cond *c, go_mutex *m, int64_t deadline)
{
	sched_enter();
	int err = gcond_wait(c, m, deadline);
	sched_leave();
	return err;
}

void
go_cond_signal(go_cond *c)
{
	if (gcond_idle(c))
		return;
	sched_enter();
	gcond_signal(c);
	sched_leave();
}

void
go_cond_broadcast(go_cond *c)
{
	if (gcond_idle(c))
		return;
	sched_enter();
	gcond_broadcast(c);
	sched_leave();
}

void
go_wg_add(go_waitgroup *wg, int n)
{
	if (likely(gwg_add_fast(wg, n)))
		return;
	sched_enter();
	gwg_wake(wg);
	sched_leave();
}

void
go_wg_done(go_waitgroup *wg)
{
	go_wg_add(wg, -1);
}

int
go_wg_wait(go_waitgroup *wg, int64_t deadline)
{
	if (gwg_done(wg))
		return 0;
	sched_enter();
	int err = gwg_wait(wg, deadline);
	sched_leave();
	return err;
}

static COLD void
once_run(go_once *o, void (*fn)(void *arg), void *arg)
{
	OnceRun run;
	sched_enter();
	bool mine = gonce_begin(o, &run);
	sched_leave();
	if (!mine)
		return;
	fn(arg);
	sched_enter();
	gonce_end(&run);
	sched_leave();
}

void
go_once_do(go_once *o, void (*fn)(void *arg), void *arg)
{
	if (unlikely(!gonce_done(o)))
		once_run(o, fn, arg);
}

void
go_sem_init(go_sem *s, uint32_t n)
{
	gsem_init(s, n);
}

int
go_sem_acquire(go_sem *s, int64_t deadline)
{
	if (gsem_try_acquire(s))
		return 0;
	sched_enter();
	int err = gsem_acquire(s, deadline);
	sched_leave();
	return err;
}

void
go_sem_release(go_sem *s, uint32_t n)
{
	if (likely(gsem_release_fast(s, n)))
		return;
	sched_enter();
	gsem_release_slow(s, n);
	sched_leave();
}
