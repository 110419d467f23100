// SPDX-License-Identifier: BSD-3-Clause
// Threads: starting them, their stacks and ends, their CPU time.
//
// They are made by pthread_create, so that libc's thread-locals and the program's pthread keys work
// in whatever runs on them.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "os/linux/kept.h"
#include "os/linux/syscall.h"
#include "os/os_impl.h"

enum {
	STACK_BYTES = 256 << 10, // of a thread's own stack, where the runtime's code runs
	MAPPINGS_MAX = 256,      // of a process that has just begun
};

// What a new thread runs; freed by it.
typedef struct Start {
	void (*fn)(void *arg);
	void *arg;
} Start;

static void *
thread_main(void *arg)
{
	Start start = *(Start *)arg;
	os_free(arg);
	start.fn(start.arg);
	return NULL;
}

// Of the program itself. The loader, who knows of libraries, too, has a lock that may be held.
static size_t
thread_local_bytes(void)
{
	const ElfW(Phdr) *ph = (const ElfW(Phdr) *)getauxval(AT_PHDR);
	size_t bytes = 0;
	for (unsigned long n = ph != NULL ? getauxval(AT_PHNUM) : 0; n > 0; n--, ph++)
		if (ph->p_type == PT_TLS)
			bytes += ph->p_memsz + ph->p_align;
	return bytes;
}

// libc takes thread-locals, which may be large, out of the stack it is told to make.
static size_t
stack_bytes(void)
{
	int saved = errno;
	long least = sysconf(_SC_THREAD_STACK_MIN);
	errno = saved;
	size_t bytes = STACK_BYTES + (size_t)(least > 0 ? least : 64 << 10) + thread_local_bytes();
#if defined(OS_TSAN) || defined(OS_ASAN)
	bytes += 4 * STACK_BYTES; // instrumented frames are larger
#endif
	size_t page = os_page_bytes();
	return (bytes + page - 1) & ~(page - 1);
}

// 0, -EAGAIN, -ENOMEM.
static int
try_start(const pthread_attr_t *attr, Start *start)
{
	int err = fault(FAULT_thread_try);
	if (err != 0)
		return err;
	pthread_t id;
	return -pthread_create(&id, attr, thread_main, start);
}

int
sys_thread_start(void (*fn)(void *arg), void *arg)
{
	int saved = errno;
	int err = -ENOMEM;
	pthread_attr_t attr;
	sigset_t all, before;
	Start *start = os_alloc(sizeof(*start));
	if (start == NULL)
		return err;
	*start = (Start){fn, arg};
	if (pthread_attr_init(&attr) != 0)
		goto out;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, stack_bytes());

	sys_signal_all_but_faults(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); // the new thread inherits it
	err = try_start(&attr, start);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
out:
	if (err != 0)
		os_free(start);
	errno = saved;
	return err == 0 || err == -ENOMEM ? err : -EAGAIN;
}

static __thread int thread_id;

// Not inlined: forms the address of a thread-local.
NOINLINE int
sys_thread_id(void)
{
	if (thread_id == 0)
		thread_id = (int)syscall0(SYS_gettid);
	return thread_id;
}

// Of the process's first thread, on its own stack: from the end of that, with what the kernel has
// put there, down to where the limit of its size is, or the mapping below. libc finds that, too, by
// functions for streams and formats, 200 KiB of a small program's memory. False: it is another
// stack.
static bool
first_stack(void **lo, void **hi)
{
	OsRange maps[MAPPINGS_MAX];
	struct rlimit limit;
	uintptr_t here = (uintptr_t)maps, end = getauxval(AT_RANDOM), below = 0;
	int n = sys_mappings(maps, MAPPINGS_MAX);
	if (n <= 0 || n > MAPPINGS_MAX || getrlimit(RLIMIT_STACK, &limit) != 0)
		return false;
	int i = 0;
	for (; i < n && maps[i].hi <= here; i++)
		below = maps[i].hi;
	if (i == n || maps[i].lo > here || maps[i].lo > end || maps[i].hi <= end)
		return false;
	size_t most = maps[i].hi - below;
	size_t bytes = limit.rlim_cur < most ? limit.rlim_cur & ~(os_page_bytes() - 1) : most;
	*hi = (void *)maps[i].hi;
	*lo = (char *)*hi - bytes;
	return true;
}

void
sys_thread_stack(void **lo, void **hi)
{
	if (sys_thread_id() == os_process_id() && first_stack(lo, hi))
		return;
	int saved = errno;
	pthread_attr_t attr;
	size_t bytes = 0;
	*lo = *hi = NULL;
	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		pthread_attr_getstack(&attr, lo, &bytes);
		pthread_attr_destroy(&attr);
	}
	*hi = (char *)*lo + bytes;
	errno = saved;
}

