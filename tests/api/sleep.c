// SPDX-License-Identifier: BSD-3-Clause
// undergo/timer.h: sleeping. Never too short, at once when there is nothing to wait for, and ended
// by the cancellation of a scope.
#include <undergo.h>

#include <stdatomic.h>

#include "harness.h"

static int
returns_at_once(void *arg)
{
	(void)arg;
	expect_eq(go_sleep(0), 0);
	expect_eq(go_sleep(-1), 0);
	expect_eq(go_sleep(INT64_MIN), 0);
	expect_eq(go_sleep_until(0), 0);
	expect_eq(go_sleep_until(go_now()), 0);
	expect_eq(go_sleep_until(-5), 0);
	return 0;
}

void
test_sleep_returns_at_once(void)
{
	expect_eq(go_run(returns_at_once, NULL), 0);
	expect_eq(returns_at_once(NULL), 0);
}

enum { SLEEPERS = 1000 };
static atomic_int awake;

static void
sleep_some(void *arg)
{
	(void)arg;
	uint64_t rand = go_id();
	for (int i = 0; i < 5; i++) {
		int64_t ns = (int64_t)(test_rand(&rand) % 2000) * GO_USEC, from = go_now();
		expect_eq(i % 2 == 0 ? go_sleep(ns) : go_sleep_until(from + ns), 0);
		expect(go_now() >= from + ns);
	}
	atomic_fetch_add(&awake, 1);
}

static int
many(void *arg)
{
	(void)arg;
	for (int i = 0; i < SLEEPERS; i++)
		expect_eq(go_spawn(sleep_some, NULL), 0);
	while (atomic_load(&awake) < SLEEPERS)
		go_sleep(GO_MSEC);
	return 0;
}

void
test_sleep_is_never_short(void)
{
	expect_eq(go_run(many, NULL), 0);
}

static int
sleep_for_ever(void *arg)
{
	int64_t kind = (int64_t)(intptr_t)arg;
	int err = kind == 0   ? go_sleep_until(GO_NEVER)
		  : kind == 1 ? go_sleep(INT64_MAX)
			      : go_sleep(GO_SEC);
	expect_eq(err, GO_ECANCELED);
	expect_eq(go_sleep(GO_SEC), GO_ECANCELED);
	expect_eq(go_sleep(0), 0);
	atomic_fetch_add(&awake, 1);
	return 0;
}

static int
canceled(void *arg)
{
	(void)arg;
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	for (intptr_t i = 0; i < 30; i++)
		expect_eq(go_scope_spawn(&s, sleep_for_ever, (void *)(i % 3)), 0);
	go_sleep(GO_MSEC);
	go_scope_cancel(&s);
	expect_eq(go_scope_wait(&s), GO_ECANCELED);
	expect_eq(atomic_load(&awake), 30);
	return 0;
}

void
test_sleep_is_canceled(void)
{
	expect_eq(go_run(canceled, NULL), 0);
}
