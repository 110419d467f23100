// SPDX-License-Identifier: BSD-3-Clause
// Misuse of maps: the classic three programs, and the others, die with Go's text and status 2, and
// print both goroutines. With GODEBUG=mapcheck=1 each time; how often without it is for `slow`.
#include "child.h"
#include "goroutines.h"

typedef GO_MAP(int, int) Numbers;

static Numbers numbers;

typedef void Use(void);

static void
use_put(void)
{
	for (int i = 0; i < 1000; i++)
		go_map_put(numbers, i, i);
}

static void
use_get(void)
{
	for (int i = 0; i < 1000; i++)
		(void)go_map_get(numbers, i);
}

static void
use_del(void)
{
	for (int i = 0; i < 1000; i++)
		go_map_del(numbers, i);
}

static void
use_each(void)
{
	go_map_each(numbers, it)(void) * it.elem;
}

static void
use_copy(void)
{
	Numbers other;
	(void)go_map_copy(other, numbers);
}

static int
use_for_ever(void *arg)
{
	Use *use = (Use *)(uintptr_t)arg;
	go_name_set(use == use_put ? "writer" : "other");
	while (test_now_ns() != 0) {
		use();
		go_yield();
	}
	return 0;
}

static int
use_together(void *arg)
{
	go_scope s;
	(void)go_map_init(numbers, 0);
	use_put();
	go_scope_open(&s, go_in(30 * GO_SEC));
	(void)go_scope_spawn(&s, use_for_ever, (void *)(uintptr_t)use_put);
	(void)go_scope_spawn(&s, use_for_ever, arg);
	return go_scope_wait(&s);
}

#define TOGETHER(use) go_run(use_together, (void *)(uintptr_t)(use))

DEATH(map_writes)
{
	TOGETHER(use_put);
}

DEATH(map_write_delete)
{
	TOGETHER(use_del);
}

DEATH(map_write_read)
{
	TOGETHER(use_get);
}

DEATH(map_write_iterate)
{
	TOGETHER(use_each);
}

DEATH(map_write_clone)
{
	TOGETHER(use_copy);
}

#define WRITES "fatal error: concurrent map writes\n"
#define READ_WRITE "fatal error: concurrent map read and map write\n"
#define ITERATION_WRITE "fatal error: concurrent map iteration and map write\n"
#define CLONE_WRITE "fatal error: concurrent map clone and map write\n"

// Any pair may be found as two writes by the one that ends its own.
static bool
is_misuse(const char *text, const char *want)
{
	return strncmp(text, want, strlen(want)) == 0 || strncmp(text, WRITES, strlen(WRITES)) == 0;
}

static const struct {
	const char *name;
	const char *want;
} programs[] = {
    {"map_writes", WRITES},           {"map_write_delete", WRITES},
    {"map_write_read", READ_WRITE},   {"map_write_iterate", ITERATION_WRITE},
    {"map_write_clone", CLONE_WRITE},
};

static void
expect_caught(const char *procs, int times)
{
	static ChildEnd end;
	char *env[] = {"GODEBUG=mapcheck=1", (char *)(uintptr_t)procs, NULL};
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		for (int n = 0; n < times; n++) {
			child_run(&end, programs[i].name, env, 20000);
			if (end.status != 2 || !is_misuse(end.text, programs[i].want)) {
				printf("%s: status %d\n%s\n", programs[i].name, end.status,
				       end.text);
				harness_fail(__FILE__, __LINE__, "misuse not caught");
			}
		}
	}
}

void
test_fatal_map_misuse_is_caught(void)
{
	expect_caught("GOMAXPROCS=1", 2);
	expect_caught("GOMAXPROCS=2", 2);
	expect_caught("GOMAXPROCS=4", 2);
}

void
test_fatal_map_misuse_100_in_100(void)
{
	expect_caught("GOMAXPROCS=1", 100);
	expect_caught("GOMAXPROCS=4", 100);
}

// Both goroutines are there, each with its stack: neither runs elsewhere when that is printed.
void
test_fatal_map_misuse_shows_both(void)
{
	static ChildEnd end;
	char *env[] = {"GODEBUG=mapcheck=1", "GOMAXPROCS=4", NULL};
	child_run(&end, "map_write_read", env, 20000);
	expect_eq(end.status, 2);
	expect(strstr(end.text, "\nruntime: the map was being changed by goroutine ") != NULL);
	expect(strstr(end.text, "\"writer\" [") != NULL);
	expect(strstr(end.text, "\"other\" [") != NULL);
	expect(strstr(end.text, "running on other thread") == NULL);
}

DEATH(map_nil)
{
	Numbers none = {0};
	go_map_put(none, 1, 1);
}

void
test_fatal_map_nil(void)
{
	expect_death(map_nil, .status = 2, .err = "panic: assignment to entry in nil map\n");
}
