// SPDX-License-Identifier: BSD-3-Clause
// The lease's slow half: entering while somebody wants the P, and wanting it. Protocol: lease.h.
#include "sched/lease.h"

#include "arch/arch.h"
#include "os/os.h"

LeaseEntry
lease_enter_slow(Lease *l)
{
	for (uint32_t spins = 0;; spins++) {
		uint32_t s = load_acq(&l->state); // order: observe <- lease_thaw, lease_revoke
		switch (s & LEASE_STATE_MASK) {
		case LEASE_HELD:
			return LEASE_KEPT;
		case LEASE_REVOKED:
			return LEASE_LOST;
		case LEASE_ASKED:
			// order: claim. The load above has observed: after it nobody freezes (O1).
			if (cas_rlx(&l->state, &s, LEASE_HELD))
				return LEASE_WANTED;
			break;
		case LEASE_REVOKING:
		case LEASE_LOOSE:
			if (cas_acq(&l->state, &s, LEASE_HELD)) // order: claim, against lease_grab
				return LEASE_KEPT;
			break;
		default: // FROZEN: its holder leaves within a few instructions (L3)
			arch_pause();
			if (spins % 64 == 63 || os_simulated)
				os_yield();
		}
	}
}

void
lease_ask(Lease *l)
{
	uint32_t s = LEASE_HELD;
	// order: hint. A read-modify-write: what the last thaw published can still be observed.
	(void)cas_rlx(&l->state, &s, LEASE_ASKED);
}

// From *was, HELD or ASKED, to REVOKING. order: claim, observe <- lease_thaw: another party may
// have used the P since the M was inside last. (The heavy fence that follows acquires too, but
// ThreadSanitizer sees no fences.)
static bool
begin_revoking(Lease *l, uint32_t *was, uint32_t mine)
{
	return (*was == LEASE_HELD || *was == LEASE_ASKED) && cas_acq(&l->state, was, mine);
}

bool
lease_grab(Lease *l, uint32_t who)
{
	uint32_t mine = LEASE_REVOKING | who << LEASE_WHO_SHIFT;
	uint32_t was = LEASE_LOOSE;
	if (cas_acq(&l->state, &was, LEASE_FROZEN)) // order: claim, observe <- lease_loosen
		return true;
	if (!begin_revoking(l, &was, mine))
		return false;
	fence_heavy(); // order: dekker with lease_enter: REVOKING stored, then inrt read
	bool outside = load_acq(&l->inrt) == 0; // order: observe <- lease_leave
	// order: claim, against the M taking it back. A failure means that it has.
	return cas_rlx(&l->state, &mine, outside ? LEASE_FROZEN : was) && outside;
}

void
lease_thaw(Lease *l)
{
	store_rel(&l->state, LEASE_HELD); // order: publish -> lease_enter
}

void
lease_revoke(Lease *l)
{
	store_rel(&l->state, LEASE_REVOKED); // order: publish -> lease_enter_slow
}

void
lease_loosen(Lease *l)
{
	store_rel(&l->state, LEASE_LOOSE); // order: publish -> lease_grab
	store_rel(&l->inrt, 0);            // order: publish -> lease_grab
}

void
lease_renew(Lease *l)
{
	// order: own. A REVOKED lease nobody grabs; an idle M's may be REVOKING, and that grabber's
	// last CAS fails then.
	store_rlx(&l->state, LEASE_HELD);
}
