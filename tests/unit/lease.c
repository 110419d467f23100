// SPDX-License-Identifier: BSD-3-Clause
// The lease: its states one after the other, and that two never hold a P at once.
#include <pthread.h>
#include <stdatomic.h>

#include "arch/arch.h"
#include "harness.h"
#include "os/os.h"
#include "sched/lease.h"

static Lease lease;

static LeaseState
state(void)
{
	return (LeaseState)load_rlx(&lease.state);
}

// Who is inside loses nothing; who is outside is frozen, and thawed or revoked.
void
test_lease_states(void)
{
	os_init();
	expect(lease_enter(&lease)); // zero is HELD
	expect(!lease_grab(&lease, 1));
	expect_eq(state(), LEASE_HELD);
	lease_leave(&lease);

	expect(lease_grab(&lease, 1));
	expect_eq(state(), LEASE_FROZEN);
	expect(!lease_grab(&lease, 1)); // one at a time
	lease_thaw(&lease);
	expect(lease_enter(&lease));
	lease_leave(&lease);

	expect(lease_grab(&lease, 1));
	lease_revoke(&lease);
	expect(!lease_grab(&lease, 1)); // there is nothing to take
	expect(!lease_enter(&lease));
	expect(!lease_enter_slow(&lease));
	lease_renew(&lease);
	expect_eq(state(), LEASE_HELD);
	expect(!lease_grab(&lease, 1)); // it is inside
	lease_leave(&lease);

	// Who is asked is told so when it enters next, once; till then it can lose the P as ever.
	expect(lease_enter(&lease));
	lease_ask(&lease);
	expect(!lease_grab(&lease, 1)); // it is inside
	lease_leave(&lease);
	expect(!lease_enter(&lease));
	expect_eq(lease_enter_slow(&lease), LEASE_WANTED);
	lease_leave(&lease);
	expect(lease_enter(&lease));
	lease_leave(&lease);
	lease_ask(&lease);
	expect(lease_grab(&lease, 1));
	lease_ask(&lease); // too late
	expect_eq(state(), LEASE_FROZEN);
	lease_thaw(&lease);

	expect(lease_enter(&lease));
	lease_loosen(&lease); // inside, and then outside
	expect_eq(load_rlx(&lease.inrt), 0);
	expect(!lease_enter(&lease));
	expect(lease_enter_slow(&lease)); // nobody came: it has its P again
	expect_eq(state(), LEASE_HELD);
	lease_loosen(&lease);
	expect(lease_grab(&lease, 1));
	lease_revoke(&lease);
	expect(!lease_enter(&lease));
	expect(!lease_enter_slow(&lease));
	lease_renew(&lease);
	lease_leave(&lease);
}

// --- together ---------------------------------------------------------------------------------

enum { GRABBERS = 3 };

// What the lease guards. Plain, so that ThreadSanitizer checks the order too.
static long uses;
static bool in_use;
static bool has_p = true; // by the M inside, or by who froze it

static atomic_bool over;
static atomic_long grabbed;
static atomic_long revoked;

static void
use(void)
{
	expect(!in_use);
	in_use = true;
	uses++;
	for (int i = 0; i < 3; i++)
		arch_pause();
	expect(in_use);
	in_use = false;
}

static void *
grab_again_and_again(void *arg)
{
	uint32_t who = (uint32_t)(uintptr_t)arg;
	uint64_t rand = who;
	while (!atomic_load(&over)) {
		for (uint64_t n = test_rand(&rand) % 64; n > 0; n--)
			arch_pause();
		if (!lease_grab(&lease, who)) {
			if (test_rand(&rand) % 2 == 0)
				lease_ask(&lease);
			continue;
		}
		expect(has_p);
		use();
		atomic_fetch_add(&grabbed, 1);
		if (test_rand(&rand) % 4 == 0) {
			has_p = false;
			atomic_fetch_add(&revoked, 1);
			lease_revoke(&lease);
		} else {
			lease_thaw(&lease);
		}
	}
	return NULL;
}

// One M goes in and out, in all ways; others want its P. What they do to it never overlaps.
void
test_lease_excludes(void)
{
	pthread_t threads[GRABBERS];
	uint64_t rand = test_seed();
	long mine = 0;
	os_init();
	for (uintptr_t i = 0; i < GRABBERS; i++)
		expect(pthread_create(&threads[i], NULL, grab_again_and_again,
				      (void *)(rand + i)) == 0);
	for (long i = 0; i < test_scale(300000); i++) {
		if (!lease_enter(&lease) && !lease_enter_slow(&lease)) {
			expect(!has_p); // nobody else touches it now
			has_p = true;
			lease_renew(&lease);
		}
		expect(has_p);
		use();
		mine++;
		if (test_rand(&rand) % 8 == 0)
			lease_loosen(&lease);
		else
			lease_leave(&lease);
		for (uint64_t n = test_rand(&rand) % 16; n > 0; n--)
			arch_pause();
		if (i % 256 == 0)
			os_yield();
	}
	atomic_store(&over, true);
	for (int i = 0; i < GRABBERS; i++)
		pthread_join(threads[i], NULL);
	expect_eq(uses, mine + atomic_load(&grabbed));
	expect(atomic_load(&grabbed) > 0);
	expect(atomic_load(&revoked) > 0);
}
