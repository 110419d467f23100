// SPDX-License-Identifier: BSD-3-Clause
// Work made available against Ms that go idle: src/sched/find.c, idle.c, thread.c and their queues,
// with the engine's lock and the real notes.
//
// Thread 0 is an M in user code that makes goroutines now and then and never looks for any itself.
// The others are Ms that look, run what they find, which may take for ever, and go to sleep. When
// nothing moves any more there may be no work beside an idle P (F1), and the counts have to agree.
// In the tests of descriptors thread 0 is the M of a goroutine that waits for one, then computes
// for ever; the last thread is the world outside, which makes the descriptor ready. Then nobody may
// sleep elsewhere beside an idle P.
// Time stands still; deadlines come when the schedule says so, and an M that idled too long ends.
#include "explore_arch.h"

#include "explore_lock.h"

#include "sched/find.c"
#include "sched/idle.c"
#include "sched/lease.c"
#include "sched/poll.c"
#include "sched/queue.c"
#include "sched/runq.c"
#include "sched/thread.c"
#define announce note_announce // lease.c has one, too
#include "sync/note.c"
#undef announce

#include <string.h>

enum { PS = 3, MS = 10, GS = 8, THREADS = 7, DUE = 1000 };

Sched sched;
ATOMIC_U32 sched_n_procs;
static P ps[PS];
static P *const all_ps[PS] = {&ps[0], &ps[1], &ps[2]};
static M ms[MS];
static G gs[GS];
static int taken[GS];
static uint32_t n_made, n_ps;
static int n_threads; // of this test
static ATOMIC_U32 never;
static bool busy[MS]; // runs a goroutine that never ends

// --- what lies around the code under test -------------------------------------------------------

ProcSnapshot
sched_procs(void)
{
	return (ProcSnapshot){n_ps, all_ps};
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

void
monitor_wake(void)
{
}

// No goroutine is locked.
void
locked_mind(void)
{
}

// --- descriptors --------------------------------------------------------------------------------

enum { EVENT = 1, BELL = 2 };
static ATOMIC_U32 pending; // in the kernel

static void
happens(uint32_t what)
{
	or_ar(&pending, what);
	explore_futex_wake(&pending, 1);
}

int
up_poll_wait(OsReady *polled, int max, int64_t deadline, bool *rung)
{
	(void)polled;
	(void)max;
	for (;;) {
		uint32_t v = load_acq(&pending);
		*rung = (v & BELL) != 0;
		uint32_t hush = deadline != GO_POLL ? BELL : 0;
		if ((v & (EVENT | hush)) != 0) {
			if (cas_ar(&pending, &v, v & ~(EVENT | hush)))
				return (v & EVENT) != 0;
			continue;
		}
		if (deadline == GO_POLL ||
		    explore_futex_wait(&pending, v, deadline != INT64_MAX) == EXPLORE_TIMED_OUT)
			return 0;
	}
}

void
up_poll_ring(void)
{
	happens(BELL);
}

void
up_poll_take(const OsReady *polled, int n, GList *l)
{
	(void)polled;
	EXPLORE_CHECK(n == 1, "one descriptor");
	glist_push(l, &gs[n_made++]);
}

void
sched_put_list(GList *l)
{
	M *mp = sched_m();
	G *gp = glist_pop(l);
	if (mp != NULL && mp->p != NULL) {
		p_put_tail(mp->p, gp);
	} else {
		mutex_lock(&sched.lock);
		globq_put(gp);
		mutex_unlock(&sched.lock);
	}
}

void
sched_ready_list(GList *l)
{
	sched_put_list(l);
	sched_wake_after_put();
}

// --- Ms ---------------------------------------------------------------------------------------

// Which M a thread is; threads beyond the Ms of the start wait to be made.
static M *given[THREADS];
static ATOMIC_U32 born[THREADS];

int
os_thread_start(void (*fn)(void *), void *arg)
{
	(void)fn;
	for (int i = 0; i < n_threads; i++)
		if (given[i] == NULL) {
			given[i] = arg;
			store_rel(&born[i], 1);
			explore_futex_wake(&born[i], 1);
			return 0;
		}
	return -EAGAIN;
}

int
os_thread_start_patient(void (*fn)(void *), void *arg)
{
	return os_thread_start(fn, arg);
}

void *
os_alloc(size_t bytes)
{
	(void)bytes;
	for (int i = 1; i < MS; i++)
		if (EXPLORE_RAW(&ms[i].tid) == 0) {
			store_rlx(&ms[i].tid, i);
			explore_plain_write(&ms[i].id);
			return &ms[i];
		}
	explore_fail("too few Ms");
}

// What sched_run does, with goroutines that are numbers.
static void
run(M *mp)
{
	for (G *gp; (gp = find_runnable(mp)) != NULL;) {
		if (mp->spinning)
			stop_spinning(mp);
		taken[gp - gs]++;
		EXPLORE_CHECK(taken[gp - gs] == 1, "a G was taken twice");
		EXPLORE_CHECK(mp->p != NULL && EXPLORE_RAW(&mp->p->m) == mp,
			      "an M runs without its P");
		if (explore_random(2) == 0) {
			busy[mp - ms] = true;
			lease_leave(&mp->lease);
			for (;;)
				(void)explore_futex_wait(&never, 0, false);
		}
	}
	EXPLORE_CHECK(mp->p == NULL && !mp->spinning, "an M ended with what is not its own");
}

static void
look(int id)
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

// --- set-up -----------------------------------------------------------------------------------

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
	memset(&never, 0, sizeof(never));
	memset(busy, 0, sizeof(busy));
	memset(&pending, 0, sizeof(pending));
	n_made = 0;
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
	store_rlx(&ms[0].lease.inrt, 0);
	store_rlx(&ms[0].tid, 1);
	ms[0].p = &ps[0];
	store_rlx(&ps[0].m, &ms[0]);
	store_rlx(&ps[0].status, Prunning);
	given[0] = &ms[0];
	store_rlx(&born[0], 1);
}

