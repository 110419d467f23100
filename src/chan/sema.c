// SPDX-License-Identifier: BSD-3-Clause
// Waiters by address: what parks a G on a word that has no room for a queue. And the plain
// semaphore.
//
// The address chooses one of 256 roots. A root holds a tree of addresses, and each address the
// queue of its waiters. The tree's nodes are waiters themselves, on their own stacks: one of the
// queue, not necessarily the first, stands in the tree for its address; when it leaves, another
// takes its place.
//
// The tree is a digital search tree: at depth d the way on is bit d of the address's hash. The hash
// is a bijection, so no two addresses share their way for ever, and the depth is about the
// logarithm of the number of addresses without any balancing. A node is deleted by putting any leaf
// below it in its place, since every leaf below it shares its way.
//
// Invariants, under root->lock:
//   I1  An address is in the tree exactly while somebody is queued for it.
//   I2  All waiters of an address are of one kind: an address is one object while somebody waits on
//       it.
//   I3  The object of a queued waiter is alive. So who finds one queued may touch the object.
//
// A semaphore's permit goes to the first waiter directly, and to the word only when nobody waits.
// Both happen under root->lock, where a waiter looks at the word once more before it queues: so
// there is no moment with a permit in the word and a waiter asleep.
// Locks:  SemaRoot.lock, rank mutexq; never two at once.
#include "chan/chan_impl.h"

enum { ROOT_BITS = 8, ROOTS = 1 << ROOT_BITS };

static SemaRoot roots[ROOTS] = {
    [0 ... ROOTS - 1] = {.lock = MUTEX_INIT(mutexq)},
};

static inline uint64_t
hash(const void *addr)
{
	return base_mix((uintptr_t)addr);
}

SemaRoot *
sema_root(const void *addr)
{
	if (unlikely(os_simulated)) // or where memory lies would decide who shares a root
		return &roots[0];
	return &roots[hash(addr) >> (64 - ROOT_BITS)];
}

// Where addr's node hangs, or would.
static Waiter **
find(SemaRoot *root, const void *addr)
{
	Waiter **at = &root->tree;
	uint64_t way = hash(addr);
	for (; *at != NULL && (*at)->addr != addr; way >>= 1)
		at = &(*at)->child[way & 1];
	return at;
}

void
sema_push(SemaRoot *root, Waiter *w, bool front)
{
	assert_held(&root->lock);
	Waiter **at = find(root, w->addr);
	if (*at == NULL) {
		w->queue = (WaitQ){0};
		w->child[0] = w->child[1] = NULL;
		*at = w;
	}
	assert((*at)->kind == w->kind); // I2
	if (front)
		waitq_push_front(&(*at)->queue, &w->sg);
	else
		waitq_push(&(*at)->queue, &w->sg);
	w->queued = true;
}

// w takes the place of the node at *at.
static void
take_place(Waiter **at, Waiter *w)
{
	w->child[0] = (*at)->child[0];
	w->child[1] = (*at)->child[1];
	*at = w;
}

// Nobody waits for the node's address any more.
static void
delete_node(Waiter **at)
{
	Waiter **leaf = at;
	for (int side; (side = (*leaf)->child[0] != NULL ? 0 : 1, (*leaf)->child[side] != NULL);)
		leaf = &(*leaf)->child[side];
	Waiter *w = *leaf;
	*leaf = NULL;
	if (leaf != at)
		take_place(at, w);
}

// Takes w out of the queue of the node at *at.
static void
take_out(Waiter **at, Waiter *w)
{
	Waiter *node = *at;
	waitq_unlink(&node->queue, &w->sg);
	w->queued = false;
	if (node->queue.first == NULL) {
		delete_node(at);
	} else if (node == w) {
		Waiter *heir = container_of(node->queue.first, Waiter, sg);
		heir->queue = node->queue;
		take_place(at, heir);
	}
}

Waiter *
sema_pop(SemaRoot *root, const void *addr, WaiterKind kind)
{
	assert_held(&root->lock);
	for (Waiter **at; *(at = find(root, addr)) != NULL && (*at)->kind == kind;) {
		Waiter *w = container_of((*at)->queue.first, Waiter, sg);
		take_out(at, w);
		// Its deadline may have been faster; it will find itself taken out.
		if (!w->sg.claimed || sched_claim_peer(w->sg.g))
			return w;
	}
	return NULL;
}

bool
sema_unlink(SemaRoot *root, Waiter *w)
{
	assert_held(&root->lock);
	if (!w->queued)
		return false;
	take_out(find(root, w->addr), w);
	return true;
}

bool
sema_waits(SemaRoot *root, const void *addr, WaiterKind kind)
{
	assert_held(&root->lock);
	Waiter *node = *find(root, addr);
	return node != NULL && node->kind == kind;
}

// --- the plain semaphore ----------------------------------------------------------------------

static bool
take_permit(ATOMIC_U32 *word)
{
	uint32_t n = load_rlx(word); // order: hint, claimed below
	while (n > 0)
		if (cas_acq(word, &n, n - 1)) // order: claim, pairs with sema_release
			return true;
	return false;
}

void
sema_acquire(uint32_t *addr, WaitReason why, bool lifo)
{
	sema_acquire_since(addr, why, lifo, 0);
}

void
sema_acquire_since(uint32_t *addr, WaitReason why, bool lifo, int64_t since)
{
	if (take_permit(ATOMIC_WORD(addr)))
		return;
	SemaRoot *root = sema_root(addr);
	mutex_lock(&root->lock);
	if (take_permit(ATOMIC_WORD(addr))) {
		mutex_unlock(&root->lock);
		return;
	}
	Waiter w = {.sg.g = sched_g(), .addr = addr, .kind = WAITER_SEMA, .since = since};
	sema_push(root, &w, lifo);
	sched_park_unlock(why, &root->lock);
}

int64_t
sema_release(uint32_t *addr, bool handoff)
{
	SemaRoot *root = sema_root(addr);
	mutex_lock(&root->lock);
	Waiter *w = sema_pop(root, addr, WAITER_SEMA);
	G *gp = w != NULL ? w->sg.g : NULL; // once readied, w is gone
	int64_t waited = w != NULL && w->since != 0 ? os_nanotime() - w->since : 0;
	if (gp == NULL)
		add_rel(ATOMIC_WORD(addr), 1); // order: release, pairs with take_permit
	mutex_unlock(&root->lock);
	if (gp == NULL)
		return 0;
	if (!handoff) {
		sched_ready_aside(gp);
		return waited;
	}
	sched_ready(gp);
	if (!sched_g()->thread)
		sched_gosched();
	return waited;
}
