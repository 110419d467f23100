// SPDX-License-Identifier: BSD-3-Clause
// Two parties meet on purpose, at moments that are drawn anew each time: a goroutine that comes
// back into the runtime and the monitor that takes its P; a sender and its receiver's deadline.
#include <pthread.h>

#include "goroutines.h"
#include "sched/sched.h"

static Count ended;
static atomic_bool stop;

// --- who enters owns its P --------------------------------------------------------------------

enum { PS = 16, WORKERS = 12 };
static long entries[PS]; // plain, each guarded by the P: whoever is inside with it owns it
static P *inside[PS];    // the same
static atomic_long all_entries;

// Inside the runtime on some P: nobody else is, and everything earlier owners did is visible.
static void
use_p(void)
{
	sched_enter();
	P *pp = sched_m()->p;
	expect(pp != NULL && pp->id < PS);
	expect(load_rlx(&pp->m) == sched_m()); // order: own
	expect(inside[pp->id] == NULL);
	inside[pp->id] = pp;
	entries[pp->id]++;
	atomic_fetch_add(&all_entries, 1);
	inside[pp->id] = NULL;
	sched_leave();
}

static void
come_and_go(void *arg)
{
	uint64_t rand = (uint64_t)(uintptr_t)arg;
	while (!atomic_load(&stop)) {
		switch (test_rand(&rand) % 8) {
		case 0: // as long as the monitor waits between two looks, more or less
			block_thread_for((int64_t)(test_rand(&rand) % 60) * GO_USEC);
			break;
		case 1:
			compute_for((int64_t)(test_rand(&rand) % 30) * GO_USEC);
			break;
		case 2: // about a slice
			if (test_rand(&rand) % 16 == 0)
				compute_for((9900 + (int64_t)(test_rand(&rand) % 200)) * GO_USEC);
			break;
		case 3:
			go_block_begin();
			block_thread_for((int64_t)(test_rand(&rand) % 30) * GO_USEC);
			go_block_end();
			break;
		case 4:
			go_yield();
			break;
		default:
			break;
		}
		use_p();
	}
	count_add(&ended);
}

static void
own_while(int changes)
{
	uint64_t seed = test_seed();
	for (uintptr_t i = 0; i < WORKERS; i++)
		expect_eq(go_spawn(come_and_go, (void *)(seed + i)), 0);
	for (int64_t end = go_in(test_scale(300) * GO_MSEC); go_now() < end;) {
		go_sleep(GO_MSEC);
		if (changes != 0)
			go_gomaxprocs(1 + (int)(test_rand(&seed) % (uint64_t)changes));
	}
	atomic_store(&stop, true);
	until(count_of(&ended) == WORKERS);
	// All Ps but one are taken away, in a stopped world: their books may be read.
	go_gomaxprocs(1);
	long sum = 0;
	sched_enter();
	for (int i = 0; i < PS; i++)
		sum += entries[i];
	sched_leave();
	expect_eq(sum, atomic_load(&all_entries));
}

GO_TEST(race_owner_of_one_p, 1)
{
	own_while(0);
}

GO_TEST(race_owner_of_three_ps, 3)
{
	own_while(0);
}

GO_TEST(race_owner_while_ps_change, 4)
{
	own_while(PS);
}

// --- a sender and a deadline ------------------------------------------------------------------

static go_chan *line;
static long next_value; // of the sender

static void
send_about_then(void *arg)
{
	uint64_t rand = (uint64_t)(uintptr_t)arg;
	while (!atomic_load(&stop)) {
		go_sleep((int64_t)(test_rand(&rand) % 40) * GO_USEC);
		int err = go_chan_send(line, &next_value,
				       go_in((int64_t)(test_rand(&rand) % 40) * GO_USEC));
		expect(err == 0 || err == GO_ETIMEDOUT);
		if (err == 0)
			next_value++;
	}
	go_chan_close(line);
	count_add(&ended);
}

// Either both say that the value went over, or neither.
GO_TEST(race_sender_meets_deadline, 2)
{
	uint64_t seed = test_seed();
	long expected = 0, late = 0, v;
	int err;
	line = go_chan_new(sizeof(long), 0);
	expect_eq(go_spawn(send_about_then, (void *)seed), 0);
	int64_t end = go_in(test_scale(300) * GO_MSEC);
	do {
		err = go_chan_recv(line, &v, go_in((int64_t)(test_rand(&seed) % 40) * GO_USEC));
		if (err == 0)
			expect_eq(v, expected++);
		late += err == GO_ETIMEDOUT;
		if (go_now() >= end)
			atomic_store(&stop, true);
	} while (err != GO_ECLOSED);
	expect_eq(next_value, expected);
	expect(late > 0 || expected > 0);
}

// --- who starts the runtime -------------------------------------------------------------------

static pthread_barrier_t together;

static void *
first_call(void *arg)
{
	pthread_barrier_wait(&together);
	switch ((uintptr_t)arg % 4) {
	case 0:
		expect(go_id() > 0);
		break;
	case 1:
		expect(go_gomaxprocs(0) >= 1);
		break;
	case 2:
		expect_eq(go_sleep(GO_USEC), 0);
		break;
	default:
		go_yield();
	}
	count_add(&ended);
	return NULL;
}

// Sixteen threads make the first call of all at once.
void
test_race_first_calls(void)
{
	enum { THREADS = 16 };
	pthread_t threads[THREADS];
	expect_eq(pthread_barrier_init(&together, NULL, THREADS), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		expect(pthread_create(&threads[i], NULL, first_call, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	expect_eq(count_of(&ended), THREADS);
	go_stats st;
	go_stats_read(&st);
	expect_eq(st.threads_foreign, 1);
}
