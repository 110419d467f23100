// SPDX-License-Identifier: BSD-3-Clause
// The end of a process beside threads of the program that the runtime knows, and what is no
// deadlock: a goroutine in a call of the system, announced or not, locked to its thread or not.
//
// What wakes the sleepers from outside is a signal, whose handler writes to a pipe: no thread that
// could be counted stands behind it.
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "child.h"
#include "goroutines.h"

static void
wants(const char *name, int status, const char *text, int times)
{
	static ChildEnd child;
	char procs[] = "GOMAXPROCS=2";
	char *env[] = {procs, NULL};
	for (int i = 0; i < times; i++) {
		child_run(&child, name, env, 20000);
		bool fine = child.status == status && strstr(child.text, text) == child.text &&
			    (text[0] != '\0' || child.bytes == 0);
		if (!fine)
			printf("%s: ended with %d\n%s\n", name, child.status, child.text);
		fflush(stdout);
		expect(fine);
	}
}

// --- exit ---------------------------------------------------------------------------------------

static go_chan *quiet, *busy;

static void *
wait_for_ever(void *unused)
{
	go_chan_recv(quiet, NULL, GO_NEVER);
	return unused;
}

static void *
talk_for_ever(void *unused)
{
	long v = 1;
	for (;;) {
		go_chan_send(busy, &v, GO_NEVER);
		go_chan_recv(busy, &v, GO_NEVER);
	}
	return unused;
}

static void *
call_once(void *unused)
{
	go_id();
	return unused;
}

static void *
come_and_go(void *unused)
{
	pthread_t t;
	for (;;) {
		if (pthread_create(&t, NULL, call_once, NULL) == 0)
			pthread_join(t, NULL);
	}
	return unused;
}

static void
call_at_exit(void)
{
	long v = 2;
	if (go_chan_send(busy, &v, go_in(GO_MSEC)) == 0)
		go_chan_recv(busy, &v, go_in(GO_MSEC));
}

static void
start_threads(void)
{
	pthread_t t;
	void *(*const all[])(void *) = {wait_for_ever, talk_for_ever, talk_for_ever, come_and_go};
	quiet = go_chan_new(0, 0);
	busy = go_chan_new(sizeof(long), 4);
	atexit(call_at_exit);
	for (int i = 0; i < 8; i++)
		expect_eq(pthread_create(&t, NULL, all[i % 4], NULL), 0);
}

DEATH(foreign_exit)
{
	start_threads();
	usleep(2000);
	exit(7);
}

static void *
exit_on_thread(void *unused)
{
	(void)unused;
	go_sleep(2 * GO_MSEC);
	exit(8);
}

static int
wait_in_main(void *unused)
{
	wait_for_ever(unused);
	return 0;
}

DEATH(foreign_thread_exits)
{
	pthread_t t;
	start_threads();
	expect_eq(pthread_create(&t, NULL, exit_on_thread, NULL), 0);
	go_run(wait_in_main, NULL);
}

DEATH(foreign_thread_exits_here)
{
	pthread_t t;
	start_threads();
	expect_eq(pthread_create(&t, NULL, exit_on_thread, NULL), 0);
	go_run_here(wait_in_main, NULL);
}

// The first thread ends, the process does not.
DEATH(foreign_first_ends)
{
	pthread_t t;
	start_threads();
	expect_eq(pthread_create(&t, NULL, exit_on_thread, NULL), 0);
	go_id();
	pthread_exit(NULL);
}

void
test_foreign_exit(void)
{
	wants("foreign_exit", 7, "", 5);
	wants("foreign_thread_exits", 8, "", 5);
	wants("foreign_thread_exits_here", 8, "", 5);
	wants("foreign_first_ends", 8, "", 5);
}

// --- panics -------------------------------------------------------------------------------------

static void *
close_twice(void *unused)
{
	go_chan *c = go_chan_new(0, 0);
	go_chan_close(c);
	go_chan_close(c);
	return unused;
}

