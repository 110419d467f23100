// SPDX-License-Identifier: BSD-3-Clause
// Sending and receiving where nobody waits and nobody has to: chan/chan_front.h, with a lock that
// is only tried. It needs not be inside the runtime.
#include "gccgo/front/front.h"

#include "chan/chan_front.h"

FRONT_REST("runtime.unlock", void, rest_unlock, (Mutex *));

#define PART static inline __attribute__((always_inline))

PART bool
try_lock(Hchan *c)
{
	uint32_t zero = 0;
	return likely(cas_acq(&c->lock.held, &zero, 1)); // order: claim, pairs with mutex_unlock
}

PART void
unlock(Hchan *c)
{
	store_rel(&c->lock.held, 0); // order: release, pairs with mutex_lock
	fence_light(); // order: dekker with mutex_lock_slow: held cleared, sleepers read
	if (unlikely(load_rlx(&c->lock.sleepers) != 0))
		rest_unlock(&c->lock);
}

// The compiler knows how large what elem points to is, but not that the channel knows it too, and
// would warn of all other sizes.
PART void *
hide(const void *elem)
{
	__asm__("" : "+r"(elem));
	return (void *)(uintptr_t)elem;
}

// True: sent.
PART bool
send(Hchan *c, const void *elem)
{
	if (unlikely(c == NULL) || load_rlx(&c->state) != 0 || // order: hint
	    load_rlx(&c->count) >= c->cap || !try_lock(c))    // order: hint
		return false;
	size_t n = load_rlx(&c->count);                       // order: lock
	bool room = load_rlx(&c->state) == 0 && n < c->cap; // order: lock
	if (likely(room)) {
		ring_put(c, hide(elem));
		set_count(c, n + 1);
	}
	unlock(c);
	return room;
}

// True: received.
PART bool
receive(Hchan *c, void *elem)
{
	if (unlikely(c == NULL) || load_rlx(&c->count) == 0 ||                   // order: hint
	    (load_rlx(&c->state) & CHAN_SENDERS) != 0 || !try_lock(c)) // order: hint
		return false;
	size_t n = load_rlx(&c->count);                                        // order: lock
	bool some = n != 0 && (load_rlx(&c->state) & CHAN_SENDERS) == 0; // order: lock
	if (likely(some)) {
		ring_take(c, elem != NULL ? hide(elem) : NULL);
		set_count(c, n - 1);
	}
	unlock(c);
	return some;
}

FRONT_REST("runtime.chansend1", void, rest_chansend1, (Hchan *, const void *));
FRONT("runtime.chansend1", void, rt_chansend1, (Hchan *c, const void *elem))
{
	if (unlikely(!send(c, elem)))
		rest_chansend1(c, elem);
}

FRONT_REST("runtime.chanrecv1", void, rest_chanrecv1, (Hchan *, void *));
FRONT("runtime.chanrecv1", void, rt_chanrecv1, (Hchan *c, void *elem))
{
	if (unlikely(!receive(c, elem)))
		rest_chanrecv1(c, elem);
}

// --- without waiting -----------------------------------------------------------------------------

FRONT_REST("runtime.selectnbsend", bool, rest_selectnbsend, (Hchan *, const void *));
FRONT("runtime.selectnbsend", bool, rt_selectnbsend, (Hchan *c, const void *elem))
{
	return likely(send(c, elem)) || rest_selectnbsend(c, elem);
}

// Nothing there, and open when that was seen: O2 in chan/chan.c.
FRONT_REST("runtime.selectnbrecv", Received, rest_selectnbrecv, (void *, Hchan *));
FRONT("runtime.selectnbrecv", Received, rt_selectnbrecv, (void *elem, Hchan *c))
{
	if (likely(c != NULL) && load_acq(&c->count) == 0 && // order: O2, before state
	    // order: observe <- chan_close, O2
	    likely((load_acq(&c->state) & (CHAN_CLOSED | CHAN_SENDERS)) == 0))
		return (Received){false, false};
	return likely(receive(c, elem)) ? (Received){true, true} : rest_selectnbrecv(elem, c);
}
