// SPDX-License-Identifier: BSD-3-Clause
// Printing the goroutines: of a dying process, on SIGQUIT, for go_dump.
//
//     goroutine 7 "reader" [chan receive, 3 minutes]:
//     consume(...)
//             prog/consume.c:31 +0x19
//     created by start in goroutine 1
//             prog/start.c:12 +0x3e
//
// A goroutine's record is never freed, so the list is walked without a lock; what a record says may
// be a moment old. Its stack is read only while its scan bit is held, which keeps it from running,
// and never waited for. The stack of one that runs elsewhere is its thread's to tell, when a signal
// has it do so (sample.c): mostly at once, as late as in a second on a machine that is busy. One
// deadline is for all questions to a goroutine, one for those of a dump; who blocks the signal is
// not waited for. Nothing is written before the bit is given up, as the reader of what we write may
// be that goroutine, or need its thread.
//
// Printing needs more stack than a goroutine or a signal handler may have left, so it happens on
// stacks of its own: one for the death of the process, which happens once, and one for go_dump,
// which is locked. While the former is in use the alternate signal stack, whose contents are still
// needed, is exchanged as well: a walk that faults enters its handler there. Not done: stopping the
// others. A dump must work when somebody does not stop.
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/base_up.h"
#include "gc/service.h"
#include "panic/chain.h"
#include "panic/panic_impl.h"
#include "panic/sample.h"

#define NO_TSAN __attribute__((no_sanitize("thread")))

enum {
	DUMP_STACK_BYTES = 128 << 10,
	SIGNAL_STACK_BYTES = 48 << 10,
	GUARD_MOST_BYTES = 64 << 10,
	SORTED_MAX = 2000, // goroutines that are printed by rising number
	REGISTER_COLUMN = 7,
	TURN_LOOK_NS = 1000000, // between looks whether another has ended
};
#define NS_PER_MINUTE INT64_C(60000000000)
#define ASK_NS INT64_C(1000000000) // how long one goroutine may be asked for its stack; and
#define PATIENCE_NS (4 * ASK_NS)   // all of a dump: less than HOLD_STILL_NS (os/seam.c)
#define AGAIN_NS 200000

typedef struct Dump {
	TraceStart start;
	int fd;
	bool all;     // the other goroutines too
	bool system;  // the runtime's goroutines and frames too
	bool runtime; // the present stack is of interest even if it is no goroutine's
	bool dying;
	bool disturbs; // threads that do not compute are asked too, though a call may end by it
	int64_t patience_ns; // what is left of it, for questions
	bool begun; // something stands above: a blank line goes between
} Dump;

static char death_stack[DUMP_STACK_BYTES] __attribute__((aligned(64)));
static char death_signal_stack[SIGNAL_STACK_BYTES] __attribute__((aligned(64)));
static char dump_stack[DUMP_STACK_BYTES] __attribute__((aligned(64)));
static Turn dump_turn;   // dump_stack is in use
static ATOMIC(TraceLevel) level; // dump_init, panic_set_level
static TraceLevel level_at_start; // TRACE_NONE; set by dump_init, then constant

static TraceLevel
trace_level(void)
{
	return load_rlx(&level); // order: hint
}

// --- what a goroutine is doing ------------------------------------------------------------------