// --- the end of a thread ------------------------------------------------------------------------

static pthread_key_t exit_key;

// libc calls destructors in no particular order, in rounds while values are set, at most
// PTHREAD_DESTRUCTOR_ITERATIONS of them, which is 4. Ours may be the first. It cannot know the
// round, as the thread may have set its value in any, and so has no later one to wait for: what
// comes behind it sets a value again, which is seen in the next round.
void
sys_thread_exit_key(void (*fn)(void *value))
{
	check(pthread_key_create(&exit_key, fn) == 0, "os: no pthread key is left");
}

void
sys_thread_exit_set(void *value)
{
	check(pthread_setspecific(exit_key, value) == 0, "os: pthread_setspecific failed");
}

// --- small services -----------------------------------------------------------------------------

void
os_thread_name(const char *name)
{
	syscall2(SYS_prctl, PR_SET_NAME, name);
}

enum { EXACT_NS = 1 }; // 0 would be the thread's default

int64_t
os_thread_exact_timers(void)
{
	int64_t was = syscall2(SYS_prctl, PR_GET_TIMERSLACK, 0);
	syscall2(SYS_prctl, PR_SET_TIMERSLACK, EXACT_NS);
	return was;
}

void
os_thread_exact_no_more(int64_t was)
{
	if (was > 0 && syscall2(SYS_prctl, PR_GET_TIMERSLACK, 0) == EXACT_NS)
		syscall2(SYS_prctl, PR_SET_TIMERSLACK, was);
}

