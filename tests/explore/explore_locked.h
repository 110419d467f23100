// SPDX-License-Identifier: BSD-3-Clause
// Ms with locked Gs, and the scheduler that lies below them, as it stands in src/sched, with the
// engine's lock and the real notes; and what lies around it. For x_locked, x_minder and x_monitor;
// a driver is one C file and includes it once.
//
// Thread 0 is an M of a locked G. Thread 2 is the monitor, which makes threads. Those from 3 on may
// be Ms that look for work and never keep what they find: it is a number. Time stands still;
// deadlines come when the schedule says so.
#ifndef UNDERGO_TESTS_EXPLORE_LOCKED_H
#define UNDERGO_TESTS_EXPLORE_LOCKED_H

#include "explore_arch.h"

#include "explore_lock.h"

#include "sched/find.c"
#include "sched/idle.c"
#include "sched/lease.c"
#include "sched/lent.c"
#include "sched/locked.c"
#include "sched/queue.c"
#include "sched/runq.c"
#define main_body run_main_body // lent.c has one, too
#include "sched/start.c"
#undef main_body
#include "sched/sysmon.c"
#include "sched/thread.c"
#define announce note_announce // lease.c has one, too
#include "sync/note.c"
#undef announce

#include <string.h>

enum { PS = 3, MS = 8, GS = 6, THREADS = 7, LOCKED = 0, WAKER = 1, MONITOR = 2 };

ATOMIC_U32 sched_n_procs;
static P ps[PS];
static P *const all_ps[PS] = {&ps[0], &ps[1], &ps[2]};
static M ms[MS];
static G gs[GS]; // gs[0] is locked to ms[LOCKED]
static int taken[GS];
static uint32_t n_made, n_ps;
static int n_threads, runs, ended;
static ATOMIC_U32 parked; // the locked G has: it can be woken

// --- what lies around the code under test -------------------------------------------------------

ProcSnapshot
sched_procs(void)
{
	return (ProcSnapshot){n_ps, all_ps};
}

ProcSnapshot
procs_all(void)
{
	return sched_procs();
}

void
p_run_safe_point(P *pp)
{
	(void)pp;
}

void
world_p_stopped(P *pp)
{
	(void)pp;
	explore_fail("nobody stops the world here");
}

static Mutex timers;
static G *timer_of[PS]; // whom a P's timer readies

int64_t
up_timers_run(P *pp, int64_t now)
{
	mutex_lock(&timers);
	int64_t when = load_acq(&pp->timer_when);
	bool due = when <= now;
	if (due)
		store_rel(&pp->timer_when, INT64_MAX);
	mutex_unlock(&timers);
	if (due)
		locked_ready(timer_of[pp->id]);
	return due ? INT64_MAX : when;
}

// When check_dead asks, it has found all asleep. It is told of a stranger, and suspects.
int
os_thread_count(void)
{
	return -1;
}

// Nobody waits for a descriptor.
bool
poll_now(void)
{
	return false;
}

static M *given[THREADS];
static ATOMIC_U32 born[THREADS];
static bool refuses; // the system, threads

int
os_thread_start(void (*fn)(void *), void *arg)
{
	(void)fn;
	M *me = sched_m();
	EXPLORE_CHECK(me == NULL || me->locks[LOCK_EXTERNAL] == 0, "a locked M makes a thread");
	for (int i = MONITOR + 1; i < n_threads && !refuses; i++)
		if (given[i] == NULL) {
			given[i] = arg;
			store_rel(&born[i], 1);
			explore_futex_wake(&born[i], 1);
			return 0;
		}
	return -EAGAIN;
}

static bool in_use[MS]; // from the beginning
static int next_m;

void *
os_alloc(size_t bytes)
{
	(void)bytes;
	while (next_m < MS && in_use[next_m])
		next_m++;
	EXPLORE_CHECK(next_m < MS, "too few Ms");
	explore_plain_write(&ms[next_m].id);
	return &ms[next_m++];
}

// --- Ms -----------------------------------------------------------------------------------------

