// SPDX-License-Identifier: BSD-3-Clause
// A storm of goroutines that talk in pairs, now locked to their threads and now not, some of which
// end locked and leave their pair to another, while GOMAXPROCS goes up and down and collections
// stop everything.
//
// The books: who locks its thread puts its number at the thread's, and whoever runs between two
// calls of the library looks whether the thread it is on is another's. Messages of a pair arrive
// once and in order. A thread's number is what the runtime takes for it, so that the simulation can
// play this too.
#include "child.h"
#include "goroutines.h"
#include "os/os.h"

#include <undergo/heap.h>

enum { PAIRS = 12, THREADS_MAX = 1 << 22 };

static atomic_uint *owner; // of THREADS_MAX: by a thread's number: who is locked to it; 0 nobody
static atomic_bool stop;
static go_waitgroup loads;
static atomic_ullong next_seed;
static Count looks, locks, locked_ends;

typedef struct Pair {
	go_chan *there, *back;
	long sent, echoed; // each by one side alone
} Pair;

static Pair pairs[PAIRS];

// What a goroutine knows of itself.
typedef struct Self {
	uint64_t rand;
	unsigned number;
	int locks;
} Self;

static Self
self_new(void)
{
	static atomic_uint numbers;
	uint64_t seed = atomic_fetch_add(&next_seed, UINT64_C(0x5851f42d4c957f2d));
	return (Self){seed, atomic_fetch_add(&numbers, 1) + 1, 0};
}

static unsigned
below(Self *s, unsigned n)
{
	return (unsigned)(test_rand(&s->rand) % n);
}

static atomic_uint *
here(void)
{
	int tid = os_thread_id();
	expect(tid > 0 && tid < THREADS_MAX);
	return &owner[tid];
}

static void
look(const Self *s)
{
	expect_eq(atomic_load(here()), s->locks != 0 ? s->number : 0);
	count_add(&looks);
}

static void
lock(Self *s)
{
	go_lock_os_thread();
	if (s->locks++ == 0)
		expect_eq(atomic_exchange(here(), s->number), 0);
	count_add(&locks);
}

static void
unlock(Self *s)
{
	if (--s->locks == 0)
		expect_eq(atomic_exchange(here(), 0), s->number);
	go_unlock_os_thread();
}

// Something between two messages.
static void
step(Self *s)
{
	look(s);
	switch (below(s, 16)) {
	case 0:
	case 1:
		if (s->locks < 3)
			lock(s);
		break;
	case 2:
	case 3:
		if (s->locks > 0)
			unlock(s);
		break;
	case 4:
		go_yield();
		break;
	case 5:
		go_sleep(below(s, 100) * GO_USEC);
		break;
	case 6:
		if (below(s, 8) == 0)
			block_thread_for(below(s, 400) * GO_USEC);
		break;
	case 7:
		go_block_begin();
		block_thread_for(below(s, 50) * GO_USEC);
		go_block_end();
		break;
	case 8:
		expect(go_alloc(64 + below(s, 1000)) != NULL);
		break;
	}
	look(s);
}

// True: the caller shall end, locked; another has taken its place.
static bool
hand_on(Self *s, void (*fn)(void *), void *arg)
{
	if (s->locks == 0 || below(s, 64) != 0)
		return false;
	expect_eq(atomic_exchange(here(), 0), s->number); // the number may soon be another thread's
	expect_eq(go_spawn(fn, arg), 0);
	count_add(&locked_ends);
	return true;
}

static void
pair_ask(void *arg)
{
	Pair *p = arg;
	Self s = self_new();
	while (!atomic_load(&stop)) {
		long v = p->sent, got = -1;
		expect_eq(go_chan_send(p->there, &v, GO_NEVER), 0);
		p->sent++;
		step(&s);
		expect_eq(go_chan_recv(p->back, &got, GO_NEVER), 0);
		expect_eq(got, v + 1);
		if (hand_on(&s, pair_ask, p))
			return;
	}
	while (s.locks > 0)
		unlock(&s);
	go_chan_close(p->there);
	go_wg_done(&loads);
}

