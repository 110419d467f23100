// SPDX-License-Identifier: BSD-3-Clause
// Reading unwind tables: DWARF's call frame information, as compilers emit it into .eh_frame.
//
// What compilers do not emit for ordinary functions is refused: expressions for the registers that
// somebody may ask for, signed return addresses, signal frames, tables relative to anything but
// themselves. Values of registers are saved in whole words below the CFA, or somewhere else.
#include "panic/tables.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include "base/base.h"

// Of libgcc: the FDE of the function at pc, and its beginning.
struct dwarf_eh_bases {
	void *tbase;
	void *dbase;
	void *func;
};
extern const void *_Unwind_Find_FDE(void *pc, struct dwarf_eh_bases *bases);

// --- reading --------------------------------------------------------------------------

static uint64_t
read_bytes(Reader *r, unsigned n)
{
	uint64_t v = 0;
	if ((size_t)(r->end - r->at) < n) {
		r->bad = true;
		return 0;
	}
	memcpy(&v, r->at, n);
	r->at += n;
	return v;
}

static uint64_t
read_uleb(Reader *r)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint64_t b = read_bytes(r, 1);
		v |= (b & 0x7f) << shift;
		if ((b & 0x80) == 0)
			return v;
	}
	r->bad = true;
	return 0;
}

static int64_t
read_sleb(Reader *r)
{
	const uint8_t *from = r->at;
	uint64_t v = read_uleb(r);
	unsigned bits = 7 * (unsigned)(r->at - from);
	if (!r->bad && (r->at[-1] & 0x40) != 0 && bits < 64)
		v |= ~(uint64_t)0 << bits;
	return (int64_t)v;
}

// A number in one of the encodings of DWARF, as it stands there.
static uint64_t
read_number(Reader *r, uint8_t encoding)
{
	switch (encoding & 0xf) {
	case 0x0:
	case 0x4:
	case 0xc:
		return read_bytes(r, 8);
	case 0x2:
		return read_bytes(r, 2);
	case 0x3:
		return read_bytes(r, 4);
	case 0xa:
		return (uint64_t)(int16_t)read_bytes(r, 2);
	case 0xb:
		return (uint64_t)(int32_t)read_bytes(r, 4);
	default:
		r->bad = true;
		return 0;
	}
}

enum { ENCODING_NONE = 0xff, ENCODING_HOW = 0x70, ENCODING_HERE = 0x10, ENCODING_THROUGH = 0x80 };

// A pointer, 0 for none.
static uintptr_t
read_pointer(Reader *r, uint8_t encoding)
{
	if (encoding == ENCODING_NONE)
		return 0;
	uintptr_t here = (uintptr_t)r->at;
	uint64_t v = read_number(r, encoding);
	if ((encoding & ENCODING_HOW) == ENCODING_HERE)
		v += v != 0 ? here : 0;
	else if ((encoding & ENCODING_HOW) != 0)
		r->bad = true;
	if (r->bad || v == 0 || (encoding & ENCODING_THROUGH) == 0)
		return v;
	return *(const uintptr_t *)(uintptr_t)v;
}

static Reader
record_at(const uint8_t *p)
{
	uint32_t n;
	memcpy(&n, p, sizeof(n));
	return (Reader){p + sizeof(n), p + sizeof(n) + (n < UINT32_MAX ? n : 0), n == UINT32_MAX};
}

static bool
read_tables(const void *fde, Tables *t)
{
	uint8_t lsda = ENCODING_NONE, code = 0;
	t->personality = 0;
	Reader f = record_at(fde);
	const uint8_t *delta_at = f.at;
	int32_t delta = (int32_t)read_bytes(&f, sizeof(delta));
	Reader c = record_at(delta_at - delta);
	read_bytes(&c, 4);
	uint64_t version = read_bytes(&c, 1);
	const char *augmentation = (const char *)c.at;
	if (version != 1 || augmentation[0] != 'z')
		return false;
	c.at += strlen(augmentation) + 1;
	t->code_align = read_uleb(&c);
	t->data_align = read_sleb(&c);
	t->ra = read_bytes(&c, 1);
	uint64_t n = read_uleb(&c);
	const uint8_t *instructions = c.at + n;
	for (const char *a = augmentation + 1; *a != '\0'; a++) {
		if (*a == 'L')
			lsda = (uint8_t)read_bytes(&c, 1);
		else if (*a == 'R')
			code = (uint8_t)read_bytes(&c, 1);
		else if (*a == 'P')
			t->personality = read_pointer(&c, (uint8_t)read_bytes(&c, 1));
		else
			return false; // a signal frame, or signed addresses
	}
	c.at = instructions;
	t->common = c;
	read_number(&f, code);
	read_number(&f, code);
	n = read_uleb(&f);
	instructions = f.at + n;
	t->lsda = read_pointer(&f, lsda);
	f.at = instructions;
	t->own = f;
	return !c.bad && !f.bad;
}

// --- running --------------------------------------------------------------------------

enum { REMEMBERED = 4 };

typedef struct Machine {
	const Tables *t;
	Rules now;
	Rules initial;
	Rules stack[REMEMBERED];
	unsigned n;
	bool unknown;
} Machine;

static void
set_rule(Machine *m, uint64_t column, Rule rule)
{
	if (rule.at % (int64_t)sizeof(uintptr_t) != 0)
		m->unknown = true;
	if (column < ARCH_DWARF_COLUMNS)
		m->now.saved[column] = rule;
	if (column == m->t->ra)
		m->now.ra = rule;
	if (column == ARCH_DWARF_SP)
		m->unknown = true;
}

static void
restore_rule(Machine *m, uint64_t column)
{
	if (column < ARCH_DWARF_COLUMNS)
		m->now.saved[column] = m->initial.saved[column];
	if (column == m->t->ra)
		m->now.ra = m->initial.ra;
}

