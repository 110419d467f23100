// SPDX-License-Identifier: BSD-3-Clause
// The channel, and the front halves of send and receive: inlined into the C face, and one day into
// programs. They touch the channel's first line and its ring, and wake nobody, so they need not be
// inside the runtime. Invariants and order: chan.c.
#ifndef UNDERGO_CHAN_CHAN_FRONT_H
#define UNDERGO_CHAN_CHAN_FRONT_H

#include <string.h>

#include "chan/chan.h"

// Hchan.state. One load tells a sender or receiver that nothing is unusual.
enum {
	CHAN_CLOSED = 1,
	CHAN_RECEIVERS = 2, // recvq is not empty
	CHAN_SENDERS = 4,   // sendq is not empty
	CHAN_FREED = 8,     // it is the pool's; chan_new takes it away
};

// The first cache line is all that an operation touches that neither waits nor wakes.
struct go_chan {
	ATOMIC(size_t) count; // lock writes, all read; elements in the ring. known to: gccgo
	size_t cap;           // set before publication. known to: gccgo
	char *ring;           // set before publication; behind this struct, or apart when large
	size_t elem_bytes;    // set before publication
	size_t send_at;       // lock: the slot of the next element to come
	size_t recv_at;       // lock: the slot of the oldest
	ATOMIC_U32 state;     // lock writes, all read: CHAN_ bits
	Mutex lock;
	WaitQ recvq; // lock
	WaitQ sendq; // lock
};
#ifndef UNDERGO_EXPLORE
static_assert(offsetof(Hchan, count) == 0, "compiled Go code reads len here");
static_assert(offsetof(Hchan, cap) == sizeof(size_t), "compiled Go code reads cap here");
static_assert(offsetof(Hchan, recvq) <= CACHE_LINE, "the fast path touches one line");
#endif

static inline void
copy_elem(void *to, const void *from, size_t n)
{
	switch (n) {
	case 8:
		memcpy(to, from, 8);
		break;
	case 4:
		memcpy(to, from, 4);
		break;
	case 16:
		memcpy(to, from, 16);
		break;
	case 0: // pointers to nothing may be NULL
		break;
	default:
		memcpy(to, from, n);
	}
}

// What has left the ring shall not live on because of it: the collector looks at all of a ring.
static inline void
forget_elem(void *place, size_t n)
{
	if (likely(n == sizeof(void *)))
		memset(place, 0, sizeof(void *));
	else if (n > sizeof(void *)) // less holds no pointer
		memset(place, 0, n);
}

// Locks: c held. The caller sets the count, once: in between, others may see it.
static inline void
ring_put(Hchan *c, const void *elem)
{
	size_t at = c->send_at;
	copy_elem(c->ring + at * c->elem_bytes, elem, c->elem_bytes);
	c->send_at = at + 1 == c->cap ? 0 : at + 1;
}

// The same.
static inline void
ring_take(Hchan *c, void *elem)
{
	size_t at = c->recv_at;
	char *place = c->ring + at * c->elem_bytes;
	if (likely(elem != NULL))
		copy_elem(elem, place, c->elem_bytes);
	forget_elem(place, c->elem_bytes);
	c->recv_at = at + 1 == c->cap ? 0 : at + 1;
}

static inline void
set_count(Hchan *c, size_t n)
{
	store_rel(&c->count, n); // order: publish -> recv_look: empty, after the close if it was
}

// The commonest send, a place in the ring and nobody waiting: true when that is all there was to
// do. c is not NULL.
static inline bool
chan_send_front(Hchan *c, const void *elem)
{
	if (load_rlx(&c->state) != 0 || load_rlx(&c->count) >= c->cap) // order: hint
		return false;
	bool done = false;
	mutex_lock(&c->lock);
	size_t n = load_rlx(&c->count);                       // order: lock
	if (likely(load_rlx(&c->state) == 0 && n < c->cap)) { // order: lock
		ring_put(c, elem);
		set_count(c, n + 1);
		done = true;
	}
	mutex_unlock(&c->lock);
	return done;
}

// The commonest receive, an element in the ring and no sender waiting for its place.
static inline bool
chan_recv_front(Hchan *c, void *elem)
{
	if (load_rlx(&c->count) == 0 || (load_rlx(&c->state) & CHAN_SENDERS) != 0) // order: hint
		return false;
	bool done = false;
	mutex_lock(&c->lock);
	size_t n = load_rlx(&c->count);                                       // order: lock
	if (likely(n != 0 && (load_rlx(&c->state) & CHAN_SENDERS) == 0)) { // order: lock
		ring_take(c, elem);
		set_count(c, n - 1);
		done = true;
	}
	mutex_unlock(&c->lock);
	return done;
}

#endif
