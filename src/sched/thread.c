// SPDX-License-Identifier: BSD-3-Clause
// Ms: threads of our own that run goroutines, and threads of the program that call in.
//
// Our own are made when a P has work and no M is idle, sleep in the idle list, and end when nobody
// needed them for IDLE_EXIT_MS. A thread of the program gets an M and a G at its first call (its
// lease is HELD for ever and it has no P) and gives them back when it ends. Records are never
// freed.
//
// When the system refuses a thread, thread_wanted is set, and from then on only the monitor asks it
// again, now and then: asking takes long, and whoever wakes somebody may hold locks. A P without an
// M idles meanwhile, and the Ms there are run everything.
//
// The sleeper: one idle M minds the timers of all Ps. It sleeps until the earliest is due; an
// earlier one wakes it. Another one, or the same, minds the descriptors: poll.c.
// Order:  O1  dekker: sched_timer_moved has P.timer_when stored, light fence, reads sleep_until;
//             the sleeper stores sleep_until, or who makes a P idle stores n_pidle; heavy fence;
//             reads every P.timer_when again.
//         O2  M.next_p and M.spinning are written before note_wake, read after note_sleep.
//         O3  dekker: an M that wakes stores resting = 0, light fence, reads rest_held;
//             sched_rest_hold stores rest_held, heavy fence, and then resting is read.
#include "sched/fiber.h"
#include "sched/sched_impl.h"

// --- records ----------------------------------------------------------------------------------

static M *
record_get(void)
{
	mutex_lock(&sched.lock);
	M *mp = sched.m_free;
	if (mp != NULL)
		sched.m_free = mp->link;
	mutex_unlock(&sched.lock);
	if (mp != NULL) {
		mp->link = NULL;
		return mp;
	}
	mp = os_alloc(sizeof *mp);
	if (mp == NULL)
		return NULL;
	mp->id = add_rlx(&sched.m_id_gen, 1) + 1; // order: count; 0 is the monitor
	mp->rand = base_mix(base_seed + mp->id * 7919);
	mutex_lock(&sched.lock);
	mp->all_next = load_rlx(&sched.all_m); // order: own, under the lock
	store_rel(&sched.all_m, mp);           // order: publish -> sched_ms
	mutex_unlock(&sched.lock);
	return mp;
}

static void
record_put(M *mp)
{
	mp->locked_g = NULL;
	mp->locks[LOCK_EXTERNAL] = mp->locks[LOCK_INTERNAL] = 0;
	mp->ends = false;
	mutex_lock(&sched.lock);
	mp->link = sched.m_free;
	sched.m_free = mp;
	mutex_unlock(&sched.lock);
}

// What a thread sets up on itself before it is an M.
static void
settle(M *mp)
{
	mp->tp = os_thread_pointer();
	os_thread_stack(&mp->stack_lo, &mp->stack_hi);
	mp->g0_sp = NULL;
	store_rlx(&mp->resting, 0); // order: published by tid; a thread may be torn from its rest
	store_rel(&mp->tid, os_thread_id()); // order: publish -> gc, monitor
	mp->errno_addr = os_errno_addr();
	mp->signal_stack = up_thread_starts();
	os_signal_unblock_faults();
	fiber_thread(mp);
	lease_renew(&mp->lease);
	store_rlx(&mp->lease.inrt, 1); // order: own, nobody has heard of us yet
	arch_tls_set_m(mp);
}

static void
unsettle(M *mp)
{
	store_rel(&mp->tid, 0); // order: publish -> gc: what follows may be another thread's
	arch_tls_set_m(NULL);
	arch_set_stack_limit(0); // destructors of keys may be code that looks at it
	up_thread_ends(mp->signal_stack);
	mp->signal_stack = NULL;
}

// --- our own threads --------------------------------------------------------------------------

static void
thread_main(void *v)
{
	M *mp = v;
	settle(mp);
	os_thread_name("undergo");
	(void)os_thread_exact_timers(); // for ever
	os_signal_mask_as_started();
	P *pp = mp->next_p;
	mp->next_p = NULL;
	p_acquire(mp, pp);
	sched_run(mp);
	unsettle(mp);
	record_put(mp);
}

