// SPDX-License-Identifier: BSD-3-Clause
// Goroutines that block in the system or compute for ever hold nobody up: the lease.
//
// Nothing here measures time. What is not let go on in time runs into the test's limit.
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "goroutines.h"

static Count ran;
static atomic_bool stop;

static void
run_a_while(void *unused)
{
	(void)unused;
	for (int i = 0; i < 10; i++)
		go_yield();
	expect_eq(go_sleep(GO_MSEC), 0);
	count_add(&ran);
}

static void
spawn_some(int n)
{
	for (int i = 0; i < n; i++)
		expect_eq(go_spawn(run_a_while, NULL), 0);
}

// --- blocking ---------------------------------------------------------------------------------

static int pipe_fd[2];
static Count readers_done;

static void
read_pipe(void *unused)
{
	(void)unused;
	char byte;
	expect_eq(read(pipe_fd[0], &byte, 1), 1);
	count_add(&readers_done);
}

// On one P, a goroutine that waits in read(2) lets the others run; then it gets its byte.
GO_TEST(block_in_read_lets_others_run, 1)
{
	expect_eq(pipe(pipe_fd), 0);
	expect_eq(go_spawn(read_pipe, NULL), 0);
	go_yield();
	spawn_some(100);
	until(count_of(&ran) == 100);
	expect_eq(count_of(&readers_done), 0);
	expect_eq(write(pipe_fd[1], "x", 1), 1);
	until(count_of(&readers_done) == 1);
}

// The main goroutine too.
static void
write_pipe(void *unused)
{
	(void)unused;
	expect_eq(go_sleep(10 * GO_MSEC), 0);
	expect_eq(write(pipe_fd[1], "x", 1), 1);
}

GO_TEST(block_main_in_read, 1)
{
	expect_eq(pipe(pipe_fd), 0);
	for (int i = 0; i < 20; i++) {
		char byte = 0;
		expect_eq(go_spawn(write_pipe, NULL), 0);
		expect_eq(read(pipe_fd[0], &byte, 1), 1);
		expect_eq(byte, 'x');
	}
}

// 200 wait in read(2) at once, on one P; all get their byte.
GO_TEST(block_two_hundred_in_read, 1)
{
	static char bytes[200];
	long n = test_scale(200) > 20 ? test_scale(200) : 20;
	if (n > 200)
		n = 200;
	expect_eq(pipe(pipe_fd), 0);
	for (long i = 0; i < n; i++)
		expect_eq(go_spawn(read_pipe, NULL), 0);
	spawn_some(100);
	until(count_of(&ran) == 100);
	expect_eq(count_of(&readers_done), 0);
	expect_eq(write(pipe_fd[1], bytes, (size_t)n), n);
	until(count_of(&readers_done) == n);
}

static void
announced_read(void *unused)
{
	(void)unused;
	char byte;
	for (int i = 0; i < 20; i++) {
		go_block_begin();
		ssize_t got = read(pipe_fd[0], &byte, 1);
		go_block_end();
		expect_eq(got, 1);
	}
	count_add(&readers_done);
}

GO_TEST(block_announced, 1)
{
	expect_eq(pipe(pipe_fd), 0);
	for (int i = 0; i < 10; i++)
		expect_eq(go_spawn(announced_read, NULL), 0);
	spawn_some(100);
	until(count_of(&ran) == 100);
	for (int i = 0; i < 200; i++) {
		expect_eq(write(pipe_fd[1], "x", 1), 1);
		if (i % 3 == 0)
			go_yield();
	}
	until(count_of(&readers_done) == 10);
}

// Before a call that is announced the last processor is given up even with nothing to do yet: what
// a thread starts meanwhile runs, and a timer fires, without the monitor taking anything. It may do
// so when this machine runs others between our calls, so that is tried until it does not.
static Count begun, spawned, timed;

static void
count_one(void *c)
{
	count_add(c);
}

static void *
spawn_beside(void *fd)
{
	while (count_of(&begun) == 0)
		usleep(100);
	usleep(5000); // its thread is in the read by now, and has lost the P
	expect_eq(go_spawn(count_one, &spawned), 0);
	while (count_of(&spawned) == 0 || count_of(&timed) == 0)
		usleep(100);
	expect_eq(write(*(int *)fd, "x", 1), 1);
	return NULL;
}

