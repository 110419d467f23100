// SPDX-License-Identifier: BSD-3-Clause
// undergo/map.h: what each macro and function promises, for a program that sees the header alone.
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <undergo/map.h>

#include "goroutines.h"

struct place {
	int x, y, z;
};

struct room {
	char text[200];
};

typedef GO_MAP(int, double) Prices;
typedef GO_MAP(const char *, int) Ages;
typedef GO_MAP(go_bytes, char) Marks;
typedef GO_MAP(uint64_t, uint64_t *) Pointers;
typedef GO_MAP(double, int) Roots;
typedef GO_MAP(long double, int) Longs;
typedef GO_MAP(struct place, struct room) Rooms;
typedef GO_MAP(unsigned char, short) Small;

GO_TEST(map_get_put_del, 1)
{
	Prices p;
	expect_eq(go_map_init(p, 0), 0);
	expect(go_map_get(p, 3) == 0 && !go_map_has(p, 3) && go_map_find(p, 3) == NULL);
	for (int i = 0; i < 1000; i++)
		go_map_put(p, i, i / 2.0);
	expect_eq(go_map_len(p), 1000);
	for (int i = 0; i < 1000; i++)
		expect(go_map_get(p, i) == i / 2.0);
	*go_map_at(p, 7) += 1;
	expect(*go_map_find(p, 7) == 4.5);
	expect(*go_map_at(p, 2000) == 0); // made, and zero
	expect(go_map_del(p, 2000) && !go_map_del(p, 2000));
	expect_eq(go_map_len(p), 1000);
	go_map_clear(p);
	expect_eq(go_map_len(p), 0);
	expect(!go_map_has(p, 7));
}

GO_TEST(map_nil, 1)
{
	Prices p = {0}, q;
	int n = 0;
	expect(go_map_len(p) == 0 && go_map_get(p, 1) == 0 && !go_map_del(p, 1));
	go_map_clear(p);
	go_map_each(p, it) n++;
	expect_eq(n, 0);
	expect_eq(go_map_copy(q, p), 0);
	expect(q.map == NULL);
}

// Texts are compared by what is in them; the one that came first stays the key.
GO_TEST(map_texts, 1)
{
	Ages a;
	char ada[] = "Ada", other[] = "Ada";
	expect_eq(go_map_init(a, 100), 0);
	go_map_put(a, ada, 36);
	*go_map_at(a, other) += 1;
	go_map_put(a, "", 5);
	expect_eq(go_map_get(a, "Ada"), 37);
	expect_eq(go_map_get(a, ""), 5);
	expect_eq(go_map_get(a, "Eve"), 0);
	expect_eq(go_map_len(a), 2);
	int n = 0;
	go_map_each(a, it)
	{
		n += *it.elem;
		expect(*it.key == ada || **it.key == '\0');
	}
	expect_eq(n, 42);
}

GO_TEST(map_bytes, 1)
{
	static const char text[] = "a\0b\0c\0aa\0b";
	Marks m;
	expect_eq(go_map_init(m, 0), 0);
	go_map_put(m, ((go_bytes){text, 3}), 'x');
	go_map_put(m, ((go_bytes){text, 0}), 'y');
	expect_eq(go_map_get(m, ((go_bytes){text + 7, 3})), 'x');
	expect_eq(go_map_get(m, ((go_bytes){NULL, 0})), 'y');
	expect_eq(go_map_get(m, ((go_bytes){text, 2})), 0);
}

GO_TEST(map_structures, 1)
{
	Rooms r, s;
	expect_eq(go_map_init(r, 0), 0);
	for (int i = 0; i < 500; i++)
		snprintf(go_map_at(r, ((struct place){i, -i, 5}))->text, 200, "room %d", i);
	expect_eq(go_map_copy(s, r), 0);
	for (int i = 0; i < 500; i++)
		go_map_at(r, ((struct place){i, -i, 5}))->text[0] = 'R'; // not that of the copy
	for (int i = 0; i < 500; i++) {
		char want[20];
		snprintf(want, sizeof(want), "room %d", i);
		expect_str(go_map_get(s, ((struct place){i, -i, 5})).text, want);
	}
	Small t;
	expect_eq(go_map_init(t, 0), 0);
	for (int i = 0; i < 1000; i++)
		*go_map_at(t, (unsigned char)i) += 1;
	expect_eq(go_map_len(t), 256);
	expect_eq(go_map_get(t, 7), 4);
}

// Pointers but those to text are compared as such, and keep alive what they point to.
typedef GO_MAP(int *, const char *) Names;

