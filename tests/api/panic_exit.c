// SPDX-License-Identifier: BSD-3-Clause
// go_exit, and what a panic or go_exit does to the scopes that it leaves.
#include <setjmp.h>

#include "api/panic.h"

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

// --- scopes -------------------------------------------------------------------------------------

static int
wait_for_cancel(void *n)
{
	int err = go_sleep(3600 * GO_SEC); // until it is cancelled
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
