// SPDX-License-Identifier: BSD-3-Clause
// Channels, select, and what else parks a G on a queue: mutex, rwmutex, cond, waitgroup, once,
// semaphores.
//
// The core of both faces. Every function here runs inside the runtime, between sched_enter and
// sched_leave, unless it says otherwise. Protocols: src/chan/README.
#ifndef UNDERGO_CHAN_CHAN_H
#define UNDERGO_CHAN_CHAN_H

#include "base/base.h"
#include "panic/chain.h"
#include "sched/sched.h"
#include "undergo/base.h"
#include "undergo/chan.h"
#include "undergo/sync.h"

typedef struct go_chan Hchan;
typedef struct go_case SelectCase;

// --- channels ---------------------------------------------------------------------------------

// NULL without memory. Panics: "makechan: size out of range".
Hchan *chan_new(size_t elem_bytes, size_t cap);
void chan_free(Hchan *c);
// The same in managed memory, which nobody frees; elements may have pointers or have none. The
// caller has seen to it that all elements together have a size. NULL without memory.
Hchan *chan_new_managed(size_t elem_bytes, size_t cap, bool pointers);

// Waits until the deadline; GO_POLL does not wait. 0, GO_EAGAIN, GO_ETIMEDOUT, GO_ECANCELED.
// Panics: "send on closed channel".  Blocks: G.
int chan_send(Hchan *c, const void *elem, int64_t deadline);
// The same, and GO_ECLOSED with *elem zeroed. elem may be NULL.
int chan_recv(Hchan *c, void *elem, int64_t deadline);

static inline bool
chan_try_send(Hchan *c, const void *elem)
{
	return chan_send(c, elem, GO_POLL) == 0;
}

// 0, GO_ECLOSED or GO_EAGAIN.
static inline int
chan_try_recv(Hchan *c, void *elem)
{
	return chan_recv(c, elem, GO_POLL);
}

// Panics: "close of nil channel", "close of closed channel".
void chan_close(Hchan *c);

// No need to be inside the runtime. NULL has neither.
size_t chan_len(const Hchan *c);
size_t chan_cap(const Hchan *c);
size_t chan_elem_bytes(const Hchan *c); // not NULL

// The index of the case done, or an error of go_select. n is at most SELECT_MAX and not negative.
enum { SELECT_MAX = 65536 };
int chan_select(SelectCase *cases, int n, int64_t deadline);

// Throws when an invariant of chan.c does not hold. Takes the lock.
void chan_verify(Hchan *c);

// --- semaphores on a word, as compiled Go code knows them -------------------------------------

// Takes one from *addr, waiting while it is 0. lifo: before those who wait already.  Blocks: G.
void sema_acquire(uint32_t *addr, WaitReason why, bool lifo);
// The same for who wants to be known to have waited since then; 0: he does not.
void sema_acquire_since(uint32_t *addr, WaitReason why, bool lifo, int64_t since);
// Gives one to the first waiter, or adds it to *addr. handoff: the caller lets the waiter run at
// once. Returns how many nanoseconds the waiter has waited; 0 when there is none or he did not say.
int64_t sema_release(uint32_t *addr, bool handoff);

// --- sync -------------------------------------------------------------------------------------

// The fast halves (gmutex_try_lock, gmutex_unlock_fast and their like) need not be inside the
// runtime.

// Names for the words of the public structs: atomics, which a header that C++ reads cannot say.
typedef ATOMIC(int32_t) ATOMIC_I32;
#ifndef UNDERGO_EXPLORE // whose atomics are larger, so that its drivers name other words
static_assert(sizeof(ATOMIC_U32) == sizeof(uint32_t), "ATOMIC adds nothing");
static_assert(sizeof(ATOMIC_U64) == sizeof(uint64_t), "ATOMIC adds nothing");
#define ATOMIC_WORD(p) ((ATOMIC_U32 *)(void *)(p))
#define ATOMIC_WORD64(p) ((ATOMIC_U64 *)(void *)(p))
#define ATOMIC_INT(p) ((ATOMIC_I32 *)(void *)(p))
#endif

static inline bool
gmutex_try_lock(go_mutex *m)
{
	uint32_t zero = 0;
	return cas_acq(ATOMIC_WORD(&m->held), &zero, 1); // order: claim, pairs with unlock
}

// go_mutex.held while somebody has it.
enum {
	GMUTEX_HELD_BIT = 1,
	GMUTEX_WAKE_BIT = 4, // somebody is to be woken at unlock; which bit, see mutex.c
};

