// SPDX-License-Identifier: BSD-3-Clause
// Stacks that grow: what __morestack asks (arch/x86_64/morestack.S).
//
// A goroutine begins on a stack of the usual size. Code compiled with split stacks looks at each
// call whether what is left is more than STACK_RESERVE_BYTES; below that it comes here and goes on
// upon a further stack, twice as large, until the call has returned. The reserve is for C code,
// which does not look, unless cgo has compiled it. When more is in use than Go's limit the program
// dies.
//
// C code may jump, by longjmp, from one stack to an older one. Nobody tells us: the stacks that it
// has left are given up when it asks for more stack, calls Go or returns to Go.
//
// Invariants:
//   S1  G.stack is the stack in use, but for a moment in __morestack, and after a panic has unwound
//       to a landing pad, or C has jumped, to an older stack until stack_settle. gc/roots.c knows
//       this.
//   S2  The limit word of the thread belongs to the G that runs: sched sets it when a G begins to
//       run, and here it is set when G.stack changes.
//   S3  No cycle begins to mark while G.stack and G.chained change: it waits for the P, or, of a
//       thread of C, which has none, for foreign_lock.
#include "gccgo/gccgo.h"

#include "base/line.h"

enum { FRAME_SLACK = 1024 };
static ATOMIC_I64 max_bytes = ATOMIC_INIT(STACK_MAX_BYTES);

static inline bool
is_on(Stack s, const void *sp)
{
	return (uintptr_t)sp - (uintptr_t)s.lo < (uintptr_t)s.hi - (uintptr_t)s.lo;
}

// Not so of a handler of signals, which has a stack of its own.
static bool
is_on_any(const G *gp, const void *sp)
{
	Stack s = gp->stack;
	for (bool chained = gp->chained; !is_on(s, sp); ) {
		if (!chained)
			return false;
		const StackBelow *b = stack_below(s);
		s = b->stack;
		chained = b->chained;
	}
	return true;
}

static void
set_limit(const G *gp)
{
	arch_set_stack_limit((uintptr_t)gp->stack.lo + STACK_RESERVE_BYTES);
}

// S3
static void
go_on_upon(G *gp, Stack s, bool chained)
{
	if (unlikely(gp->thread))
		foreign_lock();
	gp->stack = s;
	gp->chained = chained;
	if (unlikely(gp->thread))
		foreign_unlock();
}

// Gives up the stack that gp is not on any more.  Inside the runtime.
static void
drop(G *gp)
{
	const StackBelow *b = stack_below(gp->stack);
	Stack own = b->own;
	go_on_upon(gp, b->stack, b->chained);
	stack_free(own);
}

// The same of all that were put upon the one that sp is on.
static void
drop_above(G *gp, const void *sp)
{
	while (gp->chained && !is_on(gp->stack, sp))
		drop(gp);
}

// --- overflow ------------------------------------------------------------------------------------

typedef struct Overflow {
	const void *sp;
	Stack stack;
} Overflow;

static void
tell_overflow(const void *v)
{
	const Overflow *o = v;
	Line l = {0};
	line_str(&l, "runtime: goroutine stack exceeds ");
	line_u64(&l, (uint64_t)load_rlx(&max_bytes)); // order: count
	line_str(&l, "-byte limit");
	line_end(&l);
	line_str(&l, "runtime: sp=");
	line_hex(&l, (uintptr_t)o->sp);
	line_str(&l, " stack=[");
	line_hex(&l, (uintptr_t)o->stack.lo);
	line_str(&l, ", ");
	line_hex(&l, (uintptr_t)o->stack.hi);
	line_str(&l, "]");
	line_end(&l);
}

// What is in use of all stacks, from sp up.
static size_t
used_bytes(const G *gp, const char *sp)
{
	size_t sum = 0;
	Stack s = gp->stack;
	bool chained = gp->chained;
	for (;;) {
		sum += (size_t)(s.hi - sp);
		if (!chained)
			return sum;
		const StackBelow *b = stack_below(s);
		s = b->stack;
		sp = b->sp;
		chained = b->chained;
	}
}

GOFUNC("runtime_1debug.setMaxStack", Int, rt_setmaxstack, (Int n))
{
	Int old = load_rlx(&max_bytes); // order: count
	store_rlx(&max_bytes, n);       // order: count
	return old;
}

// C code that cgo has compiled asks for more stack, too, and stays on its thread.
static bool
enter_where_it_runs(const G *gp)
{
	bool locked = ((const GoFace *)gp->face)->in_c;
	if (unlikely(locked))
		sched_enter_locked(LOCK_INTERNAL);
	else
		sched_enter();
	return locked;
}

