// SPDX-License-Identifier: BSD-3-Clause
// Descriptors of the program: references, the locks of their two sides, and closing.
//
// Any goroutine may do anything with a handle at any time. Who works on a descriptor has a
// reference, and it is closed by who gives the last one back: so its number is never another one's
// while somebody is in a system call with it. Netfd.state has it all in one word:
//
//   63      32 31        5  4       3       2       1       0
//   generation | references | waits | waits | locks | locks | closed
//                             write   read    write   read
//
// Invariants:
//   I1  The generation in the word is the handle's while the descriptor is open; 0 in between.
//   I2  FD_CLOSED is set once. No reference is taken after it.
//   I3  A side's lock is held by one party, which has a reference. FD_WAITS is set, under pd.lock,
//       while somebody is queued for it; each of them has a reference. Who unlocks then hands over.
//   I4  Who closes wakes all that wait, for locks, events and time. It returns when the descriptor
//       is closed, unless somebody may be in a call that blocks.
// Locks:  PollDesc.lock for what is slow.
// Order:  What one holder of a side's lock did is visible to the next (claim, release).
#include "net/fd.h"

#include <errno.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/fd_impl.h"
#include "net/socket.h"
#include "os/file.h"
#include "undergo/base.h"

// --- errors -------------------------------------------------------------------------------------

int
fd_error(int64_t err)
{
	switch (-err) {
	case 0:
		return 0;
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOSPC: // watches of the poller
		return GO_ENOMEM;
	case EINVAL:
	case EBADF:
		return GO_EINVAL;
	case ENOSYS:
	case EOPNOTSUPP:
		return GO_ENOSYS;
	default:
		return GO_ERRNO((int)-err);
	}
}

// --- opening ------------------------------------------------------------------------------------

static int
make_known(Netfd *nf, int fd, FdOrigin origin)
{
	int err = poll_open(&nf->pd, fd);
	nf->manner = FD_TRY;
	if (err == -EPERM) { // its calls do not wait, as far as the poller can tell
		if (nf->kind == OS_FD_FILE) {
			nf->manner = FD_FILE;
			store_rlx(&nf->file, os_file_manner(fd)); // order: own
		}
		return 0;
	}
	if (err != 0 || origin == FD_OURS)
		return err;
	if (nf->kind == OS_FD_SOCKET || nf->kind == OS_FD_PIPE)
		return os_fd_nonblocking(fd);
	nf->manner = FD_ASK; // others have it open, too, and may not expect it to be non-blocking
	return 0;
}

Handle
fd_open(int fd, OsFdKind kind, FdOrigin origin)
{
	Netfd *nf = slot_get();
	if (nf == NULL)
		return GO_ENOMEM;
	nf->kind = (uint8_t)kind;
	nf->unlinks = nf->drained = nf->filled = false;
	nf->vain = 0;
	nf->reads = READS_UNKNOWN;
	store_rlx(&nf->told, origin == FD_FOREIGN); // order: own
	int err = make_known(nf, fd, origin);
	if (err != 0) {
		poll_close(&nf->pd);
		slot_put(nf);
		return fd_error(err);
	}
	uint64_t gen = load_rlx(&nf->pd.gen);  // order: own
	store_rel(&nf->state, gen << FD_GEN_SHIFT); // order: publish -> who is told the handle
	return (Handle)(gen << FD_GEN_SHIFT | nf->pd.index);
}

// --- references ---------------------------------------------------------------------------------

static Netfd *
find(Handle h)
{
	// A number without a generation was never given out; a record that is free has none either.
	return likely(h >> FD_GEN_SHIFT > 0) ? slot_at((uint32_t)h) : NULL;
}

static bool
is_open(uint64_t state, Handle h)
{
	return state >> FD_GEN_SHIFT == (uint64_t)h >> FD_GEN_SHIFT && (state & FD_CLOSED) == 0;
}

static int
not_open(Handle h)
{
	return h < 0 ? GO_EINVAL : GO_ECLOSED;
}

// The name in the file system goes with its listener, as in Go.
static void
unlink_name(int fd)
{
	struct sockaddr_un at = {0};
	socklen_t bytes = sizeof(at);
	int saved = errno;
	if (os_fd_name(fd, (struct sockaddr *)&at, &bytes) == 0 && at.sun_path[0] != '\0')
		(void)unlink(at.sun_path);
	errno = saved;
}

// What was written to a file far away may have to get there first.
static void
close_number(Netfd *nf)
{
	bool waits = nf->manner == FD_FILE;
	if (waits)
		sched_block_begin();
	(void)os_close(nf->pd.fd);
	if (waits)
		sched_enter();
}

