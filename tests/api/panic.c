// SPDX-License-Identifier: BSD-3-Clause
// What undergo/panic.h promises: values, deferred calls and their order, recovery, go_exit.
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

#include "goroutines.h"

static char trail[256];

static void
mark(void *text)
{
	strncat(trail, text, sizeof(trail) - strlen(trail) - 1);
}

static void
trail_is(const char *want)
{
	expect_str(trail, want);
	trail[0] = '\0';
}

static void
value_is(go_value v, const char *want)
{
	char text[200];
	expect(go_panicked(v));
	expect_eq(go_value_text(&v, text, sizeof(text)), strlen(want));
	expect_str(text, want);
}

// --- values -------------------------------------------------------------------------------------

static void
panic_with(void *v)
{
	go_panic(*(go_value *)v);
}

static go_value
caught(go_value v)
{
	return go_protect(panic_with, &v);
}

static size_t
name_text(const go_value *v, char *buf, size_t bytes)
{
	return (size_t)snprintf(buf, bytes, "no such name: %s", (const char *)v->p);
}

static const go_value_type name_error = {"names.error", name_text};
static const go_value_type plain_type = {"names.plain", NULL};

static void
panic_f(void *arg)
{
	go_panicf("%s: %d", (const char *)arg, 7);
}

GO_TEST(panic_values, 0)
{
	value_is(caught(go_value_string("lost")), "lost");
	value_is(caught(go_value_int(-42)), "-42");
	value_is(caught((go_value){.kind = GO_VALUE_UINT, .u = 1u << 31}), "2147483648");
	value_is(caught((go_value){.kind = GO_VALUE_DOUBLE, .d = 1.5}), "+1.500000e+000");
	value_is(caught((go_value){.kind = GO_VALUE_DOUBLE, .d = -0.000123456}), "-1.234560e-004");
	value_is(caught((go_value){.kind = GO_VALUE_DOUBLE, .d = 9.9999999e21}), "+1.000000e+022");
	value_is(caught((go_value){.kind = GO_VALUE_DOUBLE, .d = 0.0}), "+0.000000e+000");
	value_is(caught((go_value){.kind = GO_VALUE_BOOL, .b = true}), "true");
	value_is(caught((go_value){.kind = GO_VALUE_POINTER, .p = (void *)0x1234}),
		 "(unsafe.Pointer) 0x1234");
	value_is(caught(go_value_error(GO_ETIMEDOUT)), "deadline exceeded");
	value_is(caught(go_value_custom(&name_error, "x.txt")), "no such name: x.txt");
	value_is(caught(go_value_custom(&plain_type, (void *)0xabc)), "(names.plain) 0xabc");
	value_is(go_protect(panic_f, "line"), "line: 7");
	// As Go since 1.21: there is no panic without a value.
	value_is(caught((go_value){.kind = GO_VALUE_NONE}), "panic called with nil argument");
	value_is(caught(go_value_string(NULL)), "panic called with nil argument");
	char few[4];
	go_value v = go_value_string("abcdef");
	expect_eq(go_value_text(&v, few, sizeof(few)), 6);
	expect_str(few, "abc");
}

// --- protection ---------------------------------------------------------------------------------

static void
mark_and_return(void *text)
{
	GO_DEFER(mark, "2");
	mark(text);
}

static void
mark_and_panic(void *text)
{
	GO_DEFER(mark, "1");
	GO_DEFER(mark, "2");
	mark(text);
	go_panic_text("lost");
}

GO_TEST(panic_protect, 0)
{
	expect(!go_panicked(go_protect(mark_and_return, "a")));
	trail_is("a2");
	value_is(go_protect(mark_and_panic, "b"), "lost");
	trail_is("b21");
	GO_DEFER(mark, "outer");
	value_is(go_protect(mark_and_panic, "c"), "lost");
	trail_is("c21"); // what is deferred outside is not called
}

