// SPDX-License-Identifier: BSD-3-Clause
// The run queue of a P, src/sched/runq.c, with a ring of four: the owner's put, take and shed
// against thieves, slots used again, positions that wrap, and a thief's ring robbed in turn.
//
// Every G carries plain data that its maker writes and its taker reads and writes: a G taken twice,
// or seen before it was ready, is a data race; a G lost or doubled is counted.
#include "explore.h"

#include "sched/runq.c"

#include <string.h>

enum { GS = 10 };

struct G {
	int made;
	int taken;
};

static RunQ rings[3]; // of the owner, thief 1, thief 2
static G gs[GS];
static uint32_t n_made;

static void
begin(uint32_t position, uint32_t n)
{
	memset(rings, 0, sizeof(rings));
	memset(gs, 0, sizeof(gs));
	for (int i = 0; i < 3; i++) {
		store_rlx(&rings[i].head, position);
		store_rlx(&rings[i].tail, position);
	}
	for (n_made = 0; n_made < n; n_made++) {
		gs[n_made].made = 1;
		runq_put(&rings[0], &gs[n_made]);
	}
}

static void
init_empty(void)
{
	begin(0, 0);
}

static void
init_one(void)
{
	begin(3, 1);
}

static void
init_two(void)
{
	begin(UINT32_MAX - 1, 2); // positions wrap
}

static void
init_three(void)
{
	begin(1, 3);
}

static void
init_full(void)
{
	begin(2, 4);
}

static void
got(G *gp)
{
	if (gp == NULL)
		return;
	EXPLORE_CHECK(gp >= gs && gp < gs + GS, "not a G");
	EXPLORE_CHECK(PLAIN_READ(gp->made) == 1, "taken before it was made");
	PLAIN_WRITE(gp->taken, gp->taken + 1);
}

static bool
put_next(void)
{
	G *gp = &gs[n_made];
	PLAIN_WRITE(gp->made, 1);
	if (!runq_put(&rings[0], gp))
		return false;
	n_made++;
	return true;
}

static void
final(void)
{
	for (int i = 0; i < 3; i++) {
		uint32_t head = load_rlx(&rings[i].head), tail = load_rlx(&rings[i].tail);
		EXPLORE_CHECK(tail - head <= RUNQ_SIZE, "Q1");
		for (; head != tail; head++)
			load_rlx(&rings[i].ring[head % RUNQ_SIZE])->taken++;
	}
	for (uint32_t i = 0; i < n_made; i++)
		EXPLORE_CHECK(gs[i].taken == 1,
			      gs[i].taken == 0 ? "a G was lost" : "a G was taken twice");
	for (uint32_t i = n_made; i < GS; i++)
		EXPLORE_CHECK(gs[i].taken == 0, "a G nobody put");
}

// The thief's reads of the victim's slots are over before the owner may fill them again (O2).
static bool
rob(int victim, int id)
{
	RunQ *v = &rings[victim], *mine = &rings[id];
	uint32_t tail = EXPLORE_RAW(&mine->tail);
	uint32_t n = runq_steal_half(v, mine);
	for (uint32_t i = 0; i < n; i++) {
		G *gp = EXPLORE_RAW(&mine->ring[(tail + i) % RUNQ_SIZE]);
		explore_kept(v->ring, sizeof(v->ring), (uintptr_t)gp);
	}
	return n != 0;
}

static void
steal(int id)
{
	if (rob(0, id))
		got(runq_take(&rings[id]));
}

static void
put_take_steal(int id)
{
	if (id == 0) {
		put_next();
		put_next();
		got(runq_take(&rings[0]));
		got(runq_take(&rings[0]));
	} else {
		steal(1);
	}
}

static void
last_one(int id)
{
	if (id == 0)
		got(runq_take(&rings[0]));
	else
		steal(id);
}

// A slow thief: the slots it looks at are taken and filled again.
static void
reuse(int id)
{
	if (id == 0) {
		got(runq_take(&rings[0]));
		put_next();
		got(runq_take(&rings[0]));
		put_next();
	} else {
		steal(id);
	}
}

