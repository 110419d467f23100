// SPDX-License-Identifier: BSD-3-Clause
// Deaths while others hold locks for ever: all of the runtime's at once, and the loader's. The
// story is whole, or says what is missing, and the process ends.
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <undergo.h>
#include <unistd.h>

#include "harness.h"
#include "sync/sync.h"

#define KEEP_FRAME() __asm__ volatile("")

static void
wait_beside_locks(void *c)
{
	int v;
	go_chan_recv(c, &v, GO_NEVER);
	KEEP_FRAME();
}

static void
spin_beside_locks(void *unused)
{
	(void)unused;
	for (;;)
		KEEP_FRAME();
}

static int
die_among_locks(void *way)
{
	go_chan *c = go_chan_new(sizeof(int), 0);
	go_mutex m = GO_MUTEX_INIT;
	for (int i = 0; i < 3; i++)
		go_spawn(wait_beside_locks, c);
	go_sleep(20 * GO_MSEC);
	go_spawn(spin_beside_locks, NULL);
	go_sleep(20 * GO_MSEC);
#ifndef NDEBUG
	store_rlx(&lockrank_frozen, true); // order: hint
#endif
	void (*how)(void *) = *(void (**)(void *))way;
	how(&m);
	KEEP_FRAME();
	return 0;
}

static void
by_fatal(void *m)
{
	go_mutex_unlock(m);
	KEEP_FRAME();
}

static void
by_panic(void *unused)
{
	(void)unused;
	go_chan_close(NULL);
	KEEP_FRAME();
}

static volatile int *volatile bad_address = (volatile int *)16;

static void
by_fault(void *unused)
{
	(void)unused;
	*bad_address = 1;
	KEEP_FRAME();
}

static __attribute__((noinline)) int
deeper(int n)
{
	volatile char room[512];
	room[0] = (char)n;
	return n < 0 ? 0 : deeper(n + 1) + room[0];
}

static void
by_overflow(void *unused)
{
	(void)unused;
	deeper(1);
	KEEP_FRAME();
}

static void
by_quit(void *unused)
{
	(void)unused;
	raise(SIGQUIT);
	KEEP_FRAME();
}

#define LOCKED_DEATH(how)                              \
	DEATH(locked_##how)                            \
	{                                              \
		static void (*way)(void *) = how;      \
		go_gomaxprocs(2);                      \
		go_run(die_among_locks, (void *)&way); \
	}
LOCKED_DEATH(by_fatal)
LOCKED_DEATH(by_panic)
LOCKED_DEATH(by_fault)
LOCKED_DEATH(by_overflow)
LOCKED_DEATH(by_quit)

#define WHOLE                                                       \
	.status = 2, .env = "GOTRACEBACK=all",                      \
	.err_has = {"goroutine 1 [",                                \
		    "die_among_locks(...)\n",                       \
		    "go_run(...)\n",                                \
		    "wait_beside_locks(...)\n",                     \
		    "wait_beside_locks(...)\n",                     \
		    "wait_beside_locks(...)\n",                     \
		    "created by die_among_locks in goroutine 1\n"}, \
	.err_lacks = {"stack unavailable"}

void
test_death_among_locks(void)
{
#ifdef NDEBUG
	skip("locks can be held so in debug builds");
#endif
	expect_death(locked_by_fatal, WHOLE,
		     .err = "fatal error: sync: unlock of unlocked mutex\n");
	expect_death(locked_by_panic, WHOLE, .err = "panic: close of nil channel\n");
	expect_death(locked_by_quit, WHOLE, .err = "SIGQUIT: quit\n");
}

void
test_death_among_locks_by_fault(void)
{
#ifdef NDEBUG
	skip("locks can be held so in debug builds");
#endif
	expect_death(locked_by_fault, WHOLE, .err = "fatal error: unexpected signal\n");
	expect_death(locked_by_overflow, WHOLE, .err = "runtime: goroutine stack exceeds ");
}

// --- the loader's lock --------------------------------------------------------------------------

static ATOMIC_BOOL in_loader;

static int
stay_in_loader(struct dl_phdr_info *info, size_t bytes, void *unused)
{
	(void)info;
	(void)bytes;
	(void)unused;
	store_rlx(&in_loader, true); // order: hint
	for (;;)
		pause();
	return 0;
}

static void *
hold_loader(void *unused)
{
	dl_iterate_phdr(stay_in_loader, unused);
	return NULL;
}

DEATH(loader_held)
{
	pthread_t t;
	pthread_create(&t, NULL, hold_loader, NULL);
	while (!load_rlx(&in_loader)) // order: hint
		usleep(1000);
	go_chan_close(NULL);
}

void
test_death_beside_a_held_loader(void)
{
	expect_death(loader_held, .status = 2, .err = "panic: close of nil channel\n\ngoroutine ",
		     .err_has = {" [running, thread]:\n?(...)\n\t", " +0x",
				 "\nruntime: a thread holds the loader's lock, so there are no "
				 "names\n"});
}