static Rule
saved_at(int64_t at)
{
	return (Rule){at == (int32_t)at ? HOW_SAVED : HOW_ELSE, (int32_t)at};
}

static void
set_cfa(Machine *m, uint64_t column, int64_t offset)
{
	m->now.cfa_register = column;
	m->now.cfa_offset = offset;
	m->now.cfa_else = false;
}

static void
skip_block(Reader *r)
{
	uint64_t n = read_uleb(r);
	if (n > (uint64_t)(r->end - r->at))
		r->bad = true;
	else
		r->at += n;
}

static void
remember_state(Machine *m)
{
	if (m->n == REMEMBERED)
		m->unknown = true;
	else
		m->stack[m->n++] = m->now;
}

static void
restore_state(Machine *m)
{
	uint64_t args = m->now.args_bytes; // no part of the state
	if (m->n == 0) {
		m->unknown = true;
		return;
	}
	m->now = m->stack[--m->n];
	m->now.args_bytes = args;
}

// Instructions whose first two bits are 0, but those that advance.
static void
run_one(Machine *m, Reader *r, uint8_t op)
{
	int64_t align = m->t->data_align;
	uint64_t column;
	switch (op) {
	case 0x00: // nop
		break;
	case 0x2e: // GNU_args_size
		m->now.args_bytes = read_uleb(r);
		break;
	case 0x05: // offset_extended
		column = read_uleb(r);
		set_rule(m, column, saved_at((int64_t)read_uleb(r) * align));
		break;
	case 0x11: // offset_extended_sf
		column = read_uleb(r);
		set_rule(m, column, saved_at(read_sleb(r) * align));
		break;
	case 0x06: // restore_extended
		restore_rule(m, read_uleb(r));
		break;
	case 0x07: // undefined
		set_rule(m, read_uleb(r), (Rule){HOW_NONE, 0});
		break;
	case 0x08: // same_value
		set_rule(m, read_uleb(r), (Rule){HOW_SAME, 0});
		break;
	case 0x09: // register
		set_rule(m, read_uleb(r), (Rule){HOW_ELSE, 0});
		read_uleb(r);
		break;
	case 0x0a: // remember_state
		remember_state(m);
		break;
	case 0x0b: // restore_state
		restore_state(m);
		break;
	case 0x0c: // def_cfa
		column = read_uleb(r);
		set_cfa(m, column, (int64_t)read_uleb(r));
		break;
	case 0x12: // def_cfa_sf
		column = read_uleb(r);
		set_cfa(m, column, read_sleb(r) * align);
		break;
	case 0x0d: // def_cfa_register
		m->now.cfa_register = read_uleb(r);
		break;
	case 0x0e: // def_cfa_offset
		m->now.cfa_offset = (int64_t)read_uleb(r);
		break;
	case 0x13: // def_cfa_offset_sf
		m->now.cfa_offset = read_sleb(r) * align;
		break;
	case 0x0f: // def_cfa_expression
		m->now.cfa_else = true;
		skip_block(r);
		break;
	case 0x10: // expression
	case 0x16: // val_expression
		set_rule(m, read_uleb(r), (Rule){HOW_ELSE, 0});
		skip_block(r);
		break;
	default:
		m->unknown = true;
	}
}

// Runs instructions for the addresses before `pc`, counted from the function's beginning.
static void
run_until(Machine *m, Reader r, uint64_t pc)
{
	uint64_t at = 0;
	while (r.at < r.end && !r.bad && !m->unknown && at <= pc) {
		uint8_t op = (uint8_t)read_bytes(&r, 1);
		uint64_t low = op & 0x3f;
		if (op >> 6 == 1)
			at += low * m->t->code_align;
		else if (op >> 6 == 2)
			set_rule(m, low, saved_at((int64_t)read_uleb(&r) * m->t->data_align));
		else if (op >> 6 == 3)
			restore_rule(m, low);
		else if (op >= 2 && op <= 4) // advance_loc1, 2, 4
			at += read_bytes(&r, 1U << (op - 2)) * m->t->code_align;
		else
			run_one(m, &r, op);
	}
	m->unknown |= r.bad;
}

bool
tables_at(uintptr_t pc, Tables *t)
{
	struct dwarf_eh_bases bases;
	const void *fde = _Unwind_Find_FDE((void *)(pc - 1), &bases);
	if (fde == NULL || !read_tables(fde, t))
		return false;
	t->func = (uintptr_t)bases.func;
	return true;
}

bool
tables_run(const Tables *t, uintptr_t pc, Rules *rules)
{
	Machine m = {.t = t};
	run_until(&m, t->common, 0);
	m.initial = m.now;
	run_until(&m, t->own, pc - 1 - t->func);
	*rules = m.now;
	return !m.unknown;
}

// --- which module --------------------------------------------------------------------------------

// Of the program, or the library, that this is linked into: it stays as long as we run. Known to:
// the linker.
extern const char module_begin[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));
extern const char module_end[] __asm__("etext") __attribute__((visibility("hidden")));

#ifdef DLFO_EH_SEGMENT_TYPE // lock-free

uint64_t
tables_identity(uintptr_t pc)
{
	struct dl_find_object found;
	if (likely(pc - (uintptr_t)module_begin < (uintptr_t)(module_end - module_begin)))
		return base_mix(pc);
	if (_dl_find_object((void *)(pc - 1), &found) != 0)
		return 0;
	return base_mix(pc ^ base_mix((uintptr_t)found.dlfo_eh_frame));
}

#else

uint64_t
tables_identity(uintptr_t pc)
{
	return pc - (uintptr_t)module_begin < (uintptr_t)(module_end - module_begin) ? base_mix(pc)
										     : 0;
}

#endif
