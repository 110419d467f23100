// SPDX-License-Identifier: BSD-3-Clause
// The monitor's sleep while no P runs, and those who end it: src/sched/sysmon.c.
//
// Thread 0 takes a P, or calls as well. Thread 1 wants something and calls the monitor, which comes
// for it and sleeps again.
#include "explore_locked.h"

static ATOMIC_U32 wanted[2];
static bool has_deadline; // the next sleep
static ATOMIC_U32 births_made;

static void
init_asleep(void)
{
	begin(1, 3);
	memset(wanted, 0, sizeof(wanted));
	memset(&births_made, 0, sizeof(births_made));
	has_deadline = false;
	P *pp = p_release(&ms[LOCKED]);
	mutex_lock(&sched.lock);
	pidle_put(pp);
	mutex_unlock(&sched.lock);
}

static void
init_deadline(void)
{
	init_asleep();
	has_deadline = true;
}

bool
g_worth_scavenging(void)
{
	return false;
}

bool
stack_worth_scavenging(void)
{
	return false;
}

int64_t
up_monitor_looks(int64_t now)
{
	bool ends = has_deadline;
	has_deadline = false;
	for (int i = 0; i < 2; i++)
		store_rlx(&wanted[i], load_rlx(&wanted[i]) & ~1u);
	return ends ? now + 1 : INT64_MAX;
}

static void
call(int id)
{
	store_rlx(&wanted[id], 1);
	sched_monitor_come();
}

// What monitor_main does while nothing else is to be done.
static void
watch(void)
{
	Monitor mon = {.idle = true, .idle_ticks = 1, .next_stamp = INT64_MAX};
	explore_may_sleep(true);
	for (;;) {
		births_serve();
		sleep_while_idle(&mon);
		if (load_rlx(&sched.n_pidle) == 0)
			return; // a P runs, and nothing ends that
		births_serve();
		look_when_called(0);
	}
}

static void
watch_pausing(void)
{
	explore_may_sleep(true);
	for (;;) {
		monitor_doze(0, INT64_MAX);
		look_when_called(0);
	}
}

static void
take_p(void)
{
	mutex_lock(&sched.lock);
	P *pp = pidle_get();
	mutex_unlock(&sched.lock);
	EXPLORE_CHECK(pp == &ps[0], "the P was idle");
}

static int
make_thread(void (*fn)(void *), void *arg)
{
	(void)fn;
	(void)arg;
	add_rlx(&births_made, 1);
	return 0;
}

static void
ask_for_birth(void)
{
	Note done = {0};
	Birth b = {.start = make_thread, .done = &done};
	birth_ask(&b);
	note_sleep(&done, INT64_MAX);
}

static void
called(int id)
{
	if (id == MONITOR)
		watch();
	else if (id == WAKER)
		call(id);
}

static void
called_twice(int id)
{
	if (id == MONITOR)
		watch();
	else
		call(id);
}

static void
called_and_woken(int id)
{
	if (id == LOCKED)
		take_p();
	else
		called(id);
}

static void
called_pausing(int id)
{
	if (id == MONITOR)
		watch_pausing();
	else
		call(id);
}

static void
called_and_asked(int id)
{
	if (id == LOCKED)
		ask_for_birth();
	else
		called(id);
}

static void
final_come(void)
{
	EXPLORE_CHECK(load_rlx(&wanted[0]) == 0 && load_rlx(&wanted[1]) == 0,
		      "it was called and has not come");
	EXPLORE_CHECK(load_rlx(&sched.births) == NULL, "it was asked and has not made one");
}

static void
final_called(void)
{
	final_come();
	EXPLORE_CHECK(load_rlx(&sched.monitor_asleep) == 1, "it sleeps and nobody will wake it");
}

static void
final_woken(void)
{
	EXPLORE_CHECK(load_rlx(&sched.monitor_asleep) == 0, "it sleeps while a P runs");
	EXPLORE_CHECK(load_rlx(&sched.monitor_dozes) == 0, "the same");
}

#define TEST(of, with, body, at_end) \
	{.name = of, .threads = 3, .init = with, .thread = body, .final = at_end}

static const struct ExploreTest tests[] = {
    TEST("called", init_asleep, called, final_called),
    TEST("called, with a deadline", init_deadline, called, final_called),
    TEST("called by two", init_asleep, called_twice, final_called),
    TEST("called by two, with a deadline", init_deadline, called_twice, final_called),
    TEST("called and woken", init_asleep, called_and_woken, final_woken),
    TEST("called and woken, with a deadline", init_deadline, called_and_woken, final_woken),
    TEST("called in a pause", init_asleep, called_pausing, final_come),
    TEST("called and asked for a thread", init_asleep, called_and_asked, final_called),
    {0},
};

static const char *const sources[] = {"sched/sysmon.c:monitor_doze", "sched/sysmon.c:monitor_hurry",
				      "sched/sysmon.c:sched_monitor_come",
				      "sched/sysmon.c:look_when_called", NULL};

static const struct ExploreAllowed allowed[] = {
    {"monitor_doze", "store_rel(&sched.monitor_dozes)", "release",
     "a store is never late in the model: the note is clear before anyone can swap it"},
    {"monitor_hurry", "xchg_acq(&sched.monitor_dozes)", "acquire", "the same"},
    {0},
};

const struct ExploreDriver explore_driver = {
    .name = "monitor",
    .tests = tests,
    .allowed = allowed,
    .sources = sources,
};
