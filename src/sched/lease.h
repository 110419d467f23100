// SPDX-License-Identifier: BSD-3-Clause
// The lease: how an M that runs user code holds its P, and how it loses it.
//
// While an M is inside the runtime (inrt = 1) it owns its P outright. In user code it holds the P
// on a lease that others may end, because user code may block or loop for ever and nothing in it
// tells us. Entering the runtime costs a store, a compiler barrier and a load.
//
//   HELD      -> ASKED      lease_ask, by CAS
//   HELD, ASKED -> REVOKING lease_grab, by CAS
//   REVOKING  -> FROZEN     the same lease_grab: the M was outside, by CAS
//             -> HELD, ASKED  lease_grab, what it was: the M was inside; by CAS
//             -> HELD       the M enters and takes it back, by CAS
//   ASKED     -> HELD       the M enters, by CAS, and shall go to its scheduler
//   HELD, ASKED -> LOOSE      lease_loosen: the M announces a blocking call
//   LOOSE     -> FROZEN     lease_grab, by CAS
//             -> HELD       the M enters, by CAS
//   FROZEN    -> HELD       lease_thaw
//             -> REVOKED    lease_revoke
//   REVOKED   -> HELD       lease_renew: the M has found another P
//
// Invariants:
//   L1  Only the M itself, while inrt = 1 and the lease is HELD or ASKED, or the party that moved
//       its lease to FROZEN, touches M.p and the fields of its P that belong to the owner.
//   L2  An M changes its P only inside the runtime. So who froze it reads, and may clear, M.p.
//   L3  Nobody waits for a lease state that its peer need not leave: FROZEN is left without waiting
//       for the M; REVOKING can be taken back by the entering M itself.
// Order:  O1  dekker: the M stores inrt, light fence, loads lease; the revoker stores REVOKING,
//             heavy fence, loads inrt. One of them sees the other.
//         O2  publish inrt = 0 -> revoker's acquire load: all the M did to its P is visible.
//         O3  publish HELD by thaw, REVOKED by revoke -> acquire load at enter: all the freezer did
//             is visible.
#ifndef UNDERGO_SCHED_LEASE_H
#define UNDERGO_SCHED_LEASE_H

#include "base/base.h"

typedef enum LeaseState {
	LEASE_HELD,
	LEASE_REVOKING, // somebody wants it and has not yet looked whether the M is inside. The
			// bits from LEASE_WHO_SHIFT up name him: had the M taken the lease back
			// and a second party started anew, the first could not tell that REVOKING
			// from his own
	LEASE_FROZEN,   // somebody uses the P for a moment; the M must wait to enter
	LEASE_LOOSE,    // announced blocking: may be frozen without looking
	LEASE_REVOKED,  // the M has no P
	LEASE_ASKED,    // HELD, and the M shall go to its scheduler when it enters next
} LeaseState;

enum { LEASE_WHO_SHIFT = 3, LEASE_STATE_MASK = 7 };

typedef struct Lease {
	ATOMIC_U32 inrt;  // own: 1 while this M is in the runtime
	ATOMIC_U32 state; // LeaseState, and who revokes; atomic
} Lease;

// The M enters the runtime. True: it has its P. False: see lease_enter_slow.
static inline bool
lease_enter(Lease *l)
{
	store_rlx(&l->inrt, 1); // order: dekker with lease_grab
	fence_light();
	return likely(load_acq(&l->state) == LEASE_HELD); // order: observe <- lease_thaw
}

static inline void
lease_leave(Lease *l)
{
	store_rel(&l->inrt, 0); // order: publish -> lease_grab
}

typedef enum LeaseEntry {
	LEASE_LOST,   // REVOKED: the M has no P
	LEASE_KEPT,   // the M has its P after all
	LEASE_WANTED, // the same, and somebody asked for it
} LeaseEntry;

// Resolves an entry that found the lease not HELD. Waits a few instructions for a freezer.
LeaseEntry lease_enter_slow(Lease *l);

// Asks the M to go to its scheduler when it enters the runtime next. For those who want the P of
// an M that is inside at each look: one whose goroutine does nothing but call the runtime is
// outside for a few instructions only, and might never be met there. No M need obey: a lease that
// is not HELD stays as it is.
void lease_ask(Lease *l);

// Another party wants the P of an M in user code. `who` is a number no other thread uses here.
// True: the lease is FROZEN and the P is the caller's, until lease_thaw or lease_revoke a few
// instructions later. False: the M is inside, has no P, or somebody else was faster.
bool lease_grab(Lease *l, uint32_t who);

// The M keeps its P after all.
void lease_thaw(Lease *l);

// The M has lost its P; the caller has taken M.p out.
void lease_revoke(Lease *l);

// Announced blocking: lets anyone take the P without a heavy fence. The M is inside, and then
// outside.
void lease_loosen(Lease *l);

// The M, inside the runtime and REVOKED, has got a P again.
void lease_renew(Lease *l);

#endif
