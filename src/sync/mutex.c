// SPDX-License-Identifier: BSD-3-Clause
// Mutex, the slow halves: waiting for one that is held, and waking who waits.
//
//   unlock                          lock_slow, to sleep
//     U1  held = 0  (release)         S1  sleepers += 1
//     U2  light fence                 S2  heavy fence
//     U3  read sleepers               S3  try held 0 -> 1; got it: S5
//     U4  not 0: wake one             S4  futex: sleep if held is 1; back to S2
//                                     S5  sleepers -= 1
//
// Invariants:
//   I1  sleepers counts exactly the threads between S1 and S5. A thread between them does not give
//       up: the only way out is S3 succeeding.
//   I2  held is 1 exactly while somebody has the lock.
// Order:  O1  publish -> claim: U1 to the CAS of the next holder, in mutex_lock or S3. The data
//             the lock guards rides on this pair alone.
//         O2  dekker: U1, U2, U3 with S1, S2, S3/S4, by the asymmetric fence.
//
// No wake-up is lost. Lemma: let a sleeper S have compared held in S4 (the kernel does it, under
// the lock of the futex queue) and read a 1 that some holder H wrote. Then every unlock U whose U1
// comes later than that 1 in the order of stores to held counts S in its U3, unless S has passed
// S5. Proof: of U's light fence and S's last heavy fence one comes first (base/fence.c). If U's
// did, S4 would have seen U1 or something later, not the older 1. So S's did, and U3 sees S1.
//
// Now suppose S sleeps in the kernel. Its 1 was written by H, and H unlocks some day. By the lemma
// H reaches U4. Its wake finds the queue with S in it: S4 compared held and queued S under the
// queue's lock, and had it done so after U1 it would have seen the 0. The wake takes one thread T
// out of the queue. If T is S we are done. If not, T is between S1 and S5 and goes on to S3 (I1).
// Either T gets the lock, and T's U1 comes later than S's 1: the lemma applies to T's unlock, with
// S one place nearer to the head of the queue. Or T does not, because a third thread B has the
// lock: the same holds of B's. So as long as S sleeps, either somebody holds the lock who will
// wake one of the queue, or somebody who was woken is on the way to S3. A wake-up that a signal
// swallows (EINTR) took nobody out of the queue.
//
// A new locker may overtake those who sleep (barging): each wakes into a free-for-all. That is
// what makes short critical sections fast, and ours are short. Nobody sleeps for ever while others
// pass, because each unlock by a passer wakes one sleeper.
//
// What the owner of the memory must know: U3 reads the mutex after U1 has let others in. So an
// object that contains a Mutex is not given back to the system while an unlock may still be
// between U1 and U3, even though another thread has locked and unlocked since. sync/README says
// who sees to it.
//
// Costs: lock and unlock one locked instruction together. A sleep costs the asymmetric fence, some
// microseconds, which is why a little spinning goes before it.
// Not done: a third value of held for "somebody sleeps" and an exchange at unlock. It needs no
// fence and no promise about memory, and costs a second locked instruction at each unlock.
#include "sync/sync.h"

#include "arch/arch.h"
#include "os/os.h"

enum {
	SPIN_ROUNDS = 6,     // looks at held, between pauses that double
	CPUS_UNKNOWN = 0,
};

static ATOMIC_U32 cpus; // hint: how many CPUs there are to hold the lock on, CPUS_UNKNOWN at first

void
mutex_init(Mutex *m, LockRank rank)
{
	init_plain(&m->held, 0);
	init_plain(&m->sleepers, 0);
#ifndef NDEBUG
	m->rank = (uint8_t)rank;
#else
	(void)rank;
#endif
}

// Whether the holder may be running at this moment. In the simulation never.
static bool
worth_spinning(void)
{
	uint32_t n = load_rlx(&cpus); // order: hint
	if (unlikely(n == CPUS_UNKNOWN)) {
		n = os_simulated ? 1 : (uint32_t)os_cpu_count();
		store_rlx(&cpus, n); // order: hint, every thread finds the same
	}
	return n > 1;
}

static bool
try_lock(Mutex *m)
{
	uint32_t zero = 0;
	return load_rlx(&m->held) == 0            // order: hint
	       && cas_acq(&m->held, &zero, 1); // O1  order: claim, pairs with mutex_unlock
}

// About as long as a critical section and a hand-over take. True when the lock is ours.
static bool
spin(Mutex *m)
{
	for (int round = 0; round < SPIN_ROUNDS; round++) {
		for (int i = 0; i < 1 << round; i++)
			arch_pause();
		if (try_lock(m))
			return true;
	}
	return false;
}

// Locks: none that the holder of m waits for.  Stack: any, no signal handler.  Blocks: M.
COLD void
mutex_lock_slow(Mutex *m)
{
	if (worth_spinning() && spin(m))
		return;
	os_sim_point();

	add_rlx(&m->sleepers, 1); // S1  order: dekker with mutex_unlock
	for (;;) {
		fence_heavy(); // S2
		if (try_lock(m))
			break; // S3
		os_futex_wait(&m->held, 1, INT64_MAX); // S4
	}
	sub_rlx(&m->sleepers, 1); // S5  order: count, an unlock that still sees us wakes in vain
}

// Locks: none.  Stack: any.
COLD void
mutex_unlock_slow(Mutex *m)
{
	os_futex_wake(&m->held, 1); // U4
}