// M i looks for work with P i, spinning or not.
static void
looks(int i, bool spinning)
{
	store_rlx(&ms[i].tid, i);
	ms[i].spinning = spinning;
	ms[i].p = &ps[i];
	store_rlx(&ps[i].m, &ms[i]);
	store_rlx(&ps[i].status, Prunning);
	given[i] = &ms[i];
	store_rlx(&born[i], 1);
	if (spinning)
		add_rlx(&sched.n_spinning, 1);
}

static void
idles(int i)
{
	pidle_put(&ps[i]);
}

static void
init_spinner(void)
{
	begin(2, 3);
	looks(1, true);
}

static void
init_idle(void)
{
	begin(3, 7);
	idles(1);
	idles(2);
}

static void
init_two(void)
{
	begin(3, 7);
	looks(1, false);
	looks(2, true);
}

static G *
make(void)
{
	return &gs[n_made++];
}

// What sched_ready does for one that is to run last, called from user code and back to it.
static void
ready(void)
{
	Lease *l = &ms[0].lease;
	if (!lease_enter(l))
		EXPLORE_CHECK(lease_enter_slow(l), "nobody revokes here");
	p_put_tail(&ps[0], make());
	sched_wake_after_put();
	lease_leave(l);
}

static void
ready_global(void)
{
	mutex_lock(&sched.lock);
	globq_put(make());
	mutex_unlock(&sched.lock);
	sched_wake_after_put();
}

static void
one_ready(int id)
{
	if (id == 0)
		ready();
	else
		look(id);
}

static void
two_ready(int id)
{
	if (id == 0) {
		ready();
		ready();
	} else {
		look(id);
	}
}

static void
global(int id)
{
	if (id == 0)
		ready_global();
	else
		look(id);
}

// The monitor hands off the only P while a thread without one sets a timer there. Nobody may sleep
// without minding it.
static void
init_hand_off(void)
{
	begin(1, 4);
	store_rlx(&ms[2].tid, 2); // the monitor: no M, but it has the thread
	given[2] = &ms[2];
}

static void
hand_off(int id)
{
	if (id == 0) {
		store_rel(&ps[0].timer_when, DUE);
		sched_timer_moved(DUE);
	} else if (id == 2) {
		store_rel(&ps[0].m, NULL);
		p_hand_off(&ps[0]);
	} else {
		look(id);
	}
}

// The same while an M gives up the only P.
static void
init_last(void)
{
	begin(1, 3);
	looks(0, true);
	given[2] = &ms[2]; // of the thread, which is none of ours
	store_rlx(&ms[2].tid, 2);
}

static void
last(int id)
{
	if (id == 2) {
		store_rel(&ps[0].timer_when, DUE);
		sched_timer_moved(DUE);
	} else {
		look(id);
	}
}

