// SPDX-License-Identifier: BSD-3-Clause
// Misuse of channels: the text and the exit status of each way to die.
#include <stdint.h>

#include "harness.h"
#include "undergo.h"

static long one = 1;

static int
send_closed(void *arg)
{
	(void)arg;
	go_chan *c = go_chan_new(sizeof(long), 1);
	go_chan_close(c);
	return go_chan_send(c, &one, GO_NEVER);
}

DEATH(send_closed)
{
	go_run(send_closed, NULL);
}

static void
send_later_closed(void *arg)
{
	go_chan_send(arg, &one, GO_NEVER);
}

// The sender waits already when the channel is closed.
static int
send_waiting(void *arg)
{
	(void)arg;
	go_chan *c = go_chan_new(sizeof(long), 0);
	go_spawn(send_later_closed, c);
	go_sleep(5 * GO_MSEC);
	go_chan_close(c);
	go_sleep(GO_NEVER);
	return 0;
}

DEATH(send_waiting)
{
	go_run(send_waiting, NULL);
}

DEATH(send_closed_poll)
{
	go_chan *c = go_chan_new(sizeof(long), 0);
	go_chan_close(c);
	go_chan_send(c, &one, GO_POLL);
}

static int
select_closed(void *arg)
{
	(void)arg;
	go_chan *c = go_chan_new(sizeof(long), 0), *never = go_chan_new(sizeof(long), 0);
	go_chan_close(c);
	go_case k[] = {GO_CASE_RECV(never, NULL), GO_CASE_SEND(c, &one)};
	return go_select(k, 2, GO_NEVER);
}

DEATH(select_closed)
{
	go_run(select_closed, NULL);
}

static void
select_later_closed(void *arg)
{
	go_chan *never = go_chan_new(sizeof(long), 0);
	go_case k[] = {GO_CASE_RECV(never, NULL), GO_CASE_SEND(arg, &one),
		       GO_CASE_RECV(never, NULL)};
	go_select(k, 3, GO_NEVER);
}

static int
select_waiting(void *arg)
{
	(void)arg;
	go_chan *c = go_chan_new(sizeof(long), 0);
	go_spawn(select_later_closed, c);
	go_sleep(5 * GO_MSEC);
	go_chan_close(c);
	go_sleep(GO_NEVER);
	return 0;
}

DEATH(select_waiting)
{
	go_run(select_waiting, NULL);
}

void
test_fatal_chan_send_closed(void)
{
	const char *text = "panic: send on closed channel\n";
	expect_death(send_closed, .status = 2, .err = text);
	expect_death(send_waiting, .status = 2, .err = text);
	expect_death(send_closed_poll, .status = 2, .err = text);
	expect_death(select_closed, .status = 2, .err = text);
	expect_death(select_waiting, .status = 2, .err = text);
}

DEATH(close_nil)
{
	go_chan_close(NULL);
}

DEATH(close_closed)
{
	go_chan *c = go_chan_new(0, 0);
	go_chan_close(c);
	go_chan_close(c);
}

void
test_fatal_chan_close(void)
{
	expect_death(close_nil, .status = 2, .err = "panic: close of nil channel\n");
	expect_death(close_closed, .status = 2, .err = "panic: close of closed channel\n");
}

DEATH(makechan_large)
{
	go_chan_new(8, (size_t)1 << 45);
}

DEATH(makechan_overflow)
{
	go_chan_new((size_t)1 << 33, (size_t)1 << 33);
}

DEATH(makechan_large_elem)
{
	go_chan_new(SIZE_MAX, 0);
}

void
test_fatal_chan_size(void)
{
	const char *text = "panic: makechan: size out of range\n";
	expect_death(makechan_large, .status = 2, .err = text);
	expect_death(makechan_overflow, .status = 2, .err = text);
	expect_death(makechan_large_elem, .status = 2, .err = text);
}

// --- freeing twice ------------------------------------------------------------------------------

static int
free_twice(void *arg)
{
	size_t *elem_bytes = arg;
	go_chan *c = go_chan_new(*elem_bytes, 4);
	go_chan_free(go_chan_new(*elem_bytes, 4));
	go_chan_free(c);
	go_chan_free(c);
	return 0;
}

DEATH(chan_free_twice)
{
	go_run(free_twice, &(size_t){8});
}

DEATH(chan_free_twice_large)
{
	go_run(free_twice, &(size_t){100000});
}

void
test_fatal_chan_free_twice(void)
{
	const char *text = "fatal error: chan: free of a freed channel\n";
	expect_death(chan_free_twice, .status = 2, .err = text);
	expect_death(chan_free_twice_large, .status = 2, .err = text);
}
