// SPDX-License-Identifier: BSD-3-Clause
// Rows of the scheduler: yield, spawn, wg, spawn_par.

#include "ours.h"

static int64_t ran; // one P: no two goroutines touch it at the same time

struct turns {
	int64_t n;
	go_waitgroup wg;
};

static void
yield_loop(void *arg)
{
	struct turns *t = arg;

	for (int64_t i = 0; i < t->n; i++) {
		ran++;
		go_yield();
	}
	go_wg_done(&t->wg);
}

// Two goroutines yield to each other; main waits. Two yields for each n.
static void
yield_body(int64_t n)
{
	struct turns t = {.n = n};

	ran = 0;
	go_wg_add(&t.wg, 2);
	spawn(yield_loop, &t);
	spawn(yield_loop, &t);
	go_wg_wait(&t.wg, GO_NEVER);
	bench_check(ran == 2 * n, "yield: lost a turn");
}

void
row_yield(void)
{
	one_p();
	bench_row("yield", yield_body, 2);
}

static void
count_run(void *arg)
{
	(void)arg;
	ran++;
}

// The new goroutine runs and ends during the yield of the one that made it.
static void
spawn_body(int64_t n)
{
	ran = 0;
	for (int64_t i = 0; i < n; i++) {
		spawn(count_run, NULL);
		go_yield();
	}
	bench_check(ran == n, "spawn: lost a goroutine");
}

void
row_spawn(void)
{
	one_p();
	bench_row("spawn", spawn_body, 1);
}

static void
count_done(void *arg)
{
	ran++;
	go_wg_done(arg);
}

static void
wg_body(int64_t n)
{
	go_waitgroup wg = {0};

	ran = 0;
	for (int64_t i = 0; i < n; i++) {
		go_wg_add(&wg, BENCH_FANOUT);
		for (int k = 0; k < BENCH_FANOUT; k++)
			spawn(count_done, &wg);
		go_wg_wait(&wg, GO_NEVER);
	}
	bench_check(ran == n * BENCH_FANOUT, "wg: lost a goroutine");
}

void
row_wg(void)
{
	one_p();
	bench_row("wg", wg_body, BENCH_FANOUT);
}

// A node of the tree: it sends the sum of its leaves' numbers to its parent.
struct node {
	go_chan *up;
	int64_t first; // number of its first leaf
	int64_t size;  // how many leaves
};

static void
tree(void *arg)
{
	struct node self = *(struct node *)arg;
	int64_t sum = self.first;

	if (self.size > 1) {
		struct node child[10];
		go_chan *down = go_chan_new(sizeof(int64_t), 0);
		bench_check(down != NULL, "no memory for a channel");
		for (int64_t i = 0; i < 10; i++) {
			child[i].up = down;
			child[i].first = self.first + i * self.size / 10;
			child[i].size = self.size / 10;
			spawn(tree, &child[i]);
		}
		sum = 0;
		for (int i = 0; i < 10; i++) {
			int64_t v;
			go_chan_recv(down, &v, GO_NEVER);
			sum += v;
		}
		go_chan_free(down);
	}
	go_chan_send(self.up, &sum, GO_NEVER);
}

static void
tree_once(void)
{
	struct node root = {go_chan_new(sizeof(int64_t), 0), 0, BENCH_TREE_LEAVES};
	int64_t sum;

	bench_check(root.up != NULL, "no memory for a channel");
	spawn(tree, &root);
	go_chan_recv(root.up, &sum, GO_NEVER);
	go_chan_free(root.up);
	bench_check(sum == bench_tree_sum, "spawn_par: wrong sum");
}

// One tree is one measurement, after a first one to warm up.
void
row_spawn_par(void)
{
	all_ps();
	tree_once();
	int64_t cpu = bench_cpu();
	int64_t wall = bench_wall();
	tree_once();
	bench_print("spawn_par", bench_cpu() - cpu, bench_wall() - wall, BENCH_TREE_NODES, "");
}
