// SPDX-License-Identifier: BSD-3-Clause
// Threads are stopped again and again while others do what makes that hard: they come and go, hold
// locks of libc and of the loader, block signals, start processes, change the user. Nothing hangs,
// and what they do succeeds.
#include "gcstop.h"

#include <linux/io_uring.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "os/os.h"

static atomic_bool stop;
static Count made, loaded, blocked, spawned, switched;

static void *
allocate(void *unused)
{
	(void)unused;
	void *p[32] = {NULL};
	for (unsigned i = 0; i < 200; i++) {
		free(p[i % 32]);
		p[i % 32] = malloc(16 + i * 37 % 5000);
	}
	for (int i = 0; i < 32; i++)
		free(p[i]);
	return NULL;
}

// Threads of every kind come and go: joined, detached, attached to the runtime.
static void *
attach_and_allocate(void *unused)
{
	go_yield();
	return allocate(unused);
}

static void *
make_threads(void *unused)
{
	while (!atomic_load(&stop)) {
		pthread_t t[4];
		for (int i = 0; i < 4; i++)
			if (pthread_create(&t[i], NULL, i % 2 ? allocate : attach_and_allocate,
					   NULL) != 0)
				t[i] = pthread_self();
		for (int i = 0; i < 4; i++) {
			if (pthread_equal(t[i], pthread_self()))
				continue;
			if (i < 2)
				pthread_detach(t[i]);
			else
				pthread_join(t[i], NULL);
		}
		count_add(&made);
	}
	return unused;
}

static void *
allocate_always(void *unused)
{
	while (!atomic_load(&stop))
		allocate(NULL);
	return unused;
}

static void *
load_and_unload(void *unused)
{
	while (!atomic_load(&stop)) {
		void *module = module_open();
		expect(module != NULL);
		*module_word(module, "module_thread_local")() = 1;
		expect_eq(dlclose(module), 0);
		count_add(&loaded);
		usleep(500);
	}
	return unused;
}

static void *
block_signals(void *unused)
{
	uint64_t all = UINT64_MAX, before;
	while (!atomic_load(&stop)) {
		syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, 8);
		free(malloc(100000)); // perhaps waiting for a thread that stands still
		usleep(500);
		syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
		usleep(3000);
		count_add(&blocked);
	}
	return unused;
}

static void *
start_processes(void *unused)
{
	extern char **environ;
	char *argv[] = {"true", NULL};
	while (!atomic_load(&stop)) {
		pid_t pid;
		int status;
		if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ) == 0)
			while (waitpid(pid, &status, 0) < 0)
				expect_eq(errno, EINTR);
		count_add(&spawned);
		usleep(2000);
	}
	return unused;
}

// libc has the same signal go to all threads for this.
static void *
change_user(void *unused)
{
	while (!atomic_load(&stop)) {
		expect_eq(setegid(getegid()), 0);
		count_add(&switched);
		usleep(1000);
	}
	return unused;
}

static void *
sleep_in_kernel(void *unused)
{
	int fd[2];
	char c;
	expect_eq(pipe(fd), 0);
	while (!atomic_load(&stop)) {
		struct timespec ts = {0, 300000};
		nanosleep(&ts, NULL);
		expect_eq(write(fd[1], "x", 1), 1);
		expect_eq(read(fd[0], &c, 1), 1);
	}
	close(fd[0]);
	close(fd[1]);
	return unused;
}

static void
send_and_receive(void *v)
{
	go_chan *c = v;
	uintptr_t word = 1;
	while (!atomic_load(&stop)) {
		go_chan_send(c, &word, GO_NEVER);
		compute_for(5 * GO_USEC);
		go_chan_recv(c, &word, GO_NEVER);
		usleep(20);
	}
}

GO_TEST(gcstop_everything, 3)
{
	static void *(*const bodies[])(void *) = {
		make_threads, allocate_always, load_and_unload, block_signals, start_processes,
		change_user, sleep_in_kernel, make_threads,
	};
	enum { BODIES = sizeof(bodies) / sizeof(bodies[0]) };
	pthread_t t[BODIES];
	go_chan *c = go_chan_new(sizeof(uintptr_t), 2);
	for (int i = 0; i < BODIES; i++)
		expect_eq(pthread_create(&t[i], NULL, bodies[i], NULL), 0);
	for (int i = 0; i < 4; i++)
		expect_eq(go_spawn(send_and_receive, c), 0);
	int64_t end = test_now_ns() + 2 * GO_SEC;
	long rounds = 0;
	for (; test_now_ns() < end || rounds < 20; rounds++) {
		stop_and_gather();
		if (rounds % 4 == 0)
			go_sleep(200 * GO_USEC);
	}
	int64_t most = 20000;
	until(--most == 0 || (count_of(&made) > 2 && count_of(&loaded) > 2 && count_of(&blocked) > 2
			      && count_of(&spawned) > 2 && count_of(&switched) > 2));
	expect(most != 0);
	atomic_store(&stop, true);
	for (int i = 0; i < BODIES; i++)
		pthread_join(t[i], NULL);
}

