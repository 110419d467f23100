// SPDX-License-Identifier: BSD-3-Clause
// Locked goroutines that end, in programs of their own: each is run with an environment and has to
// write what is expected. And what is told of locked goroutines when a program dies.
//
// State that spreads is looked for in each thread of the process but those that were changed: the
// nice value and the folder, which a new thread has from the one that made it, and the signal mask.
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "child.h"
#include "goroutines.h"

#include <undergo/heap.h>

static void
end(const char *text)
{
	puts(text);
	fflush(stdout);
	_exit(1);
}

// --- the thread of the main goroutine ends ------------------------------------------------------

static int main_tid;

// On one P this is most likely the thread on which the main goroutine was.
static void
lock_and_end(void *there)
{
	bool same = tid_now() == main_tid;
	if (same)
		go_lock_os_thread();
	if (same && tid_now() != main_tid)
		end("goroutine was locked to another thread");
	expect_eq(go_chan_send(there, &same, GO_NEVER), 0);
}

static int
exit_main(void *unused)
{
	(void)unused;
	if (go_gomaxprocs(0) != 1)
		end("requires GOMAXPROCS=1");
	go_chan *ready = go_chan_new(sizeof(bool), 1);
	bool same = false;
	for (int i = 0; i < 100 && !same; i++) {
		main_tid = tid_now();
		expect_eq(go_spawn(lock_and_end, ready), 0);
		expect_eq(go_chan_recv(ready, &same, GO_NEVER), 0);
	}
	if (!same)
		end("failed to start goroutine on the main goroutine's thread");
	go_sleep(GO_MSEC);
	if (tid_now() == main_tid)
		end("goroutine migrated to locked thread");
	until(thread_gone(main_tid));
	puts("OK");
	return 0;
}

DEATH(locked_exit_main)
{
	expect_eq(go_run(exit_main, NULL), 0);
}

// --- the process's first thread is spoilt -------------------------------------------------------

static void taint(void);
static void note_home(void);
static void spawn_checks(int n);
static void wait_for_checks(long n);
static bool with_taint;

static bool
on_first_thread(void)
{
	return tid_now() == getpid();
}

static void
lock_first_and_end(void *there)
{
	bool same = on_first_thread();
	if (same) {
		go_lock_os_thread();
		if (!on_first_thread())
			end("goroutine was locked to another thread");
		if (with_taint)
			taint();
	}
	expect_eq(go_chan_send(there, &same, GO_NEVER), 0);
}

static void
must_be_elsewhere(void *wg)
{
	if (on_first_thread())
		end("goroutine runs on the spoilt thread");
	go_wg_done(wg);
}

static void
look_elsewhere(void)
{
	go_waitgroup wg = {0};
	go_wg_add(&wg, 100);
	for (int i = 0; i < 100; i++) {
		expect_eq(go_spawn(must_be_elsewhere, &wg), 0);
		if (i % 10 == 0)
			go_sleep(10 * GO_USEC);
	}
	expect_eq(go_wg_wait(&wg, GO_NEVER), 0);
}

// What Go's own test of this does, on the thread it does it on.
static int
exit_first(void *unused)
{
	(void)unused;
	if (!on_first_thread())
		end("main goroutine does not begin on the first thread");
	go_unlock_os_thread();
	go_chan *ready = go_chan_new(sizeof(bool), 1);
	bool same = false;
	for (int i = 0; i < 1000 && !same; i++) {
		expect_eq(go_spawn(lock_first_and_end, ready), 0);
		expect_eq(go_chan_recv(ready, &same, GO_NEVER), 0);
		if (!same)
			go_sleep(10 * GO_USEC);
	}
	if (!same)
		end("failed to start goroutine on the first thread");
	go_sleep(GO_MSEC);
	if (on_first_thread())
		end("goroutine migrated to locked thread");
	if (thread_gone(getpid()))
		end("the first thread has ended");
	look_elsewhere();
	if (with_taint) {
		spawn_checks(8);
		wait_for_checks(8);
	} else {
		puts("OK");
	}
	return 7;
}

DEATH(locked_exit_first)
{
	expect_eq(go_run_here(exit_first, NULL), 7);
	if (!on_first_thread())
		end("it returns on another thread");
}

DEATH(locked_taint_first)
{
	with_taint = true;
	note_home();
	expect_eq(go_run_here(exit_first, NULL), 7);
}

