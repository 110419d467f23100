// SPDX-License-Identifier: BSD-3-Clause
// What of maps is compiled into programs looks at the mark of who changes the map: with the mark
// set by hand, in a map that is as it should be but for it.
#include "goroutines.h"
#include "map/map_impl.h"

typedef GO_MAP(uint32_t, int) Numbers;
typedef GO_MAP(uint64_t, int) Words;
typedef GO_MAP(go_bytes, int) Texts;

#define READ_WRITE "fatal error: concurrent map read and map write\n"
#define ITERATION_WRITE "fatal error: concurrent map iteration and map write\n"
#define MARK(m) store_rlx(&(m).map->writer, sched_g()) // order: own

static int
find_marked_32(void *unused)
{
	Numbers numbers;
	(void)unused;
	(void)go_map_init(numbers, 0);
	go_map_put(numbers, 1, 1);
	MARK(numbers);
	return go_map_get(numbers, 1);
}

static int
find_marked_64(void *unused)
{
	Words m;
	(void)unused;
	(void)go_map_init(m, 0);
	go_map_put(m, 1, 1);
	MARK(m);
	return go_map_get(m, 2);
}

static int
find_marked_text(void *unused)
{
	Texts m;
	(void)unused;
	(void)go_map_init(m, 0);
	MARK(m);
	return go_map_get(m, ((go_bytes){"key", 3}));
}

static int
next_marked(void *unused)
{
	Words m;
	(void)unused;
	(void)go_map_init(m, 0);
	for (uint64_t i = 0; i < 8; i++)
		go_map_put(m, i, 1);
	go_map_each (m, it)
		MARK(m);
	return 0;
}

DEATH(map_marked_32)
{
	(void)go_run(find_marked_32, NULL);
}

DEATH(map_marked_64)
{
	(void)go_run(find_marked_64, NULL);
}

DEATH(map_marked_text)
{
	(void)go_run(find_marked_text, NULL);
}

DEATH(map_marked_next)
{
	(void)go_run(next_marked, NULL);
}

void
test_map_front_sees_mark(void)
{
	expect_death(map_marked_32, .status = 2, .err = READ_WRITE);
	expect_death(map_marked_64, .status = 2, .err = READ_WRITE);
	expect_death(map_marked_text, .status = 2, .err = READ_WRITE);
	expect_death(map_marked_next, .status = 2, .err = ITERATION_WRITE);
}
