// SPDX-License-Identifier: BSD-3-Clause
// GODEBUG=gccheckmark=1: a second mark, to compare the first one with.
//
// It is as simple as a mark can be: one thread, a pile of objects to look at, bits of its own. It
// shares nothing with mark.c but the way from an address to its slot. The world and all threads
// stand still from before the first mark to the end of the second, so the heap does not change.
// What the roots say does, in one place: the stack of who collects. So both read a copy of it.
//
// A mark that misses an object would free it while it is used: the process dies, after saying which
// object that is and who refers to it. One that marks what nothing refers to is wrong, too.
//
// Invariants:
//   V1  seen: the object's bit is set when it is put on the pile, once.
// Not done: remembering through whom each object was found. It is searched for anew, for the few
//   that are printed.
#include "gc/checkmark.h"

#include "base/godebug.h"
#include "gc/special.h"
#include "sched/sched.h"

// Reads what may be anybody's, so not for the sanitizers' eyes.
#define READS_ANYTHING __attribute__((no_sanitize("address", "thread")))

enum {
	PILE_BYTES = 1 << 20,
	PILE_ENTRIES = PILE_BYTES / 8 - 2,
	TOLD_OBJECTS = 10,  // differences printed, at most
	TOLD_REFERRERS = 8, // of each
};

typedef struct Pile {
	struct Pile *below;
	size_t n;
	uintptr_t objects[PILE_ENTRIES];
} Pile;
static_assert(sizeof(Pile) <= PILE_BYTES, "one mapping");

// All of who collects, while the world stands still.
static struct {
	RootRange *ranges; // where the roots are in truth
	size_t n_ranges;
	size_t ranges_bytes; // of the mapping
	char *copy;          // of their words, one range after the other
	size_t copy_bytes;
	uint64_t *seen; // V1; laid out as heap.marks
	size_t seen_bytes;
	Pile *pile;
	Pile *spare;
	bool failed; // no memory: nothing is compared
	uint64_t differences;
} ck;

void (*checkmark_test)(void);

// --- memory -------------------------------------------------------------------------------------

// NULL without memory, which is remembered.
static void *
get(size_t bytes)
{
	void *p = os_map(bytes != 0 ? bytes : 1, os_page_bytes());
	if (p == NULL)
		ck.failed = true;
	return p;
}

static void
give(void *p, size_t bytes)
{
	if (p != NULL)
		os_unmap(p, bytes != 0 ? bytes : 1);
}

// --- the copy -----------------------------------------------------------------------------------

READS_ANYTHING static void
copy_words(char *to, RootRange r)
{
	uintptr_t *out = (uintptr_t *)(void *)to;
	const uintptr_t *in = (const uintptr_t *)(const void *)r.lo;
	const uintptr_t *end = (const uintptr_t *)(const void *)r.hi;
	while (in < end)
		*out++ = *in++;
}

void
checkmark_begin(RootSet *roots)
{
	ck.failed = false;
	ck.differences = 0;
	ck.n_ranges = roots->n;
	ck.ranges_bytes = roots->n * sizeof(RootRange);
	ck.copy_bytes = 0;
	for (size_t i = 0; i < roots->n; i++)
		ck.copy_bytes += (size_t)(roots->ranges[i].hi - roots->ranges[i].lo);
	ck.ranges = get(ck.ranges_bytes);
	ck.copy = get(ck.copy_bytes);
	if (ck.failed)
		return;
	char *to = ck.copy;
	for (size_t i = 0; i < roots->n; i++) {
		RootRange r = roots->ranges[i];
		ck.ranges[i] = r;
		copy_words(to, r);
		roots->ranges[i] = (RootRange){to, to + (r.hi - r.lo)};
		to += r.hi - r.lo;
	}
}

// --- the mark -----------------------------------------------------------------------------------

static bool
is_allocated(Slot s)
{
	return (load_rlx(slot_free_word(s)) >> (s.index % 64) & 1) == 0; // order: STW
}

static uint64_t *
seen_word(Slot s)
{
	return &ck.seen[s.page * PAGE_WORDS + s.index / 64];
}

static bool
is_seen(Slot s)
{
	return (*seen_word(s) >> (s.index % 64) & 1) != 0;
}

// Makes room on the pile. False: no memory.
static bool
pile_grow(void)
{
	Pile *p = ck.spare != NULL ? ck.spare : get(PILE_BYTES);
	if (p == NULL)
		return false;
	ck.spare = NULL;
	p->below = ck.pile;
	p->n = 0;
	ck.pile = p;
	return true;
}

