// SPDX-License-Identifier: BSD-3-Clause
// See service.h.
// Tests:  tests/explore/x_special.c
#include "gc/service.h"

#include "os/os.h"

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
	for (;;) {
		s->work();
		sched_park_uncounted(s->why, wait_for_work, s);
	}
}

static bool
start(Service *s)
{
	G *gp = sched_spawn_held(serve, s, 0, s->name);
	if (gp == NULL)
		return false;
	gp->begins_again = true;
	store_rel(&s->g, gp); // order: publish -> service_start
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