// mp's locked G has ended: the thread returns to libc, which calls the destructors of the program's
// keys. One of the program's waits until it is given back.
void
m_ends(M *mp)
{
	if (mp->p != NULL)
		p_hand_off(p_release(mp));
	if (load_rlx(&mp->lent) != LENT_NOT) { // order: own
		lent_waits(mp);
		return;
	}
	mutex_lock(&sched.lock);
	sched.n_threads--;
	check_dead();
	mutex_unlock(&sched.lock);
}

// --- births -----------------------------------------------------------------------------------

// Whether a thread that the caller makes inherits nothing but what the process had when we were
// started. Threads without an M are the monitor and the collector's. The locks of an M whose
// locked G has ended stay counted until its thread is gone.
static bool
clean(void)
{
	M *mp = sched_m();
	return mp == NULL || (!mp->foreign && mp->locks[LOCK_EXTERNAL] == 0 &&
			      mp->locks[LOCK_INTERNAL] == 0);
}

// The monitor makes it, in its turn; b is its own from here on until it is made.
static void
birth_ask(Birth *b)
{
	mutex_lock(&sched.lock);
	Birth *first = load_rlx(&sched.births); // order: own, under sched.lock
	b->next = first;
	store_rlx(&sched.births, b); // order: published by monitor_hurry's fence
	mutex_unlock(&sched.lock);
	monitor_hurry();
}

static Birth *
births_take(void)
{
	mutex_lock(&sched.lock);
	Birth *all = load_rlx(&sched.births); // order: own, under sched.lock
	store_rlx(&sched.births, NULL);       // order: own, under sched.lock
	mutex_unlock(&sched.lock);
	return all;
}

static void unborn(M *mp);

// While thread_wanted is set only the monitor asks for another.  T7 in locked.c
static void
thread_made(void)
{
	mutex_lock(&sched.lock);
	if (load_rlx(&sched.thread_wanted) == 0) // order: under sched.lock
		sched.refused = false;
	mutex_unlock(&sched.lock);
}

void
births_serve(void)
{
	if (load_rlx(&sched.births) == NULL) // order: hint, whoever asks wakes us
		return;
	for (Birth *next, *b = births_take(); b != NULL; b = next) {
		next = b->next;
		Note *done = b->done;
		M *mp = b->arg; // unless somebody waits; b may be reused when its thread runs
		int err = b->start(b->fn, b->arg);
		if (done != NULL) {
			b->err = err;
			note_wake(done);
		} else if (err != 0) {
			unborn(mp);
		}
		if (err == 0)
			thread_made();
	}
}

static int
start_clean(void (*fn)(void *), void *arg, StartFn *start)
{
	if (clean())
		return start(fn, arg);
	Note done = {0};
	Birth b = {fn, arg, start, 0, &done, NULL};
	birth_ask(&b);
	note_sleep(&done, INT64_MAX);
	return b.err;
}

int
sched_thread_start(void (*fn)(void *arg), void *arg)
{
	return start_clean(fn, arg, os_thread_start);
}

static void
lose_thread(void)
{
	mutex_lock(&sched.lock);
	sched.n_threads--;
	sched.threads_made--;
	mutex_unlock(&sched.lock);
}

static void
tell_thread_limit(const void *limit)
{
	print_str("runtime: program exceeds ");
	print_u64(*(const uint32_t *)limit);
	print_str("-thread limit\n");
}

uint32_t
sched_set_max_threads(uint32_t n)
{
	mutex_lock(&sched.lock);
	uint32_t old = sched.max_threads;
	sched.max_threads = n;
	bool room = sched.n_threads < n; // the monitor is one too
	mutex_unlock(&sched.lock);
	if (!room)
		fatal_after(tell_thread_limit, &n, "thread exhaustion");
	return old;
}

