// SPDX-License-Identifier: BSD-3-Clause
// The rows about maps, written once for all contenders in C and C++.
//
// The program that includes this file has defined before, for numbers and for texts:
//
//	nums                            a map from uint64_t to uint64_t
//	nums nums_new(size_t room);     with room for so many; 0: it is to grow
//	void nums_free(nums m);
//	void nums_put(nums m, uint64_t key, uint64_t value);
//	uint64_t *nums_get(nums m, uint64_t key);  NULL: there is none
//	void nums_del(nums m, uint64_t key);
//	uint64_t nums_sum(nums m);      of all values, by iterating
//	texts, texts_new, texts_free    a map from bytes to uint64_t
//	void texts_put(texts m, const char *p, size_t n, uint64_t value);
//	uint64_t *texts_get(texts m, const char *p, size_t n);
//
// Keys are random numbers, or texts in memory of their own. They are looked up in other orders than
// they came in, all of them once before any comes again, and no sequence of orders comes again
// within a million: a branch predictor learns ten thousand that repeat, and with them which of the
// searches end in an unusual way. No program repeats itself so.
#ifndef UNDERGO_BENCH_MAP_ROWS_H
#define UNDERGO_BENCH_MAP_ROWS_H

#include "bench.h"

// What only some need: that a map hashes as others do, that what is free is collected, that nothing
// is from now on (NUMS_COLLECT_NOT).
#ifndef NUMS_SAME
#define NUMS_SAME(m) ((void)0)
#endif
#ifndef NUMS_COLLECT
#define NUMS_COLLECT() ((void)0)
#endif

enum {
	MAP_SMALL = 8,
	MAP_1K = 1000,
	MAP_10K = 10000,
	MAP_100K = 100000,
	MAP_1M = 1000000,
	MAP_10M = 10000000,
	MAP_SHORT = 12,
	MAP_LONG = 100,
	MAP_ASKS = 1 << 20, // look-ups before they repeat
};

static uint64_t *map_keys, *map_asked; // the same keys in other orders, or the numbers of texts
static char *map_text;                 // map_text_n texts of map_text_bytes
static size_t map_n, map_asks, map_text_bytes;
static nums map_m;
static texts map_t;
static volatile uint64_t map_sink;

static inline uint64_t
map_mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static void *
map_array(size_t bytes)
{
	void *p = malloc(bytes);
	bench_check(p != NULL, "no memory");
	memset(p, 0, bytes);
	return p;
}

static void
map_shuffle(uint64_t *a, size_t n, uint64_t seed)
{
	for (size_t i = n - 1; i > 0; i--) {
		size_t j = map_mix(i ^ seed) % (i + 1);
		uint64_t k = a[i];
		a[i] = a[j];
		a[j] = k;
	}
}

// From is what is asked for, in its first order.
static void
map_make_asked(const uint64_t *from)
{
	size_t orders = map_n < MAP_ASKS ? MAP_ASKS / map_n : 1;
	map_asks = orders * map_n;
	map_asked = (uint64_t *)map_array(map_asks * sizeof(uint64_t));
	for (size_t i = 0; i < orders; i++, from = map_asked + (i - 1) * map_n) {
		memcpy(map_asked + i * map_n, from, map_n * sizeof(uint64_t));
		map_shuffle(map_asked + i * map_n, map_n, map_mix(i));
	}
}

static void
map_make_keys(size_t n)
{
	map_n = n;
	map_keys = (uint64_t *)map_array(n * sizeof(uint64_t));
	for (size_t i = 0; i < n; i++)
		map_keys[i] = map_mix(i) | 1;
}

static nums
map_filled(size_t room)
{
	nums m = nums_new(room);
	for (size_t i = 0; i < map_n; i++)
		nums_put(m, map_keys[i], i);
	return m;
}

// --- looking up ----------------------------------------------------------------------------------

static void
map_get_body(int64_t n)
{
	uint64_t sum = 0;
	for (int64_t left = n; left > 0; left -= (int64_t)map_asks) {
		size_t most = left < (int64_t)map_asks ? (size_t)left : map_asks;
		for (size_t i = 0; i < most; i++)
			sum += *nums_get(map_m, map_asked[i]);
	}
	map_sink = sum;
}

static void
map_miss_body(int64_t n)
{
	uint64_t found = 0;
	for (int64_t left = n; left > 0; left -= (int64_t)map_asks) {
		size_t most = left < (int64_t)map_asks ? (size_t)left : map_asks;
		for (size_t i = 0; i < most; i++)
			found += nums_get(map_m, map_asked[i] ^ 1) != NULL;
	}
	bench_check(found == 0, "a key that is not there");
}

