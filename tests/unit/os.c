// SPDX-License-Identifier: BSD-3-Clause
// os: each service of os.h, on the real system.
#include "os/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/base.h"
#include "harness.h"
#include "os/file.h"
#include "os/linux/kept.h"
#include "sync/sync.h"

enum { MARK = 77, MS = 1000000 };

static Note done;

// --- memory -------------------------------------------------------------------------------------

void
test_os_map(void)
{
	os_init();
	size_t page = os_page_bytes();
	expect(page >= 4096);
	for (size_t align = page; align <= 4 << 20; align *= 4)
		for (size_t bytes = 1; bytes <= 3 << 20; bytes = bytes * 7 + 1) {
			char *p = os_map(bytes, align);
			expect(p != NULL);
			expect_eq((uintptr_t)p % align, 0);
			expect_eq(p[0] | p[bytes - 1], 0);
			p[0] = p[bytes - 1] = 1;
			expect_eq(os_unmap(p, (bytes + page - 1) & ~(page - 1)), 0);
		}
	expect(os_map(SIZE_MAX, page) == NULL);
	expect(os_map(SIZE_MAX / 2, page) == NULL);
	expect(os_map(SIZE_MAX - 2 * page, 4 << 20) == NULL);
}

// Whether the kernel may read a byte at p: says so without a signal.
static bool
readable(const char *p)
{
	int fds[2];
	expect(pipe(fds) == 0);
	int64_t n = os_write(fds[1], p, 1);
	expect(n == 1 || n == -EFAULT);
	close(fds[0]);
	close(fds[1]);
	return n == 1;
}

// Both kinds of guard stop accesses to their page and no other; decommitted pages read as zero and
// guards outlive it.
void
test_os_guards(void)
{
	os_init();
	size_t page = os_page_bytes();
	char *p = os_map(4 * page, page);
	memset(p, 1, 4 * page);
	int err = os_guard(p, page);
	if (err == -EINVAL)
		err = os_protect_none(p, page);
	expect_eq(err, 0);
	expect_eq(os_protect_none(p + 2 * page, page), 0);
	expect(!readable(p) && readable(p + page));
	expect(!readable(p + 2 * page) && readable(p + 3 * page));
	expect_eq(os_decommit(p, 4 * page), 0);
	expect(!readable(p) && !readable(p + 2 * page));
	expect_eq(p[page] | p[3 * page], 0);
	expect(os_no_huge_pages(p, 4 * page) <= 0);
	expect_eq(os_unmap(p, 4 * page), 0);
}

void
test_os_alloc(void)
{
	os_init();
	char *p = os_alloc(1000);
	expect(p != NULL);
	for (int i = 0; i < 1000; i++)
		expect_eq(p[i], 0);
	os_free(p);
	os_free(NULL);
}

// Whatever fails, errno is the program's.
void
test_os_leaves_errno(void)
{
	os_init();
	char text[16];
	struct sigaction sa;
	ATOMIC_U32 word = ATOMIC_INIT(1);
	errno = MARK;
	expect(os_map(SIZE_MAX / 2, os_page_bytes()) == NULL);
	expect_eq(os_unmap((void *)1, 4096), -EINVAL);
	expect(os_guard((void *)1, 4096) < 0);
	expect(os_protect_none((void *)1, 4096) < 0);
	expect(os_decommit((void *)1, 4096) < 0);
	expect(os_read_file("/proc/self/no such file", text, sizeof(text)) == -ENOENT);
	expect_eq(os_thread_cpu_ns(-5), -1);
	expect_eq(os_futex_wait(&word, 0, INT64_MAX), -EAGAIN);
	expect_eq(os_write(-1, "x", 1), -EBADF);
	expect_eq(os_signal_handle(9999, NULL, &sa), -EINVAL);
	expect_eq(os_signal_thread(-1, 0), -EINVAL);
	expect_eq(errno, MARK);
}

// --- threads ------------------------------------------------------------------------------------

static struct {
	int tid;
	bool all_blocked;
	bool in_bounds;
} report;

