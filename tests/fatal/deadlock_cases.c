// SPDX-License-Identifier: BSD-3-Clause
// When all goroutines are asleep the process dies and says so; as long as anything can still happen
// it does not.
#include <pthread.h>
#include <sys/wait.h>

#include "goroutines.h"

#define ASLEEP "fatal error: all goroutines are asleep - deadlock!\n"

// --- deadlocks --------------------------------------------------------------------------------

static int
recv_for_ever(void *unused)
{
	(void)unused;
	char byte;
	return go_chan_recv(go_chan_new(1, 0), &byte, GO_NEVER);
}

DEATH(main_receives)
{
	go_run(recv_for_ever, NULL);
}

void
test_deadlock_main_receives(void)
{
	expect_death(main_receives, .status = 2, .err = ASLEEP,
		     .err_has = {"goroutine 1 [chan receive]:"});
}

static int
recv_nil(void *unused)
{
	(void)unused;
	return go_chan_recv(NULL, NULL, GO_NEVER);
}

DEATH(main_receives_nil)
{
	go_run(recv_nil, NULL);
}

static int
select_nothing(void *unused)
{
	(void)unused;
	return go_select(NULL, 0, GO_NEVER);
}

DEATH(main_selects_nothing)
{
	go_run(select_nothing, NULL);
}

static int
lock_twice(void *unused)
{
	(void)unused;
	static go_mutex m;
	go_mutex_lock(&m);
	go_mutex_lock(&m);
	return 0;
}

DEATH(main_locks_twice)
{
	go_run(lock_twice, NULL);
}

static int
wait_for_nobody(void *unused)
{
	(void)unused;
	static go_waitgroup wg;
	go_wg_add(&wg, 1);
	return go_wg_wait(&wg, GO_NEVER);
}

DEATH(main_waits_for_nobody)
{
	go_run(wait_for_nobody, NULL);
}

static int
sleep_for_ever(void *unused)
{
	(void)unused;
	return go_sleep_until(GO_NEVER);
}

DEATH(main_sleeps_for_ever)
{
	go_run(sleep_for_ever, NULL);
}

// Whatever main waits for.
void
test_deadlock_main_waits(void)
{
	expect_death(main_receives_nil, .status = 2, .err = ASLEEP,
		     .err_has = {"goroutine 1 [chan receive (nil chan)]:"});
	expect_death(main_selects_nothing, .status = 2, .err = ASLEEP,
		     .err_has = {"goroutine 1 [select (no cases)]:"});
	expect_death(main_locks_twice, .status = 2, .err = ASLEEP,
		     .err_has = {"goroutine 1 [sync.Mutex.Lock]:"});
	expect_death(main_waits_for_nobody, .status = 2, .err = ASLEEP,
		     .err_has = {"goroutine 1 ["});
	expect_death(main_sleeps_for_ever, .status = 2, .err = ASLEEP,
		     .err_has = {"goroutine 1 [sleep"});
}

static void
recv_too(void *unused)
{
	(void)unused;
	recv_for_ever(NULL);
}

static int
all_receive(void *unused)
{
	for (int i = 0; i < 20; i++)
		go_spawn(recv_too, NULL);
	go_sleep(5 * GO_MSEC); // the last timer there is
	return recv_for_ever(unused);
}

DEATH(many_receive)
{
	go_gomaxprocs(4);
	go_run(all_receive, NULL);
}

void
test_deadlock_many_receive(void)
{
	expect_death(many_receive, .status = 2, .err = ASLEEP,
		     .err_has = {"[chan receive]", "[chan receive]", "[chan receive]"});
}

static void *
recv_on_thread(void *unused)
{
	(void)unused;
	recv_for_ever(NULL);
	return NULL;
}

DEATH(thread_receives_too)
{
	pthread_t thread;
	pthread_create(&thread, NULL, recv_on_thread, NULL);
	go_run(recv_for_ever, NULL);
}

// A thread of the program that is asleep in a call of ours does not help.
void
test_deadlock_with_foreign_thread(void)
{
	expect_death(thread_receives_too, .status = 2, .err = ASLEEP);
}

static void *
attach_and_end(void *unused)
{
	(void)unused;
	go_id();
	usleep(50 * 1000);
	return NULL;
}

DEATH(thread_ends_last)
{
	pthread_t thread;
	pthread_create(&thread, NULL, attach_and_end, NULL);
	go_run(recv_for_ever, NULL);
}

// The last one that could have helped ends.
void
test_deadlock_when_thread_ends(void)
{
	expect_death(thread_ends_last, .status = 2, .err = ASLEEP);
}

static void
cancel_timer_later(void *arg)
{
	go_sleep(20 * GO_MSEC);
	go_timer_stop(arg);
}

static int
stopped_timer(void *unused)
{
	(void)unused;
	go_timer *t = go_timer_new(3600 * GO_SEC);
	int64_t when;
	go_spawn(cancel_timer_later, t);
	return go_chan_recv(go_timer_chan(t), &when, GO_NEVER);
}

DEATH(timer_is_stopped)
{
	go_run(stopped_timer, NULL);
}

// A timer that was stopped is no hope.
void
test_deadlock_when_timer_is_stopped(void)
{
	expect_death(timer_is_stopped, .status = 2, .err = ASLEEP);
}

static int
exit_at_once(void *unused)
{
	(void)unused;
	go_exit();
}

DEATH(main_exits)
{
	go_run(exit_at_once, NULL);
}

static void
sleep_a_little(void *unused)
{
	(void)unused;
	go_sleep(20 * GO_MSEC);
}

