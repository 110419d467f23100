// SPDX-License-Identifier: BSD-3-Clause
// What the files of src/chan share among themselves: the channel, its steps under the lock, and the
// table of waiters by address.
#ifndef UNDERGO_CHAN_CHAN_IMPL_H
#define UNDERGO_CHAN_CHAN_IMPL_H

#include <string.h>

#include "chan/chan.h"

// --- channels ---------------------------------------------------------------------------------

// Hchan.state. One load tells a sender or receiver that nothing is unusual.
enum {
	CHAN_CLOSED = 1,
	CHAN_RECEIVERS = 2, // recvq is not empty
	CHAN_SENDERS = 4,   // sendq is not empty
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

// pool.c: memory for a channel and its ring; the lock is initialised, the rest is not. NULL
// without.
Hchan *chan_pool_get(size_t ring_bytes);
void chan_pool_put(Hchan *c, size_t ring_bytes);

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
	if (likely(elem != NULL))
		copy_elem(elem, c->ring + at * c->elem_bytes, c->elem_bytes);
	c->recv_at = at + 1 == c->cap ? 0 : at + 1;
}

static inline void
set_count(Hchan *c, size_t n)
{
	store_rel(&c->count, n); // order: publish -> recv_look: empty, after the close if it was
}

static inline void
zero_elem(Hchan *c, void *elem)
{
	if (elem != NULL && c->elem_bytes != 0)
		memset(elem, 0, c->elem_bytes);
}

// The steps of chan.c that select uses too. All want the lock held; they never wait, and leave in
// *wake the G that the caller readies after unlocking, or NULL.
int chan_send_locked(Hchan *c, const void *elem, G **wake); // 0, GO_EAGAIN, GO_ECLOSED
int chan_recv_locked(Hchan *c, void *elem, G **wake);       // the same
void chan_enqueue(Hchan *c, Sudog *sg, uint32_t side);      // CHAN_RECEIVERS or CHAN_SENDERS
void chan_unlink(Hchan *c, Sudog *sg, uint32_t side);

// Waits for nothing that could come, until the deadline or cancellation.  Blocks: G.
int chan_wait_nothing(WaitReason why, int64_t deadline);

// --- waiters by address -----------------------------------------------------------------------

// What a waiter waits for. A wake-up that comes late must not reach a waiter of another kind, whose
// object lies where an earlier one was.
typedef enum WaiterKind {
	WAITER_SEMA,
	WAITER_MUTEX,
	WAITER_COND,
	WAITER_WG,
	WAITER_SEM,
} WaiterKind;

// A place in the queue of an address; lives on the waiter's stack. Guarded by the root's lock.
typedef struct Waiter Waiter;
struct Waiter {
	Sudog sg;
	const void *addr;
	WaiterKind kind;
	bool queued;   // it is in the queue
	bool parked;   // cond: it must be readied; mutex: not used
	bool handed;   // mutex: woken as its holder
	int64_t since; // mutex: when it began to wait
	// Of the one waiter of an address that stands in the root's tree for all of them:
	WaitQ queue;
	Waiter *child[2];
};

typedef struct SemaRoot {
	Mutex lock CACHE_ALIGNED;
	Waiter *tree; // lock
} SemaRoot;

SemaRoot *sema_root(const void *addr);
// Everything below wants root->lock held.
void sema_push(SemaRoot *root, Waiter *w, bool front);
// The first waiter of that kind whose wait the caller may end, taken out; NULL when there is none.
Waiter *sema_pop(SemaRoot *root, const void *addr, WaiterKind kind);
// Takes w out; false when it was not queued any more.
bool sema_unlink(SemaRoot *root, Waiter *w);
// Somebody of that kind is queued.
bool sema_waits(SemaRoot *root, const void *addr, WaiterKind kind);

#endif
