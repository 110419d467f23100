// SPDX-License-Identifier: BSD-3-Clause
// Collections by the clock, where minutes pass at once: one every two minutes while nothing else
// collects, none in a program without objects or with GOGC=off, and none that keeps a deadlock from
// being seen.
#include "child.h"
#include "goroutines.h"

#include <undergo/heap.h>

enum { LIMIT_MS = 20000 };

static ChildEnd end;

static int
rest(void *object)
{
	go_heap_stats st;
	if (object != NULL)
		(void)go_alloc(100);
	go_sleep(100 * GO_SEC);
	go_heap_stats_read(&st);
	printf("%d", (int)st.collections);
	for (int i = 0; i < 3; i++) {
		go_sleep(120 * GO_SEC);
		go_heap_stats_read(&st);
		printf(" %d", (int)st.periodic);
	}
	go_sleep(40 * GO_SEC);
	if (object != NULL)
		go_gc(); // from here on it is two minutes again
	go_sleep(110 * GO_SEC);
	go_heap_stats_read(&st);
	printf(" %d %d\n", (int)st.periodic, (int)st.collections);
	fflush(stdout);
	return 0;
}

DEATH(sim_periodic)
{
	static char object;
	expect_eq(go_run(rest, &object), 0);
}

DEATH(sim_periodic_none)
{
	expect_eq(go_run(rest, NULL), 0);
}

static int
rest_without_goal(void *unused)
{
	go_heap_stats st;
	(void)unused;
	go_set_gc_percent(-1);
	(void)go_alloc(100);
	go_sleep(500 * GO_SEC);
	go_heap_stats_read(&st);
	printf("%d\n", (int)st.collections);
	fflush(stdout);
	return 0;
}

DEATH(sim_periodic_off)
{
	expect_eq(go_run(rest_without_goal, NULL), 0);
}

static int
wait_for_ever(void *unused)
{
	int v;
	(void)unused;
	(void)go_alloc(100);
	go_chan *c = go_chan_new(sizeof(v), 0);
	go_sleep(300 * GO_SEC);
	return go_chan_recv(c, &v, GO_NEVER);
}

DEATH(sim_periodic_deadlock)
{
	go_run(wait_for_ever, NULL);
}

static void
expect_end(const char *program, long seed, int status, const char *text)
{
	char name[64];
	snprintf(name, sizeof(name), "UNDERGO_SEED=%ld", seed);
	char *env[] = {name, NULL};
	child_run(&end, program, env, LIMIT_MS);
	if (end.status != status || strncmp(end.text, text, strlen(text)) != 0) {
		printf("%s: status %d\n%s\n", name, end.status, end.text);
		fflush(stdout);
		expect(false);
	}
}

void
test_sim_periodic(void)
{
	for (long seed = 1; seed <= test_scale(20); seed++) {
		expect_end("sim_periodic", seed, 0, "0 1 2 3 4 5\n");
		expect_end("sim_periodic_none", seed, 0, "0 0 0 0 0 0\n");
		expect_end("sim_periodic_off", seed, 0, "0\n");
		expect_end("sim_periodic_deadlock", seed, 2,
			   "fatal error: all goroutines are asleep - deadlock!\n");
	}
}
