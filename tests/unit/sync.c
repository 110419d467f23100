// SPDX-License-Identifier: BSD-3-Clause
// sync: Mutex and Note under real threads, and lock ranks.
//
// Lost wake-ups hang these tests; the runner's time limit finds them. tests/explore looks at
// every interleaving of small cases, here many threads look at few.
#include "sync/sync.h"

#include <stdlib.h>

#include "arch/arch.h"
#include "harness.h"
#include "os/os.h"

enum { THREADS = 4, MS = 1000000 };

static Mutex lock = MUTEX_INIT(leaf);
static long counter; // lock
static ATOMIC_U32 running;
static Note all_done;

static void
thread_done(void)
{
	if (sub_ar(&running, 1) == 1) // order: claim and release, the last one sees all
		note_wake(&all_done);
}

static void
run_threads(void (*fn)(void *arg), void *arg)
{
	note_clear(&all_done);
	store_rlx(&running, THREADS); // order: own
	for (int i = 0; i < THREADS; i++)
		expect_eq(os_thread_start(fn, arg), 0);
	expect(note_sleep(&all_done, INT64_MAX));
}

// --- Mutex --------------------------------------------------------------------------------------

static ATOMIC_U64 seeds;

static void
pause_some(uint64_t *state, uint64_t below)
{
	for (uint64_t n = test_rand(state) % below; n > 0; n--)
		arch_pause();
}

static void
counts(void *arg)
{
	uint64_t chance = base_mix(add_rlx(&seeds, 1)); // order: count
	for (long n = (long)(intptr_t)arg; n > 0; n--) {
		mutex_lock(&lock);
		counter++;
		pause_some(&chance, 20);
		if (test_rand(&chance) % 500 == 0)
			os_yield();
		mutex_unlock(&lock);
		pause_some(&chance, 20);
	}
	thread_done();
}

static void
hammer(int rounds, long each)
{
	store_rlx(&seeds, test_seed()); // order: own
	for (int round = 0; round < rounds; round++) {
		counter = 0;
		run_threads(counts, (void *)(intptr_t)each);
		expect_eq(counter, THREADS * each);
		expect_eq(load_rlx(&lock.held), 0);     // order: own
		expect_eq(load_rlx(&lock.sleepers), 0); // order: own
	}
}

void
test_sync_mutex_hammer(void)
{
	os_init();
	hammer((int)test_scale(200), 500);
}

// Where the kernel has no membarrier, and where every sleep and wake-up is disturbed.
void
test_sync_mutex_hammer_faults(void)
{
	setenv("UNDERGO_FAULT", "membarrier:*:ENOSYS,futex_wait:~3:EINTR,futex_wake:~3:EINTR", 1);
	os_init();
	hammer((int)test_scale(100), 500);
}

static void
takes_once(void *arg)
{
	(void)arg;
	mutex_lock(&lock);
	counter++;
	mutex_unlock(&lock);
	thread_done();
}

static void
release_later(void *arg)
{
	(void)arg;
	while (load_rlx(&lock.sleepers) < THREADS) // order: hint
		os_yield();
	os_sleep(MS); // most are in the kernel by now
	store_rlx(&seeds, 1); // order: own, what the unlock below publishes
	store_rel(&lock.held, 0); // order: release, stands in for the unlock of a successor
	fence_light();
	mutex_unlock_slow(&lock);
}

// All sleep, one unlock: each that is woken wakes the next. And an unlock may come from another
// thread than the lock did.
void
test_sync_mutex_chain_of_sleepers(void)
{
	os_init();
	for (long round = test_scale(100); round > 0; round--) {
		counter = 0;
		uint32_t zero = 0;
		expect(cas_acq(&lock.held, &zero, 1)); // order: claim, pairs with release_later
		expect_eq(os_thread_start(release_later, NULL), 0);
		run_threads(takes_once, NULL);
		expect_eq(counter, THREADS);
	}
}

void
test_sync_mutex_trylock(void)
{
	Mutex m;
	os_init();
	mutex_init(&m, RANK_leaf);
	expect(mutex_trylock(&m));
	assert_held(&m);
	expect(!mutex_trylock(&m));
	mutex_unlock(&m);
	expect(mutex_trylock(&m));
	mutex_unlock(&m);
}