// --- what Linux takes up again after a handler ---------------------------------------------------

static int no_data[2];
static atomic_int word;

static void *
read_nothing(void *unused)
{
	char c;
	expect_eq(read(no_data[0], &c, 1), 1); // not -1 and EINTR
	return unused;
}

static void *
wait_on_futex(void *unused)
{
	while (atomic_load(&word) == 0) {
		long err = syscall(SYS_futex, &word, 0, 0, NULL, NULL, 0);
		expect(err == 0 || errno == EAGAIN);
	}
	return unused;
}

static void *
wait_for_lock(void *m)
{
	expect_eq(pthread_mutex_lock(m), 0);
	expect_eq(pthread_mutex_unlock(m), 0);
	return NULL;
}

GO_TEST(gcstop_no_eintr, 2)
{
	static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_t t[3];
	expect_eq(pipe(no_data), 0);
	pthread_mutex_lock(&m);
	expect_eq(pthread_create(&t[0], NULL, read_nothing, NULL), 0);
	expect_eq(pthread_create(&t[1], NULL, wait_on_futex, NULL), 0);
	expect_eq(pthread_create(&t[2], NULL, wait_for_lock, &m), 0);
	usleep(2000);
	for (long i = test_scale(200); i > 0; i--)
		stop_and_gather();
	expect_eq(write(no_data[1], "x", 1), 1);
	atomic_store(&word, 1);
	syscall(SYS_futex, &word, 1, 1, NULL, NULL, 0);
	pthread_mutex_unlock(&m);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

// io_uring puts threads of the kernel's into the process, which take no signals. Where it is not
// allowed there is nothing to prove.
GO_TEST(gcstop_threads_of_the_kernel, 2)
{
	struct io_uring_params busy = {.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 60000};
	struct io_uring_params idle = {.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 1};
	int fd = (int)syscall(SYS_io_uring_setup, 4, &busy);
	int other = (int)syscall(SYS_io_uring_setup, 4, &idle);
	usleep(20000);
	for (long i = test_scale(200); i > 0; i--)
		stop_and_gather();
	if (other >= 0)
		close(other);
	for (long i = test_scale(200); i > 0; i--)
		stop_and_gather();
	if (fd >= 0)
		close(fd);
	stop_and_gather();
}

// --- a thread that does not come -----------------------------------------------------------------

static atomic_int away; // the number of a thread, or 0
static Count ticks, collected;
static atomic_long longest_ns;

// The kernel keeps who calls vfork asleep until the child has ended, and no signal wakes him.
static void *
sleep_for_a_child(void *unused)
{
	struct timespec ts = {2, 0};
	atomic_store(&away, os_thread_id());
	pid_t pid = vfork();
	if (pid == 0) {
		syscall(SYS_nanosleep, &ts, NULL);
		_exit(0);
	}
	atomic_store(&away, 0);
	expect_eq(waitpid(pid, NULL, 0), pid);
	return unused;
}

static void
tick(void *unused)
{
	(void)unused;
	for (int64_t before = test_now_ns(), now; !atomic_load(&stop); before = now) {
		go_sleep(GO_MSEC);
		now = test_now_ns();
		if (now - before > atomic_load(&longest_ns))
			atomic_store(&longest_ns, now - before);
		count_add(&ticks);
	}
}

static void
collect_once(void *unused)
{
	(void)unused;
	go_gc();
	count_add(&collected);
}

static go_heap_stats
stats_now(void)
{
	go_heap_stats st;
	go_heap_stats_read(&st);
	return st;
}

// While it is away the others run, whether they allocate or wait for a collection; the vain stops
// are counted as pauses. When it is back what was asked for is done.
GO_TEST(gcstop_thread_in_the_kernel, 2)
{
	pthread_t t;
	expect(go_alloc(8) != NULL); // without a heap there is no collection
	go_gc();
	expect_eq(go_spawn(tick, NULL), 0);
	uint64_t pauses = stats_now().pause_ns;
	expect_eq(pthread_create(&t, NULL, sleep_for_a_child, NULL), 0);
	until(atomic_load(&away) != 0);
	until(os_thread_state(atomic_load(&away)) == 'D');
	uint64_t cycles = stats_now().collections;
	expect_eq(go_spawn(collect_once, NULL), 0);
	for (int i = 0; i < 1000; i++) {
		expect(go_alloc(100000) != NULL); // beyond the goal
		if (i % 10 == 0)
			go_sleep(GO_MSEC);
	}
	if (atomic_load(&away) != 0) { // else the machine was too slow to prove anything
		expect_eq(stats_now().collections, cycles);
		expect_eq(count_of(&collected), 0);
	}
	until(count_of(&collected) == 1);
	expect(stats_now().collections > cycles);
	expect(stats_now().pause_ns - pauses > 20 * GO_MSEC);
	expect(atomic_load(&longest_ns) < GO_SEC);
	atomic_store(&stop, true);
	pthread_join(t, NULL);
}

// The same while no signal can be queued.
GO_TEST(gcstop_without_signals, 2)
{
	pthread_t t;
	struct rlimit none, before;
	expect_eq(getrlimit(RLIMIT_SIGPENDING, &before), 0);
	none = before;
	none.rlim_cur = 0;
	expect(go_alloc(8) != NULL);
	expect_eq(pthread_create(&t, NULL, allocate_always, NULL), 0);
	expect_eq(go_spawn(tick, NULL), 0);
	expect_eq(setrlimit(RLIMIT_SIGPENDING, &none), 0);
	expect_eq(go_spawn(collect_once, NULL), 0);
	go_sleep(GO_SEC);
	expect_eq(count_of(&collected), 0);
	expect(count_of(&ticks) > 0 && atomic_load(&longest_ns) < GO_SEC / 2);
	expect_eq(setrlimit(RLIMIT_SIGPENDING, &before), 0);
	until(count_of(&collected) == 1);
	atomic_store(&stop, true);
	pthread_join(t, NULL);
}

static void *
allocate_near_the_limit(void *unused)
{
	while (!atomic_load(&stop)) {
		expect(go_alloc(100000) != NULL);
		os_sleep(100 * GO_USEC); // it shall not need much memory meanwhile
		count_add(&ticks);
	}
	return unused;
}

static atomic_bool gave_up;

// Not before collecting has been tried for a while, and that thread still goes on.
static void *
sleep_for_the_allocator(void *unused)
{
	struct timespec first = {1, 500000000}, step = {0, 10000000};
	atomic_store(&away, os_thread_id());
	pid_t pid = vfork();
	if (pid == 0) {
		syscall(SYS_nanosleep, &first, NULL);
		long before = count_of(&ticks);
		for (int steps = 0; count_of(&ticks) < before + 10; steps++) {
			if (steps == 600) {
				atomic_store(&gave_up, true);
				_exit(1);
			}
			syscall(SYS_nanosleep, &step, NULL);
		}
		_exit(0);
	}
	atomic_store(&away, 0);
	expect_eq(waitpid(pid, NULL, 0), pid);
	return unused;
}

// Near the limit who allocates waits for a collection, but not for a thread that holds one up: here
// that waits for him.
GO_TEST(gcstop_late_near_the_limit, 2)
{
	pthread_t t, allocates;
	expect(go_alloc(8) != NULL);
	go_gc();
	expect_eq(pthread_create(&t, NULL, sleep_for_the_allocator, NULL), 0);
	until(atomic_load(&away) != 0);
	until(os_thread_state(atomic_load(&away)) == 'D');
	int64_t limit = go_set_memory_limit(1 << 20);
	expect_eq(go_spawn(collect_once, NULL), 0);
	expect_eq(pthread_create(&allocates, NULL, allocate_near_the_limit, NULL), 0);
	until(count_of(&collected) == 1);
	go_set_memory_limit(limit);
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	pthread_join(allocates, NULL);
	expect(!atomic_load(&gave_up));
}

// Starts a program that lies beside this one, some times.
static void
run_beside(const char *name)
{
	char path[1024];
	char *argv[] = {path, NULL};
	extern char **environ;
	path_beside(path, name);
	for (int i = 0; i < 5; i++) {
		pid_t pid;
		int status = -1;
		expect_eq(posix_spawn(&pid, path, NULL, NULL, argv, environ), 0);
		expect_eq(waitpid(pid, &status, 0), pid);
		expect_eq(status, 0);
	}
}

// Threads' records and thread-locals lie elsewhere in a program without a loader: below the first
// thread's there may be nothing at all. Where depends on chance.
GO_TEST(gcstop_static_program, 1)
{
	char path[1024];
	path_beside(path, "gcstatic");
	if (access(path, X_OK) != 0)
		skip("nothing can be linked statically here");
	run_beside("gcstatic");
}

// libc takes them from a thread's stack.
GO_TEST(gcstop_large_thread_locals, 1)
{
	run_beside("gclocals");
}
