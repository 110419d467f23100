// SPDX-License-Identifier: BSD-3-Clause
// Locked goroutines from inside: the program's locks and the runtime's count for themselves, a P
// that comes back to one asks for the scheduler, a thread that ends with its goroutine asks the
// system for no memory, and where threads are refused one of them minds timers. And a thread that
// was lent is given back.
#include <pthread.h>

#include "goroutines.h"
#include "os/os.h"
#include "sched/sched_impl.h"

// --- counts -------------------------------------------------------------------------------------

static bool
is_locked(void)
{
	sched_enter();
	bool locked = sched_g()->locked;
	expect(locked == (sched_m()->locked_g == sched_g()));
	sched_leave();
	return locked;
}

static void
lock_inside(void)
{
	sched_enter();
	sched_lock_thread(LOCK_INTERNAL);
	sched_leave();
}

static void
unlock_inside(void)
{
	sched_enter();
	sched_unlock_thread(LOCK_INTERNAL);
	sched_leave();
}

GO_TEST(locked_counts_apart, 2)
{
	expect(!is_locked());
	unlock_inside();
	lock_inside();
	go_unlock_os_thread(); // of the program's there is none
	expect(is_locked());
	go_lock_os_thread();
	unlock_inside();
	expect(is_locked());
	unlock_inside(); // of the runtime's there is none left
	expect(is_locked());
	lock_inside();
	lock_inside();
	go_unlock_os_thread();
	unlock_inside();
	expect(is_locked());
	unlock_inside();
	expect(!is_locked());
	go_lock_os_thread();
	expect(is_locked());
	go_unlock_os_thread();
	expect(!is_locked());
}

// --- attention ----------------------------------------------------------------------------------

static void
pass(void *unused)
{
	(void)unused;
}

// Loses its P to work that is soon done, and regains one that idles. Without T2 the next G of that
// P would be switched to on the locked thread.
static void
lose_and_regain_p(void)
{
	expect_eq(go_spawn(pass, NULL), 0);
	go_block_begin();
	while (load_acq(&sched.n_pidle) == 0) // order: observe <- pidle_put
		block_thread_for(100 * GO_USEC);
	go_block_end();
	sched_enter();
	expect(load_rlx(&sched_m()->p->attention) != 0); // order: own
	sched_leave();
}

GO_TEST(locked_regains_p_with_attention, 1)
{
	go_lock_os_thread();
	for (int i = 0; i < 20; i++)
		lose_and_regain_p();
	go_unlock_os_thread();
}

// --- memory -------------------------------------------------------------------------------------

enum { ENDERS = 8, HOLDERS = 12 };

static Count arrived;
static atomic_int tids[ENDERS];

static void
end_when_told(void *chan)
{
	long i = -1;
	go_lock_os_thread();
	expect_eq(go_chan_recv(chan, &i, GO_NEVER), 0);
	atomic_store(&tids[i], os_thread_id());
}

static void
hold_thread(void *unused)
{
	(void)unused;
	block_thread_for(20 * GO_MSEC);
	count_add(&arrived);
}

static uint64_t
asked_for(void)
{
	return os_fault_count("alloc") + os_fault_count("map") + os_fault_count("thread");
}

static void
hold_until_all_do(void *all)
{
	count_add(&arrived);
	while (count_of(&arrived) < (long)(intptr_t)all)
		block_thread_for(GO_MSEC);
}

// Threads that idle take over what the ending ones let go; so none is made meanwhile.
static void
make_idle_threads(void)
{
	long all = count_of(&arrived) + HOLDERS;
	for (int i = 0; i < HOLDERS; i++)
		expect_eq(go_spawn(hold_until_all_do, (void *)(intptr_t)all), 0);
	until(count_of(&arrived) == all);
}

// A thread that was made and has not come to rest yet would ask for its signal stack.
static bool
others_are_idle(void)
{
	mutex_lock(&sched.lock);
	bool so = sched.n_locked_idle == ENDERS &&
		  sched.n_midle + ENDERS + 1 == sched.n_threads;
	mutex_unlock(&sched.lock);
	return so;
}