// How many Ps the monitor took.
static uint64_t
announce_with_company(void)
{
	pthread_t thread;
	char byte;
	go_stats before, after;
	atomic_store(&begun, 0);
	atomic_store(&spawned, 0);
	atomic_store(&timed, 0);
	expect_eq(pthread_create(&thread, NULL, spawn_beside, &pipe_fd[1]), 0);
	go_timer *t = go_after_func(30 * GO_MSEC, count_one, &timed);
	go_stats_read(&before);
	count_add(&begun);
	go_block_begin();
	expect_eq(read(pipe_fd[0], &byte, 1), 1);
	go_block_end();
	go_stats_read(&after);
	go_timer_free(t);
	expect_eq(pthread_join(thread, NULL), 0);
	return after.retakes - before.retakes;
}

GO_TEST(block_announced_gives_the_last_p, 1)
{
	expect_eq(pipe(pipe_fd), 0);
	while (announce_with_company() != 0)
		;
}

// Two processes' worth of blocking talk over a socket pair, on one P: each byte needs the
// other side.
static int pair[2];

static void
echo(void *unused)
{
	(void)unused;
	char byte;
	while (read(pair[1], &byte, 1) == 1)
		expect_eq(write(pair[1], &byte, 1), 1);
	count_add(&readers_done);
}

GO_TEST(block_echo_on_one_p, 1)
{
	expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	expect_eq(go_spawn(echo, NULL), 0);
	for (long i = 0; i < test_scale(1000); i++) {
		char byte = (char)i, back = 0;
		expect_eq(write(pair[0], &byte, 1), 1);
		expect_eq(read(pair[0], &back, 1), 1);
		expect_eq(back, byte);
	}
	close(pair[0]);
	until(count_of(&readers_done) == 1);
}

// Misused, the announcement does no harm: twice, without its end, without its begin, with calls
// of the library between, on a thread.
static void
misuse(void *unused)
{
	(void)unused;
	for (int i = 0; i < 50; i++) {
		go_block_begin();
		go_block_begin();
		usleep(50);
		go_block_end();
		go_block_end();
		go_block_end();
		go_block_begin();
		go_yield();
		go_block_begin();
		expect_eq(go_sleep(20 * GO_USEC), 0);
		go_block_end();
		go_block_begin();
		run_a_while(NULL);
	}
	count_add(&readers_done);
	go_block_begin(); // and ends so
}

GO_TEST(block_misused, 1)
{
	go_block_end();
	for (int i = 0; i < 5; i++)
		expect_eq(go_spawn(misuse, NULL), 0);
	spawn_some(50);
	until(count_of(&readers_done) == 5 && count_of(&ran) == 50 + 5 * 50);
}

void
test_block_on_thread(void)
{
	go_block_begin(); // the runtime is not even started
	go_block_end();
	go_id();
	go_block_begin();
	go_block_begin();
	go_block_end();
	expect_eq(go_spawn(run_a_while, NULL), 0);
	go_block_end();
	while (count_of(&ran) != 1)
		usleep(1000);
}

// --- computing --------------------------------------------------------------------------------

static void
spin_until_stop(void *unused)
{
	(void)unused;
	volatile unsigned long spins = 0;
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		spins++;
	count_add(&readers_done);
}

static _Noreturn void
spin_for_ever(void *unused)
{
	(void)unused;
	volatile unsigned long spins = 0;
	for (;;)
		spins++;
}

static void
spinners_do_not_stop_others(int spinners)
{
	for (int i = 0; i < spinners; i++)
		expect_eq(go_spawn(spin_for_ever, NULL), 0);
	for (int i = 0; i < 5; i++) {
		spawn_some(20);
		until(count_of(&ran) == 20 * (i + 1));
	}
}

// Goroutines that never call again leave the others their P.
GO_TEST(spin_on_one_p, 1)
{
	spinners_do_not_stop_others(1);
}

GO_TEST(spin_three_on_two_ps, 2)
{
	spinners_do_not_stop_others(3);
}

