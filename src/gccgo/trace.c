// SPDX-License-Identifier: BSD-3-Clause
// What package runtime/trace asks for, the part in C; the rest is go/trace.go, and the events of
// goroutines are sched/events.c's.
#include "gc/pace.h"
#include "gccgo/callers.h"
#include "gccgo/gccgo.h"
#include "sched/events.h"

static ATOMIC_U32 tracing; // go/trace.go has the states

GOFUNC("runtime.tracing", uint32_t, rt_tracing, (void))
{
	return load_acq(&tracing); // order: observe <- rt_settracing
}

GOFUNC("runtime.settracing", bool, rt_settracing, (uint32_t from, uint32_t to))
{
	return cas_ar(&tracing, &from, to); // order: publish -> rt_tracing, claim
}

typedef struct Pause {
	int64_t begin, end;
} Pause;

// Of the nth cycle, from 1 on, which is one of the last.
GOFUNC("runtime.pauseof", Pause, rt_pauseof, (uint64_t nth))
{
	Pauses p;
	pace_pauses(&p);
	uint64_t at = (nth - 1) % PAUSES_KEPT;
	return (Pause){p.ended_at[at] - p.ns[at], p.ended_at[at]};
}

// --- events --------------------------------------------------------------------------------------

// Of the main goroutine, and of those of the runtime's own, what the core calls.
static uintptr_t
entry_of(const G *gp)
{
	const GoFace *f = gp->face;
	return f != NULL && f->fn != NULL ? (uintptr_t)f->fn + 1 : (uintptr_t)gp->fn + 1;
}

GOFUNC("runtime.eventsbegin", bool, rt_eventsbegin, (void))
{
	static const EventSource source = {callers_unnamed, entry_of};
	sched_enter();
	bool begun = events_start(&source) == 0;
	sched_leave();
	return begun;
}

GOFUNC("runtime.eventsend", void, rt_eventsend, (void))
{
	sched_enter();
	events_stop();
	sched_leave();
}

// Whole batches of events; 0: there is nothing. There is room.
GOFUNC("runtime.takeevents", Int, rt_takeevents, (Slice to))
{
	check(to.len >= EVENTS_TAKEN, "runtime.takeevents: no room");
	sched_enter();
	size_t n = events_take(to.p);
	sched_leave();
	return (Int)n;
}

GOFUNC("runtime.eventscut", bool, rt_eventscut, (void))
{
	return events_were_cut();
}

GOFUNC("runtime.eventslacknotes", bool, rt_eventslacknotes, (void))
{
	return events_lack_notes();
}

GOFUNC("runtime.forgetevents", void, rt_forgetevents, (void))
{
	events_forget();
}

GOFUNC("runtime.eventstacks", const EventNote *, rt_eventstacks, (void))
{
	return events_stacks();
}

GOFUNC("runtime.eventtexts", const EventNote *, rt_eventtexts, (void))
{
	return events_texts();
}

typedef struct TextNote {
	const EventNote *older;
	uint64_t id;
	String text;
} TextNote;

GOFUNC("runtime.eventtext", TextNote, rt_eventtext, (const EventNote *n))
{
	return (TextNote){n->older, n->id, string_of((const char *)n->data, n->bytes)};
}

typedef struct StackNote {
	const EventNote *older;
	uint64_t id;
	Int n;
} StackNote;

// The addresses that Go code sees; the innermost one if it sees none, as readers of traces want one
// where a goroutine begins. There is room.
GOFUNC("runtime.eventstack", StackNote, rt_eventstack, (const EventNote *n, Slice pcs))
{
	check(pcs.len >= EVENT_FRAMES, "runtime.eventstack: no room");
	memcpy(pcs.p, n->data, n->bytes);
	Int shown = (Int)callers_shown(pcs.p, n->bytes / sizeof(n->data[0]));
	if (shown == 0 && n->bytes != 0) {
		memcpy(pcs.p, n->data, sizeof(n->data[0]));
		shown = 1;
	}
	return (StackNote){n->older, n->id, shown};
}

// --- of the program's own ------------------------------------------------------------------------

GOFUNC("runtime_1trace.userTaskCreate", void, rt_usertaskcreate,
       (uint64_t id, uint64_t parent, String type))
{
	if (!events_on())
		return;
	sched_enter();
	events_task(id, parent, type.p, (size_t)type.n);
	sched_leave();
}

GOFUNC("runtime_1trace.userTaskEnd", void, rt_usertaskend, (uint64_t id))
{
	if (!events_on())
		return;
	sched_enter();
	events_task_end(id);
	sched_leave();
}

GOFUNC("runtime_1trace.userRegion", void, rt_userregion, (uint64_t id, uint64_t mode, String name))
{
	if (!events_on())
		return;
	sched_enter();
	events_region(id, mode != 0, name.p, (size_t)name.n);
	sched_leave();
}

GOFUNC("runtime_1trace.userLog", void, rt_userlog, (uint64_t id, String key, String text))
{
	if (!events_on())
		return;
	sched_enter();
	events_log(id, key.p, (size_t)key.n, text.p, (size_t)text.n);
	sched_leave();
}
