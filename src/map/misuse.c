// SPDX-License-Identifier: BSD-3-Clause
// Dying of two goroutines in one map, with both of them to be seen.
//
// Who notices puts CAUGHT in the place of the other's mark, its next one if it is gone meanwhile,
// and gives it a moment. The other finds CAUGHT where its own mark was as it ends what it does, and
// parks: then its stack shows the change. When it does not come, it is printed as what it is,
// running elsewhere most likely. With GODEBUG=mapcheck the map has the number of who changed it
// last, too; he may have ended, and is named all the same.
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

// What misuse_linger found in the map where it left its own number last.
static struct {
	ATOMIC(const Map *) map;
	ATOMIC_U64 changer;
} replaced;

// --- being caught --------------------------------------------------------------------------------

COLD NORETURN static void
hold_still(void)
{
	sched_enter();
	for (;;)
		sched_park(WAIT_map_misuse, NULL, NULL);
}

// A record of another number serves another goroutine.
static bool
is_alive(const G *gp, uint64_t id)
{
	uint32_t status = load_rlx(&gp->status); // order: hint
	return gp->id == id && status != Gidle && status != Gdead;
}

static void
wait_for(const Map *m, G *gp, uint64_t id)
{
	Map *its = (Map *)(uintptr_t)m;
	bool caught = false;
	int64_t until = os_nanotime() + PATIENCE_NS;
	while (is_alive(gp, id) && os_nanotime() < until) {
		G *there = gp;
		caught = caught || cas_rlx(&its->writer, &there, CAUGHT); // order: hint
		if (caught && load_rlx(&gp->status) == Gwaiting) // order: hint
			return;
		os_sleep(LOOK_NS); // the other goes on to park, which nothing tells
	}
}

// NULL: it has ended.
static G *
find(uint64_t id)
{
	for (G *gp = sched_all_first(); gp != NULL; gp = gp->all_next)
		if (is_alive(gp, id))
			return gp;
	return NULL;
}

// The number of the other one; 0: not known. Who has left its own number in the map, and finds then
// that it was changed before, has left the other's here.
static uint64_t
other_of(const Map *m, const G *gp)
{
	uint64_t self = sched_g()->id, id = gp != NULL ? gp->id : m->changer;
	if (id == self && load_rlx(&replaced.map) == m) // order: hint
		id = load_rlx(&replaced.changer);       // order: hint
	return id != self ? id : 0;
}

static void
tell(const void *arg)
{
	const uint64_t *id = arg;
	Line l = {.n = 0};
	if (*id == 0)
		return;
	line_str(&l, "runtime: the map was being changed by goroutine ");
	line_u64(&l, *id);
	line_end(&l);
}

void
misuse_fatal(const Map *m, Misuse what, G *gp)
{
	uint64_t id = 0;
	if (sched_attached()) {
		if (gp == CAUGHT)
			hold_still();
		id = other_of(m, gp);
		gp = id != 0 ? find(id) : NULL;
		if (gp != NULL)
			wait_for(m, gp, id);
	}
	switch (what) {
	case MISUSE_WRITES:
		fatal_told("concurrent map writes", tell, &id);
	case MISUSE_READ:
		fatal_told("concurrent map read and map write", tell, &id);
	case MISUSE_ITERATION:
		fatal_told("concurrent map iteration and map write", tell, &id);
	default:
		fatal_told("concurrent map clone and map write", tell, &id);
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
	store_rlx(&replaced.map, m);              // order: hint
	store_rlx(&replaced.changer, m->changer); // order: hint
	m->changer = sched_g()->id;
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
