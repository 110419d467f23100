// SPDX-License-Identifier: BSD-3-Clause
// The showcase, parts timers and parked: a hundred thousand sleepers, a million waiters.
#include <stdlib.h>

#include "showcase.h"

// --- timers -------------------------------------------------------------------------------------

typedef struct Sleeper {
	int64_t after; // the gate was closed
	struct Sleepers *all;
} Sleeper;

typedef struct Sleepers {
	Result *result;
	go_chan *gate; // closed when all have been started
	int64_t first; // set before the gate is closed
	go_waitgroup alive;
	Histogram late;
	atomic_uint_fast64_t early;
} Sleepers;

static void
sleeper_run(void *arg)
{
	Sleeper *s = arg;
	go_chan_recv(s->all->gate, NULL, GO_NEVER);
	int64_t until = s->all->first + s->after;
	go_sleep_until(until);
	int64_t late = go_now() - until;
	if (late < 0)
		s->all->early++;
	histogram_add(&s->all->late, late);
	go_wg_done(&s->all->alive);
}

static void
sleepers_run(Result *r, Sleepers *all, Sleeper *sleeper, int n, int64_t ns)
{
	uint64_t chance = 88172645463325252U;
	int started = 0;
	go_wg_add(&all->alive, n);
	for (; started < n; started++) {
		chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17;
		sleeper[started] = (Sleeper){(int64_t)(chance % (uint64_t)ns), all};
		if (!expect(r, go_spawn(sleeper_run, &sleeper[started]) == 0, "no goroutine"))
			break;
	}
	go_wg_add(&all->alive, started - n);
	all->first = go_in(ns / 8); // all are awake by then and have gone to sleep again
	int64_t begin = go_now();
	go_chan_close(all->gate);
	see_memory(r);
	go_wg_wait(&all->alive, GO_NEVER);
	r->ns = go_now() - begin;
}

void
run_timers(const Load *load, Result *r)
{
	Sleepers *all = calloc(1, sizeof *all);
	Sleeper *sleeper = calloc((size_t)load->sleepers, sizeof *sleeper);
	go_chan *gate = go_chan_new(0, 0);
	if (expect(r, all != NULL && sleeper != NULL && gate != NULL, "no memory")) {
		all->result = r;
		all->gate = gate;
		sleepers_run(r, all, sleeper, load->sleepers, load->sleep_ns);
		r->operations = all->late.n;
		expect(r, all->late.n == (uint64_t)load->sleepers, "a sleeper is missing");
		expect(r, all->early == 0, "a sleeper woke too early");
		note(r, "goroutines, asleep until a time of their own within %s",
		     time_text(load->sleep_ns));
		note(r, "woke late by: p50 %s, p99 %s, p99.9 %s",
		     time_text(histogram_quantile(&all->late, 500)),
		     time_text(histogram_quantile(&all->late, 990)),
		     time_text(histogram_quantile(&all->late, 999)));
	}
	go_chan_free(gate);
	free(sleeper);
	free(all);
}

// --- parked -------------------------------------------------------------------------------------

enum { PARKED_BYTES = 6 << 10 }; // of memory for each: a page of stack, the goroutine, page tables
#define START_LIMIT_NS (15 * GO_SEC) // on some virtual machines a new page takes 10 us and more

typedef struct Parked {
	go_chan *gate;
	go_waitgroup coming; // not at the gate yet
	go_waitgroup alive;
	atomic_int woken;
	bool refused; // by the system, a stack
} Parked;

static void
parked_run(void *arg)
{
	Parked *p = arg;
	go_wg_done(&p->coming);
	if (go_chan_recv(p->gate, NULL, GO_NEVER) == GO_ECLOSED)
		p->woken++;
	go_wg_done(&p->alive);
}

// As many as memory allows, with a quarter of it to spare.
static int
affordable_parked(Result *r, int wanted)
{
	int64_t available = available_bytes();
	int64_t room = available / 4 * 3 / PARKED_BYTES;
	if (available <= 0 || room >= wanted)
		return wanted;
	note(r, "%s goroutines instead of %s: %s of memory are available", grouped((uint64_t)room),
	     grouped((uint64_t)wanted), size_text((uint64_t)available));
	return (int)room;
}

// Starts up to n goroutines that wait, and returns how many are waiting.
static int
park(Parked *p, int n)
{
	int64_t limit = go_in(START_LIMIT_NS);
	int started = 0;
	p->woken = 0;
	go_wg_add(&p->coming, n);
	go_wg_add(&p->alive, n);
	while (started < n && (started % 1024 != 0 || go_now() < limit)) {
		p->refused = go_spawn(parked_run, p) != 0;
		if (p->refused)
			break;
		started++;
	}
	go_wg_add(&p->coming, started - n);
	go_wg_add(&p->alive, started - n);
	go_wg_wait(&p->coming, GO_NEVER);
	return started;
}

static void
wake(Result *r, Parked *p, int n)
{
	go_chan_close(p->gate);
	go_wg_wait(&p->alive, GO_NEVER);
	expect(r, p->woken == n, "some were not woken by the close");
}

// Twice: the first time nearly all is the kernel's work, to give a new page to each stack.
static void
park_twice(Result *r, Parked *p, int wanted)
{
	int64_t begin = go_now();
	int n = park(p, wanted);
	int64_t parked = go_now();
	see_memory(r);
	wake(r, p, n);
	int64_t woken = go_now();
	r->operations = (uint64_t)n;
	r->ns = woken - begin;
	if (!expect(r, n != 0, "not one was started") || r->failure != NULL)
		return;
	if (p->refused)
		note(r, "goroutines; the system gave no stack to more");
	else if (n < wanted)
		note(r, "goroutines; more were not started, since %s had passed",
		     time_text(START_LIMIT_NS));
	note(r,
	     "wait for one event: each %s to start, %s to wake and end; %s bytes for each, all in",
	     time_text((parked - begin) / n), time_text((woken - parked) / n),
	     grouped(r->resident / (uint64_t)n));

	go_chan_free(p->gate);
	p->gate = go_chan_new(0, 0);
	if (!expect(r, p->gate != NULL, "no memory"))
		return;
	begin = go_now();
	n = park(p, n);
	parked = go_now();
	wake(r, p, n);
	if (expect(r, n != 0, "not one was started the second time"))
		note(r, "once more, on stacks that have pages: %s to start, %s to wake and end",
		     time_text((parked - begin) / n), time_text((go_now() - parked) / n));
}

void
run_parked(const Load *load, Result *r)
{
	Parked p = {.gate = go_chan_new(0, 0)};
	if (!expect(r, p.gate != NULL, "no memory"))
		return;
	park_twice(r, &p, affordable_parked(r, load->parked));
	go_chan_free(p.gate);
	if (guards_are_markers())
		note(r, "each stack has a guard, which costs no mapping on this kernel");
	else
		note(r, "this kernel has no MADV_GUARD_INSTALL: guards for the first 8,000 only");
}