// The last reference is gone: nobody else has the descriptor. Inside the runtime.  Locks: none.
static void
destroy(Netfd *nf)
{
	if (nf->unlinks)
		unlink_name(nf->pd.fd);
	poll_close(&nf->pd);
	close_number(nf);
	mutex_lock(&nf->pd.lock);
	store_rlx(&nf->state, 0); // order: lock; I1
	G *closer = nf->closer;
	nf->closer = NULL;
	mutex_unlock(&nf->pd.lock);
	slot_put(nf);
	if (closer != NULL)
		sched_ready(closer);
}

static NOINLINE void
destroy_outside(Netfd *nf)
{
	sched_enter();
	destroy(nf);
	sched_leave();
}

static bool
was_last(uint64_t state)
{
	return (state & FD_CLOSED) != 0 && (uint32_t)state / FD_REF == 0;
}

int
fd_hold(Handle h, Netfd **out)
{
	Netfd *nf = find(h);
	if (nf == NULL)
		return not_open(h);
	uint64_t s = load_rlx(&nf->state); // order: hint, claimed below
	do
		if (!is_open(s, h))
			return GO_ECLOSED;
	while (!cas_acq(&nf->state, &s, s + FD_REF)); // order: observe <- fd_open
	*out = nf;
	return 0;
}

// Whether the reference given back was the last.
static bool
give_back(Netfd *nf)
{
	// order: release, and claim of the last
	return was_last(sub_ar(&nf->state, FD_REF) - FD_REF);
}

void
fd_let_go(Netfd *nf)
{
	if (unlikely(give_back(nf)))
		destroy_outside(nf);
}

// --- locks --------------------------------------------------------------------------------------

// The lock, or a place in its queue, with a reference. GO_EBUSY: the latter.  Locks: pd.lock held.
static int
lock_or_announce(Netfd *nf, Handle h, PollSide side)
{
	uint64_t s = load_rlx(&nf->state), to; // order: hint, claimed below
	do {
		if (!is_open(s, h))
			return GO_ECLOSED;
		to = (s & fd_locks(side)) != 0 ? s | fd_waits(side) : s | fd_locks(side);
	} while (!cas_acq(&nf->state, &s, to + FD_REF)); // order: claim
	return (s & fd_locks(side)) != 0 ? GO_EBUSY : 0;
}

// Somebody else took it out, or it goes.
static void
leave_queue(Netfd *nf, Sudog *sg, PollSide side)
{
	mutex_lock(&nf->pd.lock);
	waitq_unlink(&nf->locked[side], sg);
	if (nf->locked[side].first == NULL)
		and_ar(&nf->state, ~fd_waits(side)); // order: lock; I3
	mutex_unlock(&nf->pd.lock);
}

static int
lock_inside(Netfd *nf, Handle h, PollSide side)
{
	Wait w;
	int err = sched_wait_begin(&w, GO_NEVER);
	if (err != 0)
		return err;
	mutex_lock(&nf->pd.lock);
	err = lock_or_announce(nf, h, side);
	if (err != GO_EBUSY) {
		mutex_unlock(&nf->pd.lock);
		sched_wait_end(&w);
		return err;
	}
	Sudog sg = {.g = w.gp, .claimed = w.claimable};
	waitq_push(&nf->locked[side], &sg);
	Claim by = sched_wait_park(&w, WAIT_semacquire, sched_unlock_after, &nf->pd.lock);
	if (by == CLAIM_PEER && sg.success)
		return 0;
	if (by != CLAIM_PEER)
		leave_queue(nf, &sg, side);
	if (give_back(nf))
		destroy(nf);
	return by != CLAIM_PEER ? sched_claim_error(by) : GO_ECLOSED;
}

static NOINLINE int
lock_slow(Netfd *nf, Handle h, PollSide side)
{
	sched_enter();
	int err = lock_inside(nf, h, side);
	sched_leave();
	return err;
}

int
fd_lock(Handle h, PollSide side, Netfd **out)
{
	Netfd *nf = find(h);
	if (unlikely(nf == NULL))
		return not_open(h);
	*out = nf;
	uint64_t s = load_rlx(&nf->state); // order: hint, claimed below
	do {
		if (unlikely(!is_open(s, h)))
			return GO_ECLOSED;
		if (unlikely((s & fd_locks(side)) != 0))
			return lock_slow(nf, h, side);
	} while (!cas_acq(&nf->state, &s, (s | fd_locks(side)) + FD_REF)); // order: claim
	return 0;
}

