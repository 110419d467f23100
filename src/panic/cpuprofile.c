// SPDX-License-Identifier: BSD-3-Clause
// The CPU profile of a program in C: samples are counted by their stacks, until it is written.
//
// sample.c takes them, into few places. A thread of ours empties these ten times a second, since
// goroutines of C may compute for as long as they like; it is made by the first profile, and sleeps
// between profiles.
//
// Invariants:
//   U1  Everything in `cpu` belongs to who has cpu.turn; so does taking samples.
//   U2  A profile is under way while, and only while, stacks is not NULL.
//   U3  The reader sleeps on `begins` unless it is awake; who finds it not awake wakes it.
#include <string.h>

#include "panic/panic.h"
#include "panic/panic_impl.h"
#include "panic/pprof.h"
#include "panic/sample.h"
#include "undergo/base.h"

enum {
	STACKS = 1 << 13, // different ones; further samples are lost
	STACKS_FULL = STACKS * 3 / 4,
	HZ_DEFAULT = 100,
};
#define LOOK_NS (100 * GO_MSEC)

typedef struct CpuStack {
	uint64_t samples; // 0: there is none here
	Sample stack;
} CpuStack;

static struct {
	Turn turn;
	CpuStack *stacks; // an open hash table
	size_t n;
	uint64_t lost;
	int64_t period_ns;
	bool reader;      // the thread is there
	bool awake;       // and looks, or will, until it finds no profile under way
} cpu;
static Note begins; // U3

static size_t
table_bytes(void)
{
	return STACKS * sizeof(CpuStack);
}

// --- counting ------------------------------------------------------------------------------------

static uint64_t
hash_stack(const Sample *s)
{
	uint64_t h = s->n;
	for (size_t i = 0; i < s->n; i++)
		h = base_mix(h ^ s->pcs[i]);
	return h;
}

static bool
same_stack(const Sample *a, const Sample *b)
{
	return a->n == b->n && memcmp(a->pcs, b->pcs, a->n * sizeof(a->pcs[0])) == 0;
}

static void
count(const Sample *s)
{
	size_t i = hash_stack(s) % STACKS;
	while (cpu.stacks[i].samples != 0 && !same_stack(&cpu.stacks[i].stack, s))
		i = (i + 1) % STACKS;
	CpuStack *c = &cpu.stacks[i];
	if (c->samples == 0) {
		if (cpu.n == STACKS_FULL) {
			cpu.lost++;
			return;
		}
		cpu.n++;
		c->stack = *s;
	}
	c->samples++;
}

// Locks: cpu.turn.
static void
count_all(void)
{
	static Sample s; // U1
	while (sample_take(&s))
		if (cpu.stacks != NULL)
			count(&s);
	cpu.lost += sample_lost();
}

// --- the reader ----------------------------------------------------------------------------------

static void
reader_main(void *unused)
{
	(void)unused;
	os_thread_name("undergo-prof");
	for (;;) {
		(void)note_sleep(&begins, INT64_MAX);
		note_clear(&begins);
		for (bool more = true; more;) {
			os_sleep(LOOK_NS);
			turn_take(&cpu.turn);
			more = cpu.awake = cpu.stacks != NULL;
			if (more)
				count_all();
			turn_give(&cpu.turn);
		}
	}
}

static bool
reader_start(void)
{
	if (!cpu.reader && sched_thread_start(reader_main, NULL) == 0) {
		cpu.reader = true;
		sched_helper_made();
	}
	return cpu.reader;
}

// --- the profile ---------------------------------------------------------------------------------

static void *
no_tag(void)
{
	return NULL;
}

static void
add_sample(const uintptr_t *pcs, size_t n, uint64_t samples)
{
	pprof_stack(pcs, n);
	pprof_value(samples);
	pprof_value(samples * (uint64_t)cpu.period_ns);
	pprof_sample();
}

static void
add_samples(void *unused)
{
	(void)unused;
	for (size_t i = 0; i < STACKS; i++)
		if (cpu.stacks[i].samples != 0)
			add_sample(cpu.stacks[i].stack.pcs, cpu.stacks[i].stack.n,
				   cpu.stacks[i].samples);
	if (cpu.lost != 0)
		add_sample(NULL, 0, cpu.lost);
}

static const PprofKind of_cpu = {
	.types = {{"samples", "count"}, {"cpu", "nanoseconds"}},
	.period = {"cpu", "nanoseconds"},
	.shown_first = "cpu",
	.system = true,
	.samples = add_samples,
};

// Locks: cpu.turn.
static int
start(int hz)
{
	if (cpu.stacks != NULL)
		return GO_EBUSY;
	CpuStack *stacks = os_map(table_bytes(), os_page_bytes());
	if (stacks == NULL || !reader_start()) {
		if (stacks != NULL)
			os_unmap(stacks, table_bytes());
		return GO_ENOMEM;
	}
	count_all(); // what came late for the last one
	cpu.period_ns = GO_SEC / hz;
	cpu.n = cpu.lost = 0;
	int err = sample_start(hz, no_tag);
	if (err != 0) {
		os_unmap(stacks, table_bytes());
		return err;
	}
	cpu.stacks = stacks;
	if (!cpu.awake) {
		cpu.awake = true;
		note_wake(&begins);
	}
	return 0;
}

int
panic_cpu_profile_start(int hz)
{
	if (hz < 0 || hz > 1000000)
		return GO_EINVAL;
	turn_take(&cpu.turn);
	int err = start(hz != 0 ? hz : HZ_DEFAULT);
	turn_give(&cpu.turn);
	return err;
}

int
panic_cpu_profile_stop(int fd)
{
	int err = GO_EINVAL;
	turn_take(&cpu.turn);
	if (cpu.stacks != NULL) {
		sample_stop();
		count_all();
		err = fd >= 0 ? pprof_write(fd, &of_cpu, cpu.period_ns, NULL) : 0;
		os_unmap(cpu.stacks, table_bytes());
		cpu.stacks = NULL;
	}
	turn_give(&cpu.turn);
	return err;
}
