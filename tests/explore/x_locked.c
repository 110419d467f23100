// SPDX-License-Identifier: BSD-3-Clause
// A locked goroutine's M against those who wake the goroutine, take it from the global queue or
// make threads: src/sched/locked.c with what lies below it, and the monitor's way of being asked
// (src/sched/sysmon.c), with the engine's lock and the real notes.
//
// Thread 0 is an M of a locked G that lets go and wants to run again. Thread 1 wakes it. Thread 2
// is the monitor, which makes threads. The others are Ms that look for work and never keep what
// they find: it is a number. When nothing moves any more the locked G has run as often as it was
// woken, on its own M with a P, nobody else has had it, and no work lies beside an idle P.
//
// Or thread 0 is an M that the program has lent (src/sched/lent.c), and thread 1 ends that: the M
// has left, and after it was told has not gone from one G to the next past the scheduler.
#include "explore_arch.h"

#include "explore_lock.h"

#include "sched/find.c"
#include "sched/idle.c"
#include "sched/lease.c"
#include "sched/lent.c"
#include "sched/locked.c"
#include "sched/queue.c"
#include "sched/runq.c"
#include "sched/sysmon.c"
#include "sched/thread.c"
#define announce note_announce // lease.c has one, too
#include "sync/note.c"
#undef announce

#include <string.h>

enum { PS = 2, MS = 8, GS = 6, THREADS = 7, LOCKED = 0, WAKER = 1, MONITOR = 2 };

Sched sched;
ATOMIC_U32 sched_n_procs;
static P ps[PS];
static P *const all_ps[PS] = {&ps[0], &ps[1]};
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

int64_t
up_timers_run(P *pp, int64_t now)
{
	(void)pp;
	(void)now;
	return INT64_MAX;
}

// Nobody waits for a descriptor.
bool
poll_now(void)
{
	return false;
}

static M *given[THREADS];
static ATOMIC_U32 born[THREADS];

