// SPDX-License-Identifier: BSD-3-Clause
// Fatal signals: a goroutine that ran out of stack, a bad pointer, SIGQUIT, abort().
//
// Handlers run on an alternate stack of each thread, since a goroutine that overflowed has none
// left. What they do is safe in a signal handler whatever was interrupted: no libc lock, no runtime
// lock, no memory but the kernel's.
//
// The program comes first. Where it has a handler before the runtime starts, that one is asked
// after us about SIGSEGV and SIGBUS, which we need to tell a stack overflow, and instead of us
// about the others. What a thread does that never called the runtime, and signals somebody sent,
// end the process as they would without us, by that signal; but the goroutines are shown before.
//
//   in a goroutine or a thread we know: SEGV BUS FPE ILL   fatal error: ...       exit status 2
//   the same in a stranger, or sent; ABRT TRAP SYS STKFLT  SIG...: text, PC=...   that signal
//   QUIT                                                   the same               exit status 2
#include <string.h>
#include <sys/auxv.h>

#include "base/base_up.h"
#include "arch/unwind.h"
#include "mem/efence.h"
#include "panic/chain.h"
#include "panic/panic_impl.h"
#include "panic/step.h"
#include "sched/sched_up.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

enum {
	SIGNAL_STACK_BYTES = 32 << 10, // besides what the kernel stores there
	SIGNAL_STACK_ENOUGH = 16 << 10,
	EXIT_QUIT = 2,
};

typedef struct Fatal {
	int sig;
	bool shared; // ours even when the program has a handler
	const char *text;
	OsHandler *handler;
	struct sigaction before; // set by fault_init
} Fatal;

static void on_fault(int sig, siginfo_t *info, void *context);
static void on_quit(int sig, siginfo_t *info, void *context);
static void on_abort(int sig, siginfo_t *info, void *context);

static Fatal fatals[] = {
	{SIGSEGV, true, "SIGSEGV: segmentation violation", .handler = on_fault},
	{SIGBUS, true, "SIGBUS: bus error", .handler = on_fault},
	{SIGFPE, false, "SIGFPE: floating-point exception", .handler = on_fault},
	{SIGILL, false, "SIGILL: illegal instruction", .handler = on_fault},
	{SIGQUIT, false, "SIGQUIT: quit", .handler = on_quit},
	{SIGABRT, false, "SIGABRT: abort", .handler = on_abort},
	{SIGTRAP, false, "SIGTRAP: trace trap", .handler = on_abort},
	{SIGSTKFLT, false, "SIGSTKFLT: stack fault", .handler = on_abort},
	{SIGSYS, false, "SIGSYS: bad system call", .handler = on_abort},
};

// Lies at the low end of a signal stack, behind its guard.
typedef struct SignalStack {
	stack_t before; // what the thread had
	char *map;
	size_t map_bytes;
} SignalStack;

static __thread const void *current_context;

const NOINLINE void *
fault_context(void)
{
	return current_context;
}

static NOINLINE void
set_context(const void *context)
{
	current_context = context;
}

// --- faults -------------------------------------------------------------------------------------

static Fatal *
fatal_of(int sig)
{
	Fatal *f = fatals;
	while (f->sig != sig)
		f++;
	return f;
}

// The kernel knows SIG_DFL and SIG_IGN whatever sa_flags says; sa_sigaction lies in the same place.
static bool
ignored(const struct sigaction *before)
{
	return before->sa_handler == SIG_IGN;
}

// A handler that asked for one signal has had it.
static void
spend(struct sigaction *before)
{
	if (((unsigned)before->sa_flags & SA_RESETHAND) != 0)
		before->sa_handler = SIG_DFL;
}

// Hands the signal to the handler that was there before; false when there was none.
static bool
hand_on(struct sigaction *before, int sig, siginfo_t *info, void *context)
{
	const struct sigaction sa = *before;
	spend(before);
	return os_signal_hand_on(&sa, sig, info, context);
}