GO_TEST(map_pointers, 1)
{
	Names n;
	expect_eq(go_map_init(n, 0), 0);
	for (int i = 0; i < 2000; i++) {
		int *p = go_alloc_data(sizeof(int));
		*p = i;
		go_map_put(n, p, i % 2 != 0 ? "odd" : "even");
	}
	go_gc();
	int sum = 0;
	go_map_each (n, it) {
		sum += **it.key;
		expect_str(*it.elem, **it.key % 2 != 0 ? "odd" : "even");
		expect(go_map_find(n, *it.key) == it.elem);
	}
	expect_eq(sum, 2000 * 1999 / 2);
}

// What an element is worked out from may use the map, as where results are kept for later. A
// structure, as compilers may look for its place first.
typedef GO_MAP(int, struct place) Places;

static struct place
filled(Places p, int from)
{
	for (int i = from; i < from + 1000; i++)
		go_map_put(p, i, ((struct place){i, i, i}));
	return (struct place){from, from, from};
}

GO_TEST(map_put_value_first, 1)
{
	Places p;
	expect_eq(go_map_init(p, 0), 0);
	for (int i = 1; i < 100; i++)
		go_map_put(p, -i, filled(p, i * 1000));
	for (int i = 1; i < 100; i++)
		expect_eq(go_map_get(p, -i).z, i * 1000);
}

// Types that cannot be written before the name of what has them.
static int
seven(void)
{
	return 7;
}

GO_TEST(map_of_functions, 1)
{
	GO_MAP(int (*)(void), int (*)(void)) m;
	expect_eq(go_map_init(m, 0), 0);
	go_map_put(m, seven, seven);
	expect_eq(go_map_get(m, seven)(), 7);
	go_map_each (m, it)
		expect((*it.key)() == 7 && (*it.elem)() == 7);
}

// 0 and -0 are one key. A NaN is a key of its own each time, and found by iterating alone.
GO_TEST(map_floating_point, 1)
{
	Roots r;
	expect_eq(go_map_init(r, 0), 0);
	go_map_put(r, 0.0, 1);
	go_map_put(r, -0.0, 2);
	expect_eq(go_map_len(r), 1);
	expect_eq(go_map_get(r, 0.0), 2);
	go_map_each(r, it) expect(signbit(*it.key)); // the last one that was assigned
	for (int i = 0; i < 3000; i++)
		go_map_put(r, (double)NAN, i);
	expect_eq(go_map_len(r), 3001);
	expect(!go_map_has(r, (double)NAN) && !go_map_del(r, (double)NAN));
	long n = 0, sum = 0;
	go_map_each(r, it)
	{
		if (isnan(*it.key)) {
			n++;
			sum += *it.elem;
		}
	}
	expect(n == 3000 && sum == 3000L * 2999 / 2);
	go_map_clear(r);
	expect_eq(go_map_len(r), 0);
}

// As numbers, whatever lies where a long double has none.
static __attribute__((noinline)) void
put_long(Longs *m, long double key, int fill, int value)
{
	long double k;
	memset(&k, fill, sizeof(k));
	memcpy(&k, &key, __LDBL_MANT_DIG__ == 64 ? 10 : sizeof(k));
	*(int *)go_map_raw_assign(GO_MAP_TYPE_OF(*m), m->map, &k) = value;
}

GO_TEST(map_long_double, 1)
{
	Longs m;
	expect_eq(go_map_init(m, 0), 0);
	for (int fill = 0; fill < 8; fill++) {
		put_long(&m, 0.1L, fill, fill);
		put_long(&m, fill % 2 != 0 ? 0.0L : -0.0L, fill, fill);
		put_long(&m, 0.1L + __LDBL_EPSILON__, fill, -fill);
		put_long(&m, (long double)NAN, 0, fill);
	}
	expect_eq(go_map_len(m), 3 + 8);
	expect_eq(go_map_get(m, 0.1L), 7);
	expect_eq(go_map_get(m, 0.0L), 7);
	expect(!go_map_has(m, (long double)NAN));
#if __LDBL_MANT_DIG__ == 64
	// The same number twice: with the exponent of the smallest numbers, and with none.
	static const unsigned char ways[2][16] = {{[7] = 0x80, [8] = 1}, {[7] = 0x80}};
	const go_map_type *t = GO_MAP_TYPE_OF(m);
	*(int *)go_map_raw_assign(t, m.map, ways[0]) = 55;
	int *again = go_map_raw_get(t, m.map, ways[1]);
	expect(again != NULL && *again == 55);
#endif
}

