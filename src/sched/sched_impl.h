// SPDX-License-Identifier: BSD-3-Clause
// What the files of src/sched share among themselves.
#ifndef UNDERGO_SCHED_IMPL_H
#define UNDERGO_SCHED_IMPL_H

#include "os/os.h"
#include "sched/events.h"
#include "sched/observe.h"
#include "sched/sched.h"
#include "sched/sched_up.h"
#include "undergo/base.h"
#include "undergo/runtime.h"

enum {
	MAX_PROCS = 1 << 16,
	MAX_THREADS = 10000,
	GFREE_MAX = 64,          // dead Gs a P keeps
	NEXT_STREAK_MAX = 64,    // a chain through P.next shares this many turns
	GLOBAL_EVERY = 64,       // one switch in so many looks at the global queue first
	TIMER_LOOK_EVERY = 8,    // one switch in so many looks at the clock, while there are timers
	IDLE_EXIT_MS = 5000,     // an M that idles so long ends
	ID_BATCH = 16,
	DEAD_LOOKS = 8,          // how often the monitor looks again, 10 ms to 1.3 s apart
};

// Threads of the process that no call of the runtime will ever come from: ThreadSanitizer's own.
enum { STRANGE_THREADS = SANITIZE_THREAD };

// The whole scheduler. Fields are grouped by who guards them.
typedef struct Sched {
	int64_t started_at;      // set before anything else, then constant
	Mutex lock CACHE_ALIGNED;
	// sched.lock:
	GList globq;
	M *midle;
	uint32_t n_midle;
	P *pidle;
	uint32_t n_threads;      // Ms that run goroutines: of our own making, and lent ones
	uint32_t max_threads;    // how many there may be, the monitor among them
	uint64_t threads_made;
	int32_t stop_wait;       // Ps that have not stopped yet
	M *sleeper;              // the idle M that sleeps until the next timer
	ATOMIC(M *) poller;      // the M that sleeps in the poller, or is just leaving it; all read
	ATOMIC(M *) all_m;       // every M ever made; all read
	M *m_free;               // records of ended threads
	uint32_t n_locked_idle;  // Ms with locked_idle or lent_spoilt
	M *locked_sleepers;      // those with locked_idle
	M *minder;               // the one that minds timers, asleep or awake; see locked.c
	int64_t mind_until;      // asleep until then

	// Read by everyone, written under sched.lock or as stated.
	ATOMIC_U32 globq_n CACHE_ALIGNED; // length of globq
	ATOMIC_U32 n_pidle;      // length of pidle
	ATOMIC_U32 n_spinning;   // Ms looking for work; see find.c
	ATOMIC_U32 resigning;    // an M that goes idle may be recalled, or is; F5 in find.c
	ATOMIC_U32 stopping;     // the world is to stop
	ATOMIC_U32 observing;    // OBSERVE_..., of all Gs; written under allg_lock, world stopped
	ATOMIC_I64 sleep_until;  // when the sleeper wakes; 0: there is none
	ATOMIC_U32 polled;       // Gs that wait for descriptors; count, and dekker in poll.c
	ATOMIC_U32 polling;      // 1 while somebody polls without waiting
	ATOMIC_I64 poll_last;    // when somebody did
	ATOMIC_U32 brisk;        // 1 while the monitor looks once a millisecond at least
	ATOMIC_U32 brisk_wanted; // somebody wants it to; a hint
	ATOMIC_U32 thread_wanted; // a thread could not be made; the monitor tries again
	bool refused;             // sched.lock: that has happened, and none was made since
	uint32_t n_lent_over;     // sched.lock: Ms that are LENT_OVER and not locked_idle
	ATOMIC_U32 dead_suspect;  // all sleep, but the kernel counts a thread we do not know
	ATOMIC_U32 monitor_asleep;
	ATOMIC_U32 n_run_main;    // threads that wait in go_run
	ATOMIC_U32 n_foreign;    // attached threads, but for those that are lent
	ATOMIC_U32 n_foreign_parked; // of these, asleep with no deadline of their own
	ATOMIC_U32 started;      // start.c: NOT_STARTED, STARTING, STARTED
	ATOMIC_U64 id_gen;
	ATOMIC_U64 m_id_gen;
	ATOMIC_U64 wakeups;
	ATOMIC_U64 retakes;
	ATOMIC_U64 spawned_no_p; // goroutines started by threads without a P
	Note stop_note;
	ATOMIC(Birth *) births;  // sched.lock writes: threads the monitor shall make
	ATOMIC_U32 monitor_dozes; // 1 while the monitor sleeps on doze_note: who takes it wakes
	ATOMIC_BOOL monitor_called; // by sched_monitor_come, since its last look
	Note doze_note;
	ATOMIC(int) monitor_tid;
	ATOMIC_U32 n_helpers;    // count: threads of sched_helper_made
	ATOMIC_U32 helpers_busy; // 1 between sched_helpers_busy and sched_helpers_idle
	ATOMIC_U32 rest_held;     // 1 between sched_rest_hold and sched_rest_release; a futex
	ATOMIC_U32 world;         // 1 while somebody stops the world or visits every P

	Mutex gfree_lock CACHE_ALIGNED;
	GList gfree;             // gfree_lock: dead Gs that have a default stack
	GList gfree_bare;        // gfree_lock: dead Gs without a stack
	uint32_t gfree_low;      // gfree_lock: fewest in gfree since the monitor looked
	char *g_slab;            // gfree_lock: memory for new Gs
	uint32_t g_slab_left;    // gfree_lock: in Gs

	Mutex allg_lock;
	ATOMIC(G *) all_g;       // allg lock writes; see sched_all_first
} Sched;
extern Sched sched;

