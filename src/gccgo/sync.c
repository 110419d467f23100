// SPDX-License-Identifier: BSD-3-Clause
// What packages sync, sync/atomic and internal/poll ask for: semaphores on a word, notify lists,
// pinning, spinning.
#include "chan/chan.h"

#include "gccgo/blocking.h"
#include "gccgo/gccgo.h"

// --- semaphores ----------------------------------------------------------------------------------

static void
acquire(uint32_t *addr, bool lifo, int64_t since)
{
	sched_enter();
	int64_t begun = blocking_begin();
	sema_acquire_since(addr, WAIT_semacquire, lifo, since);
	sched_leave();
	blocking_end(begun);
}

// Who is pinned already stays so.
static void
release(uint32_t *addr, bool handoff, Int skip)
{
	bool pinned = sched_enter()->pinned;
	int64_t waited = sema_release(addr, handoff && !pinned);
	if (unlikely(pinned))
		return;
	sched_leave();
	if (unlikely(waited != 0))
		contention_end(waited, skip > 0 ? (size_t)skip : 0);
}

GOFUNC("sync.runtime__Semacquire", void, rt_semacquire, (uint32_t *addr))
{
	acquire(addr, false, 0);
}

GOFUNC("internal_1poll.runtime__Semacquire", void, rt_poll_semacquire, (uint32_t *addr))
{
	acquire(addr, false, contention_begin());
}

GOFUNC("sync.runtime__SemacquireMutex", void, rt_semacquiremutex,
       (uint32_t *addr, bool lifo, Int skip))
{
	(void)skip;
	acquire(addr, lifo, contention_begin());
}

GOFUNC("sync.runtime__Semrelease", void, rt_semrelease, (uint32_t *addr, bool handoff, Int skip))
{
	release(addr, handoff, skip);
}

GOFUNC("internal_1poll.runtime__Semrelease", void, rt_poll_semrelease, (uint32_t *addr))
{
	release(addr, false, 0);
}

// --- notify lists --------------------------------------------------------------------------------

// A sync.Cond has one. Who waits takes a ticket first, while it still holds the program's lock, and
// queues later; so somebody may be notified before he has queued.
typedef struct NotifyList {
	ATOMIC_U32 wait;   // the next ticket
	ATOMIC_U32 notify; // lock writes: the next ticket to be notified
	ATOMIC_U32 lock;   // a lock of our own, as the core's knows its rank
	uint32_t unused;
	Sudog *head; // lock
	Sudog *tail; // lock
} NotifyList;
static_assert(sizeof(NotifyList) == 32, "what package sync makes room for");

static Mutex notify_lock[64] = {[0 ... 63] = MUTEX_INIT(mutexq)};

static Mutex *
lock_of(const NotifyList *l)
{
	return &notify_lock[base_mix((uintptr_t)l) % countof(notify_lock)];
}

// Tickets go round.
static inline bool
before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

GOFUNC("sync.runtime__notifyListAdd", uint32_t, rt_notifyadd, (NotifyList *l))
{
	return add_ar(&l->wait, 1); // order: claim; pairs with notify
}

GOFUNC("sync.runtime__notifyListWait", void, rt_notifywait, (NotifyList *l, uint32_t ticket))
{
	Mutex *m = lock_of(l);
	Sudog sg = {.ticket = ticket};
	sched_enter();
	int64_t begun = blocking_begin();
	mutex_lock(m);
	if (before(ticket, load_rlx(&l->notify))) { // order: lock
		mutex_unlock(m);
		sched_leave();
		return;
	}
	sg.g = sched_g();
	if (l->tail != NULL)
		l->tail->next = &sg;
	else
		l->head = &sg;
	l->tail = &sg;
	sched_park_unlock(WAIT_cond_wait, m);
	sched_leave();
	blocking_end(begun);
}

