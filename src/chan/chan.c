// SPDX-License-Identifier: BSD-3-Clause
// Channels: make, send, receive, close.
//
// A channel is a ring of elements and two queues of waiting goroutines under one lock. A value goes
// straight from a sender to a receiver that waits: the one who runs copies to or from the other's
// stack, and readies it after unlocking. select.c builds on the steps of this file.
//
// Invariants, while the lock is held (chan_verify):
//   I1  recvq and sendq are not both in use, unless a single G waits on both through select.
//   I2  Elements in the ring: nobody waits to receive. Room in the ring: nobody waits to send.
//       (Waiters whose wait something else has ended are popped with the others, and find
//       themselves unlinked.)
//   I3  CHAN_CLOSED is set once and stays. Then nobody waits.
//   I4  CHAN_RECEIVERS and CHAN_SENDERS are set exactly while their queues are not empty.
//   I5  send_at == (recv_at + count) mod cap.
// Locks:  Hchan.lock, rank chan. Several at once only in select.c, by rising address.
// Order:  O1  A value and all its sender did before travel under the lock, or with sched_ready.
//         O2  send_hopeless and recv_look read without the lock. A channel once closed stays
//             closed, and cannot be filled any more. So: open and full, seen in whichever order,
//             means that it was both when it was filled; empty, and later seen open, that it was
//             both when it was seen empty; closed (acquire, pairs with chan_close), and later seen
//             empty, that it is drained for ever. Of the two words each store says the truth by
//             itself, and every store is a release: who sees the last element taken after the
//             close sees the close.
//         O3  Mutex looks at its sleepers after it has been given up. By then somebody else may
//             have received the value and freed the channel; pool.c keeps the lock's memory a lock.
// Not done: a lock for each end. It makes close and select a proof, and costs two lines instead of
// one.
#include "chan/chan_impl.h"
#include "gc/gc.h"

// --- making and freeing -----------------------------------------------------------------------

static const size_t ring_max = (size_t)1 << 47; // what an address can say

Hchan *
chan_new(size_t elem_bytes, size_t cap)
{
	size_t bytes;
	if (__builtin_mul_overflow(elem_bytes, cap, &bytes) || bytes > ring_max ||
	    elem_bytes > ring_max)
		panic("makechan: size out of range");
	Hchan *c = chan_pool_get(bytes);
	if (c == NULL)
		return NULL;
	c->cap = cap;
	c->elem_bytes = elem_bytes;
	c->send_at = c->recv_at = 0;
	c->recvq = c->sendq = (WaitQ){0};
	init_plain(&c->count, 0);
	init_plain(&c->state, 0);
	return c;
}

Hchan *
chan_new_managed(size_t elem_bytes, size_t cap, bool pointers)
{
	size_t bytes = elem_bytes * cap;
	Hchan *c = gc_alloc(sizeof(*c) + bytes, pointers ? KIND_SCAN : KIND_NOSCAN);
	if (c == NULL)
		return NULL;
	c->ring = (char *)(c + 1);
	c->cap = cap;
	c->elem_bytes = elem_bytes;
	mutex_init(&c->lock, RANK_chan);
	return c;
}

void
chan_free(Hchan *c)
{
	if (c == NULL)
		return;
	mutex_lock(&c->lock);
	uint32_t state = load_rlx(&c->state); // order: lock
	if ((state & (CHAN_RECEIVERS | CHAN_SENDERS)) != 0)
		fatal("chan: free of a channel in use");
	if ((state & CHAN_FREED) != 0)
		fatal("chan: free of a freed channel");
	store_rlx(&c->state, state | CHAN_FREED); // order: lock
	mutex_unlock(&c->lock);
	chan_pool_put(c, c->cap * c->elem_bytes);
}

size_t
chan_len(const Hchan *c)
{
	return c == NULL ? 0 : load_rlx(&c->count); // order: count
}

size_t
chan_cap(const Hchan *c)
{
	return c == NULL ? 0 : c->cap;
}

size_t
chan_elem_bytes(const Hchan *c)
{
	return c->elem_bytes;
}

// --- queues -----------------------------------------------------------------------------------

static inline WaitQ *
queue_of(Hchan *c, uint32_t side)
{
	return side == CHAN_RECEIVERS ? &c->recvq : &c->sendq;
}

static inline bool
has(Hchan *c, uint32_t bits)
{
	return (load_rlx(&c->state) & bits) != 0; // order: lock
}

// The bit of a queue that may have become empty. I4. Of a closed channel, perhaps, whose word then
// says both at once and is read in place of what chan_close stored.
static inline void
note_queue(Hchan *c, uint32_t side)
{
	if (queue_of(c, side)->first == NULL)
		store_rel(&c->state, load_rlx(&c->state) & ~side); // order: publish -> recv_look
}