// The process ends while its first thread is spoilt, and when the main goroutine has ended so.
static int
exit_beside(void *unused)
{
	(void)exit_first(unused);
	fflush(stdout);
	exit(0);
}

DEATH(locked_exit_beside_first)
{
	go_run_here(exit_beside, NULL);
}

static void
exit_soon(void *unused)
{
	(void)unused;
	go_sleep(2 * GO_MSEC);
	look_elsewhere();
	puts("OK");
	exit(0);
}

static int
go_exit_locked(void *unused)
{
	(void)unused;
	expect_eq(go_spawn(exit_soon, NULL), 0);
	go_exit();
}

DEATH(locked_first_goexit)
{
	go_run_here(go_exit_locked, NULL);
}

// --- another thread ends ------------------------------------------------------------------------

static atomic_int sub_tid;
static atomic_int destroyed;
static bool with_key;

static void
set_destroyed(void *value)
{
	expect(value == &with_key);
	expect_eq(tid_now(), atomic_load(&sub_tid));
	atomic_fetch_add(&destroyed, 1);
}

static void
lock_sub(void *there)
{
	pthread_key_t key;
	bool ready = true;
	go_lock_os_thread();
	atomic_store(&sub_tid, tid_now());
	if (with_key) {
		expect_eq(pthread_key_create(&key, set_destroyed), 0);
		expect_eq(pthread_setspecific(key, &with_key), 0);
	}
	expect_eq(go_chan_send(there, &ready, GO_NEVER), 0);
}

static int
exit_alt(void *unused)
{
	(void)unused;
	bool ready = false;
	go_lock_os_thread(); // so that the other one is on a thread of its own
	int mine = tid_now();
	go_chan *c = go_chan_new(sizeof(bool), 1);
	expect_eq(go_spawn(lock_sub, c), 0);
	expect_eq(go_chan_recv(c, &ready, GO_NEVER), 0);
	expect(atomic_load(&sub_tid) != mine && tid_now() == mine);
	go_unlock_os_thread();
	for (int i = 0; i < 10000; i++) {
		go_sleep(GO_MSEC);
		if (tid_now() == atomic_load(&sub_tid))
			end("locked thread reused");
		if (with_key ? atomic_load(&destroyed) == 1 : thread_gone(atomic_load(&sub_tid))) {
			puts("OK");
			return 0;
		}
	}
	end("sub thread still running");
	return 0;
}

DEATH(locked_exit_alt)
{
	expect_eq(go_run(exit_alt, NULL), 0);
}

DEATH(locked_exit_key)
{
	with_key = true;
	expect_eq(go_run(exit_alt, NULL), 0);
}

// --- state that must not spread -----------------------------------------------------------------

enum { TAINTED_MAX = 64 };
static atomic_int tainted[TAINTED_MAX]; // threads that were changed
static atomic_int n_tainted;
static char home[200];
static int nice_before;
static atomic_bool may_unshare;

static bool
is_tainted(int tid)
{
	for (int i = 0; i < atomic_load(&n_tainted); i++)
		if (atomic_load(&tainted[i]) == tid)
			return true;
	return false;
}

// Changes the calling thread, which belongs to a locked goroutine or to the program.
static void
taint(void)
{
	sigset_t set;
	int at = atomic_fetch_add(&n_tainted, 1);
	expect(at < TAINTED_MAX);
	atomic_store(&tainted[at], tid_now());
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	expect_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	expect_eq(setpriority(PRIO_PROCESS, (id_t)tid_now(), nice_before + 1), 0);
	if (unshare(CLONE_FS) == 0)
		expect_eq(chdir("/proc"), 0);
	else
		atomic_store(&may_unshare, false);
}

static void
note_home(void)
{
	expect(getcwd(home, sizeof(home)) != NULL && strcmp(home, "/proc") != 0);
	nice_before = getpriority(PRIO_PROCESS, 0);
	atomic_store(&may_unshare, true);
}

// Threads come and go meanwhile.
static void
check_thread(int tid)
{
	char path[64], text[512], cwd[200] = "";
	const char *at = thread_stat(tid, text);
	for (int blanks = 0; *at != '\0' && blanks < 16; at++)
		blanks += *at == ' ';
	if (*at != '\0' && strtol(at, NULL, 10) != nice_before && !is_tainted(tid))
		end("a thread's nice value has spread");
	snprintf(path, sizeof(path), "/proc/self/task/%d/cwd", tid);
	ssize_t n = readlink(path, cwd, sizeof(cwd) - 1);
	if (n > 0 && strcmp(cwd, home) != 0 && !is_tainted(tid))
		end("a thread's folder has spread");
}