static void
full(int id)
{
	if (id == 0) {
		if (!put_next()) {
			G *batch[RUNQ_SIZE / 2];
			uint32_t n = runq_shed(&rings[0], batch);
			EXPLORE_CHECK(n == 0 || n == RUNQ_SIZE / 2, "shed");
			for (uint32_t i = 0; i < n; i++)
				got(batch[i]);
			EXPLORE_CHECK(put_next(), "there is room after a shed");
		}
	} else {
		steal(id);
	}
}

// The owner claims several at once.
static void
take_some(int id)
{
	if (id == 0) {
		G *out[3];
		uint32_t n = runq_take_some(&rings[0], out, 3);
		for (uint32_t i = 0; i < n; i++)
			got(out[i]);
		put_next();
		put_next();
	} else {
		steal(id);
	}
}

// Thief 2 robs thief 1, who robs the owner.
static void
chain(int id)
{
	if (id == 0) {
		got(runq_take(&rings[0]));
	} else if (id == 1) {
		runq_steal_half(&rings[0], &rings[1]);
		got(runq_take(&rings[1]));
	} else if (runq_steal_half(&rings[1], &rings[2]) != 0) {
		got(runq_take(&rings[2]));
	}
}

// Thief 1 has used up its own ring, robbed by thief 2, and fills the same slots by stealing again.
static void
init_refill(void)
{
	begin(2, 4);
	for (int i = 0; i < 3; i++, n_made++) {
		gs[n_made].made = 1;
		runq_put(&rings[1], &gs[n_made]);
	}
}

static void
drain(int id)
{
	for (G *gp; (gp = runq_take(&rings[id])) != NULL;)
		got(gp);
}

static void
refill(int id)
{
	if (id == 0) {
		drain(1);
		rob(0, 1);
	} else {
		rob(1, 2);
		drain(2);
		rob(1, 2);
	}
}

// Anyone's guess of the length is one that was true at some moment.
static void
length(int id)
{
	if (id == 0) {
		got(runq_take(&rings[0]));
		put_next();
		EXPLORE_CHECK(runq_len(&rings[0]) <= RUNQ_SIZE, "length, to the owner");
	} else if (id == 1) {
		EXPLORE_CHECK(runq_len(&rings[0]) <= RUNQ_SIZE, "length");
		(void)runq_empty(&rings[0]);
	} else {
		steal(1);
	}
}

static void
length_short(int id)
{
	if (id == 0) {
		put_next();
		got(runq_take(&rings[0]));
		got(runq_take(&rings[0]));
	} else {
		EXPLORE_CHECK(runq_len(&rings[0]) <= 2, "length");
	}
}

static const struct ExploreTest tests[] = {
    {.name = "put, take, steal",
     .threads = 2,
     .init = init_empty,
     .thread = put_take_steal,
     .final = final},
    {.name = "the last one", .threads = 3, .init = init_one, .thread = last_one, .final = final},
    {.name = "reuse", .threads = 2, .init = init_three, .thread = reuse, .final = final},
    {.name = "reuse, two thieves", .threads = 3, .init = init_two, .thread = reuse, .final = final},
    {.name = "full", .threads = 2, .init = init_full, .thread = full, .final = final},
    {.name = "full, two thieves", .threads = 3, .init = init_full, .thread = full, .final = final},
    {.name = "take some", .threads = 3, .init = init_full, .thread = take_some, .final = final},
    {.name = "chain", .threads = 3, .init = init_full, .thread = chain, .final = final},
    {.name = "refill", .threads = 2, .init = init_refill, .thread = refill, .final = final},
    {.name = "length", .threads = 3, .init = init_full, .thread = length, .final = final},
    {.name = "length, short",
     .threads = 2,
     .init = init_one,
     .thread = length_short,
     .final = final},
    {0},
};

static const struct ExploreAllowed allowed[] = {
    {"runq_shed", "load_acq(&q->head)", "acquire",
     "the claim looks again; runq_put observes the other claims before it fills a slot"},
    {"runq_steal_half", "load_acq(&victim->head)", "acquire",
     "the claim looks again, and the slots ride on tail"},
    {"runq_steal_half", "cas_ar(&victim->head)", "acquire",
     "earlier claims reach the owner through the release sequence on head"},
    {0},
};

const struct ExploreDriver explore_driver = {
    .name = "runq",
    .tests = tests,
    .allowed = allowed,
};
