// SPDX-License-Identifier: BSD-3-Clause
// mem/gcprog.c: programs that tell where a type has pointers. What they unroll into, by hand and
// beside an unroller that goes bit by bit; malformed ones. The memory ends where theirs does. Then
// objects of such types: what they keep alive, and that a type is unrolled once.
#include "goroutines.h"

#include <pthread.h>

#include "gc/gc.h"
#include "mem/gcprog.h"
#include "os/os.h"
#include "sched/sched.h"

enum { BITS_MAX = 4096, CODE_MAX = 512 };

// --- memory that ends where it says --------------------------------------------------------------

static char *
fenced_page(void)
{
	size_t page = os_page_bytes();
	char *p = os_map(2 * page, page);
	expect(p != NULL && os_protect_none(p + page, page) == 0);
	return p + page;
}

// Where the page ends, the next one may not be touched.
static char *bits_end, *code_end;

static bool
unroll(const uint8_t *code, size_t n, size_t keep, size_t all, uint64_t **words)
{
	if (bits_end == NULL) {
		os_init();
		bits_end = fenced_page();
		code_end = fenced_page();
	}
	size_t bytes = (keep + 63) / 64 * 8;
	memset(bits_end - bytes, 0, bytes);
	memcpy(code_end - n, code, n);
	*words = (uint64_t *)(void *)(bits_end - bytes);
	return gcprog_unroll((ProgBits){*words, keep, all}, (uint8_t *)code_end - n, n);
}

static bool
bit(const uint64_t *words, size_t i)
{
	return (words[i / 64] >> (i % 64) & 1) != 0;
}

// --- by hand -------------------------------------------------------------------------------------

// What the words of a type are, as a text: one letter each, p is a pointer.
static void
expect_bits(const char *what, const uint8_t *code, size_t n)
{
	uint64_t *words;
	size_t keep = strlen(what);
	expect(unroll(code, n, keep, keep, &words));
	for (size_t i = 0; i < keep; i++)
		expect_eq(bit(words, i), what[i] == 'p');
}

#define CODE(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

void
test_gcprog_by_hand(void)
{
	expect_bits("p", CODE(1, 1, 0));
	expect_bits("p-p", CODE(3, 5, 0));
	expect_bits("p-p", CODE(3, 0xfd, 0)); // what is left of a byte says nothing
	expect_bits("--pp----p", CODE(9, 0x0c, 1, 0));
	expect_bits("p---", CODE(2, 1, 0, 1, 1)); // nothing is read behind the end
	expect_bits("p-p-p-p-", CODE(2, 1, 0x82, 3, 0));
	expect_bits("pppppp", CODE(1, 1, 0x81, 5, 0));
	expect_bits("p-", CODE(2, 1, 0x82, 0, 0));
	expect_bits("p-p-", CODE(2, 1, 0x80, 2, 1, 0));
	expect_bits("p-p-", CODE(2, 1, 0x80, 0x82, 0, 1, 0)); // a varint with a zero too many
	// Three times -p-, then p; all of that twice; then a word.
	expect_bits("-p--p--p-p-p--p--p-p-", CODE(3, 2, 0x83, 2, 1, 1, 0x8a, 1, 1, 0, 0));
}

// Across words, whatever the period: 2,000 bits of it.
void
test_gcprog_periods(void)
{
	for (size_t n = 1; n <= 127; n++) {
		uint8_t code[32] = {(uint8_t)n};
		uint64_t *words;
		size_t at = 1 + (n + 7) / 8, count = 2000 / n;
		for (size_t i = 0; i < n; i += 3)
			code[1 + i / 8] |= (uint8_t)(1u << i % 8);
		code[at++] = (uint8_t)(0x80 | n);
		code[at++] = (uint8_t)(0x80 | (count & 0x7f));
		code[at++] = (uint8_t)(count >> 7);
		code[at++] = 0;
		size_t all = n * (count + 1);
		expect(unroll(code, at, all, all, &words));
		for (size_t i = 0; i < all; i++)
			expect_eq(bit(words, i), i % n % 3 == 0);
		// As many, but it is said that there are no more pointers; there are.
		expect(!unroll(code, at, all - n, all, &words));
		expect(!unroll(code, at, all, all - 1, &words));
	}
}

