// SPDX-License-Identifier: BSD-3-Clause
// A locked goroutine's M against those who wake the goroutine, take it from the global queue or
// make threads: src/sched/locked.c with what lies below it, and the monitor's way of being asked
// (src/sched/sysmon.c), with the engine's lock and the real notes.
//
// Thread 0 is an M of a locked G that lets go and wants to run again. Thread 1 wakes it. Thread 2
// is the monitor, which makes threads. The others are Ms that look for work and never keep what
// they find: it is a number. When nothing moves any more the locked G has run as often as it was
// woken, on its own M with a P, nobody else has had it, and no work lies beside an idle P.
//
// Or thread 0 is an M that the program has lent (src/sched/lent.c), and thread 1 ends that: the M
// has left, and after it was told has not gone from one G to the next past the scheduler. And
// check_dead tells of a deadlock when there is one.
#include "explore_locked.h"

// Thread 3 looks for work with the other P.
static void
init_two(void)
{
	begin(2, 5);
	looks(3, 1);
}

// The same, with work on the locked M's P.
static void
init_work(void)
{
	begin(2, 6);
	p_put_tail(&ps[0], make());
	p_put_tail(&ps[0], make());
	pidle_put(&ps[1]);
}

// One P, and work on it: another M has to be made, by the monitor.
static void
init_one(void)
{
	begin(1, 5);
	p_put_tail(&ps[0], make());
}

static void
woken_once(int id)
{
	if (id == LOCKED) {
		explore_words.m = &ms[LOCKED];
		park();
	} else if (id == WAKER) {
		wake();
	} else {
		others(id);
	}
}

static void
woken_twice(int id)
{
	if (id == LOCKED) {
		explore_words.m = &ms[LOCKED];
		park();
		park();
	} else if (id == WAKER) {
		wake();
		wake();
	} else {
		others(id);
	}
}

// It yields, while somebody puts work into the global queue.
static void
yields(int id)
{
	if (id == LOCKED) {
		explore_words.m = &ms[LOCKED];
		locked_yields(&gs[0]);
		run_locked();
	} else if (id == WAKER) {
		mutex_lock(&sched.lock);
		globq_put(make());
		mutex_unlock(&sched.lock);
		sched_wake_after_put();
	} else {
		others(id);
	}
}

// It has lost its P, and comes back while the other P goes idle, or does not.
static void
init_lost(void)
{
	begin(2, 5);
	pidle_put(p_release(&ms[LOCKED]));
	P *pp = pidle_get(); // lost to thread 3
	EXPLORE_CHECK(pp == &ps[0], "the only one");
	looks(3, 0);
	pidle_put(&ps[1]);
	pp = pidle_get(); // to thread 4
	looks(4, 1);
}

static void
lost(int id)
{
	if (id == LOCKED) {
		explore_words.m = &ms[LOCKED];
		locked_lost_p(&gs[0]);
		run_locked();
	} else if (id != WAKER) {
		others(id);
	}
}

// It ends, with work on its P.
static void
ends(int id)
{
	if (id == LOCKED) {
		explore_words.m = &ms[LOCKED];
		ms[LOCKED].curg = &gs[0];
		locked_ends(&ms[LOCKED]);
		EXPLORE_CHECK(find_locked(&ms[LOCKED]) == NULL, "it does not end");
		EXPLORE_CHECK(ms[LOCKED].p == NULL, "it ends with a P");
	} else if (id == WAKER) {
		mutex_lock(&sched.lock);
		globq_put(make());
		mutex_unlock(&sched.lock);
		sched_wake_after_put();
	} else {
		others(id);
	}
}

// --- an M that is lent --------------------------------------------------------------------------

static int left;
static ATOMIC_U32 told;

static void
become_lent(void)
{
	M *mp = &ms[LOCKED];
	left = 0;
	memset(&told, 0, sizeof(told));
	p_release(mp);
	mp->locked_g = NULL;
	mp->locks[LOCK_EXTERNAL] = 0;
	gs[0].locked = false;
	store_rlx(&mp->lent, LENT);
	store_rlx(&ps[0].attention, 0);
	p_acquire(mp, &ps[0]);
}

static void
init_lent(void)
{
	begin(2, 5);
	become_lent();
	looks(3, 1);
}

static void
init_lent_work(void)
{
	begin(1, 5);
	become_lent();
	p_put_tail(&ps[0], make());
	p_put_tail(&ps[0], make());
	p_put_tail(&ps[0], make());
}

// It sleeps, and another M gives it the only P, with work.
static void
init_lent_given(void)
{
	begin(1, 5);
	become_lent();
	store_rlx(&ps[0].attention, 0);
	p_release(&ms[LOCKED]);
	looks(3, 0);
	for (int i = 0; i < 4; i++)
		p_put_tail(&ps[0], make());
}

// A G has ended there locked to it.
static void
init_spoilt(void)
{
	begin(2, 5);
	store_rlx(&ms[LOCKED].lent, LENT);
	ms[LOCKED].ends = true;
	left = 0;
	memset(&told, 0, sizeof(told));
	looks(3, 1);
}

