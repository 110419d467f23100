// SPDX-License-Identifier: BSD-3-Clause
// Locks, and plain memory: what orders threads, and accesses that something has to order.
#include "explore_engine.h"

enum {
	LOCKS = 16,
	PLAIN = 256, // plain locations, a power of two
};

typedef struct {
	const void *addr;
	int holder; // -1: free
	View view;
} Lock;

typedef struct {
	const void *addr;
	uint32_t stamp; // schedule the rest belongs to
	int16_t wby, wclock;
	int16_t rclock[CLOCKS];
} Plain;

static Lock locks[LOCKS];
static Plain plain[PLAIN];

// --- plain memory -----------------------------------------------------------------------------

static Plain *
plain_at(const void *p)
{
	uintptr_t h = (uintptr_t)p;
	h = (h >> 3) ^ (h >> 11);
	for (int i = 0; i < PLAIN; i++, h++) {
		Plain *x = &plain[h & (PLAIN - 1)];
		if (x->stamp != S.stamp) {
			memset(x, 0, sizeof(*x));
			x->stamp = S.stamp;
			x->addr = p;
			return x;
		}
		if (x->addr == p)
			return x;
	}
	explore_fail("more than %d plain locations", (int)PLAIN);
}

void
explore_plain_read(const void *p)
{
	if (!S.running)
		return;
	Plain *x = plain_at(p);
	View *now = &S.thread[S.cur].cur;
	if (explore_tracing)
		explore_say("plain read %p", p);
	if (x->wclock > now->t[x->wby])
		explore_fail("data race: T%d reads what T%d wrote", S.cur, x->wby);
	x->rclock[S.cur] = now->t[S.cur];
}

void
explore_plain_write(const void *p)
{
	if (!S.running)
		return;
	Plain *x = plain_at(p);
	View *now = &S.thread[S.cur].cur;
	if (explore_tracing)
		explore_say("plain write %p", p);
	if (x->wclock > now->t[x->wby])
		explore_fail("data race: T%d overwrites what T%d wrote", S.cur, x->wby);
	for (int i = 0; i < S.threads; i++)
		if (x->rclock[i] > now->t[i])
			explore_fail("data race: T%d overwrites what T%d reads", S.cur, i);
	x->wby = (int16_t)S.cur;
	x->wclock = now->t[S.cur];
}

// --- locks -------------------------------------------------------------------------------------

static int
lock_at(const void *p)
{
	for (int i = 0; i < S.nlocks; i++)
		if (locks[i].addr == p)
			return i;
	if (S.nlocks == LOCKS)
		explore_fail("more than %d locks", (int)LOCKS);
	Lock *k = &locks[S.nlocks];
	k->addr = p;
	k->holder = -1;
	clear(&k->view, VECTORS);
	return S.nlocks++;
}

static void
take(int i)
{
	Thread *t = &S.thread[S.cur];
	locks[i].holder = S.cur;
	join(&t->cur, &locks[i].view, VECTORS);
	join(&t->acq, &locks[i].view, VECTORS);
}

void
explore_lock(const void *p)
{
	if (!S.running)
		return;
	explore_point();
	int i = lock_at(p);
	while (locks[i].holder >= 0) {
		S.thread[S.cur].state = WAITS_LOCK;
		S.thread[S.cur].waits_for = i;
		S.runnable &= ~(UINT32_C(1) << S.cur);
		explore_give_up();
	}
	take(i);
	if (explore_tracing)
		explore_say("lock %d", i);
}

bool
explore_trylock(const void *p)
{
	if (!S.running)
		return true;
	explore_point();
	int i = lock_at(p);
	bool ok = locks[i].holder < 0;
	if (ok)
		take(i);
	if (explore_tracing)
		explore_say("trylock %d: %s", i, ok ? "got it" : "held");
	return ok;
}

void
explore_unlock(const void *p)
{
	if (!S.running)
		return;
	explore_point();
	int i = lock_at(p);
	if (locks[i].holder < 0)
		explore_fail("unlock of a free lock");
	Thread *t = &S.thread[S.cur];
	join(&locks[i].view, &t->cur, VECTORS);
	t->cur.t[S.cur]++;
	locks[i].holder = -1;
	for (int k = 0; k < S.threads; k++)
		if (S.thread[k].state == WAITS_LOCK && S.thread[k].waits_for == i) {
			S.thread[k].state = RUNS;
			S.runnable |= UINT32_C(1) << k;
		}
	if (explore_tracing)
		explore_say("unlock %d", i);
}

bool
explore_locked(const void *p)
{
	return !S.running || locks[lock_at(p)].holder >= 0;
}