DEATH(foreign_panics)
{
	pthread_t t;
	expect_eq(pthread_create(&t, NULL, close_twice, NULL), 0);
	pthread_join(t, NULL);
}

void
test_foreign_panic(void)
{
	wants("foreign_panics", 2, "panic: close of closed channel\n\ngoroutine ", 1);
}

// --- no deadlock --------------------------------------------------------------------------------

enum { WAKE_MS = 60 };
static int pipe_fd[2];

static void
wake_by_signal(int unused)
{
	(void)unused;
	expect(write(pipe_fd[1], "", 1) == 1);
}

static void
read_pipe(void)
{
	char byte;
	while (read(pipe_fd[0], &byte, 1) != 1)
		expect(errno == EINTR);
}

static void
wait_and_say(void *c)
{
	expect_eq(go_chan_recv(((go_chan **)c)[0], NULL, GO_NEVER), GO_ECLOSED);
	go_chan_close(((go_chan **)c)[1]);
}

// Everybody else waits for the one that is in the system.
static int
block_in_system(void *announced)
{
	go_chan *c[2] = {go_chan_new(0, 0), go_chan_new(0, 0)};
	struct sigaction sa = {.sa_handler = wake_by_signal};
	struct itimerval soon = {.it_value.tv_usec = WAKE_MS * 1000};
	expect_eq(pipe(pipe_fd), 0);
	expect_eq(sigaction(SIGALRM, &sa, NULL), 0);
	expect_eq(go_spawn(wait_and_say, c), 0);
	go_yield();
	expect_eq(setitimer(ITIMER_REAL, &soon, NULL), 0);
	if (announced != NULL)
		go_block_begin();
	read_pipe();
	if (announced != NULL)
		go_block_end();
	go_chan_close(c[0]);
	expect_eq(go_chan_recv(c[1], NULL, GO_NEVER), GO_ECLOSED);
	puts("OK");
	return 0;
}

static int
block_locked(void *announced)
{
	go_lock_os_thread();
	return block_in_system(announced);
}

static int yes;

DEATH(system_plain)
{
	expect_eq(go_run(block_in_system, NULL), 0);
}

DEATH(system_announced)
{
	expect_eq(go_run(block_in_system, &yes), 0);
}

DEATH(system_locked)
{
	expect_eq(go_run(block_locked, NULL), 0);
}

DEATH(system_locked_announced)
{
	expect_eq(go_run(block_locked, &yes), 0);
}

DEATH(system_here)
{
	expect_eq(go_run_here(block_in_system, NULL), 0);
}

DEATH(system_here_announced)
{
	expect_eq(go_run_here(block_in_system, &yes), 0);
}

// On a thread of the program, which is none of ours while it is in the system.
DEATH(system_thread)
{
	expect_eq(block_in_system(&yes), 0);
}

void
test_no_deadlock_in_the_system(void)
{
	wants("system_plain", 0, "OK\n", 1);
	wants("system_announced", 0, "OK\n", 1);
	wants("system_locked", 0, "OK\n", 1);
	wants("system_locked_announced", 0, "OK\n", 1);
	wants("system_here", 0, "OK\n", 1);
	wants("system_here_announced", 0, "OK\n", 1);
	wants("system_thread", 0, "OK\n", 1);
}

// --- the first thread comes last -----------------------------------------------------------------

static void *
collect(void *unused)
{
	(void)go_alloc_data(64);
	go_gc();
	return unused;
}

// Where its stack is, it finds in a file that the collector has kept open.
DEATH(first_without_descriptors)
{
	pthread_t thread;
	struct rlimit few = {16, 16};
	GO_MAP(int, int) none = {0};
	expect_eq(pthread_create(&thread, NULL, collect, NULL), 0);
	expect_eq(pthread_join(thread, NULL), 0);
	expect_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (open("/dev/null", O_RDONLY) >= 0)
		;
	(void)go_map_at(none, 1);
}

void
test_foreign_first_without_descriptors(void)
{
	expect_death(first_without_descriptors, .status = 2,
		     .err = "panic: assignment to entry in nil map\n");
}