static void
take(G *gp)
{
	EXPLORE_CHECK(++taken[gp - gs] == 1, "a G was taken twice");
}

// What switch.c does: the G is off its stack. Whether it goes on, by and by, is for who takes it.
void
sched_wait_for_p(G *gp, void (*after)(void *))
{
	sched_m()->curg = NULL;
	after(gp);
}

static bool blocks; // the first G does, for a while, in user code

// Its first G is in user code, where the P may be taken, and readies another one afterwards. False:
// it has no P, and waits for one.
static bool
be_outside(M *mp, G *gp)
{
	mp->curg = gp;
	sched_leave();
	(void)sched_enter();
	if (mp->curg == NULL) {
		taken[gp - gs] = 0;
		return false;
	}
	p_put_next(mp->p, make());
	return true;
}

// As run, with the switches from one G to the next that pass the scheduler by.
static void
run_lent(M *mp)
{
	for (G *gp; (gp = find_runnable(mp)) != NULL;) {
		if (mp->spinning)
			stop_spinning(mp);
		do {
			take(gp);
			if (PLAIN_READ(blocks)) {
				PLAIN_WRITE(blocks, false);
				if (!be_outside(mp, gp))
					break;
			}
			bool was_told = load_acq(&told) != 0;
			gp = load_rlx(&mp->p->attention) == 0 ? p_take(mp->p) : NULL;
			EXPLORE_CHECK(!(was_told && gp != NULL), "it goes on though it is over");
		} while (gp != NULL);
	}
}

static void
lent(int id)
{
	M *mp = &ms[LOCKED];
	if (id == LOCKED) {
		explore_words.m = mp;
		if (mp->ends)
			EXPLORE_CHECK(find_locked(mp) == NULL, "it does not end");
		else
			run_lent(mp);
		EXPLORE_CHECK(mp->p == NULL && !mp->spinning, "it leaves with a P");
		PLAIN_WRITE(left, 1);
	} else if (id == WAKER) {
		lent_ends(mp);
		store_rel(&told, 1);
	} else {
		others(id);
	}
}

// The monitor takes the P of a G in user code; there is another one. Two threads can be had, or one
// of the Ps might wait for the monitor to ask again, which nobody is here.
static void
init_lent_outside(void)
{
	begin(2, 6);
	become_lent();
	blocks = true;
	given[MONITOR + 1] = &ms[LOCKED]; // it is no M
	p_put_tail(&ps[0], make());
	pidle_put(&ps[1]);
}

static void
lent_outside(int id)
{
	if (id == MONITOR + 1)
		(void)retake(&ps[0], &ms[LOCKED]);
	else
		lent(id);
}

// --- a lent M, and whether all are dead ---------------------------------------------------------

// Thread 3 has the M of the main goroutine, which ends.
static void
init_lent_dead(void)
{
	begin(2, 5);
	left = 0;
	sched.n_threads = 2;
	store_rlx(&sched.n_run_main, 1);
	looks(3, 1);
}

// A G that is locked to the thread keeps it.
static void
init_kept(void)
{
	init_lent_dead();
	store_rlx(&ms[LOCKED].lent, LENT);
}

static void
init_not_kept(void)
{
	init_lent_dead();
	become_lent();
}

static void
end_main(int id)
{
	explore_may_sleep(true);
	explore_words.m = &ms[id];
	lent_ends(&ms[LOCKED]);
	run(&ms[id]);
}

static void
return_to_program(M *mp)
{
	while (find_runnable(mp) != NULL)
		explore_fail("there is nothing to run");
	become_theirs(mp, &gs[2]);
	PLAIN_WRITE(left, 1);
}

// The thread goes on, and waits for ever.
static void
not_kept(int id)
{
	if (id == LOCKED) {
		explore_words.m = &ms[LOCKED];
		return_to_program(&ms[LOCKED]);
		EXPLORE_CHECK(load_rlx(&sched.dead_suspect) == 0, "dead, while it goes back");
		foreign_parks(&gs[2]);
		foreign_sleeps(&gs[2]);
	} else if (id == MONITOR + 1) {
		end_main(id);
	} else if (id != WAKER) {
		others(id);
	}
}

// It keeps it for ever.
static void
kept(int id)
{
	explore_may_sleep(id == LOCKED);
	if (id == LOCKED) {
		explore_words.m = &ms[LOCKED];
		run_locked();
	} else {
		not_kept(id);
	}
}

// Until it is woken.
static void
kept_until_woken(int id)
{
	if (id == LOCKED) {
		explore_words.m = &ms[LOCKED];
		park();
		ms[LOCKED].locked_g = NULL;
		ms[LOCKED].locks[LOCK_EXTERNAL] = 0;
		return_to_program(&ms[LOCKED]);
	} else if (id == WAKER) {
		wake();
	} else {
		not_kept(id);
	}
}

static void
lent_given(int id)
{
	if (id == MONITOR + 1) {
		explore_words.m = &ms[id];
		p_hand_off(p_release(&ms[id]));
	} else {
		lent(id);
	}
}

// --- what is left -------------------------------------------------------------------------------

