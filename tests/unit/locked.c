// SPDX-License-Identifier: BSD-3-Clause
// Locked goroutines from inside: the program's locks and the runtime's count for themselves, a P
// that comes back to one asks for the scheduler, and a thread that ends with its goroutine asks the
// system for no memory.
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

// Threads that idle take over what the ending ones let go; so none is made meanwhile.
static void
make_idle_threads(void)
{
	long before = count_of(&arrived);
	for (int i = 0; i < HOLDERS; i++)
		expect_eq(go_spawn(hold_thread, NULL), 0);
	until(count_of(&arrived) == before + HOLDERS);
}

static uint64_t
end_all(void)
{
	go_chan *c = go_chan_new(sizeof(long), 0);
	for (int i = 0; i < ENDERS; i++)
		expect_eq(go_spawn(end_when_told, c), 0);
	make_idle_threads();
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
