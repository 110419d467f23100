// SPDX-License-Identifier: BSD-3-Clause
// What a panic carries, and how it reads: as Go prints it.
#include <string.h>

#include "gc/gc.h"
#include "panic/chain.h"
#include "undergo/base.h"

// A text under way into a buffer that may be too small; n is its whole length.
typedef struct Writer {
	char *buf;
	size_t bytes;
	size_t n;
} Writer;

static void
put(Writer *w, const char *text, size_t n)
{
	if (w->n + 1 < w->bytes) {
		size_t room = w->bytes - 1 - w->n;
		memcpy(w->buf + w->n, text, n < room ? n : room);
	}
	w->n += n;
}

static void
put_str(Writer *w, const char *text)
{
	put(w, text, strlen(text));
}

static void
put_u64(Writer *w, uint64_t v, unsigned base)
{
	char text[20];
	size_t at = sizeof(text);
	do {
		text[--at] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v != 0);
	put(w, text + at, sizeof(text) - at);
}

static void
put_i64(Writer *w, int64_t v)
{
	if (v < 0)
		put_str(w, "-");
	put_u64(w, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10);
}

// Seven digits and an exponent of three, as Go's print has it.
static void
put_double(Writer *w, double d)
{
	enum { DIGITS = 7 };
	char text[] = "+d.dddddde+ddd";
	int exponent = 0;
	if (d != d || d - d != 0) {
		put_str(w, d != d ? "NaN" : d > 0 ? "+Inf" : "-Inf");
		return;
	}
	text[0] = __builtin_signbit(d) ? '-' : '+';
	d = d < 0 ? -d : d;
	if (d != 0) {
		for (; d >= 10; d /= 10)
			exponent++;
		for (; d < 1; d *= 10)
			exponent--;
		double half = 5;
		for (int i = 0; i < DIGITS; i++)
			half /= 10;
		d += half;
		if (d >= 10) {
			d /= 10;
			exponent++;
		}
	}
	for (int i = 0; i < DIGITS; i++) {
		int digit = (int)d;
		text[i == 0 ? 1 : i + 2] = (char)('0' + digit);
		d = (d - digit) * 10;
	}
	text[10] = exponent < 0 ? '-' : '+';
	unsigned e = (unsigned)(exponent < 0 ? -exponent : exponent);
	text[11] = (char)('0' + e / 100);
	text[12] = (char)('0' + e / 10 % 10);
	text[13] = (char)('0' + e % 10);
	put_str(w, text);
}

static void
put_address(Writer *w, const char *type, const void *p)
{
	put_str(w, "(");
	put_str(w, type);
	put_str(w, ") 0x");
	put_u64(w, (uintptr_t)p, 16);
}

static const char *
type_name(const go_value_type *type)
{
	return type != NULL && type->name != NULL ? type->name : "?";
}

static void
put_value(Writer *w, const Value *v)
{
	switch (v->kind) {
	case GO_VALUE_STRING:
	case GO_VALUE_RUNTIME_ERROR:
		if (v->text != NULL)
			put(w, v->text, v->n);
		break;
	case GO_VALUE_INT:
		put_i64(w, v->i);
		break;
	case GO_VALUE_UINT:
		put_u64(w, v->u, 10);
		break;
	case GO_VALUE_DOUBLE:
		put_double(w, v->d);
		break;
	case GO_VALUE_BOOL:
		put_str(w, v->b ? "true" : "false");
		break;
	case GO_VALUE_POINTER:
		put_address(w, "unsafe.Pointer", v->p);
		break;
	case GO_VALUE_ERROR:
		put_str(w, value_error_text((int)v->i));
		break;
	case GO_VALUE_CUSTOM:
		put_address(w, type_name(v->type), v->p);
		break;
	default:
		put_str(w, "nil");
	}
}

