// SPDX-License-Identifier: BSD-3-Clause
// A thread of the program that runs goroutines: sched_run_here.
//
// What has to happen on one thread of the process, mostly the first one, is done there by the main
// goroutine, which begins locked to it. So the thread that calls is lent: its M, which had the
// thread's own G, becomes one like those we make, and the thread is in sched_run until the function
// of the main goroutine has returned, wherever that was. Unlocked, the goroutine may move, and the
// thread runs others.
//
//   sched_run_here:  LENT_NOT -> LENT       the thread goes into sched_run
//   lent_ends:       LENT -> LENT_OVER      by the main goroutine, on whatever M
//   sched_run_here:  LENT_OVER -> LENT_NOT  the thread has left sched_run
//
// A goroutine that ends locked there takes no thread along, as this one is the program's. It is
// spoilt: nothing runs there until it is given back, in the state that goroutine has left it in.
//
// Invariants:
//   H1  While lent the M counts in n_threads, and not in n_foreign: check_dead sees it as ours. It
//       stays `foreign` to who makes threads. While it is LENT_OVER it counts in n_lent_over, too,
//       and check_dead waits for it, except while it is locked_idle: H3 keeps it there until its
//       G is to run, which nobody can count on.
//   H2  Once lent_ends has returned, the M goes to no other G without passing its scheduler, and
//       there it leaves: its P has the attention set. If it had none then, it is in its scheduler
//       and will look, or in user code, and p_acquire sets the attention of the P that it regains.
//   H3  A lent M leaves when no G is locked to it, or when one has ended so. Until then that G
//       keeps the thread; so does one in the middle of a call.
//   H4  The thread's stack below sched_run is searched for pointers all the while: it is in use.
//   H5  Whom check_dead has sent away for n_lent_over need not ask again when that falls. Falling
//       asleep locked_idle asks under the same lock (rest in locked.c). become_theirs raises
//       n_foreign under the same lock, by a thread that is awake; when it sleeps or ends,
//       foreign_sleeps or detach asks, and when it is lent again, who lies down next.
//   H6  While lent the thread may be the sleeper, and its wake-ups are exact as those of our own.
//       The program has its slack back afterwards, unless it has set another one meanwhile. What
//       the program starts there, threads and processes, is as exact as from our own threads.
// Locks:  sched.lock.
// Order:  O1  No fence: lent_ends stores LENT_OVER under sched.lock, and then reads each P.m. The M
//             has stored P.m when p_acquire sets the attention. So it takes the lock in m_attend
//             before it runs a G of that P, or goes on from one G to the next, and then reads lent.
//             Who has the lock second sees what the other one stored.
// Tests: tests/model/lent.pml, tests/explore/x_locked.c.
#include "sched/sched_impl.h"

typedef struct MainHere {
	int (*fn)(void *);
	void *arg;
	int result; // published by lent_ends
	M *mp;
} MainHere;

// --- giving it back -----------------------------------------------------------------------------

// Every P that mp may have, that it looks at `lent` soon.
static void
call_to_attention(const M *mp)
{
	ProcSnapshot procs = procs_all();
	for (uint32_t i = 0; i < procs.n; i++)
		if (load_rlx(&procs.p[i]->m) == mp) // order: under sched.lock before, O1
			store_rel(&procs.p[i]->attention, 1); // order: publish -> m_attend
}

void
lent_ends(M *mp)
{
	mutex_lock(&sched.lock);
	store_rlx(&mp->lent, LENT_OVER); // order: under sched.lock; O1
	if (!mp->locked_idle)
		sched.n_lent_over++; // H1
	bool sleeps = mp->idle || mp->lent_spoilt;
	if (mp->idle) {
		midle_remove(mp);
	} else if (mp->lent_spoilt) {
		mp->lent_spoilt = false;
		sched.n_locked_idle--;
	}
	mutex_unlock(&sched.lock);
	if (sleeps)
		m_wake(mp);
	else
		call_to_attention(mp);
}

void
lent_leaves(M *mp)
{
	if (mp->spinning)
		stop_spinning(mp);
	if (mp->p != NULL)
		p_hand_off(p_release(mp));
}

// To the deadlock detector it is as an idle one.
void
lent_waits(M *mp)
{
	mutex_lock(&sched.lock);
	bool over = load_rlx(&mp->lent) == LENT_OVER; // order: under sched.lock
	if (!over) {
		note_clear(&mp->park);
		mp->lent_spoilt = true;
		sched.n_locked_idle++;
		check_dead();
	}
	mutex_unlock(&sched.lock);
	if (!over)
		m_rest(mp, &mp->park, INT64_MAX);
}

// --- lending it ---------------------------------------------------------------------------------

static void
main_body(void *v)
{
	MainHere *mn = v;
	mn->result = mn->fn(mn->arg);
	sched_enter();
	lent_ends(mn->mp); // and *mn may be gone
	sched_leave();
}

// waiter, the thread's own G, is to the others as one that is parked.
static void
become_ours(M *mp, G *waiter)
{
	store_rlx(&waiter->wait, WAIT_run_main);   // order: count
	store_rlx(&waiter->wait_since, os_nanotime()); // order: count
	store_rel(&waiter->status, Gwaiting);      // order: publish -> dumps
	mp->curg = NULL;
	mutex_lock(&sched.lock); // H1
	sched.n_threads++;
	sub_rlx(&sched.n_foreign, 1);   // order: own, under sched.lock
	store_rlx(&mp->lent, LENT);     // order: own
	mutex_unlock(&sched.lock);
}

static void
become_theirs(M *mp, G *waiter)
{
	mutex_lock(&sched.lock); // H1
	sched.n_threads--;
	sched.n_lent_over--;
	add_rlx(&sched.n_foreign, 1);   // order: own, under sched.lock
	store_rlx(&mp->lent, LENT_NOT); // order: own
	mutex_unlock(&sched.lock);
	mp->locked_g = NULL;
	mp->ends = false;
	mp->curg = waiter;
	lease_renew(&mp->lease);
	store_rlx(&waiter->status, Grunning); // order: own
}

// gp, which is not yet runnable, will run on mp.
static void
lock_to(M *mp, G *gp, ThreadLock kind)
{
	note_clear(&mp->park); // T4 in locked.c
	mp->locks[kind] = 1;
	mp->locked_g = gp;
	gp->locked = true;
	store_rlx(&gp->m, mp); // order: own, not yet runnable
}

int
sched_run_here(int (*fn)(void *), void *arg, ThreadLock kind)
{
	M *mp = sched_m();
	G *waiter = mp->curg;
	if (!waiter->thread)
		return GO_EINVAL;
	MainHere mn = {fn, arg, 0, mp};
	G *gp = sched_spawn_held(main_body, &mn, 0, NULL);
	if (gp == NULL)
		return GO_ENOMEM;
	uint64_t locks[THREAD_LOCKS]; // the thread's own, which say nothing while it is lent
	for (int i = 0; i < THREAD_LOCKS; i++) {
		locks[i] = mp->locks[i];
		mp->locks[i] = 0;
	}
	int64_t slack = os_thread_exact_timers(); // H6
	sched_main_begins(gp);
	become_ours(mp, waiter);
	lock_to(mp, gp, kind);
	sched_ready(gp);
	sched_run(mp);
	become_theirs(mp, waiter);
	os_thread_exact_no_more(slack);
	for (int i = 0; i < THREAD_LOCKS; i++)
		mp->locks[i] = locks[i];
	sched_main_ended();
	return mn.result;
}