// One that has announced a blocking call is in it. One that has lost its P to others is in one,
// too, unless its thread computes, which may be in the kernel. The caller itself is in none.
static NO_TSAN const char *
running_text(const G *gp)
{
	M *mp = load_rlx(&gp->m); // order: hint; Ms are never freed
	if (gp->thread || mp == NULL || mp == sched_m())
		return "running";
	uint32_t state = load_rlx(&mp->lease.state); // order: hint
	if (state != LEASE_REVOKED)
		return state == LEASE_LOOSE ? "syscall" : "running";
	return os_thread_runnable(load_rlx(&mp->tid)) ? "running" : "syscall"; // order: hint
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
line_header(Line *l, G *gp, uint64_t id, uint32_t status)
{
	int64_t since = load_rlx(&gp->wait_since); // order: count
	line_str(l, "goroutine ");
	line_u64(l, id);
	if (gp->name != NULL)
		line_name(l, gp->name);
	line_str(l, " [");
	line_str(l, status_text(gp, status));
	if (status == Gwaiting && since != 0 && os_nanotime() - since >= NS_PER_MINUTE) {
		line_str(l, ", ");
		line_u64(l, (uint64_t)((os_nanotime() - since) / NS_PER_MINUTE));
		line_str(l, " minutes");
	}
	line_str(l, gp->thread ? ", thread]:" : gp->locked ? ", locked to thread]:" : "]:");
}

// The goroutine that started this one; 0 for those nobody started.
static NO_TSAN uint64_t
creator_of(const G *gp)
{
	return gp->id != 1 ? gp->parent_id : 0;
}

static void
print_creator(uint64_t id, uintptr_t pc)
{
	Line l = {0};
	if (id == 0)
		return;
	if (pc != 0) {
		trace_creator(pc, id);
		return;
	}
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
	uint64_t id; // noted first: its record may serve another by and by
	uint64_t creator;
	uintptr_t creator_pc;
	void *face;
	uint32_t status;
	WaitReason why;
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
	s->id = gp->id;
	fence_seq(); // order: the number is read first: the rest is of it, or of a later one
	s->status = load_acq(&gp->status); // order: observe <- finish_switch
	if (s->status == Gidle || s->status == Gdead)
		return false;
	s->walked = !gp->thread && hold_stack(gp);
	if (s->walked) {
		s->status = load_rlx(&gp->status); // order: hint, it cannot run
		s->id = gp->id;
	}
	s->header.n = 0;
	line_header(&s->header, gp, s->id, s->status);
	s->why = s->status == Gwaiting ? load_rlx(&gp->wait) : WAIT_none; // order: count
	s->creator = creator_of(gp);
	s->creator_pc = gp->spawn_pc;
	s->face = gp->face;
	if (s->walked) {
		trace_parked(gp, &s->walk);
		sched_scan_end(gp);
	}
	return true;
}

// One of which users are told only when they ask for the runtime's: a part of it that has nothing
// to do; and in a Go program the thread that waits for the main goroutine.
static NO_TSAN bool
is_system(const G *gp, const Shown *s)
{
	if (s->status != Gwaiting)
		return false;
	return service_rests(gp) ||
	       (gp->thread && panic_in_go != NULL && s->why == WAIT_run_main);
}

static NO_TSAN bool
may_ask(const Dump *d, const G *gp)
{
	M *mp = load_rlx(&gp->m); // order: hint; Ms are never freed
	if (d->patience_ns <= 0 || mp == NULL)
		return false;
	if (gp->thread && load_rlx(&mp->lent) != LENT_NOT) // order: hint
		return false; // it runs others, and this one's stack lies beneath
	return d->disturbs || os_thread_runnable(load_rlx(&mp->tid)); // order: hint
}

// Until then, or until patience is at an end.
static Answer
ask(Dump *d, const G *gp, Shown *s, int64_t until)
{
	int64_t begun = os_nanotime();
	if (begun >= until || !may_ask(d, gp))
		return ANSWER_NONE;
	if (until > begun + d->patience_ns)
		until = begun + d->patience_ns;
	Question q = {.gp = gp, .id = s->id, .until = until, .dying = d->dying};
	Answer a = sample_ask(&q, &s->walk);
	if (a == ANSWER_LEFT)
		os_sleep(AGAIN_NS); // asked all the time a thread would do nothing else
	d->patience_ns -= os_nanotime() - begun;
	return a;
}

// One that is asked may have begun to wait by then, to run elsewhere, or ended, and its record may
// serve another: nothing that was noted of it holds then. False: nothing is to be shown.
static NO_TSAN bool
look_and_ask(Dump *d, Shown *s, G *gp)
{
	enum { TRIES = 50 };
	int64_t until = os_nanotime() + ASK_NS;
	for (int i = 0; i < TRIES && os_nanotime() < until; i++) {
		if (!look_at(s, gp) || (!d->system && is_system(gp, s)))
			return false;
		Answer a = s->walked ? ANSWER_STACK : ask(d, gp, s, until);
		s->walked = a == ANSWER_STACK;
		if (s->walked || (a == ANSWER_NONE && gp->id == s->id))
			return true;
	}
	return true;
}

static void
print_other(Dump *d, G *gp)
{
	Shown s;
	if (!look_and_ask(d, &s, gp))
		return;
	print_gap(d);
	line_end(&s.header);
	if (s.walked)
		trace_print(&s.walk, d->system);
	else if (s.status == Gwaiting)
		print_str("\tgoroutine is a thread of the program; stack unavailable\n");
	else
		print_str("\tgoroutine running on other thread; stack unavailable\n");
	print_creator(s.creator, s.creator_pc);
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

// As Go does below the goroutines: "rax    0x2a".
static void
print_registers(const void *context)
{
	uint64_t value;
	const char *name;
	print_str("\n");
	for (int i = 0; (name = os_signal_reg(context, i, &value)) != NULL; i++) {
		Line l = {0};
		line_str(&l, name);
		for (size_t n = strlen(name); n < REGISTER_COLUMN; n++)
			line_str(&l, " ");
		line_hex(&l, value);
		line_end(&l);
	}
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
		line_header(&l, me, me->id, load_rlx(&me->status)); // order: hint
		line_end(&l);
		trace_here(&d->start, d->system);
		print_creator(creator_of(me), me->spawn_pc);
	} else if (d->runtime) {
		print_gap(d);
		print_str(sched_m() != NULL ? "runtime stack:\n" : "thread stack:\n");
		trace_here(&d->start, true);
	}
	if (d->all)
		print_others(d, me);
	trace_remark();
	if (d->start.context != NULL)
		print_registers(d->start.context);
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

// all is 2 when the runtime itself is at fault, as throw says: its own frames and goroutines matter
// then.
NOINLINE void
up_print_goroutines(int all)
{
	bool system = all > 1 || trace_level() >= TRACE_SYSTEM;
	Dump d = {
		.start = start_at(fault_context(), __builtin_return_address(0), arch_sp()),
		.fd = 2,
		.all = all > 0 || trace_level() >= TRACE_ALL,
		.system = system,
		.runtime = system || fault_context() != NULL,
		.dying = true,
		.disturbs = true,
		.patience_ns = PATIENCE_NS,
	};
	if (trace_level() != TRACE_NONE)
		arch_call_on(death_stack + sizeof(death_stack), dump_on_stack, &d);
	if (trace_level() == TRACE_CRASH)
		fault_abort();
}

static void
print_one_frame(void *pc)
{
	Walk w;
	memset(&w, 0, sizeof(w));
	w.inner[w.n++] = (Frame){.pc = *(const uintptr_t *)pc};
	trace_print(&w, true);
}

void
dump_frame(uintptr_t pc)
{
	arch_call_on(death_stack + sizeof(death_stack), print_one_frame, &pc);
}

void
dump_dying(const TraceStart *start)
{
	Dump d = {
		.start = *start,
		.fd = 2,
		.all = true,
		.system = trace_level() >= TRACE_SYSTEM,
		.runtime = trace_level() >= TRACE_SYSTEM || sched_m() == NULL,
		.dying = true,
		.disturbs = true,
		.patience_ns = PATIENCE_NS,
	};
	if (trace_level() != TRACE_NONE)
		arch_call_on(death_stack + sizeof(death_stack), dump_on_stack, &d);
}

bool
dump_aborts(void)
{
	return trace_level() == TRACE_CRASH;
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

// fn has no object of the heap that nobody else has, and waits for no goroutine: the collector does
// not look at this stack while a signal is handled upon it, or who is on it has parked.
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
		.system = trace_level() >= TRACE_SYSTEM,
		.patience_ns = PATIENCE_NS,
	};
	(void)dump_stack_run(fd, dump_on_stack, &d);
}

static void
look_through(const Walk *w, Look *l)
{
	static_assert(LOOK_FRAMES == 2 * WALK_HALF, "all that a walk keeps");
	l->elided = w->n > LOOK_FRAMES;
	l->n = l->elided ? LOOK_FRAMES : (size_t)w->n;
	if (w->cut && l->elided)
		l->n = WALK_HALF; // the others are from its middle
	for (size_t i = 0; i < l->n; i++) {
		uint64_t at = l->elided && i >= WALK_HALF ? w->n - LOOK_FRAMES + i : i;
		Frame f = i < WALK_HALF ? w->inner[i] : w->outer[at % WALK_HALF];
		l->pcs[i] = f.pc + f.exact;
	}
}

bool
panic_look(G *gp, Look *l)
{
	Dump d = {.system = true, .disturbs = true, .patience_ns = ASK_NS};
	Shown s;
	if (!look_and_ask(&d, &s, gp))
		return false;
	size_t n = s.header.n < sizeof(l->header) ? s.header.n : sizeof(l->header) - 1;
	memcpy(l->header, s.header.text, n);
	l->header[n] = '\0';
	l->id = s.id;
	l->why = s.why;
	l->creator = s.creator;
	l->creator_pc = s.creator_pc;
	l->face = s.face;
	l->n = 0;
	l->elided = false;
	if (s.walked)
		look_through(&s.walk, l);
	return true;
}

// GOTRACEBACK as Go reads it: a name, or a number, of which 2 and more mean the runtime's frames
// too. Anything else counts as 0. A program that runs with more rights than its user says nothing.
static TraceLevel
level_of(const char *text)
{
	static const struct {
		const char *text;
		TraceLevel level;
	} values[] = {
		{"", TRACE_SINGLE},   {"single", TRACE_SINGLE}, {"all", TRACE_ALL},
		{"system", TRACE_SYSTEM}, {"crash", TRACE_CRASH},
	};
	TraceLevel found = TRACE_NONE;
	uint64_t number = 0;
	for (const char *at = text; *at >= '0' && *at <= '9' && number <= UINT32_MAX; at++) {
		number = 10 * number + (uint64_t)(*at - '0');
		if (at[1] == '\0' && number >= 1 && number <= UINT32_MAX)
			found = number == 1 ? TRACE_ALL : TRACE_SYSTEM;
	}
	for (size_t i = 0; i < countof(values); i++)
		if (strcmp(text, values[i].text) == 0)
			found = values[i].level;
	return found;
}

void
panic_set_level(const char *text)
{
	TraceLevel wanted = level_of(text);
	if (getauxval(AT_SECURE) == 0)
		store_rlx(&level, wanted > level_at_start ? wanted : level_at_start); // order: hint
}

void
dump_init(void)
{
	const char *text = getenv("GOTRACEBACK");
	if (getauxval(AT_SECURE) == 0)
		level_at_start = level_of(text != NULL ? text : "");
	store_rlx(&level, level_at_start); // order: own, the first
	// A thread that stands still upon them has what is in use of them looked at (gc/roots.c).
	os_modules_leave_out(death_stack, sizeof(death_stack));
	os_modules_leave_out(death_signal_stack, sizeof(death_signal_stack));
	os_modules_leave_out(dump_stack, sizeof(dump_stack));
}
