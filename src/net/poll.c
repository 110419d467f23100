// SPDX-License-Identifier: BSD-3-Clause
// The poller: descriptors told to the system once, waits for them, and deadlines.
//
// Invariants:
//   I1  The poller is started by the first descriptor. Then it stays.
//   I2  What is told of a descriptor whose generation has passed is dropped. When the generation
//       passes in between, the next one's goroutine looks in vain, once.
//   I3  Once POLL_CLOSING is set no deadline is set any more, so poll_close has none to wait for
//       but those that are running.
// Locks:  PollDesc.lock, rank polldesc, around setting and stopping timers. Timers fire without it.
// Order:  O1  dekker: word.h, O1, with PollDesc.info.
//         O2  A side's POLL_OVER bits are stored by its timer's function, and by poll_deadline
//             under the timer's lock (a hook), or with the timer stopped: so an old setting
//             never overtakes a new one.
#include <errno.h>

#include "net/net_impl.h"
#include "net/ring.h"
#include "sched/sched_up.h"
#include "undergo/base.h"

// PollDesc.info. A side's bits are those of reading, shifted by the side.
enum {
	POLL_CLOSING = 1,
	POLL_OVER = 2,   // the deadline of reading has passed; 4: of writing
	POLL_ASKING = 8, // the deadline of reading is GO_POLL; 16: of writing
	POLL_ENDED = 32, // OS_ENDED was told
};

#define BELL_TAG UINT64_MAX
#define RING_TAG (UINT64_MAX - 1)

static struct {
	Mutex lock; // rank polldesc: starting
	ATOMIC_BOOL started;
	int poller; // set before started
	int bell;   // set before started
} net = {.lock = MUTEX_INIT(polldesc)};

// --- starting -----------------------------------------------------------------------------------

static int
start_locked(void)
{
	if (load_rlx(&net.started)) // order: own, under the lock
		return 0;
	int poller = os_poller_make();
	if (poller < 0)
		return poller;
	int bell = os_poller_bell(poller, BELL_TAG);
	if (bell < 0) {
		os_close(poller);
		return bell;
	}
	net.poller = poller;
	net.bell = bell;
	store_rel(&net.started, true); // order: publish -> start
	return 0;
}

static int
start(void)
{
	if (likely(load_acq(&net.started))) // order: observe <- start_locked
		return 0;
	mutex_lock(&net.lock);
	int err = start_locked();
	mutex_unlock(&net.lock);
	return err;
}

// --- what sched asks -----------------------------------------------------------------------------

// Only asked for when somebody waits for a descriptor, so the poller is there.
int
up_poll_wait(OsReady *ready, int max, int64_t deadline, bool *rung)
{
	int n = os_poller_wait(net.poller, ready, max, deadline);
	check(n >= 0, "net: the poller is broken");
	int kept = 0;
	*rung = false;
	for (int i = 0; i < n; i++) {
		if (ready[i].tag == BELL_TAG)
			*rung = true;
		else
			ready[kept++] = ready[i];
	}
	if (*rung && deadline != GO_POLL)
		os_bell_hush(net.bell);
	return kept;
}

void
up_poll_ring(void)
{
	os_bell_ring(net.bell);
}

static void
post(PollDesc *pd, PollSide side, Post what, GList *l)
{
	G *gp = word_post(&pd->word[side], what);
	if (gp != NULL)
		glist_push(l, gp);
}

void
up_poll_take(const OsReady *ready, int n, GList *l)
{
	for (int i = 0; i < n; i++) // a thousand connections are more than a cache has room for
		__builtin_prefetch(slot_at((uint32_t)ready[i].tag));
	for (int i = 0; i < n; i++) {
		if (ready[i].tag == RING_TAG) {
			ring_take(l);
			continue;
		}
		Netfd *nf = slot_at((uint32_t)ready[i].tag);
		PollDesc *pd = &nf->pd;
		if (load_acq(&pd->gen) != ready[i].tag >> 32) // order: observe <- slot_put
			continue;                             // I2
		bool ended = (ready[i].what & OS_ENDED) != 0; // and readable
		if (ended)
			or_ar(&pd->info, POLL_ENDED); // order: publish -> poll_quiet, word.h, O2
		if ((ready[i].what & OS_READABLE) != 0)
			post(pd, POLL_READ, ended ? POST_END : POST_EVENT, l);
		if ((ready[i].what & OS_WRITABLE) != 0)
			post(pd, POLL_WRITE, POST_EVENT, l);
	}
}

// --- ends of waits ------------------------------------------------------------------------------

static void
end_waits(PollDesc *pd, PollSide side, uint32_t bits)
{
	or_ar(&pd->info, bits); // order: dekker with word_wait, O1
	fence_seq();
	G *gp = word_post(&pd->word[side], POST_INTERRUPTION);
	if (gp != NULL)
		sched_ready(gp);
}

static int64_t
read_fires(Timer *t, Firing *f)
{
	(void)f;
	end_waits(container_of(t, PollDesc, timer[POLL_READ]), POLL_READ, POLL_OVER << POLL_READ);
	return TIMER_DONE;
}

static int64_t
write_fires(Timer *t, Firing *f)
{
	(void)f;
	end_waits(container_of(t, PollDesc, timer[POLL_WRITE]), POLL_WRITE,
		  POLL_OVER << POLL_WRITE);
	return TIMER_DONE;
}

