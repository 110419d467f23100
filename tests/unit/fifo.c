// SPDX-License-Identifier: BSD-3-Clause
// Who has waited longest is served first: channels, semaphores. Looks inside to know when the one
// has begun to wait, before the next one comes.
#include "chan/chan.h"
#include "harness.h"
#include "undergo.h"

enum { N = 20 };

typedef struct Line {
	go_chan *c;
	go_sem sem;
	ATOMIC_U32 served;
	uint32_t order[N]; // by the one that is being served
} Line;

typedef struct Place {
	Line *line;
	uint32_t id;
	ATOMIC(G *) gp; // set by the goroutine that is about to wait
} Place;

static void
about_to_wait(Place *p)
{
	store_rel(&p->gp, sched_g()); // order: publish -> until_parked
}

static void
until_parked(Place *p)
{
	for (;; go_sleep(20 * GO_USEC)) {
		G *gp = load_acq(&p->gp); // order: observe <- about_to_wait
		if (gp != NULL && load_acq(&gp->status) == Gwaiting) // order: observe <- park
			return;
	}
}

// One is let go at a time, so nobody else touches the order.
static void
served(Place *p)
{
	uint32_t n = load_rlx(&p->line->served); // order: own
	p->line->order[n] = p->id;
	store_rel(&p->line->served, n + 1); // order: publish -> until_served
}

static void
until_served(Line *l, uint32_t n)
{
	while (load_acq(&l->served) != n) // order: observe <- served
		go_sleep(20 * GO_USEC);
	expect_eq(l->order[n - 1], n - 1);
}

static void
line_up(Line *l, Place *places, void (*fn)(void *))
{
	for (uint32_t i = 0; i < N; i++) {
		places[i] = (Place){.line = l, .id = i};
		expect_eq(go_spawn(fn, &places[i]), 0);
		until_parked(&places[i]);
	}
}

static void
wait_to_recv(void *arg)
{
	Place *p = arg;
	uint32_t v = 0;
	about_to_wait(p);
	expect_eq(go_chan_recv(p->line->c, &v, GO_NEVER), 0);
	expect_eq(v, p->id);
	served(p);
}

static void
wait_to_send(void *arg)
{
	Place *p = arg;
	about_to_wait(p);
	expect_eq(go_chan_send(p->line->c, &p->id, GO_NEVER), 0);
}

static int
channels(void *arg)
{
	(void)arg;
	for (uint32_t cap = 0; cap < 3; cap++) {
		Line l = {.c = go_chan_new(sizeof(uint32_t), cap)};
		Place places[N];
		line_up(&l, places, wait_to_recv);
		for (uint32_t i = 0; i < N; i++) {
			expect_eq(go_chan_send(l.c, &i, GO_POLL), 0);
			until_served(&l, i + 1);
		}
		uint32_t v = 100;
		for (uint32_t i = 0; i < cap; i++)
			expect_eq(go_chan_send(l.c, &v, GO_POLL), 0);
		line_up(&l, places, wait_to_send);
		for (uint32_t i = 0; i < cap + N; i++) {
			expect_eq(go_chan_recv(l.c, &v, GO_POLL), 0);
			expect_eq(v, i < cap ? 100 : i - cap);
		}
		go_chan_free(l.c);
	}
	return 0;
}

void
test_chan_waiters_in_order(void)
{
	expect_eq(go_run(channels, NULL), 0);
}

static void
wait_for_permit(void *arg)
{
	Place *p = arg;
	about_to_wait(p);
	expect_eq(go_sem_acquire(&p->line->sem, GO_NEVER), 0);
	served(p);
}

static int
permits(void *arg)
{
	(void)arg;
	Line l = {0};
	Place places[N];
	line_up(&l, places, wait_for_permit);
	for (uint32_t i = 0; i < N; i++) {
		go_sem_release(&l.sem, 1);
		until_served(&l, i + 1);
	}
	expect_eq(go_sem_acquire(&l.sem, GO_POLL), GO_EAGAIN);
	return 0;
}

void
test_sem_in_order(void)
{
	expect_eq(go_run(permits, NULL), 0);
}

static void
take_permit(void *arg)
{
	Line *l = arg;
	expect_eq(go_sem_acquire(&l->sem, GO_NEVER), 0);
	add_rlx(&l->served, 1); // order: count
}

// One release lets many go, and what is left over is kept.
static int
many_permits(void *arg)
{
	(void)arg;
	Line l = {0};
	for (uint32_t i = 0; i < N; i++)
		expect_eq(go_spawn(take_permit, &l), 0);
	go_sem_release(&l.sem, N + 2);
	while (load_rlx(&l.served) != N) // order: count
		go_sleep(20 * GO_USEC);
	expect_eq(go_sem_acquire(&l.sem, GO_POLL), 0);
	expect_eq(go_sem_acquire(&l.sem, GO_POLL), 0);
	expect_eq(go_sem_acquire(&l.sem, GO_POLL), GO_EAGAIN);
	return 0;
}

void
test_sem_many_permits(void)
{
	expect_eq(go_run(many_permits, NULL), 0);
}
