// SPDX-License-Identifier: BSD-3-Clause
// print and println, to descriptor 2.
//
// What one statement prints is gathered and written at its end, as far as it fits; statements of
// several goroutines do not mix. No P is held while writing.
#include "gccgo/gccgo.h"

#include "gccgo/print.h"

enum { TEXT_MOST = 256 };

typedef struct Pending {
	size_t n;
	uint32_t depth;
	char text[TEXT_MOST];
} Pending;

// A statement's calls all happen on one thread, unless the stack grows in between and the
// goroutine moves: then the rest comes in a piece of its own.
static __thread Pending pending;

static NOINLINE void
flush(void)
{
	Pending *p = &pending;
	size_t n = p->n;
	p->n = 0;
	print_n(p->text, n);
}

NOINLINE void
print_bytes(const char *s, size_t n)
{
	Pending *p = &pending;
	if (p->n + n > TEXT_MOST)
		flush();
	if (n > TEXT_MOST) {
		print_n(s, n);
		return;
	}
	memcpy(p->text + p->n, s, n);
	p->n += n;
	if (p->depth == 0)
		flush();
}

GOFUNC("runtime.printlock", void, rt_printlock, (void))
{
	pending.depth++;
}

GOFUNC("runtime.printunlock", void, rt_printunlock, (void))
{
	Pending *p = &pending;
	if (p->depth > 0 && --p->depth == 0)
		flush();
}

// --- values --------------------------------------------------------------------------------------

GOFUNC("runtime.printsp", void, rt_printsp, (void))
{
	print_bytes(" ", 1);
}

GOFUNC("runtime.printnl", void, rt_printnl, (void))
{
	print_bytes("\n", 1);
}

GOFUNC("runtime.printstring", void, rt_printstring, (String s))
{
	print_bytes(s.p, (size_t)s.n);
}

GOFUNC("runtime.printbool", void, rt_printbool, (bool b))
{
	print_bytes(b ? "true" : "false", b ? 4 : 5);
}

static void
print_number(uint64_t v, unsigned base, const char *before)
{
	char text[32];
	char *at = text + sizeof(text);
	do {
		*--at = "0123456789abcdef"[v % base];
		v /= base;
	} while (v != 0);
	for (size_t n = strlen(before); n != 0; n--)
		*--at = before[n - 1];
	print_bytes(at, (size_t)(text + sizeof(text) - at));
}

GOFUNC("runtime.printuint", void, rt_printuint, (uint64_t v))
{
	print_number(v, 10, "");
}

GOFUNC("runtime.printint", void, rt_printint, (int64_t v))
{
	print_number(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, v < 0 ? "-" : "");
}

GOFUNC("runtime.printhex", void, rt_printhex, (uint64_t v))
{
	print_number(v, 16, "0x");
}

GOFUNC("runtime.printpointer", void, rt_printpointer, (const void *p))
{
	rt_printhex((uintptr_t)p);
}

// +d.dddddde+ddd
size_t
print_float_text(char text[FLOAT_TEXT], double v)
{
	enum { DIGITS = 7 };
	if (v != v) {
		memcpy(text, "NaN", 3);
		return 3;
	}
	if (v == v + v && v != 0) {
		memcpy(text, v > 0 ? "+Inf" : "-Inf", 4);
		return 4;
	}
	int e = 0;
	text[0] = '+';
	if (v == 0) {
		if (1 / v < 0)
			text[0] = '-';
	} else {
		if (v < 0) {
			v = -v;
			text[0] = '-';
		}
		for (; v >= 10; v /= 10)
			e++;
		for (; v < 1; v *= 10)
			e--;
		double half = 5;
		for (int i = 0; i < DIGITS; i++)
			half /= 10;
		v += half;
		if (v >= 10) {
			e++;
			v /= 10;
		}
	}
	for (int i = 0; i < DIGITS; i++) {
		int digit = (int)v;
		text[i + 2] = (char)('0' + digit);
		v = (v - digit) * 10;
	}
	text[1] = text[2];
	text[2] = '.';
	text[DIGITS + 2] = 'e';
	text[DIGITS + 3] = e < 0 ? '-' : '+';
	e = e < 0 ? -e : e;
	text[DIGITS + 4] = (char)('0' + e / 100);
	text[DIGITS + 5] = (char)('0' + e / 10 % 10);
	text[DIGITS + 6] = (char)('0' + e % 10);
	return DIGITS + 7;
}

GOFUNC("runtime.printfloat", void, rt_printfloat, (double v))
{
	char text[FLOAT_TEXT];
	print_bytes(text, print_float_text(text, v));
}

GOFUNC("runtime.printcomplex", void, rt_printcomplex, (_Complex double c))
{
	print_bytes("(", 1);
	rt_printfloat(__real__ c);
	rt_printfloat(__imag__ c);
	print_bytes("i)", 2);
}

GOFUNC("runtime.printslice", void, rt_printslice, (Slice s))
{
	print_bytes("[", 1);
	rt_printint(s.len);
	print_bytes("/", 1);
	rt_printint(s.cap);
	print_bytes("]", 1);
	rt_printpointer(s.p);
}

static void
print_pair(const void *a, const void *b)
{
	print_bytes("(", 1);
	rt_printpointer(a);
	print_bytes(",", 1);
	rt_printpointer(b);
	print_bytes(")", 1);
}

GOFUNC("runtime.printeface", void, rt_printeface, (Eface e))
{
	print_pair(e.t, e.data);
}

GOFUNC("runtime.printiface", void, rt_printiface, (Iface i))
{
	print_pair(i.tab, i.data);
}
