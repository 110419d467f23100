// SPDX-License-Identifier: BSD-3-Clause
// Calls that are in the kernel's hands for as long as a test likes: they read into memory whose
// pages are missing, until the test puts some there (userfaultfd). Meanwhile others come, close,
// collect, and threads end. Where the kernel gives no ring, or no such memory, there is nothing to
// prove.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "goroutines.h"
#include "os/file.h"

enum { PAGE = 4096, MANY = OS_RING_DEPTH + 100 };

static char folder[] = "ring-test-XXXXXX", path[64];
static char *missing; // MANY pages
static int faults = -1;
static go_fd file;
static Count begun, ended;

// --- missing pages ------------------------------------------------------------------------------

static void
make_missing(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (faults < 0 || ioctl(faults, UFFDIO_API, &api) != 0)
		skip("no userfaultfd");
	missing = mmap(NULL, (size_t)MANY * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(missing != MAP_FAILED);
	struct uffdio_register r = {{(uintptr_t)missing, (size_t)MANY * PAGE},
				    UFFDIO_REGISTER_MODE_MISSING, 0};
	if (ioctl(faults, UFFDIO_REGISTER, &r) != 0)
		skip("no userfaultfd for this memory");
}

// All of them are there from now on.
static void
put_pages(void)
{
	for (int i = 0; i < MANY; i++) {
		struct uffdio_zeropage z = {{(uintptr_t)missing + (uintptr_t)i * PAGE, PAGE}, 0, 0};
		if (ioctl(faults, UFFDIO_ZEROPAGE, &z) != 0)
			expect_eq(errno, EEXIST);
	}
}

// --- a test's frame -----------------------------------------------------------------------------

static void
run_ring(int (*fn)(void *), int procs, const char *plan)
{
	int ring = os_ring_make();
	if (ring < 0)
		skip("no io_uring");
	os_ring_end();
	make_missing();
	expect_eq(setenv("GODEBUG", "iouring=2", 1), 0);
	expect(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/a", folder);
	expect(os_fault_plan(plan)); // counts, if nothing else
	go_gomaxprocs(procs);
	expect_eq(go_run(fn, NULL), 0);
	expect_eq(unlink(path), 0);
	expect_eq(rmdir(folder), 0);
}

#define RING_TEST(name, procs) RING_TEST_PLANNED(name, procs, "")
#define RING_TEST_PLANNED(name, procs, plan) \
	static void name##_main(void);      \
	static int name##_run(void *unused) \
	{                                   \
		(void)unused;               \
		name##_main();              \
		return 0;                   \
	}                                   \
	void test_##name(void)              \
	{                                   \
		run_ring(name##_run, procs, plan); \
	}                                   \
	static void name##_main(void)

static void
make_file(void)
{
	char page[PAGE];
	memset(page, 'x', PAGE);
	file = go_open(path, O_RDWR | O_CREAT, 0600);
	expect(file > 0);
	expect_eq(go_write(file, page, PAGE), PAGE);
}

// Reads into the page of that number.
static void
read_one(void *v)
{
	char *at = missing + (uintptr_t)v * PAGE;
	count_add(&begun);
	expect_eq(go_pread(file, at, PAGE, 0), PAGE);
	expect(at[0] == 'x' && memcmp(at, at + 1, PAGE - 1) == 0);
	count_add(&ended);
}

static uint64_t
handed_over(void)
{
	return os_fault_count("ring_submit");
}

// --- tests --------------------------------------------------------------------------------------

// The kernel holds 64 reads; nobody else needs a thread for them, and others run.
RING_TEST(ring_readers_need_no_threads, 2)
{
	enum { READERS = 64, PROCS = 2, SPARE = 4 }; // the monitor, and such as have just lost a P
	go_stats st;
	make_file();
	uint64_t before = handed_over();
	for (uintptr_t i = 0; i < READERS; i++)
		expect_eq(go_spawn(read_one, (void *)i), 0);
	until(handed_over() - before == READERS);
	for (int i = 0; i < 20; i++)
		go_sleep(GO_MSEC); // the monitor has the time to do what it would
	go_stats_read(&st);
	expect(st.threads <= PROCS + SPARE);
	expect_eq(count_of(&ended), 0);
	put_pages();
	until(count_of(&ended) == READERS);
	go_stats_read(&st);
	expect(st.threads <= PROCS + SPARE);
	go_close(file);
}

// More calls than the ring has room for: those that find none wait for it, and all are made.
RING_TEST(ring_full, 2)
{
	make_file();
	uint64_t before = handed_over();
	for (uintptr_t i = 0; i < MANY; i++)
		expect_eq(go_spawn(read_one, (void *)i), 0);
	until(count_of(&begun) == MANY && handed_over() - before == OS_RING_DEPTH);
	go_sleep(5 * GO_MSEC);
	expect_eq(handed_over() - before, OS_RING_DEPTH);
	put_pages();
	until(count_of(&ended) == MANY);
	expect_eq(handed_over() - before, MANY);
	go_close(file);
}

// Those that wait for room get none, as the kernel takes no more calls: each goes on and makes its
// call itself.
static void
read_plain(void *unused)
{
	char page[PAGE];
	(void)unused;
	count_add(&begun);
	expect_eq(go_pread(file, page, PAGE, 0), PAGE);
	count_add(&ended);
}

RING_TEST_PLANNED(ring_full_then_refused, 2, "ring_submit:1026+:EAGAIN")
{
	enum { BEHIND = OS_RING_DEPTH + 100 };
	make_file();
	uint64_t before = handed_over();
	expect_eq(before + OS_RING_DEPTH, 1025);
	for (uintptr_t i = 0; i < OS_RING_DEPTH; i++)
		expect_eq(go_spawn(read_one, (void *)i), 0);
	until(handed_over() - before == OS_RING_DEPTH);
	for (int i = 0; i < BEHIND; i++)
		expect_eq(go_spawn(read_plain, NULL), 0);
	until(count_of(&begun) == OS_RING_DEPTH + BEHIND);
	go_sleep(5 * GO_MSEC);
	put_pages();
	until(count_of(&ended) == OS_RING_DEPTH + BEHIND);
	go_close(file);
}

// A file that is closed under a read goes when the read has ended, and not before.
RING_TEST(ring_close_under_way, 2)
{
	char c;
	make_file();
	uint64_t before = handed_over();
	expect_eq(go_spawn(read_one, NULL), 0);
	until(handed_over() - before == 1);
	int fd = go_fd_number(file);
	expect_eq(go_close(file), 0); // does not wait
	expect_eq(go_pread(file, &c, 1, 0), GO_ECLOSED);
	expect(fcntl(fd, F_GETFD) >= 0);
	put_pages();
	until(count_of(&ended) == 1);
	until(fcntl(fd, F_GETFD) < 0);
}

// Who collects waits for no call, and takes nothing away that one uses.
static void
read_to_stack(void *v)
{
	char page[PAGE];
	struct iovec two[] = {{page, PAGE}, {missing + (uintptr_t)v * PAGE, PAGE}};
	memset(page, 0, PAGE);
	expect_eq(go_readv(file, two, 2), 2 * PAGE);
	expect(page[0] == 'x' && memcmp(page, page + 1, PAGE - 1) == 0);
	count_add(&ended);
}

RING_TEST(ring_collected_under_way, 2)
{
	make_file();
	expect_eq(go_ftruncate(file, 0), 0);
	for (int i = 0; i < 8; i++) {
		char page[PAGE];
		memset(page, 'x', PAGE);
		expect_eq(go_pwrite(file, page, PAGE, i * PAGE), PAGE);
	}
	expect_eq(go_seek(file, 0, SEEK_SET), 0);
	uint64_t before = handed_over();
	expect_eq(go_spawn(read_to_stack, NULL), 0);
	until(handed_over() - before == 1);
	for (long i = test_scale(20); i > 0; i--)
		go_gc();
	put_pages();
	until(count_of(&ended) == 1);
	go_close(file);
}

// The thread that has handed a call over ends, which is no affair of the call's.
static void
end_thread(void *v)
{
	atomic_int *tid = v;
	go_lock_os_thread();
	atomic_store(tid, tid_now());
	count_add(&ended);
}

RING_TEST(ring_thread_ends, 1)
{
	enum { ROUNDS = 4 };
	atomic_int tid = 0;
	make_file();
	for (uintptr_t i = 0; i < ROUNDS; i++) {
		expect_eq(go_spawn(read_one, (void *)i), 0);
		expect_eq(go_spawn(end_thread, &tid), 0); // on the same thread, mostly
		until(count_of(&ended) == (long)i + 1);
	}
	put_pages();
	until(count_of(&ended) == 2 * ROUNDS);
	until(thread_gone(tid));
	go_close(file);
}