// pp cannot get a thread: a locked G that waits for a P has it, or it idles, and its work waits for
// all, until the monitor gets one.
static COLD void
do_without(P *pp, bool spinning)
{
	bool given = false;
	M *to = NULL;
	p_empty(pp);
	mutex_lock(&sched.lock);
	if (spinning)
		sub_rlx(&sched.n_spinning, 1); // order: the monitor stands for us
	sched.refused = true;
	store_rlx(&sched.thread_wanted, 1);    // order: hint, under sched.lock
	if (load_rlx(&sched.stopping) != 0)    // order: own, under sched.lock
		world_p_stopped(pp);
	else if (!(given = locked_give_vacant(pp, &to)))
		pidle_put(pp);
	if (!given)
		p_run_safe_point(pp); // nobody else would
	locked_mind();
	check_dead(); // who fell asleep meanwhile has counted the thread that was not to be
	monitor_wake();
	mutex_unlock(&sched.lock);
	if (to != NULL)
		note_wake(&to->park);
}

// mp's thread cannot be had.
static COLD void
unborn(M *mp)
{
	P *pp = mp->next_p;
	bool spinning = mp->spinning;
	mp->spinning = false;
	mp->next_p = NULL;
	record_put(mp);
	lose_thread();
	do_without(pp, spinning);
}

static bool
thread_new(P *pp, bool spinning, StartFn *start, bool waits)
{
	mutex_lock(&sched.lock);
	uint32_t limit = sched.max_threads;
	bool room = sched.n_threads + 1 < limit; // the monitor is one too
	bool refused = sched.refused;
	sched.n_threads++;
	sched.threads_made++;
	mutex_unlock(&sched.lock);
	if (!room)
		fatal_after(tell_thread_limit, &limit, "thread exhaustion");
	M *mp = record_get();
	if (mp != NULL) {
		mp->foreign = false;
		mp->spinning = spinning;
		mp->next_p = pp;
		if (!waits && !clean()) {
			mp->birth = (Birth){thread_main, mp, start, 0, NULL, NULL};
			birth_ask(&mp->birth);
			return true; // or it will idle
		}
		if (start_clean(thread_main, mp, start) == 0) {
			if (refused)
				thread_made();
			return true;
		}
		unborn(mp);
		return false;
	}
	lose_thread();
	do_without(pp, spinning);
	return false;
}

bool
thread_start(P *pp, bool spinning)
{
	mutex_lock(&sched.lock);
	M *mp = midle_get();
	bool vain = mp == NULL && load_rlx(&sched.thread_wanted) != 0; // order: under sched.lock
	mutex_unlock(&sched.lock);
	if (vain) {
		do_without(pp, spinning);
		return false;
	}
	if (mp == NULL)
		return thread_new(pp, spinning, os_thread_start, false);
	mp->spinning = spinning;
	mp->next_p = pp;
	add_rlx(&sched.wakeups, 1); // order: count
	m_wake(mp);
	return true;
}

bool
thread_retry(P *pp)
{
	return thread_new(pp, false, os_thread_start, false);
}

bool
thread_reserve(void)
{
	mutex_lock(&sched.lock);
	P *pp = sched.n_threads == 0 ? pidle_get() : NULL;
	if (pp != NULL)
		store_rlx(&pp->status, Prunning); // order: own
	mutex_unlock(&sched.lock);
	return pp == NULL || thread_new(pp, false, os_thread_start_patient, true);
}

// --- resting ----------------------------------------------------------------------------------

M *
sched_ms(void)
{
	return load_acq(&sched.all_m); // order: observe <- record_get
}

void
sched_rest_hold(void)
{
	store_rlx(&sched.rest_held, 1); // order: dekker with m_rest, O3
	fence_heavy();
}

void
sched_rest_release(void)
{
	store_rel(&sched.rest_held, 0); // order: publish -> m_rest
	os_futex_wake(&sched.rest_held, INT32_MAX);
}

static COLD void
wait_for_release(void)
{
	while (load_acq(&sched.rest_held) != 0) // order: observe <- sched_rest_release
		os_futex_wait(&sched.rest_held, 1, INT64_MAX);
}

