// SPDX-License-Identifier: BSD-3-Clause
// Lines of text without stdio: no lock, no allocation.
#include "base/line.h"

#include "base/base.h"

enum { DIGITS_MAX = 20 };

static void
flush(Line *l)
{
	print_n(l->text, l->n);
	l->n = 0;
}

static void
add(Line *l, char c)
{
	if (l->n == sizeof(l->text))
		flush(l);
	l->text[l->n++] = c;
}

void
line_str(Line *l, const char *s)
{
	while (*s != '\0')
		add(l, *s++);
}

// At least `least` digits, and a point in front of the last `places`, when these are not 0.
static void
number(Line *l, uint64_t v, unsigned base, unsigned least, unsigned places)
{
	char digits[DIGITS_MAX];
	unsigned n = 0;
	for (; v != 0 || n < least; v /= base)
		digits[n++] = "0123456789abcdef"[v % base];
	while (n > 0) {
		add(l, digits[--n]);
		if (n == places && n != 0)
			add(l, '.');
	}
}

void
line_u64(Line *l, uint64_t v)
{
	number(l, v, 10, 1, 0);
}

void
line_hex(Line *l, uint64_t v)
{
	line_str(l, "0x");
	number(l, v, 16, 1, 0);
}

void
line_fixed(Line *l, uint64_t v, unsigned places)
{
	number(l, v, 10, places + 1, places);
}

void
line_end(Line *l)
{
	add(l, '\n');
	flush(l);
}
