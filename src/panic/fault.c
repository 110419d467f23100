// SPDX-License-Identifier: BSD-3-Clause
// Fatal signals: a goroutine that ran out of stack, a bad pointer, SIGQUIT.
//
// Handlers run on an alternate stack of each thread, since a goroutine that overflowed has none
// left. What they do is safe in a signal handler whatever was interrupted: no libc lock, no runtime
// lock, no memory but the kernel's.
//
// The program comes first. Where it has a handler before the runtime starts, that one is asked
// after us about SIGSEGV and SIGBUS, which we need to tell a stack overflow, and instead of us
// about the others. What a thread does that never called the runtime, and signals somebody sent,
// have the effect they would have without us.
#include <string.h>
#include <sys/auxv.h>

#include "base/base_up.h"
#include "mem/efence.h"
#include "panic/panic_impl.h"
#include "sched/sched_up.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

enum {
	SIGNAL_STACK_BYTES = 32 << 10, // besides what the kernel stores there
	SIGNAL_STACK_ENOUGH = 16 << 10,
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

static Fatal fatals[] = {
	{SIGSEGV, true, "SIGSEGV: segmentation violation", .handler = on_fault},
	{SIGBUS, true, "SIGBUS: bus error", .handler = on_fault},
	{SIGFPE, false, "SIGFPE: floating-point exception", .handler = on_fault},
	{SIGILL, false, "SIGILL: illegal instruction", .handler = on_fault},
	{SIGQUIT, false, "SIGQUIT: quit", .handler = on_quit},
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

static bool
ignored(const struct sigaction *before)
{
	return (before->sa_flags & SA_SIGINFO) == 0 && before->sa_handler == SIG_IGN;
}

// Hands the signal to the handler that was there before; false when there was none.
static bool
chain(const struct sigaction *before, int sig, siginfo_t *info, void *context)
{
	if ((before->sa_flags & SA_SIGINFO) != 0) {
		before->sa_sigaction(sig, info, context);
		return true;
	}
	if (before->sa_handler == SIG_DFL || before->sa_handler == SIG_IGN)
		return false;
	before->sa_handler(sig);
	return true;
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

// The signal takes the effect it had before us: at once when it was sent, else when the instruction
// that caused it is tried again.
static void
give_back(const Fatal *f, const siginfo_t *info)
{
	if (info->si_code <= 0)
		os_abort(f->sig);
	struct sigaction sa = {.sa_handler = SIG_DFL};
	os_signal_restore(f->sig, &sa);
}

static void
on_fault(int sig, siginfo_t *info, void *context)
{
	if (info->si_code > 0)
		trace_catch();
	Fatal *f = fatal_of(sig);
	if (info->si_code <= 0 && ignored(&f->before))
		return; // a fault could not be ignored
	uintptr_t pc, sp;
	os_signal_regs(context, &pc, &sp);
	G *gp = info->si_code > 0 ? overflowed(info->si_addr) : NULL;
	if (gp == NULL && chain(&f->before, sig, info, context))
		return;
	if (sched_m() == NULL || info->si_code <= 0) {
		give_back(f, info);
		return;
	}
	set_context(context);
	os_signal_unblock_all(); // printing may fault
	if (gp != NULL)
		die_of_overflow(gp, sp);
	die_of_signal(f, info, pc);
}

// A second SIGQUIT ends a dump that does not end by itself.
static void
on_quit(int sig, siginfo_t *info, void *context)
{
	uint32_t alive = 0;
	if (!cas_rlx(&base_dying, &alive, 1)) // order: claim, no data rides on it
		os_exit(2);
	TraceStart start = {.context = context};
	os_signal_regs(context, &start.pc, &start.sp);
	set_context(context);
	os_signal_unblock_all();
	print_to(2); // it may have come in a go_dump to elsewhere

	M *mp = sched_m();
	Line l = {0};
	line_str(&l, fatal_of(sig)->text);
	line_end(&l);
	line_str(&l, "PC=");
	line_hex(&l, start.pc);
	line_str(&l, " m=");
	line_u64(&l, mp != NULL ? mp->id : 0);
	line_str(&l, " sigcode=");
	line_u64(&l, (uint32_t)info->si_code);
	line_end(&l);
	line_end(&l);
	dump_and_exit(&start);
}

void
fault_init(void)
{
	for (size_t i = 0; i < countof(fatals); i++) {
		Fatal *f = &fatals[i];
		if (os_signal_handle(f->sig, f->handler, &f->before) != 0)
			continue;
		bool theirs = (f->before.sa_flags & SA_SIGINFO) != 0 ||
			      f->before.sa_handler != SIG_DFL;
		if (theirs && !f->shared)
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
	if ((st->before.ss_flags & SS_DISABLE) == 0)
		os_signal_stack(st->before.ss_sp, st->before.ss_size);
	else
		os_signal_stack(NULL, 0);
	os_unmap(st->map, st->map_bytes);
}

void
panic_init(void)
{
	dump_init();
	trace_init();
	fault_init();
}
