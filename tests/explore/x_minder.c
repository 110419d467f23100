// SPDX-License-Identifier: BSD-3-Clause
// Timers that locked Ms mind where the system refuses threads: src/sched/locked.c, and those who
// tell them (T6 there).
//
// Thread 1 is the clock. It lets a timer become due that wakes a locked G; when nothing moves any
// more that has run. Nobody who sleeps without a deadline learns of the time.
#include "explore_locked.h"

// --- timers, without threads --------------------------------------------------------------------

enum { LATER = 1000 }; // time stands still, and later is never, but deadlines may come
static ATOMIC_U32 waits[MS], through; // Ms whose G waits, and how many are through with it
static ATOMIC_U32 blocked;             // thread 3 is in user code, or has ended

static void
init_clock(uint32_t procs, int with_threads)
{
	begin(procs, with_threads);
	memset(waits, 0, sizeof(waits));
	memset(&through, 0, sizeof(through));
	memset(&blocked, 0, sizeof(blocked));
	refuses = true;
}

static void
set_timer(int p, G *gp)
{
	timer_of[p] = gp;
	store_rlx(&ps[p].timer_when, LATER);
}

static void
tell(ATOMIC_U32 *flag)
{
	add_rel(flag, 1);
	explore_futex_wake(flag, INT32_MAX);
}

static void
wait_for(ATOMIC_U32 *flag, uint32_t n)
{
	for (uint32_t v; (v = load_acq(flag)) != n;)
		(void)explore_futex_wait(flag, v, false);
}

// M id's G, which has gone to sleep, is to run.
static void
sleep_locked(int id)
{
	M *mp = &ms[id];
	explore_words.m = mp;
	tell(&waits[id]);
	G *gp = find_locked(mp);
	EXPLORE_CHECK(gp == mp->locked_g && mp->p != NULL, "not its own G, or no P");
	tell(&through);
	lease_leave(&mp->lease); // for ever
}

// The timer of p is due. Nobody is told of that: deadlines come.
static void
let_time_pass(int p)
{
	store_rel(&ps[p].timer_when, 0);
}

// Its P is the first that idles; the timer is another's.
static void
init_alone(void)
{
	init_clock(3, 3);
	pidle_put(&ps[1]);
	pidle_put(&ps[2]);
	set_timer(1, &gs[0]);
}

static void
alone(int id)
{
	if (id == LOCKED) {
		sleep_locked(id);
	} else if (id == WAKER) {
		wait_for(&waits[LOCKED], 1);
		let_time_pass(1);
	} else {
		monitor();
	}
}

// Thread 3 has the other M, which idles, until it takes a G that blocks. Thread 4 is the monitor
// that takes its P.
static void
init_beside(void)
{
	init_clock(2, 5);
	set_timer(0, &gs[0]);
	looks(3, 1);
	n_made = 2;
}

// As if a thread had been refused just now.
static void
init_beside_refused(void)
{
	init_beside();
	sched.refused = true;
	store_rlx(&sched.thread_wanted, 1);
}

static void
block(M *mp)
{
	G *gp;
	explore_words.m = mp;
	explore_may_sleep(true);
	while ((gp = find_runnable(mp)) != NULL && gp->locked) {
		if (mp->spinning)
			stop_spinning(mp);
		locked_hand_over(mp, gp);
	}
	if (mp->spinning)
		stop_spinning(mp);
	lease_leave(&mp->lease);
	tell(&blocked);
}

// It looks while threads are wanted, for whoever relied on them.
static void
take_back(M *mp)
{
	while (load_acq(&blocked) == 0) {
		if (work_anywhere(sched_procs()))
			sched_wake();
		explore_yield();
	}
	for (uint32_t i = 0; i < n_ps; i++)
		if (load_acq(&ps[i].m) == mp)
			(void)retake(&ps[i], mp);
	tell(&blocked);
}

static void
beside(int id)
{
	switch (id) {
	case LOCKED:
		sleep_locked(id);
		break;
	case WAKER:
		wait_for(&waits[LOCKED], 1);
		mutex_lock(&sched.lock);
		globq_put(make());
		mutex_unlock(&sched.lock);
		sched_wake_after_put();
		wait_for(&blocked, 2);
		let_time_pass(0);
		break;
	case MONITOR:
		monitor();
		break;
	case MONITOR + 1:
		block(&ms[id]);
		break;
	default:
		take_back(&ms[MONITOR + 1]);
	}
}

