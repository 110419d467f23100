// SPDX-License-Identifier: BSD-3-Clause
// Tracebacks: walking a stack, naming its frames, printing them as Go does.
//
//     chan_producer(...)
//             prog/produce.c:17 +0x2c
//
// libgcc's unwinder walks, through signal frames too; libbacktrace names. Both take memory from the
// kernel alone and no lock of libc's allocator, so a thread that died inside malloc gets its
// traceback.
//
// Both set themselves up at the first use, since most programs end without one and the tables they
// read are pages of memory, and time. That may be in a signal's handler. What the unwinder sets up
// is some stores behind a pthread_once: only a signal that comes between these of the same thread
// would wait for itself. Profiles and questions see to it before they begin (sample.c); else the
// process is dying then, and a second signal ends it.
//
// The first name asked for needs the loader's list of modules, and its lock, which some thread may
// hold for ever. A dying process that waits there without computing, for some STUCK_LOOK_NS, does
// without names.
//
// A stack may be broken, and walking it may fault. Each walk is a trap: the handler of the fault
// jumps back to behind the walk (trace_catch), and what was found until then is printed.
//
// A deep stack prints its innermost and its outermost frames. Frames of the runtime itself are
// left out, but for the go_ functions the program called: they are known by their source file's
// folder, which is this file's, and without debug information not at all.
#include <backtrace.h>
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <setjmp.h>
#include <string.h>
#include <unwind.h>

#include "arch/unwind.h"
#include "gc/gc_up.h"
#include "panic/panic_impl.h"

enum { NAME_BYTES = 256 };    // longer names of functions are as the linker knows them
enum {
	WALK_MAX = 1 << 20, // frames walked; a second or so
	TOLD_MAX = 1 << 14, // by a thread that has other things to do; some milliseconds
	TOLD_MAX_DYING = 1 << 18,
	OURS_MAX = 40,      // frames of ours, before the first that is wanted
};
#define STUCK_LOOK_NS INT64_C(500000000)
enum {
	STUCK_LOOKS = 4,
	STUCK_CPU_NS = 200000, // what a look itself may take
};

typedef struct Trap {
	sigjmp_buf env;
	struct Trap *outer;
} Trap;

// What is known about one pc, and how to print it.
typedef struct Naming {
	Line line;
	const Frame *frame;
	const char *symbol; // NULL: none
	uintptr_t symbol_pc;
	bool named;
	bool printed;
	bool system;
	uint64_t creator; // not 0: the frame is where that goroutine started another
	bool after_main;  // the frame was libc's, which calls main
	size_t own_bytes; // of the folder that our sources are in; 0 not known
	const char *own;
	const char *passed; // the file of a function of ours, which is not shown; NULL: none
	int passed_line;
} Naming;

static ATOMIC(struct backtrace_state *) symbols; // made when first wanted
static ATOMIC_BOOL nameless;            // a frame had no name
static ATOMIC_BOOL loader_stuck;        // it is of no use to ask for names
static __thread Trap *newest_trap;

// Not inlined: these alone form the address of a thread-local.
static NOINLINE Trap *
trap_swap(Trap *t)
{
	Trap *before = newest_trap;
	newest_trap = t;
	return before;
}

// --- walking ------------------------------------------------------------------------------------

static void
take_frame(Walk *w, Frame f)
{
	if (w->n < WALK_HALF)
		w->inner[w->n] = f;
	else
		w->outer[w->n % WALK_HALF] = f;
	w->n++;
}

static _Unwind_Reason_Code
step(struct _Unwind_Context *context, void *arg)
{
	Walk *w = arg;
	int exact = 0;
	uintptr_t pc = _Unwind_GetIPInfo(context, &exact);
	uintptr_t cfa = _Unwind_GetCFA(context);
	w->started = w->started || (pc == w->start && (exact != 0 || !w->start_exact));
	if (!w->started)
		return ++w->ours < OURS_MAX ? _URC_NO_REASON : _URC_END_OF_STACK;

	w->cut = w->n == w->most;
	bool circles = w->n > 1 && cfa == w->cfa && !exact;
	if (w->cut || pc == 0 || circles)
		return _URC_END_OF_STACK;
	take_frame(w, (Frame){pc, exact != 0});
	w->cfa = cfa;
	return _URC_NO_REASON;
}

