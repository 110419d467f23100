// SPDX-License-Identifier: BSD-3-Clause
// Memory pressure: functions of the program that are called when a collection has left more memory
// in use than a part of the limit.
//
// They run on a goroutine of their own, one after the other, each time from the first: it may
// block, and may end in a call. While it lives nobody else is called: collections that pass
// meanwhile are not told of.
//
// Locks:  pressure.lock, rank leaf. Never taken while the world is stopped.
#include "gc/chores.h"
#include "gc/limit.h"
#include "gc/pace.h"
#include "sched/sched.h"

// Pinned memory of the heap, so that arg lives.
typedef struct Asker {
	struct Asker *next; // lock
	PressureFn *fn;     // set before publication
	void *arg;          // set before publication
	uint64_t id;        // set before publication: rising along the list
	int percent;        // set before publication
} Asker;

static struct {
	Mutex lock;
	Asker *first;      // lock
	uint64_t ids;      // lock: given out
	ATOMIC(int) least; // lock writes: percent of all askers; INT_MAX: there is none
	ATOMIC(int) now;   // who holds gc.busy, or sweeps, writes: percent of the limit in use
	G *runner;         // the goroutine that does chores: the last one it started
	uint64_t runner_id;
} pressure = {.lock = MUTEX_INIT(leaf), .least = ATOMIC_INIT(INT32_MAX)};

// --- asking --------------------------------------------------------------------------------------

// Locks: pressure.lock held.
static void
set_least(void)
{
	int least = INT32_MAX;
	for (Asker *a = pressure.first; a != NULL; a = a->next)
		least = a->percent < least ? a->percent : least;
	store_rlx(&pressure.least, least); // order: hint
}

int
pressure_add(PressureFn *fn, void *arg, int percent)
{
	if (fn == NULL || percent < 0)
		return GO_EINVAL;
	Asker *a = gc_alloc_pinned(sizeof(*a));
	if (a == NULL)
		return GO_ENOMEM;
	*a = (Asker){.fn = fn, .arg = arg, .percent = percent};
	mutex_lock(&pressure.lock);
	a->id = ++pressure.ids;
	Asker **at = &pressure.first;
	while (*at != NULL)
		at = &(*at)->next;
	*at = a;
	set_least();
	mutex_unlock(&pressure.lock);
	return 0;
}

int
pressure_remove(PressureFn *fn, void *arg)
{
	mutex_lock(&pressure.lock);
	Asker **at = &pressure.first;
	while (*at != NULL && ((*at)->fn != fn || (*at)->arg != arg))
		at = &(*at)->next;
	Asker *gone = *at;
	if (gone != NULL)
		*at = gone->next;
	set_least();
	mutex_unlock(&pressure.lock);
	gc_free_pinned(gone);
	return gone != NULL ? 0 : GO_EINVAL;
}

// --- telling -------------------------------------------------------------------------------------

void
pressure_check(int64_t memory, int64_t limit)
{
	if (limit == INT64_MAX || limit == 0)
		return;
	int64_t percent = memory / (limit / 100 + 1);
	store_rlx(&pressure.now, percent < INT32_MAX ? (int)percent : INT32_MAX - 1); // order: hint
	if (percent >= load_rlx(&pressure.least)) // order: hint
		chores_pressure();
}

// A copy of the first asker beyond id whose part of the limit is exceeded; fn NULL: there is none.
static Asker
next_asker(uint64_t id)
{
	Asker found = {.fn = NULL};
	mutex_lock(&pressure.lock);
	for (Asker *a = pressure.first; a != NULL && found.fn == NULL; a = a->next)
		if (a->id > id && a->percent <= load_rlx(&pressure.now)) // order: hint
			found = *a;
	mutex_unlock(&pressure.lock);
	return found;
}

static void
tell_all(void *unused)
{
	(void)unused;
	sched_enter();
	for (Asker a = next_asker(0); a.fn != NULL; a = next_asker(a.id)) {
		struct go_pressure p;
		pace_pressure(&p);
		sched_leave();
		a.fn(&p, a.arg);
		sched_enter();
	}
	sched_leave();
}

// Records of Gs are never freed, and a new use of one has another id.
__attribute__((no_sanitize("thread"))) static bool
runner_lives(void)
{
	G *gp = pressure.runner;
	return gp != NULL && load_acq(&gp->status) != Gdead && // order: hint
	       gp->id == pressure.runner_id;
}

void
pressure_run(void)
{
	if (runner_lives())
		return;
	G *gp = sched_spawn_held(tell_all, NULL, 0, "memory pressure");
	if (gp == NULL)
		return; // the next collection tries again
	pressure.runner = gp;
	pressure.runner_id = gp->id;
	sched_ready(gp);
}