static void
reports(void *arg)
{
	sigset_t mask;
	void *lo, *hi;
	report.tid = os_thread_id();
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	report.all_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGQUIT);
	os_thread_stack(&lo, &hi);
	report.in_bounds = (char *)arch_sp() > (char *)lo && (char *)arch_sp() < (char *)hi
			   && (char *)hi - (char *)lo >= 256 << 10;
	os_signal_unblock_all();
	os_thread_name("a test");
	(void)os_thread_exact_timers();
	expect(arg == &report);
	note_wake(&done);
}

void
test_os_thread_start(void)
{
	void *lo, *hi;
	sigset_t mask;
	os_init();
	expect_eq(os_thread_start(reports, &report), 0);
	expect(note_sleep(&done, INT64_MAX));
	expect(report.tid > 0 && report.tid != os_thread_id());
	expect(report.all_blocked && report.in_bounds);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	expect(!sigismember(&mask, SIGTERM));
	os_thread_stack(&lo, &hi);
	expect((char *)arch_sp() > (char *)lo && (char *)arch_sp() < (char *)hi);
	expect_eq(os_thread_id(), (int)getpid());
}

// The first thread's stack begins where libc says, and with other limits, too. libc leaves out what
// the kernel has put above the first frame.
static void
same_as_libc(void)
{
	void *lo, *hi, *libc_lo;
	size_t bytes;
	pthread_attr_t attr;
	expect_eq(pthread_getattr_np(pthread_self(), &attr), 0);
	expect_eq(pthread_attr_getstack(&attr, &libc_lo, &bytes), 0);
	pthread_attr_destroy(&attr);
	os_thread_stack(&lo, &hi);
	expect((char *)hi >= (char *)libc_lo + bytes && hi > (void *)environ);
	expect_eq((uintptr_t)lo, (uintptr_t)libc_lo);
}

void
test_os_first_stack(void)
{
	struct rlimit before, other;
	os_init();
	same_as_libc();
	expect_eq(getrlimit(RLIMIT_STACK, &before), 0);
	other = (struct rlimit){(1 << 20) + 1, before.rlim_max};
	expect_eq(setrlimit(RLIMIT_STACK, &other), 0);
	same_as_libc();
	other.rlim_cur = before.rlim_max;
	expect_eq(setrlimit(RLIMIT_STACK, &other), 0);
	same_as_libc();
	void *lo, *hi;
	os_thread_stack(&lo, &hi);
	size_t page = os_page_bytes();
	char *below = (char *)hi - (512 << 10) - page; // what lies there ends it
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	expect(mmap(below, page, PROT_READ, flags, -1, 0) == below);
	same_as_libc();
	os_thread_stack(&lo, &hi);
	expect(lo == below + page);
}

// The kernel refuses threads for a moment: who can wait tries again.
void
test_os_thread_start_retries(void)
{
	os_init();
	expect(os_fault_plan("thread_try:1:EAGAIN,thread_try:2:EAGAIN"));
	expect_eq(os_thread_start_patient(reports, &report), 0);
	expect(note_sleep(&done, INT64_MAX));
	expect_eq(os_fault_count("thread_try"), 3);
}

// Or it refuses them for good: both say so, the one at once and the other soon.
void
test_os_thread_start_refused(void)
{
	os_init();
	expect(os_fault_plan("thread_try:*:EAGAIN"));
	int64_t start = os_nanotime();
	expect_eq(os_thread_start(reports, &report), -EAGAIN);
	expect_eq(os_fault_count("thread_try"), 1);
	expect_eq(os_thread_start_patient(reports, &report), -EAGAIN);
	expect_eq(os_fault_count("thread_try"), 6);
	expect(os_nanotime() - start < (int64_t)500 * MS * test_slowness());
	expect(os_fault_plan("alloc:1:ENOMEM"));
	expect_eq(os_thread_start(reports, &report), -ENOMEM);
	expect(os_fault_plan(NULL));
}

static ATOMIC_U32 ended; // how often the value came back
static pthread_key_t user_key;

static void
thread_ended(void *value)
{
	expect(value == &report);
	if (add_ar(&ended, 1) == 2) // order: publish -> the test
		note_wake(&done);
}