// The goroutine of this thread in whose guard addr lies, or NULL.
static G *
overflowed(const char *addr)
{
	M *mp = sched_m();
	if (mp == NULL)
		return NULL;
	if (mp->curg != NULL && !mp->curg->thread && stack_guard_hit(mp->curg->stack, addr))
		return mp->curg;
	if (mp->prev != NULL && !mp->prev->thread && stack_guard_hit(mp->prev->stack, addr))
		return mp->prev;
	return NULL;
}

typedef struct Overflow {
	const G *gp;
	uintptr_t sp;
} Overflow;

static void
tell_overflow(const void *v)
{
	const Overflow *o = v;
	Line l = {0};
	line_str(&l, "runtime: goroutine stack exceeds ");
	line_u64(&l, (uint64_t)(o->gp->stack.hi - o->gp->stack.lo));
	line_str(&l, "-byte limit");
	line_end(&l);
	line_str(&l, "runtime: sp=");
	line_hex(&l, o->sp);
	line_str(&l, " stack=[");
	line_hex(&l, (uintptr_t)o->gp->stack.lo);
	line_str(&l, ", ");
	line_hex(&l, (uintptr_t)o->gp->stack.hi);
	line_str(&l, "]");
	line_end(&l);
}

static NORETURN void
die_of_overflow(const G *gp, uintptr_t sp)
{
	Overflow o = {gp, sp};
	fatal_after(tell_overflow, &o, "stack overflow");
}

static char *
append(char *to, const char *text)
{
	size_t n = strlen(text);
	memcpy(to, text, n + 1);
	return to + n;
}

static char *
append_hex(char *to, const char *text, uint64_t v)
{
	char digits[17];
	size_t n = sizeof(digits);
	digits[--n] = '\0';
	do {
		digits[--n] = "0123456789abcdef"[v % 16];
		v /= 16;
	} while (v != 0);
	return append(append(append(to, text), "0x"), digits + n);
}

static void
tell_address(const void *info)
{
	efence_tell((uintptr_t)((const siginfo_t *)info)->si_addr);
}

// Go's text goes on with "during runtime execution", which the program's own C code is not.
static NORETURN void
die_of_signal(const Fatal *f, const siginfo_t *info, uintptr_t pc)
{
	char why[256];
	char *end = append(append(why, "unexpected signal\n[signal "), f->text);
	end = append_hex(end, " code=", (uint32_t)info->si_code);
	end = append_hex(end, " addr=", (uintptr_t)info->si_addr);
	end = append_hex(end, " pc=", pc);
	append(end, "]");
	fatal_after(tell_address, info, why);
}

// "SIGQUIT: quit", "PC=0x... m=0 sigcode=0".
static void
print_signal(const Fatal *f, const siginfo_t *info, uintptr_t pc)
{
	M *mp = sched_m();
	Line l = {0};
	line_str(&l, f->text);
	line_end(&l);
	line_str(&l, "PC=");
	line_hex(&l, pc);
	line_str(&l, " m=");
	line_u64(&l, mp != NULL ? mp->id : 0);
	line_str(&l, " sigcode=");
	line_u64(&l, (uint64_t)info->si_code);
	if (f->sig == SIGSEGV || f->sig == SIGBUS) {
		line_str(&l, " addr=");
		line_hex(&l, (uintptr_t)info->si_addr);
	}
	line_end(&l);
	if (mp == NULL)
		line_str(&l, "signal arrived on a thread that the runtime does not know");
	if (mp == NULL)
		line_end(&l);
	line_end(&l);
}

// The whole story of a signal. False: this thread is telling another one already.
static bool
tell_signal(const Fatal *f, const siginfo_t *info, const void *context)
{
	bool mine;
	if (fault_context() != NULL)
		return false;
	set_context(context);
	TraceStart start = {.context = context};
	os_signal_regs(context, &start.pc, &start.sp);
	if (!base_death_begins(&mine)) {
		if (mine)
			return false;
		base_hold_still();
	}
	os_signal_unblock_all(); // printing may fault
	print_to(2); // it may have come in a go_dump to elsewhere
	print_signal(f, info, start.pc);
	dump_dying(&start);
	return true;
}

