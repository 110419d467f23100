// SPDX-License-Identifier: BSD-3-Clause
// The explorer's proof that weakening an order is noticed: one small program for each kind of site.
//
// Every order in this file is needed but one, which the table names. Run with --mutants, all
// others have to be killed and that one has to survive.
#include "explore.h"

#include <string.h>

static ATOMIC_U32 flag, mine, yours, ticket, lease, inside;
static int payload;
static uint32_t r[3];

static void
init(void)
{
	memset(&flag, 0, sizeof(flag));
	memset(&mine, 0, sizeof(mine));
	memset(&yours, 0, sizeof(yours));
	memset(&ticket, 0, sizeof(ticket));
	memset(&lease, 0, sizeof(lease));
	memset(&inside, 0, sizeof(inside));
	memset(r, 0, sizeof(r));
	payload = 0;
}

static void
hand_over(int id)
{
	if (id == 0) {
		PLAIN_WRITE(payload, 1);
		store_rel(&flag, 1);
	} else if (load_acq(&flag) != 0) {
		EXPLORE_CHECK(PLAIN_READ(payload) == 1, "payload");
	}
}

static void
claim(int id)
{
	uint32_t zero = 0;
	if (cas_acq(&ticket, &zero, 1)) {
		PLAIN_WRITE(payload, id);
		(void)xchg_rel(&ticket, 0);
	}
}

static void
last_out(int id) // the last one frees: needs both halves
{
	if (id == 0)
		PLAIN_WRITE(payload, 1);
	if (add_ar(&ticket, 1) == 1)
		PLAIN_WRITE(payload, 2);
}

static void
dekker(int id)
{
	store_rlx(id == 0 ? &mine : &yours, 1);
	fence_seq();
	r[id] = load_rlx(id == 0 ? &yours : &mine);
}

static void
dekker_final(void)
{
	EXPLORE_CHECK(r[0] != 0 || r[1] != 0, "both read 0");
}

static void
asymmetric(int id)
{
	store_rlx(id == 0 ? &inside : &lease, 1);
	if (id == 0)
		fence_light();
	else
		fence_heavy();
	r[id] = load_rlx(id == 0 ? &lease : &inside);
}

static void
fenced(int id)
{
	if (id == 0) {
		PLAIN_WRITE(payload, 1);
		fence_rel();
		store_rlx(&flag, 1);
	} else if (load_rlx(&flag) != 0) {
		fence_acq();
		EXPLORE_CHECK(PLAIN_READ(payload) == 1, "payload");
	}
}

static void
needless(int id)
{
	if (id == 0)
		store_rlx(&flag, 1);
	else
		(void)load_acq(&flag);
}

static const struct ExploreTest tests[] = {
    {.name = "hand over", .threads = 2, .init = init, .thread = hand_over},
    {.name = "claim", .threads = 3, .init = init, .thread = claim},
    {.name = "last out", .threads = 2, .init = init, .thread = last_out},
    {.name = "dekker", .threads = 2, .init = init, .thread = dekker, .final = dekker_final},
    {.name = "asymmetric", .threads = 2, .init = init, .thread = asymmetric, .final = dekker_final},
    {.name = "fenced", .threads = 2, .init = init, .thread = fenced},
    {.name = "needless", .threads = 2, .init = init, .thread = needless},
    {0},
};

static const struct ExploreAllowed allowed[] = {
    {"needless", "load_acq(&flag)", "acquire", "nothing is read after it"},
    {0},
};

const struct ExploreDriver explore_driver = {
    .name = "mutants",
    .tests = tests,
    .allowed = allowed,
    .mutate_self = true,
};