static void
protect_inside(void *unused)
{
	(void)unused;
	GO_DEFER(mark, "o");
	value_is(go_protect(mark_and_panic, "i"), "lost");
	go_panic_text("outer");
}

GO_TEST(panic_protect_nests, 0)
{
	value_is(go_protect(protect_inside, NULL), "outer");
	trail_is("i21o");
}

static void
block_ends(void *how)
{
	for (int i = 0; i < 3; i++) {
		GO_DEFER(mark, "d");
		mark("b");
		if (how != NULL && i == 0)
			continue;
		if (how != NULL)
			break;
	}
	mark("e");
}

GO_TEST(defer_runs_when_the_block_ends, 0)
{
	block_ends(NULL);
	trail_is("bdbdbde");
	block_ends("early");
	trail_is("bdbde");
}

static void
count(void *n)
{
	++*(long *)n;
}

static volatile long bottom; // tells the compiler that there is an end

static __attribute__((noinline)) long
deep(long n, long *called)
{
	GO_DEFER(count, called);
	if (n == bottom - 1)
		return 0;
	if (n == bottom)
		go_panic_text("deep");
	return deep(n - 1, called) + 1;
}

static void
go_deep(void *called)
{
	(void)deep(500, called);
}

GO_TEST(panic_from_deep_down, 0)
{
	long called = 0;
	value_is(go_protect(go_deep, &called), "deep");
	expect_eq(called, 501);
}

static void *
protect_on_thread(void *unused)
{
	value_is(go_protect(mark_and_panic, "t"), "lost");
	return unused;
}

// Threads of the program that the runtime did not make.
void
test_panic_on_a_thread(void)
{
	protect_on_thread(NULL);
	trail_is("t21");
	expect(!go_panicked(go_recover()));
}

static double
keeps(double a, double b, long c, long d, long e, long f, long g)
{
	long before = a < b ? c : d;
	(void)go_protect(mark_and_panic, "");
	return a * 1000 + b * 100 + (double)(c + d + e + f + g + before);
}

// What lives in registers across go_protect.
GO_TEST(panic_keeps_registers, 0)
{
	expect(keeps(1, 2, 3, 4, 5, 6, 7) == 1228);
	trail[0] = '\0';
}

// --- recovery -----------------------------------------------------------------------------------

static void
recover_it(void *want)
{
	go_value v = go_recover();
	if (want != NULL)
		value_is(v, want);
	else
		expect(!go_panicked(v));
	mark("R");
}

static void
recover_in_the_middle(void *unused)
{
	(void)unused;
	GO_DEFER(mark, "1");
	GO_DEFER(recover_it, NULL); // it has been recovered
	GO_DEFER(recover_it, "lost");
	GO_DEFER(mark, "2");
	go_panic_text("lost");
}

GO_TEST(recover_returns_from_protect, 0)
{
	expect(!go_panicked(go_protect(recover_in_the_middle, NULL)));
	trail_is("2RR1");
}

static void
not_here(void *unused)
{
	(void)unused;
	expect(!go_panicked(go_recover()));
}

static void
recovers_not(void *unused)
{
	(void)unused;
	GO_DEFER(not_here, NULL); // it is this block that ends, not the panic's
}

static void
recovers_in_wrong_places(void *unused)
{
	(void)unused;
	recovers_not(NULL);
	expect(!go_panicked(go_protect(not_here, NULL)));
	{
		GO_DEFER(mark, "x");
		not_here(NULL);
	}
	mark("W");
}

static void
panic_past_wrong_places(void *unused)
{
	(void)unused;
	GO_DEFER(recovers_in_wrong_places, NULL);
	go_panic_text("lost");
}

GO_TEST(recover_only_where_go_allows, 0)
{
	not_here(NULL);
	recovers_not(NULL);
	value_is(go_protect(panic_past_wrong_places, NULL), "lost");
	trail_is("xW");
}