static void
final_hand_off(void)
{
	EXPLORE_CHECK(load_rlx(&sched.n_pidle) == 0 || sched.sleeper != NULL,
		      "a P is idle, and nobody minds the timer");
}

// The last thread is none that could become an M.
static int outside;

static void
with_outside(void)
{
	outside = n_threads - 1;
	given[outside] = &ms[MS - 1];
	store_rlx(&ms[MS - 1].tid, 100);
}

static void
init_spinner_outside(void)
{
	begin(2, 4);
	looks(1, true);
	with_outside();
}

static void
init_idle_outside(void)
{
	begin(3, 7);
	idles(1);
	idles(2);
	with_outside();
}

static void
init_two_outside(void)
{
	begin(3, 7);
	looks(1, false);
	looks(2, true);
	with_outside();
}

static void
wait_for_descriptor(void)
{
	Lease *l = &ms[0].lease;
	explore_words.m = &ms[0];
	if (!lease_enter(l))
		EXPLORE_CHECK(lease_enter_slow(l), "nobody revokes here");
	sched_poll_waits();
	lease_leave(l);
}

static void
descriptor(int id)
{
	if (id == 0)
		wait_for_descriptor();
	else if (id == outside)
		happens(EVENT);
	else
		look(id);
}

// Whoever is in the poller leaves it for the work, which may keep him.
static void
descriptor_and_work(int id)
{
	if (id == 0) {
		wait_for_descriptor();
		ready();
		sched_poll_waited();
		wait_for_descriptor();
	} else if (id == outside) {
		happens(EVENT);
	} else {
		look(id);
	}
}

// The same while its P says that it needs nobody, and then computes: the monitor finds it out.
static ATOMIC_U32 computes;

static void
init_alone(void)
{
	init_idle_outside();
	memset(&computes, 0, sizeof(computes));
	store_rlx(&ps[0].alone_until, 1);
	given[outside - 1] = &ms[MS - 2];
	store_rlx(&ms[MS - 2].tid, 101);
}

static void
alone(int id)
{
	if (id == 0) {
		wait_for_descriptor();
		store_rel(&computes, 1);
		explore_futex_wake(&computes, 1);
	} else if (id == outside - 1) {
		while (load_acq(&computes) == 0)
			(void)explore_futex_wait(&computes, 0, false);
		poll_overdue(&ps[0], DUE);
	} else {
		descriptor(id);
	}
}

// A P relies on the monitor to look soon, and the monitor is about to look seldom.
static bool relies, is_brisk;

static void
init_brisk(void)
{
	begin(1, 2);
	ps[0].event_ns = 1;
	store_rlx(&sched.brisk, 1);
}

static void
brisk(int id)
{
	uint32_t left = 1;
	if (id == 0)
		relies = stays_alone(&ps[0], 1, DUE);
	else
		is_brisk = be_brisk(&left);
}

static void
final_brisk(void)
{
	EXPLORE_CHECK(is_brisk == (load_rlx(&sched.brisk) != 0), "whether it is brisk");
	EXPLORE_CHECK(!relies || is_brisk, "a P relies on who does not look");
}

static void final(void);

static void
final_descriptor(void)
{
	final();
	EXPLORE_CHECK(load_rlx(&sched.n_pidle) == 0 || (EXPLORE_RAW(&pending) & EVENT) == 0,
		      "a descriptor is ready beside an idle P");
}

static void
final(void)
{
	bool work = sched.globq.n != 0;
	for (uint32_t i = 0; i < n_ps; i++)
		if (p_has_work(&ps[i]))
			work = true;
	uint32_t idle = 0, used = 1;
	for (P *pp = sched.pidle; pp != NULL; pp = pp->link)
		idle++;
	for (int i = 1; i < MS; i++)
		used += busy[i];
	EXPLORE_CHECK(idle == load_rlx(&sched.n_pidle), "the count of idle Ps");
	EXPLORE_CHECK(load_rlx(&sched.n_spinning) == 0, "somebody is counted as spinning");
	EXPLORE_CHECK(idle + used == n_ps, "a P is neither idle nor in use");
	EXPLORE_CHECK(!(work && idle != 0), "work beside an idle P");
}

// An M rests and is woken while somebody looks at its stack, for which it is held; and an M is made
// that he finds.
static int on_stack; // of the M that rests

static void
init_rest(void)
{
	begin(1, 3);
	on_stack = 0;
}

