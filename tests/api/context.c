// SPDX-License-Identifier: BSD-3-Clause
// undergo/context.h. Each promise of the header has a test; the rest are races between ends, new
// children, references given back, and channels asked for.
#include <undergo.h>

#include <stdatomic.h>

#include "harness.h"

static bool
is_done(go_ctx *c)
{
	return go_chan_recv(go_ctx_done(c), NULL, GO_POLL) == GO_ECLOSED;
}

static int
null_context(void *arg)
{
	(void)arg;
	int key = 0;
	expect(go_ctx_done(NULL) == NULL);
	expect_eq(go_ctx_err(NULL), 0);
	expect_eq(go_ctx_deadline(NULL), GO_NEVER);
	expect(go_ctx_value(NULL, &key) == NULL);
	expect(go_ctx_ref(NULL) == NULL);
	go_ctx_cancel(NULL);
	go_ctx_unref(NULL);
	return 0;
}

void
test_ctx_null_never_ends(void)
{
	expect_eq(go_run(null_context, NULL), 0);
}

static int
values(void *arg)
{
	(void)arg;
	int a = 0, b = 0, x = 0, y = 0;
	go_ctx *c1 = go_ctx_with_value(NULL, &a, &x);
	go_ctx *c2 = go_ctx_with_value(c1, &b, &y);
	go_ctx *c3 = go_ctx_new(c2, GO_NEVER);
	go_ctx *c4 = go_ctx_with_value(c3, &a, &y);
	expect(go_ctx_value(c1, &a) == &x && go_ctx_value(c1, &b) == NULL);
	expect(go_ctx_value(c3, &a) == &x && go_ctx_value(c3, &b) == &y);
	expect(go_ctx_value(c4, &a) == &y && go_ctx_value(c4, NULL) == NULL);
	go_ctx_unref(c1);
	go_ctx_unref(c2);
	go_ctx_unref(c3);
	expect(go_ctx_value(c4, &b) == &y); // parents are kept alive
	go_ctx_unref(c4);
	return 0;
}

void
test_ctx_values(void)
{
	expect_eq(go_run(values, NULL), 0);
}

static int
cancel_goes_down(void *arg)
{
	(void)arg;
	int key = 0;
	go_ctx *root = go_ctx_new(NULL, GO_NEVER);
	go_ctx *left = go_ctx_new(root, GO_NEVER), *right = go_ctx_with_value(root, &key, &key);
	go_ctx *leaf = go_ctx_new(right, go_in(3600 * GO_SEC));
	go_chan *done = go_ctx_done(leaf);
	expect(done != NULL && done == go_ctx_done(leaf));
	expect(!is_done(root) && !is_done(leaf));
	go_ctx_cancel(right);
	expect_eq(go_ctx_err(right), GO_ECANCELED);
	expect_eq(go_ctx_err(leaf), GO_ECANCELED);
	expect_eq(go_chan_recv(done, NULL, GO_POLL), GO_ECLOSED);
	expect_eq(go_ctx_err(root), 0);
	expect_eq(go_ctx_err(left), 0);
	go_ctx *late = go_ctx_new(leaf, GO_NEVER);
	expect_eq(go_ctx_err(late), GO_ECANCELED);
	expect(is_done(late) && is_done(right));
	go_ctx_cancel(root);
	go_ctx_cancel(root);
	expect(is_done(left) && is_done(root));
	go_ctx_unref(root);
	go_ctx_unref(late);
	go_ctx_unref(leaf);
	go_ctx_unref(right);
	go_ctx_unref(left);
	return 0;
}

void
test_ctx_cancel_goes_down(void)
{
	expect_eq(go_run(cancel_goes_down, NULL), 0);
}

