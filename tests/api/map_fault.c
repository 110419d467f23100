// SPDX-License-Identifier: BSD-3-Clause
// A fault in the middle of what a map does, which becomes a panic that is caught: the bytes of a
// key that is given, or of one in the map, are in memory that cannot be read. The map is whole then
// and others may use it, whatever they do first. In a build whose maps keep the mark of the one who
// has left they die of "concurrent map writes", or of a look-up beside one.
#include <sys/mman.h>

#include "goroutines.h"

typedef GO_MAP(go_bytes, int) Texts;
typedef void Use(Texts m);

enum { OTHERS = 10, SHORT = 12, LONG = 100 };

static char *page; // with the bytes of one key
static size_t page_bytes;
static char others[1000][8]; // of other keys, which have other lengths

static go_bytes
nth(int i)
{
	memcpy(others[i], &i, sizeof(i));
	return (go_bytes){others[i], sizeof(others[i])};
}

static void
page_readable(bool readable)
{
	expect_eq(mprotect(page, page_bytes, readable ? PROT_READ | PROT_WRITE : PROT_NONE), 0);
}

static Texts
texts_new(void)
{
	Texts m;
	expect_eq(go_map_init(m, 0), 0);
	for (int i = 0; i < OTHERS; i++)
		*go_map_at(m, nth(i)) = i;
	return m;
}

// --- what faults ---------------------------------------------------------------------------------

typedef struct Step {
	Texts m;
	go_bytes key;
	int next; // of the others
} Step;

static void
put(void *arg)
{
	Step *s = arg;
	*go_map_at(s->m, s->key) = 1;
}

static void
delete(void *arg)
{
	Step *s = arg;
	go_map_del(s->m, s->key);
}

// Until the map grows and asks for the hashes of all that it has. In vain: it never does.
static void
put_others(void *arg)
{
	Step *s = arg;
	for (; s->next < 1000; s->next++)
		*go_map_at(s->m, nth(s->next)) = s->next;
}

// --- what others do then -------------------------------------------------------------------------

static void
use_put(Texts m)
{
	*go_map_at(m, nth(3)) = 3;
}

static void
use_delete(Texts m)
{
	go_map_del(m, nth(3));
	*go_map_at(m, nth(3)) = 3;
}

static void
use_get(Texts m)
{
	expect_eq(*go_map_find(m, nth(3)), 3);
}

static void
use_each(Texts m)
{
	size_t n = 0;
	go_map_each(m, it) n++;
	expect_eq(n, go_map_len(m));
}

static void
use_copy(Texts m)
{
	Texts other;
	expect_eq(go_map_copy(other, m), 0);
	expect_eq(go_map_len(other), go_map_len(m));
}

static void
use_clear(Texts m)
{
	go_map_clear(m);
	for (int i = 0; i < OTHERS; i++)
		*go_map_at(m, nth(i)) = i;
}

static Use *const uses[] = {use_put, use_delete, use_get, use_each, use_copy, use_clear};
enum { USES = sizeof(uses) / sizeof(uses[0]) };

static Use *then;

static int
use_in_another(void *arg)
{
	then(*(Texts *)arg);
	return 0;
}

static void
faults(void (*fn)(void *), Step *s)
{
	go_scope scope;
	go_set_panic_on_fault(true);
	expect(go_panicked(go_protect(fn, s)));
	go_scope_open(&scope, GO_NEVER);
	expect_eq(go_scope_spawn(&scope, use_in_another, &s->m), 0);
	expect_eq(go_scope_wait(&scope), 0);
}

// --- the tests -----------------------------------------------------------------------------------

static void
page_new(void)
{
	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	page = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(page != MAP_FAILED);
}

// The key that is given cannot be read.
static void
given(size_t bytes)
{
	page_new();
	page_readable(false);
	for (int i = 0; i < USES; i++) {
		Step s = {texts_new(), {page, bytes}, 0};
		then = uses[i];
		faults(put, &s);
		faults(delete, &s);
		expect_eq(go_map_len(s.m), OTHERS);
	}
	munmap(page, page_bytes);
}

GO_TEST(map_fault_in_a_key_that_is_given, 0)
{
	given(SHORT);
	given(LONG);
}

// A key of the map cannot be read when it is compared with one of the same bytes.
static void
kept(size_t bytes)
{
	static const char same[LONG];
	page_new();
	for (int i = 0; i < USES - 1; i++) { // who clears takes the key out
		Step s = {texts_new(), {page, bytes}, 0};
		put(&s);
		page_readable(false);
		s.key.p = same;
		then = uses[i];
		faults(put, &s);
		faults(delete, &s);
		page_readable(true);
		expect_eq(go_map_len(s.m), OTHERS + 1);
		expect_eq(*go_map_find(s.m, s.key), 1);
	}
	munmap(page, page_bytes);
}

GO_TEST(map_fault_in_a_key_that_is_there, 0)
{
	kept(SHORT);
	kept(LONG);
}

// The same, when the map grows; it does so afterwards.
GO_TEST(map_fault_in_growing, 0)
{
	page_new();
	for (int i = 0; i < USES - 1; i++) {
		Step s = {texts_new(), {page, SHORT}, OTHERS};
		put(&s);
		page_readable(false);
		then = uses[i];
		faults(put_others, &s);
		expect(s.next < 1000);
		expect_eq(go_map_len(s.m), (size_t)s.next + 1);
		page_readable(true);
		put_others(&s);
		expect_eq(go_map_len(s.m), 1001);
		for (int n = 0; n < 1000; n++)
			expect_eq(*go_map_find(s.m, nth(n)), n);
		expect_eq(*go_map_find(s.m, s.key), 1);
	}
	munmap(page, page_bytes);
}
