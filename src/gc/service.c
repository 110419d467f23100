// SPDX-License-Identifier: BSD-3-Clause
// See service.h.
// Tests:  tests/explore/x_special.c
#include "gc/service.h"

#include "os/os.h"

// A change of state takes two steps, that of the number of goroutines and that of awake; who reads
// both sees none of it when as many changes have begun as have ended.
static ATOMIC_U32 begun, ended;
static ATOMIC_U32 awake;

static void
set_awake(bool on)
{
	add_ar(&begun, 1); // order: publish -> service_others
	sched_count_self(on);
	add_rlx(&awake, on ? 1 : UINT32_MAX); // order: count
	add_ar(&ended, 1); // order: publish -> service_others
}

uint64_t
service_others(uint64_t (*count)(void))
{
	for (;; os_yield()) {
		uint32_t before = load_acq(&ended); // order: observe <- set_awake
		uint64_t n = count();
		uint32_t of_them = load_rlx(&awake); // order: count
		if (add_ar(&begun, 0) == before) // order: observe <- set_awake, after the reads
			return n > of_them ? n - of_them : 0;
	}
}

// After: it waits, unless there is work.
static void
wait_for_work(void *v)
{
	Service *s = v;
	G *gp = load_rlx(&s->g); // order: it is who parked
	mutex_lock(s->lock);
	bool waits = s->idle();
	if (waits)
		s->parked = gp;
	mutex_unlock(s->lock);
	if (!waits)
		sched_ready(gp);
}

static void
serve(void *v)
{
	Service *s = v;
	sched_set_name(sched_enter(), s->name); // what the work called may have changed it
	if (!load_rlx(&s->awake)) // order: own
		set_awake(true); // V4
	for (;;) {
		store_rlx(&s->awake, true); // order: own, a hint to others
		s->work();
		store_rlx(&s->awake, false); // order: own, a hint to others
		set_awake(false);
		sched_park(s->why, wait_for_work, s);
		set_awake(true);
	}
}

static bool
start(Service *s)
{
	add_ar(&begun, 1); // order: publish -> service_others
	G *gp = sched_spawn_held(serve, s, 0, s->name);
	if (gp != NULL)
		sched_count_held(false);
	add_ar(&ended, 1); // order: publish -> service_others
	if (gp == NULL)
		return false;
	gp->begins_again = true;
	store_rel(&s->g, gp); // order: publish -> service_start
	mutex_lock(s->lock);
	bool waits = s->idle();
	if (waits)
		s->parked = gp; // V4
	mutex_unlock(s->lock);
	if (!waits)
		sched_ready(gp);
	return true;
}

bool
service_start(Service *s)
{
	if (likely(load_acq(&s->g) != NULL)) // order: observe <- start
		return true;
	uint32_t zero = 0;
	while (!cas_acq(&s->starting, &zero, 1)) { // order: claim
		zero = 0;
		os_yield();
	}
	bool ok = load_rlx(&s->g) != NULL || start(s); // order: own, claimed
	store_rel(&s->starting, 0); // order: release
	return ok;
}

void
service_unlock_wake(Service *s)
{
	assert_held(s->lock);
	G *gp = s->parked;
	s->parked = NULL;
	mutex_unlock(s->lock);
	if (gp != NULL)
		sched_ready(gp);
}
