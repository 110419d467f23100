// SPDX-License-Identifier: BSD-3-Clause mem/stack.c: stacks are as large as asked, apart, guarded
// or counted as unguarded, reused, survive a lack of memory, and their memory goes back after a
// peak.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/base.h"
#include "harness.h"
#include "mem/stack.h"
#include "os/os.h"
#include "sync/sync.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };

static void
expect_usable(Stack s, size_t bytes)
{
	expect(s.lo != NULL);
	expect((size_t)(s.hi - s.lo) >= bytes);
	expect((uintptr_t)s.hi % 16 == 0);
	s.lo[0] = 1;
	s.hi[-1] = 2;
	expect(s.lo[0] == 1 && s.hi[-1] == 2);
}

static uint64_t
in_use(void)
{
	StackStats st;
	stack_stats(&st);
	return st.in_use_bytes;
}

static uint64_t
unguarded(void)
{
	StackStats st;
	stack_stats(&st);
	return st.unguarded;
}

// Every size, from a byte to Go's limit, a little above and below each power of two.
void
test_stack_sizes(void)
{
	os_init();
	for (size_t power = 1; power <= 512 * MIB; power *= 2) {
		for (int delta = -1; delta <= 1; delta++) {
			size_t bytes = power + (size_t)delta;
			Stack s = stack_alloc(bytes);
			expect_usable(s, bytes);
			if (bytes > 0)
				expect((size_t)(s.hi - s.lo) >= stack_round(bytes));
			expect(stack_guard_hit(s, s.lo - 2 * KIB));
			expect(!stack_guard_hit(s, s.lo));
			expect(!stack_guard_hit(s, s.hi));
			expect(!stack_guard_hit(s, NULL));
			stack_free(s);
			expect_eq(in_use(), 0);
		}
	}
	Stack largest = stack_alloc(STACK_MAX_BYTES);
	expect_usable(largest, STACK_MAX_BYTES);
	stack_free(largest);
	expect(stack_alloc(STACK_MAX_BYTES + 1).lo == NULL);
	expect(!stack_guard_hit((Stack){NULL, NULL}, NULL));
}

// Without a size: almost 256 KiB, the guard taken off; all alike, so that a dead one can be told.
void
test_stack_default(void)
{
	Stack s[100];
	os_init();
	for (size_t i = 0; i < countof(s); i++) {
		s[i] = stack_alloc(0);
		expect_usable(s[i], 200 * KIB);
		expect_eq((size_t)(s[i].hi - s[i].lo), stack_round(0));
	}
	expect_eq(in_use(), countof(s) * STACK_DEFAULT_BYTES);
	for (size_t i = 0; i < countof(s); i++)
		stack_free(s[i]);
}

// The tops of neighbours fall on different cache lines of a page.
void
test_stack_colours(void)
{
	unsigned char seen[4096 / 64] = {0};
	unsigned n = 0;
	os_init();
	for (int i = 0; i < 64; i++) {
		unsigned line = (unsigned)((uintptr_t)stack_alloc(0).hi % 4096 / 64);
		n += seen[line]++ == 0;
	}
	expect(n >= 8);
}

// The last one freed comes first, and no two live ones share a byte.
void
test_stack_reuse(void)
{
	Stack s[50];
	os_init();
	for (size_t i = 0; i < countof(s); i++) {
		s[i] = stack_alloc(30 * KIB);
		memset(s[i].lo, (int)i, (size_t)(s[i].hi - s[i].lo));
	}
	for (size_t i = 0; i < countof(s); i++)
		for (char *p = s[i].lo; p < s[i].hi; p += 256)
			expect_eq(*p, (char)i);
	stack_free(s[7]);
	stack_free(s[20]);
	expect(stack_alloc(30 * KIB).lo == s[20].lo);
	expect(stack_alloc(30 * KIB).lo == s[7].lo);
}

// --- guards -------------------------------------------------------------------------------------

static void
touch_below(size_t stack_bytes, size_t below)
{
	os_init();
	Stack other = stack_alloc(stack_bytes);
	Stack s = stack_alloc(stack_bytes);
	other.hi[-1] = s.hi[-1] = 0;
	*(volatile char *)(s.lo - below) = 1;
}

DEATH(stack_touch_guard)
{
	touch_below(0, 2 * KIB);
}

DEATH(stack_touch_guard_deep)
{
	touch_below(MIB, 60 * KIB);
}

DEATH(stack_touch_guard_large)
{
	touch_below(100 * MIB, KIB);
}

