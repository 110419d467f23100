// SPDX-License-Identifier: BSD-3-Clause
// The cache of free slots that a P allocates from, without a lock and without atomics.
//
// For each kind and class it has a span, and of that up to 64 neighbouring slots in hand: their
// free bits are taken out of the span's all at once. What is in hand counts as allocated until it
// is flushed, which the collector does with the world stopped. An object's own cache line is the
// only other memory that allocation touches.
#include <string.h>

#include "mem/clobber.h"
#include "mem/heap_impl.h"
#include "mem/watch.h"

static ATOMIC_I64 sample_rate;
ATOMIC_I64 *heap_sample_rate = &sample_rate;

Mcache *
mcache_new(void)
{
	return os_alloc(sizeof(Mcache));
}

// What is in hand must be as it was left.
COLD static void
check_clobbered(const CacheSlots *cs, Kind kind)
{
	for (uint64_t free = cs->free; free != 0; free &= free - 1)
		clobber_check_slot(cs->first + (size_t)__builtin_ctzll(free) * cs->size, cs->size,
				   kind);
}

// Takes the next free slots of s in hand. False: it has none any more.
static bool
take_word(Mcache *c, CacheSlots *cs, const Mspan *s)
{
	size_t page = span_page(s);
	const PageInfo *pi = &heap.info[page];
	ATOMIC_U64 *f = &heap.frees[page * PAGE_WORDS];
	for (uint32_t i = 0; i < span_words(pi); i++) {
		if (load_rlx(&f[i]) == 0) // order: hint
			continue;
		cs->free = xchg_acq(&f[i], 0); // order: claim; observe <- heap_free
		cs->first = heap_page_addr(page) + (size_t)i * 64 * pi->size;
		cs->mask = 0;
		cs->size = pi->size;
		cs->word = (uint16_t)i;
		cs->needzero = load_rlx(&s->needzero); // order: observed with the bits
		if (clobbers())
			check_clobbered(cs, (Kind)pi->kind);
		int64_t n = __builtin_popcountll(cs->free);
		c->allocated += n * pi->size;
		c->objects += n;
		own_add(&c->taken[s->class], (uint64_t)n);
		return true;
	}
	return false;
}

// --- samples ------------------------------------------------------------------------------------

// How many bytes come before the next one that is chosen: -ln(u) * rate for a random u in (0, 1].
// ln(u) is taken as k * ln(2) + 2 * artanh((m - 1) / (m + 1)), where u = 2^k * m, 1 <= m < 2.
static int64_t
next_sample(Mcache *c)
{
	if (c->sample_rate == 1)
		return 0;
	uint64_t r = base_rand(&c->rand) >> 11 | 1; // 53 bits
	int k = 63 - __builtin_clzll(r);
	double m = (double)r / (double)((uint64_t)1 << k);
	double x = (m - 1) / (m + 1), x2 = x * x;
	double ln_m = 2 * x * (1 + x2 * (1.0 / 3 + x2 * (1.0 / 5 + x2 * (1.0 / 7 + x2 / 9))));
	double ln_u = (k - 53) * 0.6931471805599453 + ln_m;
	double bytes = -ln_u * (double)c->sample_rate;
	return bytes < 0x1p62 ? (int64_t)bytes : INT64_C(1) << 62;
}

// Whether samples are taken at all.
static inline bool
samples(Mcache *c)
{
	static ATOMIC_U64 caches;
	int64_t rate = load_rlx(heap_sample_rate); // order: hint
	if (likely(rate <= 0))
		return false;
	if (rate != c->sample_rate) {
		if (c->rand == 0)
			c->rand = base_mix(base_seed + add_rlx(&caches, 1)); // order: count
		c->sample_rate = rate;
		c->sample_in = next_sample(c);
	}
	return true;
}

// Of what is in hand, leaves the slots before the next sample; the others are for later, and what
// comes after the sample is drawn now: other classes go on counting.
static void
split_at_sample(Mcache *c, CacheSlots *cs, uint64_t *later)
{
	int64_t bytes = (int64_t)__builtin_popcountll(cs->free) * cs->size;
	if (c->sample_in >= bytes) {
		c->sample_in -= bytes;
		return;
	}
	uint64_t rest = cs->free;
	for (; c->sample_in >= cs->size; c->sample_in -= cs->size)
		rest &= rest - 1;
	cs->free &= ~rest;
	*later = rest;
	c->sample_in = next_sample(c);
}

// The first of those for later is the sample.
static void
take_later(Mcache *c, CacheSlots *cs, uint64_t *later)
{
	uint64_t first = *later & -*later;
	cs->free = *later & ~first;
	cs->mask = 0; // these have no type yet
	*later = 0;
	if (samples(c))
		split_at_sample(c, cs, later);
	cs->free |= first;
}

bool
mcache_sample_large(Mcache *c, size_t bytes)
{
	if (!samples(c))
		return false;
	c->sample_in -= (int64_t)bytes;
	if (c->sample_in >= 0)
		return false;
	c->sample_in = next_sample(c);
	return true;
}

static bool
refill(Mcache *c, CacheSlots *cs, Kind kind, uint32_t class)
{
	Mspan **s = &c->spans[kind][class];
	if (*s != NULL) {
		if (take_word(c, cs, *s))
			return true;
		central_put(*s);
	}
	*s = central_take(kind, class);
	return *s != NULL && take_word(c, cs, *s);
}

bool
mcache_refill(Mcache *c, Kind kind, uint32_t class, bool *sampled)
{
	CacheSlots *cs = &c->slots[kind][class];
	uint64_t *later = &c->later[kind][class];
	if (*later == 0) {
		if (!refill(c, cs, kind, class))
			return false;
		if (samples(c))
			split_at_sample(c, cs, later);
		if (cs->free != 0)
			return true;
	}
	*sampled = true;
	take_later(c, cs, later);
	return true;
}