// procs.c
extern ATOMIC_U32 sched_n_procs;
int procs_init(int n);
void world_p_stopped(P *pp); // a P has come to the stop; sched.lock held
void p_run_safe_point(P *pp); // what sched_for_each_p left for pp, if anything

// switch.c
void sched_run(M *mp); // the scheduler of an M, on its own stack, until the M ends
void sched_wait_for_p(G *gp, void (*after)(void *)); // the running G has lost its P

// locked.c
G *find_locked(M *mp);              // find_runnable for an M with a locked G
void locked_hand_over(M *mp, G *gp); // mp has found the locked G of another M
bool locked_give_vacant(P *pp, M **wake); // sched.lock held
void locked_mind(void);             // sched.lock held: perhaps a locked M is to mind timers
void locked_ready(G *gp);           // Grunnable
void locked_yields(void *gp);       // after: the running G goes to the end of the queue
void locked_lost_p(void *gp);       // after: the running G has lost its P
void locked_ends(M *mp);            // mp's locked G is about to end
void m_ends(M *mp);                 // mp leaves for good. Its P goes to others

// lent.c
void lent_ends(M *mp);   // mp's thread shall have its own again
void lent_leaves(M *mp); // it does. Its P goes to others
void lent_waits(M *mp);  // mp has no P, and a G has ended locked: nothing more runs there

// find.c
G *find_runnable(M *mp); // NULL: this M shall end
void sched_wake(void);   // one more spinning M if a P is idle and none is spinning
void stop_spinning(M *mp);
void m_attend(M *mp);    // mp has a P that wants attention; may lose it
void p_run_timers(P *pp);
bool work_anywhere(ProcSnapshot procs); // in any P's queue, or the global one

// queue.c
void globq_put(G *gp);             // sched.lock held
void globq_put_list(GList *l);     // sched.lock held
uint32_t globq_take(P *pp, uint32_t max, G **first); // sched.lock held
G *globq_take_locked(void);        // sched.lock held
void glist_append(GList *l, GList *tail);
void p_put_tail(P *pp, G *gp);
G *p_refill(P *pp);
void p_empty(P *pp);

// Whether somebody looks, or could look, for work: then it belongs where he can get it.
static inline bool
others_hungry(void)
{
	return load_rlx(&sched.n_pidle) != 0 || load_rlx(&sched.n_spinning) != 0; // order: hint
}

// A guess unless called by the owner.
static inline bool
p_has_work(P *pp)
{
	return load_rlx(&pp->next) != NULL ||                     // order: hint
	       load_rlx(&pp->hand_head) != load_rlx(&pp->hand_tail) || // order: hint
	       load_acq(&pp->runq.head) != load_rlx(&pp->runq.tail); // order: hint
}

// Makes gp the next to run on pp, in front of the one that was. Owner only.
static inline void
p_put_next(P *pp, G *gp)
{
	if (CHAOS("p_put_next", 4)) {
		p_put_tail(pp, gp);
		return;
	}
	G *old = load_rlx(&pp->next); // order: own
	store_rlx(&pp->next, gp);     // order: own; thieves read it frozen, or as a hint
	if (old != NULL)
		p_put_tail(pp, old);
}