// What of an unlock is left to do.
typedef enum GmutexRest {
	GMUTEX_DONE,
	GMUTEX_ASK,      // nothing done yet: gmutex_unlock_contended
	GMUTEX_HELD,     // nothing done yet: gmutex_unlock_held
	GMUTEX_RELEASED, // it is free, and somebody may wait: gmutex_unlock_released
} GmutexRest;

// *waited becomes how many nanoseconds he has slept who goes on now, if somebody does. It may be
// NULL.
void gmutex_unlock_held(go_mutex *m, int64_t *waited);
void gmutex_unlock_released(go_mutex *m, int64_t *waited);

// What there is to do when nobody waits, or GMUTEX_ASK.  Blocks: no.  The order: mutex.c, O2.
static inline GmutexRest
gmutex_unlock_quiet(go_mutex *m)
{
	if (unlikely(load_rlx(ATOMIC_WORD(&m->held)) == 0) || // order: own, the caller holds it
	    unlikely(load_rlx(ATOMIC_WORD(&m->slow)) != 0))   // order: hint, looked at again
		return GMUTEX_ASK;
	store_rel(ATOMIC_WORD(&m->held), 0); // order: release, pairs with try_lock
	fence_light();                       // order: dekker with announce in mutex.c
	return likely(load_rlx(ATOMIC_WORD(&m->slow)) == 0) ? GMUTEX_DONE : GMUTEX_RELEASED;
}

// Never GMUTEX_ASK.  Fatal: "sync: unlock of unlocked mutex".  Blocks: no.
GmutexRest gmutex_unlock_contended(go_mutex *m);

// Both.
static inline GmutexRest
gmutex_unlock_fast(go_mutex *m)
{
	GmutexRest rest = gmutex_unlock_quiet(m);
	return likely(rest != GMUTEX_ASK) ? rest : gmutex_unlock_contended(m);
}

void gmutex_lock_slow(go_mutex *m, WaitReason why); // Blocks: G.

static inline void
gmutex_lock(go_mutex *m, WaitReason why)
{
	if (unlikely(!gmutex_try_lock(m)))
		gmutex_lock_slow(m, why);
}

static inline void
gmutex_unlock(go_mutex *m)
{
	GmutexRest rest = gmutex_unlock_fast(m);
	if (unlikely(rest == GMUTEX_HELD))
		gmutex_unlock_held(m, NULL);
	else if (unlikely(rest == GMUTEX_RELEASED))
		gmutex_unlock_released(m, NULL);
}

// Each pair: the first half is everything unless it returns false, then the slow half follows.
bool grwmutex_rlock_fast(go_rwmutex *rw);
void grwmutex_rlock_slow(go_rwmutex *rw); // Blocks: G.
bool grwmutex_try_rlock(go_rwmutex *rw);
bool grwmutex_runlock_fast(go_rwmutex *rw, int32_t *left);
void grwmutex_runlock_slow(go_rwmutex *rw, int32_t left);
void grwmutex_lock(go_rwmutex *rw); // Blocks: G.
bool grwmutex_try_lock(go_rwmutex *rw);
void grwmutex_unlock(go_rwmutex *rw);

int gcond_wait(go_cond *c, go_mutex *m, int64_t deadline); // Blocks: G.
bool gcond_idle(go_cond *c);                               // nobody to wake; needs no runtime
void gcond_signal(go_cond *c);
void gcond_broadcast(go_cond *c);

bool gwg_add_fast(go_waitgroup *wg, int n); // false: gwg_wake follows
void gwg_wake(go_waitgroup *wg);
bool gwg_done(go_waitgroup *wg);                  // the count is 0; needs no runtime
int gwg_wait(go_waitgroup *wg, int64_t deadline); // Blocks: G.

// A function of go_once_do that a goroutine is in; on its stack.
typedef struct OnceRun {
	Defer d; // should the function not return
	go_once *once;
} OnceRun;

bool gonce_done(go_once *o); // needs no runtime
// True: the caller runs the function, then calls gonce_end.  Blocks: G.
bool gonce_begin(go_once *o, OnceRun *run);
void gonce_end(OnceRun *run);

void gsem_init(go_sem *s, uint32_t n);
bool gsem_try_acquire(go_sem *s);              // needs no runtime
int gsem_acquire(go_sem *s, int64_t deadline); // Blocks: G.
bool gsem_release_fast(go_sem *s, uint32_t n); // false: gsem_release_slow follows; needs no runtime
void gsem_release_slow(go_sem *s, uint32_t n);

#endif
