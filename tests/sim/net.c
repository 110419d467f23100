// SPDX-License-Identifier: BSD-3-Clause
// Descriptors in the deterministic mode: a program of sockets ends under any seed, deadlines are of
// virtual time, and the same seed gives the same run once more.
#include "child.h"
#include "goroutines.h"
#include "os/os.h"

enum { LIMIT_MS = 20000, PAIRS = 4, ROUNDS = 10, SEEDS = 6 };

static ChildEnd end;
static go_waitgroup all;

typedef struct Pair {
	go_fd a, b;
} Pair;

static void
echo(void *v)
{
	Pair *p = v;
	char c;
	while (go_read(p->b, &c, 1) == 1)
		expect_eq(go_write(p->b, &c, 1), 1);
	expect_eq(go_close(p->b), 0);
	go_wg_done(&all);
}

static void
ask(void *v)
{
	Pair *p = v;
	char c;
	for (int i = 0; i < ROUNDS; i++) {
		c = (char)i;
		expect_eq(go_write(p->a, &c, 1), 1);
		expect_eq(go_read(p->a, &c, 1), 1);
		expect_eq(c, (char)i);
		if (i % 3 == 0)
			go_sleep(GO_MSEC);
	}
	int64_t when = go_in(10 * 60 * GO_SEC);
	expect_eq(go_set_read_deadline(p->a, when), 0);
	expect_eq(go_read(p->a, &c, 1), GO_ETIMEDOUT);
	expect(go_now() >= when);
	expect_eq(go_close(p->a), 0);
	go_wg_done(&all);
}

static int
talk(void *unused)
{
	static Pair pairs[PAIRS];
	char at[32];
	(void)unused;
	go_gomaxprocs(3);
	snprintf(at, sizeof(at), "@undergo-sim-net-%d", getpid());
	go_fd l = go_listen("unix", at);
	expect(l > 0);
	for (int i = 0; i < PAIRS; i++) {
		pairs[i].a = go_dial("unix", at, GO_NEVER);
		pairs[i].b = go_accept(l);
		expect(pairs[i].a > 0 && pairs[i].b > 0);
		go_wg_add(&all, 2);
		expect_eq(go_spawn(echo, &pairs[i]), 0);
		expect_eq(go_spawn(ask, &pairs[i]), 0);
	}
	expect_eq(go_wg_wait(&all, GO_NEVER), 0);
	expect_eq(go_close(l), 0);
	printf("digest %016llx at %lld\n", (unsigned long long)os_sim_hash(), (long long)go_now());
	fflush(stdout);
	return 0;
}

DEATH(sim_net)
{
	expect_eq(go_run(talk, NULL), 0);
}

void
test_sim_net(void)
{
	for (int seed = 1; seed <= SEEDS; seed++) {
		char text[64], first[80];
		snprintf(text, sizeof(text), "UNDERGO_SEED=%d", seed);
		char *env[] = {text, NULL};
		child_run(&end, "sim_net", env, LIMIT_MS);
		expect_eq(end.status, 0);
		expect(strncmp(end.text, "digest ", 7) == 0);
		snprintf(first, sizeof(first), "%.79s", end.text);
		child_run(&end, "sim_net", env, LIMIT_MS);
		expect_eq(end.status, 0);
		expect_str(end.text, first);
	}
}
