// SPDX-License-Identifier: BSD-3-Clause
// The global queue and what flows into and out of it, src/sched/queue.c: a ring that overflows
// while thieves make room, shares taken under the lock, and the count that is read without it.
#include "explore_arch.h"

#include "explore_lock.h"

#include "sched/runq.c"

#include "sched/queue.c"

#include <string.h>

enum { GS = 12 };

Sched sched;
ATOMIC_U32 sched_n_procs;
static P ps[2];
static RunQ thief;
static G gs[GS];
static int made[GS], taken[GS];
static uint32_t n_made;

static void
begin(uint32_t in_ring, uint32_t in_global)
{
	memset(&sched, 0, sizeof(sched));
	memset(&sched_n_procs, 0, sizeof(sched_n_procs));
	store_rlx(&sched_n_procs, 2);
	memset(ps, 0, sizeof(ps));
	memset(&thief, 0, sizeof(thief));
	memset(gs, 0, sizeof(gs));
	memset(made, 0, sizeof(made));
	memset(taken, 0, sizeof(taken));
	for (n_made = 0; n_made < in_ring; n_made++)
		runq_put(&ps[0].runq, &gs[n_made]);
	for (; n_made < in_ring + in_global; n_made++)
		globq_put(&gs[n_made]);
	for (uint32_t i = 0; i < n_made; i++)
		made[i] = 1;
}

static void
init_full(void)
{
	begin(RUNQ_SIZE, 0);
}

static void
init_queued(void)
{
	begin(1, 3);
}

static void
init_empty(void)
{
	begin(0, 0);
}

static void
got(G *gp)
{
	if (gp == NULL)
		return;
	EXPLORE_CHECK(gp >= gs && gp < gs + GS, "not a G");
	EXPLORE_CHECK(PLAIN_READ(made[gp - gs]) == 1, "taken before it was made");
	PLAIN_WRITE(taken[gp - gs], taken[gp - gs] + 1);
}

static G *
make(void)
{
	uint32_t i = n_made++;
	PLAIN_WRITE(made[i], 1);
	return &gs[i];
}

static void
take(P *pp, uint32_t max)
{
	G *gp = NULL;
	mutex_lock(&sched.lock);
	globq_take(pp, max, &gp);
	mutex_unlock(&sched.lock);
	got(gp);
}

static void
count_left(RunQ *q)
{
	for (uint32_t at = load_rlx(&q->head); at != load_rlx(&q->tail); at++)
		taken[load_rlx(&q->ring[at % RUNQ_SIZE]) - gs]++;
}

static void
final(void)
{
	EXPLORE_CHECK(load_rlx(&sched.globq_n) == sched.globq.n, "the count");
	for (G *gp; (gp = glist_pop(&sched.globq)) != NULL;)
		taken[gp - gs]++;
	EXPLORE_CHECK(sched.globq.n == 0, "the length");
	count_left(&ps[0].runq);
	count_left(&ps[1].runq);
	count_left(&thief);
	for (int i = 0; i < 2; i++) {
		P *pp = &ps[i];
		if (load_rlx(&pp->next) != NULL)
			taken[load_rlx(&pp->next) - gs]++;
		for (uint32_t at = load_rlx(&pp->hand_head); at != load_rlx(&pp->hand_tail); at++)
			taken[load_rlx(&pp->hand[at % HAND_SIZE]) - gs]++;
	}
	for (uint32_t i = 0; i < n_made; i++)
		EXPLORE_CHECK(taken[i] == 1,
			      taken[i] == 0 ? "a G was lost" : "a G was taken twice");
}

// The owner overflows while a thief steals and another P takes what overflowed.
static void
overflow(int id)
{
	if (id == 0) {
		p_put_tail(&ps[0], make());
	} else if (id == 1) {
		if (runq_steal_half(&ps[0].runq, &thief) != 0)
			got(runq_take(&thief));
	} else if (load_rlx(&sched.globq_n) != 0) {
		take(&ps[1], 2);
		got(runq_take(&ps[1].runq));
	}
}

// The `next` slot and what it displaces.
static void
next(int id)
{
	if (id == 0) {
		p_put_next(&ps[0], make());
		p_put_next(&ps[0], make());
		(void)p_has_work(&ps[0]);
	} else if (runq_steal_half(&ps[0].runq, &thief) != 0) {
		got(runq_take(&thief));
	}
}

// The ring's Gs pass through the hand, as nobody is hungry, while a thief takes from the ring.
static void
refill(int id)
{
	if (id == 0) {
		got(p_take(&ps[0]));
		p_put_tail(&ps[0], make());
		got(p_take(&ps[0]));
	} else if (runq_steal_half(&ps[0].runq, &thief) != 0) {
		got(runq_take(&thief));
	}
}

static void
shares(int id)
{
	if (id == 2) {
		mutex_lock(&sched.lock);
		globq_put(make());
		mutex_unlock(&sched.lock);
		return;
	}
	take(&ps[id], RUNQ_SIZE / 2);
	got(runq_take(&ps[id].runq));
}

static const struct ExploreTest tests[] = {
    {.name = "overflow", .threads = 3, .init = init_full, .thread = overflow, .final = final},
    {.name = "next", .threads = 2, .init = init_empty, .thread = next, .final = final},
    {.name = "refill", .threads = 2, .init = init_full, .thread = refill, .final = final},
    {.name = "shares", .threads = 3, .init = init_queued, .thread = shares, .final = final},
    {0},
};

// The orders of runq.c are x_runq.c's to weaken; a mutant of the locks would be one of the engine.
static const char *const sources[] = {"sched/queue.c", NULL};

const struct ExploreDriver explore_driver = {
    .name = "globq",
    .tests = tests,
    .sources = sources,
};