// As a goroutine that is not locked, or before anything was changed.
static void
check_threads(void)
{
	struct dirent *entry;
	DIR *dir = opendir("/proc/self/task");
	expect(dir != NULL);
	while ((entry = readdir(dir)) != NULL) {
		int tid = (int)strtol(entry->d_name, NULL, 10);
		if (tid > 0)
			check_thread(tid);
	}
	closedir(dir);
	sigset_t set;
	expect_eq(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
	if (sigismember(&set, SIGUSR2))
		end("a signal mask has spread");
}

static Count checked;

// Holds a thread for a while, so that the others need more of them.
static void
check_and_block(void *unused)
{
	(void)unused;
	check_threads();
	block_thread_for(5 * GO_MSEC);
	check_threads();
	count_add(&checked);
}

static void
spawn_checks(int n)
{
	for (int i = 0; i < n; i++)
		expect_eq(go_spawn(check_and_block, NULL), 0);
}

static void
wait_for_checks(long n)
{
	until(count_of(&checked) >= n);
	check_threads();
	puts(atomic_load(&may_unshare) ? "OK" : "unshare not permitted");
}

// Locked goroutines with a changed thread start others and wait, in the runtime and outside.
static void
taint_and_spawn(void *unused)
{
	(void)unused;
	go_lock_os_thread();
	taint();
	expect_eq(go_signal_notify(go_chan_new(sizeof(int), 1), SIGUSR1), 0); // a thread, too
	spawn_checks(4);
	go_sleep(2 * GO_MSEC);
	spawn_checks(4);
	block_thread_for(5 * GO_MSEC);
	go_yield();
}

static int
spread(void *unused)
{
	(void)unused;
	for (int i = 0; i < 4; i++)
		expect_eq(go_spawn(taint_and_spawn, NULL), 0);
	wait_for_checks(32);
	return 0;
}

DEATH(locked_spread)
{
	note_home();
	expect_eq(go_run(spread, NULL), 0);
}

// The P of a locked goroutine that ends needs another thread, and there is none yet.
static void
taint_and_end(void *unused)
{
	(void)unused;
	go_lock_os_thread();
	taint();
	spawn_checks(3);
}

static int
spread_by_the_dying(void *unused)
{
	(void)unused;
	expect_eq(go_spawn(taint_and_end, NULL), 0);
	wait_for_checks(3);
	return 0;
}

DEATH(locked_spread_dying)
{
	note_home();
	expect_eq(go_run(spread_by_the_dying, NULL), 0);
}

// The process's first thread is changed when the runtime has started, and then calls in; so does
// another of the program's. What goes out from them must be as it was at the start.
static void *
taint_foreign(void *unused)
{
	taint();
	spawn_checks(4);
	go_sleep(2 * GO_MSEC);
	for (int i = 0; i < 4; i++) {
		void *keep = go_alloc(32 << 20); // a collection starts threads, too
		expect(keep != NULL);
		go_gc();
	}
	return unused;
}

static int
after_foreign(void *unused)
{
	(void)unused;
	wait_for_checks(8);
	return 0;
}

DEATH(locked_spread_foreign)
{
	pthread_t t;
	note_home();
	go_gomaxprocs(4);
	taint_foreign(NULL);
	until(count_of(&checked) >= 4); // or who still looks sees the next one before it is noted
	expect_eq(pthread_create(&t, NULL, taint_foreign, NULL), 0);
	expect_eq(pthread_join(t, NULL), 0);
	expect_eq(go_run(after_foreign, NULL), 0);
}

// --- threads are asked for while the world stops ------------------------------------------------

static void
race_lock(void *wg)
{
	go_lock_os_thread();
	go_yield();
	block_thread_for(100 * GO_USEC);
	go_wg_done(wg);
}

static void
race_stop(void *wg)
{
	for (int i = 0; i < 5; i++) {
		go_gomaxprocs(1 + i % 4);
		go_gc();
	}
	go_wg_done(wg);
}

static void
race_all(void)
{
	go_waitgroup wg = {0};
	go_wg_add(&wg, 12);
	for (int i = 0; i < 12; i++)
		expect_eq(go_spawn(i % 4 == 0 ? race_stop : race_lock, &wg), 0);
	expect_eq(go_wg_wait(&wg, GO_NEVER), 0);
}

static int
race(void *unused)
{
	(void)unused;
	race_all();
	puts("OK");
	return 0;
}

static int
race_unlocked(void *unused)
{
	(void)unused;
	go_unlock_os_thread();
	race_all();
	return 0;
}

DEATH(locked_race)
{
	expect_eq(go_run(race, NULL), 0);
}

// The same among threads of the program that run goroutines.
static void *
race_here(void *unused)
{
	expect_eq(go_run_here(race_unlocked, NULL), 0);
	return unused;
}

DEATH(locked_race_here)
{
	pthread_t t[3];
	int n = getenv("UNDERGO_SEED") == NULL ? 3 : 0; // it plays one thread of the program
	for (int i = 0; i < n; i++)
		expect_eq(pthread_create(&t[i], NULL, race_here, NULL), 0);
	for (int i = 0; i < n; i++)
		expect_eq(pthread_join(t[i], NULL), 0);
	expect_eq(go_run_here(race, NULL), 0);
}

// --- the tests ----------------------------------------------------------------------------------

static void
wants(const char *name, char *procs, const char *text, int times)
{
	static ChildEnd child;
	char *env[] = {procs, NULL};
	for (int i = 0; i < times; i++) {
		child_run(&child, name, env, 20000);
		bool fine = child.status == 0 && strcmp(child.text, text) == 0;
		if (!fine && strcmp(child.text, "unshare not permitted\n") == 0)
			skip("unshare is not permitted");
		if (!fine)
			printf("%s %s: ended with %d\n%s\n", name, procs, child.status, child.text);
		fflush(stdout);
		expect(fine);
	}
}

void
test_locked_exit_of_the_main_thread(void)
{
	wants("locked_exit_main", "GOMAXPROCS=1", "OK\n", 5);
}

void
test_locked_exit_of_the_first_thread(void)
{
	wants("locked_exit_first", "GOMAXPROCS=1", "OK\n", 3);
	wants("locked_exit_beside_first", "GOMAXPROCS=1", "OK\n", 3);
	wants("locked_first_goexit", "GOMAXPROCS=1", "OK\n", 3);
	wants("locked_first_goexit", "GOMAXPROCS=4", "OK\n", 3);
}

void
test_locked_state_of_the_first_thread_stays(void)
{
	wants("locked_taint_first", "GOMAXPROCS=1", "OK\n", 3);
}

void
test_locked_exit_of_a_thread(void)
{
	wants("locked_exit_alt", "GOMAXPROCS=4", "OK\n", 3);
	wants("locked_exit_alt", "GOMAXPROCS=1", "OK\n", 3);
}

void
test_locked_exit_destroys_keys(void)
{
	wants("locked_exit_key", "GOMAXPROCS=4", "OK\n", 3);
	wants("locked_exit_key", "GOMAXPROCS=1", "OK\n", 3);
}

void
test_locked_state_stays(void)
{
	wants("locked_spread", "GOMAXPROCS=4", "OK\n", 2);
	wants("locked_spread", "GOMAXPROCS=1", "OK\n", 2);
}

void
test_locked_state_dies(void)
{
	wants("locked_spread_dying", "GOMAXPROCS=1", "OK\n", 3);
	wants("locked_spread_dying", "GOMAXPROCS=2", "OK\n", 3);
}

void
test_locked_state_of_the_program_stays(void)
{
	wants("locked_spread_foreign", "GOMAXPROCS=4", "OK\n", 3);
}

void
test_locked_threads_and_a_stopping_world(void)
{
	wants("locked_race", "GOMAXPROCS=4", "OK\n", (int)test_scale(40));
	wants("locked_race_here", "GOMAXPROCS=4", "OK\n", (int)test_scale(20));
}

void
test_locked_in_the_simulation(void)
{
	char seed[32];
	for (int i = 1; i <= 20; i++) {
		snprintf(seed, sizeof(seed), "UNDERGO_SEED=%d", i);
		wants("locked_race", seed, "OK\n", 1);
		wants("locked_race_here", seed, "OK\n", 1);
	}
}

// --- deadlocks and dumps ------------------------------------------------------------------------

static void
wait_locked(void *chan)
{
	go_lock_os_thread();
	go_chan_recv(chan, NULL, GO_NEVER);
}

static int
all_locked(void *unused)
{
	(void)unused;
	go_chan *c = go_chan_new(0, 0);
	expect_eq(go_spawn(wait_locked, c), 0);
	wait_locked(c);
	return 0;
}

DEATH(locked_deadlock)
{
	go_run(all_locked, NULL);
}

static void
end_last(void *unused)
{
	(void)unused;
	go_sleep(5 * GO_MSEC);
	go_lock_os_thread();
}

// The last that could do anything ends with its thread.
static int
wait_for_the_dying(void *unused)
{
	(void)unused;
	expect_eq(go_spawn(end_last, NULL), 0);
	go_chan_recv(go_chan_new(0, 0), NULL, GO_NEVER);
	return 0;
}

DEATH(locked_deadlock_by_end)
{
	go_run(wait_for_the_dying, NULL);
}

DEATH(locked_deadlock_here)
{
	go_run_here(all_locked, NULL);
}

static int
end_here(void *unused)
{
	(void)unused;
	go_exit();
}

DEATH(locked_deadlock_end_here)
{
	go_run_here(end_here, NULL);
}

static int
end_here_beside_another(void *unused)
{
	expect_eq(go_spawn(wait_locked, go_chan_new(0, 0)), 0);
	go_unlock_os_thread();
	go_sleep(GO_MSEC);
	return end_here(unused);
}

DEATH(locked_deadlock_unlocked_here)
{
	go_run_here(end_here_beside_another, NULL);
}

// One that is locked to the thread keeps it for ever: the main goroutine has ended, and waits in
// vain.
static void
keep_thread(void *kept)
{
	go_lock_os_thread();
	if (tid_now() == getpid()) {
		atomic_store((atomic_bool *)kept, true);
		go_chan_recv(go_chan_new(0, 0), NULL, GO_NEVER);
	}
	go_unlock_os_thread();
}

static int
end_elsewhere(void *unused)
{
	static atomic_bool kept;
	(void)unused;
	go_unlock_os_thread();
	while (!atomic_load(&kept)) {
		expect_eq(go_spawn(keep_thread, &kept), 0);
		go_yield();
		go_sleep(10 * GO_USEC);
	}
	go_sleep(GO_MSEC); // mostly until it sleeps
	return 0;
}

DEATH(locked_deadlock_kept_here)
{
	go_gomaxprocs(2);
	go_run_here(end_elsewhere, NULL);
}

void
test_locked_deadlock_here(void)
{
	expect_death(locked_deadlock_kept_here, .status = 2, .env = "GOTRACEBACK=all",
		     .err = "fatal error: all goroutines are asleep - deadlock!\n",
		     .err_has = {" [go_run, thread]:\n",
				 " [chan receive, locked to thread]:\n"},
		     .limit_ms = 20000);
	expect_death(locked_deadlock_here, .status = 2, .env = "GOTRACEBACK=all",
		     .err = "fatal error: all goroutines are asleep - deadlock!\n",
		     .err_has = {"goroutine 1 [chan receive, locked to thread]:\n",
				 " [go_run, thread]:\n"},
		     .limit_ms = 20000);
	expect_death(locked_deadlock_end_here, .status = 2,
		     .err = "fatal error: no goroutines (main called runtime.Goexit) - "
			    "deadlock!\n",
		     .limit_ms = 20000);
	expect_death(locked_deadlock_unlocked_here, .status = 2, .env = "GOTRACEBACK=all",
		     .err = "fatal error: all goroutines are asleep - deadlock!\n",
		     .err_has = {" [chan receive, locked to thread]:\n"},
		     .limit_ms = 20000);
}

void
test_locked_deadlock(void)
{
	expect_death(locked_deadlock, .status = 2, .env = "GOTRACEBACK=all",
		     .err = "fatal error: all goroutines are asleep - deadlock!\n",
		     .err_has = {"goroutine 1 [chan receive, locked to thread]:\n",
				 " [chan receive, locked to thread]:\n"},
		     .limit_ms = 20000);
	expect_death(locked_deadlock, .status = 2, .env = "GOMAXPROCS=1",
		     .err = "fatal error: all goroutines are asleep - deadlock!\n",
		     .limit_ms = 20000);
	expect_death(locked_deadlock_by_end, .status = 2, .env = "GOTRACEBACK=all",
		     .err = "fatal error: all goroutines are asleep - deadlock!\n",
		     .err_has = {"goroutine 1 [chan receive]:\n"},
		     .limit_ms = 20000);
}