// Who is pinned was inside before; see sync.c.
static void
leave(const G *gp, bool locked)
{
	if (unlikely(locked))
		sched_unlock_thread(LOCK_INTERNAL);
	if (likely(!gp->pinned))
		sched_leave();
}

// --- growing -------------------------------------------------------------------------------------

// The limit is for what is in use before the frame that is wanted now.
static Stack
alloc(const G *gp, size_t need, const char *sp)
{
	size_t max = (size_t)load_rlx(&max_bytes); // order: count
	if (used_bytes(gp, sp) > max) {
		Overflow o = {sp, gp->stack};
		fatal_after(tell_overflow, &o, "stack overflow");
	}
	size_t want = 2 * (size_t)(gp->stack.hi - gp->stack.lo);
	if (want > max)
		want = max;
	need += STACK_RESERVE_BYTES + sizeof(StackBelow) + FRAME_SLACK;
	Stack s = stack_alloc(want > need ? want : need);
	if (s.lo == NULL)
		fatal("runtime: cannot allocate memory for a stack");
	return s;
}

static void *
grow(G *gp, size_t frame, size_t args, const char *args_at)
{
	enum { ALIGN = 16, RBP_BELOW_ARGS = 24 };
	// What the function pushes for its calls is not in its frame. The reserve has room for
	// that, unless it is huge; then the frame has as much again, where the values come from.
	Stack s = alloc(gp, 2 * frame + args, args_at);
	char *top = s.hi - sizeof(StackBelow);
	StackBelow *b = (StackBelow *)(void *)(top - (uintptr_t)top % ALIGN);
	*b = (StackBelow){s, gp->stack, args_at - RBP_BELOW_ARGS, gp->chained};
	char *sp = (char *)b - (args + ALIGN - 1) / ALIGN * ALIGN;
	memcpy(sp, args_at, args);
	go_on_upon(gp, (Stack){s.lo, (char *)b}, true);
	return sp;
}

// Where the function goes on that needs so much: NULL, here; else with this stack pointer.
// Stack: the goroutine's; at least STACK_RESERVE_BYTES of it, less one frame, are left.
void *gccgo_morestack(size_t frame, size_t args, const char *args_at);
void *
gccgo_morestack(size_t frame, size_t args, const char *args_at)
{
	const M *mp = sched_m();
	G *gp = mp != NULL ? mp->curg : NULL;
	if (gp == NULL || !is_on_any(gp, args_at))
		return NULL;
	int saved = *os_errno_addr();
	void *sp = NULL;
	bool locked = enter_where_it_runs(gp);
	drop_above(gp, args_at);
	size_t left = (size_t)(args_at - gp->stack.lo);
	if (left < STACK_RESERVE_BYTES + frame + FRAME_SLACK)
		sp = grow(gp, frame, args, args_at);
	else if (!gp->pinned && !locked)
		sched_gosched();
	set_limit(gp);
	*os_errno_addr() = saved;
	leave(gp, locked);
	return sp;
}

// --- going back ----------------------------------------------------------------------------------

// The function that was called on another stack has returned; we are on the old one.
void gccgo_lessstack(void);
void
gccgo_lessstack(void)
{
	G *gp = sched_g();
	int saved = *os_errno_addr();
	bool locked = enter_where_it_runs(gp);
	drop(gp);
	set_limit(gp);
	*os_errno_addr() = saved;
	leave(gp, locked);
}

void
stack_settle(void)
{
	G *gp = sched_g();
	const void *here = __builtin_frame_address(0);
	if (likely(!gp->chained) || is_on(gp->stack, here))
		return;
	sched_enter();
	drop_above(gp, here);
	set_limit(gp);
	sched_leave();
}

// --- the end of a goroutine ----------------------------------------------------------------------

static NORETURN void
end_here(void *unused)
{
	(void)unused;
	G *gp = sched_g();
	StackBelow *b = ((GoFace *)gp->face)->leaving;
	while (b != NULL) {
		StackBelow *next = b->chained ? stack_below(b->stack) : NULL;
		stack_free(b->own);
		b = next;
	}
	goface_clear(gp);
	sched_exit();
}

void
goface_exit(void)
{
	G *gp = sched_enter();
	GoFace *f = gp->face;
	if (gp->thread)
		fatal("runtime.Goexit called in a thread that was not created by the Go runtime");
	f->leaving = NULL;
	if (!gp->chained)
		end_here(NULL);
	f->leaving = stack_below(gp->stack);
	StackBelow *b = f->leaving;
	while (b->chained)
		b = stack_below(b->stack);
	gp->stack = b->stack;
	gp->chained = false;
	arch_enter(gp->stack.hi, end_here);
}
