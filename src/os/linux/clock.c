// SPDX-License-Identifier: BSD-3-Clause
// Time, chance, processors, small files.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "os/linux/syscall.h"
#include "os/os_impl.h"

enum { AFFINITY_BYTES = 8 << 10 }; // 65536 CPUs; the kernel refuses a mask smaller than its own

// libc's clock_gettime asks the vDSO; it cannot fail for this clock.
int64_t
sys_nanotime(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t
sys_process_cpu_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

// Random enough for seeds where the kernel has no getrandom: the clock.
static void
random_from_clock(unsigned char *p, size_t n)
{
	uint64_t state = base_mix((uint64_t)sys_nanotime() ^ (uint64_t)(uintptr_t)p);
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(base_rand(&state) >> 56);
}

void
sys_random(void *buf, size_t n)
{
	unsigned char *p = buf;
	while (n > 0) {
		long got = syscall3(SYS_getrandom, p, n, 0);
		if (got == -EINTR)
			continue;
		if (got <= 0) {
			random_from_clock(p, n);
			return;
		}
		p += got;
		n -= (size_t)got;
	}
}

int
sys_cpu_count(void)
{
	unsigned long mask[AFFINITY_BYTES / sizeof(unsigned long)];
	long bytes = syscall3(SYS_sched_getaffinity, 0, sizeof(mask), mask);
	int n = 0;
	for (long i = 0; i < bytes / (long)sizeof(mask[0]); i++)
		n += __builtin_popcountl(mask[i]);
	return n > 0 ? n : 1;
}

int
sys_read_file_at(const char *path, int64_t offset, char *buf, size_t size)
{
	long fd;
	do
		fd = syscall4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	while (fd == -EINTR);
	if (fd < 0)
		return (int)fd;

	size_t n = 0;
	long got = 0;
	while (n < size) {
		got = syscall4(SYS_pread64, fd, buf + n, size - n, offset + (int64_t)n);
		if (got == -EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	syscall1(SYS_close, fd);
	return got < 0 ? (int)got : (int)n;
}
