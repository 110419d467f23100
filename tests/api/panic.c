// SPDX-License-Identifier: BSD-3-Clause
// What undergo/panic.h promises: values, deferred calls, their order, recovery, panics in a panic.
// panic_exit.c, panic_library.c and panic_fault.c have the rest.
#include "api/panic.h"

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