DEATH(stack_touch_guard_page)
{
	os_init();
	expect(os_fault_plan("guard:*:EINVAL"));
	touch_below(0, 2 * KIB);
}

void
test_stack_guards(void)
{
	expect_death(stack_touch_guard, .signal = SIGSEGV);
	expect_death(stack_touch_guard_deep, .signal = SIGSEGV);
	expect_death(stack_touch_guard_large, .signal = SIGSEGV);
	expect_death(stack_touch_guard_page, .signal = SIGSEGV);
}

DEATH(stack_guard_budget)
{
	enum { N = 8100 };
	os_init();
	expect(os_fault_plan("guard:*:EINVAL"));
	Stack last = {NULL, NULL};
	for (int i = 0; i < N; i++) {
		last = stack_alloc(1);
		expect_usable(last, 1);
	}
	expect_eq(unguarded(), N - 8000);
	expect(!stack_guard_hit(last, last.lo - KIB));
	stack_free(last);
	expect_eq(unguarded(), N - 8000 - 1);
	expect_usable(stack_alloc(1), 1);
	expect_eq(unguarded(), N - 8000);
}

DEATH(stack_no_guards)
{
	os_init();
	expect(os_fault_plan("guard:*:EINVAL,protect_none:*:ENOMEM"));
	for (size_t bytes = 1; bytes < 200 * MIB; bytes *= 2) {
		Stack s = stack_alloc(bytes);
		expect_usable(s, bytes);
		expect_eq(unguarded(), 1);
		expect(!stack_guard_hit(s, s.lo - KIB));
		stack_free(s);
		expect_eq(unguarded(), 0);
	}
}

// What cannot be guarded works, is counted, and is told once.
void
test_stack_unguarded(void)
{
	static const char *const text =
		"undergo: goroutine stacks beyond the first 8000 have no guard page";
	expect_death(stack_guard_budget, .err = text);
	expect_death(stack_no_guards, .err = text);
}

// --- memory -------------------------------------------------------------------------------------

// Refused, the first arena becomes a smaller one; refused altogether, there is no stack, and later
// there is.
void
test_stack_no_memory(void)
{
	os_init();
	for (size_t bytes = 1; bytes < 200 * MIB; bytes *= 2) {
		expect(os_fault_plan("map:*:ENOMEM"));
		Stack none = stack_alloc(bytes); // a free slot of its class may be there
		if (none.lo != NULL)
			stack_free(none);
		expect(none.lo == NULL || bytes > 1);
		expect(os_fault_plan("map:1:ENOMEM,guard:1:ENOMEM"));
		Stack s = stack_alloc(bytes);
		expect(s.lo != NULL || bytes > 60 * MIB);
		expect(os_fault_plan("alloc:*:ENOMEM"));
		Stack more = stack_alloc(bytes);
		expect(os_fault_plan(NULL));
		if (s.lo != NULL)
			stack_free(s);
		if (more.lo != NULL)
			stack_free(more);
	}
	expect_eq(in_use(), 0);
}

DEATH(stack_little_address_space)
{
	struct rlimit limit = {400 * MIB, 400 * MIB};
	static Stack s[4096];
	size_t n = 0;
	os_init();
	expect(setrlimit(RLIMIT_AS, &limit) == 0);
	while (n < countof(s) && (s[n] = stack_alloc(0)).lo != NULL) {
		s[n].hi[-1] = 1;
		n++;
	}
	printf("%s\n", n > 1000 && n < 1600 ? "most of it" : "too few or too many");
	for (size_t i = 0; i < n; i++)
		stack_free(s[i]);
	for (size_t i = 0; i < n; i++)
		expect(stack_alloc(0).lo != NULL);
}

// Under ulimit -v nearly all of what is left can become stacks.
void
test_stack_address_limit(void)
{
	expect_death(stack_little_address_space, .out = "most of it\n");
}

// A hundred thousand stacks are a hundred thousand pages at most, and few mappings.
void
test_stack_many(void)
{
	enum { N = 100000 };
	os_init();
	long n = test_scale(N);
	Stack *s = os_alloc((size_t)n * sizeof(Stack));
	for (long i = 0; i < n; i++) {
		s[i] = stack_alloc(0);
		expect(s[i].lo != NULL);
	}
	expect_eq(in_use(), (uint64_t)n * STACK_DEFAULT_BYTES);
	if (unguarded() == 0) {
		char line[512];
		long mappings = 0;
		FILE *f = fopen("/proc/self/maps", "re");
		while (fgets(line, sizeof(line), f) != NULL)
			mappings++;
		fclose(f);
		expect(mappings < 9000);
	}
	for (long i = 0; i < n; i++)
		stack_free(s[i]);
	expect_eq(in_use(), 0);
	os_free(s);
}