// Stands for a destructor of the program: in two rounds, behind ours, it sets the value again.
static void
user_destructor(void *value)
{
	os_thread_exit_set(&report);
	if (value == &user_key)
		pthread_setspecific(user_key, &report);
}

static void
sets_exit(void *arg)
{
	os_thread_exit_set(arg);
	pthread_setspecific(user_key, &user_key);
}

// The exit function runs each time the value has been set, by destructors of the program too.
void
test_os_thread_exit_each_time(void)
{
	os_init();
	os_thread_exit_key(thread_ended);
	pthread_key_create(&user_key, user_destructor);
	expect_eq(os_thread_start(sets_exit, &report), 0);
	expect(note_sleep(&done, INT64_MAX));
	os_sleep(20 * MS);
	expect_eq(load_acq(&ended), 3); // order: observe <- thread_ended
}

// Independently of os: each thread has a directory. Sanitizers have threads of their own.
static int
count_tasks(void)
{
	int n = 0;
	DIR *dir = opendir("/proc/self/task");
	expect(dir != NULL);
	for (struct dirent *d; (d = readdir(dir)) != NULL;)
		n += d->d_name[0] != '.';
	closedir(dir);
	return n;
}

static Note go_on;
static int sleeper_tid;

static void
sleeps(void *arg)
{
	(void)arg;
	sleeper_tid = os_thread_id();
	note_wake(&done);
	note_sleep(&go_on, INT64_MAX);
}

// CPU time grows while a thread runs, stands still while it sleeps, and is -1 once it is gone.
void
test_os_thread_cpu(void)
{
	os_init();
	bool counts = !test_under("qemu"); // which makes up part of /proc
	expect(!counts || os_thread_count() == count_tasks());
	int64_t before = os_thread_cpu_ns(os_thread_id());
	expect(before >= 0);
	while (os_thread_cpu_ns(os_thread_id()) < before + 5 * MS)
		continue;

	expect_eq(os_thread_start(sleeps, NULL), 0);
	note_sleep(&done, INT64_MAX);
	expect(!counts || (os_thread_count() == count_tasks() && count_tasks() >= 2));
	os_sleep(20 * MS);
	int64_t asleep = os_thread_cpu_ns(sleeper_tid);
	expect(asleep >= 0);
	os_sleep(20 * MS);
	expect_eq(os_thread_cpu_ns(sleeper_tid), asleep);
	note_wake(&go_on);
	while (os_thread_cpu_ns(sleeper_tid) >= 0)
		os_yield();
}

// --- futex, time, chance ------------------------------------------------------------------------

static ATOMIC_U32 bell;

static void
rings(void *arg)
{
	(void)arg;
	os_sleep(5 * MS);
	store_rel(&bell, 1); // order: publish -> the test
	os_futex_wake(&bell, 1);
}

void
test_os_futex(void)
{
	os_init();
	expect_eq(os_futex_wait(&bell, 1, INT64_MAX), -EAGAIN);
	expect_eq(os_futex_wait(&bell, 0, 0), -ETIMEDOUT);
	expect_eq(os_futex_wait(&bell, 0, -1), -ETIMEDOUT);
	int64_t deadline = os_nanotime() + 10 * MS;
	int err;
	while ((err = os_futex_wait(&bell, 0, deadline)) == 0)
		continue;
	expect_eq(err, -ETIMEDOUT);
	expect(os_nanotime() >= deadline);

	expect_eq(os_thread_start(rings, NULL), 0);
	while (load_acq(&bell) == 0) // order: observe <- rings
		os_futex_wait(&bell, 0, INT64_MAX);
}

void
test_os_time(void)
{
	os_init();
	int64_t last = os_nanotime();
	expect(last > 0);
	for (int i = 0; i < 1000; i++) {
		int64_t now = os_nanotime();
		expect(now >= last);
		last = now;
	}
	os_sleep(5 * MS);
	expect(os_nanotime() - last >= 5 * MS);
	os_sleep(0);
	os_sleep(-1);
}

