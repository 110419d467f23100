// SPDX-License-Identifier: BSD-3-Clause
// go_mutex: what of lock and unlock is not in chan.h or the public header.
//
// `held` is 1 while somebody has the mutex; taking it when free is one CAS, giving it up when
// nobody has ever waited one plain store. `slow` is 0 then. Waiters queue by address (sema.c);
// `slow` says what whoever unlocks must know about them:
//
//   CONTENDED  somebody has waited, not long ago: unlockers take the careful way
//   QUEUED     somebody is queued
//   WOKEN      somebody was woken to compete and has not done so yet: wake no other
//   STARVING   somebody has waited for a millisecond: the mutex is handed over, first come first
//              served
//
// Until it starves, a waiter competes with whoever comes by: a running goroutine that takes the
// mutex many times in a row costs far less than a switch for each time. One that loses goes to the
// front of the queue. From the first starving one on, an unlock leaves held at 1 and makes the
// first waiter its holder; until one of them has waited less than a millisecond, or is the last.
//
// Invariants:
//   I1  slow is written under root->lock.
//   I2  QUEUED is set exactly while a Waiter is queued, when root->lock is free.
//   I3  WOKEN is set by who pops a waiter to compete, and cleared by that waiter.
//   I4  After held has been given up, the unlocker only reads the mutex, once; its object may be
//       gone. Then it looks in the queue of that address, and what it finds there is alive (sema.c,
//       I3).
// Order:  O1  dekker between a waiter and an unlocker. The waiter (announce) stores slow, fences,
//             tries held; the unlocker stores held = 0, fences, loads slow. So the waiter takes the
//             mutex, or the unlocker sees it. The fences: the first waiter, who sets CONTENDED,
//             pays a heavy fence against all unlockers that have not seen it (gmutex_unlock_fast,
//             fence_light). As long as CONTENDED is set, every unlocker sees it in one of its two
//             loads: in the first, and it fences fully itself; or in the second, and then it fences
//             and loads again (gmutex_unlock_released). So further waiters fence fully and pay no
//             heavy one.
//         O2  Such an unlocker cannot have missed CONTENDED twice for a waiter to sleep on: if its
//             second load came before the heavy fence reached its thread, so did its store of held,
//             and every waiter from then on sees it.
//         O3  What the holder did travels by held (release, acquire), or by sched_ready when handed
//             over.
#include "arch/arch.h"
#include "chan/chan_impl.h"
#include "os/os.h"

enum {
	CONTENDED = 1,
	QUEUED = 2,
	WOKEN = 4,
	STARVING = 8,
};

enum {
	SPINS = 4,        // looks of a running goroutine before it queues
	SPIN_PAUSES = 30, // between two of them
	CALM_ONE_IN = 64, // unlocks with nobody queued until CONTENDED goes
};
static const int64_t starving_ns = 1000000;

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

static inline bool
wants_wake(uint32_t slow)
{
	return (slow & (QUEUED | WOKEN)) == QUEUED;
}

// --- locking ----------------------------------------------------------------------------------

// Spinning can help: the holder may be running, and nobody waits for this processor.
static bool
may_spin(void)
{
	if (os_simulated || sched_procs().n < 2)
		return false;
	P *pp = sched_m()->p;
	return pp == NULL || (load_rlx(&pp->next) == NULL && runq_empty(&pp->runq)); // order: hint
}

static bool
spin(go_mutex *m)
{
	for (int i = 0; i < SPINS; i++) {
		// order: hint
		if (load_rlx(ATOMIC_WORD(&m->held)) == 0 && gmutex_try_lock(m))
			return true;
		if ((slow_of(m) & STARVING) != 0 || !may_spin())
			return false;
		for (int j = 0; j < SPIN_PAUSES; j++)
			arch_pause();
	}
	return false;
}

// Tells unlockers that somebody waits, and tries for the last time. True: the mutex is the
// caller's. Locks: root held.
static bool
announce(go_mutex *m, SemaRoot *root, bool woken)
{
	uint32_t before = slow_of(m), s = before | CONTENDED | QUEUED;
	if (woken)
		s &= ~(uint32_t)WOKEN; // I3
	set_slow(m, s);
	if ((before & CONTENDED) == 0)
		fence_heavy(); // order: dekker with gmutex_unlock_fast, O1
	else
		fence_seq(); // order: dekker with unlock_carefully and gmutex_unlock_released, O1
	if (!gmutex_try_lock(m))
		return false;
	if (!sema_waits(root, m, WAITER_MUTEX))
		set_slow(m, s & ~(uint32_t)(QUEUED | STARVING));
	return true;
}

