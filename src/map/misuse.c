// SPDX-License-Identifier: BSD-3-Clause
// Dying of two goroutines in one map, with both of them to be seen.
//
// Who notices puts CAUGHT in the place of the other's mark, its next one if it is gone meanwhile,
// and gives it a moment. The other finds CAUGHT where its own mark was as it ends what it does, and
// parks: then its stack shows the change. When it does not come, it is printed as what it is,
// running elsewhere most likely.
#include "map/misuse.h"

#include "base/line.h"
#include "os/os.h"

#define CAUGHT ((G *)1) // in Map.writer

enum {
	PATIENCE_NS = 20000000,
	LOOK_NS = 20000,
	LINGER_ONE_IN = 16,
	LINGER_NS = 30000,
};

// --- being caught --------------------------------------------------------------------------------

COLD NORETURN static void
hold_still(void)
{
	sched_enter();
	for (;;)
		sched_park(WAIT_map_misuse, NULL, NULL);
}

static void
wait_for(const Map *m, G *gp)
{
	Map *its = (Map *)(uintptr_t)m;
	bool caught = false;
	if (gp == NULL || gp == sched_g())
		return;
	int64_t until = os_nanotime() + PATIENCE_NS;
	while (!(caught && load_rlx(&gp->status) == Gwaiting)) { // order: hint
		G *there = gp;
		caught = caught || cas_rlx(&its->writer, &there, CAUGHT); // order: hint
		if (os_nanotime() >= until)
			return;
		os_sleep(LOOK_NS); // the other goes on to park, which nothing tells
	}
}

static void
tell(const void *arg)
{
	const G *gp = arg;
	Line l = {.n = 0};
	if (gp == NULL)
		return;
	line_str(&l, "runtime: the map was being changed by goroutine ");
	line_u64(&l, gp->id);
	line_end(&l);
}

void
misuse_fatal(const Map *m, Misuse what, G *gp)
{
	if (gp == NULL)
		gp = m->changer;
	if (!sched_attached())
		gp = NULL;
	else if (gp == CAUGHT)
		hold_still();
	wait_for(m, gp);
	switch (what) {
	case MISUSE_WRITES:
		fatal_told("concurrent map writes", tell, gp);
	case MISUSE_READ:
		fatal_told("concurrent map read and map write", tell, gp);
	case MISUSE_ITERATION:
		fatal_told("concurrent map iteration and map write", tell, gp);
	default:
		fatal_told("concurrent map clone and map write", tell, gp);
	}
}

void
misuse_met(const Map *m, Misuse what, G *gp)
{
	Map *its = (Map *)(uintptr_t)m;
	if (gp == CAUGHT || !load_rlx(&gp->faulted)) // order: hint
		misuse_fatal(m, what, gp);
	cas_rlx(&its->writer, &gp, NULL); // order: hint
}

void
map_misused(const Map *m, const void *writer)
{
	misuse_met(m, MISUSE_READ, (G *)(uintptr_t)writer);
}

// --- GODEBUG=mapcheck ----------------------------------------------------------------------------

// A thread that looks a word up may be one that the runtime has not seen yet.
static bool
by_chance(void)
{
	return sched_attached() && base_rand_below(&sched_m()->rand, LINGER_ONE_IN) == 0;
}

// Others run: on this P first, then on any.
static void
let_others_run(void)
{
	int64_t until = os_nanotime() + LINGER_NS;
	do {
		sched_enter();
		if (sched_m()->p != NULL)
			sched_gosched();
		sched_leave();
	} while (os_nanotime() < until);
}

void
misuse_linger(Map *m)
{
	m->changer = sched_g();
	if (by_chance())
		let_others_run();
}

void
misuse_look_long(const Map *m, Misuse what)
{
	if (!by_chance())
		return;
	uint32_t changes = m->changes;
	let_others_run();
	G *gp = load_rlx(&m->writer); // order: hint
	if (gp != NULL)
		misuse_met(m, what, gp);
	if (m->changes != changes)
		misuse_fatal(m, what, NULL);
}