void
test_os_chance(void)
{
	os_init();
	expect(base_seed != 1);
	cpu_set_t set;
	expect(sched_getaffinity(0, sizeof(set), &set) == 0);
	expect_eq(os_cpu_count(), CPU_COUNT(&set));
}

// --- descriptors --------------------------------------------------------------------------------

void
test_os_files(void)
{
	char text[8];
	char name[] = "os-test-XXXXXX";
	os_init();
	int fd = mkstemp(name);
	expect(fd >= 0);
	expect_eq(os_write(fd, "0123456789", 10), 10);
	close(fd);
	expect_eq(os_read_file(name, text, sizeof(text)), 7);
	expect_str(text, "0123456");
	expect_eq(os_read_file_at(name, 8, text, sizeof(text)), 2);
	expect(memcmp(text, "89", 2) == 0);
	expect_eq(os_read_file_at(name, 10, text, sizeof(text)), 0);
	unlink(name);
	expect_eq(os_read_file(name, text, sizeof(text)), -ENOENT);
	expect_str(text, "");
}

// However many groups the user has, whose line stands before that of the mask. Without libc, which
// would tell all threads and leaves this signal out.
void
test_os_halt_blocked(void)
{
	enum { GROUPS = 3000 };
	static uint32_t groups[GROUPS];
	uint64_t all = UINT64_MAX, before;
	int tid = os_thread_id();
	for (uint32_t i = 0; i < GROUPS; i++)
		groups[i] = 100000 + i;
	os_init();
	expect(!os_halt_blocked(tid));
	expect_eq(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, 8), 0);
	expect(os_halt_blocked(tid));
	if (syscall(SYS_setgroups, GROUPS, groups) == 0) // not everybody may
		expect(os_halt_blocked(tid));
	expect_eq(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8), 0);
	expect(!os_halt_blocked(tid));
}

enum { LOTS = 1 << 20 };
static int pipe_fds[2];
static ATOMIC_U32 drained;

static void
drains(void *arg)
{
	(void)arg;
	char some[5000];
	ssize_t n;
	while ((n = read(pipe_fds[0], some, sizeof(some))) > 0)
		add_rlx(&drained, (uint32_t)n); // order: count
	note_wake(&done);
}

// A write is whole though the descriptor is non-blocking and its reader slow.
void
test_os_write_all(void)
{
	const char *lots = test_pages(LOTS);
	os_init();
	expect(pipe2(pipe_fds, O_NONBLOCK) == 0);
	fcntl(pipe_fds[0], F_SETFL, 0);
	expect_eq(os_thread_start(drains, NULL), 0);
	expect_eq(os_write(pipe_fds[1], lots, LOTS), LOTS);
	close(pipe_fds[1]);
	note_sleep(&done, INT64_MAX);
	expect_eq(load_rlx(&drained), LOTS); // order: count
}

// --- signals ------------------------------------------------------------------------------------

static char signal_stack[64 << 10];
static volatile sig_atomic_t handled, on_stack, regs_good;
static char *interrupted_near;

static void
handles(int sig, siginfo_t *info, void *uc)
{
	uintptr_t pc, sp;
	char *here = arch_sp();
	(void)info;
	handled = sig;
	on_stack = here > signal_stack && here < signal_stack + sizeof(signal_stack);
	os_signal_regs(uc, &pc, &sp);
	regs_good = pc != 0 && (char *)sp > interrupted_near - (64 << 10)
		    && (char *)sp < interrupted_near + (64 << 10);
}

void
test_os_signals(void)
{
	struct sigaction before, now;
	os_init();
	interrupted_near = arch_sp();
	expect_eq(os_signal_stack(signal_stack, sizeof(signal_stack)), 0);
	expect_eq(os_signal_handle(SIGUSR1, handles, &before), 0);
	expect(before.sa_handler == SIG_DFL);
	expect_eq(os_signal_thread(os_thread_id(), SIGUSR1), 0);
	expect_eq(handled, SIGUSR1);
	expect(on_stack && regs_good);
	expect_eq(os_signal_restore(SIGUSR1, &before), 0);
	sigaction(SIGUSR1, NULL, &now);
	expect(now.sa_handler == SIG_DFL);
	expect_eq(os_signal_stack(NULL, 0), 0);
}