// What gccgo 12 emits for [200]struct{ a [50]struct{ p *int; q int }; b [33]int }: the pointers end
// before the type does, the program does not.
void
test_gcprog_of_gccgo(void)
{
	static const uint8_t code[] = {2,    1, 0x82, 49,   1, 0,    0x81, 32,
				       0x80, 0x85, 1, 0xc7, 1, 0};
	enum { STEP = 133, ALL = 200 * STEP, KEEP = 199 * STEP + 99 };
	uint64_t *words;
	expect(unroll(code, sizeof(code), KEEP, ALL, &words));
	for (size_t i = 0; i < KEEP; i++)
		expect_eq(bit(words, i), i % STEP < 100 && i % STEP % 2 == 0);
	// [100000]struct{ x [7]uintptr; p *int } with eight words in front and many behind.
	static const uint8_t huge[] = {8, 0x80, 0x88, 0x9f, 0x8d, 6, 0};
	enum { HUGE = 800000 };
	uint64_t *all = calloc(HUGE / 64, 8);
	expect(gcprog_unroll((ProgBits){all, HUGE, HUGE + 1000000}, huge, sizeof(huge)));
	for (size_t i = 0; i < HUGE; i++)
		expect_eq(bit(all, i), i % 8 == 7);
	free(all);
}

// Past the last pointer nothing is stored, and nothing takes time: 2^50 words of it.
void
test_gcprog_long_tail(void)
{
	static const uint8_t code[] = {3,    1,    0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
				       0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 2,    0};
	uint64_t *words;
	int64_t begin = test_now_ns();
	expect(unroll(code, sizeof(code), 1, SIZE_MAX / 8, &words));
	expect_eq(words[0], 1);
	expect(unroll(code, sizeof(code), 1000, SIZE_MAX / 8, &words));
	expect_eq(words[0], 1);
	expect(test_now_ns() - begin < (int64_t)test_slowness() * GO_SEC);
}

// --- malformed -----------------------------------------------------------------------------------