static void
walk_begin(Walk *w, uint64_t most)
{
	memset(w, 0, sizeof(*w));
	w->most = most;
}

static NOINLINE void
walk_now(void *w)
{
	_Unwind_Backtrace(step, w);
	__asm__ volatile("" ::: "memory"); // no tail call: this frame is part of the walk
}

// What walk_safely starts: one of these.
typedef struct WalkFrom {
	Walk *walk;
	const void *sp;      // a suspended context, or
	const void *context; // the caller of what a signal interrupted; neither: here
} WalkFrom;

static void
walk_from(const WalkFrom *from)
{
	if (from->sp != NULL) {
		from->walk->start = arch_parked_pc(from->sp);
		arch_unwind_parked(from->sp, walk_now, from->walk);
	} else if (from->context != NULL) {
		arch_unwind_caller(from->context, &from->walk->start, walk_now, from->walk);
	} else {
		walk_now(from->walk);
	}
}

static NOINLINE void
walk_safely(const WalkFrom *from)
{
	Trap trap;
	trap.outer = trap_swap(&trap);
	if (sigsetjmp(trap.env, 1) == 0)
		walk_from(from);
	else
		from->walk->broken = true;
	trap_swap(trap.outer);
}

// --- callers ------------------------------------------------------------------------------------

enum { SKIPPED_MAX = 20 }; // frames before the first that is wanted

typedef struct Callers {
	uintptr_t *pcs;
	size_t n;
	size_t max;
	size_t skipped;
	bool entered; // an allocating function of the library has been found
} Callers;

static bool
is_alloc_entry(uintptr_t function)
{
	for (size_t i = 0; up_alloc_entries[i] != NULL; i++)
		if (function == (uintptr_t)up_alloc_entries[i])
			return true;
	return false;
}

static _Unwind_Reason_Code
take_caller(struct _Unwind_Context *context, void *arg)
{
	Callers *c = arg;
	if (!c->entered) {
		c->entered = is_alloc_entry(_Unwind_GetRegionStart(context));
		if (!c->entered)
			return ++c->skipped < SKIPPED_MAX ? _URC_NO_REASON : _URC_END_OF_STACK;
	}
	uintptr_t pc = _Unwind_GetIP(context);
	if (pc == 0 || c->n == c->max)
		return _URC_END_OF_STACK;
	c->pcs[c->n++] = pc;
	return _URC_NO_REASON;
}

static NOINLINE void
callers_safely(Callers *c)
{
	Trap trap;
	trap.outer = trap_swap(&trap);
	if (sigsetjmp(trap.env, 1) == 0)
		_Unwind_Backtrace(take_caller, c);
	trap_swap(trap.outer);
}

size_t (*panic_callers)(uintptr_t *pcs, size_t max);

NOINLINE size_t
up_callers(uintptr_t *pcs, size_t max)
{
	if (panic_callers != NULL)
		return panic_callers(pcs, max);
	Callers c = {.pcs = pcs, .max = max};
	callers_safely(&c);
	return c.n;
}

// --- what a signal interrupted ------------------------------------------------------------------

typedef struct Interrupted {
	uintptr_t start;
	bool entered; // the handler's own frames are behind us
	size_t ours;  // they
	uintptr_t *pcs;
	size_t n;
	size_t max;
} Interrupted;

static _Unwind_Reason_Code
take_interrupted(struct _Unwind_Context *context, void *arg)
{
	Interrupted *in = arg;
	int exact = 0;
	uintptr_t pc = _Unwind_GetIPInfo(context, &exact);
	in->entered = in->entered || (exact != 0 && pc == in->start);
	if (!in->entered)
		return ++in->ours < OURS_MAX ? _URC_NO_REASON : _URC_END_OF_STACK;
	if (pc == 0 || in->n == in->max)
		return _URC_END_OF_STACK;
	in->pcs[in->n++] = pc + (exact != 0);
	return _URC_NO_REASON;
}

size_t
trace_interrupted(uintptr_t pc, uintptr_t *pcs, size_t max)
{
	Interrupted in = {.start = pc, .pcs = pcs, .max = max};
	Trap trap;
	trap.outer = trap_swap(&trap);
	if (sigsetjmp(trap.env, 1) == 0)
		_Unwind_Backtrace(take_interrupted, &in);
	trap_swap(trap.outer);
	return ((volatile Interrupted *)&in)->n;
}