static void
recover_and_go_on(void *flag)
{
	value_is(go_recover(), "lost");
	*(atomic_int *)flag = 1;
}

static void
panics_alone(void *flag)
{
	GO_DEFER(recover_and_go_on, flag);
	go_panic_text("lost");
}

GO_TEST(recover_ends_a_goroutine, 0)
{
	atomic_int flag = 0;
	expect_eq(go_spawn(panics_alone, &flag), 0);
	until(atomic_load(&flag) == 1);
}

// --- panics in panics ---------------------------------------------------------------------------

static void
panic_again(void *text)
{
	mark("P");
	go_panic_text(text);
}

static void
panic_twice(void *unused)
{
	(void)unused;
	GO_DEFER(mark, "1");
	GO_DEFER(panic_again, "second");
	GO_DEFER(mark, "2");
	go_panic_text("first");
}

static void
recover_then_panic(void *unused)
{
	(void)unused;
	value_is(go_recover(), "first");
	go_panic_text("third");
}

static void
panic_after_recovery(void *unused)
{
	(void)unused;
	GO_DEFER(mark, "1");
	GO_DEFER(recover_then_panic, NULL);
	go_panic_text("first");
}

static void
protects_itself(void *unused)
{
	(void)unused;
	value_is(go_protect(mark_and_panic, "i"), "lost");
	value_is(go_recover(), "first");
}

static void
panic_with_protected_defer(void *unused)
{
	(void)unused;
	GO_DEFER(protects_itself, NULL);
	go_panic_text("first");
}

GO_TEST(panic_in_a_deferred_function, 0)
{
	value_is(go_protect(panic_twice, NULL), "second");
	trail_is("2P1");
	value_is(go_protect(panic_after_recovery, NULL), "third");
	trail_is("1");
	expect(!go_panicked(go_protect(panic_with_protected_defer, NULL)));
	trail_is("i21");
}

static void
repanic(void *unused)
{
	(void)unused;
	go_repanic(go_protect(mark_and_panic, "a"));
}

GO_TEST(panic_once_more, 0)
{
	go_value v = go_protect(repanic, NULL);
	value_is(v, "lost");
	expect(v.repanicked);
	trail_is("a21");
}

static void
normal_end_panics(void *unused)
{
	(void)unused;
	GO_DEFER(mark, "1");
	GO_DEFER(panic_again, "at the end");
	GO_DEFER(mark, "2");
}

GO_TEST(panic_when_a_block_ends, 0)
{
	value_is(go_protect(normal_end_panics, NULL), "at the end");
	trail_is("2P1");
}

// --- go_exit ------------------------------------------------------------------------------------

static atomic_int gone;

static void
note_gone(void *unused)
{
	(void)unused;
	atomic_store(&gone, 1);
}

static void
exit_now(void *unused)
{
	(void)unused;
	mark("x");
	go_exit();
}

static void
exit_through_protect(void *unused)
{
	(void)unused;
	GO_DEFER(note_gone, NULL);
	GO_DEFER(recover_it, NULL);
	(void)go_protect(exit_now, NULL);
	mark("not reached");
}

static void
exit_of_a_panic(void *unused)
{
	(void)unused;
	GO_DEFER(note_gone, NULL);
	GO_DEFER(exit_now, NULL);
	go_panic_text("forgotten");
}

static void
panic_of_an_exit_inside(void *unused)
{
	(void)unused;
	GO_DEFER(panic_again, "of the exit");
	go_exit();
}

// The panic of a deferred call of go_exit is caught outside of where that began; and go_exit goes
// on.
static void
exit_cannot_be_recovered(void *unused)
{
	(void)unused;
	GO_DEFER(note_gone, NULL);
	(void)go_protect(panic_of_an_exit_inside, NULL);
	mark("not reached");
}

static void
protect_a_panic(void *unused)
{
	(void)unused;
	value_is(go_protect(mark_and_panic, "a"), "lost");
}