void
test_gcprog_malformed(void)
{
	static const struct {
		uint8_t n, code[14];
	} all[] = {
		{0, {0}},                   // nothing at all
		{1, {1}},                   // bits without bits
		{2, {9, 0}},                // fewer than there should be
		{2, {1, 1}},                // no end
		{3, {1, 1, 0x81}},          // no count
		{4, {1, 1, 0x81, 0x80}},    // half a count
		{4, {1, 1, 0x81, 3}},       // no end
		{3, {1, 1, 0x80}},          // no period
		{4, {1, 1, 0x80, 1}},       // no count behind it
		{6, {1, 1, 0x80, 0, 1, 0}}, // a period of nothing
		{5, {1, 1, 0x82, 1, 0}},    // more than there is
		{3, {0x81, 1, 0}},          // the same, at once
		{5, {1, 1, 0x81, 64, 0}},   // too many for the type
	};
	uint64_t *words;
	for (size_t i = 0; i < countof(all); i++)
		expect(!unroll(all[i].code, all[i].n, 64, 64, &words));
	expect(!unroll(CODE(65, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0), 64, 64, &words));
	expect(!unroll(CODE(65, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 64, 64, &words));
	expect(unroll(CODE(65, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 64, 65, &words));
	// Numbers that are too large, or have no end.
	expect(!unroll(CODE(1, 1, 0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0), 64,
		       SIZE_MAX / 8, &words));
	expect(!unroll(CODE(1, 0, 0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 0), 64,
		       SIZE_MAX / 8, &words));
}

// --- against another one -------------------------------------------------------------------------

typedef struct Naive {
	const uint8_t *at, *end;
	size_t keep, all, n;
	uint8_t bits[BITS_MAX + 1];
} Naive;

static bool
naive_bit(Naive *v, unsigned value)
{
	if (v->n == v->all || (v->n >= v->keep && value != 0))
		return false;
	v->bits[v->n++] = (uint8_t)value;
	return true;
}

static bool
naive_number(Naive *v, uint64_t *value)
{
	*value = 0;
	for (int i = 0; i < 8 && v->at < v->end; i++) {
		*value += (uint64_t)(*v->at & 127) << 7 * i;
		if (*v->at++ < 128)
			return true;
	}
	return false;
}

static bool
naive_repeat(Naive *v, unsigned short_n)
{
	uint64_t n = short_n, count;
	if (n == 0 && !naive_number(v, &n))
		return false;
	if (!naive_number(v, &count) || n == 0 || n > v->n)
		return false;
	for (; count != 0; count--)
		for (uint64_t i = 0; i < n; i++)
			if (!naive_bit(v, v->bits[v->n - n]))
				return false;
	return true;
}

static bool
naive_literal(Naive *v, unsigned n)
{
	for (unsigned i = 0; i < n; i += 8) {
		if (v->at == v->end)
			return false;
		unsigned byte = *v->at++;
		for (unsigned k = 0; k < 8 && i + k < n; k++)
			if (!naive_bit(v, byte >> k & 1))
				return false;
	}
	return true;
}

static bool
naive(Naive *v)
{
	while (v->at < v->end) {
		unsigned op = *v->at++;
		if (op == 0)
			return true;
		if (!(op >= 128 ? naive_repeat(v, op - 128) : naive_literal(v, op)))
			return false;
	}
	return false;
}

typedef struct Writer {
	uint8_t code[CODE_MAX];
	size_t n;
} Writer;

static void
write_number(Writer *w, uint64_t value)
{
	for (; value >= 128; value >>= 7)
		w->code[w->n++] = (uint8_t)(value | 128);
	w->code[w->n++] = (uint8_t)value;
}

// Mostly well-formed: what it repeats is mostly there.
static void
write_program(Writer *w, uint64_t *rand)
{
	size_t bits = 0, ops = 1 + test_rand(rand) % 8;
	w->n = 0;
	for (; ops != 0; ops--) {
		if (bits == 0 || test_rand(rand) % 2 == 0) {
			size_t n = 1 + test_rand(rand) % (test_rand(rand) % 2 == 0 ? 8 : 127);
			w->code[w->n++] = (uint8_t)n;
			for (size_t i = 0; i < n; i += 8)
				w->code[w->n++] = (uint8_t)test_rand(rand);
			bits += n;
			continue;
		}
		size_t n = 1 + test_rand(rand) % bits, count = test_rand(rand) % 20;
		if (test_rand(rand) % 16 == 0)
			n += bits;
		if (n < 128 && test_rand(rand) % 4 != 0) {
			w->code[w->n++] = (uint8_t)(n | 128);
		} else {
			w->code[w->n++] = 128;
			write_number(w, n);
		}
		write_number(w, count);
		bits += n * count;
	}
	w->code[w->n++] = 0;
}

static void
spoil(Writer *w, uint64_t *rand)
{
	if (test_rand(rand) % 2 == 0)
		w->n -= 1 + test_rand(rand) % (w->n - 1);
	for (size_t i = test_rand(rand) % 3; i != 0; i--)
		w->code[test_rand(rand) % w->n] = (uint8_t)test_rand(rand);
}

// Whether both say the same of a program; *good: that it is well-formed.
static void
compare(const Writer *w, size_t keep, size_t all, long *good)
{
	static Naive v;
	uint64_t *words;
	v = (Naive){.at = w->code, .end = w->code + w->n, .keep = keep, .all = all};
	bool ok = naive(&v);
	expect_eq(unroll(w->code, w->n, keep, all, &words), ok);
	for (size_t i = 0; ok && i < keep; i++)
		expect_eq(bit(words, i), v.bits[i]);
	*good += ok;
}

void
test_gcprog_matches_naive(void)
{
	uint64_t rand = test_seed();
	long good = 0, rounds = test_scale(100000);
	for (long i = 0; i < rounds; i++) {
		static Writer w;
		write_program(&w, &rand);
		if (i % 4 == 3)
			spoil(&w, &rand);
		size_t all = 1 + test_rand(&rand) % BITS_MAX;
		size_t keep = test_rand(&rand) % 2 == 0 ? all : 1 + test_rand(&rand) % all;
		compare(&w, keep, all, &good);
		compare(&w, BITS_MAX, BITS_MAX, &good);
	}
	expect(good > rounds / 4);
}

// --- types ---------------------------------------------------------------------------------------

// A pointer and two numbers.
static const uint8_t row_code[] = {1, 1, 0};
static const go_type row_type = {
	.bytes = 24,
	.scan_bytes = 8,
	.name = "row",
	.program = row_code,
	.program_bytes = sizeof(row_code),
};

static Slot
slot_of(const void *p)
{
	return heap_slot((uintptr_t)p);
}

static const HeapType *
type_of_large(const void *p)
{
	return heap.spans[slot_of(p).page].type;
}

// Objects of every way to remember a type: a mask, a word, a span.
GO_TEST(gcprog_types, 1)
{
	const HeapType *large = type_of_large(go_alloc_typed(&row_type, 10000));
	expect(large != &row_type && large->program == NULL);
	expect(large->bitmap != NULL && large->bitmap[0] == 1 && large->mask == 1);
	expect(large->bytes == 24 && large->scan_bytes == 8);
	expect_str(large->name, "row");
	expect_eq(heap_mask(slot_of(go_alloc_typed(&row_type, 1))), 1);
	expect_eq(heap_mask(slot_of(go_alloc_typed(&row_type, 5))), 0x1249);
	expect(heap_slot_type(slot_of(go_alloc_typed(&row_type, 100))) == large);
	expect(type_of_large(go_alloc_typed(&row_type, 20000)) == large);
	sched_enter();
	expect_eq(heap_mask(slot_of(gc_alloc_typed(&row_type, 2, KIND_GO))), 9);
	expect(type_of_large(gc_alloc_typed(&row_type, 9999, KIND_GO)) == large);
	sched_leave();
}

// What a bitmap takes is told, and counts against the limit.
GO_TEST(gcprog_counts, 1)
{
	enum { WORDS = 1 << 20 };
	static const uint8_t code[] = {1, 1, 0x81, 0xff, 0xff, 0x3f, 0};
	static const go_type type = {
		.bytes = WORDS * 8,
		.scan_bytes = WORDS * 8,
		.name = "large",
		.program = code,
		.program_bytes = sizeof(code),
	};
	go_heap_stats before, after;
	go_heap_stats_read(&before);
	expect(gcprog_type(&type) != NULL);
	go_heap_stats_read(&after);
	expect(after.meta_bytes - before.meta_bytes >= WORDS / 8);
	expect(after.memory_bytes - before.memory_bytes >= WORDS / 8);
}

// Without pointers the program is not even looked at.
GO_TEST(gcprog_of_nothing, 1)
{
	static const go_type none_type = {.bytes = 64, .name = "none", .program = row_code};
	expect_eq(slot_of(go_alloc_typed(&none_type, 10000)).info->kind, KIND_NOSCAN);
}

enum { TYPES = 300, AT_ONCE = 8, LONG = 0x40000 };

static go_type types[TYPES];
static uint8_t codes[TYPES][8];
static const HeapType *firsts[AT_ONCE][TYPES];
static Count asking;

// The type's number in 16 words, again and again: long enough for others to come meanwhile.
static void
make_types(void)
{
	for (int i = 0; i < TYPES; i++) {
		const uint8_t code[] = {16, (uint8_t)i, (uint8_t)(i >> 8), 0x90, 0xff, 0x7f, 0};
		memcpy(codes[i], code, sizeof(code));
		types[i] = (go_type){
			.bytes = LONG * 8,
			.scan_bytes = LONG * 8,
			.program = codes[i],
			.program_bytes = sizeof(codes[i]),
		};
	}
}

static void *
ask_all(void *v)
{
	const HeapType **mine = v;
	count_add(&asking);
	while (count_of(&asking) < AT_ONCE)
		;
	for (int i = 0; i < TYPES; i++)
		mine[i] = gcprog_type(&types[i]);
	return NULL;
}

// Whoever asks gets the same, first or not.
void
test_gcprog_types_are_kept(void)
{
	pthread_t threads[AT_ONCE];
	make_types();
	for (int i = 0; i < AT_ONCE; i++)
		expect_eq(pthread_create(&threads[i], NULL, ask_all, firsts[i]), 0);
	for (int i = 0; i < AT_ONCE; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < TYPES; i++) {
		const HeapType *t = firsts[0][i];
		expect(t->bitmap[LONG / 64 - 1] == (uint64_t)i * 0x0001000100010001);
		expect(t->program == NULL);
		for (int k = 1; k < AT_ONCE; k++)
			expect(firsts[k][i] == t);
		expect(gcprog_type(&types[i]) == t);
	}
}

// A type that has come to lie where another one was is not taken for that.
void
test_gcprog_types_change(void)
{
	static const uint8_t other[] = {2, 2, 0};
	go_type t = row_type;
	const HeapType *first = gcprog_type(&t);
	t.program = other;
	t.scan_bytes = 16;
	const HeapType *second = gcprog_type(&t);
	expect(first != second && first->bitmap[0] == 1 && second->bitmap[0] == 2);
	t = row_type;
	expect(gcprog_type(&t) == first);
}

static int
alloc_malformed(void *unused)
{
	(void)unused;
	static const uint8_t code[] = {1, 1, 0x81, 3, 0};
	static const go_type t = {
		.bytes = 24,
		.scan_bytes = 24,
		.program = code,
		.program_bytes = sizeof(code),
	};
	go_alloc_typed(&t, 1);
	return 0;
}

static int
alloc_beyond_scan(void *unused)
{
	(void)unused;
	go_type t = row_type;
	static const uint8_t code[] = {2, 3, 0};
	t.program = code;
	go_alloc_typed(&t, 100000);
	return 0;
}

DEATH(gcprog_malformed)
{
	go_run(alloc_malformed, NULL);
}

DEATH(gcprog_beyond_scan)
{
	go_run(alloc_beyond_scan, NULL);
}

static int
alloc_absurd(void *unused)
{
	(void)unused;
	go_type t = row_type;
	t.bytes = t.scan_bytes = (size_t)1 << 60;
	go_alloc_typed(&t, 1);
	return 0;
}

DEATH(gcprog_absurd)
{
	go_run(alloc_absurd, NULL);
}

void
test_gcprog_misused(void)
{
	static const char *const text =
		"fatal error: go_alloc_typed: the program of a type is malformed\n";
	expect_death(gcprog_malformed, .status = 2, .err = text);
	expect_death(gcprog_beyond_scan, .status = 2, .err = text);
}

void
test_gcprog_without_memory(void)
{
	go_type t = row_type;
	t.bytes = t.scan_bytes = (size_t)1 << 60;
	expect(gcprog_type(&t) == NULL);
	expect_death(gcprog_absurd, .status = 2,
		     .err_has = {"fatal error: out of memory\n"});
}

// --- alive ---------------------------------------------------------------------------------------

// 64 MiB of which every seventh word is a pointer.
enum { WORDS = 8 << 20, SPARSE = 20000, APART = 419, KEPT = (SPARSE + 6) / 7 };
static_assert((size_t)(SPARSE - 1) * APART < WORDS && APART % 7 != 0, "spread over all of it");

static void **big;
static Count died, died_kept;

static void
count_died(void *count)
{
	count_add(count);
}

static void
fill_big(void *unused)
{
	(void)unused;
	static const uint8_t code[] = {7, 1, 0x87, 0xa3, 0x92, 0x49, 4, 1, 0};
	static const go_type big_type = {
		.bytes = (size_t)WORDS * 8,
		.scan_bytes = (size_t)WORDS * 8,
		.name = "big",
		.program = code,
		.program_bytes = sizeof(code),
	};
	big = go_alloc_typed(&big_type, 1);
	for (long i = 0; i < SPARSE; i++) {
		long *p = go_alloc_data(40);
		*p = i;
		big[i * APART] = p;
		expect(go_add_cleanup(p, count_died, i % 7 == 0 ? &died_kept : &died) != 0);
	}
}

static void
check_big(void *unused)
{
	(void)unused;
	for (long i = 0; i < SPARSE; i += 7)
		expect_eq(*(long *)big[i * APART], i);
}

static void
collect_until(Count *count, long n)
{
	for (int i = 0; i < 20 && count_of(count) < n; i++) {
		go_gc();
		go_sleep(GO_MSEC);
	}
}

GO_TEST(gcprog_keeps_every_seventh, 2)
{
	uint64_t bytes = gcprog_bytes();
	run_aside(fill_big, NULL);
	expect(gcprog_bytes() >= bytes + WORDS / 8);
	collect_until(&died, SPARSE - KEPT);
	expect(count_of(&died) > SPARSE - KEPT - 100);
	expect_eq(count_of(&died_kept), 0);
	run_aside(check_big, NULL);
	big = NULL;
	collect_until(&died_kept, KEPT);
	expect(count_of(&died_kept) > KEPT - 20);
}
