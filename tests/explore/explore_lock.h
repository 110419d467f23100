// SPDX-License-Identifier: BSD-3-Clause
// sync/sync.h with the engine's lock in place of the runtime's mutex: one step to lock, one to
// unlock.
//
// A driver includes it before the source under test when the lock is not what it is about (that
// is x_mutex.c). Notes are the real ones.
#ifndef UNDERGO_SYNC_SYNC_H
#define UNDERGO_SYNC_SYNC_H

#include "base/base.h"
#include "explore_arch.h"

typedef enum LockRank {
#define RANK(name) RANK_##name,
#include "sync/lockrank.def"
#undef RANK
	RANK_COUNT
} LockRank;

typedef struct Mutex {
	char place; // its address is what the engine knows it by
} Mutex;

#define MUTEX_INIT(rank) \
	{                \
		0        \
	}
#define assert_held(m) assert(explore_locked(m))

static inline void
mutex_init(Mutex *m, LockRank rank)
{
	(void)rank;
	m->place = 0;
}

static inline void
lockrank_acquire(Mutex *m)
{
	(void)m;
}

static inline void
lockrank_release(Mutex *m)
{
	(void)m;
}

static inline void
mutex_lock(Mutex *m)
{
	explore_lock(m);
}

static inline bool
mutex_trylock(Mutex *m)
{
	return explore_trylock(m);
}

static inline void
mutex_unlock(Mutex *m)
{
	explore_unlock(m);
}

typedef struct Note {
	ATOMIC_U32 key;
} Note;

void note_clear(Note *n);
void note_wake(Note *n);
bool note_woken(Note *n);
bool note_sleep(Note *n, int64_t deadline);

#endif
