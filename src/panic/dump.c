// SPDX-License-Identifier: BSD-3-Clause
// Printing the goroutines: of a dying process, on SIGQUIT, for go_dump.
//
//     goroutine 7 "reader" [chan receive, 3 minutes]:
//     consume(...)
//             prog/consume.c:31 +0x19
//     created in goroutine 1
//
// A goroutine's record is never freed, so the list is walked without a lock; what a record says may
// be a moment old. Its stack is read only while its scan bit is held, which keeps it from running,
// and never waited for: one that runs elsewhere has no traceback. Nothing is written before the bit
// is given up, as the reader of what we write may be that goroutine, or need its thread.
//
// Printing needs more stack than a goroutine or a signal handler may have left, so it happens on
// stacks of its own: one for the death of the process, which happens once, and one for go_dump,
// which is locked. While the former is in use the alternate signal stack, whose contents are still
// needed, is exchanged as well: a walk that faults enters its handler there. Not done: stopping the
// others. A dump must work when somebody does not stop.
#include <stdlib.h>
#include <string.h>

#include "base/base_up.h"
#include "panic/panic_impl.h"

#define NO_TSAN __attribute__((no_sanitize("thread")))

enum {
	DUMP_STACK_BYTES = 128 << 10,
	SIGNAL_STACK_BYTES = 48 << 10,
	GUARD_MOST_BYTES = 64 << 10,
	SORTED_MAX = 2000, // goroutines that are printed by rising number
	EXIT_DUMPED = 2,
	TURN_LOOK_NS = 1000000, // between looks whether another has ended
};
#define NS_PER_MINUTE INT64_C(60000000000)

typedef struct Dump {
	TraceStart start;
	int fd;
	bool all;     // the other goroutines too
	bool system;  // the runtime's goroutines and frames too
	bool runtime; // the present stack is of interest even if it is no goroutine's
	bool dying;
	bool begun; // something stands above: a blank line goes between
} Dump;

static char death_stack[DUMP_STACK_BYTES] __attribute__((aligned(64)));
static char death_signal_stack[SIGNAL_STACK_BYTES] __attribute__((aligned(64)));
static char dump_stack[DUMP_STACK_BYTES] __attribute__((aligned(64)));
static Turn dump_turn;   // dump_stack is in use
static TraceLevel level; // set by dump_init, then constant

// --- what a goroutine is doing ------------------------------------------------------------------

// One that runs without a P is most likely in a blocking call; the caller itself is not.
static NO_TSAN const char *
running_text(const G *gp)
{
	M *mp = load_rlx(&gp->m); // order: hint; Ms are never freed
	if (gp->thread || mp == NULL || mp == sched_m())
		return "running";
	uint32_t state = load_rlx(&mp->lease.state); // order: hint
	return state == LEASE_LOOSE || state == LEASE_REVOKED ? "syscall" : "running";
}

static NO_TSAN const char *
status_text(G *gp, uint32_t status)
{
	switch (status) {
	case Gidle:
		return "idle";
	case Grunnable:
		return "runnable";
	case Grunning:
		return running_text(gp);
	case Gwaiting: {
		WaitReason why = load_rlx(&gp->wait); // order: count
		return why != WAIT_none ? sched_wait_text(why) : "waiting";
	}
	default:
		return "dead";
	}
}

// Bytes that would spoil the line, or the terminal, become question marks. The name may change
// meanwhile; it ends within its room at any time.
static NO_TSAN void
line_name(Line *l, const char *name)
{
	char text[G_NAME_BYTES];
	size_t n = 0;
	for (; n < sizeof(text) - 1 && name[n] != '\0'; n++)
		text[n] = name[n] >= ' ' && name[n] != '"' && name[n] != 0x7f ? name[n] : '?';
	text[n] = '\0';
	if (n > 0) {
		line_str(l, " \"");
		line_str(l, text);
		line_str(l, "\"");
	}
}

// Fits into a line, so nothing is written here.
static NO_TSAN void
line_header(Line *l, G *gp, uint32_t status)
{
	int64_t since = load_rlx(&gp->wait_since); // order: count
	line_str(l, "goroutine ");
	line_u64(l, gp->id);
	if (gp->name != NULL)
		line_name(l, gp->name);
	line_str(l, " [");
	line_str(l, status_text(gp, status));
	if (status == Gwaiting && since != 0 && os_nanotime() - since >= NS_PER_MINUTE) {
		line_str(l, ", ");
		line_u64(l, (uint64_t)((os_nanotime() - since) / NS_PER_MINUTE));
		line_str(l, " minutes");
	}
	line_str(l, gp->thread ? ", thread]:" : "]:");
}