static uint32_t
side_bits(PollSide side)
{
	return (uint32_t)(POLL_OVER | POLL_ASKING) << side;
}

// Under the timer's lock, or while it is not set.
static void
read_goes_on(Timer *t, int64_t unused)
{
	(void)unused;
	PollDesc *pd = container_of(t, PollDesc, timer[POLL_READ]);
	and_ar(&pd->info, ~side_bits(POLL_READ)); // order: own, O2
}

static void
write_goes_on(Timer *t, int64_t unused)
{
	(void)unused;
	PollDesc *pd = container_of(t, PollDesc, timer[POLL_WRITE]);
	and_ar(&pd->info, ~side_bits(POLL_WRITE)); // order: own, O2
}

static void
deadline_locked(PollDesc *pd, PollSide side, int64_t when)
{
	Timer *t = &pd->timer[side];
	TimerHook *goes_on = side == POLL_READ ? read_goes_on : write_goes_on;
	if ((load_rlx(&pd->info) & POLL_CLOSING) != 0) // order: under the lock, I3
		return;
	if (when == GO_NEVER) {
		timer_stop_with(t, goes_on);
	} else if (when != GO_POLL && when > os_nanotime()) {
		timer_set(t, when, goes_on, 0);
	} else {
		timer_stop_with(t, goes_on);
		end_waits(pd, side,
			  (uint32_t)(when == GO_POLL ? POLL_OVER | POLL_ASKING : POLL_OVER)
			      << side);
	}
}

void
poll_deadline(PollDesc *pd, PollSide side, int64_t when)
{
	mutex_lock(&pd->lock);
	deadline_locked(pd, side, when);
	mutex_unlock(&pd->lock);
}

// --- opening and closing ------------------------------------------------------------------------

int
poll_open(PollDesc *pd, int fd)
{
	int err = start();
	if (err != 0)
		return err;
	pd->fd = fd;
	// What is late for the one before may still be posted meanwhile; it does no harm.
	xchg_rlx(&pd->word[POLL_READ], POLL_NIL);  // order: own
	xchg_rlx(&pd->word[POLL_WRITE], POLL_NIL); // order: own
	store_rlx(&pd->info, 0);                   // order: own
	timer_init(&pd->timer[POLL_READ], read_fires);
	timer_init(&pd->timer[POLL_WRITE], write_fires);
	uint64_t tag = (uint64_t)load_rlx(&pd->gen) << 32 | pd->index; // order: own
	err = os_poller_add(net.poller, fd, tag);
	pd->known = err == 0;
	return err;
}

// Who has a file has opened it, so the poller is there.
int
poll_add_ring(int fd)
{
	return os_poller_add(net.poller, fd, RING_TAG);
}

bool
poll_has(int fd)
{
	return load_acq(&net.started) && // order: observe <- start_locked
	       (fd == net.poller || fd == net.bell);
}

void
poll_evict(PollDesc *pd)
{
	mutex_lock(&pd->lock);
	end_waits(pd, POLL_READ, POLL_CLOSING);
	end_waits(pd, POLL_WRITE, POLL_CLOSING);
	mutex_unlock(&pd->lock);
}

void
poll_close(PollDesc *pd)
{
	timer_stop(&pd->timer[POLL_READ]); // I3
	timer_stop(&pd->timer[POLL_WRITE]);
	if (pd->known)
		(void)os_poller_remove(net.poller, pd->fd); // copies of it may live on
	pd->known = false;
}

// --- waiting ------------------------------------------------------------------------------------

static int
error_of(uint32_t info, PollSide side)
{
	if ((info & POLL_CLOSING) != 0)
		return GO_ECLOSED;
	if ((info & (uint32_t)POLL_OVER << side) == 0)
		return 0;
	return (info & (uint32_t)POLL_ASKING << side) != 0 ? GO_EAGAIN : GO_ETIMEDOUT;
}

int
poll_prepare(PollDesc *pd, PollSide side)
{
	uint32_t info = load_acq(&pd->info); // order: observe <- end_waits
	if (unlikely(info != 0)) {
		int err = error_of(info, side);
		if (err != 0 && err != GO_EAGAIN)
			return err;
	}
	word_reset(&pd->word[side]);
	return 0;
}

bool
poll_quiet(PollDesc *pd, PollSide side)
{
	return load_acq(&pd->word[side]) == POLL_NIL && // order: observe <- word_post
	       load_acq(&pd->info) == 0;                // order: observe <- end_waits
}

int
poll_wait_until(PollDesc *pd, PollSide side, int64_t when)
{
	uint32_t over = POLL_CLOSING | (uint32_t)POLL_OVER << side;
	int err = word_wait(&pd->word[side], NULL, &pd->info, over, when);
	int now = error_of(load_acq(&pd->info), side); // order: observe <- end_waits
	return now != 0 ? now : err == GO_ETIMEDOUT ? 0 : err;
}

int
poll_wait(PollDesc *pd, PollSide side)
{
	return poll_wait_until(pd, side, GO_NEVER);
}

int
poll_wait_any(PollDesc *pd, bool reading, bool writing, int64_t when)
{
	PollWord *w = &pd->word[reading ? POLL_READ : POLL_WRITE];
	PollWord *w2 = reading && writing ? &pd->word[POLL_WRITE] : NULL;
	return word_wait(w, w2, &pd->info, POLL_CLOSING, when);
}