static void
at_exit(void)
{
	os_write(2, "destructor\n", 11);
}

DEATH(os_exits)
{
	os_init();
	atexit(at_exit);
	os_exit(7);
}

static void
does_nothing(int sig)
{
	(void)sig;
}

DEATH(os_aborts)
{
	sigset_t all;
	os_init();
	signal(SIGQUIT, does_nothing);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	os_abort(SIGQUIT);
}

void
test_os_ends(void)
{
	expect_death(os_exits, .status = 7, .err_lacks = {"destructor"});
	expect_death(os_aborts, .signal = SIGQUIT);
}

// --- files that stay open ------------------------------------------------------------------------

static KeptFile kept = {.path = "/proc/self/maps"};

static int
open_descriptors(void)
{
	int n = 0;
	for (int fd = 0; fd < 64; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

// The program closes what is not its own while it is read, and has the number for a file of its
// own. That one stays open.
void
test_os_kept_file_is_closed(void)
{
	bool own, own_too;
	int fd = kept_open(&kept, &own);
	expect(fd >= 0 && !own);
	close(fd);
	expect_eq(kept_open(&kept, &own), fd); // nobody has taken the number
	kept_close(fd, own);
	expect(!own && fcntl(fd, F_GETFD) >= 0);
	close(fd);
	expect_eq(open("/dev/null", O_RDONLY), fd);
	int other = kept_open(&kept, &own_too);
	expect(other >= 0 && other != fd && !own_too);
	kept_close(other, own_too);
	kept_close(fd, own);
	expect(fcntl(fd, F_GETFD) >= 0);
	expect_eq(kept_open(&kept, &own_too), other);
}

static void *
look_at_kept(void *unused)
{
	enum { LOOKS = 500 };
	(void)unused;
	for (int i = 0; i < LOOKS; i++) {
		char c;
		bool own;
		int fd = kept_open(&kept, &own);
		expect(fd >= 0);
		(void)pread(fd, &c, 1, 0); // it may have been closed
		kept_close(fd, own);
	}
	return NULL;
}

// Of those that open it anew one keeps its descriptor, and the others close theirs.
void
test_os_kept_file_is_opened_once(void)
{
	enum { LOOKERS = 3, CLOSED = 200 };
	pthread_t t[LOOKERS];
	(void)look_at_kept(NULL);
	int before = open_descriptors();
	for (int i = 0; i < LOOKERS; i++)
		expect_eq(pthread_create(&t[i], NULL, look_at_kept, NULL), 0);
	for (int i = 0; i < CLOSED; i++) {
		close(load_acq(&kept.fd));
		os_yield();
	}
	for (int i = 0; i < LOOKERS; i++)
		expect_eq(pthread_join(t[i], NULL), 0);
	expect(open_descriptors() <= before);
}

// --- the ring -----------------------------------------------------------------------------------

// A thread for which the kernel takes no calls, as if it had no memory.
static void *
submit_in_vain(void *unused)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {sizeof(rules) / sizeof(rules[0]), rules};
	OsFileCall c = {.op = OS_FILE_SYNC, .fd = -1};
	(void)unused;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
		skip("no seccomp");
	for (int i = 0; i < 500; i++)
		expect_eq(os_ring_submit(&c, OS_RING_SOON, 1), -EAGAIN);
	return NULL;
}

// Calls that the kernel did not take are forgotten, however many.
void
test_os_ring_refused(void)
{
	pthread_t t;
	OsRingDone result;
	OsFileCall c = {.op = OS_FILE_SYNC, .fd = -1};
	if (os_ring_make() < 0)
		skip("no io_uring");
	expect_eq(pthread_create(&t, NULL, submit_in_vain, NULL), 0);
	expect_eq(pthread_join(t, NULL), 0);
	expect_eq(os_ring_submit(&c, OS_RING_SOON, 7), 0);
	while (!os_ring_take(&result))
		;
	expect_eq(result.tag, 7);
	expect_eq(result.result, -EBADF);
	expect(!os_ring_take(&result));
	os_ring_end();
}
