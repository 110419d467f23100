// SPDX-License-Identifier: BSD-3-Clause
// Panics that nobody recovers: Go's texts, byte for byte, and status 2.
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "child.h"
#include "goroutines.h"

#define MAIN_DEATH(name)                       \
	static void name##_body(void);         \
	static int name##_main(void *unused)   \
	{                                      \
		(void)unused;                  \
		name##_body();                 \
		return 0;                      \
	}                                      \
	DEATH(name)                            \
	{                                      \
		go_run(name##_main, NULL);     \
	}                                      \
	static void name##_body(void)

static void
panic_text(void *text)
{
	go_panic_text(text);
}

// --- values -------------------------------------------------------------------------------------

MAIN_DEATH(panic_string)
{
	go_panic_text("lost\nand found");
}

MAIN_DEATH(panic_int)
{
	go_panic(go_value_int(42));
}

MAIN_DEATH(panic_error)
{
	go_panic(go_value_error(GO_ECANCELED));
}

MAIN_DEATH(panic_nil)
{
	go_panic_text(NULL);
}

static size_t
long_text(const go_value *v, char *buf, size_t bytes)
{
	return (size_t)snprintf(buf, bytes, "%s%0500d", (const char *)v->p, 7);
}

static const go_value_type long_type = {"long.text", long_text};
static const go_value_type mute_type = {"mute.type", NULL};

MAIN_DEATH(panic_custom)
{
	go_panic(go_value_custom(&long_type, "of its own: "));
}

MAIN_DEATH(panic_mute)
{
	go_panic(go_value_custom(&mute_type, (void *)0x70));
}

static const go_value_type nameless_type = {NULL, NULL};

MAIN_DEATH(panic_nameless)
{
	go_panic(go_value_custom(&nameless_type, (void *)0x70));
}

MAIN_DEATH(panic_without_text)
{
	go_panic((go_value){.kind = GO_VALUE_STRING, .n = 7});
}

void
test_fatal_panic_values(void)
{
	expect_death(panic_nameless, .status = 2, .err = "panic: (?) 0x70\n\ngoroutine 1 ");
	expect_death(panic_without_text, .status = 2, .err = "panic: \n\ngoroutine 1 ");
	expect_death(panic_string, .status = 2,
		     .err = "panic: lost\n\tand found\n\ngoroutine 1 [running]:\ngo_panic_text(");
	expect_death(panic_int, .status = 2, .err = "panic: 42\n\ngoroutine 1 [running]:\n");
	expect_death(panic_error, .status = 2, .err = "panic: canceled\n\n");
	expect_death(panic_nil, .status = 2, .err = "panic: panic called with nil argument\n\n");
	expect_death(panic_custom, .status = 2, .err = "panic: of its own: 000000",
		     .err_has = {"00007\n\ngoroutine 1"});
	expect_death(panic_mute, .status = 2, .err = "panic: (mute.type) 0x70\n\n");
}

// --- chains -------------------------------------------------------------------------------------

MAIN_DEATH(panic_in_deferred)
{
	GO_DEFER(panic_text, "third");
	GO_DEFER(panic_text, "second");
	go_panic_text("first");
}

static void
recover_and_panic(void *text)
{
	(void)go_recover();
	go_panic_text(text);
}

static void
recovered_then_second(void *unused)
{
	(void)unused;
	GO_DEFER(recover_and_panic, "second");
	go_panic_text("first");
}

// Another deferred function dies while the first panic is recovered and not yet over.
MAIN_DEATH(panic_recovered)
{
	recovered_then_second(NULL);
}

MAIN_DEATH(panic_repanicked)
{
	go_repanic(go_protect(panic_text, "first"));
}

static void
recover_and_repanic(void *unused)
{
	(void)unused;
	go_repanic(go_recover());
}

static void
repanicked_inside(void *unused)
{
	(void)unused;
	GO_DEFER(recover_and_repanic, NULL);
	go_panic_text("first");
}

MAIN_DEATH(panic_repanicked_inside)
{
	repanicked_inside(NULL);
}

static void
exit_and_panic(void *unused)
{
	(void)unused;
	go_exit();
}

MAIN_DEATH(panic_after_exit)
{
	GO_DEFER(panic_text, "hello");
	exit_and_panic(NULL);
}

void
test_fatal_panic_chains(void)
{
	expect_death(panic_in_deferred, .status = 2,
		     .err = "panic: first\n\tpanic: second\n\tpanic: third\n\ngoroutine 1 ");
	expect_death(panic_recovered, .status = 2,
		     .err = "panic: first [recovered]\n\tpanic: second\n\ngoroutine 1 ");
	expect_death(panic_repanicked, .status = 2,
		     .err = "panic: first [recovered]\n\tpanic: first\n\ngoroutine 1 [running]:\n");
	expect_death(panic_repanicked_inside, .status = 2,
		     .err = "panic: first [recovered]\n\tpanic: first\n\ngoroutine 1 [running]:\n");
	expect_death(panic_after_exit, .status = 2,
		     .err = "panic: hello\n\ngoroutine 1 [running]:\n");
}

// --- main calls go_exit -------------------------------------------------------------------------

static void
exit_now(void *unused)
{
	(void)unused;
	go_exit();
}

MAIN_DEATH(exit_deadlock)
{
	go_exit();
}

MAIN_DEATH(exit_in_panic)
{
	GO_DEFER(exit_now, NULL);
	go_panic_text("forgotten");
}

static void
protected_exit(void *unused)
{
	(void)unused;
	GO_DEFER(panic_text, "of a deferred call");
	go_exit();
}

MAIN_DEATH(exit_with_recovered_panic)
{
	(void)go_protect(protected_exit, NULL);
	expect(false);
}

void
test_fatal_exit_of_main(void)
{
	const char *text =
		"fatal error: no goroutines (main called runtime.Goexit) - deadlock!\n";
	expect_death(exit_deadlock, .status = 2, .err = text);
	expect_death(exit_in_panic, .status = 2, .err = text);
	expect_death(exit_with_recovered_panic, .status = 2, .err = text);
}

// --- printing -----------------------------------------------------------------------------------

static size_t
panicking_text(const go_value *v, char *buf, size_t bytes)
{
	(void)v;
	(void)buf;
	(void)bytes;
	go_panic_text("no text");
}

static const go_value_type panicking_type = {"bad.type", panicking_text};

MAIN_DEATH(panic_while_printing)
{
	go_panic(go_value_custom(&panicking_type, NULL));
}

// One that is caught is the function's own affair.
static size_t
protecting_text(const go_value *v, char *buf, size_t bytes)
{
	(void)v;
	go_value caught = go_protect(panic_text, "caught");
	return (size_t)snprintf(buf, bytes, "a text, %s", caught.text);
}

static const go_value_type protecting_type = {"good.type", protecting_text};

MAIN_DEATH(panic_caught_while_printing)
{
	go_panic(go_value_custom(&protecting_type, NULL));
}

static size_t
exiting_text(const go_value *v, char *buf, size_t bytes)
{
	(void)v;
	(void)buf;
	(void)bytes;
	go_exit();
}

static const go_value_type exiting_type = {"bad.type", exiting_text};

MAIN_DEATH(exit_while_printing)
{
	go_panic(go_value_custom(&exiting_type, NULL));
}

static void
fail_inside(void *unused)
{
	(void)unused;
	go_panic_text("inner");
}

// Its own panics are its own affair, as long as it catches them.
static size_t
catching_text(const go_value *v, char *buf, size_t bytes)
{
	go_value inner = go_protect(fail_inside, NULL);
	(void)v;
	return go_value_text(&inner, buf, bytes);
}

static const go_value_type catching_type = {"good.type", catching_text};

MAIN_DEATH(catch_while_printing)
{
	go_panic(go_value_custom(&catching_type, NULL));
}

void
test_fatal_panic_while_printing(void)
{
	expect_death(catch_while_printing, .status = 2, .err = "panic: inner\n");
	expect_death(panic_while_printing, .status = 2,
		     .err = "fatal error: panic while printing panic value: no text\n");
	expect_death(panic_caught_while_printing, .status = 2, .err = "panic: a text, caught\n\n");
	expect_death(exit_while_printing, .status = 2,
		     .err = "fatal error: panic while printing panic value: nil\n");
}

// --- where a panic cannot be --------------------------------------------------------------------

static void
panic_in_handler(int sig)
{
	(void)sig;
	go_panic_text("in a handler");
}

static void
handle(int flags)
{
	struct sigaction sa = {.sa_handler = panic_in_handler, .sa_flags = flags};
	expect_eq(sigaction(SIGUSR1, &sa, NULL), 0);
}

static void
raise_signal(void *unused)
{
	(void)unused;
	raise(SIGUSR1);
}

// The alternate stack is that of the thread, which a panic cannot leave.
MAIN_DEATH(panic_on_signal_stack)
{
	handle(SA_ONSTACK);
	(void)go_protect(raise_signal, NULL);
}

// On the goroutine's own stack a panic can be recovered, if the program's code was interrupted.
MAIN_DEATH(panic_in_signal_on_own_stack)
{
	handle(SA_NODEFER);
	expect(go_panicked(go_protect(raise_signal, NULL)));
	raise(SIGUSR1);
}

void
test_fatal_panic_in_handler(void)
{
	expect_death(panic_on_signal_stack, .status = 2,
		     .err = "fatal error: panic on system stack\n");
	expect_death(panic_in_signal_on_own_stack, .status = 2, .err = "panic: in a handler\n\n");
}

// --- faults -------------------------------------------------------------------------------------

static int *volatile null_pointer;

static WRONG_ON_PURPOSE void
dereference(void *unused)
{
	(void)unused;
	*null_pointer = 1;
}

MAIN_DEATH(fault_is_fatal)
{
	dereference(NULL);
}

// Not asked for: go_protect does not catch it.
MAIN_DEATH(fault_is_not_caught)
{
	(void)go_protect(dereference, NULL);
}

MAIN_DEATH(fault_panics)
{
	go_set_panic_on_fault(true);
	dereference(NULL);
}

static __attribute__((noinline)) long
recurse(volatile char *p)
{
	volatile char frame[600];
	frame[0] = *p;
	if (null_pointer != NULL)
		return 0;
	return recurse(frame) + frame[1];
}

// A stack that is at its end holds no panic.
MAIN_DEATH(fault_overflow)
{
	char c = 0;
	go_set_panic_on_fault(true);
	recurse(&c);
}

void
test_fatal_faults(void)
{
	expect_death(fault_is_fatal, .status = 2, .err = "fatal error: unexpected signal\n");
	expect_death(fault_is_not_caught, .status = 2, .err = "fatal error: unexpected signal\n");
	expect_death(fault_panics, .status = 2,
		     .err = "panic: runtime error: invalid memory address or nil pointer "
			    "dereference\n[signal SIGSEGV: segmentation violation code=0x1 "
			    "addr=0x0 pc=0x",
		     .err_has = {"]\n\ngoroutine 1 [running]:\n", "fault_panics_body"});
	expect_death(fault_overflow, .status = 2, .err = "runtime: goroutine stack exceeds ",
		     .err_has = {"fatal error: stack overflow\n"});
}

// --- functions without tables -------------------------------------------------------------------

#if defined(__x86_64__)
// void call_blind(void (*fn)(void *), void *arg): no .cfi directives, so no tables.
void call_blind(void (*fn)(void *), void *arg);
__asm__(".text\n"
	".globl call_blind\n"
	".type call_blind, @function\n"
	"call_blind:\n"
	"	subq $24, %rsp\n"
	"	movq %rdi, %rax\n"
	"	movq %rsi, %rdi\n"
	"	call *%rax\n"
	"	addq $24, %rsp\n"
	"	ret\n"
	".size call_blind, . - call_blind\n");
#elif defined(__aarch64__)
void call_blind(void (*fn)(void *), void *arg);
__asm__(".text\n"
	".globl call_blind\n"
	".type call_blind, %function\n"
	"call_blind:\n"
	"	stp x29, x30, [sp, #-32]!\n"
	"	mov x2, x0\n"
	"	mov x0, x1\n"
	"	blr x2\n"
	"	ldp x29, x30, [sp], #32\n"
	"	ret\n"
	".size call_blind, . - call_blind\n");
#endif

static void
not_called(void *unused)
{
	(void)unused;
	fputs("called\n", stderr);
}

static void
panic_blindly(void *unused)
{
	(void)unused;
	GO_DEFER(not_called, NULL);
	call_blind(panic_text, "lost");
}

// Nothing has been called or left when it is found out.
MAIN_DEATH(panic_blind)
{
	(void)go_protect(panic_blindly, NULL);
}

// Nobody would catch it: then nothing needs to be left.
MAIN_DEATH(panic_blind_uncaught)
{
	call_blind(panic_text, "lost");
}

void
test_fatal_panic_without_tables(void)
{
	expect_death(panic_blind, .status = 2,
		     .err = "fatal error: panic through a function without unwind tables\n"
			    "call_blind(...)\n",
		     .err_lacks = {"called\n"});
	expect_death(panic_blind_uncaught, .status = 2, .err = "panic: lost\n\n");
}

// --- many at once -------------------------------------------------------------------------------

static atomic_int ready;
static atomic_bool go;

static void
panic_with_others(void *unused)
{
	(void)unused;
	atomic_fetch_add(&ready, 1);
	while (!atomic_load(&go))
		go_yield();
	go_panicf("one of %d", 10000);
}

MAIN_DEATH(panics_together)
{
	int n = (int)test_scale(10000);
	for (int i = 0; i < n; i++)
		expect_eq(go_spawn(panic_with_others, NULL), 0);
	while (atomic_load(&ready) < n)
		go_yield();
	atomic_store(&go, true);
	go_sleep(GO_NEVER);
}

// One report, whole.
void
test_fatal_panics_together(void)
{
	static ChildEnd end;
	char *env[] = {NULL};
	child_run(&end, "panics_together", env, 20000);
	expect_eq(end.status, 2);
	expect_eq(child_lines(&end, "panic: one of 10000\n"), 1);
	expect_eq(child_lines(&end, "goroutine "), 1);
	expect(strncmp(end.text, "panic: one of 10000\n\ngoroutine ", 31) == 0);
	expect(strstr(end.text, " in goroutine 1\n") != NULL);
}

// --- finalizers, destructors, timers ------------------------------------------------------------

static void
finalize(void *p, void *arg)
{
	(void)p;
	go_panic_text(arg);
}

static void
leave_garbage(void *unused)
{
	(void)unused;
	for (int i = 0; i < 10; i++)
		expect_eq(go_set_finalizer(go_alloc(64), finalize, "in a finalizer"), 0);
}

MAIN_DEATH(panic_in_finalizer)
{
	run_aside(leave_garbage, NULL);
	for (;;) {
		go_gc();
		go_sleep(GO_MSEC);
	}
}

static void
use_local(void *text)
{
	go_local_key key;
	expect_eq(go_local_key_new(&key, panic_text), 0);
	expect_eq(go_local_set(key, text), 0);
}

MAIN_DEATH(panic_in_destructor)
{
	go_spawn(use_local, "in a destructor");
	go_sleep(GO_NEVER);
}

MAIN_DEATH(panic_in_timer)
{
	(void)go_after_func(GO_MSEC, panic_text, "in a timer");
	go_sleep(GO_NEVER);
}

void
test_fatal_panic_in_callbacks(void)
{
	expect_death(panic_in_finalizer, .status = 2, .err = "panic: in a finalizer\n\n");
	expect_death(panic_in_destructor, .status = 2, .err = "panic: in a destructor\n\n");
	expect_death(panic_in_timer, .status = 2, .err = "panic: in a timer\n\n");
}