// Another locked M, thread 3's: one of the two minds timers. The first is woken and computes.
static void
init_two_locked(void)
{
	init_clock(3, 4);
	sched.refused = true;
	store_rlx(&sched.thread_wanted, 1);
	in_use[3] = true;
	ms[3].locked_g = &gs[1];
	ms[3].locks[LOCK_EXTERNAL] = 1;
	gs[1].locked = true;
	store_rlx(&gs[1].m, &ms[3]);
	p_acquire(&ms[3], &ps[1]);
	pidle_put(&ps[2]);
	set_timer(1, &gs[1]);
}

static void
two_locked(int id)
{
	if (id == LOCKED || id == MONITOR + 1) {
		sleep_locked(id);
	} else if (id == WAKER) {
		wait_for(&waits[LOCKED], 1);
		wait_for(&waits[MONITOR + 1], 1);
		locked_ready(&gs[0]);
		wait_for(&through, 1);
		let_time_pass(1);
	} else {
		monitor();
	}
}

// Both are woken.
static void
both_woken(int id)
{
	if (id == WAKER) {
		wait_for(&waits[LOCKED], 1);
		wait_for(&waits[MONITOR + 1], 1);
		locked_ready(&gs[0]);
		locked_ready(&gs[1]);
	} else {
		two_locked(id);
	}
}

// The first runs its timer, and the other one falls asleep for ever: not all are dead.
static void
init_one_sleeps(void)
{
	init_two_locked();
	store_rlx(&ps[1].timer_when, INT64_MAX);
	set_timer(0, &gs[0]);
	sched.n_threads = 2;
	store_rlx(&sched.n_run_main, 1);
}

static void
one_sleeps(int id)
{
	if (id == WAKER) {
		wait_for(&waits[LOCKED], 1);
		let_time_pass(0);
	} else {
		explore_may_sleep(id == MONITOR + 1);
		two_locked(id);
	}
}

// --- what is left -------------------------------------------------------------------------------

static void
final_clock(void)
{
	EXPLORE_CHECK(sched.n_locked_idle == 0 && sched.locked_sleepers == NULL, "asleep");
	EXPLORE_CHECK(!ms[LOCKED].told && !ms[MONITOR + 1].told, "told, and does not know");
	EXPLORE_CHECK(sched.minder == NULL, "who runs its G minds timers");
}

static void
final_one_sleeps(void)
{
	EXPLORE_CHECK(load_rlx(&through) == 1, "the timer did not run");
	EXPLORE_CHECK(load_rlx(&sched.dead_suspect) == 0, "dead, while one runs timers");
}

static const struct ExploreTest tests[] = {
    {.name = "alone",
     .threads = 3,
     .init = init_alone,
     .thread = alone,
     .final = final_clock},
    {.name = "beside one that blocks",
     .threads = 5,
     .init = init_beside,
     .thread = beside,
     .final = final_clock},
    {.name = "without threads for some time",
     .threads = 5,
     .init = init_beside_refused,
     .thread = beside,
     .final = final_clock},
    {.name = "and two of them",
     .threads = 4,
     .init = init_two_locked,
     .thread = two_locked,
     .final = final_clock},
    {.name = "both are woken",
     .threads = 4,
     .init = init_two_locked,
     .thread = both_woken,
     .final = final_clock},
    {.name = "one sleeps",
     .threads = 4,
     .init = init_one_sleeps,
     .thread = one_sleeps,
     .final = final_one_sleeps},
    {0},
};

static const char *const sources[] = {"sched/locked.c", NULL};

static const struct ExploreAllowed allowed[] = {
    {"run_due_timers", "load_acq(&procs.p[i]->timer_when)", "acquire",
     "behind a timer is nothing"},
    {0},
};

const struct ExploreDriver explore_driver = {
    .name = "minder",
    .tests = tests,
    .allowed = allowed,
    .sources = sources,
};