// --- Note ---------------------------------------------------------------------------------------

static Note ping, pong;
static long passed; // travels with the notes

static void
pongs(void *arg)
{
	for (long n = (long)(intptr_t)arg; n > 0; n--) {
		// A deadline that often comes, at any point of the waker's way.
		while (!note_sleep(&ping, os_nanotime() + n % 50 * 1000))
			continue;
		note_clear(&ping);
		passed++;
		note_wake(&pong);
	}
}

void
test_sync_note_ping_pong(void)
{
	os_init();
	long rounds = test_scale(20000);
	expect_eq(os_thread_start(pongs, (void *)(intptr_t)rounds), 0);
	for (long n = 1; n <= rounds; n++) {
		note_wake(&ping);
		expect(note_sleep(&pong, INT64_MAX));
		note_clear(&pong);
		expect_eq(passed, n);
	}
}

void
test_sync_note_deadline(void)
{
	Note n = {ATOMIC_INIT(0)};
	os_init();
	expect(!note_sleep(&n, 0));
	int64_t deadline = os_nanotime() + 5 * MS;
	expect(!note_sleep(&n, deadline));
	expect(os_nanotime() >= deadline);
	note_wake(&n); // after the deadline: kept
	expect(note_sleep(&n, 0));
	note_clear(&n);
	note_wake(&n); // before the sleep: kept
	expect(note_sleep(&n, INT64_MAX));
}

// --- lock ranks ---------------------------------------------------------------------------------

DEATH(sync_out_of_order)
{
	Mutex a, b;
	os_init();
	mutex_init(&a, RANK_leaf);
	mutex_init(&b, RANK_sched);
	mutex_lock(&a);
	mutex_lock(&b);
}

DEATH(sync_not_held)
{
	Mutex a;
	os_init();
	mutex_init(&a, RANK_leaf);
	mutex_unlock(&a);
}

DEATH(sync_chans_falling)
{
	Mutex two[2];
	os_init();
	mutex_init(&two[0], RANK_chan);
	mutex_init(&two[1], RANK_chan);
	mutex_lock(&two[1]);
	mutex_lock(&two[0]);
}

// What the order allows, releases out of order included, passes.
static void
in_order(void)
{
	static Mutex chans[40];
	Mutex timers = MUTEX_INIT(timers), sched = MUTEX_INIT(sched);
	for (size_t i = 0; i < countof(chans); i++)
		mutex_init(&chans[i], RANK_chan);
	mutex_lock(&timers);
	for (size_t i = 0; i < countof(chans); i++)
		mutex_lock(&chans[i]);
	mutex_lock(&sched);
	mutex_unlock(&timers);
	for (size_t i = 0; i < countof(chans); i++)
		mutex_unlock(&chans[i]);
	mutex_unlock(&sched);
	mutex_lock(&timers);
	mutex_unlock(&timers);
}

// A lock lies where one of another rank was, which was taken last of several.
DEATH(sync_rank_in_old_place)
{
	static Mutex m[2], sched;
	os_init();
	mutex_init(&m[0], RANK_chan);
	mutex_init(&m[1], RANK_chan);
	mutex_init(&sched, RANK_sched);
	mutex_lock(&m[0]);
	mutex_lock(&m[1]);
	mutex_unlock(&m[1]);
	mutex_init(&m[1], RANK_leaf);
	mutex_lock(&m[1]);
	mutex_lock(&sched);
}

void
test_sync_lock_ranks(void)
{
	os_init();
	in_order();
#ifdef NDEBUG
	skip("lock ranks are checked in debug builds");
#else
	expect_death(sync_out_of_order, .status = 2,
		     .err = "runtime: acquiring a lock of rank sched"
			    " while holding one of rank leaf\n"
			    "fatal error: lock ordering problem\n\n");
	expect_death(sync_not_held, .status = 2, .err = "fatal error: lockrank: releasing a lock");
	expect_death(sync_chans_falling, .status = 2,
		     .err = "runtime: acquiring a lock of rank chan"
			    " while holding one of rank chan\n");
	expect_death(sync_rank_in_old_place, .status = 2,
		     .err = "runtime: acquiring a lock of rank sched"
			    " while holding one of rank leaf\n");
#endif
}