// What sched_run does, with goroutines that are numbers.
static void
run(M *mp)
{
	for (G *gp; (gp = find_runnable(mp)) != NULL;) {
		if (mp->spinning)
			stop_spinning(mp);
		EXPLORE_CHECK(mp->p != NULL && EXPLORE_RAW(&mp->p->m) == mp,
			      "an M runs without its P");
		if (gp->locked) {
			locked_hand_over(mp, gp);
			continue;
		}
		taken[gp - gs]++;
		EXPLORE_CHECK(taken[gp - gs] == 1, "a G was taken twice");
	}
}

static void
look_for_work(int id)
{
	explore_may_sleep(true);
	while (load_acq(&born[id]) == 0)
		(void)explore_futex_wait(&born[id], 0, false);
	M *mp = given[id];
	explore_words.m = mp;
	P *pp = mp->next_p;
	mp->next_p = NULL;
	if (pp != NULL)
		p_acquire(mp, pp);
	run(mp);
}

static void
monitor(void)
{
	explore_may_sleep(true);
	for (;;) {
		monitor_doze(0, INT64_MAX);
		births_serve();
	}
}

// The locked M is in its scheduler and waits until its G may run.
static void
run_locked(void)
{
	M *mp = &ms[LOCKED];
	G *gp = find_locked(mp);
	EXPLORE_CHECK(gp == &gs[0], "not its own G");
	EXPLORE_CHECK(mp->p != NULL && EXPLORE_RAW(&mp->p->m) == mp, "it runs without a P");
	EXPLORE_CHECK(EXPLORE_RAW(&mp->p->attention) != 0, "no attention"); // T2
	PLAIN_WRITE(runs, runs + 1);
}

static void
park(void)
{
	store_rel(&parked, 1);
	explore_futex_wake(&parked, 1);
	run_locked();
}

static void
wake(void)
{
	explore_may_sleep(true);
	while (load_acq(&parked) == 0)
		(void)explore_futex_wait(&parked, 0, false);
	store_rlx(&parked, 0);
	locked_ready(&gs[0]);
}

// --- set-up -------------------------------------------------------------------------------------

static void
begin(uint32_t procs, int with_threads)
{
	n_threads = with_threads;
	explore_thread_local(&explore_words, sizeof(explore_words));
	memset(&sched, 0, sizeof(sched));
	sched.max_threads = MAX_THREADS;
	memset(&sched_n_procs, 0, sizeof(sched_n_procs));
	memset(ps, 0, sizeof(ps));
	memset(ms, 0, sizeof(ms));
	memset(gs, 0, sizeof(gs));
	memset(taken, 0, sizeof(taken));
	memset(given, 0, sizeof(given));
	memset(born, 0, sizeof(born));
	memset(timer_of, 0, sizeof(timer_of));
	refuses = false;
	memset(&parked, 0, sizeof(parked));
	memset(in_use, 0, sizeof(in_use));
	next_m = MONITOR + 1;
	runs = ended = 0;
	n_made = 1;
	n_ps = procs;
	store_rlx(&sched_n_procs, procs);
	sched.n_threads = 100; // check_dead has nothing to say
	for (uint32_t i = 0; i < PS; i++) {
		ps[i].id = i;
		store_rlx(&ps[i].timer_when, INT64_MAX);
		store_rlx(&ps[i].tick, 1);
	}
	for (int i = 0; i < MS; i++) {
		ms[i].id = (uint64_t)i;
		ms[i].rand = base_mix((uint64_t)i + 1);
		store_rlx(&ms[i].lease.inrt, 1);
	}
	M *mp = &ms[LOCKED];
	store_rlx(&mp->tid, 1);
	mp->locked_g = &gs[0];
	mp->locks[LOCK_EXTERNAL] = 1;
	gs[0].locked = true;
	store_rlx(&gs[0].m, mp);
	p_acquire(mp, &ps[0]);
}

static G *
make(void)
{
	return &gs[n_made++];
}

static void
looks(int i, int p)
{
	in_use[i] = true;
	ms[i].p = &ps[p];
	store_rlx(&ps[p].m, &ms[i]);
	store_rlx(&ps[p].status, Prunning);
	given[i] = &ms[i];
	store_rlx(&born[i], 1);
}

static void
others(int id)
{
	if (id == MONITOR)
		monitor();
	else
		look_for_work(id);
}

#endif
