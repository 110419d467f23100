// SPDX-License-Identifier: BSD-3-Clause
// Lock ranks, in debug builds: each acquire is checked against the order of docs/lockrank.dag.
//
// Each thread keeps a list of the locks it holds. A new one may be taken when the order allows its
// rank after that of every lock in the list. Locks of rank chan may be held together, taken by
// rising address, because select locks all its channels; so may locks of rank timers, when a P
// hands its timers on. Locks of rank scope are taken together from the root of a tree to its
// leaves, which cannot be checked here. Those of one rank share one entry, which remembers the last
// taken, and how many.
//
// A lock may be released out of order, and by another goroutine than took it, never by another
// thread: a parking goroutine's lock is given up by who runs next on the same thread.
#include "sync/sync.h"

#ifndef NDEBUG

#include "os/os.h"

enum { HELD_MAX = 16 }; // more would mean a chain of as many ranks

typedef struct Entry {
	const Mutex *lock; // the last taken, of several; maybe released and freed since
	uint32_t n;        // how many; more than 1 only where together
	uint8_t rank;      // LockRank
} Entry;

typedef struct Held {
	uint32_t n;
	Entry entries[HELD_MAX];
} Held;

static __thread Held held_locks;
ATOMIC_BOOL lockrank_frozen;

static const char *const rank_names[] = {
#define RANK(name) #name,
#include "sync/lockrank.def"
#undef RANK
};

static const bool may_hold[RANK_COUNT][RANK_COUNT] = {
#define MAY_HOLD(held, acquired) [RANK_##held][RANK_##acquired] = true,
#include "lockrank_order.def" // made from docs/lockrank.dag by scripts/check-lockrank
#undef MAY_HOLD
};

// The calling thread's list. Not inlined: forms the address of a thread-local. The simulation has
// one thread of the system, so the flag needs no guard.
static NOINLINE Held *
held_here(void)
{
	static bool known_to_sim;
	if (unlikely(os_simulated) && !known_to_sim) {
		known_to_sim = true;
		os_sim_thread_local(&held_locks, sizeof(held_locks));
	}
	return &held_locks;
}

// Whether m and the locks of e share a rank of which several may be held.
static bool
together(const Entry *e, const Mutex *m)
{
	bool several = m->rank == RANK_chan || m->rank == RANK_timers || m->rank == RANK_scope;
	return several && e->rank == m->rank;
}

static bool
in_order(const Entry *held, const Mutex *m)
{
	if (together(held, m))
		return m->rank == RANK_scope ? held->lock != m : held->lock < m;
	return may_hold[held->rank][m->rank];
}

COLD NORETURN static void
out_of_order(const Entry *held, const Mutex *m)
{
	print_str("runtime: acquiring a lock of rank ");
	print_str(rank_names[m->rank]);
	print_str(" while holding one of rank ");
	print_str(rank_names[held->rank]);
	print_str("\n");
	throw("lock ordering problem");
}

// The entry that m is in, or would join; NULL when it needs one of its own. Another rank's may have
// the address of m: of a lock that was there before.
static Entry *
find(Held *h, const Mutex *m)
{
	for (uint32_t i = h->n; i > 0; i--) {
		Entry *e = &h->entries[i - 1];
		if (e->rank == m->rank && (e->lock == m || together(e, m)))
			return e;
	}
	return NULL;
}

// Locks: none.  Stack: any.
void
lockrank_acquire(Mutex *m)
{
	Held *h = held_here();
	while (unlikely(load_rlx(&lockrank_frozen))) // order: hint
		os_sleep(INT64_MAX / 2);
	for (uint32_t i = 0; i < h->n; i++)
		if (unlikely(!in_order(&h->entries[i], m)))
			out_of_order(&h->entries[i], m);

	Entry *e = find(h, m);
	if (e != NULL) {
		e->lock = m;
		e->n++;
		return;
	}
	check(h->n < HELD_MAX, "lockrank: too many locks held");
	h->entries[h->n++] = (Entry){m, 1, m->rank};
}

// Locks: m.  Stack: any.
void
lockrank_release(Mutex *m)
{
	Held *h = held_here();
	Entry *e = find(h, m);
	check(e != NULL, "lockrank: releasing a lock that this thread does not hold");
	if (--e->n > 0)
		return;
	Entry *end = &h->entries[h->n--];
	for (; e + 1 < end; e++)
		e[0] = e[1];
}

#endif
