// SPDX-License-Identifier: BSD-3-Clause
// The lease of src/sched/lease.c: entry and exit against those who want the P.
//
// Thread 0 is the M. While it is inside with its lease held, and while a grabber has it frozen, the
// owner's fields of the P are written plainly: two owners at once are a data race (L1), and what
// one did has to be visible to the next.
#include "explore_arch.h"

#include "sched/lease.c"

#include <string.h>

static Lease lease;
static int field;       // belongs to the owner of the P
static ATOMIC_U32 p_of; // M.p: 1 while the M has its P; cleared by who revokes
static int touched;

static void
init(void)
{
	memset(&lease, 0, sizeof(lease));
	memset(&p_of, 0, sizeof(p_of));
	store_rlx(&p_of, 1);
	store_rlx(&lease.inrt, 0);
	field = touched = 0;
}

static void
touch(void)
{
	PLAIN_WRITE(field, field + 1);
	touched++;
}

static bool
enter(void)
{
	return lease_enter(&lease) || lease_enter_slow(&lease);
}

// Enters, uses the P when it still has it, takes another one when not, leaves.
static void
visit(void)
{
	if (enter()) {
		EXPLORE_CHECK(load_rlx(&p_of) == 1, "the lease is held, the P is gone");
		touch();
	} else {
		EXPLORE_CHECK(load_rlx(&p_of) == 0, "the lease was revoked, the P is still there");
		store_rlx(&p_of, 1);
		lease_renew(&lease);
	}
	lease_leave(&lease);
}

static void
visit_loosely(void)
{
	if (!enter()) {
		store_rlx(&p_of, 1);
		lease_renew(&lease);
	} else {
		touch();
	}
	lease_loosen(&lease);
}

static void
freeze(void)
{
	if (!lease_grab(&lease, (uint32_t)explore_self()))
		return;
	EXPLORE_CHECK(load_rlx(&p_of) == 1, "frozen without a P");
	touch();
	lease_thaw(&lease);
}

static void
take_away(void)
{
	if (!lease_grab(&lease, (uint32_t)explore_self()))
		return;
	EXPLORE_CHECK(load_rlx(&p_of) == 1, "frozen without a P");
	touch();
	store_rlx(&p_of, 0);
	lease_revoke(&lease);
}

// As the monitor does, and who stops the world.
static void
ask_and_take_away(void)
{
	lease_ask(&lease);
	take_away();
}

static void
one_thief(int id)
{
	if (id == 0) {
		visit();
		visit();
	} else {
		freeze();
		freeze();
	}
}

static void
two_thieves(int id)
{
	if (id == 0) {
		visit();
		visit();
	} else {
		freeze();
	}
}

static void
monitor_and_thief(int id)
{
	if (id == 0) {
		visit();
		visit();
	} else if (id == 1) {
		take_away();
	} else {
		freeze();
	}
}

static void
asked(int id)
{
	if (id == 0) {
		visit();
		visit();
	} else if (id == 1) {
		ask_and_take_away();
	} else {
		freeze();
	}
}

static void
loose(int id)
{
	if (id == 0) {
		visit_loosely();
		visit();
	} else if (id == 1) {
		take_away();
	} else {
		freeze();
	}
}

static void
final(void)
{
	EXPLORE_CHECK(field == touched, "a write to the P was lost");
}

static const struct ExploreTest tests[] = {
    {.name = "one thief", .threads = 2, .init = init, .thread = one_thief, .final = final},
    {.name = "two thieves", .threads = 3, .init = init, .thread = two_thieves, .final = final},
    {.name = "monitor and thief",
     .threads = 3,
     .init = init,
     .thread = monitor_and_thief,
     .final = final},
    {.name = "asked", .threads = 3, .init = init, .thread = asked, .final = final},
    {.name = "loose", .threads = 3, .init = init, .thread = loose, .final = final},
    {0},
};

static const struct ExploreAllowed allowed[] = {
    {"lease_loosen", "store_rel(&l->inrt)", "release",
     "who grabs LOOSE has acquired state; inrt is read by those who found HELD before"},
    {"begin_revoking", "cas_acq(&l->state)", "acquire",
     "the heavy fence that follows acquires too; ThreadSanitizer sees no fences"},
    {0},
};

const struct ExploreDriver explore_driver = {
    .name = "lease",
    .tests = tests,
    .allowed = allowed,
};
