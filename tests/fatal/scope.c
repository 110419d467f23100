// SPDX-License-Identifier: BSD-3-Clause
// Misuse of scopes, and a context without memory: the text and the exit status of each death.
#include <pthread.h>

#include "harness.h"
#include "undergo.h"

static int
nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int
spawn_closed(void *arg)
{
	(void)arg;
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	go_scope_wait(&s);
	return go_scope_spawn(&s, nothing, NULL);
}

DEATH(scope_spawn_closed)
{
	go_run(spawn_closed, NULL);
}

static int
wait_twice(void *arg)
{
	(void)arg;
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	(void)go_scope_spawn(&s, nothing, NULL);
	go_scope_wait(&s);
	return go_scope_wait(&s);
}

DEATH(scope_wait_twice)
{
	go_run(wait_twice, NULL);
}

static int
wait_inside(void *arg)
{
	return go_scope_wait(arg);
}

static int
wait_by_child(void *arg)
{
	(void)arg;
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	(void)go_scope_spawn(&s, wait_inside, &s);
	return go_scope_wait(&s);
}

DEATH(scope_wait_by_child)
{
	go_run(wait_by_child, NULL);
}

void
test_fatal_scope(void)
{
	expect_death(scope_spawn_closed, .status = 2,
		     .err = "fatal error: scope: spawn in a closed scope\n");
	expect_death(scope_wait_twice, .status = 2,
		     .err = "fatal error: scope: wait for a closed scope\n");
	expect_death(scope_wait_by_child, .status = 2,
		     .err = "fatal error: scope: wait by a goroutine that did not open it\n");
}

// --- scopes left open ---------------------------------------------------------------------------

static int
open_and_return(void *arg)
{
	(void)arg;
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	return 0;
}

// go_run may return before its goroutine has ended.
DEATH(scope_left_by_main)
{
	go_run(open_and_return, NULL);
	go_sleep(20 * GO_SEC);
}

// The scope around it would find the one inside on a stack that is no more.
static int
leave_inner_open(void *arg)
{
	(void)arg;
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	(void)go_scope_spawn(&s, open_and_return, NULL);
	return go_scope_wait(&s);
}

DEATH(scope_left_by_child)
{
	go_run(leave_inner_open, NULL);
}

static void *
open_on_a_thread(void *arg)
{
	open_and_return(arg);
	return NULL;
}

DEATH(scope_left_by_thread)
{
	pthread_t t;
	if (pthread_create(&t, NULL, open_on_a_thread, NULL) == 0)
		pthread_join(t, NULL);
}

void
test_fatal_scope_left_open(void)
{
	const char *text = "fatal error: scope: end of a goroutine with an open scope\n";
	expect_death(scope_left_by_main, .status = 2, .err = text);
	expect_death(scope_left_by_child, .status = 2, .err = text);
	expect_death(scope_left_by_thread, .status = 2, .err = text);
}

// --- deadlines that no longer matter ------------------------------------------------------------

// Waits for nothing, with nothing pending but the deadline of a scope that has been cancelled.
static int
wait_after_cancel(void *arg)
{
	(void)arg;
	go_scope s;
	go_scope_open(&s, go_in(3600 * GO_SEC));
	go_scope_cancel(&s);
	return go_sleep_until(GO_NEVER);
}

DEATH(scope_cancelled_deadline)
{
	go_run(wait_after_cancel, NULL);
}

// The timer went with the cancellation: it does not hide the deadlock.
void
test_fatal_scope_deadline_is_over(void)
{
	expect_death(scope_cancelled_deadline, .status = 2,
		     .err = "fatal error: all goroutines are asleep - deadlock!\n");
}

// --- contexts -----------------------------------------------------------------------------------

// Under a plan that refuses all memory after a while.
static int
no_memory(void *arg)
{
	(void)arg;
	go_ctx *c = go_ctx_new(NULL, GO_NEVER);
	while (go_ctx_new(c, GO_NEVER) != NULL) {
	}
	return go_ctx_done(c) == NULL;
}

DEATH(ctx_no_memory)
{
	go_run(no_memory, NULL);
}

void
test_fatal_ctx_no_memory(void)
{
	expect_death(ctx_no_memory, .status = 2, .env = "UNDERGO_FAULT=commit:9+:ENOMEM",
		     .err = "fatal error: no memory for a context's channel\n");
}