int
os_thread_start(void (*fn)(void *), void *arg)
{
	(void)fn;
	M *me = sched_m();
	EXPLORE_CHECK(me == NULL || me->locks[LOCK_EXTERNAL] == 0, "a locked M makes a thread");
	for (int i = MONITOR + 1; i < n_threads; i++)
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
		monitor_pause(INT64_MAX);
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
	memset(&parked, 0, sizeof(parked));
	memset(in_use, 0, sizeof(in_use));
	next_m = MONITOR + 1;
	runs = ended = 0;
	n_made = 1;
	n_ps = procs;
	store_rlx(&sched_n_procs, procs);
	sched.n_threads = 100; // check_dead has nothing to say
	for (uint32_t i = 0; i < procs; i++) {
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

// Thread 3 looks for work with the other P.
static void
init_two(void)
{
	begin(2, 5);
	looks(3, 1);
}

// The same, with work on the locked M's P.
static void
init_work(void)
{
	begin(2, 6);
	p_put_tail(&ps[0], make());
	p_put_tail(&ps[0], make());
	pidle_put(&ps[1]);
}

// One P, and work on it: another M has to be made, by the monitor.
static void
init_one(void)
{
	begin(1, 5);
	p_put_tail(&ps[0], make());
}

static void
others(int id)
{
	if (id == MONITOR)
		monitor();
	else
		look_for_work(id);
}

static void
woken_once(int id)
{
	if (id == LOCKED) {
		explore_words.m = &ms[LOCKED];
		park();
	} else if (id == WAKER) {
		wake();
	} else {
		others(id);
	}
}

static void
woken_twice(int id)
{
	if (id == LOCKED) {
		explore_words.m = &ms[LOCKED];
		park();
		park();
	} else if (id == WAKER) {
		wake();
		wake();
	} else {
		others(id);
	}
}

// It yields, while somebody puts work into the global queue.
static void
yields(int id)
{
	if (id == LOCKED) {
		explore_words.m = &ms[LOCKED];
		locked_yields(&gs[0]);
		run_locked();
	} else if (id == WAKER) {
		mutex_lock(&sched.lock);
		globq_put(make());
		mutex_unlock(&sched.lock);
		sched_wake_after_put();
	} else {
		others(id);
	}
}

// It has lost its P, and comes back while the other P goes idle, or does not.
static void
init_lost(void)
{
	begin(2, 5);
	pidle_put(p_release(&ms[LOCKED]));
	P *pp = pidle_get(); // lost to thread 3
	EXPLORE_CHECK(pp == &ps[0], "the only one");
	looks(3, 0);
	pidle_put(&ps[1]);
	pp = pidle_get(); // to thread 4
	looks(4, 1);
}

static void
lost(int id)
{
	if (id == LOCKED) {
		explore_words.m = &ms[LOCKED];
		locked_lost_p(&gs[0]);
		run_locked();
	} else if (id != WAKER) {
		others(id);
	}
}

// It ends, with work on its P.
static void
ends(int id)
{
	if (id == LOCKED) {
		explore_words.m = &ms[LOCKED];
		ms[LOCKED].curg = &gs[0];
		locked_ends(&ms[LOCKED]);
		EXPLORE_CHECK(find_locked(&ms[LOCKED]) == NULL, "it does not end");
		EXPLORE_CHECK(ms[LOCKED].p == NULL, "it ends with a P");
	} else if (id == WAKER) {
		mutex_lock(&sched.lock);
		globq_put(make());
		mutex_unlock(&sched.lock);
		sched_wake_after_put();
	} else {
		others(id);
	}
}

// --- an M that is lent --------------------------------------------------------------------------

static int left;
static ATOMIC_U32 told;

static void
become_lent(void)
{
	M *mp = &ms[LOCKED];
	left = 0;
	memset(&told, 0, sizeof(told));
	p_release(mp);
	mp->locked_g = NULL;
	mp->locks[LOCK_EXTERNAL] = 0;
	gs[0].locked = false;
	store_rlx(&mp->lent, LENT);
	store_rlx(&ps[0].attention, 0);
	p_acquire(mp, &ps[0]);
}

static void
init_lent(void)
{
	begin(2, 5);
	become_lent();
	looks(3, 1);
}

static void
init_lent_work(void)
{
	begin(1, 5);
	become_lent();
	p_put_tail(&ps[0], make());
	p_put_tail(&ps[0], make());
	p_put_tail(&ps[0], make());
}

// It sleeps, and another M gives it the only P, with work.
static void
init_lent_given(void)
{
	begin(1, 5);
	become_lent();
	store_rlx(&ps[0].attention, 0);
	p_release(&ms[LOCKED]);
	looks(3, 0);
	for (int i = 0; i < 4; i++)
		p_put_tail(&ps[0], make());
}

// A G has ended there locked to it.
static void
init_spoilt(void)
{
	begin(2, 5);
	store_rlx(&ms[LOCKED].lent, LENT);
	ms[LOCKED].ends = true;
	left = 0;
	memset(&told, 0, sizeof(told));
	looks(3, 1);
}

static void
take(G *gp)
{
	EXPLORE_CHECK(++taken[gp - gs] == 1, "a G was taken twice");
}

// As run, with the switches from one G to the next that pass the scheduler by.
static void
run_lent(M *mp)
{
	for (G *gp; (gp = find_runnable(mp)) != NULL;) {
		if (mp->spinning)
			stop_spinning(mp);
		do {
			take(gp);
			bool was_told = load_acq(&told) != 0;
			gp = load_rlx(&mp->p->attention) == 0 ? p_take(mp->p) : NULL;
			EXPLORE_CHECK(!(was_told && gp != NULL), "it goes on though it is over");
		} while (gp != NULL);
	}
}

static void
lent(int id)
{
	M *mp = &ms[LOCKED];
	if (id == LOCKED) {
		explore_words.m = mp;
		if (mp->ends)
			EXPLORE_CHECK(find_locked(mp) == NULL, "it does not end");
		else
			run_lent(mp);
		EXPLORE_CHECK(mp->p == NULL && !mp->spinning, "it leaves with a P");
		PLAIN_WRITE(left, 1);
	} else if (id == WAKER) {
		lent_ends(mp);
		store_rel(&told, 1);
	} else {
		others(id);
	}
}

static void
lent_given(int id)
{
	if (id == MONITOR + 1) {
		explore_words.m = &ms[id];
		p_hand_off(p_release(&ms[id]));
	} else {
		lent(id);
	}
}

// --- what is left -------------------------------------------------------------------------------

static void
books(int wanted)
{
	bool work = sched.globq.n != 0;
	uint32_t idle = 0, used = 0;
	for (uint32_t i = 0; i < n_ps; i++) {
		work |= p_has_work(&ps[i]);
		used += EXPLORE_RAW(&ps[i].m) != NULL;
	}
	for (P *pp = sched.pidle; pp != NULL; pp = pp->link)
		idle++;
	EXPLORE_CHECK(runs == wanted, "the locked G did not run");
	EXPLORE_CHECK(sched.n_locked_idle == 0 && !ms[LOCKED].locked_idle, "it counts as asleep");
	EXPLORE_CHECK(load_rlx(&sched.n_spinning) == 0, "somebody is counted as spinning");
	EXPLORE_CHECK(load_rlx(&sched.births) == NULL, "a thread was not made");
	EXPLORE_CHECK(idle + used == n_ps, "a P is neither idle nor in use");
	EXPLORE_CHECK(!(work && idle != 0), "work beside an idle P");
}

static void
final_none(void)
{
	books(0);
}

static void
final_once(void)
{
	books(1);
}

static void
final_twice(void)
{
	books(2);
}

static void
final_lent(void)
{
	books(0);
	EXPLORE_CHECK(left == 1, "the lent M did not leave");
	EXPLORE_CHECK(!ms[LOCKED].lent_spoilt && !ms[LOCKED].idle, "it counts as asleep");
}

static const struct ExploreTest tests[] = {
    {.name = "woken", .threads = 5, .init = init_two, .thread = woken_once, .final = final_once},
    {.name = "woken twice",
     .threads = 5,
     .init = init_two,
     .thread = woken_twice,
     .final = final_twice},
    {.name = "with work",
     .threads = 6,
     .init = init_work,
     .thread = woken_twice,
     .final = final_twice},
    {.name = "on one P",
     .threads = 5,
     .init = init_one,
     .thread = woken_twice,
     .final = final_twice},
    {.name = "yields", .threads = 5, .init = init_one, .thread = yields, .final = final_once},
    {.name = "has lost its P",
     .threads = 5,
     .init = init_lost,
     .thread = lost,
     .final = final_once},
    {.name = "ends", .threads = 5, .init = init_one, .thread = ends, .final = final_none},
    {.name = "lent", .threads = 5, .init = init_lent, .thread = lent, .final = final_lent},
    {.name = "lent, with work",
     .threads = 5,
     .init = init_lent_work,
     .thread = lent,
     .final = final_lent},
    {.name = "lent, given a P",
     .threads = 5,
     .init = init_lent_given,
     .thread = lent_given,
     .final = final_lent},
    {.name = "lent and spoilt",
     .threads = 5,
     .init = init_spoilt,
     .thread = lent,
     .final = final_lent},
    {0},
};

static const char *const sources[] = {"sched/locked.c", "sched/lent.c", "sched/sysmon.c",
				      "sched/find.c:find_runnable", NULL};

static const struct ExploreAllowed allowed[] = {
    {"monitor_pause", "store_rel(&sched.monitor_pauses)", "release",
     "a store is never late in the model: the note is clear before anyone can swap it"},
    {"monitor_hurry", "xchg_acq(&sched.monitor_pauses)", "acquire", "the same"},
    {"call_to_attention", "store_rel(&procs.p[i]->attention)", "release",
     "m_attend takes sched.lock, under which LENT_OVER was stored"},
    {0},
};

const struct ExploreDriver explore_driver = {
    .name = "locked",
    .tests = tests,
    .allowed = allowed,
    .sources = sources,
};