// -0 plus 0 is -0 when results are rounded down.
GO_TEST(map_long_double_rounded_down, 1)
{
	Longs m;
	expect_eq(go_map_init(m, 0), 0);
	go_map_put(m, 0.0L, 5);
	expect_eq(fesetround(FE_DOWNWARD), 0);
	int got = go_map_get(m, -0.0L);
	expect_eq(fesetround(FE_TONEAREST), 0);
	expect_eq(got, 5);
}

// NaNs are met once each while the map grows, too, and while most of it is deleted.
GO_TEST(map_floating_point_grows, 1)
{
	Roots r;
	bool met[500] = {false};
	expect_eq(go_map_init(r, 0), 0);
	for (int i = 0; i < 500; i++)
		go_map_put(r, (double)NAN, i);
	int step = 0, n = 0;
	go_map_each(r, it)
	{
		step++;
		if (isnan(*it.key)) {
			expect(!met[*it.elem]);
			met[*it.elem] = true;
			n++;
		}
		for (int i = 0; step < 100 && i < 100; i++)
			go_map_put(r, step * 1000.0 + i, 1000);
		for (int i = 0; step >= 200 && i < 100; i++)
			go_map_del(r, (step - 200) * 1000.0 + i);
	}
	expect_eq(n, 500);
}

// What only the map points to stays, and is gone when the map is.
enum { KEPT = 20000 };

static __attribute__((noinline)) void
fill_kept(Pointers *p)
{
	expect_eq(go_map_init(*p, 0), 0);
	for (uint64_t i = 0; i < KEPT; i++) {
		uint64_t *n = go_alloc_data(48);
		*n = i;
		go_map_put(*p, i, n);
		if (i % 5000 == 0)
			go_gc();
	}
}

static __attribute__((noinline)) void
look_at_kept(Pointers *p)
{
	long met = 0;
	for (uint64_t i = 0; i < KEPT; i++)
		expect_eq(*go_map_get(*p, i), i);
	go_map_each(*p, it)
	{
		expect_eq(**it.elem, *it.key);
		if (++met % 4000 == 0)
			go_gc();
	}
	expect_eq(met, KEPT);
}

static __attribute__((noinline)) void
wipe_stack(void)
{
	volatile char old[4096];
	for (size_t i = 0; i < sizeof(old); i++)
		old[i] = 0;
}

GO_TEST(map_keeps_alive, 1)
{
	static Pointers p;
	go_heap_stats before, full, after;
	go_heap_stats_read(&before);
	fill_kept(&p);
	go_gc();
	go_heap_stats_read(&full);
	look_at_kept(&p);
	p.map = NULL;
	wipe_stack();
	go_gc();
	go_heap_stats_read(&after);
	expect(full.objects > before.objects + KEPT);
	expect(after.objects < before.objects + KEPT / 10);
}

// Managed texts live as long as they are keys.
GO_TEST(map_keeps_texts, 1)
{
	Ages a;
	char text[32];
	expect_eq(go_map_init(a, 0), 0);
	for (int i = 0; i < 5000; i++) {
		char *key = go_alloc_data(32);
		snprintf(key, 32, "number %d", i);
		go_map_put(a, key, i);
	}
	go_gc();
	for (int i = 0; i < 5000; i++) {
		char *other = go_alloc_data(32); // takes the place of what died
		memset(other, 'z', 32);
		snprintf(text, sizeof(text), "number %d", i);
		expect_eq(go_map_get(a, text), i);
	}
}

// Each begins somewhere, and with few entries too.
GO_TEST(map_order_is_random, 1)
{
	Prices p;
	bool first[8] = {false};
	expect_eq(go_map_init(p, 0), 0);
	for (int i = 0; i < 8; i++)
		go_map_put(p, i, 0);
	for (int i = 0; i < 1000; i++) {
		go_map_each(p, it)
		{
			first[*it.key] = true;
			break;
		}
	}
	for (int i = 0; i < 8; i++)
		expect(first[i]);
}

// So it is in a large one: most iterations begin at an entry of their own.
GO_TEST(map_order_is_random_in_large_ones, 1)
{
	enum { ENTRIES = 5000, TIMES = 300 };
	static bool first[ENTRIES];
	Prices p;
	int different = 0;
	expect_eq(go_map_init(p, 0), 0);
	for (int i = 0; i < ENTRIES; i++)
		go_map_put(p, i, i);
	for (int i = 0; i < TIMES; i++) {
		go_map_each (p, it) {
			different += !first[*it.key];
			first[*it.key] = true;
			break;
		}
	}
	expect(different > TIMES / 2);
}

