// SPDX-License-Identifier: BSD-3-Clause
// The schedule explorer: fibers, modelled memory, schedulers.
//
// Threads of a test are fibers on one OS thread. Every atomic operation is a step: before it the
// scheduler picks who goes on. Memory is a history of messages per location, and each thread has a
// view, the oldest message of each location that it may still read. What the model allows is what
// C++20 allows short of load buffering (a load never sees a store that comes later in the
// schedule), see README.
//
// Invariants:
//   I1  A history is sorted by ts, its modification order. atomic_v_ is the last message's value.
//   I2  A message with rmw set follows the message it read; nothing is ever put between them.
//   I3  cur <= acq for each thread: cur is what it must see, acq what it must see after an acquire
//       fence, rel what its relaxed stores hand over (cur as of the last release fence).
//   I4  Entries below CLOCKS of a view are thread clocks. They travel with messages and locks only:
//       fences between threads order locations but make no happens-before, so plain data handed
//       over with nothing but fences is reported as a race.
//   I5  Entries of a view beyond nvec vectors are zero; a message carries only nv of them.
//   I6  All choices come from rng, which is seeded by (seed, test, schedule number) alone.
//
// Release sequences are those of C++20: a read-modify-write hands on the view of the message it
// read, a store does not, not even one by the same thread.
//
// Asymmetric fences: a light fence and a heavy one order each other as two seq_cst fences would;
// two light ones do not order each other. That is weaker than what membarrier does (a fence in
// every thread wherever it stands) and weaker than two real fences (the fall-back), so what holds
// here holds under both. With -a the engine does exactly what membarrier does instead.
//
// Not done: a search that is exhaustive within bounds. Histories with stale reads branch too
// widely for tests of sixty steps; random and PCT schedules find the planted bugs in hundreds.
#include "explore_engine.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>

enum {
	STALE_READS = 32,  // per thread and schedule: stores become visible in the end
	WATCH_SECONDS = 1, // of processor time between looks at a thread that makes no step
};

struct Schedule S;
static volatile uint64_t progress; // schedules begun, for the watch

// --- chance -----------------------------------------------------------------------------------

static uint64_t
mix(uint64_t z)
{
	z += UINT64_C(0x9E3779B97F4A7C15);
	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

uint32_t
explore_random(uint32_t n)
{
	return below(n);
}

// --- one schedule -----------------------------------------------------------------------------

// How the schedule is played is part of its number (I6). alone_k: steps a schedule of this test
// has, for the change points of PCT.
static void
choose_policy(uint64_t number, int k)
{
	static const uint8_t depth_of[8] = {0, 0, 1, 2, 2, 3, 3, 4};
	int depth = depth_of[number & 7];
	S.policy = depth == 0 ? UNIFORM : depth == 1 ? STICKY : PCT;
	S.changes = depth >= 2 ? depth - 1 : 0;
	uint32_t r = rnd();
	S.staleness = (r & 7) == 0 ? FRESH : (r & 7) == 1 ? OLD : ANY;
	S.spurious = (r >> 3 & 3) == 0;
	S.inserts = (r >> 5 & 1) == 0;
	for (int i = 0; i < S.changes; i++)
		S.change[i] = 1 + (int)below((uint32_t)k);
	S.lowest = 0;
	if (S.policy != PCT)
		return;
	for (int i = 0; i < S.threads; i++)
		S.thread[i].prio = i + 1;
	for (int i = S.threads - 1; i > 0; i--) {
		int j = (int)below((uint32_t)i + 1);
		int p = S.thread[i].prio;
		S.thread[i].prio = S.thread[j].prio;
		S.thread[j].prio = p;
	}
}

static void
reset(const struct ExploreTest *test)
{
	int nv = S.nvec > 0 ? S.nvec : VECTORS;
	clear(&S.seq, nv);
	clear(&S.light, nv);
	clear(&S.heavy, nv);
	memset(S.futex, 0, (size_t)nv * sizeof(Lanes));
	for (int i = 0; i < EXPLORE_THREADS; i++) {
		Thread *t = &S.thread[i];
		clear(&t->cur, nv);
		clear(&t->acq, nv);
		clear(&t->rel, nv);
		t->cur.t[i] = 1; // later than what the others know of it
		t->state = RUNS;
		t->may_sleep = false;
		t->stale_left = STALE_READS;
		if (i < test->threads)
			explore_fiber_init(t);
	}
	explore_thread_locals_reset();
	S.test = test;
	S.threads = test->threads;
	S.runnable = (UINT32_C(1) << test->threads) - 1;
	S.asleep = 0;
	S.nlocs = 0;
	S.nvec = CLOCKS / LANES;
	S.nlocks = 0;
	S.steps = 0;
	S.failed = false;
	S.outcome_bit = 0;
	S.stamp++;
}

bool
explore_play(const struct ExploreTest *test, int test_index, uint64_t seed, uint64_t number, int k)
{
	S.running = false;
	progress++;
	reset(test);
	S.rng = mix(mix(seed) ^ mix((uint64_t)test_index + 1) ^ (number + 1)) | 1;
	choose_policy(number, k);
	if (setjmp(S.alone) == 0) {
		if (test->init != NULL)
			test->init();
		explore_thread_locals_clear();
		S.cur = 0;
		S.cur = explore_pick(-1);
		S.running = true;
		explore_switch_from_main(&S.thread[S.cur]);
		S.running = false;
		if (!S.failed && test->final != NULL)
			test->final();
	}
	S.running = false;
	explore_result.steps = S.steps;
	explore_result.outcomes = S.outcome_bit;
	return !S.failed;
}

// --- signals: a crash of the code under test is a failure of the schedule ---------------------

static void
crashed(int sig)
{
	static const char *const names[] = {
	    [SIGSEGV] = "SIGSEGV", [SIGBUS] = "SIGBUS",   [SIGFPE] = "SIGFPE",
	    [SIGILL] = "SIGILL",   [SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT"};
	explore_fail("%s", names[sig]);
}

static void
watch(int sig)
{
	static uint64_t last;
	static int same;
	(void)sig;
	same = last == progress ? same + 1 : 0;
	last = progress;
	if (same >= 3 && !explore_tracing)
		explore_fail("hang: one schedule runs for seconds");
}

static void
catch_crashes(void)
{
	static char alternate[64 << 10];
	stack_t ss = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
	sigaltstack(&ss, NULL);
	static const int sigs[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
	struct sigaction sa = {.sa_handler = crashed, .sa_flags = SA_ONSTACK | SA_NODEFER};
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		sigaction(sigs[i], &sa, NULL);
	sa.sa_handler = watch;
	sigaction(SIGPROF, &sa, NULL);
}

void
explore_watch(void)
{
	struct itimerval every = {{WATCH_SECONDS, 0}, {WATCH_SECONDS, 0}};
	setitimer(ITIMER_PROF, &every, NULL);
}

static void
make_stacks(void)
{
	for (int i = 0; i < EXPLORE_THREADS; i++) {
		char *p = mmap(NULL, STACK_BYTES + 4096, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED || mprotect(p, 4096, PROT_NONE) != 0) {
			perror("explore: stacks");
			exit(2);
		}
		S.thread[i].stack = p + 4096;
	}
}

void
explore_set_up(void)
{
	make_stacks();
	catch_crashes();
	explore_watch();
}
