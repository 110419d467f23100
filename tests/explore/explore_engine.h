// SPDX-License-Identifier: BSD-3-Clause
// What the files of the engine share: the schedule that is played, its threads and its memory. Who
// uses the engine sees explore.h, or explore_impl.h.
#ifndef UNDERGO_TESTS_EXPLORE_ENGINE_H
#define UNDERGO_TESTS_EXPLORE_ENGINE_H

#include <setjmp.h>
#include <string.h>
#ifndef __x86_64__
#include <ucontext.h>
#endif

#include "explore_impl.h"

enum {
	LANES = 8,  // entries in one vector of a view
	CLOCKS = 8, // the first vector: a clock per thread
	LOCATIONS = 120,
	VIEW = CLOCKS + LOCATIONS,
	VECTORS = VIEW / LANES,
	HISTORY = 32, // messages kept per location; older ones can no longer be read
	STACK_BYTES = 128 << 10,
};

typedef int16_t Lanes __attribute__((vector_size(2 * LANES)));
typedef union {
	int16_t t[VIEW];
	Lanes v[VECTORS];
} View;

typedef struct {
	uint64_t v;
	int16_t ts;
	uint8_t rmw;
	uint8_t nv;
	uint8_t by;
	Lanes clocks; // the writer's, of all threads
	View view;
} Message;

// A load that has to happen before every later store, see explore_kept.
typedef struct {
	int16_t ts, clock; // ts -1: none
	uint64_t v;
} Load;

typedef struct {
	void *addr;
	const char *name;
	int size;
	int n; // messages
	bool any_kept;
	Load last[EXPLORE_THREADS]; // each thread's last load
	Load kept[EXPLORE_THREADS]; // and the last one it kept
	Message m[HISTORY];
} Location;

enum ThreadState { RUNS, SLEEPS, WAITS_LOCK, DONE };

typedef struct {
	View cur, acq, rel;
	void *sp;
	char *stack;
#ifndef __x86_64__
	ucontext_t uc;
#endif
	int state;
	int waits_for; // location or lock
	bool deadline;
	bool may_sleep;
	enum ExploreWoken woken;
	int prio;
	int stale_left;
} Thread;

enum Policy { UNIFORM, STICKY, PCT };
enum Staleness { FRESH, ANY, OLD };

extern struct Schedule {
	uint64_t rng;
	bool running;
	int cur;
	uint32_t runnable, asleep; // bits
	int threads;
	int nlocs, nvec, nlocks;
	uint32_t stamp;
	int steps;
	enum Policy policy;
	enum Staleness staleness;
	bool spurious, inserts;
	int lowest; // priority given out last
	int change[4], changes;
	const struct ExploreTest *test;
	int tlocals; // places that each thread has for itself
	void *main_sp;
#ifndef __x86_64__
	ucontext_t main_uc;
#endif
	bool failed;
	uint64_t outcome_bit;
	jmp_buf alone;
	View seq;          // what the latest seq_cst fence saw
	View light, heavy; // what light fences gave, what heavy ones gave
	int16_t futex[VIEW];
	Thread thread[EXPLORE_THREADS];
	Location loc[LOCATIONS + 1]; // 1 on
} S;

static inline uint32_t
rnd(void)
{
	uint64_t x = S.rng;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	S.rng = x;
	return (uint32_t)((x * UINT64_C(0x2545F4914F6CDD1D)) >> 32);
}

static inline uint32_t
below(uint32_t n)
{
	return (uint32_t)(((uint64_t)rnd() * n) >> 32);
}

// --- views ------------------------------------------------------------------------------------

static inline void
join(View *a, const View *b, int nv)
{
	for (int i = 0; i < nv; i++) {
		Lanes greater = a->v[i] > b->v[i];
		a->v[i] = (a->v[i] & greater) | (b->v[i] & ~greater);
	}
}

// Locations only (I4).
static inline void
join_locations(View *a, const View *b, int nv)
{
	for (int i = CLOCKS / LANES; i < nv; i++) {
		Lanes greater = a->v[i] > b->v[i];
		a->v[i] = (a->v[i] & greater) | (b->v[i] & ~greater);
	}
}

static inline void
copy(View *a, const View *b, int nv)
{
	for (int i = 0; i < nv; i++)
		a->v[i] = b->v[i];
}

static inline void
clear(View *a, int nv)
{
	memset(a, 0, (size_t)nv * sizeof(Lanes));
}

static inline int
entry(int loc)
{
	return CLOCKS - 1 + loc;
}

// --- what one file has and others use ---------------------------------------------------------

// explore_say.c
const char *explore_location_name(int l);
const char *explore_name_of_text(const char *text);
void explore_trace(const struct ExploreSite *site, int l, const char *fmt, ...);

// explore_fiber.c
void explore_fiber_init(Thread *t); // it will begin with explore_fiber_main
void explore_switch_fibers(Thread *from, Thread *to);
void explore_switch_from_main(Thread *to);
void explore_switch_to_main(Thread *from);
void explore_swap_thread_locals(int from, int to);
void explore_thread_locals_reset(void); // of all threads, before the first runs
void explore_thread_locals_clear(void); // the places themselves

// explore_next.c
int explore_random_bit(uint32_t bits);
void explore_wake_thread(int i, enum ExploreWoken how);
int explore_pick(int except); // who is next, -1: nobody can; not `except`, if there is another
void explore_give_up(void);   // the current thread cannot go on
void explore_point(void);     // a step begins
void explore_fiber_main(void);

#endif
