// SPDX-License-Identifier: BSD-3-Clause
// Rows of sync: mutex, mutex_cont.

#include "ours.h"

static go_mutex lock;
static volatile int64_t guarded; // lock

static void
mutex_body(int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		go_mutex_lock(&lock);
		go_mutex_unlock(&lock);
	}
}

void
row_mutex(void)
{
	one_p();
	bench_row("mutex", mutex_body, 1);
}

struct locker {
	int64_t n;
	go_waitgroup wg;
};

static void
lock_loop(void *arg)
{
	struct locker *l = arg;

	for (int64_t i = 0; i < l->n; i++) {
		go_mutex_lock(&lock);
		guarded++;
		go_mutex_unlock(&lock);
	}
	go_wg_done(&l->wg);
}

static void
mutex_cont_body(int64_t n)
{
	struct locker l = {.n = n};

	guarded = 0;
	go_wg_add(&l.wg, BENCH_LOCKERS);
	for (int i = 0; i < BENCH_LOCKERS; i++)
		spawn(lock_loop, &l);
	go_wg_wait(&l.wg, GO_NEVER);
	bench_check(guarded == n * BENCH_LOCKERS, "mutex_cont: lost a turn");
}

void
row_mutex_cont(void)
{
	all_ps();
	bench_row("mutex_cont", mutex_cont_body, BENCH_LOCKERS);
}
