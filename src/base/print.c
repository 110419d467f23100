// SPDX-License-Identifier: BSD-3-Clause
// Printing for those who cannot afford stdio: no lock, no allocation, any stack, signal handlers
// too.
//
// Each call is one write, so that nothing is lost when the next call never comes.
#include "base/base.h"
#include "base/base_up.h"

enum { U64_DIGITS = 20, DEFAULT_FD = 2 };

static __thread int print_fd; // this thread's descriptor, xor the default

// The only places that form the address of print_fd: not inlined, so that no caller keeps it across
// a switch to another thread.
static NOINLINE int
current_fd(void)
{
	return print_fd ^ DEFAULT_FD;
}

NOINLINE int
print_to(int fd)
{
	int before = current_fd();
	print_fd = fd ^ DEFAULT_FD;
	return before;
}

void
print_n(const char *s, size_t n)
{
	if (n > 0)
		up_write(current_fd(), s, n);
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
