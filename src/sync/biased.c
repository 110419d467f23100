// SPDX-License-Identifier: BSD-3-Clause
// Biased, the mutex with an owner: what strangers do, and the owner when there have been some.
//
//   owner                           stranger, who has `lock` and finds shared 0
//     O1  read shared: 0              S1  shared = CALM
//     O2  inside = 1                  S2  heavy fence
//     O3  light fence                 S3  read inside (acquire): until 0, sleep if it is 1
//     O4  read shared: 0, he has it   S4  he has it
//     O5  inside = 0  (release)
//     O6  light fence
//     O7  read shared: wake one
//
// Who reads shared as not 0, in O1 or O4, takes `lock` instead, as strangers do from then on.
//
// Invariants:
//   I1  shared is written under `lock`, and becomes 0 by the owner's hand alone.
//   I2  After S3, and until shared is 0 again, nobody is between O4 and O5.
// Order:  O1  dekker: inside = 1, light fence, shared read with shared = CALM, heavy fence, inside
//             read. Of the two fences one comes first (base/fence.c): the owner's, and then the
//             stranger sees inside 1, or the stranger's, and then the owner sees shared.
//         O2  the same of inside = 0 and a stranger asleep: he read a 1 after his heavy fence, so
//             the owner's O7 comes after it and sees shared. As he holds `lock` there is one.
//         O3  publish -> claim: the owner's data rides on O5 to S3, a stranger's on `lock`: before
//             the owner is in without it again he has held it, to make shared 0.
// Costs: owner, four loads and two stores. A stranger among many owners' turns pays the fence,
// some microseconds, but once in CALM of them.
// What the owner of the memory must know: O7 reads it after O5 has let others in, as sync/README
// says of Mutex.
#include "sync/biased.h"

#include "os/os.h"

enum {
#ifdef UNDERGO_STRESS
	CALM = 2,
#else
	CALM = 512, // turns of the owner after a stranger's until `lock` is left out again
#endif
};

void
biased_init(Biased *b, LockRank rank)
{
	init_plain(&b->inside, 0);
	init_plain(&b->shared, 0);
	mutex_init(&b->lock, rank);
}

COLD void
biased_leave_slow(Biased *b)
{
	os_futex_wake(&b->inside, 1);
}

COLD void
biased_lock_own_slow(Biased *b)
{
	mutex_lock(&b->lock);
	uint32_t left = load_rlx(&b->shared); // order: own, I1
	if (left != 0)
		store_rlx(&b->shared, left - 1); // order: own, I1
}

// Locks: lock held.
static void
claim(Biased *b)
{
	bool shared = load_rlx(&b->shared) != 0; // order: own, I1
	store_rlx(&b->shared, CALM);             // order: own, I1; and O1
	if (shared)
		return;
	fence_heavy();                    // order: dekker with biased_lock_own, O1
	while (load_acq(&b->inside) != 0) // order: observe <- biased_leave, O3
		os_futex_wait(&b->inside, 1, INT64_MAX);
}

void
biased_lock(Biased *b)
{
	mutex_lock(&b->lock);
	claim(b);
}

bool
biased_trylock(Biased *b)
{
	if (load_rlx(&b->inside) != 0 || !mutex_trylock(&b->lock)) // order: hint
		return false;
	claim(b); // which sleeps if the owner has come meanwhile, until he leaves
	return true;
}
