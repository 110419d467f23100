// SPDX-License-Identifier: BSD-3-Clause
// go_mutex: what of lock and unlock is not in chan.h or the public header.
//
// `held` is 0 while the mutex is free and HELD while somebody has it; taking it when free is one
// CAS, giving it up when nobody waits one plain store. Waiters queue by address (sema.c), and leave
// word in `held` for whoever unlocks:
//
//   HELD | WAKE   somebody is queued, and nobody was woken to compete for the mutex: wake one
//   WAKE          the same, and compiled Go code is about to give it up (below)
//
// and in `slow`, which is 0 whenever nobody waits:
//
//   CONTENDED  somebody waits: unlockers exchange, and so see WAKE
//   WOKEN      somebody was woken to compete and has not done so yet: wake no other
//   STARVING   somebody has waited for a millisecond: the mutex is handed over, first come first
//              served
//
// Until it starves, a waiter competes with whoever comes by: a running goroutine that takes the
// mutex many times in a row costs far less than a switch for each time. One that loses goes to the
// front of the queue. From the first starving one on, an unlock leaves held set and makes the first
// waiter its holder; until one of them has waited less than a millisecond, or is the last.
//
// Invariants:
//   I1  slow is written under root->lock; held gets WAKE under root->lock.
//   I2  When root->lock is free and somebody is queued: held has WAKE, or slow has WOKEN, or an
//       unlocker is on its way to wake_one.
//   I3  WOKEN is set by who pops a waiter to compete, and cleared by that waiter, who sees to I2
//       from then on; or by who takes the mutex while nobody is queued, when I2 asks for nothing.
//   I4  After held has been given up, the unlocker only reads the mutex, once, and not at all while
//       it is contended; its object may be gone. Then it looks in the queue of that address, and
//       what it finds there is alive (sema.c, I3).
// Order:  O1  Waiter and exchanging unlocker meet in one location, held.
//         O2  dekker between the first waiter, who sets CONTENDED, and an unlocker that has not
//             seen it and stores to held, over WAKE perhaps. The waiter (announce) stores slow,
//             fences heavily, changes held; the unlocker stores held = 0, fences lightly, loads
//             slow. So the waiter finds held 0, or the unlocker sees CONTENDED and goes to wake_one
//             whatever held said.
//         O3  The same for a later waiter: if such an unlocker's load came before the heavy fence
//             reached its thread, so did its store of held, and every waiter from then on sees it.
//             Otherwise it sees CONTENDED. That goes when a holder finds, under root->lock,
//             that nobody is queued; so all begins anew with the next waiter.
//         O4  What the holder did travels by held (release, acquire), or by sched_ready when handed
//             over.
// In Go programs sync.Mutex is a go_mutex (gccgo/mutex.c). Where the compiler has inlined libgo's
// methods, they take it by changing held from 0 to HELD, and give it up by subtracting HELD. If
// WAKE is left they go on with gmutex_unlock_contended, still as its holders: nobody takes a mutex
// whose held is not 0. libgo's inlined TryLock would, but for two bits: HELD, and the one that is
// WAKE therefore.
// Not done: CONTENDED left where it is until nobody has waited for some hundred unlocks. It spares
// waiters the heavy fence, which is not seen beside their sleep; and a mutex at rest is all zeros,
// as Go programs expect that compare what one is part of.
// Not done: waiters counted in `slow` and looked at after the exchange. The line has gone to the
// next holder by then, and fetching it back cost more than the rest of a contended operation.
#include "arch/arch.h"
#include "chan/chan_impl.h"
#include "os/os.h"

enum {
	HELD = GMUTEX_HELD_BIT,
	WAKE = GMUTEX_WAKE_BIT,
};
enum {
	CONTENDED = 1,
	WOKEN = 2,
	STARVING = 4,
};
enum {
	SPINS = 4,         // looks of a running goroutine before it queues
	SPIN_PAUSES = 30,  // between two of them
};
static const int64_t starving_ns = 1000000;

static inline ATOMIC_U32 *
held_of(go_mutex *m)
{
	return ATOMIC_WORD(&m->held);
}

static inline uint32_t
slow_of(go_mutex *m)
{
	return load_rlx(ATOMIC_WORD(&m->slow)); // order: root->lock, or a hint
}

static inline void
set_slow(go_mutex *m, uint32_t s)
{
	store_rlx(ATOMIC_WORD(&m->slow), s); // order: root->lock; announce fences
}

// --- locking ----------------------------------------------------------------------------------

static bool
spin(go_mutex *m)
{
	for (int i = 0; i < SPINS; i++) {
		if (load_rlx(held_of(m)) == 0 && gmutex_try_lock(m)) // order: hint
			return true;
		if ((slow_of(m) & STARVING) != 0 || !sched_spin_helps())
			return false;
		for (int j = 0; j < SPIN_PAUSES; j++)
			arch_pause();
	}
	return false;
}

