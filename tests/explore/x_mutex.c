// SPDX-License-Identifier: BSD-3-Clause
// The runtime's mutex, src/sync/mutex.c and the fast paths of sync.h: mutual exclusion, visibility
// of what the lock guards, and no lost wake-up (a sleeper nobody wakes is a deadlock here).
#include "explore_arch.h"

#include "sync/mutex.c"

#include <string.h>

static Mutex m;
static int guarded;

void
lockrank_acquire(Mutex *l)
{
	(void)l;
}

void
lockrank_release(Mutex *l)
{
	(void)l;
}

static void
init(void)
{
	memset(&m, 0, sizeof(m));
	memset(&cpus, 0, sizeof(cpus));
	store_rlx(&cpus, 1); // no spinning
	guarded = 0;
}

static void
count_once(void)
{
	mutex_lock(&m);
	PLAIN_WRITE(guarded, guarded + 1);
	mutex_unlock(&m);
}

static void
twice(int id)
{
	(void)id;
	count_once();
	count_once();
}

static void
twice_final(void)
{
	EXPLORE_CHECK(guarded == 4, "a count was lost");
}

static void
three(int id)
{
	(void)id;
	count_once();
}

static void
three_final(void)
{
	EXPLORE_CHECK(guarded == 3, "a count was lost");
	EXPLORE_CHECK(load_rlx(&m.sleepers) == 0 && load_rlx(&m.held) == 0, "not as it was");
}

// Somebody else unlocks than locked, as a parking goroutine's successor does.
static ATOMIC_U32 handed;

static void
hand_init(void)
{
	init();
	memset(&handed, 0, sizeof(handed));
}

static void
hand_over(int id)
{
	if (id == 0) {
		mutex_lock(&m);
		PLAIN_WRITE(guarded, guarded + 1);
		store_rel(&handed, 1);
	} else if (id == 1) {
		while (load_acq(&handed) == 0)
			explore_yield();
		mutex_unlock(&m);
	} else {
		count_once();
	}
}

static void
hand_final(void)
{
	EXPLORE_CHECK(guarded == 2, "a count was lost");
}

static void
try_or_lock(int id)
{
	if (id == 0) {
		if (!mutex_trylock(&m))
			return;
		PLAIN_WRITE(guarded, guarded + 1);
		mutex_unlock(&m);
	} else {
		count_once();
	}
}

static const struct ExploreTest tests[] = {
    {.name = "two threads twice",
     .threads = 2,
     .init = init,
     .thread = twice,
     .final = twice_final},
    {.name = "three threads", .threads = 3, .init = init, .thread = three, .final = three_final},
    {.name = "unlocked by another",
     .threads = 3,
     .init = hand_init,
     .thread = hand_over,
     .final = hand_final},
    {.name = "trylock", .threads = 3, .init = init, .thread = try_or_lock},
    {0},
};

const struct ExploreDriver explore_driver = {
    .name = "mutex",
    .tests = tests,
};
