// SPDX-License-Identifier: BSD-3-Clause
// Memory for descriptors: records that are never freed and never anything else, found by number.
//
// A number with a generation names one use of a record for good: in the poller, so that an event
// that comes late is not taken for one of the next descriptor's, and in the handles of the C face.
//
// Invariants:
//   I1  A record in use has a generation that no earlier use had (until it wraps, after 2^31 uses).
//   I2  Records come in pieces, each twice as large as the one before; pieces stay where they are.
#include "net/net_impl.h"

enum { FIRST_BITS = 6, PIECES = 25, GEN_MAX = INT32_MAX };

static struct {
	Mutex lock;                    // rank leaf
	PollDesc *free;                // lock
	uint32_t n;                    // lock: records there are
	ATOMIC(Netfd *) piece[PIECES]; // lock writes; all read
} slots = {.lock = MUTEX_INIT(leaf)};

Netfd *
slot_at(uint32_t index)
{
	uint64_t at = (uint64_t)index + (1 << FIRST_BITS);
	uint32_t bits = 63 - (uint32_t)__builtin_clzll(at);
	if (unlikely(bits >= FIRST_BITS + PIECES))
		return NULL;
	Netfd *p = load_acq(&slots.piece[bits - FIRST_BITS]); // order: observe <- grow
	return p != NULL ? &p[at - ((uint64_t)1 << bits)] : NULL;
}

static void
put(PollDesc *pd)
{
	pd->link = slots.free;
	slots.free = pd;
}

// One more piece. Its memory is asked for without the lock.
static bool
grow(uint32_t before)
{
	uint32_t bits = 31 - (uint32_t)__builtin_clz(before + (1 << FIRST_BITS));
	if (bits >= FIRST_BITS + PIECES)
		return false;
	uint32_t n = (uint32_t)1 << bits;
	Netfd *p = os_alloc(n * sizeof(*p));
	if (p == NULL)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		p[i].pd.index = before + i;
		mutex_init(&p[i].pd.lock, RANK_polldesc);
	}
	mutex_lock(&slots.lock);
	bool ours = slots.n == before;
	if (ours) {
		slots.n += n;
		store_rel(&slots.piece[bits - FIRST_BITS], p); // order: publish -> slot_at
		for (uint32_t i = n; i-- > 0;)
			put(&p[i].pd);
	}
	mutex_unlock(&slots.lock);
	if (!ours)
		os_free(p);
	return true;
}

Netfd *
slot_get(void)
{
	for (;;) {
		mutex_lock(&slots.lock);
		PollDesc *pd = slots.free;
		uint32_t n = slots.n;
		if (pd != NULL)
			slots.free = pd->link;
		mutex_unlock(&slots.lock);
		if (pd != NULL) {
			if (load_rlx(&pd->gen) == 0)    // order: own
				store_rlx(&pd->gen, 1); // order: own
			return container_of(pd, Netfd, pd);
		}
		if (!grow(n))
			return NULL;
	}
}

void
slot_put(Netfd *nf)
{
	uint32_t gen = load_rlx(&nf->pd.gen); // order: own
	// order: publish -> up_poll_take: what it then posts is for nobody
	store_rel(&nf->pd.gen, gen < GEN_MAX ? gen + 1 : 1);
	mutex_lock(&slots.lock);
	put(&nf->pd);
	mutex_unlock(&slots.lock);
}

PollDesc *
poll_get(void)
{
	Netfd *nf = slot_get();
	return nf != NULL ? &nf->pd : NULL;
}

void
poll_put(PollDesc *pd)
{
	slot_put(container_of(pd, Netfd, pd));
}