// The goroutine that started this one; 0 for those nobody started.
static NO_TSAN uint64_t
creator_of(const G *gp)
{
	return gp->id != 1 ? gp->parent_id : 0;
}

static void
print_creator(uint64_t id)
{
	Line l = {0};
	if (id == 0)
		return;
	line_str(&l, "created in goroutine ");
	line_u64(&l, id);
	line_end(&l);
}

// --- all of them --------------------------------------------------------------------------------

static void
print_gap(Dump *d)
{
	if (d->begun)
		print_str("\n");
	d->begun = true;
}

// What is said about a goroutine, gathered before any of it is written.
typedef struct Shown {
	Line header;
	Walk walk;
	uint64_t creator;
	uint32_t status;
	bool walked;
} Shown;

// Holds gp's stack, unless it runs. The collector may have it for some microseconds; that thread
// may be gone for ever when the process dies, so patience is short.
static NO_TSAN bool
hold_stack(G *gp)
{
	enum { TRIES = 200 };
	for (int i = 0; i < TRIES; i++) {
		if (sched_scan_begin(gp))
			return true;
		uint32_t status = load_rlx(&gp->status); // order: hint
		if (status != Gwaiting && status != Grunnable)
			return false;
		os_yield();
	}
	return false;
}

// False when there is no such goroutine.  Blocks: no.
static NO_TSAN bool
look_at(Shown *s, G *gp)
{
	s->status = load_acq(&gp->status); // order: observe <- finish_switch
	if (s->status == Gidle || s->status == Gdead)
		return false;
	s->walked = !gp->thread && hold_stack(gp);
	if (s->walked)
		s->status = load_rlx(&gp->status); // order: hint, it cannot run
	s->header.n = 0;
	line_header(&s->header, gp, s->status);
	s->creator = creator_of(gp);
	if (s->walked) {
		trace_parked(gp, &s->walk);
		sched_scan_end(gp);
	}
	return true;
}

static void
print_other(Dump *d, G *gp)
{
	Shown s;
	if (!look_at(&s, gp))
		return;
	print_gap(d);
	line_end(&s.header);
	if (s.walked)
		trace_print(&s.walk, d->system);
	else if (s.status == Gwaiting)
		print_str("\tgoroutine is a thread of the program; stack unavailable\n");
	else
		print_str("\tgoroutine running on other thread; stack unavailable\n");
	print_creator(s.creator);
}

// The goroutine with the lowest number above `id` and up to `last`.
static NO_TSAN G *
next_by_id(uint64_t id, uint64_t last)
{
	G *best = NULL;
	uint64_t lowest = last + 1;
	for (G *gp = sched_all_first(); gp != NULL; gp = gp->all_next) {
		uint64_t its = gp->id;
		if (its > id && its < lowest) {
			best = gp;
			lowest = its;
		}
	}
	return best;
}

// Few of them by rising number, many in the order of the list. Those that start meanwhile are
// left out of the former, or a program that keeps starting some would never see the end.
static NO_TSAN void
print_others(Dump *d, const G *me)
{
	unsigned n = 0;
	uint64_t last = 0;
	for (G *gp = sched_all_first(); gp != NULL && n <= SORTED_MAX; gp = gp->all_next) {
		n++;
		if (gp->id > last)
			last = gp->id;
	}
	if (n > SORTED_MAX) {
		for (G *gp = sched_all_first(); gp != NULL; gp = gp->all_next)
			if (gp != me)
				print_other(d, gp);
		return;
	}
	uint64_t id = 0;
	for (G *gp; (gp = next_by_id(id, last)) != NULL;) {
		id = gp->id > id ? gp->id : id + 1; // its record may serve another G now
		if (gp != me)
			print_other(d, gp);
	}
}

// A goroutine that ran into its guard is still on its stack.
static bool
is_on_stack(const G *gp, uintptr_t sp)
{
	return gp->thread || (sp >= (uintptr_t)gp->stack.lo - GUARD_MOST_BYTES &&
			      sp <= (uintptr_t)gp->stack.hi);
}

