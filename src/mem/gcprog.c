// SPDX-License-Identifier: BSD-3-Clause
// Programs that tell where a huge type has pointers, in the form that gccgo emits.
//
// A bitmap of a type has a bit for each of its words; for an array of a million that is long, and
// says the same again and again. A program says it once:
//
//   0                  the end
//   n        1..127    n bits follow, in (n + 7) / 8 bytes, the lowest first
//   0x80|n c n 1..127  the last n bits again, c times more
//   0x80 n c           the same; n is a varint
//
// c is always a varint: 7 bits of a number in each byte, the lowest first; the top bit: there is
// more. gccgo puts the program's length before it, 4 bytes, which is no part of it here.
//
// The heap marks by bitmaps alone. So the first allocation of a type that has a program unrolls it,
// and puts a type that has the bitmap instead of the program into a table for ever: types are
// constant, and there are few such.
//
// Invariants:
//   R1  An entry is complete before it is in the table, and never changes or leaves it.
//   R2  A type has one entry: of two that come first at the same time one enters it, and the other
//       takes that.
// Order:  O1  An entry is published by the head of its chain, which may be read at any time.
// Not done: marking by the program itself. Marks are many, types are few, and an object is marked
//         in pieces by several workers.
#include "mem/gcprog.h"

#include "os/os.h"

// --- bits ----------------------------------------------------------------------------------------

static uint64_t
low_bits(uint64_t bits, size_t n)
{
	return n >= 64 ? bits : bits & (((uint64_t)1 << n) - 1);
}

// n bits from `at` on, 1 to 64.
static uint64_t
get_bits(const ProgBits *b, size_t at, size_t n)
{
	if (at >= b->keep)
		return 0;
	const uint64_t *w = &b->words[at / 64];
	uint64_t bits = w[0] >> (at % 64);
	if (at % 64 + n > 64 && at / 64 < (b->keep - 1) / 64)
		bits |= w[1] << (64 - at % 64);
	return low_bits(bits, n);
}

// Sets n bits that are 0, 1 to 64. False: one is a pointer that must not be there.
static bool
put_bits(const ProgBits *b, size_t at, uint64_t bits, size_t n)
{
	if (at >= b->keep)
		return bits == 0;
	if (low_bits(bits, b->keep - at) != bits)
		return false;
	uint64_t *w = &b->words[at / 64];
	w[0] |= bits << (at % 64);
	uint64_t rest = at % 64 + n > 64 ? bits >> (64 - at % 64) : 0;
	if (rest != 0)
		w[1] |= rest;
	return true;
}

// --- programs ------------------------------------------------------------------------------------

typedef struct Unroller {
	const uint8_t *at, *end; // of the program, what has not been read
	ProgBits to;
	size_t n; // bits so far
} Unroller;