int64_t
sys_thread_cpu_ns(int tid)
{
	struct timespec ts;
	int clock = (int)(~(unsigned)tid << 3 | 6); // this thread's time on the CPU
	if (syscall2(SYS_clock_gettime, clock, &ts) != 0)
		return -1;
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

bool
os_after_fork(void (*fn)(void))
{
	return pthread_atfork(NULL, NULL, fn) == 0;
}

static KeptFile task_dir = {.path = "/proc/self/task"};

// A directory has a link for itself, one for its name, and one for each folder in it. That much can
// be asked without a descriptor; with one the path needs not be walked.
static int
count_by_links(void)
{
	struct stat st;
	long err = kept_stat(&task_dir, &st)
			   ? 0
			   : syscall4(SYS_newfstatat, AT_FDCWD, task_dir.path, &st, 0);
	return err < 0 ? (int)err : (int)st.st_nlink - 2;
}

// The 20th field of stat; the second, a name in parentheses, may contain anything.
static int
count_by_stat(void)
{
	char text[1024];
	int n = sys_read_file_at("/proc/self/stat", 0, text, sizeof(text) - 1);
	if (n < 0)
		return n;
	text[n] = '\0';
	const char *at = strrchr(text, ')');
	for (int field = 2; at != NULL && field < 20; field++)
		at = strchr(at + 1, ' ');
	if (at == NULL)
		return -EINVAL;
	int count = 0;
	for (at++; *at >= '0' && *at <= '9' && count < INT_MAX / 10; at++)
		count = count * 10 + (*at - '0');
	return count > 0 ? count : -EINVAL;
}

// For stat the kernel adds up what all threads have used, ten times as long as it takes to count
// links. But only stat is documented, so links have to have agreed with it first, on two numbers of
// threads: on one they might by chance.
int
sys_thread_count(void)
{
	static ATOMIC(int) agreed_on;
	static ATOMIC_BOOL agreed;
	int links = count_by_links();
	if (load_rlx(&agreed) && links > 0) // order: hint
		return links;
	int count = count_by_stat();
	if (count == -EMFILE || count == -ENFILE)
		return sys_threads_each(NULL, NULL); // that file is open
	if (count != links || count_by_links() != links)
		return count;
	int other = xchg_rlx(&agreed_on, count); // order: hint
	if (other != 0 && other != count)
		store_rlx(&agreed, true); // order: hint
	return count;
}

void
sys_yield(void)
{
	syscall0(SYS_sched_yield);
}

void
sys_sleep(int64_t ns)
{
	int64_t end = base_deadline(sys_nanotime(), ns);
	struct timespec ts = {.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};
	while (syscall4(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == -EINTR)
		continue;
}

// "/proc/self/task/" tid "/" file, into path of PATH_BYTES.
enum { PATH_BYTES = 48 };
static void
task_path(char *path, int tid, const char *file)
{
	for (const char *s = "/proc/self/task/"; *s != '\0'; s++)
		*path++ = *s;
	char digits[12];
	int n = 0;
	for (unsigned v = (unsigned)tid; n == 0 || v != 0; v /= 10)
		digits[n++] = (char)('0' + v % 10);
	while (n > 0)
		*path++ = digits[--n];
	*path++ = '/';
	while ((*path++ = *file++) != '\0')
		continue;
}

// What /proc says of a thread behind its name, which stands in brackets and may hold brackets
// itself: " S 1 2 ...", the state and numbers. "" when it cannot be told.
enum { STAT_BYTES = 192 };
static const char *
read_stat(int tid, char text[STAT_BYTES])
{
	char path[PATH_BYTES];
	task_path(path, tid, "stat");
	int n = sys_read_file_at(path, 0, text, STAT_BYTES - 1);
	text[n > 0 ? n : 0] = '\0';
	while (n > 0 && text[n - 1] != ')')
		n--;
	return n > 0 ? text + n : "";
}

char
sys_thread_state(int tid)
{
	char text[STAT_BYTES];
	const char *at = read_stat(tid, text);
	return at[0] == ' ' ? at[1] : '\0';
}

// The mask in the line "SigBlk:\t" and 16 hexadecimal digits, which may come in pieces.
typedef struct MaskLine {
	uint32_t matched; // of the name
	uint32_t digits;
	uint64_t mask;
} MaskLine;

// True: it is complete.
static bool
mask_read(MaskLine *l, const char *text, long n)
{
	static const char name[] = "SigBlk:\t";
	for (long i = 0; i < n && l->digits < 16; i++) {
		char c = text[i];
		if (l->matched < sizeof(name) - 1) {
			l->matched = c == name[l->matched] ? l->matched + 1 : 0;
			continue;
		}
		l->mask = l->mask << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
		l->digits++;
	}
	return l->digits == 16;
}

// The user's groups, of which there may be thousands, stand before the mask. Pieces of one file are
// of one moment.
bool
sys_signal_blocked(int tid, int sig)
{
	char path[PATH_BYTES], text[1024];
	MaskLine line = {0, 0, 0};
	task_path(path, tid, "status");
	long fd = syscall4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0), n;
	if (fd < 0)
		return false;
	while ((n = syscall3(SYS_read, fd, text, sizeof(text))) > 0)
		if (mask_read(&line, text, n))
			break;
	syscall1(SYS_close, fd);
	return line.digits == 16 && (line.mask >> (sig - 1) & 1) != 0;
}

bool
sys_halt_blocked(int tid)
{
	return sys_signal_blocked(tid, HALT_SIGNAL);
}

// The kernel's flags are the sixth number behind the state. Before Linux 5.12, which had no such
// threads, the bit meant something else; a thread of ours never blocks our signal for long.
static bool
has_flag_of_kernels(int tid)
{
	enum { FLAG_IO_WORKER = 0x10, BLANKS = 7 };
	char text[STAT_BYTES];
	const char *at = read_stat(tid, text);
	for (int blanks = 0; *at != '\0' && blanks < BLANKS; at++)
		blanks += *at == ' ';
	unsigned long flags = 0;
	for (; *at >= '0' && *at <= '9'; at++)
		flags = flags * 10 + (unsigned long)(*at - '0');
	return (flags & FLAG_IO_WORKER) != 0;
}

bool
sys_thread_of_kernel(int tid)
{
	return has_flag_of_kernels(tid) && sys_halt_blocked(tid);
}

// Where there was one the bit means what it says, so the longer look can be spared.
bool
sys_thread_still_of_kernel(int tid)
{
	return has_flag_of_kernels(tid);
}

// What getdents64 writes.
typedef struct Entry {
	uint64_t inode;
	int64_t offset;
	uint16_t bytes;
	uint8_t type;
	char name[];
} Entry;

// A thread's number, or 0 for "." and "..".
static int
entry_tid(const Entry *e)
{
	int tid = 0;
	for (const char *p = e->name; *p >= '0' && *p <= '9'; p++)
		tid = tid * 10 + (*p - '0');
	return tid;
}

void
sys_threads_ready(void)
{
	bool own;
	int fd = kept_open(&task_dir, &own);
	kept_close(fd, own);
	(void)sys_thread_count(); // of few threads: the first of the numbers it has to agree on
}

int
sys_threads_each(void (*fn)(void *ctx, int tid), void *ctx)
{
	_Alignas(Entry) char buf[4096];
	bool own;
	int fd = kept_open(&task_dir, &own);
	if (fd < 0)
		return fd;
	int count = 0;
	long n;
	syscall3(SYS_lseek, fd, 0, SEEK_SET); // of one thread at a time
	while ((n = syscall3(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n; at += ((const Entry *)(void *)(buf + at))->bytes) {
			int tid = entry_tid((const Entry *)(void *)(buf + at));
			if (tid == 0)
				continue;
			count++;
			if (fn != NULL)
				fn(ctx, tid);
		}
	}
	kept_close(fd, own);
	return n < 0 ? (int)n : count;
}