// The goroutine whose stack the walk begins on; NULL for the scheduler's, or a stranger's.
static G *
present_goroutine(uintptr_t sp)
{
	M *mp = sched_m();
	if (mp == NULL)
		return NULL;
	G *candidate[] = {mp->curg, mp->prev};
	for (size_t i = 0; i < countof(candidate); i++) {
		G *gp = candidate[i];
		if (gp != NULL && is_on_stack(gp, sp))
			return gp;
	}
	return NULL;
}

static void
print_goroutines(Dump *d)
{
	G *me = present_goroutine(d->start.sp);
	if (me != NULL && load_rlx(&me->status) == Gwaiting) // order: own
		me = NULL; // a thread that found a deadlock as it parked: one of those who wait
	if (me != NULL) {
		Line l = {0};
		print_gap(d);
		line_header(&l, me, load_rlx(&me->status)); // order: hint
		line_end(&l);
		trace_here(&d->start, d->system);
		print_creator(creator_of(me));
	} else if (d->runtime) {
		print_gap(d);
		print_str("runtime stack:\n");
		trace_here(&d->start, true);
	}
	if (d->all)
		print_others(d, me);
}

// Stack: death_stack or dump_stack.
static void
dump_on_stack(void *v)
{
	Dump *d = v;
	if (d->dying)
		os_signal_stack(death_signal_stack, sizeof(death_signal_stack));
	int before = print_to(d->fd);
	print_goroutines(d);
	print_to(before);
}

// --- the face -----------------------------------------------------------------------------------

static TraceStart
start_at(const void *context, void *return_pc, void *sp)
{
	TraceStart start = {context, (uintptr_t)return_pc, (uintptr_t)sp};
	uintptr_t pc;
	if (context != NULL)
		os_signal_regs(context, &pc, &start.sp);
	return start;
}

// all is 2 when the runtime itself is at fault: its own frames matter then.
NOINLINE void
up_print_goroutines(int all)
{
	bool system = level >= TRACE_SYSTEM;
	Dump d = {
		.start = start_at(fault_context(), __builtin_return_address(0), arch_sp()),
		.fd = 2,
		.all = all > 0 || level >= TRACE_ALL,
		.system = system,
		.runtime = system || all > 1 || fault_context() != NULL,
		.dying = true,
	};
	if (level != TRACE_NONE)
		arch_call_on(death_stack + sizeof(death_stack), dump_on_stack, &d);
	if (level == TRACE_CRASH)
		os_abort(SIGABRT);
}

void
dump_and_exit(const TraceStart *start)
{
	Dump d = {
		.start = *start,
		.fd = 2,
		.all = true,
		.system = level >= TRACE_SYSTEM,
		.runtime = level >= TRACE_SYSTEM,
		.dying = true,
	};
	if (level != TRACE_NONE)
		arch_call_on(death_stack + sizeof(death_stack), dump_on_stack, &d);
	if (level == TRACE_CRASH)
		os_abort(SIGQUIT);
	os_exit(EXIT_DUMPED);
}

void
turn_take(Turn *t)
{
	while (xchg_acq(&t->taken, true)) // order: claim
		os_sleep(TURN_LOOK_NS);   // what is waited for takes milliseconds or more
}

void
turn_give(Turn *t)
{
	store_rel(&t->taken, false); // order: release
}

bool
dump_stack_run(int fd, void (*fn)(void *), void *arg)
{
	turn_take(&dump_turn);
	int before = print_to(fd);
	arch_call_on(dump_stack + sizeof(dump_stack), fn, arg);
	bool ok = !print_failed();
	print_to(before);
	turn_give(&dump_turn);
	return ok;
}

NOINLINE void
panic_dump(int fd)
{
	Dump d = {
		.start = start_at(NULL, __builtin_return_address(0), arch_sp()),
		.fd = fd,
		.all = true,
		.system = level >= TRACE_SYSTEM,
	};
	(void)dump_stack_run(fd, dump_on_stack, &d);
}

// GOTRACEBACK: a name, or Go's older numbers.
void
dump_init(void)
{
	static const struct {
		const char *text;
		TraceLevel level;
	} values[] = {
		{"none", TRACE_NONE},     {"0", TRACE_NONE},      {"single", TRACE_SINGLE},
		{"all", TRACE_ALL},       {"1", TRACE_ALL},       {"system", TRACE_SYSTEM},
		{"2", TRACE_SYSTEM},      {"crash", TRACE_CRASH},
	};
	const char *text = getenv("GOTRACEBACK");
	level = TRACE_SINGLE;
	for (size_t i = 0; text != NULL && i < countof(values); i++)
		if (strcmp(text, values[i].text) == 0)
			level = values[i].level;
}