static uint64_t
end_all(void)
{
	go_chan *c = go_chan_new(sizeof(long), 0);
	for (int i = 0; i < ENDERS; i++)
		expect_eq(go_spawn(end_when_told, c), 0);
	make_idle_threads();
	until(others_are_idle());
	uint64_t before = asked_for();
	for (long i = 0; i < ENDERS; i++) {
		atomic_store(&tids[i], 0);
		expect_eq(go_chan_send(c, &i, GO_NEVER), 0);
		until(atomic_load(&tids[i]) != 0 && os_thread_gone(atomic_load(&tids[i])));
	}
	uint64_t asked = asked_for() - before;
	go_chan_free(c);
	return asked;
}

static int
end_twice(void *unused)
{
	(void)unused;
	(void)end_all(); // whatever grows does so now
	expect_eq(end_all(), 0);
	return 0;
}

void
test_locked_end_asks_for_nothing(void)
{
	expect(os_fault_plan("")); // counts
	go_gomaxprocs(2);
	expect_eq(go_run(end_twice, NULL), 0);
}

// --- timers, where threads are refused ----------------------------------------------------------

static atomic_bool over;
static Count in_c;

static void
block_until_over(void *unused)
{
	(void)unused;
	count_add(&in_c);
	while (!atomic_load(&over))
		block_thread_for(GO_MSEC);
}

static bool
idle_ms(uint32_t n)
{
	mutex_lock(&sched.lock);
	bool so = sched.n_midle == n && load_rlx(&sched.n_spinning) == 0; // order: count
	mutex_unlock(&sched.lock);
	return so;
}

// From here on no thread is to be had, and of those there are n idle.
static void
refuse_threads(uint32_t n)
{
	expect(os_fault_plan("thread_try:*:EAGAIN"));
	while (!idle_ms(n)) {
		go_stats st;
		go_stats_read(&st);
		if (st.threads_idle > (int)n) {
			long before = count_of(&in_c);
			expect_eq(go_spawn(block_until_over, NULL), 0);
			until(count_of(&in_c) > before);
		}
		go_sleep(GO_MSEC);
	}
}

static uint64_t
looks(void)
{
	return os_fault_count("futex_wait");
}

// One more idle thread than n, at least.
static void
make_idle_thread(void)
{
	expect_eq(go_spawn(hold_thread, NULL), 0);
	until(count_of(&arrived) != 0);
}

static atomic_bool turn;

static void
yield_and_block(void *unused)
{
	(void)unused;
	count_add(&in_c);
	while (!atomic_load(&turn))
		block_thread_for(GO_MSEC);
	go_yield();
	while (!atomic_load(&over))
		block_thread_for(GO_MSEC);
}

static void *
let_them_yield(void *unused)
{
	block_thread_for(20 * GO_MSEC); // till the locked one sleeps
	atomic_store(&turn, true);
	return unused;
}

// Its own timer lies on a P that is not the first to be had: others have been given back later.
GO_TEST(locked_minds_timers_of_all, 8)
{
	enum { BLOCKERS = 5 };
	pthread_t t;
	go_lock_os_thread();
	for (int i = 0; i < BLOCKERS; i++)
		expect_eq(go_spawn(yield_and_block, NULL), 0);
	until(count_of(&in_c) == BLOCKERS);
	refuse_threads(0);
	uint64_t before = looks();
	expect_eq(pthread_create(&t, NULL, let_them_yield, NULL), 0);
	go_sleep(60 * GO_MSEC);
	for (int i = 0; i < 5; i++)
		go_sleep(10 * GO_MSEC);
	expect_eq(pthread_join(t, NULL), 0);
	expect(looks() - before < 5000); // the monitor's, too; many more if it does nothing else
	atomic_store(&over, true);
}

static void
compute_until_over(void *unused)
{
	(void)unused;
	count_add(&in_c);
	while (!atomic_load_explicit(&over, memory_order_relaxed))
		;
}

static void
sleep_till_over(void *unused)
{
	(void)unused;
	go_lock_os_thread();
	while (!atomic_load(&over))
		go_sleep(GO_MSEC);
	count_add(&arrived);
}

static void *
end_it(void *unused)
{
	block_thread_for(200 * GO_MSEC); // of looks
	atomic_store(&over, true);
	return unused;
}