// The next G of pp's own queue. Owner only.
static inline G *
p_take(P *pp)
{
	G *gp = load_rlx(&pp->next); // order: own
	if (gp != NULL) {
		store_rlx(&pp->next, NULL); // order: own
		if (likely(pp->next_streak++ < NEXT_STREAK_MAX))
			return gp;
		p_put_tail(pp, gp); // its chain has had its turns: to the end of the queue
	}
	pp->next_streak = 0;
	uint32_t head = load_rlx(&pp->hand_head); // order: own
	if (head == load_rlx(&pp->hand_tail))     // order: own
		return p_refill(pp);
	store_rlx(&pp->hand_head, head + 1);          // order: own
	return load_rlx(&pp->hand[head % HAND_SIZE]); // order: own
}

// idle.c
void pidle_put(P *pp);      // sched.lock held
P *pidle_get(void);         // sched.lock held
void midle_put(M *mp);      // sched.lock held
M *midle_get(void);         // sched.lock held
void midle_remove(M *mp);   // sched.lock held
// Tries to freeze m's lease: then m->p is the caller's for a moment. See lease.h.
static inline bool
m_grab(M *m)
{
	M *me = sched_m();
	return lease_grab(&m->lease, me != NULL ? (uint32_t)me->id : 0); // 0 is the monitor
}
void p_acquire(M *mp, P *pp);
P *p_release(M *mp);
void p_hand_off(P *pp);     // a P without an M: find it one, or let it idle
void check_dead(void);      // sched.lock held

// thread.c
bool thread_start(P *pp, bool spinning); // an M for pp, status Prunning; false: pp went idle
bool thread_reserve(void);  // at least one M exists. Blocks: M, while threads are refused
bool thread_retry(P *pp);   // thread_start by a new thread; for the monitor, on thread_wanted
bool m_stop(M *mp, int64_t deadline);    // sleeps in the idle list; false: this M shall end
bool m_rest(M *mp, Note *n, int64_t deadline); // note_sleep, resting
// The same with fn(arg, deadline) in its place.
typedef bool RestFn(void *arg, int64_t deadline);
bool m_rest_in(M *mp, RestFn *fn, void *arg, int64_t deadline);
void m_wake(M *mp);         // whom the caller has taken out of the idle list
int64_t first_timer(void);               // over all Ps
M *m_attach(void);          // a thread of the program
void foreign_parks(G *gp);  // a thread is about to park
void foreign_wakes(G *gp);  // called by its waker
void threads_init(void);
void births_serve(void);    // makes the threads that were asked for. Runs on: the monitor
void foreign_sleeps(G *gp); // it can be woken now, and sleeps with no deadline

// poll.c
enum { POLL_MAX = 64 }; // descriptors at a time

typedef struct PollSleep {
	M *mp;
	int n;
	OsReady ready[POLL_MAX]; // n
} PollSleep;
bool poll_sleep(void *sleep, int64_t deadline); // for m_rest_in: true when the M was woken
void poll_left(M *mp, PollSleep *s);            // the M is awake, out of the idle list
// A goroutine waits for a descriptor, and nobody sleeps in the poller.
static inline bool
poll_unminded(void)
{
	// order: dekker with sched_poll_waits (poll.c, O1), fenced by the caller
	return load_rlx(&sched.polled) != 0 && load_rlx(&sched.poller) == NULL;
}
bool poll_now(void); // whether somebody was made ready
void poll_overdue(P *pp, int64_t now); // for the monitor: whether pp has polled by when it would
// For the monitor: whether its next pause shall be a millisecond at most. *left is its own.
bool be_brisk(uint32_t *left);
// start.c
void sched_main_begins(G *gp); // a main goroutine, not yet runnable
void sched_main_ended(void);   // and back on the thread that waited for it

// g.c
void g_retire(void *gp);    // after(): a dead G's record and stack go back
void g_flush_free(P *pp);   // to the global lists
uint64_t g_next_id(P *pp);
void g_scavenge(void);
bool g_worth_scavenging(void);
G *g_for_thread(void);
void g_thread_done(G *gp);

// sysmon.c
int monitor_start(void);
void monitor_wake(void);     // from a sleep without work; sched.lock held
void monitor_hurry(void);    // from a pause between looks, or such a sleep for one look

// Work was put where others find it: sched_wake, if somebody is idle.
static inline void
sched_wake_after_put(void)
{
	fence_light(); // order: dekker with go_idle (find.c, O1): work stored, then the counts read
	if (unlikely(load_rlx(&sched.n_pidle) != 0) &&
	    (load_rlx(&sched.n_spinning) == 0 || CHAOS("false_wake", 8)))
		sched_wake();
}

#endif
