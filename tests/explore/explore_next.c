// SPDX-License-Identifier: BSD-3-Clause
// Who goes on: at each step the scheduler of the policy picks a thread.
#include "explore_engine.h"

#include <stdio.h>

enum {
	FAIR_AFTER = 1500, // steps; then random scheduling and fresh reads only
	LIVELOCK = 10000,  // steps that no fair schedule of a driver comes near
};

static int
nth_bit(uint32_t bits, uint32_t n)
{
	while (n-- > 0)
		bits &= bits - 1;
	return __builtin_ctz(bits);
}

int
explore_random_bit(uint32_t bits)
{
	if ((bits & (bits - 1)) == 0)
		return __builtin_ctz(bits);
	return nth_bit(bits, below((uint32_t)__builtin_popcount(bits)));
}

void
explore_wake_thread(int i, enum ExploreWoken how)
{
	S.thread[i].state = RUNS;
	S.thread[i].woken = how;
	S.asleep &= ~(UINT32_C(1) << i);
	S.runnable |= UINT32_C(1) << i;
}

static int
highest(uint32_t bits)
{
	int best = -1;
	for (; bits != 0; bits &= bits - 1) {
		int i = __builtin_ctz(bits);
		if (best < 0 || S.thread[i].prio > S.thread[best].prio)
			best = i;
	}
	return best;
}

// The next thread to run, -1 when none can. except: one that would rather not, or -1.
int
explore_pick(int except)
{
	if (S.asleep != 0 && S.spurious && S.runnable != 0 && below(24) == 0) {
		int i = explore_random_bit(S.asleep);
		bool late = S.thread[i].deadline && below(2) != 0;
		explore_wake_thread(i, late ? EXPLORE_TIMED_OUT : EXPLORE_WOKEN);
	}
	uint32_t run = S.runnable;
	if (run == 0)
		return -1;
	if (S.policy == PCT)
		return highest(run);
	if (except >= 0 && (run & ~(UINT32_C(1) << except)) != 0)
		run &= ~(UINT32_C(1) << except);
	else if (S.policy == STICKY && (run >> S.cur & 1) && below(4) != 0)
		return S.cur;
	return explore_random_bit(run);
}

static void
go_to(int next)
{
	int me = S.cur;
	if (next == me)
		return;
	if (S.tlocals != 0)
		explore_swap_thread_locals(me, next);
	S.cur = next;
	explore_switch_fibers(&S.thread[me], &S.thread[next]);
}

static const char *
stuck_text(void)
{
	static char buf[400];
	int n = 0;
	buf[0] = 0;
	for (int i = 0; i < S.threads; i++) {
		Thread *t = &S.thread[i];
		const char *what = "is done";
		if (t->state == SLEEPS)
			what = explore_location_name(t->waits_for);
		else if (t->state == WAITS_LOCK)
			what = "a lock";
		n += snprintf(buf + n, sizeof(buf) - (size_t)n, "%sT%d %s%s", i > 0 ? ", " : "", i,
			      t->state == DONE ? "" : "waits for ", what);
		if (n >= (int)sizeof(buf))
			break;
	}
	return buf;
}

// The current thread cannot go on. Returns when it can, unless the schedule ends here.
void
explore_give_up(void)
{
	int next = explore_pick(-1);
	if (next < 0) {
		uint32_t timed = 0;
		bool may_end = true;
		for (int i = 0; i < S.threads; i++) {
			if (S.thread[i].state == SLEEPS && S.thread[i].deadline)
				timed |= UINT32_C(1) << i;
			if (S.thread[i].state != DONE && !S.thread[i].may_sleep)
				may_end = false;
		}
		if (!may_end && timed != 0) {
			next = explore_random_bit(timed);
			explore_wake_thread(next, EXPLORE_TIMED_OUT);
		} else if (may_end) {
			explore_switch_to_main(&S.thread[S.cur]);
			__builtin_unreachable();
		} else {
			explore_fail("deadlock: %s", stuck_text());
		}
	}
	go_to(next);
}

static void
limits(void)
{
	if (S.steps == FAIR_AFTER) {
		S.policy = UNIFORM;
		S.staleness = FRESH;
	}
	if (S.steps < LIVELOCK)
		return;
	bool may_end = true;
	for (int i = 0; i < S.threads; i++)
		if (S.thread[i].state != DONE && !S.thread[i].may_sleep)
			may_end = false;
	if (!may_end)
		explore_fail("livelock: %d steps, thread %d runs", S.steps, S.cur);
	explore_switch_to_main(&S.thread[S.cur]);
}

// A step begins: anyone may come first.
void
explore_point(void)
{
	if (__builtin_expect(++S.steps >= FAIR_AFTER, 0))
		limits();
	if (S.policy == PCT)
		for (int i = 0; i < S.changes; i++)
			if (S.change[i] == S.steps)
				S.thread[S.cur].prio = --S.lowest;
	go_to(explore_pick(-1));
}

void
explore_yield(void)
{
	if (!S.running)
		return;
	if (++S.steps >= FAIR_AFTER)
		limits();
	S.thread[S.cur].stale_left >>= 1;
	S.thread[S.cur].prio = --S.lowest;
	if (explore_tracing)
		explore_say("yield");
	go_to(explore_pick(S.cur));
}

void
explore_fiber_main(void)
{
	Thread *t = &S.thread[S.cur];
	S.test->thread(S.cur);
	t->state = DONE;
	S.runnable &= ~(UINT32_C(1) << S.cur);
	for (int i = 0; i < S.threads; i++)
		if (S.thread[i].state != DONE)
			explore_give_up();
	explore_switch_to_main(t);
	__builtin_unreachable();
}

int
explore_self(void)
{
	return S.running ? S.cur : -1;
}

void
explore_may_sleep(bool yes)
{
	if (S.running)
		S.thread[S.cur].may_sleep = yes;
}