void
trace_told(Walk *w, const void *context)
{
	uintptr_t sp;
	walk_begin(w, load_rlx(&base_dying) != 0 ? TOLD_MAX_DYING : TOLD_MAX); // order: hint
	w->start_exact = true;
	os_signal_regs(context, &w->start, &sp);
#ifdef DLFO_EH_SEGMENT_TYPE // else the unwinder takes the loader's lock
	walk_safely(&(WalkFrom){.walk = w});
#endif
	if (w->n == 0)
		take_frame(w, (Frame){w->start, true});
}

static _Unwind_Reason_Code
take_none(struct _Unwind_Context *context, void *unused)
{
	(void)context;
	(void)unused;
	return _URC_END_OF_STACK;
}

void
trace_ready(void)
{
	_Unwind_Backtrace(take_none, NULL);
}

void
trace_catch(void)
{
	Trap *t = trap_swap(NULL);
	if (t != NULL)
		siglongjmp(t->env, 1);
}

// --- naming -------------------------------------------------------------------------------------

static void
no_name(void *data, const char *msg, int errnum)
{
	(void)data;
	(void)msg;
	(void)errnum;
}

static int
see_own_folder(void *data, uintptr_t pc, const char *file, int line, const char *function)
{
	static const char self[] = "panic/traceback.c";
	Naming *nm = data;
	(void)pc;
	(void)line;
	(void)function;
	size_t n = file != NULL ? strlen(file) : 0;
	if (n > sizeof(self) - 1 && strcmp(file + n - (sizeof(self) - 1), self) == 0) {
		nm->own = file;
		nm->own_bytes = n - (sizeof(self) - 1);
	}
	return 1;
}

static bool
is_own(const Naming *nm, const char *file, const char *function)
{
	return nm->own_bytes != 0 && file != NULL && strncmp(file, nm->own, nm->own_bytes) == 0 &&
	       (function == NULL || strncmp(function, "go_", 3) != 0);
}

// libc's frames outside main and outside a thread's function.
static bool
is_start(const char *function)
{
	static const char *const starts[] = {"_start", "start_thread", "clone", "clone3"};
	for (size_t i = 0; function != NULL && i < countof(starts); i++)
		if (strcmp(function, starts[i]) == 0)
			return true;
	return function != NULL && strncmp(function, "__libc_start_", 13) == 0;
}

const char *(*panic_name)(char *to, size_t room, const char *symbol, const char *function);
const char *(*panic_shown)(const char *symbol);

static void
print_frame(Naming *nm, const char *function, const char *where, int line)
{
	char name[NAME_BYTES];
	Line *l = &nm->line;
	nm->named = nm->printed = true;
	if (nm->after_main && !nm->system)
		return;
	nm->after_main = strcmp(function, "main") == 0;
	line_str(l, nm->creator != 0 ? "created by " : "");
	if (panic_name != NULL)
		function = panic_name(name, sizeof(name), nm->symbol, function);
	line_str(l, function);
	line_str(l, nm->creator != 0 ? " in goroutine " : "(...)");
	if (nm->creator != 0)
		line_u64(l, nm->creator);
	line_end(l);
	line_str(l, "\t");
	line_str(l, where);
	if (line > 0) {
		line_str(l, ":");
		line_u64(l, (uint64_t)line);
	}
	line_str(l, " +");
	line_hex(l, nm->frame->pc - nm->symbol_pc);
	line_end(l);
}

static void
see_symbol(void *data, uintptr_t pc, const char *name, uintptr_t value, uintptr_t bytes)
{
	Naming *nm = data;
	(void)pc;
	(void)bytes;
	if (name != NULL) {
		nm->symbol = name;
		nm->symbol_pc = value;
	}
}

// Called for each inlined function at the pc, innermost first, and the one they are inlined into.
static int
see_line(void *data, uintptr_t pc, const char *file, int line, const char *function)
{
	Naming *nm = data;
	(void)pc;
	if (function == NULL && file == NULL)
		return 0;
	if (function == NULL)
		function = nm->symbol;
	if (nm->creator != 0) {
		print_frame(nm, function != NULL ? function : "?", file != NULL ? file : "?", line);
		return 1;
	}
	if (!nm->system && (is_own(nm, file, function) || is_start(function))) {
		nm->named = true;
		nm->passed = file;
		nm->passed_line = line;
	} else {
		print_frame(nm, function != NULL ? function : "?", file != NULL ? file : "?", line);
	}
	return 0;
}

