// SPDX-License-Identifier: BSD-3-Clause
// Rival: libuv, for its timers only; it has no tasks with stacks.
//
// Rows: afterfunc (start and stop), timer_reset (start of a started timer).
// The timer is embedded in the program, so nothing is allocated; the time is the one the loop read
// last, so no clock is read; and only the thread of the loop may do it. Not sleep50us: its timers
// count whole milliseconds from a clock rounded down, so it can be asked neither for 50 us nor for
// at least 1 ms.

#include <uv.h>

#include "../bench.h"

enum { HOUR_MS = 3600 * 1000 };

static uv_timer_t timer;
static int fired;

static void
on_timer(uv_timer_t *t)
{
	(void)t;
	fired++;
}

static void
afterfunc_body(int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		uv_timer_start(&timer, on_timer, HOUR_MS, 0);
		uv_timer_stop(&timer);
	}
	bench_check(fired == 0, "afterfunc: fired");
}

static void
row_afterfunc(void)
{
	bench_row("afterfunc", afterfunc_body, 1);
}

static void
timer_reset_body(int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		uv_timer_start(&timer, on_timer, HOUR_MS, 0);
	bench_check(fired == 0, "timer_reset: fired");
}

static void
row_timer_reset(void)
{
	uv_timer_start(&timer, on_timer, HOUR_MS, 0);
	bench_row("timer_reset", timer_reset_body, 1);
}

int
main(int argc, char **argv)
{
	static const struct bench_entry rows[] = {
	    {"afterfunc", row_afterfunc},
	    {"timer_reset", row_timer_reset},
		};

	uv_timer_init(uv_default_loop(), &timer);
	return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}