static void
exit_with_a_recovered_panic(void *unused)
{
	(void)unused;
	GO_DEFER(note_gone, NULL);
	GO_DEFER(protect_a_panic, NULL);
	go_exit();
}

static void
recovered_then_exit(void *unused)
{
	(void)unused;
	GO_DEFER(note_gone, NULL);
	value_is(go_protect(mark_and_panic, "a"), "lost");
	go_exit();
}

static void
exit_twice(void *unused)
{
	(void)unused;
	GO_DEFER(note_gone, NULL);
	GO_DEFER(exit_now, NULL);
	GO_DEFER(exit_now, NULL);
	go_exit();
}

static void
ends_so(void (*fn)(void *), const char *want)
{
	atomic_store(&gone, 0);
	expect_eq(go_spawn(fn, NULL), 0);
	until(atomic_load(&gone) == 1);
	trail_is(want);
}

GO_TEST(exit_runs_what_is_deferred, 0)
{
	ends_so(exit_through_protect, "xR");
	ends_so(exit_of_a_panic, "x");
	ends_so(exit_cannot_be_recovered, "P");
	ends_so(exit_with_a_recovered_panic, "a21");
	ends_so(recovered_then_exit, "a21");
	ends_so(exit_twice, "xx");
}

// --- panics of the library ----------------------------------------------------------------------

static void
close_it(void *c)
{
	go_chan_close(c);
}

static void
send_it(void *c)
{
	long one = 1;
	go_chan_send(c, &one, GO_NEVER);
}

static void
send_by_select(void *c)
{
	long one = 1;
	go_case cases[12];
	for (int i = 0; i < 12; i++)
		cases[i] = (go_case){.chan = c, .elem = &one, .send = true};
	(void)go_select(cases, 12, GO_NEVER);
}

static void
done_too_often(void *wg)
{
	go_wg_done(wg);
}

static void
make_ticker(void *unused)
{
	(void)unused;
	(void)go_ticker_new(0);
}

static void
make_huge(void *unused)
{
	(void)unused;
	(void)go_chan_new(8, SIZE_MAX / 2);
}

static void
defer_nothing(void *unused)
{
	GO_DEFER(NULL, unused);
}

GO_TEST(panics_of_the_library, 0)
{
	go_chan *c = go_chan_new(sizeof(long), 1);
	go_chan_close(c);
	for (int i = 0; i < 3; i++) {
		value_is(go_protect(close_it, c), "close of closed channel");
		value_is(go_protect(send_it, c), "send on closed channel");
		value_is(go_protect(send_by_select, c), "send on closed channel");
	}
	value_is(go_protect(close_it, NULL), "close of nil channel");
	go_waitgroup wg = {0};
	value_is(go_protect(done_too_often, &wg), "sync: negative WaitGroup counter");
	value_is(go_protect(make_ticker, NULL), "non-positive interval for NewTicker");
	value_is(go_protect(make_huge, NULL), "makechan: size out of range");
	value_is(go_protect(defer_nothing, NULL),
		 "runtime error: invalid memory address or nil pointer dereference");
	go_chan_free(c);
}

static void
send_and_be_caught(void *c)
{
	value_is(go_protect(send_it, c), "send on closed channel");
	atomic_store(&gone, 1);
}

GO_TEST(panic_of_a_send_that_waits, 0)
{
	go_chan *c = go_chan_new(sizeof(long), 0);
	atomic_store(&gone, 0);
	expect_eq(go_spawn(send_and_be_caught, c), 0);
	go_sleep(GO_MSEC);
	go_chan_close(c);
	until(atomic_load(&gone) == 1);
}

static go_once once;

static void
panic_in_once(void *unused)
{
	(void)unused;
	go_once_do(&once, mark_and_panic, "o");
}

// It counts as done, as in Go.
GO_TEST(panic_in_once, 0)
{
	value_is(go_protect(panic_in_once, NULL), "lost");
	trail_is("o21");
	expect(!go_panicked(go_protect(panic_in_once, NULL)));
	trail_is("");
}