// As Go ends, of all signals but those of a thread it does not know.
static void
exit_as_go(void)
{
	if (!panic_exits || sched_m() == NULL)
		return;
	if (dump_aborts())
		fault_abort();
	os_exit(EXIT_QUIT);
}

// The signal takes the effect it had before us: at once when it was sent, else when the instruction
// that caused it is tried again, so that a core shows just that.
static void
give_back(const Fatal *f, const siginfo_t *info)
{
	if (info->si_code <= 0)
		os_abort(f->sig);
	struct sigaction sa = {.sa_handler = SIG_DFL};
	os_signal_restore(f->sig, &sa);
}

bool (*panic_on_signal)(const siginfo_t *info, void *context);
bool panic_exits;

// --- faults that are panics ---------------------------------------------------------------------

bool (*fault_in_go)(uintptr_t pc);

static NORETURN void
panic_of_fault(void *v)
{
	const Fault *fault = v;
	const char *text = "runtime error: invalid memory address or nil pointer dereference";
	if (fault->sig == SIGFPE)
		text = fault->code == FPE_INTDIV ? "runtime error: integer divide by zero"
						 : "runtime error: floating point error";
	Value value = value_runtime(text);
	value.p = (void *)fault->addr;
	panic_raise(&value, fault);
}

// Whether the goroutine will go on with a panic when the handler returns.
static bool
becomes_panic(int sig, const siginfo_t *info, void *context)
{
	enum { ROOM = 4096 };
	const M *mp = sched_m();
	const G *gp = mp != NULL ? mp->curg : NULL;
	if (info->si_code <= 0 || gp == NULL || load_rlx(&mp->lease.inrt) != 0) // order: own
		return false;
	Fault fault = {sig, info->si_code, (uintptr_t)info->si_addr, 0};
	uintptr_t sp;
	os_signal_regs(context, &fault.pc, &sp);
	bool wanted = gp->panics_on_fault || (fault_in_go != NULL && fault_in_go(fault.pc));
	if (!wanted || sig == SIGILL)
		return false;
	uintptr_t lo = (uintptr_t)(gp->thread ? mp->stack_lo : (void *)gp->stack.lo);
	uintptr_t hi = (uintptr_t)(gp->thread ? mp->stack_hi : (void *)gp->stack.hi);
	if (sp < lo || sp >= hi)
		return false;
	if (sig == SIGSEGV && fault.pc == fault.addr)
		arch_uncall(context); // a pointer to no function, from which no frame leads on
	return arch_divert(context, lo, ROOM, panic_of_fault, &fault, sizeof(fault));
}

void
fault_print(const Fault *fault)
{
	Line l = {0};
	line_str(&l, "[signal ");
	line_str(&l, fatal_of(fault->sig)->text);
	line_str(&l, " code=");
	line_hex(&l, (uint32_t)fault->code);
	line_str(&l, " addr=");
	line_hex(&l, fault->addr);
	line_str(&l, " pc=");
	line_hex(&l, fault->pc);
	line_str(&l, "]");
	line_end(&l);
}

// --- the handlers -------------------------------------------------------------------------------

// The goroutine may go on elsewhere, by a panic or where a handler of the program's leads it. Not
// of a division, nor of Go's nil pointers, of which there may be many: they leave nothing undone.
static void
note_fault(int sig, const siginfo_t *info)
{
	enum { NIL_BYTES = 4096 };
	M *mp = sched_m();
	if (sig == SIGFPE || (panic_in_go != NULL && (uintptr_t)info->si_addr < NIL_BYTES))
		return;
	if (mp != NULL && mp->curg != NULL)
		store_rlx(&mp->curg->faulted, true); // order: hint
}