// A function of ours that has a name of Go's.
static void
print_passed(Naming *nm)
{
	if (nm->passed == NULL || nm->printed || nm->symbol == NULL || panic_shown == NULL)
		return;
	const char *name = panic_shown(nm->symbol);
	if (name != NULL)
		print_frame(nm, name, nm->passed, nm->passed_line);
}

// The file that the code at pc is in. Offsets count from its beginning unless a symbol is known.
static const char *
find_module(Naming *nm, uintptr_t pc)
{
	const char *module = "?";
#ifdef DLFO_EH_SEGMENT_TYPE // lock-free, unlike dladdr
	struct dl_find_object found;
	if (_dl_find_object((void *)pc, &found) == 0) {
		const char *name = found.dlfo_link_map->l_name;
		module = name != NULL && name[0] != '\0' ? name : program_invocation_name;
		nm->symbol_pc = (uintptr_t)found.dlfo_map_start;
	}
#else
	(void)pc;
#endif
	return module;
}

// It takes a page from the kernel and waits for nobody, so a signal's handler may be the first to
// ask. Whose page comes second leaves it.
struct backtrace_state *
panic_symbols(void)
{
	struct backtrace_state *st = load_acq(&symbols); // order: observe <- below
	if (likely(st != NULL))
		return st;
	st = backtrace_create_state(NULL, 1, no_name, NULL);
	struct backtrace_state *none = NULL;
	if (st != NULL && !cas_ar(&symbols, &none, st)) // order: publish -> above, observe <- here
		st = none;
	return st;
}

static bool
names_to_be_had(void)
{
	return panic_symbols() != NULL && !load_rlx(&loader_stuck); // order: hint
}

static void
name_frame(Naming *nm, const Frame *f)
{
	// A call may be its function's last instruction.
	uintptr_t pc = f->exact ? f->pc : f->pc - 1;
	nm->frame = f;
	nm->symbol = NULL;
	nm->symbol_pc = 0;
	nm->named = nm->printed = false;
	nm->passed = NULL;
	const char *module = find_module(nm, pc);
	if (names_to_be_had()) {
		backtrace_syminfo(panic_symbols(), pc, see_symbol, no_name, nm);
		backtrace_pcinfo(panic_symbols(), pc, see_line, no_name, nm);
		print_passed(nm);
	}
	if (!nm->named && nm->symbol == NULL)
		store_rlx(&nameless, true); // order: hint
	if (!nm->named) // no debug information
		print_frame(nm, nm->symbol != NULL ? nm->symbol : "?", module, 0);
}

// Each STUCK_LOOK_NS. One that reads files, or gets little of a busy machine, has computed in
// between.
static void
look_stuck(int sig, siginfo_t *info, void *context)
{
	static int64_t cpu_before; // the one that dies
	static int looks;
	(void)sig;
	(void)info;
	(void)context;
	int64_t cpu = os_self_cpu_ns();
	looks = cpu - cpu_before < STUCK_CPU_NS ? looks + 1 : 0;
	cpu_before = cpu;
	if (looks == STUCK_LOOKS)
		trace_catch();
}

// Finds our own folder, which readies the symboliser when it is the first that is asked.
static void
look_first(Naming *nm)
{
	backtrace_pcinfo(panic_symbols(), (uintptr_t)look_first, see_own_folder, no_name, nm);
}

// The same with limited patience.
static NOINLINE void
look_first_dying(Naming *nm)
{
	Trap trap;
	int timer = os_timer_every(STUCK_LOOK_NS, look_stuck);
	trap.outer = trap_swap(&trap);
	if (sigsetjmp(trap.env, 1) == 0)
		look_first(nm);
	else
		store_rlx(&loader_stuck, true); // order: hint
	trap_swap(trap.outer);
	os_timer_end(timer);
}

static void
naming_begin(Naming *nm, bool system)
{
	*nm = (Naming){.system = system};
	if (!names_to_be_had())
		return;
	if (load_rlx(&base_dying) != 0) // order: hint
		look_first_dying(nm);
	else
		look_first(nm);
}