// --- scopes -------------------------------------------------------------------------------------

static int
wait_for_cancel(void *n)
{
	int err = go_sleep(3600 * GO_SEC);
	atomic_fetch_add((atomic_int *)n, 1);
	return err;
}

static void
open_and_panic(void *n)
{
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	for (int i = 0; i < 3; i++)
		expect_eq(go_scope_spawn(&s, wait_for_cancel, n), 0);
	go_panic_text("in a scope");
}

static void
open_and_exit(void *n)
{
	GO_DEFER(note_gone, NULL);
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	expect_eq(go_scope_spawn(&s, wait_for_cancel, n), 0);
	go_exit();
}

static jmp_buf landing;

static void
jump_out(void *unused)
{
	(void)unused;
	GO_DEFER(mark, "x");
	GO_DEFER(mark, "y");
	longjmp(landing, 1);
}

static void
ignore(void *unused)
{
	(void)unused;
}

static void
land_and_panic(void *unused)
{
	go_defer before;
	(void)unused;
	GO_DEFER(mark, "a");
	go_defer_push(&before, ignore, NULL);
	if (setjmp(landing) == 0)
		jump_out(NULL);
	go_defer_run(&before);
	GO_DEFER(mark, "b");
	go_panic_text("landed");
}

// What a longjmp has left is dropped.
GO_TEST(panic_behind_a_longjmp, 0)
{
	value_is(go_protect(land_and_panic, NULL), "landed");
	trail_is("ba");
}

// A scope that is left is cancelled, and waited for.
GO_TEST(panic_out_of_a_scope, 0)
{
	atomic_int n = 0;
	value_is(go_protect(open_and_panic, &n), "in a scope");
	expect_eq(atomic_load(&n), 3);
	atomic_store(&gone, 0);
	expect_eq(go_spawn(open_and_exit, &n), 0);
	until(atomic_load(&gone) == 1);
	expect_eq(atomic_load(&n), 4);
}

static void
wait_for_scope(void *s)
{
	GO_DEFER(mark, "w");
	expect_eq(go_scope_wait(s), 0);
}

static void
wait_inside_and_panic(void *unused)
{
	(void)unused;
	GO_DEFER(mark, "o");
	go_scope protected, deferred;
	go_scope_open(&protected, GO_NEVER);
	go_scope_open(&deferred, GO_NEVER);
	wait_for_scope(&deferred);
	expect(!go_panicked(go_protect(wait_for_scope, &protected)));
	memset(&protected, 0x5a, sizeof(protected));
	memset(&deferred, 0x5a, sizeof(deferred));
	go_panic_text("scopes are gone");
}

// The scope's record is behind those of frames further in when it goes.
GO_TEST(panic_behind_scopes_that_ended_further_in, 0)
{
	value_is(go_protect(wait_inside_and_panic, NULL), "scopes are gone");
	trail_is("wwo");
}

// --- faults -------------------------------------------------------------------------------------

static int *volatile bad = (int *)24;

static void
dereference(void *unused)
{
	(void)unused;
	GO_DEFER(mark, "f");
	*bad = 1;
}

static void (*volatile no_function)(void);

static void
call_nothing(void *unused)
{
	(void)unused;
	GO_DEFER(mark, "n");
	no_function();
	__asm__ volatile("");
}

GO_TEST(panic_on_fault, 0)
{
	expect(!go_set_panic_on_fault(true));
	for (int i = 0; i < 3; i++) {
		go_value v = go_protect(dereference, NULL);
		value_is(v, "runtime error: invalid memory address or nil pointer dereference");
		expect_eq((uintptr_t)v.p, 24);
	}
	trail_is("fff");
	value_is(go_protect(call_nothing, NULL),
		 "runtime error: invalid memory address or nil pointer dereference");
	trail_is("n");
	value_is(go_protect(NULL, NULL),
		 "runtime error: invalid memory address or nil pointer dereference");
	expect(go_set_panic_on_fault(false));
}