GOFUNC("sync.runtime__notifyListNotifyAll", void, rt_notifyall, (NotifyList *l))
{
	if (load_acq(&l->wait) == load_rlx(&l->notify)) // order: hint; the program orders it
		return;
	GList wake = {0};
	sched_enter();
	Mutex *m = lock_of(l);
	mutex_lock(m);
	for (Sudog *sg = l->head, *next; sg != NULL; sg = next) {
		next = sg->next;
		glist_push(&wake, sg->g);
	}
	l->head = l->tail = NULL;
	store_rlx(&l->notify, load_rlx(&l->wait)); // order: lock
	mutex_unlock(m);
	sched_ready_list(&wake);
	sched_leave();
}

// Takes out who has this ticket, if he has queued.  Locks: held.
static G *
take_ticket(NotifyList *l, uint32_t ticket)
{
	for (Sudog **at = &l->head, *prev = NULL; *at != NULL; prev = *at, at = &prev->next) {
		Sudog *sg = *at;
		if (sg->ticket != ticket)
			continue;
		*at = sg->next;
		if (l->tail == sg)
			l->tail = prev;
		return sg->g;
	}
	return NULL;
}

GOFUNC("sync.runtime__notifyListNotifyOne", void, rt_notifyone, (NotifyList *l))
{
	if (load_acq(&l->wait) == load_rlx(&l->notify)) // order: hint; the program orders it
		return;
	G *gp = NULL;
	sched_enter();
	Mutex *m = lock_of(l);
	mutex_lock(m);
	uint32_t ticket = load_rlx(&l->notify); // order: lock
	if (ticket != load_rlx(&l->wait)) {     // order: lock; who comes later is not meant
		store_rlx(&l->notify, ticket + 1); // order: lock
		gp = take_ticket(l, ticket);
	}
	mutex_unlock(m);
	if (gp != NULL)
		sched_ready(gp);
	sched_leave();
}

GOFUNC("sync.runtime__notifyListCheck", void, rt_notifycheck, (uintptr_t bytes))
{
	check(bytes == sizeof(NotifyList), "sync.Cond has changed");
}

// --- pinning and spinning ------------------------------------------------------------------------

// Inside the runtime a goroutine keeps its P. What the packages do meanwhile calls nothing of ours
// but the allocator, __morestack and what unlocks a mutex (mutex.c), which leave a pinned goroutine
// inside.
GOFUNC("sync.runtime__procPin", Int, rt_procpin, (void))
{
	sched_enter()->pinned = true;
	M *mp = sched_m();
	return mp->p != NULL ? (Int)mp->p->id : 0;
}
GOALIAS("sync_1atomic.runtime__procPin", "sync.runtime__procPin");

GOFUNC("sync.runtime__procUnpin", void, rt_procunpin, (void))
{
	sched_g()->pinned = false;
	sched_leave();
}
GOALIAS("sync_1atomic.runtime__procUnpin", "sync.runtime__procUnpin");

// For a package sync of the program's own (mutex.c). Half as often as Go: to park costs a tenth of
// what it does there, and who looks again takes the line of the lock from who holds it. With twice
// as many, four goroutines that do nothing but lock and unlock take four times as long, and those
// that work in between no less.
enum { SPIN_TIMES = 2, SPIN_PAUSES = 30 };

GOFUNC("sync.runtime__canSpin", bool, rt_canspin, (Int i))
{
	if (i >= SPIN_TIMES)
		return false;
	sched_enter();
	bool helps = sched_spin_helps();
	sched_leave();
	return helps;
}

GOFUNC("sync.runtime__doSpin", void, rt_dospin, (void))
{
	for (int i = 0; i < SPIN_PAUSES; i++)
		arch_pause();
}

// --- sync/atomic ---------------------------------------------------------------------------------

typedef ATOMIC(void *) AtomicPointer;

GOFUNC("sync_1atomic.StorePointer", void, rt_storepointer, (AtomicPointer *at, void *p))
{
	(void)xchg_ar(at, p); // order: of Go, sequentially consistent
}

GOFUNC("sync_1atomic.SwapPointer", void *, rt_swappointer, (AtomicPointer *at, void *p))
{
	return xchg_ar(at, p); // order: of Go, sequentially consistent
}

GOFUNC("sync_1atomic.CompareAndSwapPointer", bool, rt_caspointer,
       (AtomicPointer *at, void *old, void *p))
{
	return cas_ar(at, &old, p); // order: of Go, sequentially consistent
}
