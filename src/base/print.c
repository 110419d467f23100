// SPDX-License-Identifier: BSD-3-Clause
// Printing for those who cannot afford stdio: no lock, no allocation, any stack, signal handlers
// too.
//
// Each call is one write, so that nothing is lost when the next call never comes. A descriptor in
// non-blocking mode that is full is waited for until that was in vain once: what follows of the
// text, which is all that a dying process has to say, is then written only as far as there is room.
#include <errno.h>

#include "base/base.h"
#include "base/base_up.h"

enum { U64_DIGITS = 20, DEFAULT_FD = 2 };

ATOMIC_U32 base_told;

static __thread int print_fd;  // this thread's descriptor, xor the default
static __thread bool given_up; // its reader was waited for in vain
static __thread bool failed;   // some of the text did not get there

// The only places that form the addresses of these: not inlined, so that no caller keeps them
// across a switch to another thread.
static NOINLINE void
write_text(const char *s, size_t n)
{
	int err = up_write(print_fd ^ DEFAULT_FD, s, n, !given_up);
	if (load_rlx(&base_dying) != 0)  // order: hint
		add_rlx(&base_told, 1);  // order: count
	if (err == -EAGAIN)
		given_up = true;
	if (err != 0)
		failed = true;
}

// A new text, but for a dying process that goes on where it was.
NOINLINE int
print_to(int fd)
{
	int before = print_fd ^ DEFAULT_FD;
	print_fd = fd ^ DEFAULT_FD;
	if (before != fd || load_rlx(&base_dying) == 0) // order: hint, who dies has stored it
		given_up = false;
	failed = false;
	return before;
}

NOINLINE bool
print_failed(void)
{
	return failed;
}

void
print_n(const char *s, size_t n)
{
	if (n > 0)
		write_text(s, n);
}

void
print_str(const char *s)
{
	print_n(s, __builtin_strlen(s));
}

// Writes the digits of v so that they end before `end`; returns where they begin.
static char *
digits(char *end, uint64_t v, unsigned base)
{
	do {
		*--end = "0123456789abcdef"[v % base];
		v /= base;
	} while (v != 0);
	return end;
}

void
print_u64(uint64_t v)
{
	char text[U64_DIGITS];
	char *end = text + sizeof(text);
	char *at = digits(end, v, 10);
	print_n(at, (size_t)(end - at));
}

void
print_i64(int64_t v)
{
	char text[1 + U64_DIGITS];
	char *end = text + sizeof(text);
	char *at = digits(end, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10);
	if (v < 0)
		*--at = '-';
	print_n(at, (size_t)(end - at));
}

void
print_hex(uint64_t v)
{
	char text[2 + U64_DIGITS];
	char *end = text + sizeof(text);
	char *at = digits(end, v, 16);
	*--at = 'x';
	*--at = '0';
	print_n(at, (size_t)(end - at));
}