static void
pile_put(uintptr_t object)
{
	if ((ck.pile == NULL || ck.pile->n == PILE_ENTRIES) && !pile_grow())
		return;
	ck.pile->objects[ck.pile->n++] = object;
}

// 0: it is empty.
static uintptr_t
pile_take(void)
{
	Pile *p = ck.pile;
	if (p != NULL && p->n == 0) {
		ck.pile = p->below;
		give(ck.spare, PILE_BYTES);
		ck.spare = p;
		p = ck.pile;
	}
	return p != NULL ? p->objects[--p->n] : 0;
}

static void
see_word(uintptr_t w)
{
	Slot s = heap_slot(w);
	if (s.info == NULL || !is_allocated(s) || is_seen(s))
		return;
	*seen_word(s) |= (uint64_t)1 << (s.index % 64);
	pile_put((uintptr_t)slot_addr(s));
}

typedef void WordFn(uintptr_t word, const uintptr_t *at);

static void
see(uintptr_t word, const uintptr_t *at)
{
	(void)at;
	see_word(word);
}

static bool
may_point(const HeapType *t, size_t word)
{
	if (word * 8 >= t->scan_bytes)
		return false;
	const uint64_t *map = t->bitmap != NULL ? t->bitmap : &t->mask;
	return (t->bitmap != NULL || word < 64) && (map[word / 64] >> (word % 64) & 1) != 0;
}

// Calls fn for each word of an array of t, of as many elements as fit.
READS_ANYTHING static void
each_of_type(const uintptr_t *p, size_t bytes, const HeapType *t, WordFn *fn)
{
	size_t step = t->bytes / 8;
	for (size_t n = bytes / t->bytes; n != 0; n--, p += step)
		for (size_t i = 0; i < step; i++)
			if (may_point(t, i))
				fn(p[i], p + i);
}

READS_ANYTHING static void
each_of_range(const uintptr_t *p, const uintptr_t *end, WordFn *fn)
{
	for (; p < end; p++)
		fn(*p, p);
}

READS_ANYTHING static void
each_of_mask(const uintptr_t *p, uint64_t mask, WordFn *fn)
{
	for (size_t i = 0; i < 64; i++)
		if ((mask >> i & 1) != 0)
			fn(p[i], p + i);
}

// Calls fn for each word of the object that may be a pointer.
static void
each_word(Slot s, WordFn *fn)
{
	const uintptr_t *p = (const uintptr_t *)(const void *)slot_addr(s);
	size_t bytes = slot_bytes(s);
	if (s.info->kind == KIND_NOSCAN)
		return;
	if (!kind_typed(s.info->kind))
		each_of_range(p, p + bytes / 8, fn);
	else if (s.info->size == 0)
		each_of_type(p, bytes, heap.spans[s.page].type, fn);
	else if (bytes > MASKED_MAX)
		each_of_type(p, bytes, heap_slot_type(s), fn);
	else
		each_of_mask(p, heap_mask(s), fn);
}

static void
contents(Slot s)
{
	each_word(s, see);
}

// Calls fn for each slot of a span that is allocated.
static void
each_object(Mspan *sp, void (*fn)(Slot s))
{
	size_t page = span_page(sp);
	PageInfo *pi = &heap.info[page];
	for (uint32_t i = 0; i < pi->nelems; i++) {
		Slot s = {page, i, pi};
		if (is_allocated(s))
			fn(s);
	}
}

static void
see_pinned(void *unused, Mspan *sp)
{
	(void)unused;
	if (heap.info[span_page(sp)].kind == KIND_PINNED)
		each_object(sp, contents);
}

static void
mark_again(void)
{
	each_of_range((uintptr_t *)(void *)ck.copy, (uintptr_t *)(void *)(ck.copy + ck.copy_bytes),
		      see);
	for (size_t i = 0, n = heap_chunks(); i < n; i++)
		chunk_each_span(i, see_pinned, NULL);
	specials_visit(see_word, contents);
	for (uintptr_t object; !ck.failed && (object = pile_take()) != 0;)
		each_word(heap_slot(object), see);
}

// --- telling ------------------------------------------------------------------------------------

static Slot wanted; // whose referrers are searched for
static uint32_t n_told;
static Slot teller; // the object that is looked at; info NULL: the roots

// Where a word of the copy comes from.
static const char *
true_address(const char *at)
{
	const char *lo = ck.copy;
	for (size_t i = 0; i < ck.n_ranges; i++) {
		size_t bytes = (size_t)(ck.ranges[i].hi - ck.ranges[i].lo);
		if (at < lo + bytes)
			return ck.ranges[i].lo + (at - lo);
		lo += bytes;
	}
	return NULL;
}