void
chan_enqueue(Hchan *c, Sudog *sg, uint32_t side)
{
	assert_held(&c->lock);
	waitq_push(queue_of(c, side), sg);
	store_rlx(&c->state, load_rlx(&c->state) | side); // order: lock; hint to others
}

void
chan_unlink(Hchan *c, Sudog *sg, uint32_t side)
{
	assert_held(&c->lock);
	waitq_unlink(queue_of(c, side), sg);
	note_queue(c, side);
}

// The first waiter of a side that can still be woken, marked as the one who is; NULL when there is
// none.
static inline Sudog *
pop(Hchan *c, uint32_t side, bool success)
{
	Sudog *sg = waitq_pop(queue_of(c, side));
	note_queue(c, side);
	if (sg != NULL) {
		sg->fired = true;
		sg->success = success;
	}
	return sg;
}

int
chan_wait_nothing(WaitReason why, int64_t deadline)
{
	Wait w;
	int err = sched_wait_begin(&w, deadline);
	if (err != 0)
		return err;
	return sched_claim_error(sched_wait_park(&w, why, NULL, NULL));
}

// --- sending ----------------------------------------------------------------------------------

static inline __attribute__((always_inline)) int
send_locked(Hchan *c, const void *elem, G **wake)
{
	assert_held(&c->lock);
	*wake = NULL;
	if (has(c, CHAN_CLOSED))
		return GO_ECLOSED;
	Sudog *sg = has(c, CHAN_RECEIVERS) ? pop(c, CHAN_RECEIVERS, true) : NULL;
	if (sg != NULL) {
		if (sg->elem != NULL)
			copy_elem(sg->elem, elem, c->elem_bytes);
		*wake = sg->g;
		return 0;
	}
	size_t n = load_rlx(&c->count); // order: lock
	if (n == c->cap)
		return GO_EAGAIN;
	ring_put(c, elem);
	set_count(c, n + 1);
	return 0;
}

int
chan_send_locked(Hchan *c, const void *elem, G **wake)
{
	return send_locked(c, elem, wake);
}

// A send that has been decided, after unlocking.
static inline int
send_done(int result, G *wake)
{
	if (wake != NULL)
		sched_ready(wake);
	if (unlikely(result == GO_ECLOSED))
		panic("send on closed channel");
	return result;
}

// Parks on one side of c until a peer comes; nothing else can end this wait.
// Locks: c held, given up.  Blocks: G.
static inline bool
wait_for_peer(Hchan *c, void *elem, uint32_t side)
{
	Sudog sg;
	sg.g = sched_g();
	sg.elem = elem;
	sg.owner = c;
	sg.claimed = sg.success = sg.fired = false;
	chan_enqueue(c, &sg, side);
	sched_park_unlock(side == CHAN_SENDERS ? WAIT_chan_send : WAIT_chan_recv, &c->lock);
	return sg.success;
}

// The same for a wait that was announced with sched_wait_begin. 0: somebody popped sg.
static int
wait_on(Hchan *c, Wait *w, Sudog *sg, uint32_t side)
{
	sg->g = w->gp;
	sg->owner = c;
	sg->claimed = w->claimable;
	chan_enqueue(c, sg, side);
	Claim by = sched_wait_park(w, side == CHAN_SENDERS ? WAIT_chan_send : WAIT_chan_recv,
				   sched_unlock_after, &c->lock);
	if (likely(by == CLAIM_PEER))
		return 0;
	mutex_lock(&c->lock);
	chan_unlink(c, sg, side);
	mutex_unlock(&c->lock);
	return sched_claim_error(by);
}

// Whether nothing but a peer ends a wait of the running G.
static inline bool
peer_only(int64_t deadline)
{
	return deadline == GO_NEVER && sched_g()->scope == NULL;
}

// A wait with a deadline, or in a scope. It is announced without the lock, so what send_slow has
// tried is tried once more.  Blocks: G.
static NOINLINE int
send_until(Hchan *c, const void *elem, int64_t deadline)
{
	Wait w;
	int err = deadline == GO_POLL ? GO_EAGAIN : sched_wait_begin(&w, deadline);
	if (err != 0)
		return err;
	G *wake;
	mutex_lock(&c->lock);
	err = chan_send_locked(c, elem, &wake);
	if (err != GO_EAGAIN) {
		mutex_unlock(&c->lock);
		sched_wait_end(&w); // takes the timers' lock, which comes before a channel's
		return send_done(err, wake);
	}
	Sudog sg = {.elem = (void *)(uintptr_t)elem};
	err = wait_on(c, &w, &sg, CHAN_SENDERS);
	if (unlikely(err == 0 && !sg.success))
		panic("send on closed channel");
	return err;
}