// As Go programs do.
GO_TEST(map_delete_while_iterating, 1)
{
	Prices p;
	expect_eq(go_map_init(p, 0), 0);
	for (int i = 0; i < 20000; i++)
		go_map_put(p, i, i);
	int met = 0;
	go_map_each(p, it)
	{
		int key = *it.key;
		met++;
		expect(go_map_del(p, key));
		if (key % 2 == 0)
			expect(!go_map_del(p, key));
	}
	expect_eq(met, 20000);
	expect_eq(go_map_len(p), 0);
}

// The memory of many entries is given back when they are deleted.
GO_TEST(map_shrinks, 1)
{
	Prices p;
	go_heap_stats before, full, after;
	go_gc();
	go_heap_stats_read(&before);
	expect_eq(go_map_init(p, 0), 0);
	for (int i = 0; i < 300000; i++)
		go_map_put(p, i, i);
	go_gc();
	go_heap_stats_read(&full);
	for (int i = 100; i < 300000; i++)
		go_map_del(p, i);
	go_gc();
	go_heap_stats_read(&after);
	uint64_t most = full.live_bytes - before.live_bytes,
		 left = after.live_bytes - before.live_bytes;
	expect(most > 300000 * 16);
	expect(left < most / 50);
	for (int i = 0; i < 100; i++)
		expect(go_map_get(p, i) == i);
}

// What is looked up may lie in the map itself, and the table go while it grows.
GO_TEST(map_key_in_the_map, 1)
{
	typedef struct Triple {
		uint32_t a, b, c;
	} Triple;
	GO_MAP(Triple, Triple) next;
	expect_eq(go_map_init(next, 0), 0);
	go_map_put(next, ((Triple){0, 0, 0}), ((Triple){1, 2, 3}));
	for (uint32_t i = 1; i < 5000; i++) {
		const Triple *from = go_map_find(next, ((Triple){i - 1, 2 * (i - 1), 3 * (i - 1)}));
		Triple *to = go_map_raw_assign(GO_MAP_TYPE_OF(next), next.map, from);
		*to = (Triple){i + 1, 2 * (i + 1), 3 * (i + 1)};
	}
	expect_eq(go_map_len(next), 5000);
	for (uint32_t i = 0; i < 5000; i++)
		expect_eq(go_map_get(next, ((Triple){i, 2 * i, 3 * i})).b, 2 * (i + 1));
}

// --- keys with functions -------------------------------------------------------------------------

static int leave;  // calls of the functions until one ends its goroutine
static bool panics; // or panics

static void
may_leave(void)
{
	if (leave == 0 || --leave != 0)
		return;
	if (panics)
		go_panic_text("of a key");
	go_exit();
}

static uint64_t
id_hash(const void *key, uint64_t seed, const go_map_type *t)
{
	(void)seed;
	(void)t;
	may_leave();
	go_yield();
	return *(const uint32_t *)key % 512;
}

static bool
id_equal(const void *a, const void *b, const go_map_type *t)
{
	(void)t;
	may_leave();
	return *(const uint32_t *)a == *(const uint32_t *)b;
}

static const go_map_type id_type = {
    .key_bytes = 4,
    .key_align = 4,
    .elem_bytes = 4,
    .elem_align = 4,
    .key_kind = GO_MAP_KEY_CALLS,
    .hash = id_hash,
    .equal = id_equal,
};

typedef struct Task {
	go_map *m;
	uint32_t key;
	bool drop;
	bool ended;
} Task;

static void
change(void *arg)
{
	Task *t = arg;
	if (t->drop)
		go_map_raw_delete(&id_type, t->m, &t->key);
	else
		*(uint32_t *)go_map_raw_assign(&id_type, t->m, &t->key) = t->key;
	t->ended = true;
}

static int
change_apart(void *arg)
{
	change(arg);
	return 0;
}

static void
change_on_its_own(Task *t)
{
	go_scope s;
	if (panics) {
		expect(go_panicked(go_protect(change, t)) == !t->ended);
	} else {
		go_scope_open(&s, GO_NEVER);
		expect_eq(go_scope_spawn(&s, change_apart, t), 0);
		(void)go_scope_wait(&s);
	}
	leave = 0;
}