static void
map_each_body(int64_t n)
{
	uint64_t want = (uint64_t)map_n * (map_n - 1) / 2;
	for (int64_t left = n; left > 0; left -= (int64_t)map_n)
		bench_check(nums_sum(map_m) == want, "an entry that was not met");
}

static void
map_lookup_row(const char *row, size_t n, void (*body)(int64_t))
{
	map_make_keys(n);
	if (body != map_each_body)
		map_make_asked(map_keys);
	map_m = map_filled(0);
	body((int64_t)n);
	double wall, cpu;
	if (body == map_each_body) {
		int64_t c = bench_cpu(), w = bench_wall(), ops = 0;
		for (; bench_wall() - w < bench_target_ns; ops += (int64_t)n)
			body((int64_t)n);
		cpu = (double)(bench_cpu() - c) / (double)ops;
		wall = (double)(bench_wall() - w) / (double)ops;
	} else {
		cpu = bench_time(body, 1, &wall);
	}
	printf("%s %.3f %.3f\n", row, cpu, wall);
	fflush(stdout);
}

// --- filling and emptying ------------------------------------------------------------------------

static void
map_fill_row(const char *row, size_t n, size_t room)
{
	map_make_keys(n);
	int64_t rss = n >= MAP_1M ? bench_rss() : 0;
	int64_t cpu = bench_cpu(), wall = bench_wall(), ops = 0;
	char extra[64];
	do {
		// A clock is as dear as two inserts: it is read once for a thousand.
		for (size_t i = 0; i < MAP_1K; i += n) {
			nums m = map_filled(room);
			ops += (int64_t)n;
			if (n >= MAP_1M && ops == (int64_t)n)
				rss = bench_rss() - rss;
			nums_free(m);
		}
	} while (bench_wall() - wall < bench_target_ns);
	snprintf(extra, sizeof extra, "bytes=%.1f", (double)rss / (double)n);
	bench_print(row, bench_cpu() - cpu, bench_wall() - wall, ops, n >= MAP_1M ? extra : "");
}

// How long single inserts took, in tenths of a microsecond. The last cell has all that are longer.
enum { MAP_TIMES = 500000, MAP_TENTH_NS = 100 };
typedef struct MapTimes {
	uint32_t cell[MAP_TIMES];
	size_t n;
	int64_t last; // the clock, when the last one ended
	int64_t longest;
} MapTimes;

static void
map_times_start(MapTimes *t)
{
	memset(t, 0, sizeof *t); // all of it is touched before the first insert
	t->last = bench_clock(CLOCK_THREAD_CPUTIME_ID);
}

// One reading of the clock ends this one and begins the next.
static inline void
map_times_add(MapTimes *t)
{
	int64_t now = bench_clock(CLOCK_THREAD_CPUTIME_ID), took = now - t->last;
	int64_t cell = took / MAP_TENTH_NS;
	t->last = now;
	t->cell[cell < MAP_TIMES ? cell : MAP_TIMES - 1]++;
	t->longest = took > t->longest ? took : t->longest;
	t->n++;
}

// In microseconds: all but one of so many took no longer.
static double
map_times_beyond(const MapTimes *t, size_t one_of)
{
	size_t left = t->n / one_of, i = MAP_TIMES - 1;
	while (i > 0 && t->cell[i] <= left)
		left -= t->cell[i--];
	return (double)((i + 1) * MAP_TENTH_NS) / 1000;
}

// How many took longer than the goal.
static int
map_times_many(const MapTimes *t)
{
	enum { GOAL_TENTHS = 200 };
	uint32_t many = 0;
	for (size_t i = GOAL_TENTHS; i < MAP_TIMES; i++)
		many += t->cell[i];
	return (int)many;
}

// Each insert of the last five million of ten by itself, in which every table is split once and the
// directory of all becomes twice as long. The longest is what is asked for, beside what measuring
// nothing for as long shows of the machine.
static void
map_worst_row(const char *row)
{
	enum { TENTHS_OF_PERMILLE = 10000, MILLION = 1000000 };
	MapTimes *t = (MapTimes *)map_array(sizeof *t), *none = (MapTimes *)map_array(sizeof *none);
	char extra[256];

	map_make_keys(MAP_10M);
	nums m = nums_new(0);
	for (size_t i = 0; i < map_n / 2; i++)
		nums_put(m, map_keys[i], i);
	map_times_start(none);
	map_times_start(t);
	int64_t begun = t->last;
	for (size_t i = map_n / 2; i < map_n; i++) {
		nums_put(m, map_keys[i], i);
		map_times_add(t);
	}
	int64_t took = t->last - begun;
	for (begun = none->last = t->last; none->last - begun < took;)
		map_times_add(none);
	snprintf(extra, sizeof extra,
		 "p9999_us=%.1f p999999_us=%.1f worst_us=%.1f many=%d "
		 "floor_p999999_us=%.1f floor_us=%.1f floor_many=%d",
		 map_times_beyond(t, TENTHS_OF_PERMILLE), map_times_beyond(t, MILLION),
		 (double)t->longest / 1000, map_times_many(t), map_times_beyond(none, MILLION),
		 (double)none->longest / 1000, map_times_many(none));
	bench_print(row, t->longest, t->longest, 1, extra);
	free(none);
	free(t);
}

