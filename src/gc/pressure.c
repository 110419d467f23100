// SPDX-License-Identifier: BSD-3-Clause
// Memory pressure: functions of the program that are called when a collection has left more memory
// in use than a part of the limit.
//
// They run on a goroutine of their own, one after the other. A call may block: of all collections
// that pass meanwhile, the last is told of afterwards. It may end in go_exit: the round goes on
// with the next.
//
// Locks:  pressure.lock, rank leaf. Never taken while the world is stopped.
#include "gc/chores.h"
#include "gc/limit.h"
#include "gc/pace.h"
#include "gc/service.h"
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
	bool asked;        // lock: a round of calls is to be begun
	uint64_t told;     // the goroutine: id of the last whose call has begun in this round; or 0
} pressure = {.lock = MUTEX_INIT(leaf), .least = ATOMIC_INIT(INT32_MAX)};

static void tell_all(void);
static bool nothing_to_tell(void);
static Service service = {
	.name = "memory pressure",
	.why = WAIT_pressure_wait,
	.work = tell_all,
	.idle = nothing_to_tell,
	.lock = &pressure.lock,
};

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
	if (!service_start(&service))
		return GO_ENOMEM;
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
	if (percent < load_rlx(&pressure.least)) // order: hint
		return;
	mutex_lock(&pressure.lock);
	pressure.asked = true;
	service_unlock_wake(&service);
}

static bool
nothing_to_tell(void)
{
	return !pressure.asked;
}

// A copy of the next asker in this round whose part of the limit is exceeded; fn NULL: it is over,
// or there is none, as when the goroutine begins.
static Asker
next_asker(void)
{
	Asker found = {.fn = NULL};
	mutex_lock(&pressure.lock);
	bool begun = pressure.told != 0 || pressure.asked;
	if (pressure.told == 0)
		pressure.asked = false;
	for (Asker *a = begun ? pressure.first : NULL; a != NULL && found.fn == NULL; a = a->next)
		if (a->id > pressure.told && a->percent <= load_rlx(&pressure.now)) // order: hint
			found = *a;
	mutex_unlock(&pressure.lock);
	pressure.told = found.id; // also 0
	return found;
}

static void
tell_all(void)
{
	for (Asker a = next_asker(); a.fn != NULL; a = next_asker()) {
		struct go_pressure p;
		pace_pressure(&p);
		sched_leave();
		a.fn(&p, a.arg);
		sched_enter();
	}
}