void
gmutex_lock_slow(go_mutex *m, WaitReason why)
{
	SemaRoot *root = sema_root(m);
	Waiter w = {.sg.g = sched_g(), .addr = m, .kind = WAITER_MUTEX};
	bool woken = false;
	for (;; woken = true) {
		bool won = spin(m);
		if (won && !woken)
			return;
		mutex_lock(&root->lock);
		if (won) {
			set_slow(m, slow_of(m) & ~(uint32_t)WOKEN); // I3
			mutex_unlock(&root->lock);
			return;
		}
		if (announce(m, root, woken)) {
			mutex_unlock(&root->lock);
			return;
		}
		int64_t now = os_nanotime();
		if (!woken)
			w.since = now;
		else if (now - w.since > starving_ns)
			set_slow(m, slow_of(m) | STARVING);
		sema_push(root, &w, woken);
		sched_park_unlock(why, &root->lock);
		if (w.handed)
			return;
	}
}

// --- unlocking --------------------------------------------------------------------------------

// Somebody may be queued. The mutex is free, or somebody else's, or no more.
static void
wake_one(go_mutex *m)
{
	SemaRoot *root = sema_root(m);
	G *gp = NULL;
	mutex_lock(&root->lock);
	if (sema_waits(root, m, WAITER_MUTEX) && (slow_of(m) & WOKEN) == 0) { // I4
		gp = sema_pop(root, m, WAITER_MUTEX)->sg.g;
		uint32_t s = slow_of(m) | WOKEN;
		set_slow(m, sema_waits(root, m, WAITER_MUTEX) ? s : s & ~(uint32_t)QUEUED);
	}
	mutex_unlock(&root->lock);
	if (gp != NULL)
		sched_ready(gp);
}

COLD void
gmutex_unlock_released(go_mutex *m)
{
	fence_seq(); // order: dekker with announce, O1: held cleared, then slow read
	if (wants_wake(slow_of(m)))
		wake_one(m);
}

// The first waiter becomes the holder. NULL when there is none.
// Locks: root held.
static G *
hand_over(go_mutex *m, SemaRoot *root)
{
	Waiter *w = sema_pop(root, m, WAITER_MUTEX);
	if (w == NULL)
		return NULL;
	bool more = sema_waits(root, m, WAITER_MUTEX);
	uint32_t s = slow_of(m);
	if (!more)
		s &= ~(uint32_t)(QUEUED | STARVING);
	else if (os_nanotime() - w->since < starving_ns)
		s &= ~(uint32_t)STARVING;
	set_slow(m, s);
	w->handed = true;
	return w->sg.g;
}

// Somebody waits who is to be woken, or to be given the mutex.
static void
unlock_and_wake(go_mutex *m)
{
	SemaRoot *root = sema_root(m);
	G *heir = NULL, *gp = NULL;
	mutex_lock(&root->lock);
	uint32_t s = slow_of(m);
	if ((s & STARVING) != 0)
		heir = hand_over(m, root);
	if (heir == NULL) {
		s = slow_of(m);
		if (wants_wake(s)) {
			gp = sema_pop(root, m, WAITER_MUTEX)->sg.g;
			s |= WOKEN;
		}
		if (!sema_waits(root, m, WAITER_MUTEX))
			s &= ~(uint32_t)(QUEUED | STARVING);
		set_slow(m, s);
		// order: release, pairs with try_lock; who waits from now on comes after us by
		// root->lock
		store_rel(ATOMIC_WORD(&m->held), 0);
	}
	mutex_unlock(&root->lock);
	if (heir == NULL && gp == NULL)
		return;
	sched_ready(heir != NULL ? heir : gp);
	if (heir != NULL && !sched_g()->thread)
		sched_yield(); // it has waited long, and all others wait for it
}

// Nobody waits now. Sometimes it is time to forget that somebody has.
// Locks: none. The caller holds m.
static void
calm_down(go_mutex *m)
{
	if (base_rand_below(&sched_m()->rand, CALM_ONE_IN) != 0)
		return;
	SemaRoot *root = sema_root(m);
	mutex_lock(&root->lock);
	if (slow_of(m) == CONTENDED)
		set_slow(m, 0);
	mutex_unlock(&root->lock);
}

void
gmutex_unlock_held(go_mutex *m)
{
	uint32_t s = slow_of(m);
	if (wants_wake(s) || (s & STARVING) != 0) {
		unlock_and_wake(m);
		return;
	}
	if (s == CONTENDED)
		calm_down(m);
	store_rel(ATOMIC_WORD(&m->held), 0); // order: release, pairs with try_lock
	gmutex_unlock_released(m);
}
