// SPDX-License-Identifier: BSD-3-Clause
// A child of fork calls the library, which its process has not got any more: it dies of that with
// a clean line, on whatever thread the fork was made, and does not hang. Its parent goes on.
#include "goroutines.h"

#include <pthread.h>
#include <sys/wait.h>
#include <undergo/heap.h>

static go_chan *chan;
static long *object;

static void
calls_gc(void)
{
	go_gc();
}

static void
calls_alloc(void)
{
	(void)go_alloc(64);
}

static void
calls_try_alloc(void)
{
	(void)go_try_alloc(64, 0, GO_ALLOC_SCAN);
}

static void
calls_free(void)
{
	go_free(object);
}

static void
calls_chan(void)
{
	long v;
	go_chan_recv(chan, &v, GO_NEVER);
}

static void
nothing(void *unused)
{
	(void)unused;
}

static void
calls_spawn(void)
{
	go_spawn(nothing, NULL);
}

static void
calls_sleep(void)
{
	go_sleep(GO_MSEC);
}

static void (*const calls[])(void) = {calls_gc,   calls_alloc, calls_try_alloc, calls_free,
				      calls_chan, calls_spawn, calls_sleep};

// Reads the object, and says that it has come back, which it must not.
static void
fork_and(void (*call)(void))
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		if (*object != 77)
			_exit(9);
		call();
		_exit(8);
	}
	expect(pid > 0);
	while (waitpid(pid, &status, 0) < 0)
		expect_eq(errno, EINTR);
	expect(WIFEXITED(status));
	expect_eq(WEXITSTATUS(status), 2);
}

static void *
fork_all(void *unused)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		fork_and(calls[i]);
		go_gc();
		expect_eq(*object, 77);
	}
	return unused;
}

static void *
fork_unattached(void *unused)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		fork_and(calls[i]);
	return unused;
}

static int
fork_everywhere(void *unused)
{
	pthread_t t;
	object = go_new(long);
	*object = 77;
	chan = go_chan_new(sizeof(long), 1);
	fork_all(unused);
	expect_eq(pthread_create(&t, NULL, fork_all, NULL), 0);
	pthread_join(t, NULL);
	expect_eq(pthread_create(&t, NULL, fork_unattached, NULL), 0);
	pthread_join(t, NULL);
	go_gc();
	expect_eq(*object, 77);
	printf("the parent goes on\n");
	return 0;
}

DEATH(fork_calls)
{
	go_run(fork_everywhere, NULL);
}

// A process that has not called the library yet may fork as it likes.
static int
alloc_and_collect(void *unused)
{
	(void)unused;
	(void)go_alloc(64);
	go_gc();
	return 0;
}

DEATH(fork_before)
{
	int status;
	pid_t pid = fork();
	expect_eq(go_run(alloc_and_collect, NULL), 0);
	if (pid == 0)
		_exit(7);
	expect_eq(waitpid(pid, &status, 0), pid);
	expect(WIFEXITED(status));
	expect_eq(WEXITSTATUS(status), 7);
	printf("both\n");
}

void
test_fatal_fork(void)
{
	expect_death(fork_calls, .status = 0, .out = "the parent goes on\n",
		     .err_has = {"fatal error: call of undergo in the child of a fork\n"},
		     .limit_ms = 20000);
	expect_death(fork_before, .status = 0, .out = "both\n");
}