static void
rest(int id)
{
	if (id == 0) {
		(void)record_get();
		note_wake(&ms[1].park);
	} else if (id == 1) {
		PLAIN_WRITE(on_stack, 1);
		(void)m_rest(&ms[1], &ms[1].park, INT64_MAX);
		PLAIN_WRITE(on_stack, 2);
	} else {
		sched_rest_hold();
		if (load_acq(&ms[1].resting) != 0)
			EXPLORE_CHECK(PLAIN_READ(on_stack) == 1, "it does not rest");
		for (M *mp = sched_ms(); mp != NULL; mp = mp->all_next)
			explore_plain_read(&mp->id);
		sched_rest_release();
	}
}

static void
final_rest(void)
{
	EXPLORE_CHECK(on_stack == 2, "it still rests");
}

static const struct ExploreTest tests[] = {
    {.name = "the last spinner leaves",
     .threads = 3,
     .init = init_spinner,
     .thread = one_ready,
     .final = final},
    {.name = "all idle", .threads = 7, .init = init_idle, .thread = two_ready, .final = final},
    {.name = "one that does not spin",
     .threads = 7,
     .init = init_two,
     .thread = two_ready,
     .final = final},
    {.name = "global queue", .threads = 3, .init = init_spinner, .thread = global, .final = final},
    {.name = "a timer beside a hand-off",
     .threads = 4,
     .init = init_hand_off,
     .thread = hand_off,
     .final = final_hand_off},
    {.name = "a timer beside the last P",
     .threads = 3,
     .init = init_last,
     .thread = last,
     .final = final_hand_off},
    {.name = "a descriptor",
     .threads = 4,
     .init = init_spinner_outside,
     .thread = descriptor,
     .final = final_descriptor},
    {.name = "a descriptor, all idle",
     .threads = 7,
     .init = init_idle_outside,
     .thread = descriptor,
     .final = final_descriptor},
    {.name = "a descriptor, and its P computes",
     .threads = 7,
     .init = init_alone,
     .thread = alone,
     .final = final_descriptor},
    {.name = "brisk or not",
     .threads = 2,
     .init = init_brisk,
     .thread = brisk,
     .final = final_brisk},
    {.name = "a descriptor and work",
     .threads = 7,
     .init = init_two_outside,
     .thread = descriptor_and_work,
     .final = final_descriptor},
    {.name = "rest", .threads = 3, .init = init_rest, .thread = rest, .final = final_rest},
    {0},
};

static const char *const sources[] = {"sched/find.c", "sched/idle.c", "sched/poll.c",
				      "sched/thread.c", NULL};

static const struct ExploreAllowed allowed[] = {
    {"first_timer", "load_acq(&procs.p[i]->timer_when)", "acquire", "behind a timer is nothing"},
    {"p_run_timers", "load_acq(&pp->timer_when)", "acquire", "behind a timer is nothing"},
    {"steal_from", "load_acq(&victim->timer_when)", "acquire", "behind a timer is nothing"},
    {"rest_until", "fence_heavy()", "heavy", "go_idle has looked after its fence"},
    {"rest_until", "fence_heavy()", "fence", "go_idle has looked after its fence"},
    {"p_hand_off", "fence_heavy()", "heavy",
     "who sets a timer there has no P, and so a fence of his own"},
    {"p_acquire", "store_rel(&pp->m)", "release", "the Ms are made before the threads here"},
    {"p_release", "store_rel(&pp->m)", "release", "the Ms are made before the threads here"},
    {"poll_left", "fence_seq()", "seq_cst", "who was woken spins here, and wakes another one"},
    {"poll_left", "fence_seq()", "fence", "who was woken spins here, and wakes another one"},
    {"sched_poll_waited", "sub_rel(&sched.polled)", "release", "check_dead is not asked here"},
    {"rob", "load_acq(&victim->m)", "acquire", "the Ms are made before the threads here"},
    {"lie_down", "load_acq(&sched.polled)", "acquire",
     "it observes the poller that net has made, which is a fake here"},
    {"poll_now", "load_acq(&sched.polled)", "acquire", "the same"},
    {"sched_poll_waits", "add_rel(&sched.polled)", "release", "the same"},
    {0},
};

const struct ExploreDriver explore_driver = {
    .name = "idle",
    .tests = tests,
    .allowed = allowed,
    .sources = sources,
};