static int
spawn_and_exit(void *unused)
{
	(void)unused;
	go_spawn(sleep_a_little, NULL);
	go_exit();
}

DEATH(main_exits_then_last)
{
	go_run(spawn_and_exit, NULL);
}

static int
spawn_sleeper_for_ever_and_exit(void *unused)
{
	(void)unused;
	go_spawn(recv_too, NULL);
	go_exit();
}

DEATH(main_exits_others_asleep)
{
	go_run(spawn_sleeper_for_ever_and_exit, NULL);
}

void
test_deadlock_main_exited(void)
{
	const char *text = "fatal error: no goroutines (main called runtime.Goexit) - deadlock!\n";
	expect_death(main_exits, .status = 2, .err = text);
	expect_death(main_exits_then_last, .status = 2, .err = text);
	expect_death(main_exits_others_asleep, .status = 2, .err = ASLEEP);
}

// --- no deadlocks -----------------------------------------------------------------------------

static go_chan *gate;

static int
recv_at_gate(void *unused)
{
	(void)unused;
	int64_t v;
	return go_chan_recv(gate, &v, GO_NEVER);
}

static int
wait_for_timer(void *unused)
{
	(void)unused;
	gate = go_timer_chan(go_timer_new(300 * GO_MSEC));
	return recv_at_gate(NULL);
}

void
test_no_deadlock_timer_pending(void)
{
	expect_eq(go_run(wait_for_timer, NULL), 0);
}

static void
open_gate(void *unused)
{
	(void)unused;
	go_chan_close(gate);
}

static int
wait_for_after_func(void *unused)
{
	(void)unused;
	expect(go_after_func(300 * GO_MSEC, open_gate, NULL) != NULL);
	return recv_at_gate(NULL);
}

void
test_no_deadlock_after_func_pending(void)
{
	gate = go_chan_new(8, 0);
	expect_eq(go_run(wait_for_after_func, NULL), GO_ECLOSED);
}

static int pipe_fd[2];

static void
read_then_open(void *unused)
{
	(void)unused;
	char byte;
	expect_eq(read(pipe_fd[0], &byte, 1), 1);
	go_chan_close(gate);
}

static int
wait_for_reader(void *unused)
{
	(void)unused;
	expect_eq(go_spawn(read_then_open, NULL), 0);
	return recv_at_gate(NULL);
}

// A goroutine in a blocking call may come back. The byte comes from another process: no thread of
// this one is awake meanwhile.
void
test_no_deadlock_goroutine_in_read(void)
{
	expect_eq(pipe(pipe_fd), 0);
	pid_t pid = fork();
	expect(pid >= 0);
	if (pid == 0) {
		usleep(1500 * 1000);
		_exit(write(pipe_fd[1], "x", 1) != 1);
	}
	gate = go_chan_new(8, 0);
	expect_eq(go_run(wait_for_reader, NULL), GO_ECLOSED);
	waitpid(pid, NULL, 0);
}

static void *
known_thread_opens(void *unused)
{
	(void)unused;
	go_id();
	usleep(300 * 1000);
	go_chan_close(gate);
	return NULL;
}

// A thread that called in before may call in again.
void
test_no_deadlock_known_thread_runs(void)
{
	pthread_t thread;
	gate = go_chan_new(8, 0);
	expect(pthread_create(&thread, NULL, known_thread_opens, NULL) == 0);
	expect_eq(go_run(recv_at_gate, NULL), GO_ECLOSED);
	pthread_join(thread, NULL);
}

static void *
unknown_thread_opens(void *arg)
{
	usleep(*(useconds_t *)arg);
	go_chan_close(gate);
	return NULL;
}

// And a thread that never called in may do so, soon or late.
void
test_no_deadlock_unknown_thread_runs(void)
{
	useconds_t us[2] = {300 * 1000, 4000 * 1000};
	for (int i = 0; i < 2; i++) {
		pthread_t thread;
		gate = go_chan_new(8, 0);
		expect(pthread_create(&thread, NULL, unknown_thread_opens, &us[i]) == 0);
		expect_eq(go_run(recv_at_gate, NULL), GO_ECLOSED);
		pthread_join(thread, NULL);
	}
}

static void *
recv_with_deadline(void *unused)
{
	(void)unused;
	char byte;
	go_chan *never = go_chan_new(1, 0);
	expect_eq(go_chan_recv(never, &byte, go_in(300 * GO_MSEC)), GO_ETIMEDOUT);
	go_chan_free(never);
	go_chan_close(gate);
	return NULL;
}

// A thread that waits with a deadline will go on.
void
test_no_deadlock_thread_waits_with_deadline(void)
{
	pthread_t thread;
	gate = go_chan_new(8, 0);
	expect(pthread_create(&thread, NULL, recv_with_deadline, NULL) == 0);
	expect_eq(go_run(recv_at_gate, NULL), GO_ECLOSED);
	pthread_join(thread, NULL);
}

static void *
run_unknown(void *unused)
{
	(void)unused;
	usleep(6500 * 1000);
	return NULL;
}

// Nothing at all goes on, with no goroutine and nobody in go_run: no deadlock, only rest. Meanwhile
// idle threads of the runtime end.
void
test_no_deadlock_without_goroutines(void)
{
	pthread_t thread;
	expect_eq(go_spawn(sleep_a_little, NULL), 0);
	expect(pthread_create(&thread, NULL, run_unknown, NULL) == 0);
	pthread_join(thread, NULL);
}
