// SPDX-License-Identifier: BSD-3-Clause
// Dumps say how long a goroutine has been waiting, in minutes, and only about the wait it is in.
//
// In the deterministic mode minutes pass at once. The runtime notes since when goroutines wait
// every twenty seconds; the programs dump where so much less makes no difference to the minutes.
// Each runs under several seeds.
#include "child.h"
#include "goroutines.h"

enum { LIMIT_MS = 20000 }; // of one run

static ChildEnd end;

// --- goroutines ---------------------------------------------------------------------------------

static void
receive_for_ever(void *c)
{
	int v;
	while (go_chan_recv(c, &v, GO_NEVER) == 0)
		;
}

static void
receive_named(const char *name, go_chan *c)
{
	go_attr attr = {.name = name};
	expect_eq(go_spawn_with(&attr, receive_for_ever, c), 0);
}

static int
let_wait(void *unused)
{
	int v = 0;
	(void)unused;
	go_chan *patient = go_chan_new(sizeof(int), 0), *served = go_chan_new(sizeof(int), 0);
	receive_named("patient", patient);
	receive_named("served", served);
	go_sleep(165 * GO_SEC);
	expect_eq(go_chan_send(served, &v, GO_NEVER), 0);
	go_sleep(50 * GO_SEC);
	go_dump(STDOUT_FILENO);
	return 0;
}

DEATH(sim_waits)
{
	go_gomaxprocs(0);
	expect_eq(go_run(let_wait, NULL), 0);
}

// --- a thread -----------------------------------------------------------------------------------

// Its waits: without a deadline, with one, without.
static void
serve_thread(void *c)
{
	int v = 0;
	go_sleep(200 * GO_SEC);
	expect_eq(go_chan_send(c, &v, GO_NEVER), 0);
	go_sleep(50 * GO_SEC);
	go_dump(STDOUT_FILENO);
	go_sleep(165 * GO_SEC);
	go_dump(STDOUT_FILENO);
	expect_eq(go_chan_send(c, &v, GO_NEVER), 0);
	go_sleep(50 * GO_SEC);
	go_dump(STDOUT_FILENO);
	expect_eq(go_chan_send(c, &v, GO_NEVER), 0);
}

DEATH(sim_thread_waits)
{
	int v;
	go_chan *c = go_chan_new(sizeof(int), 0);
	expect_eq(go_spawn(serve_thread, c), 0);
	expect_eq(go_chan_recv(c, &v, GO_NEVER), 0);
	expect_eq(go_chan_recv(c, &v, go_in(3600 * GO_SEC)), 0);
	expect_eq(go_chan_recv(c, &v, GO_NEVER), 0);
}

// --- the tests ----------------------------------------------------------------------------------

static void
run_seed(const char *program, long seed)
{
	char text[64];
	snprintf(text, sizeof(text), "UNDERGO_SEED=%ld", seed);
	char *env[] = {text, NULL};
	child_run(&end, program, env, LIMIT_MS);
	if (end.status != 0) {
		printf("%s: status %d\n%s\n", text, end.status, end.text);
		fflush(stdout);
		expect(false);
	}
}

// The place behind part in what the program wrote from `from` on.
static const char *
expect_said(const char *from, const char *part, long seed)
{
	const char *at = strstr(from, part);
	if (at == NULL) {
		printf("UNDERGO_SEED=%ld: no \"%s\" in:\n%s\n", seed, part, from);
		fflush(stdout);
		expect(false);
	}
	return at + strlen(part);
}

void
test_sim_dump_tells_minutes(void)
{
	for (long seed = 1; seed <= test_scale(30); seed++) {
		run_seed("sim_waits", seed);
		expect_said(end.text, " \"patient\" [chan receive, 3 minutes]:\n", seed);
		expect_said(end.text, " \"served\" [chan receive]:\n", seed);
		expect_said(end.text, " [go_run, 3 minutes, thread]:\n", seed);
	}
}

void
test_sim_dump_tells_minutes_of_threads(void)
{
	for (long seed = 1; seed <= test_scale(30); seed++) {
		run_seed("sim_thread_waits", seed);
		const char *rest = expect_said(end.text, " [chan receive, thread]:\n", seed);
		rest = expect_said(rest, " [chan receive, 3 minutes, thread]:\n", seed);
		expect_said(rest, " [chan receive, thread]:\n", seed);
	}
}