// False: the program ends in it, or it is too large to mean anything.
static bool
read_varint(Unroller *u, size_t *value)
{
	*value = 0;
	for (uint32_t shift = 0; u->at < u->end && shift < 56; shift += 7) {
		uint8_t byte = *u->at++;
		*value |= (size_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

static bool
literal(Unroller *u, size_t n)
{
	if ((size_t)(u->end - u->at) < (n + 7) / 8 || n > u->to.all - u->n)
		return false;
	for (; n != 0; u->at++) {
		size_t some = n < 8 ? n : 8;
		if (!put_bits(&u->to, u->n, low_bits(*u->at, some), some))
			return false;
		u->n += some;
		n -= some;
	}
	return true;
}

// The period is n; what is there already repeats at any multiple of it. So short ones are copied
// from farther and farther away, a word at a time in the end.
static bool
repeat(Unroller *u, size_t n, size_t count)
{
	if (n == 0 || n > u->n || count > (u->to.all - u->n) / n)
		return false;
	size_t begin = u->n - n, end = u->n + n * count, away = n;
	while (u->n < end) {
		if (u->n >= n && u->n - n >= u->to.keep) {
			u->n = end; // a whole period of what must be 0, and is
			break;
		}
		size_t some = end - u->n < away ? end - u->n : away;
		some = some < 64 ? some : 64;
		if (!put_bits(&u->to, u->n, get_bits(&u->to, u->n - away, some), some))
			return false;
		u->n += some;
		if (away < 64 && u->n - begin >= 2 * away)
			away *= 2;
	}
	return true;
}

static bool
repeat_some(Unroller *u, size_t n)
{
	size_t count;
	if (n == 0 && !read_varint(u, &n))
		return false;
	return read_varint(u, &count) && repeat(u, n, count);
}

bool
gcprog_unroll(ProgBits to, const uint8_t *program, size_t bytes)
{
	Unroller u = {.at = program, .end = program + bytes, .to = to};
	while (u.at < u.end) {
		uint8_t op = *u.at++;
		if (op == 0)
			return true;
		if (op >= 0x80 ? !repeat_some(&u, op & 0x7f) : !literal(&u, op))
			return false;
	}
	return false;
}

// --- the table -----------------------------------------------------------------------------------

typedef struct ProgType {
	HeapType type;        // constant: with the bitmap
	HeapType of;          // constant: what was at `at`
	const HeapType *at;   // constant
	struct ProgType *next; // constant
	size_t bytes;         // constant: of this
	uint64_t bitmap[];    // constant
} ProgType;

enum { CHAINS = 256 };
typedef ATOMIC(ProgType *) Chain;
static Chain table[CHAINS]; // O1
static ATOMIC_U64 table_bytes; // of its entries

static Chain *
chain_of(const HeapType *t)
{
	return &table[base_mix((uintptr_t)t) % CHAINS];
}

// Another type may have come to lie where one was.
static bool
is_of(const ProgType *e, const HeapType *t)
{
	return e->at == t && e->of.program == t->program &&
	       e->of.program_bytes == t->program_bytes && e->of.bytes == t->bytes &&
	       e->of.scan_bytes == t->scan_bytes && e->of.name == t->name;
}

static const HeapType *
find(const ProgType *e, const HeapType *t)
{
	while (e != NULL && !is_of(e, t))
		e = e->next;
	return e != NULL ? &e->type : NULL;
}

static bool
unroll(ProgType *e, const HeapType *t, size_t keep)
{
	ProgBits to = {e->bitmap, keep, t->bytes / 8};
	return keep <= to.all && gcprog_unroll(to, t->program, t->program_bytes);
}

// NULL without memory.
static ProgType *
entry_new(const HeapType *t)
{
	size_t keep = (t->scan_bytes + 7) / 8;
	assert(keep != 0);
	size_t bytes = sizeof(ProgType) + (keep + 63) / 64 * sizeof(uint64_t);
	ProgType *e = os_alloc(bytes);
	if (e == NULL)
		return NULL;
	e->bytes = bytes;
	if (!unroll(e, t, keep))
		fatal("go_alloc_typed: the program of a type is malformed");
	e->at = t;
	e->of = e->type = *t;
	e->type.program = NULL;
	e->type.program_bytes = 0;
	e->type.bitmap = e->bitmap;
	e->type.mask = e->bitmap[0];
	return e;
}

// Enters e unless somebody was faster; R2. Whoever was has seen the same program.
static const HeapType *
enter(ProgType *e)
{
	Chain *chain = chain_of(e->at);
	ProgType *head = load_acq(chain); // order: observe <- enter
	for (;;) {
		const HeapType *other = find(head, e->at);
		if (other != NULL) {
			os_free(e);
			return other;
		}
		e->next = head;
		if (cas_ar(chain, &head, e)) { // order: publish -> gcprog_type, observe <- enter
			add_rlx(&table_bytes, e->bytes); // order: count
			return &e->type;
		}
	}
}

const HeapType *
gcprog_type(const HeapType *t)
{
	const HeapType *known = find(load_acq(chain_of(t)), t); // order: observe <- enter
	if (likely(known != NULL))
		return known;
	ProgType *e = entry_new(t);
	return e != NULL ? enter(e) : NULL;
}

uint64_t
gcprog_bytes(void)
{
	return load_rlx(&table_bytes); // order: count
}