// What the table alone makes somebody wait for. A collector's stops have a row of their own.
static void
map_row_map_worst_10m(void)
{
#ifdef NUMS_COLLECT_NOT
	NUMS_COLLECT_NOT();
#endif
	map_worst_row("map_worst_10m");
}

#ifdef NUMS_COLLECT_NOT
static void
map_row_map_worst_gc_10m(void)
{
	map_worst_row("map_worst_gc_10m");
}
#endif

// What the map itself makes an insert wait for comes back when the same keys are put into a map
// that hashes alike; what the machine does meanwhile does not. So of each insert the least of some
// fillings counts, and of these the longest.
enum { MAP_FILLINGS = 6 };

static void
map_times_least(uint32_t *least, size_t from)
{
	nums m = nums_new(0);
	NUMS_SAME(m);
	for (size_t i = 0; i < from; i++)
		nums_put(m, map_keys[i], i);
	int64_t last = bench_wall();
	for (size_t i = from; i < map_n; i++) {
		nums_put(m, map_keys[i], i);
		int64_t now = bench_wall(), took = now - last;
		last = now;
		if (took < least[i - from])
			least[i - from] = (uint32_t)took;
	}
	nums_free(m);
}

static void
map_row_map_worst_own_10m(void)
{
	enum { GOAL_NS = 20000 };
#ifdef NUMS_COLLECT_NOT
	NUMS_COLLECT_NOT();
#endif
	int64_t worst = 0;
	int many = 0;
	char extra[64];
	map_make_keys(MAP_10M);
	size_t from = map_n / 2;
	uint32_t *least = (uint32_t *)map_array(from * sizeof *least);
	memset(least, 0xff, from * sizeof *least);
	for (int i = 0; i < MAP_FILLINGS; i++) {
		map_times_least(least, from);
		NUMS_COLLECT();
	}
	for (size_t i = 0; i < from; i++) {
		worst = least[i] > worst ? least[i] : worst;
		many += least[i] > GOAL_NS;
	}
	snprintf(extra, sizeof extra, "worst_us=%.1f many=%d", (double)worst / 1000, many);
	bench_print("map_worst_own_10m", worst, worst, 1, extra);
}

static void
map_row_map_del_1m(void)
{
	map_make_keys(MAP_1M);
	map_make_asked(map_keys);
	nums m = map_filled(0);
	int64_t cpu = bench_cpu(), wall = bench_wall();
	for (size_t i = 0; i < map_n; i++)
		nums_del(m, map_asked[i]);
	bench_print("map_del_1m", bench_cpu() - cpu, bench_wall() - wall, (int64_t)map_n, "");
}

// Of four operations two look up, one deletes, one inserts; half of the keys are there.
static void
map_mixed_body(int64_t n)
{
	static uint64_t x = 1;
	uint64_t found = 0;
	for (int64_t i = 0; i < n; i++) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		uint64_t key = map_keys[(x >> 33) % map_n];
		switch (x >> 62) {
		case 0:
			nums_put(map_m, key, x);
			break;
		case 1:
			nums_del(map_m, key);
			break;
		default:
			found += nums_get(map_m, key) != NULL;
		}
	}
	map_sink = found;
}

static void
map_mixed_row(const char *row, size_t n)
{
	map_make_keys(n);
	map_m = map_filled(0);
	map_mixed_body((int64_t)n * 4);
	bench_row(row, map_mixed_body, 1);
}

// --- texts ---------------------------------------------------------------------------------------

static const char *
map_text_at(size_t i)
{
	return map_text + i * (map_text_bytes + 4);
}

static void
map_text_body(int64_t n)
{
	uint64_t sum = 0;
	for (int64_t left = n; left > 0; left -= (int64_t)map_asks) {
		size_t most = left < (int64_t)map_asks ? (size_t)left : map_asks;
		for (size_t i = 0; i < most; i++)
			sum += *texts_get(map_t, map_text_at((size_t)map_asked[i]), map_text_bytes);
	}
	map_sink = sum;
}