// All that is not a free place in an ordinary ring. Locks: c held, given up.  Blocks: G.
static NOINLINE int
send_slow(Hchan *c, const void *elem, int64_t deadline)
{
	G *wake;
	int err = send_locked(c, elem, &wake);
	if (err == GO_EAGAIN && likely(peer_only(deadline))) {
		if (unlikely(!wait_for_peer(c, (void *)(uintptr_t)elem, CHAN_SENDERS)))
			panic("send on closed channel");
		return 0;
	}
	mutex_unlock(&c->lock);
	return err == GO_EAGAIN ? send_until(c, elem, deadline) : send_done(err, wake);
}

// A look without the lock: open, and nowhere to put a value. O2
static inline bool
send_hopeless(Hchan *c)
{
	uint32_t s = load_rlx(&c->state); // order: O2
	if ((s & CHAN_CLOSED) != 0)
		return false;
	if (c->cap == 0)
		return (s & CHAN_RECEIVERS) == 0;
	return load_rlx(&c->count) == c->cap; // order: O2
}

int
chan_send(Hchan *c, const void *elem, int64_t deadline)
{
	if (unlikely(c == NULL))
		return chan_wait_nothing(WAIT_chan_send_nil, deadline);
	if (deadline == GO_POLL && send_hopeless(c))
		return GO_EAGAIN;
	mutex_lock(&c->lock);
	if (likely(load_rlx(&c->state) == 0)) { // order: lock
		size_t n = load_rlx(&c->count); // order: lock
		if (likely(n < c->cap)) {
			ring_put(c, elem);
			set_count(c, n + 1);
			mutex_unlock(&c->lock);
			return 0;
		}
	}
	return send_slow(c, elem, deadline);
}

// --- receiving --------------------------------------------------------------------------------

static inline __attribute__((always_inline)) int
recv_locked(Hchan *c, void *elem, G **wake)
{
	assert_held(&c->lock);
	*wake = NULL;
	size_t n = load_rlx(&c->count); // order: lock
	if (n > 0) {
		ring_take(c, elem);
		Sudog *sg = has(c, CHAN_SENDERS) ? pop(c, CHAN_SENDERS, true) : NULL;
		if (sg != NULL) { // it has waited for this place, and the count stays
			ring_put(c, sg->elem);
			*wake = sg->g;
		} else {
			set_count(c, n - 1);
		}
		return 0;
	}
	Sudog *sg = has(c, CHAN_SENDERS) ? pop(c, CHAN_SENDERS, true) : NULL;
	if (sg != NULL) {
		if (elem != NULL)
			copy_elem(elem, sg->elem, c->elem_bytes);
		*wake = sg->g;
		return 0;
	}
	if (!has(c, CHAN_CLOSED))
		return GO_EAGAIN;
	zero_elem(c, elem);
	return GO_ECLOSED;
}

int
chan_recv_locked(Hchan *c, void *elem, G **wake)
{
	return recv_locked(c, elem, wake);
}

// As send_until.  Blocks: G.
static NOINLINE int
recv_until(Hchan *c, void *elem, int64_t deadline)
{
	Wait w;
	int err = deadline == GO_POLL ? GO_EAGAIN : sched_wait_begin(&w, deadline);
	if (err != 0)
		return err;
	G *wake;
	mutex_lock(&c->lock);
	err = chan_recv_locked(c, elem, &wake);
	if (err != GO_EAGAIN) {
		mutex_unlock(&c->lock);
		sched_wait_end(&w); // takes the timers' lock, which comes before a channel's
		if (wake != NULL)
			sched_ready(wake);
		return err;
	}
	Sudog sg = {.elem = elem};
	err = wait_on(c, &w, &sg, CHAN_RECEIVERS);
	return err == 0 && !sg.success ? GO_ECLOSED : err;
}

// All that is not an element in an ordinary ring. Locks: c held, given up.  Blocks: G.
static NOINLINE int
recv_slow(Hchan *c, void *elem, int64_t deadline)
{
	G *wake;
	int err = recv_locked(c, elem, &wake);
	if (err == GO_EAGAIN && likely(peer_only(deadline)))
		return wait_for_peer(c, elem, CHAN_RECEIVERS) ? 0 : GO_ECLOSED;
	mutex_unlock(&c->lock);
	if (wake != NULL)
		sched_ready(wake);
	return err == GO_EAGAIN ? recv_until(c, elem, deadline) : err;
}

typedef enum Look { LOOK_MAYBE, LOOK_EMPTY, LOOK_DRAINED } Look;