// Timers are due, and no P is to be had for them.
GO_TEST(locked_minds_timers_in_vain, 1)
{
	enum { SLEEPERS = 3 };
	pthread_t t;
	go_lock_os_thread();
	for (int i = 0; i < SLEEPERS; i++)
		expect_eq(go_spawn(sleep_till_over, NULL), 0);
	go_sleep(5 * GO_MSEC); // for their threads to be made
	refuse_threads(0);
	expect_eq(go_spawn(compute_until_over, NULL), 0);
	uint64_t before = looks();
	expect_eq(pthread_create(&t, NULL, end_it, NULL), 0);
	until(atomic_load(&over));
	expect(looks() - before < 5000);
	expect(os_fault_plan(""));
	until(count_of(&arrived) >= SLEEPERS);
	expect_eq(pthread_join(t, NULL), 0);
}

static void *
block_another(void *unused)
{
	block_thread_for(20 * GO_MSEC); // till the locked one sleeps
	expect_eq(go_spawn(block_until_over, NULL), 0);
	return unused;
}

// It has gone to sleep while another thread was there to mind timers, which then was not.
GO_TEST(locked_minds_timers_later, 4)
{
	pthread_t t;
	go_lock_os_thread();
	make_idle_thread();
	refuse_threads(1);
	expect_eq(pthread_create(&t, NULL, block_another, NULL), 0);
	go_sleep(60 * GO_MSEC);
	atomic_store(&over, true);
	expect_eq(pthread_join(t, NULL), 0);
}

static bool
are_refused(void)
{
	mutex_lock(&sched.lock);
	bool refused = sched.refused;
	mutex_unlock(&sched.lock);
	return refused;
}

// When threads are to be had again, locked ones need not mind timers.
GO_TEST(locked_minds_timers_no_more, 4)
{
	go_lock_os_thread();
	make_idle_thread();
	refuse_threads(0);
	expect_eq(go_spawn(block_until_over, NULL), 0);
	until(are_refused());
	expect(os_fault_plan(""));
	until(!are_refused());
	atomic_store(&over, true);
}

// --- a lent thread is given back ----------------------------------------------------------------

static atomic_bool has_lost_p, has_talked;

static M *
first_thread(void)
{
	M *mp = sched_ms();
	while (load_acq(&mp->tid) != getpid()) // order: observe <- settle
		mp = mp->all_next;
	return mp;
}

// It is in user code on the first thread, and has lost its P, when the main goroutine ends. From
// then on it talks with another one, and their switches need no scheduler.
static void
lose_p_and_talk(void *chan)
{
	static atomic_bool begun;
	go_chan **c = chan;
	if (tid_now() != getpid() || atomic_exchange(&begun, true))
		return;
	M *mp = first_thread();
	while (load_acq(&mp->lease.state) != LEASE_REVOKED) // order: observe <- lease_revoke
		block_thread_for(GO_MSEC);
	atomic_store(&has_lost_p, true);
	while (load_acq(&mp->lent) != LENT_OVER) // order: observe <- lent_ends
		block_thread_for(GO_MSEC);
	expect_eq(go_spawn(send_back, chan), 0);
	for (long i = 0, v = 0; i < 100; i++) {
		expect_eq(go_chan_send(c[0], &v, GO_NEVER), 0);
		expect_eq(go_chan_recv(c[1], &v, GO_NEVER), 0);
		expect(tid_now() != getpid());
	}
	go_chan_close(c[0]);
	atomic_store(&has_talked, true);
}

static int
end_beside(void *chan)
{
	go_unlock_os_thread();
	while (!atomic_load(&has_lost_p)) {
		expect_eq(go_spawn(lose_p_and_talk, chan), 0);
		go_yield();
		go_sleep(10 * GO_USEC);
	}
	return 0;
}

static void
leave_who_talks(int procs)
{
	go_chan *c[2] = {go_chan_new(sizeof(long), 0), go_chan_new(sizeof(long), 0)};
	go_gomaxprocs(procs);
	expect_eq(go_run_here(end_beside, c), 0);
	until(atomic_load(&has_talked));
}

void
test_here_leaves_who_talks_on_one_p(void)
{
	leave_who_talks(1);
}

void
test_here_leaves_who_talks_on_four_ps(void)
{
	leave_who_talks(4);
}