static int
deadlines(void *arg)
{
	(void)arg;
	int64_t soon = go_in(3 * GO_MSEC), later = go_in(3600 * GO_SEC);
	go_ctx *c = go_ctx_new(NULL, soon);
	go_ctx *looser = go_ctx_new(c, later);
	go_ctx *far = go_ctx_new(NULL, later);
	go_ctx *tighter = go_ctx_new(far, soon);
	go_ctx *past = go_ctx_new(far, GO_POLL);
	expect_eq(go_ctx_deadline(c), soon);
	expect_eq(go_ctx_deadline(looser), soon);
	expect_eq(go_ctx_deadline(tighter), soon);
	expect_eq(go_ctx_deadline(far), later);
	expect_eq(go_ctx_err(past), GO_ETIMEDOUT);
	expect(is_done(past));
	expect_eq(go_chan_recv(go_ctx_done(looser), NULL, GO_NEVER), GO_ECLOSED);
	expect_eq(go_chan_recv(go_ctx_done(tighter), NULL, GO_NEVER), GO_ECLOSED);
	expect(go_now() >= soon);
	expect_eq(go_ctx_err(looser), GO_ETIMEDOUT);
	expect_eq(go_ctx_err(tighter), GO_ETIMEDOUT);
	go_ctx_cancel(tighter);
	expect_eq(go_ctx_err(tighter), GO_ETIMEDOUT); // the first end counts
	expect_eq(go_ctx_err(far), 0);
	go_ctx_cancel(far);
	expect_eq(go_ctx_err(far), GO_ECANCELED);
	go_ctx_unref(c);
	go_ctx_unref(looser);
	go_ctx_unref(far);
	go_ctx_unref(tighter);
	go_ctx_unref(past);
	return 0;
}

void
test_ctx_deadlines(void)
{
	expect_eq(go_run(deadlines, NULL), 0);
}

enum { DEPTH = 30000 };

static int
deep(void *arg)
{
	(void)arg;
	long n = test_scale(DEPTH) % (DEPTH + 1);
	go_ctx *root = go_ctx_new(NULL, GO_NEVER), *leaf = go_ctx_ref(root);
	for (long i = 0; i < n; i++) {
		go_ctx *c = go_ctx_new(leaf, GO_NEVER);
		go_ctx_unref(leaf);
		leaf = c;
	}
	go_chan *done = go_ctx_done(leaf);
	go_ctx_cancel(root);
	expect_eq(go_chan_recv(done, NULL, GO_POLL), GO_ECLOSED);
	go_ctx_unref(root);
	go_ctx_unref(leaf);
	return 0;
}

// A long chain is ended and freed within a goroutine's stack.
void
test_ctx_deep_chain(void)
{
	expect_eq(go_run(deep, NULL), 0);
}

static int
orphan(void *arg)
{
	(void)arg;
	int64_t deadline = go_in(2 * GO_MSEC);
	go_ctx *parent = go_ctx_new(NULL, deadline);
	go_ctx *child = go_ctx_new(parent, GO_NEVER);
	go_ctx_unref(parent); // does not cancel
	expect(go_ctx_err(child) == 0 || go_now() >= deadline);
	expect_eq(go_chan_recv(go_ctx_done(child), NULL, GO_NEVER), GO_ECLOSED);
	expect_eq(go_ctx_err(child), GO_ETIMEDOUT);
	go_ctx_unref(child);
	return 0;
}

void
test_ctx_child_keeps_parent(void)
{
	expect_eq(go_run(orphan, NULL), 0);
}

static void
use(void *arg)
{
	go_ctx *parent = arg;
	uint64_t rand = go_id();
	for (int i = 0; i < 20; i++) {
		int64_t delay = (int64_t)(test_rand(&rand) % 100) * GO_USEC;
		go_ctx *c = go_ctx_new(parent, test_rand(&rand) % 2 != 0 ? go_in(delay) : GO_NEVER);
		go_ctx *below = go_ctx_new(c, go_in(delay + 20 * GO_USEC));
		switch (test_rand(&rand) % 4) {
		case 0:
			go_ctx_cancel(c);
			break;
		case 1:
			go_chan_recv(go_ctx_done(below), NULL, GO_NEVER);
			expect(go_ctx_err(below) != 0);
			break;
		case 2:
			go_ctx_done(c);
			go_yield();
			break;
		default:
			break;
		}
		go_ctx_unref(c);
		go_ctx_unref(below);
	}
	go_ctx_unref(parent);
}