static void
on_fault(int sig, siginfo_t *info, void *context)
{
	if (info->si_code > 0) {
		trace_catch();
		note_fault(sig, info);
	}
	if (becomes_panic(sig, info, context))
		return;
	Fatal *f = fatal_of(sig);
	if (info->si_code <= 0 && ignored(&f->before))
		return; // a fault could not be ignored
	uintptr_t pc, sp;
	os_signal_regs(context, &pc, &sp);
	G *gp = info->si_code > 0 ? overflowed(info->si_addr) : NULL;
	if (gp == NULL && info->si_code > 0 && panic_on_signal != NULL &&
	    panic_on_signal(info, context))
		return;
	if (gp == NULL && hand_on(&f->before, sig, info, context))
		return;
	if (sched_m() == NULL || info->si_code <= 0) {
		tell_signal(f, info, context);
		exit_as_go();
		give_back(f, info);
		return;
	}
	set_context(context);
	os_signal_unblock_all(); // printing may fault
	if (gp != NULL)
		die_of_overflow(gp, sp);
	die_of_signal(f, info, pc);
}

// abort(), a breakpoint nobody waits at, a system call that is not allowed.
static void
on_abort(int sig, siginfo_t *info, void *context)
{
	tell_signal(fatal_of(sig), info, context);
	exit_as_go();
	os_abort(sig);
}

// GOTRACEBACK=crash: by SIGABRT, which a handler of the program's sees as it would see abort's.
void
fault_abort(void)
{
	struct sigaction now;
	bool its = os_signal_now(SIGABRT, &now) == 0 && now.sa_handler != SIG_DFL &&
		   now.sa_handler != SIG_IGN && now.sa_sigaction != on_abort;
	os_signal_unblock_all();
	if (its)
		raise(SIGABRT);
	os_abort(SIGABRT);
}

// The first SIGQUIT leaves another's death be. A second one ends a death that does not end by
// itself, but not at once: some programs send it to a process and then to all of its group.
static void
on_quit(int sig, siginfo_t *info, void *context)
{
	enum { QUIT_AGAIN_NS = 1000 * 1000 * 1000 };
	static ATOMIC(int64_t) first_at;
	int64_t now = os_nanotime(), before = 0;
	bool first = cas_rlx(&first_at, &before, now); // order: claim
	if (first ? load_rlx(&base_dying) != 0 : now - before < QUIT_AGAIN_NS) // order: hint
		return;
	if (first && tell_signal(fatal_of(sig), info, context) && dump_aborts())
		fault_abort();
	os_exit(EXIT_QUIT);
}

void
fault_init(void)
{
	for (size_t i = 0; i < countof(fatals); i++) {
		Fatal *f = &fatals[i];
		if (os_signal_handle(f->sig, f->handler, &f->before) != 0)
			continue;
		if (f->before.sa_handler != SIG_DFL && !f->shared)
			os_signal_restore(f->sig, &f->before);
	}
}

// --- signal stacks ------------------------------------------------------------------------------

// NULL when the thread keeps the stack it has, or there is no memory: then an overflow kills the
// process without a word.
void *
up_thread_starts(void)
{
	stack_t before = {.ss_flags = SS_DISABLE};
	if (!os_simulated)
		sigaltstack(NULL, &before);
	size_t frame = getauxval(AT_MINSIGSTKSZ);
	if ((before.ss_flags & SS_DISABLE) == 0 && before.ss_size >= frame + SIGNAL_STACK_ENOUGH)
		return NULL;

	size_t page = os_page_bytes();
	size_t bytes = (frame + SIGNAL_STACK_BYTES + page - 1) & ~(page - 1);
	char *map = os_map(page + bytes, page);
	if (map == NULL)
		return NULL;
	if (os_guard(map, page) != 0)
		os_protect_none(map, page);
	SignalStack *st = (SignalStack *)(void *)(map + page);
	*st = (SignalStack){before, map, page + bytes};
	if (os_signal_stack(st + 1, bytes - sizeof(*st)) != 0) {
		os_unmap(map, page + bytes);
		return NULL;
	}
	return st;
}

void
up_thread_ends(void *signal_stack)
{
	SignalStack *st = signal_stack;
	if (st == NULL)
		return;
	stack_t now = {.ss_sp = st + 1};
	if (!os_simulated)
		sigaltstack(NULL, &now);
	if (now.ss_sp == st + 1) // else the program has chosen another
		sigaltstack(&st->before, NULL);
	os_unmap(st->map, st->map_bytes);
}

void
panic_init(void)
{
	dump_init();
	step_init();
	fault_init();
}
