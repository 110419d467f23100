// SPDX-License-Identifier: BSD-3-Clause
// Promises of undergo/file.h, each in three ways: as it comes; without io_uring, by threads; and
// with every call that can be made by the kernel's threads made there (GODEBUG=iouring).
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "goroutines.h"

// Defines test_NAME, test_NAME_by_threads and test_NAME_by_kernel, as GO_TEST does one.
#define FILE_TEST(name, procs)                  \
	static void name##_main(void);          \
	static int name##_run(void *unused)     \
	{                                       \
		(void)unused;                   \
		name##_main();                  \
		return 0;                       \
	}                                       \
	void test_##name(void)                  \
	{                                       \
		run_files(name##_run, NULL, procs); \
	}                                       \
	void test_##name##_by_threads(void)     \
	{                                       \
		run_files(name##_run, "iouring=0", procs); \
	}                                       \
	void test_##name##_by_kernel(void)      \
	{                                       \
		run_files(name##_run, "iouring=2", procs); \
	}                                       \
	static void name##_main(void)

enum { PAGE = 4096, PAGES = 64 };

static char folder[] = "file-test-XXXXXX";
static Count ended;

// In memory of the calling thread's, for one call.
static const char *
in_folder(const char *name)
{
	static __thread char path[64];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void
run_files(int (*fn)(void *), const char *how, int procs)
{
	if (how != NULL)
		expect_eq(setenv("GODEBUG", how, 1), 0);
	expect(mkdtemp(folder) != NULL);
	go_gomaxprocs(procs);
	expect_eq(go_run(fn, NULL), 0);
	static const char *const names[] = {"a", "b", "fifo"};
	for (int i = 0; i < 3; i++)
		unlink(in_folder(names[i]));
	expect_eq(rmdir(folder), 0);
}

static go_fd
made(const char *name, int flags)
{
	go_fd fd = go_open(in_folder(name), O_RDWR | O_CREAT | flags, 0600);
	expect(fd > 0);
	return fd;
}

// The bytes of a file of PAGES pages: each page is of one letter.
static void
fill(go_fd fd)
{
	char page[PAGE];
	for (int i = 0; i < PAGES; i++) {
		memset(page, '!' + i, PAGE);
		expect_eq(go_write(fd, page, PAGE), PAGE);
	}
}

// The system forgets what it has of a file in memory, if it can: reads go to the disk.
static void
forget(go_fd fd)
{
	expect_eq(go_fsync(fd), 0);
	expect_eq(posix_fadvise(go_fd_number(fd), 0, 0, POSIX_FADV_DONTNEED), 0);
}

// --- calls --------------------------------------------------------------------------------------

FILE_TEST(file_calls, 2)
{
	char buf[100] = {0};
	struct stat st;
	go_fd fd = made("a", O_EXCL);
	expect((fcntl(go_fd_number(fd), F_GETFD) & FD_CLOEXEC) != 0);
	expect_eq(go_write(fd, "hello, ", 7), 7);
	expect_eq(go_write(fd, "world", 5), 5);
	expect_eq(go_seek(fd, 0, SEEK_CUR), 12);
	expect_eq(go_read(fd, buf, sizeof(buf)), 0); // the end
	expect_eq(go_seek(fd, 7, SEEK_SET), 7);
	expect_eq(go_read(fd, buf, sizeof(buf)), 5);
	expect_str(buf, "world");
	expect_eq(go_pread(fd, buf, 4, 0), 4);
	expect_str(buf, "helld");
	expect_eq(go_pread(fd, buf, sizeof(buf), 12), 0);
	expect_eq(go_pread(fd, buf, sizeof(buf), 10), 2);
	expect_eq(go_pwrite(fd, "HE", 2, 0), 2);
	expect_eq(go_seek(fd, 0, SEEK_CUR), 12); // it stays
	expect_eq(go_seek(fd, -12, SEEK_END), 0);
	expect_eq(go_read_full(fd, buf, 5), 5);
	expect(memcmp(buf, "HEllo", 5) == 0);
	expect_eq(go_fsync(fd), 0);
	expect_eq(go_fdatasync(fd), 0);
	expect_eq(go_fstat(fd, &st), 0);
	expect_eq(st.st_size, 12);
	expect_eq(go_ftruncate(fd, 3), 0);
	expect_eq(go_stat(in_folder("a"), &st), 0);
	expect_eq(st.st_size, 3);
	expect_eq(st.st_mode & 0777, 0600);
	expect_eq(go_ftruncate(fd, 5), 0);
	memset(buf, 1, sizeof(buf));
	expect_eq(go_pread(fd, buf, sizeof(buf), 0), 5);
	expect(memcmp(buf, "HEl\0\0", 5) == 0);
	expect_eq(go_read(fd, buf, 0), 0);
	expect_eq(go_write(fd, buf, 0), 0);
	expect_eq(go_close(fd), 0);
}

FILE_TEST(file_vectors, 2)
{
	char a[3] = {0}, b[4] = {0}, c[PAGE];
	go_fd fd = made("a", 0), log = made("b", O_APPEND);
	struct iovec out[] = {{"abc", 3}, {NULL, 0}, {"defg", 4}, {"hi", 2}};
	struct iovec in[] = {{a, 3}, {NULL, 0}, {b, 4}, {c, PAGE}};
	expect_eq(go_writev(fd, out, 4), 9);
	expect_eq(go_seek(fd, 0, SEEK_SET), 0);
	expect_eq(go_readv(fd, in, 4), 9);
	expect(memcmp(a, "abc", 3) == 0 && memcmp(b, "defg", 4) == 0 && memcmp(c, "hi", 2) == 0);
	expect_eq(go_readv(fd, in, 4), 0);
	expect_eq(go_readv(fd, in, 0), 0);
	expect_eq(go_writev(fd, in, IOV_MAX + 1), GO_EINVAL);
	expect_eq(go_readv(fd, in, -1), GO_EINVAL);
	for (int i = 0; i < 3; i++)
		expect_eq(go_writev(log, out, 4), 9);
	expect_eq(go_pwrite(log, "!", 1, 0), 1); // at the end all the same
	expect_eq(go_pread(log, c, PAGE, 0), 28);
	expect(memcmp(c, "abcdefghiabcdefghiabcdefghi!", 28) == 0);
	go_close(fd);
	go_close(log);
}

FILE_TEST(file_refused, 1)
{
	char buf[4];
	struct stat st;
	go_fd ends[2], dir = go_open(folder, O_RDONLY, 0), fd = made("a", 0);
	go_fd in = go_open(in_folder("a"), O_RDONLY, 0);
	expect(dir > 0 && in > 0);
	expect_eq(go_open(NULL, O_RDONLY, 0), GO_EINVAL);
	expect_eq(go_open(in_folder("none"), O_RDONLY, 0), GO_ERRNO(ENOENT));
	expect_eq(go_open(in_folder("a"), O_CREAT | O_EXCL, 0600), GO_ERRNO(EEXIST));
	expect_eq(go_open(folder, O_WRONLY, 0), GO_ERRNO(EISDIR));
	expect_eq(go_read(dir, buf, 4), GO_ERRNO(EISDIR));
	expect_eq(go_pread(dir, buf, 4, 0), GO_ERRNO(EISDIR));
	expect_eq(go_fsync(dir), 0);
	expect_eq(go_write(in, buf, 4), GO_EINVAL);
	expect_eq(go_pwrite(in, buf, 4, 0), GO_EINVAL);
	expect_eq(go_ftruncate(in, 4), GO_EINVAL);
	expect_eq(go_ftruncate(fd, -1), GO_EINVAL);
	expect_eq(go_pread(fd, buf, 4, -1), GO_EINVAL);
	expect_eq(go_pwrite(fd, buf, 4, -1), GO_EINVAL);
	expect_eq(go_pread(fd, buf, 4, INT64_MAX), GO_EINVAL);
	expect_eq(go_pread(fd, buf, 4, INT64_MAX - 4), 0);
	expect_eq(go_pwrite(fd, buf, 4, INT64_MAX - 4), GO_ERRNO(EFBIG));
	expect_eq(go_pwrite(fd, NULL, 4, 0), GO_ERRNO(EFAULT));
	expect_eq(go_pwrite(fd, "abcd", 4, 0), 4);
	expect_eq(go_pread(fd, NULL, 4, 0), GO_ERRNO(EFAULT));
	expect_eq(go_seek(fd, -1, SEEK_SET), GO_EINVAL);
	expect_eq(go_seek(fd, 0, 99), GO_EINVAL);
	expect_eq(go_set_deadline(fd, GO_NEVER), GO_ENOSYS);
	expect_eq(go_stat(NULL, &st), GO_EINVAL);
	expect_eq(go_stat(folder, NULL), GO_EINVAL);
	expect_eq(go_fstat(fd, NULL), GO_EINVAL);
	expect_eq(go_stat(in_folder("none"), &st), GO_ERRNO(ENOENT));
	expect_eq(go_pipe(ends), 0);
	expect_eq(go_pread(ends[0], buf, 4, 0), GO_ERRNO(ESPIPE));
	expect_eq(go_pwrite(ends[1], buf, 4, 0), GO_ERRNO(ESPIPE));
	expect_eq(go_seek(ends[0], 0, SEEK_CUR), GO_ERRNO(ESPIPE));
	expect_eq(go_fsync(ends[0]), GO_EINVAL);
	expect_eq(go_close(fd), 0);
	expect_eq(go_read(fd, buf, 4), GO_ECLOSED);
	expect_eq(go_pread(fd, buf, 4, 0), GO_ECLOSED);
	expect_eq(go_pwrite(fd, buf, 4, 0), GO_ECLOSED);
	expect_eq(go_fsync(fd), GO_ECLOSED);
	expect_eq(go_fstat(fd, &st), GO_ECLOSED);
	expect_eq(go_seek(fd, 0, SEEK_CUR), GO_ECLOSED);
	expect_eq(go_ftruncate(fd, 0), GO_ECLOSED);
	expect_eq(go_close(fd), GO_ECLOSED);
	expect_eq(go_pread(-1, buf, 4, 0), GO_EINVAL);
	go_close(dir);
	go_close(in);
}

// --- what is no plain file ----------------------------------------------------------------------

static void
open_writer(void *unused)
{
	go_fd fd = go_open(in_folder("fifo"), O_WRONLY, 0);
	(void)unused;
	expect(fd > 0);
	go_sleep(GO_MSEC);
	expect_eq(go_write(fd, "x", 1), 1);
	expect_eq(go_close(fd), 0);
	count_add(&ended);
}

// A pipe with a name waits in the poller, with a deadline.
FILE_TEST(file_fifo, 2)
{
	char c = 0;
	expect_eq(mkfifo(in_folder("fifo"), 0600), 0);
	expect_eq(go_spawn(open_writer, NULL), 0);
	go_fd fd = go_open(in_folder("fifo"), O_RDONLY, 0);
	expect(fd > 0);
	expect_eq(go_read(fd, &c, 1), 1);
	expect_eq(c, 'x');
	until(count_of(&ended) == 1);
	expect_eq(go_read(fd, &c, 1), 0);
	go_close(fd);
	fd = go_open(in_folder("fifo"), O_RDWR, 0);
	expect_eq(go_set_deadline(fd, go_in(GO_MSEC)), 0);
	expect_eq(go_read(fd, &c, 1), GO_ETIMEDOUT);
	go_close(fd);
}

FILE_TEST(file_odd_ones, 1)
{
	char buf[PAGE];
	go_fd zero = go_open("/dev/zero", O_RDWR, 0), null = go_open("/dev/null", O_RDWR, 0);
	go_fd stat = go_open("/proc/self/stat", O_RDONLY, 0), fd = made("a", O_NONBLOCK);
	expect_eq(go_read(zero, buf, PAGE), PAGE);
	expect_eq(go_pread(zero, buf, PAGE, 5), PAGE);
	expect_eq(go_write(null, buf, PAGE), PAGE);
	expect_eq(go_read(null, buf, PAGE), 0);
	int64_t n = go_read(stat, buf, PAGE);
	expect(n > 0 && strtol(buf, NULL, 10) == getpid());
	expect_eq(go_read(stat, buf, PAGE), 0);
	expect_eq(go_pread(stat, buf, PAGE, 0) > 0, true);
	fill(fd);
	forget(fd);
	for (int i = PAGES; i-- > 0;) { // without a wait it would be GO_EAGAIN
		expect_eq(go_pread(fd, buf, PAGE, i * PAGE), PAGE);
		expect_eq(buf[PAGE - 1], '!' + i);
	}
	go_close(zero);
	go_close(null);
	go_close(stat);
	go_close(fd);
}

// --- many at once -------------------------------------------------------------------------------

static _Atomic go_fd shared;

static void
read_pages(void *v)
{
	uint64_t rand = (uint64_t)(uintptr_t)v;
	char page[PAGE];
	for (long i = test_scale(100); i > 0; i--) {
		int at = (int)(test_rand(&rand) % PAGES);
		expect_eq(go_pread(shared, page, PAGE, at * PAGE), PAGE);
		expect(page[0] == '!' + at && memcmp(page, page + 1, PAGE - 1) == 0);
		if (i % 16 == 0)
			forget(shared);
	}
	count_add(&ended);
}

FILE_TEST(file_many_readers, 4)
{
	enum { READERS = 64 };
	shared = made("a", 0);
	fill(shared);
	for (uintptr_t i = 1; i <= READERS; i++)
		expect_eq(go_spawn(read_pages, (void *)i), 0);
	until(count_of(&ended) == READERS);
	go_close(shared);
}

enum { MOVERS = 8, MOVES = 50, RECORD = 16 };

static atomic_char seen[MOVERS * MOVES];

static void
write_records(void *v)
{
	char r[RECORD + 1];
	for (int i = 0; i < MOVES; i++) {
		snprintf(r, sizeof(r), "%015d\n", (int)(intptr_t)v * MOVES + i);
		struct iovec two[] = {{r, 5}, {r + 5, RECORD - 5}};
		if (i % 2 == 0)
			expect_eq(go_write(shared, r, RECORD), RECORD);
		else
			expect_eq(go_writev(shared, two, 2), RECORD);
	}
	count_add(&ended);
}

static void
read_records(void *unused)
{
	char r[RECORD];
	int64_t n;
	(void)unused;
	while ((n = go_read(shared, r, RECORD)) == RECORD) {
		long which = strtol(r, NULL, 10);
		expect(r[RECORD - 1] == '\n' && which < MOVERS * MOVES);
		expect_eq(atomic_exchange(&seen[which], 1), 0);
	}
	expect_eq(n, 0);
	count_add(&ended);
}

// Who moves a file's place takes turns: nothing is overwritten, nothing read twice.
FILE_TEST(file_place_is_one, 4)
{
	shared = made("a", 0);
	for (intptr_t i = 0; i < MOVERS; i++)
		expect_eq(go_spawn(write_records, (void *)i), 0);
	until(count_of(&ended) == MOVERS);
	expect_eq(go_seek(shared, 0, SEEK_CUR), MOVERS * MOVES * RECORD);
	expect_eq(go_seek(shared, 0, SEEK_SET), 0);
	for (int i = 0; i < MOVERS; i++)
		expect_eq(go_spawn(read_records, NULL), 0);
	until(count_of(&ended) == 2 * MOVERS);
	for (int i = 0; i < MOVERS * MOVES; i++)
		expect_eq(seen[i], 1);
	go_close(shared);
}

// Readers and writers of one place at the same time: each moves it by what it has done. The pieces
// are large, so that calls would overlap that may.
enum { LARGE = 8 * PAGE };

static void
read_or_write(void *v)
{
	char r[LARGE] = "x";
	for (int i = 0; i < MOVES; i++) {
		if (v != NULL)
			expect_eq(go_write(shared, r, LARGE), LARGE);
		else
			expect_eq(go_read(shared, r, LARGE), LARGE);
	}
	count_add(&ended);
}

FILE_TEST(file_reads_beside_writes, 4)
{
	shared = made("a", 0);
	expect_eq(go_ftruncate(shared, 2 * MOVERS * MOVES * LARGE), 0);
	for (int i = 0; i < MOVERS; i++) {
		expect_eq(go_spawn(read_or_write, NULL), 0);
		expect_eq(go_spawn(read_or_write, &shared), 0);
	}
	until(count_of(&ended) == 2 * MOVERS);
	expect_eq(go_seek(shared, 0, SEEK_CUR), 2 * MOVERS * MOVES * LARGE);
	go_close(shared);
}

// --- closing, collecting, threads ---------------------------------------------------------------

static void
open_and_read(void *v)
{
	char page[PAGE];
	uint64_t rand = (uint64_t)(uintptr_t)v;
	for (long i = test_scale(100); i > 0; i--) {
		go_fd fd = shared;
		int at = (int)(test_rand(&rand) % PAGES);
		int64_t n = go_pread(fd, page, PAGE, at * PAGE);
		expect(n == PAGE || n == GO_ECLOSED);
		expect(n != PAGE || (page[0] == '!' + at && page[PAGE - 1] == '!' + at));
		if (test_rand(&rand) % 8 == 0)
			(void)go_close(fd);
	}
	count_add(&ended);
}

// Who reads while another one closes gets all or GO_ECLOSED, and never another file's bytes.
FILE_TEST(file_close_race, 4)
{
	enum { READERS = 8 };
	go_fd fd = made("a", 0), other = made("b", 0);
	fill(fd);
	forget(fd);
	shared = fd;
	char path_of_a[64];
	snprintf(path_of_a, sizeof(path_of_a), "%s", in_folder("a"));
	for (uintptr_t i = 1; i <= READERS; i++)
		expect_eq(go_spawn(open_and_read, (void *)i), 0);
	while (count_of(&ended) < READERS) {
		struct stat st;
		if (go_fstat(shared, &st) == GO_ECLOSED) {
			go_fd again = go_open(path_of_a, O_RDONLY, 0);
			expect(again > 0);
			shared = again;
		}
		go_close(other);
		other = go_open("/dev/zero", O_RDONLY, 0);
		go_yield();
	}
	go_close(other);
	(void)go_close(shared);
}

static void
read_to_heap(void *v)
{
	uint64_t rand = (uint64_t)(uintptr_t)v;
	for (long i = test_scale(60); i > 0; i--) {
		int at = (int)(test_rand(&rand) % PAGES);
		char *page = go_alloc_data(PAGE);
		expect_eq(go_pread(shared, page, PAGE, at * PAGE), PAGE);
		expect(page[0] == '!' + at && memcmp(page, page + 1, PAGE - 1) == 0);
	}
	count_add(&ended);
}

// What the kernel reads to stays, and its threads hold no collection up.
FILE_TEST(file_collected, 2)
{
	enum { READERS = 16 };
	shared = made("a", 0);
	fill(shared);
	for (uintptr_t i = 1; i <= READERS; i++)
		expect_eq(go_spawn(read_to_heap, (void *)i), 0);
	while (count_of(&ended) < READERS) {
		go_gc();
		go_sleep(100 * GO_USEC);
	}
	go_close(shared);
}

static void *
thread_reads(void *v)
{
	char page[PAGE];
	for (int i = 0; i < PAGES; i++) {
		expect_eq(go_pread(shared, page, PAGE, i * PAGE), PAGE);
		expect_eq(page[7], '!' + i);
	}
	return v;
}

static void
locked_reads(void *unused)
{
	go_lock_os_thread();
	thread_reads(unused);
	go_unlock_os_thread();
	count_add(&ended);
}

FILE_TEST(file_threads, 2)
{
	pthread_t t;
	shared = made("a", 0);
	fill(shared);
	forget(shared);
	expect_eq(pthread_create(&t, NULL, thread_reads, NULL), 0);
	expect_eq(go_spawn(locked_reads, NULL), 0);
	until(count_of(&ended) == 1);
	expect_eq(pthread_join(t, NULL), 0);
	go_close(shared);
}

// With the ring in use nothing of ours is open in a program that is started.
FILE_TEST(file_close_on_exec, 1)
{
	enum { LOOK_AT = 64 };
	char buf[PAGE];
	bool before[LOOK_AT];
	for (int i = 0; i < LOOK_AT; i++)
		before[i] = fcntl(i, F_GETFD) >= 0;
	go_fd fd = made("a", 0);
	fill(fd);
	forget(fd);
	expect_eq(go_pread(fd, buf, PAGE, 0), PAGE);
	for (int i = 0; i < LOOK_AT; i++) {
		int flags = fcntl(i, F_GETFD);
		expect(before[i] || flags < 0 || (flags & FD_CLOEXEC) != 0);
	}
	go_close(fd);
}
