// SPDX-License-Identifier: BSD-3-Clause
// Calls on files that the kernel makes while the goroutine is parked: one io_uring for the process,
// behind a lock.
//
// A call has its record on the stack of the goroutine that waits for it, and the record's address
// is its tag. The kernel reads and writes the program's memory meanwhile: that stays, as objects
// and stacks do not move, the record keeps it reachable, and nothing at or above a parked stack
// pointer is ever given back (gc/shrink.c). The ring's descriptor is one of the poller's. Who polls
// takes what is done, and so does who hands over a call: most of those that need not wait after all
// are done by then.
//
// Invariants:
//   I1  Op.waits is set in the step that parks its goroutine, under the lock: who finds a call done
//       makes its goroutine ready if it waits, and need not if not.
//   I2  under_way is at most OS_RING_DEPTH. Who finds it so waits in `full`, and is told when it
//       is not so any more. Who is told and makes no use of it tells the next.
//   I3  A call is made anew by its goroutine when the kernel says that it could not finish it: the
//       thread that had handed it over may have ended, which takes its calls along.
// Locks:  ring.lock, rank ring. A goroutine parks with it.
// Not done: a ring for each P. What is in memory never comes here (file.c), and the disk takes
//           longer than the lock; the kernel has a lock of its own for those who hand over.
#include "net/ring.h"

#include <errno.h>

#include "base/godebug.h"
#include "net/net.h"

typedef struct Op {
	G *gp;          // set before publication
	int64_t result; // ring.lock
	bool done;      // ring.lock
	bool waits;     // ring.lock, I1
} Op;

enum { RETRY_MIN_NS = 1000 * 1000, RETRY_MAX_NS = 1000 * 1000 * 1000 };

typedef enum RingState { RING_NONE, RING_THERE, RING_NEVER } RingState;

static struct {
	Mutex lock;         // rank ring
	ATOMIC_U32 state;   // RingState; lock writes
	uint32_t under_way; // lock
	ATOMIC_I64 retry_at; // lock writes: when the system may be asked again for a ring
	int64_t retry_ns;    // lock: how long it was left alone before that
	WaitQ full;         // lock
} ring = {.lock = MUTEX_INIT(ring)};

// --- there, or not ------------------------------------------------------------------------------

// What the system says now may be other than what it says later; that it has none, or that we may
// not, lasts.
static bool
lasts(int err)
{
	return err == -ENOSYS || err == -EPERM || err == -EACCES || err == -EINVAL;
}

static bool
too_soon(void)
{
	int64_t at = load_rlx(&ring.retry_at); // order: hint
	return unlikely(at != 0) && os_nanotime() < at;
}

// A refusal costs the system work, and us the lock: it is asked again at growing distances.
static void
refused_locked(void)
{
	int64_t ns = ring.retry_ns == 0 ? RETRY_MIN_NS : 2 * ring.retry_ns;
	ring.retry_ns = ns < RETRY_MAX_NS ? ns : RETRY_MAX_NS;
	store_rlx(&ring.retry_at, os_nanotime() + ring.retry_ns); // order: own, under the lock
}

static RingState
make_locked(void)
{
	RingState s = (RingState)load_rlx(&ring.state); // order: own, under the lock
	if (s != RING_NONE || too_soon())
		return s;
	int fd = os_ring_make();
	if (fd >= 0 && poll_add_ring(fd) == 0)
		return RING_THERE;
	if (fd >= 0)
		os_ring_end();
	else if (lasts(fd))
		return RING_NEVER;
	refused_locked();
	return RING_NONE;
}

bool
ring_usable(void)
{
	uint32_t s = load_acq(&ring.state); // order: observe <- the store below
	if (likely(s != RING_NONE) || godebug.iouring == 0 || too_soon())
		return s == RING_THERE;
	mutex_lock(&ring.lock);
	s = make_locked();
	store_rel(&ring.state, s); // order: publish -> the load above
	mutex_unlock(&ring.lock);
	return s == RING_THERE;
}

// --- calls that are done ------------------------------------------------------------------------

// Those of others that wait go to l.  Locks: ring.lock held.
static void
take_locked(GList *l)
{
	OsRingDone d;
	while (os_ring_take(&d)) {
		Op *op = (Op *)(uintptr_t)d.tag; // NOLINT
		op->result = d.result;
		op->done = true;
		ring.under_way--;
		if (op->waits)
			glist_push(l, op->gp);
		Sudog *sg = waitq_pop(&ring.full); // I2
		if (sg != NULL)
			glist_push(l, sg->g);
	}
}

void
ring_take(GList *l)
{
	mutex_lock(&ring.lock);
	take_locked(l);
	mutex_unlock(&ring.lock);
}

// --- calls --------------------------------------------------------------------------------------

// Locks: ring.lock held, given up meanwhile.  Blocks: G.
static void
wait_for_room(G *gp)
{
	while (ring.under_way == OS_RING_DEPTH) {
		Sudog sg = {.g = gp};
		waitq_push(&ring.full, &sg);
		sched_park_unlock(WAIT_io, &ring.lock);
		mutex_lock(&ring.lock);
	}
}

// Until op is done. Others that are done go on first: goroutines are made ready without the lock.
// Locks: gives ring.lock up.  Blocks: G.
static void
await(Op *op)
{
	for (;;) {
		GList l = {0};
		take_locked(&l);
		if (l.first == NULL && !op->done) {
			op->waits = true; // I1
			sched_park_unlock(WAIT_io, &ring.lock);
			return;
		}
		bool done = op->done;
		mutex_unlock(&ring.lock);
		sched_ready_list(&l);
		if (done)
			return;
		mutex_lock(&ring.lock);
	}
}

// The system takes no call now.  Locks: gives ring.lock up.
static int64_t
refused(void)
{
	Sudog *sg = waitq_pop(&ring.full); // I2
	G *next = sg != NULL ? sg->g : NULL;
	mutex_unlock(&ring.lock);
	if (next != NULL)
		sched_ready(next);
	return RING_REFUSED;
}

static int64_t
hand_over(const OsFileCall *c, Op *op)
{
	bool later = godebug.iouring > 1 || CHAOS("ring_later", 2);
	mutex_lock(&ring.lock);
	wait_for_room(op->gp);
	int err = os_ring_submit(c, later ? OS_RING_LATER : OS_RING_SOON, (uintptr_t)op);
	if (err != 0)
		return refused();
	ring.under_way++;
	await(op);
	return op->result;
}

// I3. Some file systems cannot wait in this way (-EAGAIN, -EOPNOTSUPP); and whether it was the
// program's memory that was bad is for the call itself to say.
static bool
to_be_made_anew(int64_t result)
{
	return result == -ECANCELED || result == -EINTR || result == -EFAULT ||
	       result == -EAGAIN || result == -EOPNOTSUPP || result == -EINVAL;
}

int64_t
ring_call(const OsFileCall *c)
{
	Op op = {.gp = sched_g()};
	sched_poll_waits();
	int64_t n = hand_over(c, &op);
	sched_poll_waited();
	return to_be_made_anew(n) ? RING_REFUSED : n;
}
