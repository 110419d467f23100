// SPDX-License-Identifier: BSD-3-Clause
// Rows of panics: defer, protect, panic, panic_deep.

#include "ours.h"

enum { PANIC_DEPTH = 20 };

static void
nothing(void *arg)
{
	__asm__ volatile("" : : "r"(arg) : "memory");
}

static __attribute__((noinline)) void
defer_once(void)
{
	GO_DEFER(nothing, NULL);
	nothing(NULL);
}

static void
defer_body(int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		defer_once();
}

void
row_defer(void)
{
	one_p();
	bench_row("defer", defer_body, 1);
}

static void
protect_body(int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		(void)go_protect(nothing, NULL);
}

void
row_protect(void)
{
	one_p();
	bench_row("protect", protect_body, 1);
}

static void
fail(void *arg)
{
	(void)arg;
	go_panic(go_value_int(1));
}

static void
panic_body(int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		bench_check(go_panicked(go_protect(fail, NULL)), "panic: not caught");
}

void
row_panic(void)
{
	one_p();
	bench_row("panic", panic_body, 1);
}

static volatile int bottom; // where it ends, which the compiler shall not know

static __attribute__((noinline)) void
fail_deep(int depth)
{
	if (depth < bottom)
		return;
	if (depth == bottom)
		fail(NULL);
	fail_deep(depth - 1);
	nothing(&depth); // no tail call
}

static void
start_deep(void *arg)
{
	(void)arg;
	fail_deep(PANIC_DEPTH);
}

static void
panic_deep_body(int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		bench_check(go_panicked(go_protect(start_deep, NULL)), "panic_deep: not caught");
}

void
row_panic_deep(void)
{
	one_p();
	bench_row("panic_deep", panic_deep_body, 1);
}