// What the callers keep in registers is on this frame before anyone may look: in kept, or where the
// compiler has saved what it needed itself, which may lie below kept.
NOINLINE bool
m_rest_in(M *mp, RestFn *fn, void *arg, int64_t deadline)
{
	uint64_t kept[ARCH_KEPT_WORDS];
	arch_kept(kept);
	mp->rest_sp = arch_sp();
	store_rel(&mp->resting, 1); // order: publish -> gc, after rest_sp
	bool woken = fn(arg, deadline);
	store_rlx(&mp->resting, 0); // order: dekker with sched_rest_hold, O3
	fence_light();
	if (unlikely(load_acq(&sched.rest_held) != 0)) // order: observe <- sched_rest_release
		wait_for_release();
	return woken;
}

static bool
rest_on_note(void *n, int64_t deadline)
{
	return note_sleep(n, deadline);
}

bool
m_rest(M *mp, Note *n, int64_t deadline)
{
	return m_rest_in(mp, rest_on_note, n, deadline);
}

// --- sleeping ---------------------------------------------------------------------------------

int64_t
first_timer(void)
{
	int64_t first = INT64_MAX;
	ProcSnapshot procs = sched_procs();
	for (uint32_t i = 0; i < procs.n; i++) {
		int64_t when = load_acq(&procs.p[i]->timer_when); // order: observe <- timers
		if (when < first)
			first = when;
	}
	return first;
}

enum { MINDS_TIMERS = 1, MINDS_DESCRIPTORS = 2 };

// Into the idle list; as the sleeper when there is a deadline and no sleeper yet, and into the
// poller when somebody waits for a descriptor, a P idles, and nobody is there: I5 in poll.c.
static uint32_t
lie_down(M *mp, int64_t deadline)
{
	uint32_t minds = 0;
	mutex_lock(&sched.lock);
	note_clear(&mp->park);
	midle_put(mp);
	if (deadline != INT64_MAX && sched.sleeper == NULL) {
		sched.sleeper = mp;
		store_rlx(&sched.sleep_until, deadline); // order: dekker, O1
		minds |= MINDS_TIMERS;
	}
	// order: own, under the lock, dekker with sched_poll_waits (poll.c, O1), and observe <- it
	if (load_acq(&sched.polled) != 0 && load_rlx(&sched.poller) == NULL &&
	    load_rlx(&sched.n_pidle) != 0) { // order: own, under the lock
		store_rlx(&sched.poller, mp); // order: own, under the lock
		mp->polls = true;
		minds |= MINDS_DESCRIPTORS;
	}
	check_dead();
	mutex_unlock(&sched.lock);
	return minds;
}

// Takes mp out of the idle list unless somebody else has, who then is about to wake it. `ends`: the
// thread will end, in one step with that: in between check_dead would take it for somebody awake.
static bool
get_up(M *mp, bool ends)
{
	mutex_lock(&sched.lock);
	bool ours = mp->idle;
	if (ours) {
		midle_remove(mp);
		if (ends)
			sched.n_threads--;
	}
	mutex_unlock(&sched.lock);
	return ours;
}

// Until when, for an M that minds this much.
static int64_t
rest_until(const M *mp, uint32_t minds, int64_t deadline)
{
	uint32_t lent = load_rlx(&mp->lent); // order: own, or under sched.lock, in lie_down
	if (lent == LENT_OVER)
		return 0;
	if (minds == 0)
		return lent != LENT_NOT
			       ? INT64_MAX
			       : base_deadline(os_nanotime(), IDLE_EXIT_MS * GO_MSEC);
	if ((minds & MINDS_TIMERS) == 0)
		return INT64_MAX;
	fence_heavy(); // order: dekker with sched_timer_moved, O1
	int64_t first = first_timer();
	return first < deadline ? first : deadline;
}

// For who wakes an M that he has taken out of the idle list: until then it goes nowhere.
void
m_wake(M *mp)
{
	bool polls = mp->polls;
	note_wake(&mp->park);
	if (polls)
		up_poll_ring();
}

// Sleeps. False: the M is to end.
static bool
sleep_minding(M *mp, uint32_t minds, int64_t deadline, PollSleep *s)
{
	s->mp = mp;
	s->n = 0;
	bool polls = (minds & MINDS_DESCRIPTORS) != 0;
	bool woken = polls ? m_rest_in(mp, poll_sleep, s, deadline)
			   : m_rest(mp, &mp->park, deadline);
	if (woken)
		return true;
	bool stays = minds != 0 || load_rlx(&mp->lent) != LENT_NOT; // order: own
	if (get_up(mp, !stays))
		return stays;
	m_rest(mp, &mp->park, INT64_MAX);
	return true;
}