// For trace_name: who is told, instead of a line printed.
typedef struct NameFor {
	NameFn *fn;
	void *ctx;
	Naming nm;
} NameFor;

static int
tell_line(void *data, uintptr_t pc, const char *file, int line, const char *function)
{
	NameFor *to = data;
	(void)pc;
	if (function == NULL && file == NULL)
		return 0;
	to->nm.named = true;
	if (function == NULL)
		function = to->nm.symbol;
	if (!is_own(&to->nm, file, function) && !is_start(function))
		to->fn(to->ctx, function, file, line);
	return 0;
}

void
trace_name(uintptr_t pc, bool system, NameFn *fn, void *ctx)
{
	NameFor to = {.fn = fn, .ctx = ctx};
	naming_begin(&to.nm, system);
	struct backtrace_state *st = panic_symbols();
	if (st != NULL) {
		backtrace_syminfo(st, pc - 1, see_symbol, no_name, &to.nm);
		backtrace_pcinfo(st, pc - 1, tell_line, no_name, &to);
	}
	if (!to.nm.named && !is_start(to.nm.symbol))
		fn(ctx, to.nm.symbol, NULL, 0);
}

// --- printing -----------------------------------------------------------------------------------

void
trace_print(const Walk *w, bool system)
{
	Naming nm;
	naming_begin(&nm, system);
	for (uint64_t i = 0; i < w->n && i < WALK_HALF; i++)
		name_frame(&nm, &w->inner[i]);
	uint64_t from = w->n > 2 * WALK_HALF ? w->n - WALK_HALF : WALK_HALF;
	if (w->cut || from > WALK_HALF) {
		line_str(&nm.line, "...");
		if (!w->cut)
			line_u64(&nm.line, from - WALK_HALF);
		line_str(&nm.line, w->cut ? "additional frames elided..." : " frames elided...");
		line_end(&nm.line);
	}
	for (uint64_t i = from; i < w->n && !w->cut; i++)
		name_frame(&nm, &w->outer[i % WALK_HALF]);
	if (w->broken) {
		line_str(&nm.line, "\tthe stack is unreadable from here");
		line_end(&nm.line);
	}
}

void
trace_creator(uintptr_t pc, uint64_t id)
{
	Naming nm;
	naming_begin(&nm, true);
	nm.creator = id;
	name_frame(&nm, &(Frame){.pc = pc});
}

void
trace_remark(void)
{
	if (!load_rlx(&nameless)) // order: hint
		return;
	store_rlx(&nameless, false); // order: hint
	if (load_rlx(&loader_stuck)) // order: hint
		print_str("\nruntime: a thread holds the loader's lock, so there are no names\n");
	print_str("\nruntime: a file above has no symbols; offsets count from where it is loaded: "
		  "addr2line -f -e FILE_WITH_SYMBOLS OFFSET\n");
}

static bool
in_code(uintptr_t pc)
{
#ifdef DLFO_EH_SEGMENT_TYPE
	struct dl_find_object found;
	return _dl_find_object((void *)pc, &found) == 0;
#else
	return pc != 0;
#endif
}

void
trace_here(const TraceStart *start, bool system)
{
	Walk w;
	walk_begin(&w, WALK_MAX);
	WalkFrom from = {.walk = &w};
	uintptr_t sp;
	w.start = start->pc;
	if (start->context != NULL) {
		os_signal_regs(start->context, &w.start, &sp);
		if (!in_code(w.start)) // a call through a bad pointer: its caller can be walked
			from.context = start->context;
	}
	walk_safely(&from);
	trace_print(&w, system);
}

// The function of the program that a goroutine which has not run yet will begin with.
static uintptr_t
first_pc(const G *gp)
{
	return gp->scope != NULL ? (uintptr_t)gp->scope_fn : (uintptr_t)gp->fn;
}

void
trace_parked(const G *gp, Walk *w)
{
	walk_begin(w, WALK_MAX);
	if (gp->sp == NULL)
		w->inner[w->n++] = (Frame){.pc = first_pc(gp), .exact = true};
	else
		walk_safely(&(WalkFrom){.walk = w, .sp = gp->sp});
}