GO_TEST(spin_main, 1)
{
	volatile unsigned long spins = 0;
	spawn_some(20);
	while (count_of(&ran) != 20) // does not call the runtime
		spins++;
}

// One that spun and lost its lease goes on when it calls again.
static void
spin_then_call(void *unused)
{
	(void)unused;
	for (int i = 0; i < 5; i++) {
		compute_for(15 * GO_MSEC); // more than a slice
		expect_eq(go_sleep(10 * GO_USEC), 0);
		compute_for(15 * GO_MSEC);
		go_yield();
		compute_for(15 * GO_MSEC);
		spawn_some(1);
	}
	count_add(&readers_done);
}

GO_TEST(spin_continues_after_lease, 1)
{
	go_stats st;
	for (int i = 0; i < 3; i++)
		expect_eq(go_spawn(spin_then_call, NULL), 0);
	spawn_some(20);
	until(count_of(&readers_done) == 3 && count_of(&ran) == 20 + 3 * 5);
	go_stats_read(&st);
	expect(st.retakes > 0);
}

// The world stops, and the number of Ps changes, while goroutines compute.
GO_TEST(spin_does_not_stop_stopping, 2)
{
	for (int i = 0; i < 2; i++)
		expect_eq(go_spawn(spin_until_stop, NULL), 0);
	for (int i = 0; i < 20; i++) {
		go_gomaxprocs(1 + i % 4);
		spawn_some(5);
		until(count_of(&ran) == 5 * (i + 1));
	}
	atomic_store(&stop, true);
	until(count_of(&readers_done) == 2);
}

// And while they block in the system.
GO_TEST(block_does_not_stop_stopping, 2)
{
	expect_eq(pipe(pipe_fd), 0);
	for (int i = 0; i < 10; i++)
		expect_eq(go_spawn(read_pipe, NULL), 0);
	for (int i = 0; i < 50; i++)
		go_gomaxprocs(1 + i % 4);
	spawn_some(20);
	until(count_of(&ran) == 20);
	expect_eq(write(pipe_fd[1], "0123456789", 10), 10);
	until(count_of(&readers_done) == 10);
}

// Work that a goroutine made and left in its own queue before it blocked or computed is found.
static void
spawn_then_spin(void *unused)
{
	(void)unused;
	spawn_some(10);
	spin_until_stop(NULL);
}

GO_TEST(spin_leaves_its_work_to_others, 2)
{
	expect_eq(go_spawn(spawn_then_spin, NULL), 0);
	expect_eq(go_spawn(spawn_then_spin, NULL), 0);
	until(count_of(&ran) == 20);
	atomic_store(&stop, true);
	until(count_of(&readers_done) == 2);
}

static void
hand_over_then_block(void *unused)
{
	(void)unused;
	char byte;
	spawn_some(1); // it waits in P.next
	expect_eq(read(pipe_fd[0], &byte, 1), 1);
	count_add(&readers_done);
}

GO_TEST(block_leaves_next_to_others, 2)
{
	expect_eq(pipe(pipe_fd), 0);
	for (int i = 1; i <= 50; i++) {
		expect_eq(go_spawn(hand_over_then_block, NULL), 0);
		until(count_of(&ran) == i);
		expect_eq(write(pipe_fd[1], "x", 1), 1);
		until(count_of(&readers_done) == i);
	}
}

// A timer fires though the P it is on is lost to a goroutine that computes, or blocks.
static void
timer_then(void *arg)
{
	bool block = *(bool *)arg;
	char byte;
	expect(go_after_func(2 * GO_MSEC, run_a_while, NULL) != NULL);
	if (block)
		expect_eq(read(pipe_fd[0], &byte, 1), 1);
	else
		spin_until_stop(NULL);
}

GO_TEST(block_leaves_timers_to_others, 1)
{
	static bool yes = true, no = false;
	expect_eq(pipe(pipe_fd), 0);
	for (int i = 0; i < 5; i++) {
		expect_eq(go_spawn(timer_then, &yes), 0);
		expect_eq(go_spawn(timer_then, &no), 0);
	}
	while (count_of(&ran) != 10) // in the system, so that nothing here wakes by a timer of ours
		poll(NULL, 0, 1);
	atomic_store(&stop, true);
}
