// SPDX-License-Identifier: BSD-3-Clause
// A finalizer that does not come to its end is told of, once, where seconds pass at once; those
// behind it are kept, and run when it has ended.
#include "child.h"
#include "goroutines.h"

#include <undergo/heap.h>

enum { BEHIND = 200 };

static go_sem gate;
static Count begun, ran;

static void
wait_at_gate(void *p, void *arg)
{
	(void)p;
	(void)arg;
	count_add(&begun);
	expect_eq(go_sem_acquire(&gate, GO_NEVER), 0);
}

static void
count_run(void *p, void *arg)
{
	(void)p;
	count_add(arg);
}

static void
make(void *wg)
{
	for (int i = 0; i < BEHIND; i++)
		expect_eq(go_set_finalizer(go_alloc(64), i < 10 ? wait_at_gate : count_run, &ran),
			  0);
	go_wg_done(wg);
}

static void
collect_for(int64_t ns)
{
	for (int64_t end = go_now() + ns; go_now() < end; go_sleep(GO_SEC))
		go_gc();
}

static int
block(void *unused)
{
	(void)unused;
	go_waitgroup wg = {0};
	go_sem_init(&gate, 0);
	go_wg_add(&wg, 1);
	expect_eq(go_spawn(make, &wg), 0);
	expect_eq(go_wg_wait(&wg, GO_NEVER), 0);
	collect_for(8 * GO_SEC);
	fprintf(stderr, "eight seconds\n");
	collect_for(60 * GO_SEC);
	fprintf(stderr, "a minute\n");
	go_sem_release(&gate, 10);
	collect_for(30 * GO_SEC);
	expect(count_of(&begun) > 0);
	expect(count_of(&ran) > (BEHIND - 10) * 9 / 10);
	return 0;
}

DEATH(sim_finalizer_blocks)
{
	expect_eq(go_run(block, NULL), 0);
}

void
test_sim_finalizer_blocks(void)
{
	static ChildEnd end;
	for (int seed = 1; seed <= 5; seed++) {
		char text[32];
		snprintf(text, sizeof(text), "UNDERGO_SEED=%d", seed);
		char *env[] = {text, NULL};
		child_run(&end, "sim_finalizer_blocks", env, 20000);
		static const char line[] =
			"runtime: a finalizer or cleanup has been running for 1";
		const char *before = strstr(end.text, "eight seconds\n");
		const char *said = strstr(end.text, line);
		const char *after = strstr(end.text, "a minute\n");
		bool fine = end.status == 0 && before != NULL && said > before && after > said &&
			    strstr(said + 1, line) == NULL &&
			    strstr(said, " wait for its end\n") != NULL;
		if (!fine)
			printf("%s: ended with %d\n%s\n", text, end.status, end.text);
		fflush(stdout);
		expect(fine);
	}
}
