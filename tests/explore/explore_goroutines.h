// SPDX-License-Identifier: BSD-3-Clause
// Goroutines for drivers about what goroutines wait on: each thread of a test is one, it parks on
// a flag of its own. One of the threads may be the timers, which fire when the schedule says so.
//
// It stands in for the scheduler and for src/timer, whose names it defines, so a driver, one C
// file, includes it once. What ends a wait is not here: a driver that has deadlines includes
// sched/wait.c, too.
#ifndef UNDERGO_TESTS_EXPLORE_GOROUTINES_H
#define UNDERGO_TESTS_EXPLORE_GOROUTINES_H

#include "explore_arch.h"

#include "explore_lock.h"

#include "sched/sched_impl.h"

#include <string.h>

enum { GOROUTINES = 5, LATER = 1000 }; // time stands still; a deadline comes when it is fired

static G gs[GOROUTINES];
static M ms[GOROUTINES];
static ATOMIC_U32 run_flag[GOROUTINES]; // 1: readied, and not yet running
static Mutex timers;
static G *armed[GOROUTINES]; // whose deadline is set; under timers
static ATOMIC_U32 finished;  // goroutines with deadlines that are through

// For a test's init: nobody runs, no deadline is set.
static void
no_goroutines(void)
{
	explore_thread_local(&explore_words, sizeof(explore_words));
	memset(gs, 0, sizeof(gs));
	memset(ms, 0, sizeof(ms));
	memset(run_flag, 0, sizeof(run_flag));
	memset(armed, 0, sizeof(armed));
	memset(&finished, 0, sizeof(finished));
}

// First in a thread: from here on it is goroutine id.
static void
begin(int id)
{
	explore_words.m = &ms[id];
	explore_words.g = &gs[id];
	ms[id].curg = &gs[id];
	ms[id].rand = explore_random(1 << 30) + 1;
}

// --- parking and waking -----------------------------------------------------------------------

void
sched_park(WaitReason why, void (*after)(void *), void *arg)
{
	ATOMIC_U32 *flag = &run_flag[sched_g() - gs];
	(void)why;
	if (after != NULL)
		after(arg);
	while (load_acq(flag) == 0)
		explore_futex_wait(flag, 0, false);
	store_rlx(flag, 0);
}

// Nobody counts.
void
sched_count_self(bool counts)
{
	(void)counts;
}

void
sched_count_held(bool counts)
{
	(void)counts;
}

void
sched_unlock_after(void *l)
{
	mutex_unlock(l);
}

void
sched_park_unlock(WaitReason why, Mutex *l)
{
	sched_park(why, sched_unlock_after, l);
}

void
sched_ready(G *gp)
{
	ATOMIC_U32 *flag = &run_flag[gp - gs];
	EXPLORE_CHECK(load_rlx(flag) == 0, "a G was readied twice");
	store_rel(flag, 1);
	explore_futex_wake(flag, 1);
}

void
sched_ready_aside(G *gp)
{
	sched_ready(gp);
}

void
sched_ready_list(GList *l)
{
	for (G *gp = l->first, *next; gp != NULL; gp = next) {
		next = gp->link;
		sched_ready(gp);
	}
}

void
sched_gosched(void)
{
	explore_yield();
}

bool
sched_spin_helps(void)
{
	return false;
}

// --- deadlines --------------------------------------------------------------------------------

void
up_deadline_arm(Deadline *d, G *gp, int64_t when)
{
	(void)d;
	(void)when;
	mutex_lock(&timers);
	armed[gp - gs] = gp;
	mutex_unlock(&timers);
}

void
up_deadline_disarm(Deadline *d)
{
	(void)d;
	mutex_lock(&timers);
	armed[sched_g() - gs] = NULL;
	mutex_unlock(&timers);
}

static void
fire_all(void)
{
	for (int i = 0; i < GOROUTINES; i++) {
		mutex_lock(&timers);
		G *gp = armed[i];
		armed[i] = NULL;
		if (gp != NULL)
			sched_claim_and_ready(gp, CLAIM_DEADLINE);
		mutex_unlock(&timers);
	}
}

// Fires until the n who have deadlines are through.
static void
be_timers(uint32_t n)
{
	while (load_acq(&finished) != n) {
		fire_all();
		explore_yield();
	}
}

#endif