// A look without the lock. O2
static inline Look
recv_look(Hchan *c)
{
	if (c->cap != 0 && load_acq(&c->count) != 0) // order: O2, before state
		return LOOK_MAYBE;
	uint32_t s = load_acq(&c->state); // order: observe <- chan_close, O2
	if (c->cap == 0 && (s & CHAN_SENDERS) != 0)
		return LOOK_MAYBE;
	if ((s & CHAN_CLOSED) == 0)
		return LOOK_EMPTY;
	return load_rlx(&c->count) == 0 ? LOOK_DRAINED : LOOK_MAYBE; // order: O2
}

// What needs no lock: nothing there and no wish to wait, or closed and drained.
static NOINLINE bool
recv_unlocked(Hchan *c, void *elem, int64_t deadline, int *err)
{
	Look look = recv_look(c);
	if (look == LOOK_DRAINED)
		zero_elem(c, elem);
	*err = look == LOOK_DRAINED ? GO_ECLOSED : GO_EAGAIN;
	return look == LOOK_DRAINED || (look == LOOK_EMPTY && deadline == GO_POLL);
}

int
chan_recv(Hchan *c, void *elem, int64_t deadline)
{
	int err;
	if (unlikely(c == NULL))
		return chan_wait_nothing(WAIT_chan_recv_nil, deadline);
	// order: observe <- chan_close, in recv_look
	if (deadline == GO_POLL || unlikely((load_rlx(&c->state) & CHAN_CLOSED) != 0))
		if (recv_unlocked(c, elem, deadline, &err))
			return err;
	mutex_lock(&c->lock);
	size_t n = load_rlx(&c->count); // order: lock
	if (likely(n > 0 && !has(c, CHAN_SENDERS))) {
		ring_take(c, elem);
		set_count(c, n - 1);
		mutex_unlock(&c->lock);
		return 0;
	}
	return recv_slow(c, elem, deadline);
}

// --- closing ----------------------------------------------------------------------------------

void
chan_close(Hchan *c)
{
	if (c == NULL)
		panic("close of nil channel");
	mutex_lock(&c->lock);
	uint32_t s = load_rlx(&c->state); // order: lock
	if ((s & CHAN_CLOSED) != 0) {
		mutex_unlock(&c->lock);
		panic("close of closed channel");
	}
	store_rel(&c->state, s | CHAN_CLOSED); // order: publish -> recv_look
	GList wake = {0};
	for (Sudog *sg; (sg = pop(c, CHAN_RECEIVERS, false)) != NULL;) {
		zero_elem(c, sg->elem);
		glist_push(&wake, sg->g);
	}
	for (Sudog *sg; (sg = pop(c, CHAN_SENDERS, false)) != NULL;)
		glist_push(&wake, sg->g);
	mutex_unlock(&c->lock);
	if (wake.n != 0)
		sched_ready_list(&wake);
}

// --- checking ---------------------------------------------------------------------------------

// The links of a queue agree, and everyone in it waits here.
static void
verify_queue(Hchan *c, uint32_t side)
{
	WaitQ *q = queue_of(c, side);
	Sudog *before = NULL;
	for (Sudog *sg = q->first; sg != NULL; before = sg, sg = sg->next) {
		check(sg->prev == before, "chan_verify: broken queue");
		check(sg->owner == c && !sg->fired, "chan_verify: a stranger in the queue");
	}
	check(q->last == before, "chan_verify: broken queue");
	check(has(c, side) == (q->first != NULL), "chan_verify: queue bit"); // I4
}

void
chan_verify(Hchan *c)
{
	mutex_lock(&c->lock);
	verify_queue(c, CHAN_RECEIVERS);
	verify_queue(c, CHAN_SENDERS);
	size_t n = load_rlx(&c->count); // order: lock
	const Sudog *receiver = c->recvq.first, *sender = c->sendq.first;
	check(receiver == NULL || sender == NULL || receiver->g == sender->g,
	      "chan_verify: both queues in use"); // I1
	check(n <= c->cap, "chan_verify: count");
	check(n == 0 || receiver == NULL, "chan_verify: receivers beside elements"); // I2
	check(n == c->cap || sender == NULL, "chan_verify: senders beside room");    // I2
	check(!has(c, CHAN_CLOSED) || (receiver == NULL && sender == NULL),
	      "chan_verify: closed, and somebody waits"); // I3
	if (c->cap != 0) {
		size_t room = c->cap - c->recv_at;
		check(c->recv_at < c->cap && c->send_at < c->cap, "chan_verify: indices");
		check(c->send_at == (n < room ? c->recv_at + n : n - room),
		      "chan_verify: indices"); // I5
	}
	mutex_unlock(&c->lock);
}