// Somebody waits, or did.
static NOINLINE void
unlock_slow(Netfd *nf, PollSide side)
{
	sched_enter();
	mutex_lock(&nf->pd.lock);
	Sudog *sg = waitq_pop(&nf->locked[side]);
	G *gp = sg != NULL ? sg->g : NULL;
	if (sg != NULL)
		sg->success = true;
	uint64_t gone = nf->locked[side].first == NULL ? fd_waits(side) : 0;
	if (gp == NULL)
		gone |= fd_locks(side);
	uint64_t s = load_rlx(&nf->state); // order: hint, claimed below
	while (!cas_ar(&nf->state, &s, (s & ~gone) - FD_REF)) // order: release
		;
	mutex_unlock(&nf->pd.lock);
	if (gp != NULL)
		sched_ready(gp);
	if (was_last((s & ~gone) - FD_REF))
		destroy(nf);
	sched_leave();
}

void
fd_unlock(Netfd *nf, PollSide side)
{
	uint64_t s = load_rlx(&nf->state), to; // order: hint, claimed below
	do {
		if (unlikely((s & fd_waits(side)) != 0)) {
			unlock_slow(nf, side);
			return;
		}
		to = (s & ~fd_locks(side)) - FD_REF;
	} while (!cas_ar(&nf->state, &s, to)); // order: release
	if (unlikely(was_last(to)))
		destroy_outside(nf);
}

// --- waiting ------------------------------------------------------------------------------------

int
fd_wait(Netfd *nf, PollSide side, int64_t when)
{
	sched_enter();
	int err = poll_wait_until(&nf->pd, side, when);
	sched_leave();
	return err;
}

// --- closing ------------------------------------------------------------------------------------

// All that wait behind a lock.  Locks: none.
static void
end_queues(Netfd *nf)
{
	GList l = {0};
	mutex_lock(&nf->pd.lock);
	for (int side = 0; side < 2; side++)
		for (Sudog *sg; (sg = waitq_pop(&nf->locked[side])) != NULL;)
			glist_push(&l, sg->g); // sg->success is false
	mutex_unlock(&nf->pd.lock);
	sched_ready_list(&l);
}

// I4.  Blocks: G.
static void
wait_for_end(Netfd *nf, Handle h)
{
	mutex_lock(&nf->pd.lock);
	uint64_t s = load_rlx(&nf->state); // order: lock
	if (s >> FD_GEN_SHIFT != (uint64_t)h >> FD_GEN_SHIFT) {
		mutex_unlock(&nf->pd.lock);
		return;
	}
	nf->closer = sched_g();
	sched_park_unlock(WAIT_io, &nf->pd.lock);
}

int
fd_close(Handle h)
{
	Netfd *nf = find(h);
	if (nf == NULL)
		return not_open(h);
	uint64_t s = load_rlx(&nf->state); // order: hint, claimed below
	do
		if (!is_open(s, h))
			return GO_ECLOSED;
	while (!cas_ar(&nf->state, &s, (s | FD_CLOSED) + FD_REF)); // order: claim
	sched_enter();
	end_queues(nf);
	poll_evict(&nf->pd);
	bool ends_soon = nf->pd.known && nf->manner == FD_TRY;
	if (give_back(nf))
		destroy(nf);
	else if (ends_soon)
		wait_for_end(nf, h);
	sched_leave();
	return 0;
}

// --- the rest -----------------------------------------------------------------------------------

int
fd_number(Handle h)
{
	Netfd *nf;
	int err = fd_hold(h, &nf);
	if (err != 0)
		return err;
	int fd = nf->pd.fd;
	store_rlx(&nf->told, true); // order: hint; who changes something has it before he reads
	fd_let_go(nf);
	return fd;
}

int
fd_deadline(Handle h, FdSides sides, int64_t when)
{
	Netfd *nf;
	int err = fd_hold(h, &nf);
	if (err != 0)
		return err;
	if (!nf->pd.known) {
		fd_let_go(nf);
		return GO_ENOSYS;
	}
	sched_enter();
	if ((sides & FD_READS) != 0)
		poll_deadline(&nf->pd, POLL_READ, when);
	if ((sides & FD_WRITES) != 0)
		poll_deadline(&nf->pd, POLL_WRITE, when);
	sched_leave();
	fd_let_go(nf);
	return 0;
}

// Called by who has just made it.
void
fd_unlinks(Handle h)
{
	Netfd *nf;
	if (fd_hold(h, &nf) != 0)
		return;
	nf->unlinks = true;
	fd_let_go(nf);
}

int
fd_half_close(Handle h, FdSides side)
{
	Netfd *nf;
	int err = fd_hold(h, &nf);
	if (err != 0)
		return err;
	err = fd_error(os_fd_shutdown(nf->pd.fd, side == FD_READS ? SHUT_RD : SHUT_WR));
	fd_let_go(nf);
	return err;
}