static int
races(void *arg)
{
	(void)arg;
	for (long round = 0, n = test_scale(100); round < n; round++) {
		go_ctx *root = go_ctx_new(NULL, round % 2 != 0 ? go_in(GO_MSEC) : GO_NEVER);
		for (int i = 0; i < 8; i++)
			expect_eq(go_spawn(use, go_ctx_ref(root)), 0);
		go_sleep(round % 10 * 50 * GO_USEC);
		go_ctx_cancel(root);
		expect(is_done(root));
		go_ctx_unref(root);
	}
	go_stats st;
	do {
		go_sleep(GO_MSEC);
		go_stats_read(&st);
	} while (st.goroutines > 1);
	return 0;
}

void
test_ctx_races(void)
{
	expect_eq(go_run(races, NULL), 0);
}

// --- two who cancel -----------------------------------------------------------------------------

enum { BELOW = 300 };

typedef struct Tree {
	go_ctx *root, *leaf;
	go_waitgroup *cancelled;
} Tree;

static void
cancel_and_look(void *arg)
{
	Tree *t = arg;
	go_ctx_cancel(t->root);
	expect_eq(go_ctx_err(t->leaf), GO_ECANCELED);
	go_wg_done(t->cancelled);
}

static int
second_waits(void *arg)
{
	(void)arg;
	go_gomaxprocs(4);
	for (long round = 0, n = test_scale(300); round < n; round++) {
		go_waitgroup cancelled = {0};
		Tree t = {.root = go_ctx_new(NULL, GO_NEVER), .cancelled = &cancelled};
		t.leaf = go_ctx_ref(t.root);
		for (int i = 0; i < BELOW; i++) {
			go_ctx *c = go_ctx_new(t.leaf, GO_NEVER);
			go_ctx_unref(t.leaf);
			t.leaf = c;
		}
		go_wg_add(&cancelled, 3);
		for (int i = 0; i < 3; i++)
			expect_eq(go_spawn(cancel_and_look, &t), 0);
		expect_eq(go_wg_wait(&cancelled, GO_NEVER), 0);
		go_ctx_unref(t.root);
		go_ctx_unref(t.leaf);
	}
	return 0;
}

// Who cancels what another one is cancelling returns when all below has ended, too.
void
test_ctx_second_cancel_waits(void)
{
	expect_eq(go_run(second_waits, NULL), 0);
}

static void
look_at_err(void *arg)
{
	Tree *t = arg;
	while (go_ctx_err(t->root) == 0)
		go_yield();
	expect_eq(go_chan_recv(go_ctx_done(t->root), NULL, GO_POLL), GO_ECLOSED);
	go_wg_done(t->cancelled);
}

static void
look_at_done(void *arg)
{
	Tree *t = arg;
	while (go_chan_recv(go_ctx_done(t->root), NULL, GO_POLL) != GO_ECLOSED)
		go_yield();
	expect_eq(go_ctx_err(t->root), GO_ECANCELED);
	go_wg_done(t->cancelled);
}

static int
err_and_done(void *arg)
{
	(void)arg;
	go_gomaxprocs(4);
	for (long round = 0, n = test_scale(2000); round < n; round++) {
		go_waitgroup cancelled = {0};
		Tree t = {.root = go_ctx_new(NULL, GO_NEVER), .cancelled = &cancelled};
		go_wg_add(&cancelled, 2);
		expect_eq(go_spawn(look_at_err, &t), 0);
		expect_eq(go_spawn(look_at_done, &t), 0);
		for (long i = 0; i < round % 5; i++)
			go_yield();
		go_ctx_cancel(t.root);
		expect_eq(go_wg_wait(&cancelled, GO_NEVER), 0);
		go_ctx_unref(t.root);
	}
	return 0;
}

// The error and the closed channel are never seen apart.
void
test_ctx_err_agrees_with_done(void)
{
	expect_eq(go_run(err_and_done, NULL), 0);
}