bool
m_stop(M *mp, int64_t deadline)
{
	PollSleep s;
	uint32_t minds = lie_down(mp, deadline);
	if (!sleep_minding(mp, minds, rest_until(mp, minds, deadline), &s))
		return false;
	P *pp = mp->next_p;
	mp->next_p = NULL;
	if (pp != NULL)
		p_acquire(mp, pp);
	if ((minds & MINDS_DESCRIPTORS) != 0)
		poll_left(mp, &s);
	return true;
}

void
sched_timer_moved(int64_t when)
{
	M *mp = sched_m();
	if (mp != NULL && mp->p != NULL)
		fence_light(); // order: dekker with m_stop, O1: timer_when stored, sleep_until read
	else
		fence_seq(); // order: the same, and with fence_idle, O3 of find.c
	int64_t until = load_rlx(&sched.sleep_until);
	if (until == 0) {
		if (load_rlx(&sched.n_pidle) != 0) // order: hint; busy Ps look at their own timers
			sched_wake();              // who finds nothing and becomes the sleeper
		return;
	}
	if (when >= until)
		return;
	mutex_lock(&sched.lock);
	mp = sched.sleeper;
	if (mp != NULL)
		midle_remove(mp);
	mutex_unlock(&sched.lock);
	if (mp != NULL)
		m_wake(mp);
}

// --- threads of the program -------------------------------------------------------------------

static void
detach(void *v)
{
	M *mp = v;
	G *gp = mp->curg;
	arch_tls_set_m(mp); // the destructor runs with the thread's words intact, or a new set
	store_rlx(&mp->lease.inrt, 1); // order: own, no P
	if (gp->locals != NULL || gp->open_scopes != 0)
		up_g_ends(gp);
	unsettle(mp);
	mp->curg = NULL;
	g_thread_done(gp);
	record_put(mp);
	mutex_lock(&sched.lock);
	sub_rel(&sched.n_foreign, 1); // order: publish -> check_dead
	check_dead();
	mutex_unlock(&sched.lock);
}

void
threads_init(void)
{
	os_thread_exit_key(detach);
}

M *
m_attach(void)
{
	M *mp = record_get();
	G *gp = mp != NULL ? g_for_thread() : NULL;
	if (gp == NULL) {
		if (mp != NULL)
			record_put(mp);
		return NULL;
	}
	mp->foreign = true;
	mp->curg = gp;
	store_rlx(&gp->m, mp); // order: hint
	add_rel(&sched.n_foreign, 1); // order: publish -> check_dead
	settle(mp);
	os_thread_exit_set(mp);
	return mp;
}

// A parked thread is counted in n_foreign_parked, for check_dead, while nobody has woken it:
//   0 awake, or woken;  FOREIGN_PARKING it is giving up the lock that its waker needs;  1 counted
enum { FOREIGN_PARKING = 2 };

// gp will park. Called before it can be woken.
void
foreign_parks(G *gp)
{
	store_rlx(&gp->counted, FOREIGN_PARKING); // order: own, the waker is not told yet
}

// The waker's side.
void
foreign_wakes(G *gp)
{
	if (xchg_ar(&gp->counted, 0) == 1)           // order: claim
		sub_rel(&sched.n_foreign_parked, 1); // order: publish -> check_dead
}

// gp can be woken by now, and if it has not been will sleep without a deadline: was it the last one
// awake? Under the lock, so that no one sees it counted who did not see it woken.
void
foreign_sleeps(G *gp)
{
	uint32_t s = FOREIGN_PARKING;
	mutex_lock(&sched.lock);
	add_rel(&sched.n_foreign_parked, 1); // order: publish -> check_dead
	if (cas_ar(&gp->counted, &s, 1))     // order: claim, against foreign_wakes
		check_dead();
	else
		sub_rel(&sched.n_foreign_parked, 1); // order: publish -> check_dead
	mutex_unlock(&sched.lock);
}
