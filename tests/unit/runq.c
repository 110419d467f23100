// SPDX-License-Identifier: BSD-3-Clause
// Run queues: against a model in one thread, and nothing lost or doubled with thieves at work.
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "harness.h"
#include "os/os.h"
#include "sched/runq.h"

// Queues carry pointers and never follow them.
static G *
fake(uint64_t n)
{
	return (G *)(uintptr_t)((n + 1) * 64);
}

static uint64_t
number_of(G *gp)
{
	return (uint64_t)(uintptr_t)gp / 64 - 1;
}

// --- a model ----------------------------------------------------------------------------------

typedef struct Model {
	G *g[RUNQ_SIZE];
	uint32_t n;
} Model;

static void
model_drop(Model *m, uint32_t n)
{
	for (uint32_t i = n; i < m->n; i++)
		m->g[i - n] = m->g[i];
	m->n -= n;
}

static void
expect_same(RunQ *q, const Model *m)
{
	uint32_t head = load_rlx(&q->head);
	expect_eq(load_rlx(&q->tail) - head, m->n);
	expect_eq(runq_len(q), m->n);
	expect_eq(runq_empty(q), m->n == 0);
	for (uint32_t i = 0; i < m->n; i++)
		expect(load_rlx(&q->ring[(head + i) % RUNQ_SIZE]) == m->g[i]);
}

static void
one_step(RunQ *q, Model *m, int at, int other, uint64_t *rand, uint64_t *next)
{
	G *out[RUNQ_SIZE];
	uint32_t n;
	switch (test_rand(rand) % 8) {
	case 0:
	case 1:
	case 2:
	case 3: {
		G *gp = fake((*next)++);
		bool room = m[at].n < RUNQ_SIZE;
		expect_eq(runq_put(&q[at], gp), room);
		if (room)
			m[at].g[m[at].n++] = gp;
		break;
	}
	case 4:
		expect(runq_take(&q[at]) == (m[at].n > 0 ? m[at].g[0] : NULL));
		model_drop(&m[at], m[at].n > 0);
		break;
	case 5: {
		uint32_t max = 1 + (uint32_t)(test_rand(rand) % RUNQ_SIZE);
		n = runq_take_some(&q[at], out, max);
		expect_eq(n, m[at].n < max ? m[at].n : max);
		for (uint32_t i = 0; i < n; i++)
			expect(out[i] == m[at].g[i]);
		model_drop(&m[at], n);
		break;
	}
	case 6:
		n = runq_shed(&q[at], out);
		expect_eq(n, m[at].n == RUNQ_SIZE ? RUNQ_SIZE / 2 : 0);
		for (uint32_t i = 0; i < n; i++)
			expect(out[i] == m[at].g[i]);
		model_drop(&m[at], n);
		break;
	default:
		if (at == other || m[at].n != 0)
			return;
		n = runq_steal_half(&q[other], &q[at]);
		expect_eq(n, m[other].n - m[other].n / 2);
		for (uint32_t i = 0; i < n; i++)
			m[at].g[m[at].n++] = m[other].g[i];
		model_drop(&m[other], n);
	}
}

// Random operations on three queues, whose indices are about to wrap, give what the model gives.
void
test_runq_matches_model(void)
{
	enum { QUEUES = 3 };
	static RunQ q[QUEUES];
	static Model m[QUEUES];
	uint64_t rand = test_seed(), next = 0;
	for (int i = 0; i < QUEUES; i++) {
		uint32_t start = UINT32_MAX - (uint32_t)i * 1000;
		store_rlx(&q[i].head, start);
		store_rlx(&q[i].tail, start);
	}
	for (long step = 0; step < test_scale(300000); step++) {
		int at = (int)(test_rand(&rand) % QUEUES), other = (int)(test_rand(&rand) % QUEUES);
		one_step(q, m, at, other, &rand, &next);
		expect_same(&q[at], &m[at]);
		expect_same(&q[other], &m[other]);
	}
}

// --- thieves ----------------------------------------------------------------------------------

enum { THIEVES = 3 };

static RunQ owned CACHE_ALIGNED;
static _Atomic unsigned char *seen; // how often each number was taken
static atomic_bool over;

// Everyone finds rising numbers: the queue is first in first out, whoever takes.
static void
got(G *gp, uint64_t *last)
{
	uint64_t n = number_of(gp);
	expect(n + 1 > *last);
	*last = n + 1;
	expect_eq(atomic_fetch_add(&seen[n], 1), 0);
}

static void *
steal(void *unused)
{
	(void)unused;
	static __thread RunQ mine;
	uint64_t last = 0;
	G *gp;
	do {
		uint32_t n = runq_steal_half(&owned, &mine), taken = 0;
		while ((gp = runq_take(&mine)) != NULL) {
			got(gp, &last);
			taken++;
		}
		expect_eq(n, taken);
	} while (!atomic_load(&over));
	return NULL;
}

// The owner puts and takes while thieves steal: each number comes out once.
void
test_runq_with_thieves(void)
{
	pthread_t threads[THIEVES];
	uint64_t rand = test_seed(), last = 0, next = 0, total = (uint64_t)test_scale(500000);
	uint64_t shed_count = 0;
	G *out[RUNQ_SIZE], *gp;
	seen = calloc(total, 1);
	expect(seen != NULL);
	store_rlx(&owned.head, UINT32_MAX - 5000);
	store_rlx(&owned.tail, UINT32_MAX - 5000);
	for (int i = 0; i < THIEVES; i++)
		expect(pthread_create(&threads[i], NULL, steal, NULL) == 0);
	while (next < total) {
		for (uint64_t n = test_rand(&rand) % (2 * RUNQ_SIZE); n > 0 && next < total; n--)
			if (runq_put(&owned, fake(next)))
				next++;
			else
				for (uint32_t i = 0, k = runq_shed(&owned, out); i < k;
				     i++, shed_count++)
					got(out[i], &last);
		for (uint64_t n = test_rand(&rand) % RUNQ_SIZE; n > 0; n--)
			if ((gp = runq_take(&owned)) != NULL)
				got(gp, &last);
	}
	while ((gp = runq_take(&owned)) != NULL)
		got(gp, &last);
	atomic_store(&over, true);
	for (int i = 0; i < THIEVES; i++)
		pthread_join(threads[i], NULL);
	for (uint64_t i = 0; i < total; i++)
		expect_eq(seen[i], 1);
	free((void *)seen);
}
