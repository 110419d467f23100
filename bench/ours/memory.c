// SPDX-License-Identifier: BSD-3-Clause
// Rows of many parked goroutines: parked, million, idle.

#include "ours.h"

static go_chan *gate;      // closed to let all of them go
static int64_t waiting;    // atomic: goroutines that are about to wait, or wait, at the gate
static go_waitgroup alive; // goroutines that have not ended

static void
park(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&waiting, 1, __ATOMIC_RELAXED); // order: count
	go_chan_recv(gate, NULL, GO_NEVER);
	go_wg_done(&alive);
}

static void
park_all(int n)
{
	gate = go_chan_new(1, 0);
	bench_check(gate != NULL, "no memory for a channel");
	go_wg_add(&alive, n);
	for (int i = 0; i < n; i++)
		spawn(park, NULL);
	while (__atomic_load_n(&waiting, __ATOMIC_RELAXED) < n) // order: count
		go_yield();
}

static void
release_all(void)
{
	go_chan_close(gate);
	go_wg_wait(&alive, GO_NEVER);
}

// Parks n goroutines on one channel, looks at the memory, lets them all go and waits for them.
static void
measure_parked(const char *row, int n)
{
	struct bench_mem before = bench_mem_now();

	park_all(n);
	struct bench_mem full = bench_mem_now();
	release_all();
	bench_print_mem(row, before, full, n);
}

void
row_parked(void)
{
	one_p();
	measure_parked("parked", BENCH_PARKED);
}

void
row_million(void)
{
	one_p();
	measure_parked("million", 1000000);
}

static void
sleep_ns(int64_t ns)
{
	go_sleep(ns);
}

void
row_idle(void)
{
	all_ps();
	park_all(BENCH_IDLE_TASKS);
	bench_idle("idle", sleep_ns);
	release_all();
}
