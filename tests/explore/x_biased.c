// SPDX-License-Identifier: BSD-3-Clause
// The mutex that has an owner, src/sync/biased.h and biased.c, over the engine's lock: mutual
// exclusion, visibility of what it guards, and no lost wake-up (a stranger who sleeps for ever is a
// deadlock here). The owner gets the mutex to itself again after two turns, so strangers come first
// more than once.
#include "explore_arch.h"

#include "explore_lock.h"

#include "sync/biased.c"

#include <string.h>

static Biased b;
static ATOMIC_U32 owner; // the thread whose part that is
static int guarded;

static void
init(void)
{
	memset(&b, 0, sizeof(b));
	memset(&owner, 0, sizeof(owner));
	guarded = 0;
}

static void
own_turn(void)
{
	biased_lock_own(&b);
	PLAIN_WRITE(guarded, guarded + 1);
	biased_unlock_own(&b);
}

static void
stranger_turn(void)
{
	biased_lock(&b);
	PLAIN_WRITE(guarded, guarded + 1);
	biased_unlock(&b);
}

static void
six_final(void)
{
	EXPLORE_CHECK(guarded == 6, "a count was lost");
	EXPLORE_CHECK(EXPLORE_RAW(&b.inside) == 0, "the owner is in");
}

static void
one_stranger(int id)
{
	for (int i = 0; i < (id == 0 ? 4 : 2); i++)
		if (id == 0)
			own_turn();
		else
			stranger_turn();
}

static void
two_strangers(int id)
{
	for (int i = 0; i < (id == 0 ? 4 : 1); i++)
		if (id == 0)
			own_turn();
		else
			stranger_turn();
}

static void
tries(int id)
{
	for (int i = 0; i < 3; i++)
		if (id == 0) {
			own_turn();
		} else if (biased_trylock(&b)) {
			PLAIN_WRITE(guarded, guarded + 1);
			biased_unlock(&b);
			explore_outcome(1);
		} else {
			explore_outcome(0);
		}
}

static void
tries_final(void)
{
	EXPLORE_CHECK(guarded >= 3, "a count was lost");
}

// The first two are the owner, one after the other.
static void
two_owners(int id)
{
	if (id == 2) {
		stranger_turn();
		stranger_turn();
		return;
	}
	while (load_acq(&owner) != (uint32_t)id)
		explore_yield();
	own_turn();
	own_turn();
	store_rel(&owner, (uint32_t)id + 1);
}

static const struct ExploreTest tests[] = {
    {.name = "one stranger",
     .threads = 2,
     .init = init,
     .thread = one_stranger,
     .final = six_final},
    {.name = "two strangers",
     .threads = 3,
     .init = init,
     .thread = two_strangers,
     .final = six_final},
    {.name = "trylock",
     .threads = 2,
     .init = init,
     .thread = tries,
     .final = tries_final,
     .must = 3},
    {.name = "another owner",
     .threads = 3,
     .init = init,
     .thread = two_owners,
     .final = six_final},
    {0},
};

static const char *const sources[] = {"sync/biased.c", "sync/biased.h", NULL};

const struct ExploreDriver explore_driver = {
    .name = "biased",
    .tests = tests,
    .sources = sources,
};