static void
pair_answer(void *arg)
{
	Pair *p = arg;
	Self s = self_new();
	long v;
	for (;;) {
		int64_t deadline = below(&s, 4) == 0 ? go_in(50 * GO_USEC) : GO_NEVER;
		int err = go_chan_recv(p->there, &v, deadline);
		look(&s);
		if (err == GO_ETIMEDOUT)
			continue;
		if (err == GO_ECLOSED)
			break;
		expect_eq(err, 0);
		expect_eq(v, p->echoed);
		p->echoed++;
		v++;
		step(&s);
		expect_eq(go_chan_send(p->back, &v, GO_NEVER), 0);
		if (hand_on(&s, pair_answer, p))
			return;
	}
	while (s.locks > 0)
		unlock(&s);
	expect_eq(p->echoed, p->sent);
	go_wg_done(&loads);
}

// Its caller may be locked: then the world is stopped from a locked thread.
static void
change_procs(void *unused)
{
	static const int cycle[] = {1, 2, 4, 1, 4, 2};
	(void)unused;
	Self s = self_new();
	for (int i = 0; !atomic_load(&stop); i++) {
		step(&s);
		go_gomaxprocs(cycle[i % 6]);
		step(&s);
		if (i % 8 == 0)
			go_gc();
		go_sleep((100 + below(&s, 2000)) * GO_USEC);
	}
	while (s.locks > 0)
		unlock(&s);
	go_wg_done(&loads);
}

static void
load_start(void (*fn)(void *), void *arg)
{
	go_wg_add(&loads, 1);
	expect_eq(go_spawn(fn, arg), 0);
}

static void
storm(bool changes, int64_t ns)
{
	owner = test_pages(THREADS_MAX * sizeof(*owner));
	uint64_t seed = test_seed();
	atomic_store(&next_seed, seed);
	for (int i = 0; i < PAIRS; i++) {
		pairs[i].there = go_chan_new(sizeof(long), (size_t)(i % 3));
		pairs[i].back = go_chan_new(sizeof(long), (size_t)(i % 2));
		load_start(pair_ask, &pairs[i]);
		load_start(pair_answer, &pairs[i]);
	}
	if (changes)
		load_start(change_procs, NULL);
	go_sleep(ns);
	atomic_store(&stop, true);
	expect_eq(go_wg_wait(&loads, GO_NEVER), 0);
	printf("%ld looks, %ld locks, %ld ends\n", count_of(&looks), count_of(&locks),
	       count_of(&locked_ends));
	expect(count_of(&looks) > 0 && count_of(&locks) > 0);
}

GO_TEST(locked_storm_on_one_p, 1)
{
	storm(false, test_scale(2000) * GO_MSEC);
}

GO_TEST(locked_storm_on_two_ps, 2)
{
	storm(false, test_scale(2000) * GO_MSEC);
}

GO_TEST(locked_storm_on_four_ps, 4)
{
	storm(false, test_scale(2000) * GO_MSEC);
}

GO_TEST(locked_storm_of_all, 2)
{
	storm(true, test_scale(2000) * GO_MSEC);
}

// --- in the simulation --------------------------------------------------------------------------

static int
storm_main(void *unused)
{
	(void)unused;
	storm(true, 50 * GO_MSEC);
	return 0;
}

DEATH(locked_storm_simulated)
{
	go_gomaxprocs(3);
	expect_eq(go_run(storm_main, NULL), 0);
}

void
test_locked_storm_in_the_simulation(void)
{
	static ChildEnd child;
	for (int i = 1; i <= 5; i++) {
		char seed[32];
		snprintf(seed, sizeof(seed), "UNDERGO_SEED=%d", i);
		child_run(&child, "locked_storm_simulated", (char *[]){seed, NULL}, 30000);
		if (child.status != 0)
			printf("%s: ended with %d\n%s\n", seed, child.status, child.text);
		fflush(stdout);
		expect_eq(child.status, 0);
	}
}
