// SPDX-License-Identifier: BSD-3-Clause
// The monitor's sleep while no P runs, and those who end it: src/sched/sysmon.c.
//
// Thread 0 takes a P, or does not. Thread 1 calls the monitor, which comes for it and sleeps again.
#include "explore_locked.h"

static int looks_made; // the monitor's

static void
init_asleep(void)
{
	begin(1, 3);
	looks_made = 0;
	P *pp = p_release(&ms[LOCKED]);
	mutex_lock(&sched.lock);
	pidle_put(pp);
	mutex_unlock(&sched.lock);
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
	(void)now;
	looks_made++;
	return INT64_MAX;
}

// What monitor_main does while nothing else is to be done.
static void
watch(void)
{
	Monitor mon = {.idle = true, .idle_ticks = 1};
	explore_may_sleep(true);
	for (;;) {
		sleep_while_idle(&mon);
		if (!mon.idle)
			return; // a P runs, and nothing ends that
		(void)xchg_acq(&sched.monitor_called, false);
		(void)up_monitor_looks(0);
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

static void
called(int id)
{
	if (id == MONITOR)
		watch();
	else if (id == WAKER)
		sched_monitor_come();
}

static void
called_twice(int id)
{
	if (id == MONITOR)
		watch();
	else
		sched_monitor_come();
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
final_called(void)
{
	EXPLORE_CHECK(!load_rlx(&sched.monitor_called), "it was called and has not come");
	EXPLORE_CHECK(load_rlx(&sched.monitor_asleep) == 1, "it sleeps and nobody will wake it");
}

static void
final_woken(void)
{
	EXPLORE_CHECK(load_rlx(&sched.monitor_asleep) == 0, "it sleeps while a P runs");
	EXPLORE_CHECK(load_rlx(&sched.monitor_pauses) == 0, "the same");
}

static const struct ExploreTest tests[] = {
    {.name = "called",
     .threads = 3,
     .init = init_asleep,
     .thread = called,
     .final = final_called},
    {.name = "called by two",
     .threads = 3,
     .init = init_asleep,
     .thread = called_twice,
     .final = final_called},
    {.name = "called and woken",
     .threads = 3,
     .init = init_asleep,
     .thread = called_and_woken,
     .final = final_woken},
    {0},
};

static const char *const sources[] = {"sched/sysmon.c:monitor_rest", "sched/sysmon.c:monitor_hurry",
				      "sched/sysmon.c:sched_monitor_come", NULL};

static const struct ExploreAllowed allowed[] = {
    {"monitor_rest", "store_rel(&sched.monitor_pauses)", "release",
     "a store is never late in the model: the note is clear before anyone can swap it"},
    {"monitor_hurry", "xchg_acq(&sched.monitor_pauses)", "acquire", "the same"},
    {0},
};

const struct ExploreDriver explore_driver = {
    .name = "monitor",
    .tests = tests,
    .allowed = allowed,
    .sources = sources,
};
