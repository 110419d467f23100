// SPDX-License-Identifier: BSD-3-Clause
// Inside channels: the invariants while many use one, and where channels live.
#include <stdlib.h>

#include "chan/chan_impl.h"
#include "harness.h"
#include "undergo.h"

typedef struct Busy {
	Hchan *c[3];
	go_waitgroup wg;
	ATOMIC_U32 stop;
	ATOMIC_U32 ids;
} Busy;

static void
verify_all(Busy *b)
{
	sched_enter();
	for (int i = 0; i < 3; i++)
		chan_verify(b->c[i]);
	sched_leave();
}

// One random operation: plain or select, sending or receiving, with or without a deadline.
static void
one_operation(Busy *b, uint64_t *r)
{
	uint64_t x = test_rand(r);
	long v[3] = {1, 2, 3};
	int64_t deadline = x % 3 == 0 ? GO_POLL : go_in((int64_t)(x >> 20) % (20 * GO_USEC));
	uint32_t i = (uint32_t)(x >> 8) % 3;
	if ((x >> 16) % 2 == 0) {
		go_case k[3];
		for (uint32_t j = 0; j < 3; j++)
			k[j] = (go_case){b->c[(i + j) % 3], &v[j], ((x >> j) & 0x400000) != 0,
					 false};
		go_select(k, 3, deadline);
	} else if ((x >> 17) % 2 == 0) {
		go_chan_send(b->c[i], &v[0], deadline);
	} else {
		go_chan_recv(b->c[i], &v[0], deadline);
	}
}

static void
be_busy(void *arg)
{
	Busy *b = arg;
	uint64_t r = test_seed() + add_rlx(&b->ids, 1); // order: count
	for (long i = test_scale(20000); i > 0; i--) {
		one_operation(b, &r);
		if (i % 32 == 0)
			verify_all(b);
	}
	go_wg_done(&b->wg);
}

static int
invariants(void *arg)
{
	(void)arg;
	Busy b = {.c = {go_chan_new(8, 0), go_chan_new(8, 1), go_chan_new(8, 3)}};
	go_wg_add(&b.wg, 5);
	for (int i = 0; i < 5; i++)
		expect_eq(go_spawn(be_busy, &b), 0);
	go_wg_wait(&b.wg, GO_NEVER);
	verify_all(&b);
	for (int i = 0; i < 3; i++)
		go_chan_free(b.c[i]);
	return 0;
}

void
test_chan_invariants(void)
{
	expect_eq(go_run(invariants, NULL), 0);
}

// Freed channels are used again, of whatever size, and come without a trace of their past.
void
test_chan_pool(void)
{
	enum { N = 200 };
	Hchan *c[N] = {NULL};
	uint64_t r = test_seed();
	long v = 1;
	for (int i = 0; i < 20000; i++) {
		uint32_t k = (uint32_t)(test_rand(&r) % N);
		if (c[k] != NULL) {
			expect_eq(go_chan_recv(c[k], &v, GO_POLL), 0);
			expect_eq(v, k);
			go_chan_free(c[k]);
		}
		size_t cap = 1 + test_rand(&r) % (test_rand(&r) % 16 == 0 ? 8192 : 64);
		c[k] = go_chan_new(sizeof(long), cap);
		expect_eq((uintptr_t)c[k] % CACHE_LINE, 0);
		expect_eq(go_chan_len(c[k]), 0);
		expect_eq(go_chan_cap(c[k]), cap);
		expect_eq(go_chan_recv(c[k], &v, GO_POLL), GO_EAGAIN);
		v = k;
		for (size_t n = 0; n < cap; n++)
			expect_eq(go_chan_send(c[k], &v, GO_POLL), 0);
		expect_eq(go_chan_send(c[k], &v, GO_POLL), GO_EAGAIN);
	}
	for (int k = 0; k < N; k++)
		go_chan_free(c[k]);
}

// The hot fields share a line, and compiled code finds count and capacity where it looks.
void
test_chan_layout(void)
{
	expect_eq(offsetof(Hchan, count), 0);
	expect_eq(offsetof(Hchan, cap), 8);
	expect(offsetof(Hchan, lock) + sizeof(Mutex) <= CACHE_LINE);
	expect(sizeof(go_cond) == 24 && sizeof(go_sem) == 24 && sizeof(go_mutex) == 8);
}
