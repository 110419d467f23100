// SPDX-License-Identifier: BSD-3-Clause
// What the tests of panics share: what has run, in order, what was caught, and functions to defer.
#ifndef UNDERGO_TESTS_API_PANIC_H
#define UNDERGO_TESTS_API_PANIC_H

#include "goroutines.h"

static char trail[256];

static inline void
mark(void *text)
{
	strncat(trail, text, sizeof(trail) - strlen(trail) - 1);
}

static inline void
trail_is(const char *want)
{
	expect_str(trail, want);
	trail[0] = '\0';
}

static inline void
value_is(go_value v, const char *want)
{
	char text[200];
	expect(go_panicked(v));
	expect_eq(go_value_text(&v, text, sizeof(text)), strlen(want));
	expect_str(text, want);
}

static inline void
mark_and_panic(void *text)
{
	GO_DEFER(mark, "1");
	GO_DEFER(mark, "2");
	mark(text);
	go_panic_text("lost");
}

static inline void
recover_it(void *want)
{
	go_value v = go_recover();
	if (want != NULL)
		value_is(v, want);
	else
		expect(!go_panicked(v));
	mark("R");
}

static inline void
panic_again(void *text)
{
	mark("P");
	go_panic_text(text);
}

static inline void
count(void *n)
{
	++*(long *)n;
}

#endif
