/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/sync.h - mutex, read-write mutex, condition, wait group, once, semaphore.
 *
 * All block the goroutine, never the thread. A zero value is ready for use; none of them may be
 * copied once used, and none needs an end. They do not belong to a goroutine: one may lock, another
 * unlock.
 */
#ifndef UNDERGO_SYNC_H
#define UNDERGO_SYNC_H

#include "base.h"

/* Mutual exclusion. Waiters that have waited 1 ms get it in order; before that a running
 * goroutine may be faster. Private fields; use the functions. */
typedef struct go_mutex {
	uint32_t held;
	uint32_t slow;
} go_mutex;

#define GO_MUTEX_INIT {0, 0}

GO_API void go_mutex_lock_slow(go_mutex *m);
GO_API void go_mutex_unlock_slow(go_mutex *m);

/* go_mutex_lock - take the mutex, waiting while it is held.
 *
 * Blocks:    this goroutine only. Not cancelled with a scope.
 * Call from: a goroutine or a thread; not from a signal handler.
 * Order:     what was done before the matching go_mutex_unlock is visible.
 */
static inline void
go_mutex_lock(go_mutex *m)
{
	uint32_t free_ = 0;
	if (__builtin_expect(!__atomic_compare_exchange_n(&m->held, &free_, 1, false,
							  __ATOMIC_ACQUIRE, __ATOMIC_RELAXED),
			     0))
		go_mutex_lock_slow(m);
}

/* go_mutex_try_lock - take the mutex if it is free; false when it is not.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
static inline bool
go_mutex_try_lock(go_mutex *m)
{
	uint32_t free_ = 0;
	return __atomic_compare_exchange_n(&m->held, &free_, 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

/* go_mutex_unlock - give the mutex up.
 *
 * Fatal:     "fatal error: sync: unlock of unlocked mutex".
 * Blocks:    no.
 * Call from: a goroutine or a thread; not necessarily the one that locked.
 */
GO_API void go_mutex_unlock(go_mutex *m);

/* Any number of readers or one writer. A waiting writer keeps new readers out. */
typedef struct go_rwmutex {
	go_mutex w;
	int32_t readers;
	int32_t readers_leaving;
	uint32_t writer_sem;
	uint32_t reader_sem;
} go_rwmutex;

/* go_rwmutex_rlock - enter as a reader, waiting while a writer holds it or waits for it.
 *
 * Blocks:    this goroutine only.
 * Call from: a goroutine or a thread. Not recursively: a writer between the
 *            two would wait for ever.
 */
GO_API void go_rwmutex_rlock(go_rwmutex *rw);

/* go_rwmutex_try_rlock - enter as a reader if that needs no wait.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API bool go_rwmutex_try_rlock(go_rwmutex *rw);

/* go_rwmutex_runlock - leave as a reader.
 *
 * Fatal:     "fatal error: sync: RUnlock of unlocked RWMutex".
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_rwmutex_runlock(go_rwmutex *rw);

/* go_rwmutex_lock - enter as the writer, waiting until all readers have left.
 *
 * Blocks:    this goroutine only.
 * Call from: a goroutine or a thread.
 */
GO_API void go_rwmutex_lock(go_rwmutex *rw);

/* go_rwmutex_try_lock - enter as the writer if that needs no wait.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API bool go_rwmutex_try_lock(go_rwmutex *rw);

/* go_rwmutex_unlock - leave as the writer.
 *
 * Fatal:     "fatal error: sync: Unlock of unlocked RWMutex".
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_rwmutex_unlock(go_rwmutex *rw);

/* A place to wait for a condition that a mutex guards. Private fields. */
typedef struct go_cond {
	uint64_t opaque[3];
} go_cond;

/* go_cond_wait - unlock m, wait to be signalled, lock m again.
 *
 * There are no spurious wake-ups, yet the condition may have changed again: test it in a loop.
 * Returns 0 when signalled. m is held on return whatever the result.
 * Blocks:    this goroutine only, until the deadline.
 * Errors:    GO_ETIMEDOUT (GO_POLL counts as a deadline that has passed), GO_ECANCELED.
 * Call from: a goroutine or a thread that holds m.
 */
GO_API int go_cond_wait(go_cond *c, go_mutex *m, int64_t deadline);

/* go_cond_signal - wake the goroutine that has waited longest, if any.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread, with or without the mutex.
 */
GO_API void go_cond_signal(go_cond *c);

/* go_cond_broadcast - wake everyone who waits.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread, with or without the mutex.
 */
GO_API void go_cond_broadcast(go_cond *c);

/* A count to wait for. */
typedef struct go_waitgroup {
	uint64_t state;
	uint32_t sem;
	uint32_t pad_;
} go_waitgroup;

/* go_wg_add - add n, which may be negative, to the count; at 0 all waiters are woken.
 *
 * Panics:    "sync: negative WaitGroup counter", "sync: WaitGroup misuse: Add called
 *            concurrently with Wait".
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_wg_add(go_waitgroup *wg, int n);

/* go_wg_done - take one from the count.
 *
 * Panics:    as go_wg_add.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_wg_done(go_waitgroup *wg);

/* go_wg_wait - wait until the count is 0.
 *
 * Blocks:    this goroutine only, until the deadline.
 * Errors:    GO_EAGAIN (deadline is GO_POLL), GO_ETIMEDOUT, GO_ECANCELED.
 * Panics:    "sync: WaitGroup is reused before previous Wait has returned".
 * Call from: a goroutine or a thread.
 * Order:     what was done before each go_wg_done is visible.
 */
GO_API int go_wg_wait(go_waitgroup *wg, int64_t deadline);

/* Something to be done once. */
typedef struct go_once {
	uint32_t done;
	go_mutex m;
} go_once;

/* go_once_do - call fn(arg) unless this once has been done; return when it has been.
 *
 * fn ends by returning, a panic or go_exit, never by longjmp or an exception; either way it has
 * been done then.
 * Blocks:    this goroutine, while another runs fn.
 * Call from: a goroutine or a thread; fn calling it again for the same once waits for ever.
 * Order:     what fn did is visible.
 */
GO_API void go_once_do(go_once *o, void (*fn)(void *arg), void *arg);

/* A counting semaphore, first come first served. */
typedef struct go_sem {
	uint64_t opaque[3];
} go_sem;

/* go_sem_init - start with n permits. A zeroed semaphore has none.
 *
 * Blocks:    no.
 * Call from: anywhere, before it is shared.
 */
GO_API void go_sem_init(go_sem *s, uint32_t n);

/* go_sem_acquire - take one permit, waiting while there is none.
 *
 * Blocks:    this goroutine only, until the deadline.
 * Errors:    GO_EAGAIN (deadline is GO_POLL), GO_ETIMEDOUT, GO_ECANCELED.
 * Call from: a goroutine or a thread.
 * Order:     what was done before the matching go_sem_release is visible.
 */
GO_API int go_sem_acquire(go_sem *s, int64_t deadline);

/* go_sem_release - give n permits back or anew.
 *
 * Blocks:    no.
 * Panics:    "sync: semaphore count out of range", beyond 2^32 - 1 permits.
 * Call from: a goroutine or a thread.
 */
GO_API void go_sem_release(go_sem *s, uint32_t n);

#endif