void
slots_return(Mcache *c, Kind kind, uint32_t class)
{
	CacheSlots *cs = &c->slots[kind][class];
	uint64_t *later = &c->later[kind][class];
	uint64_t free = cs->free | *later;
	ATOMIC_U64 *f = &heap.frees[span_page(c->spans[kind][class]) * PAGE_WORDS + cs->word];
	int64_t n = __builtin_popcountll(free);
	// A sample that was due is forgotten: chance does not remember what it has done.
	if (c->sample_rate != 0 && *later == 0)
		c->sample_in += n * cs->size;
	or_ar(f, free); // order: publish -> who takes it
	c->allocated -= n * cs->size;
	c->objects -= n;
	own_add(&c->taken[class], -(uint64_t)n);
	cs->free = *later = 0;
}

// Puts back what is left in hand, and its span.
static void
flush_slots(Mcache *c, Kind kind, uint32_t class)
{
	if (c->spans[kind][class] == NULL)
		return;
	slots_return(c, kind, class);
	central_put(c->spans[kind][class]);
	c->spans[kind][class] = NULL;
	c->slots[kind][class] = (CacheSlots){.free = 0};
}

void
mcache_flush(Mcache *c)
{
	for (int k = 0; k < KIND_COUNT; k++)
		for (uint32_t class = 0; class < SIZE_CLASSES; class++)
			flush_slots(c, (Kind)k, class);
	c->tiny = c->tiny_end = 0; // or objects that come now would lie in a block that is dead
}

char *
heap_alloc_large(size_t bytes, size_t align, Kind kind, const HeapType *type, size_t elems,
		 bool *zeroed)
{
	Mspan *s = span_new_large(bytes, align, kind);
	if (s == NULL)
		return NULL;
	char *p = heap_page_addr(span_page(s)) + s->lead;
	watch_made(p, bytes);
	*zeroed = !load_rlx(&s->needzero); // order: own
	s->type = type;
	s->elems = elems;
	central_put(s);
	return p;
}

// --- types --------------------------------------------------------------------------------------

// The words of memory beside a span where its objects' types are: a bit for each word of the heap,
// or a pointer to its HeapType for each slot.
static uint64_t *
type_words(Slot s)
{
	return &heap.types[s.page * TYPE_WORDS];
}

// Stores the low n bits of `bits` at bit `at`. Only the owner of the span writes there.
static void
put_bits(uint64_t *words, size_t at, uint64_t bits, uint32_t n)
{
	uint64_t keep = n >= 64 ? 0 : ~(uint64_t)0 << n;
	uint32_t shift = at % 64;
	words += at / 64;
	bits &= ~keep;
	words[0] = (words[0] & ~(~keep << shift)) | bits << shift;
	if (shift + n > 64)
		words[1] = (words[1] & ~(uint64_t)0 << (shift + n - 64)) | bits >> (64 - shift);
}

// The pointer mask of elems elements of t, which fit into 64 words.
static uint64_t
repeat_mask(const HeapType *t, size_t elems)
{
	uint64_t mask = t->mask;
	uint32_t step = (uint32_t)(t->bytes / 8);
	for (size_t i = 1; i < elems; i++)
		mask |= t->mask << (i * step);
	return mask;
}

// The bits of the slots in `free`, n bits for each.
static uint64_t
spread(uint64_t free, uint32_t n)
{
	uint64_t all = 0, ones = n >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;
	for (; free != 0; free &= free - 1)
		all |= ones << ((uint32_t)__builtin_ctzll(free) * n);
	return all;
}

// Gives every slot in hand the mask, at once: the next objects of the same type need no more than a
// comparison. Slots that fill words of bits evenly are written a word at a time.
static void
type_all(CacheSlots *cs, uint64_t free, uint64_t mask)
{
	uint32_t n = cs->size / 8, slots = 64 / n;
	size_t at = ((uintptr_t)cs->first - heap.base) / 8;
	cs->mask = mask;
	if (64 % n != 0) {
		for (; free != 0; free &= free - 1)
			put_bits(heap.types, at + (size_t)__builtin_ctzll(free) * n, mask, n);
		return;
	}
	for (uint32_t have = n; have < 64; have *= 2)
		mask |= mask << have;
	uint64_t some = ((uint64_t)1 << slots) - 1; // a slot has at least two words
	for (uint64_t *w = &heap.types[at / 64]; free != 0; w++, free >>= slots) {
		uint64_t these = free & some;
		uint64_t bits = these == some ? ~(uint64_t)0 : spread(these, n);
		*w = (*w & ~bits) | (mask & bits);
	}
}

static uint64_t
index_of(const CacheSlots *cs, const char *p)
{
	return (uint64_t)(p - cs->first) / cs->size;
}

void
slots_mask(CacheSlots *cs, const char *p, uint64_t mask)
{
	if (cs->mask == 0 && mask != 0)
		type_all(cs, cs->free | (uint64_t)1 << index_of(cs, p), mask);
	else if (cs->mask != mask || mask == 0)
		put_bits(heap.types, ((uintptr_t)p - heap.base) / 8, mask, cs->size / 8);
}

void
slots_type(CacheSlots *cs, const char *p, const HeapType *t, size_t elems)
{
	if (likely(cs->size <= MASKED_MAX)) {
		slots_mask(cs, p, elems == 1 ? t->mask : repeat_mask(t, elems));
		return;
	}
	uint64_t *words = type_words(heap_slot((uintptr_t)p));
	words[(size_t)cs->word * 64 + index_of(cs, p)] = (uintptr_t)t;
}

const HeapType *
heap_slot_type(Slot s)
{
	return (const HeapType *)type_words(s)[s.index];
}