static void
tell_place(const char *at)
{
	for (G *gp = sched_all_first(); gp != NULL; gp = gp->all_next) {
		if (gp->thread || at < (char *)gp->stack.lo || at >= (char *)gp->stack.hi)
			continue;
		print_str("the stack of goroutine ");
		print_u64(gp->id);
		return;
	}
	for (M *mp = sched_ms(); mp != NULL; mp = mp->all_next) {
		if (at >= (char *)mp->stack_lo && at < (char *)mp->stack_hi) {
			print_str("the stack of a thread");
			return;
		}
	}
	print_str("a global, a thread-local, or another stack");
}

static void
tell_slot(Slot s)
{
	print_str(heap_kind_name((Kind)s.info->kind));
	print_str(" object ");
	print_hex((uintptr_t)slot_addr(s));
	print_str(", size ");
	print_u64(slot_bytes(s));
}

static void
tell_if_it(uintptr_t word, const uintptr_t *at)
{
	Slot s = heap_slot(word);
	if (s.info == NULL || s.page != wanted.page || s.index != wanted.index)
		return;
	if (n_told++ >= TOLD_REFERRERS)
		return;
	print_str("runtime:     from ");
	if (teller.info != NULL) {
		tell_slot(teller);
		print_str(", offset ");
		print_u64((size_t)((const char *)at - slot_addr(teller)));
	} else {
		const char *true_at = true_address((const char *)at);
		print_hex((uintptr_t)true_at);
		print_str(" in ");
		tell_place(true_at);
	}
	print_str("\n");
}

static void
search_object(Slot s)
{
	if (!is_seen(s) && !slot_marked(s) && s.info->kind != KIND_PINNED)
		return;
	teller = s;
	each_word(s, tell_if_it);
}

static void
search_span(void *unused, Mspan *sp)
{
	(void)unused;
	each_object(sp, search_object);
}

static void
search_special(uintptr_t word)
{
	Slot s = heap_slot(word);
	if (s.info != NULL && s.page == wanted.page && s.index == wanted.index && n_told++ == 0)
		print_str("runtime:     from a finalizer or a cleanup\n");
}

static void
no_contents(Slot s)
{
	(void)s; // found with the other objects, should they be marked
}

static void
tell_referrers(Slot s)
{
	wanted = s;
	n_told = 0;
	teller = (Slot){0, 0, NULL};
	each_of_range((uintptr_t *)(void *)ck.copy, (uintptr_t *)(void *)(ck.copy + ck.copy_bytes),
		      tell_if_it);
	specials_visit(search_special, no_contents);
	for (size_t i = 0, n = heap_chunks(); i < n; i++)
		chunk_each_span(i, search_span, NULL);
	if (n_told == 0)
		print_str("runtime:     nothing refers to it\n");
}

// --- comparing ----------------------------------------------------------------------------------

static void
compare_object(Slot s)
{
	if (slot_marked(s) == is_seen(s) || ck.differences++ >= TOLD_OBJECTS)
		return;
	print_str(is_seen(s) ? "runtime: checkmark: not marked: "
			     : "runtime: checkmark: marked only by the mark: ");
	tell_slot(s);
	print_str("\n");
	tell_referrers(s);
}

// Of pinned spans every bit is set, whoever refers to them.
static void
compare_span(void *unused, Mspan *sp)
{
	(void)unused;
	if (heap.info[span_page(sp)].kind != KIND_PINNED)
		each_object(sp, compare_object);
}

void
checkmark_end(void)
{
	if (checkmark_test != NULL)
		checkmark_test();
	ck.seen_bytes = heap.limit / HEAP_PAGE * PAGE_WORDS * sizeof(uint64_t);
	ck.seen = get(ck.seen_bytes);
	if (!ck.failed)
		mark_again();
	if (ck.failed)
		print_str("runtime: checkmark: no memory for a second mark\n");
	for (size_t i = 0, n = heap_chunks(); i < n && !ck.failed; i++)
		chunk_each_span(i, compare_span, NULL);
	if (ck.differences != 0)
		throw("checkmark: the two marks differ");
	give(ck.seen, ck.seen_bytes);
	give(ck.copy, ck.copy_bytes);
	give(ck.ranges, ck.ranges_bytes);
	while (pile_take() != 0) {
	}
	give(ck.spare, PILE_BYTES);
	ck.spare = NULL;
}
