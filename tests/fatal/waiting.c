// SPDX-License-Identifier: BSD-3-Clause
// Misuse that only shows while somebody waits. These look inside to know when that is.
#include <signal.h>

#include "chan/chan.h"
#include "harness.h"
#include "os/os.h"
#include "undergo.h"

static ATOMIC(G *) waiter; // set by the goroutine that is about to wait

// Waits until it does.
static void
until_parked(void)
{
	for (;; os_sleep(100 * GO_USEC)) {
		G *gp = load_acq(&waiter); // order: observe <- below
		if (gp != NULL && load_acq(&gp->status) == Gwaiting) // order: observe <- park
			return;
	}
}

static void
wait_to_recv(void *arg)
{
	store_rel(&waiter, sched_g()); // order: publish -> until_parked
	go_chan_recv(arg, NULL, GO_NEVER);
}

static int
free_in_use(void *arg)
{
	(void)arg;
	go_chan *c = go_chan_new(sizeof(long), 1);
	go_spawn(wait_to_recv, c);
	until_parked();
	go_chan_free(c);
	return 0;
}

DEATH(chan_free_in_use)
{
	go_run(free_in_use, NULL);
}

void
test_fatal_chan_free_in_use(void)
{
	expect_death(chan_free_in_use, .status = 2,
		     .err = "fatal error: chan: free of a channel in use\n");
}

static void
wait_for_group(void *arg)
{
	store_rel(&waiter, sched_g()); // order: publish -> until_parked
	go_wg_wait(arg, GO_NEVER);
}

// On one processor, which the caller keeps, the waiter has been woken and has not run yet when the
// group is used again.
static int
reuse_group(void *arg)
{
	(void)arg;
	static go_waitgroup wg;
	go_gomaxprocs(1);
	go_wg_add(&wg, 1);
	go_spawn(wait_for_group, &wg);
	until_parked();
	sched_enter();
	expect(!gwg_add_fast(&wg, -1));
	gwg_wake(&wg);
	expect(gwg_add_fast(&wg, 1));
	sched_leave();
	go_sleep(GO_NEVER);
	return 0;
}

DEATH(wg_reused)
{
	go_run(reuse_group, NULL);
}

void
test_fatal_waitgroup_reused(void)
{
	expect_death(wg_reused, .status = 2,
		     .err = "panic: sync: WaitGroup is reused before previous Wait has returned\n");
}

// A goroutine is in one queue at a time: the second to make it runnable is found out, with asserts.
static void
wait_for_nothing(void *unused)
{
	(void)unused;
	store_rel(&waiter, sched_g()); // order: publish -> until_parked
	go_sleep(GO_NEVER);
}

static int
ready_twice(void *unused)
{
	(void)unused;
	go_gomaxprocs(1);
	go_spawn(wait_for_nothing, NULL);
	until_parked();
	sched_enter();
	G *gp = load_rlx(&waiter); // order: own by now
	sched_ready(gp);
	sched_ready(gp);
	sched_leave();
	return 0;
}

DEATH(ready_twice)
{
	go_run(ready_twice, NULL);
}

void
test_fatal_ready_twice(void)
{
#ifdef NDEBUG
	skip("found by asserts alone");
#else
	expect_death(ready_twice, .signal = SIGABRT, .err_has = {"make_runnable"});
#endif
}