// The mutex is the caller's, who sees to the others. Locks: root held.
static void
settle(go_mutex *m, SemaRoot *root)
{
	bool others = sema_waits(root, m, WAITER_MUTEX);
	// order: own; only waiters change it, under root->lock
	store_rlx(held_of(m), others ? HELD | WAKE : HELD);
	if (!others)
		set_slow(m, 0);
}

// Leaves word that somebody waits, or takes the mutex if it is free. True: it is the caller's.
// Locks: root held.
static bool
announce(go_mutex *m)
{
	uint32_t s = slow_of(m);
	if ((s & CONTENDED) == 0) {
		set_slow(m, s | CONTENDED);
		fence_heavy(); // order: dekker with gmutex_unlock_fast, O2
	} else if ((s & WOKEN) != 0) {
		return false; // who was woken sees to all that are queued then, I3
	}
	uint32_t h = load_rlx(held_of(m)); // order: hint, checked by the CAS
	for (;;)
		// order: claim, pairs with unlock, O1
		if (cas_acq(held_of(m), &h, h == 0 ? HELD : HELD | WAKE))
			return h == 0;
}

void
gmutex_lock_slow(go_mutex *m, WaitReason why)
{
	SemaRoot *root = sema_root(m);
	Waiter w = {.sg.g = sched_g(), .addr = m, .kind = WAITER_MUTEX};
	bool woken = false;
	for (;; woken = true) {
		bool mine = spin(m);
		if (mine && !woken)
			return;
		mutex_lock(&root->lock);
		if (woken)
			set_slow(m, slow_of(m) & ~(uint32_t)WOKEN); // I3
		if (mine || announce(m)) {
			settle(m, root);
			mutex_unlock(&root->lock);
			return;
		}
		int64_t now = os_nanotime();
		if (!woken)
			w.since = now;
		else if (now - w.since > starving_ns)
			set_slow(m, slow_of(m) | STARVING);
		w.slept = now;
		sema_push(root, &w, woken);
		sched_park_unlock(why, &root->lock);
		if (w.handed)
			return;
	}
}

// --- unlocking --------------------------------------------------------------------------------

GmutexRest
gmutex_unlock_contended(go_mutex *m)
{
	if (load_rlx(held_of(m)) == 0) // order: own, the caller holds it
		fatal("sync: unlock of unlocked mutex");
	if ((slow_of(m) & STARVING) != 0)
		return GMUTEX_HELD;
	// order: release, pairs with try_lock; and O1
	return (xchg_rel(held_of(m), 0) & WAKE) != 0 ? GMUTEX_RELEASED : GMUTEX_DONE;
}

// Somebody may be queued. The mutex is free, or somebody else's, or no more.
COLD void
gmutex_unlock_released(go_mutex *m, int64_t *waited)
{
	SemaRoot *root = sema_root(m);
	G *gp = NULL;
	mutex_lock(&root->lock);
	if (sema_waits(root, m, WAITER_MUTEX) && (slow_of(m) & WOKEN) == 0) { // I4
		Waiter *w = sema_pop(root, m, WAITER_MUTEX);
		gp = w->sg.g;
		if (waited != NULL)
			*waited = os_nanotime() - w->slept;
		set_slow(m, slow_of(m) | WOKEN);
	}
	mutex_unlock(&root->lock);
	if (gp != NULL)
		sched_ready_aside(gp);
}

// The first waiter becomes the holder. NULL when there is none.
// Locks: root held. The caller holds m.
static G *
hand_over(go_mutex *m, SemaRoot *root, int64_t *waited)
{
	Waiter *w = sema_pop(root, m, WAITER_MUTEX);
	if (w == NULL)
		return NULL;
	int64_t now = os_nanotime();
	if (waited != NULL)
		*waited = now - w->slept;
	if (now - w->since < starving_ns)
		set_slow(m, slow_of(m) & ~(uint32_t)STARVING);
	settle(m, root);
	w->handed = true;
	return w->sg.g;
}

// Somebody starves, or did a moment ago.
COLD void
gmutex_unlock_held(go_mutex *m, int64_t *waited)
{
	SemaRoot *root = sema_root(m);
	G *heir = NULL;
	uint32_t was = 0;
	mutex_lock(&root->lock);
	if ((slow_of(m) & STARVING) != 0)
		heir = hand_over(m, root, waited);
	if (heir == NULL)
		was = xchg_rel(held_of(m), 0); // order: release, pairs with try_lock; and O1
	mutex_unlock(&root->lock);
	if (heir == NULL) {
		if ((was & WAKE) != 0)
			gmutex_unlock_released(m, waited);
		return;
	}
	const G *gp = sched_g();
	sched_ready(heir);
	if (!gp->thread && !gp->pinned)
		sched_gosched(); // it has waited long, and all others wait for it
}
