// SPDX-License-Identifier: BSD-3-Clause
// Misuse of mutexes, counters and semaphores: the text and the exit status of each way to die.
#include <stdint.h>
#include <string.h>

#include "harness.h"
#include "undergo.h"

DEATH(mutex_unlocked)
{
	go_mutex m = GO_MUTEX_INIT;
	go_mutex_unlock(&m);
}

DEATH(mutex_unlocked_twice)
{
	go_mutex m = GO_MUTEX_INIT;
	go_mutex_lock(&m);
	go_mutex_unlock(&m);
	go_mutex_unlock(&m);
}

static int
cond_unlocked(void *arg)
{
	(void)arg;
	go_mutex m = GO_MUTEX_INIT;
	go_cond c = {0};
	return go_cond_wait(&c, &m, GO_NEVER);
}

DEATH(cond_unlocked)
{
	go_run(cond_unlocked, NULL);
}

void
test_fatal_mutex_unlocked(void)
{
	const char *text = "fatal error: sync: unlock of unlocked mutex\n";
	expect_death(mutex_unlocked, .status = 2, .err = text);
	expect_death(mutex_unlocked_twice, .status = 2, .err = text);
	expect_death(cond_unlocked, .status = 2, .err = text);
}

DEATH(rwmutex_runlock)
{
	go_rwmutex rw = {0};
	go_rwmutex_runlock(&rw);
}

DEATH(rwmutex_runlock_writer)
{
	go_rwmutex rw = {0};
	go_rwmutex_lock(&rw);
	go_rwmutex_runlock(&rw);
}

DEATH(rwmutex_unlock)
{
	go_rwmutex rw = {0};
	go_rwmutex_unlock(&rw);
}

DEATH(rwmutex_unlock_reader)
{
	go_rwmutex rw = {0};
	go_rwmutex_rlock(&rw);
	go_rwmutex_unlock(&rw);
}

void
test_fatal_rwmutex(void)
{
	const char *reader = "fatal error: sync: RUnlock of unlocked RWMutex\n";
	const char *writer = "fatal error: sync: Unlock of unlocked RWMutex\n";
	expect_death(rwmutex_runlock, .status = 2, .err = reader);
	expect_death(rwmutex_runlock_writer, .status = 2, .err = reader);
	expect_death(rwmutex_unlock, .status = 2, .err = writer);
	expect_death(rwmutex_unlock_reader, .status = 2, .err = writer);
}

DEATH(wg_negative)
{
	go_waitgroup wg = {0};
	go_wg_add(&wg, 1);
	go_wg_done(&wg);
	go_wg_done(&wg);
}

// As it stands between the last done and the waking of those who wait.
DEATH(wg_misuse)
{
	go_waitgroup wg = {.state = 1};
	go_wg_add(&wg, 1);
}

void
test_fatal_waitgroup(void)
{
	expect_death(wg_negative, .status = 2, .err = "panic: sync: negative WaitGroup counter\n");
	expect_death(wg_misuse, .status = 2,
		     .err = "panic: sync: WaitGroup misuse: Add called concurrently with Wait\n");
}

DEATH(sem_overflow)
{
	go_sem s;
	go_sem_init(&s, UINT32_MAX);
	go_sem_release(&s, 1);
}

void
test_fatal_sem(void)
{
	expect_death(sem_overflow, .status = 2,
		     .err = "panic: sync: semaphore count out of range\n");
}