// A key's function ends its goroutine: the map is as it was, and nobody is accused of anything.
static void
leave_many_times(void)
{
	go_map *m = go_map_raw_new(&id_type, 0);
	uint32_t n = 0, there = 0;
	for (uint32_t key = 0; key < 900; key++) {
		Task t = {m, key, false, false};
		leave = (int)(key % 40);
		change_on_its_own(&t);
		if (!t.ended) {
			expect(go_map_raw_get(&id_type, m, &key) == NULL);
			change(&t);
		}
		if (key % 3 != 0)
			continue;
		t = (Task){m, key / 2, true, false};
		bool was = go_map_raw_get(&id_type, m, &t.key) != NULL;
		leave = (int)(key % 7);
		change_on_its_own(&t);
		if (!t.ended)
			expect((go_map_raw_get(&id_type, m, &t.key) != NULL) == was);
		n++;
	}
	go_map_iter it;
	for (go_map_raw_begin(&id_type, m, &it); it.key != NULL; go_map_raw_next(&it)) {
		expect_eq(*(uint32_t *)it.elem, *(const uint32_t *)it.key);
		there++;
	}
	expect_eq(there, go_map_raw_len(m));
	expect(n == 300 && there > 500);
}

// The same while deletes make tables smaller, and one out of two.
static void
leave_while_it_shrinks(void)
{
	enum { KEYS = 3000, CALLS = 200 };
	go_map *m = go_map_raw_new(&id_type, 0);
	uint32_t left = 0;
	for (uint32_t key = 0; key < KEYS; key++)
		*(uint32_t *)go_map_raw_assign(&id_type, m, &key) = key;
	for (uint32_t key = 0; key < KEYS; key++) {
		Task t = {m, key, true, false};
		leave = (int)(key * 7 % CALLS);
		change_on_its_own(&t);
		expect_eq(go_map_raw_get(&id_type, m, &key) == NULL, t.ended);
		left += !t.ended;
		if (!t.ended)
			change(&t);
		expect_eq(go_map_raw_len(m), KEYS - 1 - key);
	}
	expect(left > 0);
}

GO_TEST(map_functions_leave, 1)
{
	leave_many_times();
	leave_while_it_shrinks();
}

GO_TEST(map_functions_panic, 1)
{
	panics = true;
	leave_many_times();
	leave_while_it_shrinks();
}

// --- from threads --------------------------------------------------------------------------------

static void *
on_thread(void *arg)
{
	Prices *p = arg;
	for (int i = 0; i < 3000; i++)
		go_map_put(*p, i, i);
	int n = 0;
	go_map_each(*p, it) n++;
	expect_eq(n, 3000);
	return NULL;
}

void
test_map_from_a_thread(void)
{
	Prices p;
	pthread_t t;
	expect_eq(go_map_init(p, 0), 0);
	expect_eq(pthread_create(&t, NULL, on_thread, &p), 0);
	pthread_join(t, NULL);
	expect(go_map_get(p, 2999) == 2999);
}

// One that nothing made known to the runtime looks words and texts up.
static void *
on_bare_thread(void *arg)
{
	Prices *p = arg;
	uintptr_t n = 0;
	for (int i = 0; i < 6000; i++)
		n += go_map_has(*p, i);
	return (void *)n;
}

void
test_map_from_a_bare_thread(void)
{
	Prices p;
	pthread_t t;
	void *n;
	expect_eq(setenv("GODEBUG", "mapcheck=1", 1), 0);
	expect_eq(go_map_init(p, 0), 0);
	for (int i = 0; i < 3000; i++)
		go_map_put(p, i, i);
	expect_eq(pthread_create(&t, NULL, on_bare_thread, &p), 0);
	pthread_join(t, &n);
	expect_eq((uintptr_t)n, 3000);
}

// Readers together, writers alone: never accused of anything.
static go_rwmutex lock;
static Pointers shared;

static int
user(void *arg)
{
	uint64_t r = (uintptr_t)arg + 1;
	for (long i = test_scale(100000); i > 0; i--) {
		uint64_t x = test_rand(&r), key = x >> 54;
		if (x % 8 == 0) {
			go_rwmutex_lock(&lock);
			if (x % 16 == 0)
				*go_map_at(shared, key) = NULL;
			else
				go_map_del(shared, key);
			if (x % 4096 == 0)
				go_map_clear(shared);
			go_rwmutex_unlock(&lock);
		} else {
			go_rwmutex_rlock(&lock);
			(void)go_map_get(shared, key);
			if (x % 512 == 1)
				go_map_each(shared, it) expect(*it.elem == NULL);
			go_rwmutex_runlock(&lock);
		}
	}
	return 0;
}

static void
share(void)
{
	go_scope s;
	expect_eq(go_map_init(shared, 0), 0);
	go_scope_open(&s, GO_NEVER);
	for (uintptr_t i = 0; i < 8; i++)
		expect_eq(go_scope_spawn(&s, user, (void *)i), 0);
	expect_eq(go_scope_wait(&s), 0);
}

GO_TEST(map_locked, 4)
{
	share();
}