static long
resident_kib(void)
{
	long all, resident;
	FILE *f = fopen("/proc/self/statm", "re");
	expect(fscanf(f, "%ld %ld", &all, &resident) == 2);
	fclose(f);
	return resident * (long)(os_page_bytes() / KIB);
}

// A parked goroutine's stack: what is below its stack pointer goes back, the rest stays.
void
test_stack_decommit_below(void)
{
	os_init();
	Stack s = stack_alloc(MIB);
	size_t bytes = (size_t)(s.hi - s.lo);
	memset(s.lo, 7, bytes);
	char *sp = s.hi - 100 * KIB;
	stack_decommit_below(s, sp, 20 * KIB);
	for (char *p = sp - 20 * KIB; p < s.hi; p++)
		expect_eq(*p, 7);
	expect_eq(s.lo[0], 0);
	expect_eq(sp[-20 * KIB - (ptrdiff_t)os_page_bytes() - 1], 0);
	stack_decommit_below(s, s.lo, 0);
	stack_decommit_below(s, s.lo + 100, 4096);
	*(volatile char *)s.lo = 1;
	stack_free(s);
}

// After a peak the pages of free stacks go back within seconds, those in use are left alone, and
// the stacks can be had again.
void
test_stack_scavenge(void)
{
	enum { N = 2000, KEPT = 50 };
	static Stack s[N];
	os_init();
	for (int i = 0; i < N; i++) {
		s[i] = stack_alloc(0);
		memset(s[i].hi - 32 * KIB, i, 32 * KIB);
	}
	long peak = resident_kib();
	for (int i = KEPT; i < N; i++)
		stack_free(s[i]);

	size_t given = stack_scavenge();
	expect_eq(given, 0); // the peak has just been
	for (int i = 0; i < 5; i++) {
		os_sleep(1000000000);
		given += stack_scavenge();
	}
	expect_eq(given, (size_t)(N - KEPT) * STACK_DEFAULT_BYTES);
	if (test_slowness() == 1)
		expect(peak - resident_kib() > (N - KEPT) * 32 * 9 / 10);
	for (int i = 0; i < KEPT; i++)
		for (int at = 1; at <= 32 * KIB; at += 512)
			expect_eq(s[i].hi[-at], (char)i);
	expect_eq(stack_scavenge(), 0);
	for (int i = KEPT; i < N; i++) {
		s[i] = stack_alloc(0);
		expect_eq(s[i].hi[-32 * KIB], 0);
		expect_usable(s[i], 1);
	}
	expect_eq(in_use(), (uint64_t)N * STACK_DEFAULT_BYTES);
}

// --- threads ------------------------------------------------------------------------------------

enum { HAMMERS = 3, HELD = 40 };

static ATOMIC_U32 hammers_done;
static uint64_t hammer_seed;

static void
hammer(void *arg)
{
	uint64_t rand = base_mix(hammer_seed + (uintptr_t)arg);
	Stack held[HELD] = {{NULL, NULL}};
	for (long n = test_scale(200000); n > 0; n--) {
		uint32_t i = base_rand_below(&rand, HELD);
		if (held[i].lo != NULL) {
			expect_eq(held[i].hi[-1], (char)(uintptr_t)arg);
			stack_free(held[i]);
			held[i].lo = NULL;
		} else {
			held[i] = stack_alloc((size_t)1 << base_rand_below(&rand, 20));
			expect(held[i].lo != NULL);
			held[i].hi[-1] = (char)(uintptr_t)arg;
		}
	}
	for (uint32_t i = 0; i < HELD; i++)
		if (held[i].lo != NULL)
			stack_free(held[i]);
	add_rel(&hammers_done, 1); // order: publish -> test_stack_hammer
}

void
test_stack_hammer(void)
{
	os_init();
	hammer_seed = test_seed();
	for (uintptr_t i = 1; i <= HAMMERS; i++)
		expect_eq(os_thread_start(hammer, (void *)i), 0);
	while (load_acq(&hammers_done) != HAMMERS) { // order: observe <- hammer
		stack_scavenge();
		os_sleep(1000000);
	}
	expect_eq(in_use(), 0);
	expect_eq(unguarded(), 0);
}