static void
books(int wanted)
{
	bool work = sched.globq.n != 0;
	uint32_t idle = 0, used = 0;
	for (uint32_t i = 0; i < n_ps; i++) {
		work |= p_has_work(&ps[i]);
		used += EXPLORE_RAW(&ps[i].m) != NULL;
	}
	for (P *pp = sched.pidle; pp != NULL; pp = pp->link)
		idle++;
	EXPLORE_CHECK(runs == wanted, "the locked G did not run");
	EXPLORE_CHECK(sched.n_locked_idle == 0 && !ms[LOCKED].locked_idle, "it counts as asleep");
	EXPLORE_CHECK(load_rlx(&sched.n_spinning) == 0, "somebody is counted as spinning");
	EXPLORE_CHECK(load_rlx(&sched.births) == NULL, "a thread was not made");
	EXPLORE_CHECK(idle + used == n_ps, "a P is neither idle nor in use");
	EXPLORE_CHECK(!(work && idle != 0), "work beside an idle P");
}

static void
final_none(void)
{
	books(0);
}

static void
final_once(void)
{
	books(1);
}

static void
final_twice(void)
{
	books(2);
}

static void
final_kept(void)
{
	EXPLORE_CHECK(ms[LOCKED].locked_idle, "it does not sleep");
	EXPLORE_CHECK(load_rlx(&sched.dead_suspect) != 0, "nobody tells of the deadlock");
}

static void
final_not_kept(void)
{
	EXPLORE_CHECK(left == 1, "the lent M did not leave");
	EXPLORE_CHECK(sched.n_lent_over == 0, "it counts as on its way");
	EXPLORE_CHECK(load_rlx(&sched.dead_suspect) != 0, "nobody tells of the deadlock");
}

static void
final_kept_until_woken(void)
{
	EXPLORE_CHECK(left == 1, "the lent M did not leave");
	EXPLORE_CHECK(sched.n_lent_over == 0, "it counts as on its way");
	EXPLORE_CHECK(load_rlx(&sched.n_foreign) == 1, "whose it is");
}

static void
final_lent(void)
{
	books(0);
	EXPLORE_CHECK(left == 1, "the lent M did not leave");
	EXPLORE_CHECK(!ms[LOCKED].lent_spoilt && !ms[LOCKED].idle, "it counts as asleep");
}

static const struct ExploreTest tests[] = {
    {.name = "woken", .threads = 5, .init = init_two, .thread = woken_once, .final = final_once},
    {.name = "woken twice",
     .threads = 5,
     .init = init_two,
     .thread = woken_twice,
     .final = final_twice},
    {.name = "with work",
     .threads = 6,
     .init = init_work,
     .thread = woken_twice,
     .final = final_twice},
    {.name = "on one P",
     .threads = 5,
     .init = init_one,
     .thread = woken_twice,
     .final = final_twice},
    {.name = "yields", .threads = 5, .init = init_one, .thread = yields, .final = final_once},
    {.name = "has lost its P",
     .threads = 5,
     .init = init_lost,
     .thread = lost,
     .final = final_once},
    {.name = "ends", .threads = 5, .init = init_one, .thread = ends, .final = final_none},
    {.name = "lent", .threads = 5, .init = init_lent, .thread = lent, .final = final_lent},
    {.name = "lent, with work",
     .threads = 5,
     .init = init_lent_work,
     .thread = lent,
     .final = final_lent},
    {.name = "lent, given a P",
     .threads = 5,
     .init = init_lent_given,
     .thread = lent_given,
     .final = final_lent},
    {.name = "lent and spoilt",
     .threads = 5,
     .init = init_spoilt,
     .thread = lent,
     .final = final_lent},
    {.name = "lent, in user code",
     .threads = 6,
     .init = init_lent_outside,
     .thread = lent_outside,
     .final = final_lent},
    {.name = "lent, and kept",
     .threads = 5,
     .init = init_kept,
     .thread = kept,
     .final = final_kept},
    {.name = "lent, and not kept",
     .threads = 5,
     .init = init_not_kept,
     .thread = not_kept,
     .final = final_not_kept},
    {.name = "lent, and kept until it is woken",
     .threads = 5,
     .init = init_kept,
     .thread = kept_until_woken,
     .final = final_kept_until_woken},
    {0},
};

static const char *const sources[] = {"sched/locked.c", "sched/lent.c", "sched/sysmon.c",
				      "sched/find.c:find_runnable", NULL};

static const struct ExploreAllowed allowed[] = {
    {"monitor_doze", "store_rel(&sched.monitor_dozes)", "release",
     "a store is never late in the model: the note is clear before anyone can swap it"},
    {"monitor_hurry", "xchg_acq(&sched.monitor_dozes)", "acquire", "the same"},
    {"call_to_attention", "store_rel(&procs.p[i]->attention)", "release",
     "m_attend takes sched.lock, under which LENT_OVER was stored"},
    {0},
};

const struct ExploreDriver explore_driver = {
    .name = "locked",
    .tests = tests,
    .allowed = allowed,
    .sources = sources,
};
