// SPDX-License-Identifier: BSD-3-Clause
// What the system may refuse or do oddly when goroutines use files: what they read and write is
// right all the same, or they are told.
#include <fcntl.h>
#include <sys/stat.h>

#include "goroutines.h"

enum { PAGE = 4096, PAGES = 16, USERS = 8 };

static go_fd fd;
static Count ended;

static void
use(void *v)
{
	int at = (int)(intptr_t)v;
	char page[PAGE];
	for (int i = 0; i < 20; i++) {
		memset(page, '!' + i, PAGE);
		expect_eq(go_pwrite(fd, page, PAGE, at * PAGE), PAGE);
		if (i % 8 == 0)
			expect_eq(go_fsync(fd), 0);
		(void)posix_fadvise(go_fd_number(fd), at * PAGE, PAGE, POSIX_FADV_DONTNEED);
		memset(page, 0, PAGE);
		expect_eq(go_pread(fd, page, PAGE, at * PAGE), PAGE);
		expect(page[0] == '!' + i && memcmp(page, page + 1, PAGE - 1) == 0);
	}
	count_add(&ended);
}

static int
use_all(void *unused)
{
	char name[] = "fault-test-XXXXXX";
	(void)unused;
	int f = mkstemp(name);
	expect(f >= 0 && close(f) == 0);
	fd = go_open(name, O_RDWR, 0);
	expect(fd > 0 && unlink(name) == 0);
	for (intptr_t i = 0; i < USERS; i++)
		expect_eq(go_spawn(use, (void *)i), 0);
	until(count_of(&ended) == USERS);
	expect_eq(go_close(fd), 0);
	return 0;
}

DEATH(fault_file_used)
{
	expect_eq(go_run(use_all, NULL), 0);
}

// There is no ring, or none yet, or it takes nothing more, or gives calls back: threads make them.
void
test_fault_file_goes_on(void)
{
	expect_death(fault_file_used, .status = 0, .env = "UNDERGO_FAULT=ring_make:*:ENOSYS");
	expect_death(fault_file_used, .status = 0, .env = "UNDERGO_FAULT=ring_make:%2:ENOMEM");
	expect_death(fault_file_used, .status = 0, .env = "UNDERGO_FAULT=poller_add:3:ENOSPC");
	expect_death(fault_file_used, .status = 0, .env = "UNDERGO_FAULT=ring_submit:~2:EAGAIN");
	expect_death(fault_file_used, .status = 0, .env = "UNDERGO_FAULT=ring_result:~2:ECANCELED");
	expect_death(fault_file_used, .status = 0, .env = "UNDERGO_FAULT=file_try:*:EAGAIN");
	expect_death(fault_file_used, .status = 0, .env = "UNDERGO_FAULT=file_try:*:EOPNOTSUPP");
	expect_death(fault_file_used, .status = 0,
		     .env = "UNDERGO_FAULT=poller_wait:~3:EINTR,file_try:~2:EAGAIN");
}

static int
fail(void *unused)
{
	char name[] = "fault-test-XXXXXX", c;
	struct stat st;
	(void)unused;
	int f = mkstemp(name);
	expect(f >= 0);
	expect_eq(go_open(name, O_RDWR, 0), GO_ENOMEM);
	expect_eq(go_open(name, O_RDWR, 0), GO_ERRNO(ENOSPC));
	fd = go_open(name, O_RDWR, 0);
	expect(fd > 0 && unlink(name) == 0 && close(f) == 0);
	expect_eq(go_write(fd, "x", 1), GO_ERRNO(ENOSPC)); // and nothing was written
	expect_eq(go_write(fd, "xy", 2), 2);
	expect_eq(go_pread(fd, &c, 1, 0), GO_ERRNO(EIO));
	expect_eq(go_pread(fd, &c, 1, 0), 1);
	expect_eq(go_fsync(fd), GO_ERRNO(EIO));
	expect_eq(go_fsync(fd), 0);
	expect_eq(go_fstat(fd, &st), GO_ERRNO(EIO));
	expect_eq(go_fstat(fd, &st), 0);
	expect_eq(st.st_size, 2);
	expect_eq(go_close(fd), 0);
	return 0;
}

DEATH(fault_file_fails)
{
	expect_eq(go_run(fail, NULL), 0);
}

// What the system says comes through, and the file is as good as before.
void
test_fault_file_fails(void)
{
	expect_death(fault_file_fails, .status = 0,
		     .env = "UNDERGO_FAULT=file_open:1:EMFILE,file_open:2:ENOSPC,"
			    "file_call:1:ENOSPC,file_try:1:EIO,ring_make:*:EPERM,file_call:3:EIO,"
			    "file_call:5:EIO");
}