static void
map_text_row(const char *row, size_t n, size_t bytes)
{
	map_make_keys(n);
	map_text_bytes = bytes;
	map_text = (char *)map_array(n * (bytes + 4));
	char *copy = (char *)map_array(n * (bytes + 4));
	uint64_t *number = (uint64_t *)map_array(n * sizeof(uint64_t));
	map_t = texts_new(0);
	for (size_t i = 0; i < n; i++) {
		char *p = map_text + i * (bytes + 4);
		memset(p, 'x', bytes);
		snprintf(p + bytes - MAP_SHORT, MAP_SHORT + 1, "key %08d", (int)i);
		number[i] = i;
	}
	map_make_asked(number);
	free(number);
	memcpy(copy, map_text, n * (bytes + 4)); // the map's keys lie elsewhere
	for (size_t i = 0; i < n; i++)
		texts_put(map_t, copy + i * (bytes + 4), bytes, i);
	map_text_body((int64_t)n);
	bench_row(row, map_text_body, 1);
}

// --- all of them ---------------------------------------------------------------------------------

#define MAP_ROW(name, call)                \
	static void map_row_##name(void)   \
	{                                  \
		const char *row = #name;   \
		call;                      \
	}

MAP_ROW(map_get_8, map_lookup_row(row, MAP_SMALL, map_get_body))
MAP_ROW(map_get_1k, map_lookup_row(row, MAP_1K, map_get_body))
MAP_ROW(map_get_10k, map_lookup_row(row, MAP_10K, map_get_body))
MAP_ROW(map_get_100k, map_lookup_row(row, MAP_100K, map_get_body))
MAP_ROW(map_get_1m, map_lookup_row(row, MAP_1M, map_get_body))
MAP_ROW(map_get_10m, map_lookup_row(row, MAP_10M, map_get_body))
MAP_ROW(map_miss_8, map_lookup_row(row, MAP_SMALL, map_miss_body))
MAP_ROW(map_miss_1k, map_lookup_row(row, MAP_1K, map_miss_body))
MAP_ROW(map_miss_1m, map_lookup_row(row, MAP_1M, map_miss_body))
MAP_ROW(map_each_1k, map_lookup_row(row, MAP_1K, map_each_body))
MAP_ROW(map_each_1m, map_lookup_row(row, MAP_1M, map_each_body))
MAP_ROW(map_fill_8, map_fill_row(row, MAP_SMALL, 0))
MAP_ROW(map_fill_1k, map_fill_row(row, MAP_1K, 0))
MAP_ROW(map_fill_1m, map_fill_row(row, MAP_1M, 0))
MAP_ROW(map_fill_10m, map_fill_row(row, MAP_10M, 0))
MAP_ROW(map_room_1k, map_fill_row(row, MAP_1K, MAP_1K))
MAP_ROW(map_room_1m, map_fill_row(row, MAP_1M, MAP_1M))
MAP_ROW(map_mixed_1k, map_mixed_row(row, MAP_1K))
MAP_ROW(map_mixed_1m, map_mixed_row(row, MAP_1M))
MAP_ROW(map_text_1k, map_text_row(row, MAP_1K, MAP_SHORT))
MAP_ROW(map_text_1m, map_text_row(row, MAP_1M, MAP_SHORT))
MAP_ROW(map_long_1k, map_text_row(row, MAP_1K, MAP_LONG))

#define MAP_ENTRY(name) {#name, map_row_##name}

static const struct bench_entry map_rows[] = {
	MAP_ENTRY(map_get_8),    MAP_ENTRY(map_get_1k),   MAP_ENTRY(map_get_1m),
	MAP_ENTRY(map_get_10k),  MAP_ENTRY(map_get_100k),
	MAP_ENTRY(map_get_10m),  MAP_ENTRY(map_miss_8),   MAP_ENTRY(map_miss_1k),
	MAP_ENTRY(map_miss_1m),  MAP_ENTRY(map_each_1k),  MAP_ENTRY(map_each_1m),
	MAP_ENTRY(map_fill_8),   MAP_ENTRY(map_fill_1k),  MAP_ENTRY(map_fill_1m),
	MAP_ENTRY(map_fill_10m), MAP_ENTRY(map_room_1k),  MAP_ENTRY(map_room_1m),
	MAP_ENTRY(map_worst_10m), MAP_ENTRY(map_del_1m),  MAP_ENTRY(map_mixed_1k),
#ifdef NUMS_COLLECT_NOT
	MAP_ENTRY(map_worst_gc_10m),
#endif
	MAP_ENTRY(map_mixed_1m), MAP_ENTRY(map_text_1k),  MAP_ENTRY(map_text_1m),
	MAP_ENTRY(map_long_1k),  MAP_ENTRY(map_worst_own_10m),
};
enum { MAP_ROW_COUNT = sizeof map_rows / sizeof map_rows[0] };

#endif