static void *
fault_on_thread(void *unused)
{
	go_set_panic_on_fault(true);
	expect(go_panicked(go_protect(dereference, NULL)));
	return unused;
}

void
test_panic_on_fault_on_a_thread(void)
{
	fault_on_thread(NULL);
	trail_is("f");
}

// A thread that has blocked the signal, as those of many libraries have all.
void
test_panic_on_fault_on_a_thread_that_blocks(void)
{
	pthread_t thread;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	expect_eq(pthread_create(&thread, NULL, fault_on_thread, NULL), 0);
	pthread_join(thread, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	trail_is("f");
}

// --- the end of the stack --------------------------------------------------------------------

enum { SMALL_STACK = 32 << 10 };

static __attribute__((noinline)) long
fill(uintptr_t lowest, long *called)
{
	volatile char frame[64];
	GO_DEFER(count, called);
	frame[0] = 1;
	if (bottom != 0)
		return 0;
	if ((uintptr_t)frame < lowest)
		go_panic_text("at the end");
	return fill(lowest, called) + frame[0];
}

static void
fill_stack(void *called)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	// A panic needs little; libgcc's unwinder, which is asked where we cannot see, some KiB.
	(void)fill(here - (SMALL_STACK - (16 << 10)), called);
}

static void
panic_at_the_end(void *unused)
{
	long called = 0;
	(void)unused;
	value_is(go_protect(fill_stack, &called), "at the end");
	expect(called > 20);
	atomic_store(&gone, 1);
}

GO_TEST(panic_on_a_full_stack, 0)
{
	go_attr attr = {.stack_bytes = SMALL_STACK};
	atomic_store(&gone, 0);
	expect_eq(go_spawn_with(&attr, panic_at_the_end, NULL), 0);
	until(atomic_load(&gone) == 1);
}

// --- a great many -------------------------------------------------------------------------------

static atomic_int survivors;

static void
panic_and_survive(void *unused)
{
	(void)unused;
	go_value v = go_protect(panic_f, "goroutine");
	value_is(v, "goroutine: 7");
	atomic_fetch_add(&survivors, 1);
}

// Each is caught where it should be, on all Ps, with switches and collections between.
GO_TEST(panic_in_many_goroutines, 0)
{
	int n = (int)test_scale(10000);
	for (int i = 0; i < n; i++) {
		expect_eq(go_spawn(panic_and_survive, NULL), 0);
		if (i % 1000 == 0)
			go_gc();
	}
	until(atomic_load(&survivors) == n);
}

// --- memory -------------------------------------------------------------------------------------

static void
collect(void *unused)
{
	(void)unused;
	go_gc();
	go_gc();
}

static void
panic_with_object(void *unused)
{
	(void)unused;
	GO_DEFER(collect, NULL);
	char *p = go_alloc_data(4000);
	memset(p, 'x', 4000);
	go_panic(go_value_custom(&plain_type, p));
}

static void
check_object(void *v)
{
	char *p = *(char **)v;
	for (int i = 0; i < 4000; i++)
		expect(p[i] == 'd');
	mark("k");
}

static void
defer_with_object(void *unused)
{
	(void)unused;
	char **cell = go_alloc(sizeof(*cell));
	*cell = go_alloc_data(4000);
	memset(*cell, 'd', 4000);
	GO_DEFER(check_object, cell);
	cell = NULL;
	collect(NULL);
	go_panic_text("lost");
}

// What only a panic, or a deferred call, leads to is alive.
GO_TEST(panic_keeps_objects, 0)
{
	go_value v = go_protect(panic_with_object, NULL);
	collect(NULL);
	for (int i = 0; i < 4000; i++)
		expect(((char *)v.p)[i] == 'x');
	value_is(go_protect(defer_with_object, NULL), "lost");
	trail_is("k");
}
