// SPDX-License-Identifier: BSD-3-Clause
// undergo/local.h: values belong to their goroutine and are destroyed when it ends, on it.
#include <undergo.h>

#include <pthread.h>
#include <stdatomic.h>

#include "harness.h"

static go_local_key key, other_key;
static atomic_int destroyed;
static atomic_int rounds;

static void
destroy(void *value)
{
	expect(go_local_get(key) == NULL); // taken out before
	expect_eq(*(uint64_t *)value, go_id());
	go_sleep(GO_MSEC / 2); // it may block
	expect_eq(*(uint64_t *)value, go_id());
	atomic_fetch_add(&destroyed, 1);
}

static int
carry(void *arg)
{
	(void)arg;
	uint64_t id = go_id();
	uint64_t *value = &id;
	static uint64_t ids[1 << 16];
	expect(go_local_get(key) == NULL);
	ids[id % (1 << 16)] = id;
	value = &ids[id % (1 << 16)];
	expect_eq(go_local_set(key, value), 0);
	expect_eq(go_local_set(other_key, &id), 0);
	go_yield();
	expect(go_local_get(key) == value && go_local_get(other_key) == &id);
	expect_eq(go_local_set(other_key, NULL), 0);
	go_sleep(GO_USEC * 100);
	expect(go_local_get(key) == value && go_local_get(other_key) == NULL);
	if (id % 2 != 0)
		go_exit();
	return 0;
}

static int
belong(void *arg)
{
	(void)arg;
	go_scope s;
	expect_eq(go_local_key_new(&key, destroy), 0);
	expect_eq(go_local_key_new(&other_key, NULL), 0);
	expect(key.id != 0 && key.id != other_key.id);
	for (int round = 0; round < 10; round++) {
		go_scope_open(&s, GO_NEVER);
		for (int i = 0; i < 20; i++)
			expect_eq(go_scope_spawn(&s, carry, NULL), 0);
		expect_eq(go_scope_wait(&s), 0);
		expect_eq(atomic_load(&destroyed), 20 * (round + 1)); // a child's end includes it
	}
	expect(go_local_get(key) == NULL);
	return 0;
}

void
test_local_belongs_to_goroutine(void)
{
	expect_eq(go_run(belong, NULL), 0);
}

static int
keys(void *arg)
{
	(void)arg;
	go_local_key all[1024], none = {0}, unmade = {1024}, wild = {UINT32_MAX};
	int x;
	expect_eq(go_local_key_new(NULL, NULL), GO_EINVAL);
	expect_eq(go_local_set(none, &x), GO_EINVAL);
	expect_eq(go_local_set(unmade, &x), GO_EINVAL);
	expect_eq(go_local_set(wild, &x), GO_EINVAL);
	expect(go_local_get(none) == NULL && go_local_get(wild) == NULL);
	for (int i = 0; i < 1024; i++) {
		expect_eq(go_local_key_new(&all[i], NULL), 0);
		expect_eq(go_local_set(all[i], &all[i]), 0);
	}
	expect_eq(go_local_key_new(&none, NULL), GO_ENOMEM);
	for (int i = 0; i < 1024; i++)
		expect(go_local_get(all[i]) == &all[i]);
	return 0;
}

void
test_local_keys(void)
{
	expect_eq(go_run(keys, NULL), 0);
}

static void
set_again(void *value)
{
	atomic_fetch_add(&rounds, 1);
	expect_eq(go_local_set(key, value), 0);
	expect_eq(go_local_set(other_key, value), 0);
}

static int
set_once(void *arg)
{
	expect_eq(go_local_set(key, arg), 0);
	return 0;
}

static int
stubborn(void *arg)
{
	(void)arg;
	go_scope s;
	int x;
	expect_eq(go_local_key_new(&key, set_again), 0);
	for (int i = 0; i < 100; i++)
		expect_eq(go_local_key_new(&other_key, NULL), 0); // makes the array grow meanwhile
	go_scope_open(&s, GO_NEVER);
	expect_eq(go_scope_spawn(&s, set_once, &x), 0);
	expect_eq(go_scope_wait(&s), 0);
	int n = atomic_load(&rounds);
	expect(n >= 2 && n <= 16);
	return 0;
}

// A destructor that sets its value again is called again, not for ever.
void
test_local_destructor_rounds(void)
{
	expect_eq(go_run(stubborn, NULL), 0);
}

static void
set_again_and_exit(void *value)
{
	atomic_fetch_add(&rounds, 1);
	expect_eq(go_local_set(key, value), 0);
	go_exit();
}

static void
count_other(void *value)
{
	atomic_fetch_add((atomic_int *)value, 1);
	go_exit();
}

static int
set_both(void *others)
{
	expect_eq(go_local_set(key, others), 0);
	expect_eq(go_local_set(other_key, others), 0);
	return 0;
}

static int
exiting(void *unused)
{
	(void)unused;
	go_scope s;
	atomic_int others = 0;
	expect_eq(go_local_key_new(&key, set_again_and_exit), 0);
	expect_eq(go_local_key_new(&other_key, count_other), 0);
	go_scope_open(&s, GO_NEVER);
	expect_eq(go_scope_spawn(&s, set_both, &others), 0);
	expect_eq(go_scope_wait(&s), 0);
	int n = atomic_load(&rounds);
	expect(n >= 2 && n <= 16);
	expect_eq(atomic_load(&others), 1);
	return 0;
}

// The same when each ends the goroutine once more; those behind it are called all the same.
void
test_local_destructors_that_exit(void)
{
	expect_eq(go_run(exiting, NULL), 0);
}

static void
count_destroyed(void *value)
{
	(void)value;
	atomic_fetch_add(&destroyed, 1);
}

static void *
on_thread(void *arg)
{
	expect(go_local_get(key) == NULL);
	expect_eq(go_local_set(key, arg), 0);
	expect(go_local_get(key) == arg);
	return NULL;
}

void
test_local_on_a_thread(void)
{
	pthread_t other;
	int x;
	expect_eq(go_local_key_new(&key, count_destroyed), 0);
	for (int i = 0; i < 3; i++) {
		expect_eq(pthread_create(&other, NULL, on_thread, &x), 0);
		pthread_join(other, NULL);
		expect_eq(atomic_load(&destroyed), i + 1);
	}
	expect(go_local_get(key) == NULL);
}
