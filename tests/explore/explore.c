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
#include "explore_impl.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#ifndef __x86_64__
#include <ucontext.h>
#endif

enum {
	LANES = 8,  // entries in one vector of a view
	CLOCKS = 8, // the first vector: a clock per thread
	LOCATIONS = 120,
	VIEW = CLOCKS + LOCATIONS,
	VECTORS = VIEW / LANES,
	HISTORY = 32, // messages kept per location; older ones can no longer be read
	LOCKS = 16,
	PLAIN = 256, // plain locations, a power of two
	STACK_BYTES = 128 << 10,
	TS_GAP = 64, // between neighbours, so that a store may come in between
	TS_DENSE = 16000,
	STALE_READS = 32,  // per thread and schedule: stores become visible in the end
	FAIR_AFTER = 1500, // steps; then random scheduling and fresh reads only
	LIVELOCK = 10000,  // steps that no fair schedule of a driver comes near
	WATCH_SECONDS = 1, // of processor time between looks at a thread that makes no step
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

typedef struct {
	const void *addr;
	int holder; // -1: free
	View view;
} Lock;

typedef struct {
	const void *addr;
	uint32_t stamp; // schedule the rest belongs to
	int16_t wby, wclock;
	int16_t rclock[CLOCKS];
} Plain;

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

typedef struct {
	void *p;
	size_t bytes;
	char saved[EXPLORE_THREADS][64];
} ThreadLocal;

static struct {
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
	int tlocals;
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
} S;

static Thread threads[EXPLORE_THREADS];
static Location locs[LOCATIONS + 1]; // 1 on
static Lock locks[LOCKS];
static Plain plain[PLAIN];
static ThreadLocal tlocals[4];
struct ExploreResult explore_result;
bool explore_tracing, explore_membarrier;
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

uint32_t
explore_random(uint32_t n)
{
	return below(n);
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

// --- fibers -----------------------------------------------------------------------------------

static void fiber_main(void);

#ifdef __x86_64__
void explore_switch(void **save, void *load);
__asm__(".text\n"
	".globl explore_switch\n"
	".type explore_switch, @function\n"
	"explore_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	popq %rcx\n"
	"	jmp *%rcx\n"
	".size explore_switch, .-explore_switch\n");

static void
fiber_init(Thread *t)
{
	void **sp = (void **)(void *)(t->stack + STACK_BYTES);
	*--sp = NULL; // keeps the entry's stack aligned
	*--sp = (void *)(uintptr_t)fiber_main;
	for (int i = 0; i < 6; i++)
		*--sp = NULL;
	t->sp = sp;
}

static inline void
switch_fibers(Thread *from, Thread *to)
{
	explore_switch(&from->sp, to->sp);
}

static inline void
switch_from_main(Thread *to)
{
	explore_switch(&S.main_sp, to->sp);
}

static inline void
switch_to_main(Thread *from)
{
	explore_switch(&from->sp, S.main_sp);
}
#else
static void
fiber_init(Thread *t)
{
	getcontext(&t->uc);
	t->uc.uc_stack.ss_sp = t->stack;
	t->uc.uc_stack.ss_size = STACK_BYTES;
	t->uc.uc_link = NULL;
	makecontext(&t->uc, fiber_main, 0);
}

static inline void
switch_fibers(Thread *from, Thread *to)
{
	swapcontext(&from->uc, &to->uc);
}

static inline void
switch_from_main(Thread *to)
{
	swapcontext(&S.main_uc, &to->uc);
}

static inline void
switch_to_main(Thread *from)
{
	swapcontext(&from->uc, &S.main_uc);
}
#endif

static void
swap_thread_locals(int from, int to)
{
	for (int i = 0; i < S.tlocals; i++) {
		memcpy(tlocals[i].saved[from], tlocals[i].p, tlocals[i].bytes);
		memcpy(tlocals[i].p, tlocals[i].saved[to], tlocals[i].bytes);
	}
}

void
explore_thread_local(void *p, size_t bytes)
{
	for (int i = 0; i < S.tlocals; i++)
		if (tlocals[i].p == p)
			return;
	if (S.tlocals == 4 || bytes > sizeof(tlocals[0].saved[0]))
		explore_fail("explore_thread_local: too many or too large");
	tlocals[S.tlocals].p = p;
	tlocals[S.tlocals].bytes = bytes;
	S.tlocals++;
}

// --- failing and saying -----------------------------------------------------------------------

static const char *
location_name(int l)
{
	static char buf[4][96];
	static int turn;
	const char *s = locs[l].name;
	char *b = buf[turn = (turn + 1) & 3];
	snprintf(b, sizeof(buf[0]), "%s#%d", s != NULL ? s : "?", l);
	return b;
}

// "load_acq(&q->head)" is called q->head.
static const char *
name_of_text(const char *text)
{
	static char names[LOCATIONS + 1][64];
	const char *p = strchr(text, '(');
	p = p != NULL ? p + 1 : text;
	while (*p == '&' || *p == '(')
		p++;
	char *b = names[S.nlocs];
	snprintf(b, sizeof(names[0]), "%s", p);
	size_t n = strlen(b);
	if (n > 0 && b[n - 1] == ')')
		b[n - 1] = 0;
	return b;
}

void
explore_say(const char *fmt, ...)
{
	if (!explore_tracing)
		return;
	va_list ap;
	printf("%5d  %*sT%d  ", S.steps, S.running ? 4 * S.cur : 0, "", S.running ? S.cur : -1);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static void
trace(const struct ExploreSite *site, int l, const char *fmt, ...)
{
	va_list ap;
	char what[160];
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	const char *base = strrchr(site->file, '/');
	explore_say("%-28s %s%s%s%s   %s:%d %s", site->text, l != 0 ? location_name(l) : "",
		    l != 0 ? " " : "", what, site->drop != 0 ? " (weakened)" : "",
		    base != NULL ? base + 1 : site->file, site->line, site->func);
}

void
explore_fail(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (!S.failed)
		vsnprintf(explore_result.text, sizeof(explore_result.text), fmt, ap);
	va_end(ap);
	S.failed = true;
	if (explore_tracing)
		explore_say("FAILURE: %s", explore_result.text);
	if (!S.running)
		longjmp(S.alone, 1);
	switch_to_main(&threads[S.cur]);
	__builtin_unreachable();
}

void
explore_outcome(unsigned n)
{
	S.outcome_bit |= UINT64_C(1) << n;
	if (explore_tracing)
		explore_say("outcome %u", n);
	if (((S.test->must | S.test->may) >> n & 1) == 0)
		explore_fail("outcome %u is forbidden", n);
}

// assert of the code under test.
__attribute__((noreturn)) void __assert_fail(const char *expr, const char *file, unsigned line,
					     const char *func);
__attribute__((noreturn)) void
__assert_fail(const char *expr, const char *file, unsigned line, const char *func)
{
	explore_fail("assert(%s) %s:%u %s", expr, file, line, func);
}

// --- who goes on ------------------------------------------------------------------------------

static int
nth_bit(uint32_t bits, uint32_t n)
{
	while (n-- > 0)
		bits &= bits - 1;
	return __builtin_ctz(bits);
}

static int
random_bit(uint32_t bits)
{
	if ((bits & (bits - 1)) == 0)
		return __builtin_ctz(bits);
	return nth_bit(bits, below((uint32_t)__builtin_popcount(bits)));
}

static void
wake_thread(int i, enum ExploreWoken how)
{
	threads[i].state = RUNS;
	threads[i].woken = how;
	S.asleep &= ~(UINT32_C(1) << i);
	S.runnable |= UINT32_C(1) << i;
}

static int
highest(uint32_t bits)
{
	int best = -1;
	for (; bits != 0; bits &= bits - 1) {
		int i = __builtin_ctz(bits);
		if (best < 0 || threads[i].prio > threads[best].prio)
			best = i;
	}
	return best;
}

// The next thread to run, -1 when none can. except: one that would rather not, or -1.
static int
pick(int except)
{
	if (S.asleep != 0 && S.spurious && S.runnable != 0 && below(24) == 0) {
		int i = random_bit(S.asleep);
		wake_thread(i, threads[i].deadline && below(2) ? EXPLORE_TIMED_OUT : EXPLORE_WOKEN);
	}
	uint32_t run = S.runnable;
	if (run == 0)
		return -1;
	if (S.policy == PCT)
		return highest(run);
	if (except >= 0 && (run & ~(UINT32_C(1) << except)) != 0)
		run &= ~(UINT32_C(1) << except);
	else if (S.policy == STICKY && (run >> S.cur & 1) && below(4) != 0)
		return S.cur;
	return random_bit(run);
}

static void
go_to(int next)
{
	int me = S.cur;
	if (next == me)
		return;
	if (S.tlocals != 0)
		swap_thread_locals(me, next);
	S.cur = next;
	switch_fibers(&threads[me], &threads[next]);
}

static const char *
stuck_text(void)
{
	static char buf[400];
	int n = 0;
	buf[0] = 0;
	for (int i = 0; i < S.threads; i++) {
		Thread *t = &threads[i];
		const char *what = "is done";
		if (t->state == SLEEPS)
			what = location_name(t->waits_for);
		else if (t->state == WAITS_LOCK)
			what = "a lock";
		n += snprintf(buf + n, sizeof(buf) - (size_t)n, "%sT%d %s%s", i > 0 ? ", " : "", i,
			      t->state == DONE ? "" : "waits for ", what);
		if (n >= (int)sizeof(buf))
			break;
	}
	return buf;
}

// The current thread cannot go on. Returns when it can, unless the schedule ends here.
static void
give_up(void)
{
	int next = pick(-1);
	if (next < 0) {
		uint32_t timed = 0;
		bool may_end = true;
		for (int i = 0; i < S.threads; i++) {
			if (threads[i].state == SLEEPS && threads[i].deadline)
				timed |= UINT32_C(1) << i;
			if (threads[i].state != DONE && !threads[i].may_sleep)
				may_end = false;
		}
		if (!may_end && timed != 0) {
			next = random_bit(timed);
			wake_thread(next, EXPLORE_TIMED_OUT);
		} else if (may_end) {
			switch_to_main(&threads[S.cur]);
			__builtin_unreachable();
		} else {
			explore_fail("deadlock: %s", stuck_text());
		}
	}
	go_to(next);
}

static void
limits(void)
{
	if (S.steps == FAIR_AFTER) {
		S.policy = UNIFORM;
		S.staleness = FRESH;
	}
	if (S.steps < LIVELOCK)
		return;
	bool may_end = true;
	for (int i = 0; i < S.threads; i++)
		if (threads[i].state != DONE && !threads[i].may_sleep)
			may_end = false;
	if (!may_end)
		explore_fail("livelock: %d steps, thread %d runs", S.steps, S.cur);
	switch_to_main(&threads[S.cur]);
}

// A step begins: anyone may come first.
static inline void
point(void)
{
	if (__builtin_expect(++S.steps >= FAIR_AFTER, 0))
		limits();
	if (S.policy == PCT)
		for (int i = 0; i < S.changes; i++)
			if (S.change[i] == S.steps)
				threads[S.cur].prio = --S.lowest;
	go_to(pick(-1));
}

void
explore_yield(void)
{
	if (!S.running)
		return;
	if (++S.steps >= FAIR_AFTER)
		limits();
	threads[S.cur].stale_left >>= 1;
	threads[S.cur].prio = --S.lowest;
	if (explore_tracing)
		explore_say("yield");
	go_to(pick(S.cur));
}

static void
fiber_main(void)
{
	Thread *t = &threads[S.cur];
	S.test->thread(S.cur);
	t->state = DONE;
	S.runnable &= ~(UINT32_C(1) << S.cur);
	for (int i = 0; i < S.threads; i++)
		if (threads[i].state != DONE)
			give_up();
	switch_to_main(t);
	__builtin_unreachable();
}

int
explore_self(void)
{
	return S.running ? S.cur : -1;
}

void
explore_may_sleep(bool yes)
{
	if (S.running)
		threads[S.cur].may_sleep = yes;
}

// --- locations --------------------------------------------------------------------------------

static uint64_t
raw_read(const void *p, int size)
{
	uint64_t v = 0;
	switch (size) {
	case 1:
		return *(const uint8_t *)p;
	case 2:
		return *(const uint16_t *)p;
	case 4:
		return *(const uint32_t *)p;
	default:
		memcpy(&v, p, 8);
		return v;
	}
}

static void
raw_write(void *p, int size, uint64_t v)
{
	switch (size) {
	case 1:
		*(uint8_t *)p = (uint8_t)v;
		break;
	case 2:
		*(uint16_t *)p = (uint16_t)v;
		break;
	case 4:
		*(uint32_t *)p = (uint32_t)v;
		break;
	default:
		memcpy(p, &v, 8);
	}
}

static inline uint64_t
trim(uint64_t v, int size)
{
	return size >= 8 ? v : v & ((UINT64_C(1) << (8 * size)) - 1);
}

static inline uint16_t *
index_of(void *p, int size) // A3
{
	return (uint16_t *)(void *)((char *)p + (size < 2 ? 2 : size));
}

static __attribute__((noinline)) int
register_location(void *p, int size, const char *text)
{
	if (S.nlocs == LOCATIONS)
		explore_fail("more than %d locations", (int)LOCATIONS);
	int l = ++S.nlocs;
	Location *c = &locs[l];
	c->addr = p;
	c->size = size;
	c->name = explore_tracing ? name_of_text(text) : text;
	c->n = 1;
	c->m[0].v = raw_read(p, size);
	c->m[0].ts = 0;
	c->m[0].rmw = 0;
	c->m[0].nv = 0;
	c->m[0].by = 255;
	c->any_kept = false;
	for (int i = 0; i < S.threads; i++)
		c->last[i].ts = c->kept[i].ts = -1;
	S.nvec = (entry(l) + LANES) / LANES;
	*index_of(p, size) = (uint16_t)l;
	return l;
}

static inline int
locate(void *p, int size, const char *text)
{
	unsigned l = *index_of(p, size);
	if (l != 0 && l <= (unsigned)S.nlocs && locs[l].addr == p)
		return (int)l;
	return register_location(p, size, text);
}

void
explore_name(const void *p, const char *name)
{
	if (explore_tracing)
		for (int l = 1; l <= S.nlocs; l++)
			if (locs[l].addr == p)
				locs[l].name = name;
}

// --- messages ---------------------------------------------------------------------------------

// The message a load of l reads: any that is not older than what the thread has seen.
static inline int
choose_message(Thread *t, int l)
{
	Location *c = &locs[l];
	int newest = c->n - 1;
	int seen = t->cur.t[entry(l)];
	if (c->m[newest].ts <= seen || S.staleness == FRESH || t->stale_left <= 0)
		return newest;
	int oldest = newest;
	while (oldest > 0 && c->m[oldest - 1].ts >= seen)
		oldest--;
	int k = oldest;
	if (S.staleness == ANY || below(4) == 0)
		k += (int)below((uint32_t)(newest - oldest + 1));
	if (k != newest)
		t->stale_left--;
	return k;
}

static inline void
observe(Thread *t, int l, const Message *m, unsigned order)
{
	int e = entry(l);
	if (t->cur.t[e] < m->ts)
		t->cur.t[e] = m->ts;
	if (t->acq.t[e] < m->ts)
		t->acq.t[e] = m->ts;
	join(&t->acq, &m->view, m->nv);
	if (order & EXPLORE_ACQ)
		join(&t->cur, &m->view, m->nv);
}

// Room for one more message; the oldest half can no longer be read.
static void
forget_half(Location *c)
{
	int keep = HISTORY / 2;
	memmove(&c->m[0], &c->m[c->n - keep], (size_t)keep * sizeof(c->m[0]));
	c->n = keep;
}

// Where in modification order a store goes: last, or now and then earlier, as far as the thread has
// not seen what follows.
static int
choose_place(Thread *t, int l)
{
	Location *c = &locs[l];
	int place = c->n;
	if (!S.inserts || c->m[place - 1].ts <= t->cur.t[entry(l)] || below(3) != 0)
		return place;
	for (int k = c->n - 1; k > 0 && c->m[k - 1].ts >= t->cur.t[entry(l)]; k--)
		if (!c->m[k].rmw && c->m[k].ts - c->m[k - 1].ts >= 2) { // I2
			place = k;
			if (below(2))
				break;
		}
	return place;
}

static Message *
insert_message(Location *c, int place)
{
	int16_t before = c->m[place - 1].ts;
	if (place == c->n) {
		c->m[place].ts = (int16_t)(before + (before < TS_DENSE ? TS_GAP : 1));
	} else {
		int16_t after = c->m[place].ts;
		memmove(&c->m[place + 1], &c->m[place], (size_t)(c->n - place) * sizeof(c->m[0]));
		c->m[place].ts = (int16_t)(before + (after - before) / 2);
	}
	c->n++;
	return &c->m[place];
}

static void
check_kept(int l, int by, const Message *m)
{
	const Load *load = &locs[l].kept[by];
	if (m->ts > load->ts && m->clocks[by] < load->clock)
		explore_fail("T%d overwrites %s, and nothing orders T%d's load before", m->by,
			     location_name(l), by);
}

void
explore_kept(const void *p, size_t bytes, uint64_t v)
{
	if (!S.running)
		return;
	int found = 0;
	for (int l = 1; l <= S.nlocs; l++) {
		Location *c = &locs[l];
		Load *load = &c->last[S.cur];
		if ((const char *)c->addr < (const char *)p ||
		    (const char *)c->addr >= (const char *)p + bytes || load->ts < 0 ||
		    load->v != v)
			continue;
		c->any_kept = true;
		c->kept[S.cur] = *load;
		found++;
		for (int k = c->n - 1; k >= 0 && c->m[k].ts > load->ts; k--)
			check_kept(l, S.cur, &c->m[k]);
	}
	if (found != 1)
		explore_fail("explore_kept: %d such loads", found);
}

// Stores v; rmw: next to the newest message, which was read.
static void
write_message(Thread *t, int l, uint64_t v, unsigned order, bool rmw)
{
	Location *c = &locs[l];
	if (c->n == HISTORY)
		forget_half(c);
	int place = rmw ? c->n : choose_place(t, l);
	Message *m = insert_message(c, place);
	int e = entry(l);
	int nv = S.nvec;
	m->v = v;
	m->rmw = rmw;
	m->nv = (uint8_t)nv;
	m->by = (uint8_t)S.cur;
	m->clocks = t->cur.v[0];
	t->cur.t[e] = m->ts;
	if (t->acq.t[e] < m->ts)
		t->acq.t[e] = m->ts;
	copy(&m->view, order & EXPLORE_REL ? &t->cur : &t->rel, nv);
	m->view.t[e] = m->ts;
	if (rmw)
		join(&m->view, &m[-1].view, m[-1].nv);
	if (order & EXPLORE_REL)
		t->cur.t[S.cur]++;
	if (place == c->n - 1)
		raw_write(c->addr, c->size, v);
	if (__builtin_expect(c->any_kept, 0))
		for (int i = 0; i < S.threads; i++)
			if (c->kept[i].ts >= 0 && i != S.cur)
				check_kept(l, i, m);
}

static inline unsigned
order_of(struct ExploreSite *site)
{
	site->reached = 1;
	return site->order & ~(unsigned)site->drop;
}

uint64_t
explore_load(struct ExploreSite *site, void *p)
{
	if (!S.running)
		return raw_read(p, site->size);
	unsigned order = order_of(site);
	point();
	int l = locate(p, site->size, site->text);
	Thread *t = &threads[S.cur];
	int k = choose_message(t, l);
	Message *m = &locs[l].m[k];
	observe(t, l, m, order);
	locs[l].last[S.cur] = (Load){.ts = m->ts, .clock = t->cur.t[S.cur], .v = m->v};
	if (explore_tracing)
		trace(site, l, "= %lld%s", (long long)m->v, k < locs[l].n - 1 ? " (stale)" : "");
	return m->v;
}

void
explore_store(struct ExploreSite *site, void *p, uint64_t v)
{
	v = trim(v, site->size);
	if (!S.running) {
		raw_write(p, site->size, v);
		return;
	}
	unsigned order = order_of(site);
	point();
	int l = locate(p, site->size, site->text);
	write_message(&threads[S.cur], l, v, order, false);
	if (explore_tracing)
		trace(site, l, ":= %lld", (long long)v);
}

bool
explore_cas(struct ExploreSite *site, void *p, void *old, uint64_t v)
{
	int size = site->size;
	uint64_t want = raw_read(old, size);
	v = trim(v, size);
	if (!S.running) {
		uint64_t was = raw_read(p, size);
		if (was == want)
			raw_write(p, size, v);
		else
			raw_write(old, size, was);
		return was == want;
	}
	unsigned order = order_of(site);
	point();
	int l = locate(p, size, site->text);
	Location *c = &locs[l];
	Thread *t = &threads[S.cur];
	int k = choose_message(t, l);
	if (c->m[k].v == want)
		k = c->n - 1; // a success reads the newest
	Message *m = &c->m[k];
	uint64_t was = m->v;
	// What fails is a load: acquire when the name says so or says acquire and release.
	observe(t, l, m, order);
	if (was == want)
		write_message(t, l, v, order, true);
	else
		raw_write(old, size, was);
	if (explore_tracing)
		trace(site, l, was == want ? "%lld -> %lld" : "= %lld, not %lld", (long long)was,
		      was == want ? (long long)v : (long long)want);
	return was == want;
}

static uint64_t
rmw_result(enum ExploreRmw op, uint64_t old, uint64_t v)
{
	switch (op) {
	case EXPLORE_XCHG:
		return v;
	case EXPLORE_ADD:
		return old + v;
	case EXPLORE_SUB:
		return old - v;
	case EXPLORE_OR:
		return old | v;
	case EXPLORE_AND:
		return old & v;
	}
	return 0;
}

uint64_t
explore_rmw(struct ExploreSite *site, void *p, enum ExploreRmw op, uint64_t v)
{
	int size = site->size;
	if (!S.running) {
		uint64_t was = raw_read(p, size);
		raw_write(p, size, rmw_result(op, was, v));
		return was;
	}
	unsigned order = order_of(site);
	point();
	int l = locate(p, size, site->text);
	Thread *t = &threads[S.cur];
	Message *m = &locs[l].m[locs[l].n - 1];
	uint64_t was = m->v;
	uint64_t now = trim(rmw_result(op, was, v), size);
	observe(t, l, m, order);
	write_message(t, l, now, order, true);
	if (explore_tracing)
		trace(site, l, "%lld -> %lld", (long long)was, (long long)now);
	return was;
}

// One thread writes at a time, so what it reads is the newest, or there are two writers.
void
explore_own_add(struct ExploreSite *site, void *p, uint64_t v)
{
	int size = site->size;
	if (!S.running) {
		raw_write(p, size, raw_read(p, size) + v);
		return;
	}
	(void)order_of(site);
	point();
	int l = locate(p, size, site->text);
	Thread *t = &threads[S.cur];
	Message *m = &locs[l].m[locs[l].n - 1];
	if (m->ts > t->cur.t[entry(l)])
		explore_fail("%s at %s:%d: another thread's write is not ordered before",
			     site->text, site->file, site->line);
	uint64_t now = trim(m->v + v, size);
	write_message(t, l, now, 0, false);
	if (explore_tracing)
		trace(site, l, ":= %lld", (long long)now);
}

// Before anyone else can see the object: no step, a relaxed store.
void
explore_init(struct ExploreSite *site, void *p, uint64_t v)
{
	v = trim(v, site->size);
	if (!S.running) {
		raw_write(p, site->size, v);
		return;
	}
	site->reached = 1;
	int l = locate(p, site->size, site->text);
	write_message(&threads[S.cur], l, v, 0, false);
	if (explore_tracing)
		trace(site, l, ":= %lld", (long long)v);
}

// --- fences -----------------------------------------------------------------------------------

static void
fence_of(Thread *t, int i, unsigned order)
{
	int nv = S.nvec;
	if (order & EXPLORE_ACQ)
		join(&t->cur, &t->acq, nv);
	if (order & EXPLORE_SEQ) {
		join_locations(&t->cur, &S.seq, nv);
		join_locations(&S.seq, &t->cur, nv);
	}
	if (order & EXPLORE_LIGHT) { // no acquire: only the heavy side ever makes it a fence
		join_locations(&t->cur, &S.heavy, nv);
		join_locations(&S.light, &t->cur, nv);
		join_locations(&S.light, &t->acq, nv);
	}
	if (order & EXPLORE_HEAVY) {
		join_locations(&t->cur, &S.light, nv);
		join_locations(&S.heavy, &t->cur, nv);
		join_locations(&S.seq, &t->cur, nv);
	}
	join_locations(&t->acq, &t->cur, nv); // I3
	if (order & EXPLORE_REL) {
		copy(&t->rel, &t->cur, nv);
		t->cur.t[i]++;
	}
}

void
explore_fence(struct ExploreSite *site)
{
	if (!S.running)
		return;
	unsigned order = order_of(site);
	point();
	if (explore_tracing)
		trace(site, 0, "");
	if (!explore_membarrier) {
		fence_of(&threads[S.cur], S.cur, order);
		return;
	}
	if (order & EXPLORE_HEAVY)
		for (int round = 0; round < 2;
		     round++) // the second tells the first what the last saw
			for (int i = 0; i < S.threads; i++)
				fence_of(&threads[i], i, EXPLORE_ACQ | EXPLORE_REL | EXPLORE_SEQ);
	else
		fence_of(&threads[S.cur], S.cur, order & ~(unsigned)EXPLORE_LIGHT);
}

// --- plain memory -----------------------------------------------------------------------------

static Plain *
plain_at(const void *p)
{
	uintptr_t h = (uintptr_t)p;
	h = (h >> 3) ^ (h >> 11);
	for (int i = 0; i < PLAIN; i++, h++) {
		Plain *x = &plain[h & (PLAIN - 1)];
		if (x->stamp != S.stamp) {
			memset(x, 0, sizeof(*x));
			x->stamp = S.stamp;
			x->addr = p;
			return x;
		}
		if (x->addr == p)
			return x;
	}
	explore_fail("more than %d plain locations", (int)PLAIN);
}

void
explore_plain_read(const void *p)
{
	if (!S.running)
		return;
	Plain *x = plain_at(p);
	View *now = &threads[S.cur].cur;
	if (explore_tracing)
		explore_say("plain read %p", p);
	if (x->wclock > now->t[x->wby])
		explore_fail("data race: T%d reads what T%d wrote", S.cur, x->wby);
	x->rclock[S.cur] = now->t[S.cur];
}

void
explore_plain_write(const void *p)
{
	if (!S.running)
		return;
	Plain *x = plain_at(p);
	View *now = &threads[S.cur].cur;
	if (explore_tracing)
		explore_say("plain write %p", p);
	if (x->wclock > now->t[x->wby])
		explore_fail("data race: T%d overwrites what T%d wrote", S.cur, x->wby);
	for (int i = 0; i < S.threads; i++)
		if (x->rclock[i] > now->t[i])
			explore_fail("data race: T%d overwrites what T%d reads", S.cur, i);
	x->wby = (int16_t)S.cur;
	x->wclock = now->t[S.cur];
}

// --- futex and locks --------------------------------------------------------------------------

enum ExploreWoken
explore_futex_wait(void *word, uint32_t seen, bool deadline)
{
	if (!S.running)
		explore_fail("futex wait outside of threads");
	point();
	int l = locate(word, 4, "futex");
	Thread *t = &threads[S.cur];
	int e = entry(l);
	if (t->cur.t[e] < S.futex[e])
		t->cur.t[e] = S.futex[e];
	Message *m = &locs[l].m[choose_message(t, l)];
	observe(t, l, m, 0);
	if (explore_tracing)
		explore_say("futex wait %s while %u: %s", location_name(l), seen,
			    m->v != seen ? "differs" : "sleeps");
	if (m->v != seen)
		return EXPLORE_DIFFERS;
	t->state = SLEEPS;
	t->waits_for = l;
	t->deadline = deadline;
	S.runnable &= ~(UINT32_C(1) << S.cur);
	S.asleep |= UINT32_C(1) << S.cur;
	give_up();
	if (explore_tracing)
		explore_say("wakes%s", t->woken == EXPLORE_TIMED_OUT ? " at its deadline" : "");
	return t->woken;
}

void
explore_futex_wake(void *word, int n)
{
	if (!S.running)
		return;
	point();
	int l = locate(word, 4, "futex");
	int e = entry(l);
	if (S.futex[e] < threads[S.cur].cur.t[e])
		S.futex[e] = threads[S.cur].cur.t[e];
	if (explore_tracing)
		explore_say("futex wake %s, %d", location_name(l), n);
	for (; n > 0; n--) {
		uint32_t here = 0;
		for (uint32_t b = S.asleep; b != 0; b &= b - 1)
			if (threads[__builtin_ctz(b)].waits_for == l)
				here |= b & -b;
		if (here == 0)
			return;
		wake_thread(random_bit(here), EXPLORE_WOKEN);
	}
}

static int
lock_at(const void *p)
{
	for (int i = 0; i < S.nlocks; i++)
		if (locks[i].addr == p)
			return i;
	if (S.nlocks == LOCKS)
		explore_fail("more than %d locks", (int)LOCKS);
	Lock *k = &locks[S.nlocks];
	k->addr = p;
	k->holder = -1;
	clear(&k->view, VECTORS);
	return S.nlocks++;
}

static void
take(int i)
{
	Thread *t = &threads[S.cur];
	locks[i].holder = S.cur;
	join(&t->cur, &locks[i].view, VECTORS);
	join(&t->acq, &locks[i].view, VECTORS);
}

void
explore_lock(const void *p)
{
	if (!S.running)
		return;
	point();
	int i = lock_at(p);
	while (locks[i].holder >= 0) {
		threads[S.cur].state = WAITS_LOCK;
		threads[S.cur].waits_for = i;
		S.runnable &= ~(UINT32_C(1) << S.cur);
		give_up();
	}
	take(i);
	if (explore_tracing)
		explore_say("lock %d", i);
}

bool
explore_trylock(const void *p)
{
	if (!S.running)
		return true;
	point();
	int i = lock_at(p);
	bool ok = locks[i].holder < 0;
	if (ok)
		take(i);
	if (explore_tracing)
		explore_say("trylock %d: %s", i, ok ? "got it" : "held");
	return ok;
}

void
explore_unlock(const void *p)
{
	if (!S.running)
		return;
	point();
	int i = lock_at(p);
	if (locks[i].holder < 0)
		explore_fail("unlock of a free lock");
	Thread *t = &threads[S.cur];
	join(&locks[i].view, &t->cur, VECTORS);
	t->cur.t[S.cur]++;
	locks[i].holder = -1;
	for (int k = 0; k < S.threads; k++)
		if (threads[k].state == WAITS_LOCK && threads[k].waits_for == i) {
			threads[k].state = RUNS;
			S.runnable |= UINT32_C(1) << k;
		}
	if (explore_tracing)
		explore_say("unlock %d", i);
}

bool
explore_locked(const void *p)
{
	return !S.running || locks[lock_at(p)].holder >= 0;
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
		threads[i].prio = i + 1;
	for (int i = S.threads - 1; i > 0; i--) {
		int j = (int)below((uint32_t)i + 1);
		int p = threads[i].prio;
		threads[i].prio = threads[j].prio;
		threads[j].prio = p;
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
		Thread *t = &threads[i];
		clear(&t->cur, nv);
		clear(&t->acq, nv);
		clear(&t->rel, nv);
		t->cur.t[i] = 1; // later than what the others know of it
		t->state = RUNS;
		t->may_sleep = false;
		t->stale_left = STALE_READS;
		if (i < test->threads)
			fiber_init(t);
	}
	for (int i = 0; i < S.tlocals; i++)
		memset(tlocals[i].saved, 0, sizeof(tlocals[i].saved));
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
		for (int i = 0; i < S.tlocals; i++)
			memset(tlocals[i].p, 0, tlocals[i].bytes);
		S.cur = 0;
		S.cur = pick(-1);
		S.running = true;
		switch_from_main(&threads[S.cur]);
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
		threads[i].stack = p + 4096;
	}
}

void
explore_set_up(void)
{
	make_stacks();
	catch_crashes();
	explore_watch();
}
