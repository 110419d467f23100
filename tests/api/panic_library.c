// SPDX-License-Identifier: BSD-3-Clause
// Panics that the library makes, and calls of it that a panic leaves.
#include "api/panic.h"

static atomic_int gone;

static void
close_it(void *c)
{
	go_chan_close(c);
}

static void
send_it(void *c)
{
	long one = 1;
	go_chan_send(c, &one, GO_NEVER);
}

static void
send_by_select(void *c)
{
	long one = 1;
	go_case cases[12];
	for (int i = 0; i < 12; i++)
		cases[i] = (go_case){.chan = c, .elem = &one, .send = true};
	(void)go_select(cases, 12, GO_NEVER);
}

static void
done_too_often(void *wg)
{
	go_wg_done(wg);
}

static void
make_ticker(void *unused)
{
	(void)unused;
	(void)go_ticker_new(0);
}

static void
make_huge(void *unused)
{
	(void)unused;
	(void)go_chan_new(8, SIZE_MAX / 2);
}

static void
defer_nothing(void *unused)
{
	GO_DEFER(NULL, unused);
}

GO_TEST(panics_of_the_library, 0)
{
	go_chan *c = go_chan_new(sizeof(long), 1);
	go_chan_close(c);
	for (int i = 0; i < 3; i++) {
		value_is(go_protect(close_it, c), "close of closed channel");
		value_is(go_protect(send_it, c), "send on closed channel");
		value_is(go_protect(send_by_select, c), "send on closed channel");
	}
	value_is(go_protect(close_it, NULL), "close of nil channel");
	go_waitgroup wg = {0};
	value_is(go_protect(done_too_often, &wg), "sync: negative WaitGroup counter");
	value_is(go_protect(make_ticker, NULL), "non-positive interval for NewTicker");
	value_is(go_protect(make_huge, NULL), "makechan: size out of range");
	value_is(go_protect(defer_nothing, NULL),
		 "runtime error: invalid memory address or nil pointer dereference");
	go_chan_free(c);
}

static void
send_and_be_caught(void *c)
{
	value_is(go_protect(send_it, c), "send on closed channel");
	atomic_store(&gone, 1);
}

GO_TEST(panic_of_a_send_that_waits, 0)
{
	go_chan *c = go_chan_new(sizeof(long), 0);
	atomic_store(&gone, 0);
	expect_eq(go_spawn(send_and_be_caught, c), 0);
	go_sleep(GO_MSEC); // so that it waits in its send, mostly
	go_chan_close(c);
	until(atomic_load(&gone) == 1);
}

static go_once once;

static void
panic_in_once(void *unused)
{
	(void)unused;
	go_once_do(&once, mark_and_panic, "o");
}

// It counts as done, as in Go.
GO_TEST(panic_in_once, 0)
{
	value_is(go_protect(panic_in_once, NULL), "lost");
	trail_is("o21");
	expect(!go_panicked(go_protect(panic_in_once, NULL)));
	trail_is("");
}
