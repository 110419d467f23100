// SPDX-License-Identifier: BSD-3-Clause
// sched_for_each_p calls its function once for each P, whatever their goroutines do; the scan bit
// is never granted on a goroutine that runs; a thread of the program rests while it waits.
#include <pthread.h>

#include "goroutines.h"
#include "sched/sched.h"

static Count ended;
static atomic_bool stop;

static void
spin(void *unused)
{
	(void)unused;
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		;
	count_add(&ended);
}

static void
switch_around(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop))
		go_yield();
	count_add(&ended);
}

static void
block_around(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop)) {
		usleep(300);
		go_block_begin();
		usleep(300);
		go_block_end();
	}
	count_add(&ended);
}

static void
sleep_around(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop))
		go_sleep(100 * GO_USEC);
	count_add(&ended);
}

static void (*const kinds[])(void *) = {spin, switch_around, block_around, sleep_around};
enum { KINDS = 4 };

static void
start_all_kinds(int of_each)
{
	for (int i = 0; i < of_each * KINDS; i++)
		expect_eq(go_spawn(kinds[i % KINDS], NULL), 0);
}

static void
end_all_kinds(int of_each)
{
	atomic_store(&stop, true);
	until(count_of(&ended) == of_each * KINDS);
}

// --- every P once -------------------------------------------------------------------------------

enum { MOST_PS = 64 };
static atomic_int visits[MOST_PS];
static Count visitors; // functions under way

static void
visit(P *pp)
{
	expect(pp->id < MOST_PS);
	atomic_fetch_add(&visits[pp->id], 1);
	// Whoever calls us owns the P for now.
	uint32_t streak = pp->next_streak;
	pp->next_streak = streak + 1;
	pp->next_streak = streak;
	count_add(&visitors);
}

static void
visit_all(int procs)
{
	for (int i = 0; i < MOST_PS; i++)
		atomic_store(&visits[i], 0);
	sched_enter();
	sched_for_each_p(visit);
	for (int i = 0; i < MOST_PS; i++)
		expect_eq(atomic_load(&visits[i]), i < procs);
	sched_leave();
}

GO_TEST(sched_visits_each_p_once, 6)
{
	static const int procs[] = {6, 1, 2, 16, 6};
	visit_all(6); // idle ones only
	start_all_kinds(2);
	for (int k = 0; k < 5; k++) {
		go_gomaxprocs(procs[k]);
		for (long i = 0; i < test_scale(40); i++) {
			visit_all(procs[k]);
			if (i % 8 == 0)
				go_sleep(50 * GO_USEC);
		}
	}
	end_all_kinds(2);
}

static void *
visit_from_thread(void *unused)
{
	(void)unused;
	for (int i = 0; i < 30; i++) {
		sched_enter();
		sched_for_each_p(visit);
		sched_leave();
	}
	return NULL;
}

static void
visit_from_goroutine(void *unused)
{
	(void)unused;
	visit_from_thread(NULL);
	count_add(&ended);
}

// Several visitors, and changes of GOMAXPROCS, take turns.
GO_TEST(sched_visitors_take_turns, 4)
{
	pthread_t threads[2];
	start_all_kinds(1);
	for (int i = 0; i < 2; i++) {
		expect(pthread_create(&threads[i], NULL, visit_from_thread, NULL) == 0);
		expect_eq(go_spawn(visit_from_goroutine, NULL), 0);
	}
	for (int i = 0; i < 20; i++)
		go_gomaxprocs(4 + i % 3 * 2);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	until(count_of(&ended) == 2);
	expect(count_of(&visitors) >= 4 * 30 * 4);
	atomic_store(&stop, true);
	until(count_of(&ended) == 2 + KINDS);
}

// --- the scan bit -------------------------------------------------------------------------------

enum { SCANNED = 8 };
typedef struct Scanned {
	G *_Atomic g;
	atomic_bool runs; // in user code; the runtime may run it a little longer
	atomic_long turns;
} Scanned;
static Scanned scanned[SCANNED];

static void
be_scanned(void *arg)
{
	Scanned *s = arg;
	uint64_t rand = (uint64_t)(uintptr_t)s;
	atomic_store(&s->runs, true);
	atomic_store(&s->g, sched_g());
	while (!atomic_load(&stop)) {
		atomic_fetch_add(&s->turns, 1);
		if (test_rand(&rand) % 8 == 0)
			compute_for(20 * GO_USEC);
		uint64_t how = test_rand(&rand) % 4;
		if (how == 0)
			usleep(100); // it runs, as far as anyone may tell
		atomic_store(&s->runs, false);
		if (how == 1)
			go_sleep(30 * GO_USEC);
		else
			go_yield();
		atomic_store(&s->runs, true);
	}
	count_add(&ended);
}

// While the bit is held its goroutine stands still, though others make it runnable; and it goes on
// afterwards.
GO_TEST(sched_scan_never_of_running, 3)
{
	long granted = 0, refused = 0;
	for (int i = 0; i < SCANNED; i++)
		expect_eq(go_spawn(be_scanned, &scanned[i]), 0);
	for (int i = 0; i < SCANNED; i++)
		until(atomic_load(&scanned[i].g) != NULL);
	expect(!sched_scan_begin(sched_g())); // oneself runs
	for (long i = 0; granted < test_scale(3000) || refused == 0; i++) {
		Scanned *s = &scanned[i % SCANNED];
		G *gp = atomic_load(&s->g);
		if (i % 64 == 0)
			go_sleep(20 * GO_USEC);
		if (!sched_scan_begin(gp)) {
			refused++;
			continue;
		}
		granted++;
		expect(!sched_scan_begin(gp)); // one at a time
		long turns = atomic_load(&s->turns);
		expect(!atomic_load(&s->runs));
		if (i % 16 == 0)
			compute_for(30 * GO_USEC);
		expect(!atomic_load(&s->runs));
		expect_eq(atomic_load(&s->turns), turns);
		sched_scan_end(gp);
	}
	atomic_store(&stop, true);
	until(count_of(&ended) == SCANNED);
}

// --- threads of the program ---------------------------------------------------------------------

static atomic_int waiter;

static void *
wait_with_deadline(void *chan)
{
	expect_eq(go_chan_recv(chan, NULL, GO_POLL), GO_EAGAIN); // we are known now
	atomic_store(&waiter, tid_now());
	expect_eq(go_chan_recv(chan, NULL, go_now() + 3600 * GO_SEC), GO_ECLOSED);
	return NULL;
}

static bool
rests(int tid)
{
	for (M *mp = sched_ms(); mp != NULL; mp = mp->all_next)
		if (load_acq(&mp->tid) == tid)
			return load_acq(&mp->resting) != 0;
	return false;
}

// So that a collection need not stop it with a signal.
GO_TEST(sched_thread_with_deadline_rests, 2)
{
	pthread_t t;
	go_chan *c = go_chan_new(0, 0);
	expect_eq(pthread_create(&t, NULL, wait_with_deadline, c), 0);
	until(atomic_load(&waiter) != 0 && rests(atomic_load(&waiter)));
	go_chan_close(c);
	expect_eq(pthread_join(t, NULL), 0);
}
