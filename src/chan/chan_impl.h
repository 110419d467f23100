// SPDX-License-Identifier: BSD-3-Clause
// What the files of src/chan share among themselves: the steps of a channel under its lock, and the
// table of waiters by address. The channel itself: chan_front.h.
#ifndef UNDERGO_CHAN_CHAN_IMPL_H
#define UNDERGO_CHAN_CHAN_IMPL_H

#include <string.h>

#include "chan/chan.h"
#include "chan/chan_front.h"

// --- channels ---------------------------------------------------------------------------------

// pool.c: memory for a channel and its ring; the lock is initialised, the rest is not. NULL
// without.
Hchan *chan_pool_get(size_t ring_bytes);
void chan_pool_put(Hchan *c, size_t ring_bytes);

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
	int64_t since; // mutex: when it began to wait; sema: the same, if it said so
	int64_t slept; // mutex: when it parked last
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
