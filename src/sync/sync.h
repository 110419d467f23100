// SPDX-License-Identifier: BSD-3-Clause
// What blocks an M: Mutex and Note, and Biased (biased.h). Goroutines are blocked by sched_park,
// never by these for long.
//
// Mutex costs one locked instruction per lock/unlock pair: unlocking is a plain store and a look at
// the sleepers' count, made safe by an asymmetric fence on the sleeper's side (mutex.c). Locks have
// ranks (lockrank.def, docs/lockrank.dag), checked at each acquire in debug builds.
#ifndef UNDERGO_SYNC_SYNC_H
#define UNDERGO_SYNC_SYNC_H

#include "base/base.h"

typedef enum LockRank {
#define RANK(name) RANK_##name,
#include "sync/lockrank.def"
#undef RANK
	RANK_COUNT
} LockRank;

typedef struct Mutex {
	ATOMIC_U32 held;     // 1 while somebody has it
	ATOMIC_U32 sleepers; // threads asleep, or on their way
#ifndef NDEBUG
	uint8_t rank; // LockRank
#endif
} Mutex;

#ifdef NDEBUG
#define MUTEX_INIT(rank) {ATOMIC_INIT(0), ATOMIC_INIT(0)}
#else
#define MUTEX_INIT(rank) {ATOMIC_INIT(0), ATOMIC_INIT(0), RANK_##rank}
#endif

void mutex_init(Mutex *m, LockRank rank);
void mutex_lock_slow(Mutex *m);
void mutex_unlock_slow(Mutex *m);

#ifdef NDEBUG
#define assert_held(m) ((void)0)
static inline void lockrank_acquire(Mutex *m) { (void)m; }
static inline void lockrank_release(Mutex *m) { (void)m; }
#else
#define assert_held(m) assert(load_rlx(&(m)->held) == 1) // order: own, checked by its holder
void lockrank_acquire(Mutex *m);
void lockrank_release(Mutex *m);
// For tests: from here on somebody has each lock and never gives it up.
extern ATOMIC_BOOL lockrank_frozen;
#endif

// Blocks: M.  Stack: any, no signal handler.  Allocates: no.
static inline void
mutex_lock(Mutex *m)
{
	uint32_t zero = 0;
	lockrank_acquire(m);
	if (unlikely(!cas_acq(&m->held, &zero, 1))) // order: claim, pairs with mutex_unlock
		mutex_lock_slow(m);
}

static inline bool
mutex_trylock(Mutex *m)
{
	uint32_t zero = 0;
	if (!cas_acq(&m->held, &zero, 1)) // order: claim, pairs with mutex_unlock
		return false;
	lockrank_acquire(m);
	return true;
}

// The thread that unlocks need not be the one that locked: a parking G's lock is given up by its
// successor on the same M.
static inline void
mutex_unlock(Mutex *m)
{
	lockrank_release(m);
	store_rel(&m->held, 0); // order: release, pairs with mutex_lock
	fence_light();          // order: dekker with mutex_lock_slow: held cleared, sleepers read
	if (unlikely(load_rlx(&m->sleepers) != 0))
		mutex_unlock_slow(m);
}

// A one-shot event with one sleeper: clear, then sleep in one thread, wake in another, each once
// per round. A wake before the sleep is kept.
typedef struct Note {
	ATOMIC_U32 key; // 0 cleared, 1 woken
} Note;

void note_clear(Note *n);
void note_wake(Note *n); // wakes the sleeper, or lets its coming sleep return at once
// Sleeps until woken or the deadline; true when woken. Blocks: M.
bool note_sleep(Note *n, int64_t deadline);
// For a sleeper that sleeps elsewhere: whether it was woken. Then this is its note_sleep.
bool note_woken(Note *n);

#endif