size_t
value_write(const Value *v, char *buf, size_t bytes)
{
	if (v->kind == GO_VALUE_CUSTOM && v->type != NULL && v->type->text != NULL)
		return v->type->text(v, buf, bytes);
	Writer w = {buf, bytes, 0};
	put_value(&w, v);
	if (bytes > 0)
		buf[w.n < bytes ? w.n : bytes - 1] = '\0';
	return w.n;
}

// Lines behind the first are indented, so that none of them looks like one of ours.
static void
print_indented(const char *text, size_t n)
{
	const char *line;
	while (n > 0 && (line = memchr(text, '\n', n)) != NULL) {
		print_n(text, (size_t)(line - text));
		print_str("\n\t");
		n -= (size_t)(line - text) + 1;
		text = line + 1;
	}
	if (n > 0)
		print_n(text, n);
}

void
value_print(const Value *v)
{
	enum { NAME_BYTES = 256 }; // of a type; what is longer is cut off
	char text[NAME_BYTES];
	if (v->kind == GO_VALUE_STRING || v->kind == GO_VALUE_RUNTIME_ERROR) {
		print_indented(v->text, v->text != NULL ? v->n : 0);
		return;
	}
	Writer w = {text, sizeof(text), 0};
	put_value(&w, v);
	print_indented(text, w.n < sizeof(text) ? w.n : sizeof(text) - 1);
}

void
value_settle(Value *v)
{
	if (v->kind != GO_VALUE_CUSTOM || v->type == NULL || v->type->text == NULL)
		return;
	size_t n = v->type->text(v, NULL, 0);
	sched_enter();
	char *text = gc_alloc(n + 1, KIND_NOSCAN);
	sched_leave();
	if (text == NULL)
		return; // then by its name and address
	size_t m = v->type->text(v, text, n + 1);
	v->kind = GO_VALUE_STRING;
	v->text = text;
	v->n = m < n ? m : n;
}

// --- making values ---------------------------------------------------------------------------

Value
value_text(const char *text)
{
	if (text == NULL)
		return (Value){.kind = GO_VALUE_NONE};
	return (Value){.kind = GO_VALUE_STRING, .text = text, .n = strlen(text)};
}

Value
value_runtime(const char *text)
{
	return (Value){.kind = GO_VALUE_RUNTIME_ERROR, .text = text, .n = strlen(text)};
}

// What the system says itself, constant texts.
static const char *
system_text(int code)
{
	const char *text = code < GO_ESYSTEM && code > GO_ESYSTEM - 4096
				   ? strerrordesc_np(GO_ESYSTEM - code)
				   : NULL;
	return text != NULL ? text : "unknown error";
}

// Without memory the name is missing.
Value
value_runtime_of(const char *text, const char *name)
{
	Value v = value_runtime(text);
	size_t n = strlen(name);
	if (!sched_attached())
		return v;
	sched_enter();
	char *whole = gc_alloc(v.n + n, KIND_NOSCAN);
	sched_leave();
	if (whole == NULL)
		return v;
	memcpy(whole, text, v.n);
	memcpy(whole + v.n, name, n);
	v.text = whole;
	v.n += n;
	return v;
}

const char *
value_error_text(int code)
{
	switch (code) {
	case 0:
		return "success";
	case GO_EAGAIN:
		return "would wait";
	case GO_ETIMEDOUT:
		return "deadline exceeded";
	case GO_ECANCELED:
		return "canceled";
	case GO_ECLOSED:
		return "closed";
	case GO_EINVAL:
		return "invalid argument";
	case GO_ENOMEM:
		return "out of memory, threads or descriptors";
	case GO_EBUSY:
		return "in use";
	case GO_ENOSYS:
		return "not supported by this system";
	case GO_EIO:
		return "cannot be written";
	case GO_EEOF:
		return "unexpected end";
	case GO_ENOHOST:
		return "no such host";
	case GO_EADDRESS:
		return "bad address";
	default:
		return system_text(code);
	}
}
