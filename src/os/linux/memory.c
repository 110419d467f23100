// SPDX-License-Identifier: BSD-3-Clause
// Memory from the kernel and from libc.
//
// mmap, munmap and mprotect go through libc: the sanitizers watch those names to learn which
// addresses are new. errno is put back where libc may set it.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "os/linux/syscall.h"
#include "os/os_impl.h"

// Linux 6.13; older headers do not have it.
enum { ADVICE_GUARD_INSTALL = 102 };

uint64_t
os_address_limit(void)
{
	struct rlimit64 r;
	long err = syscall4(SYS_prlimit64, 0, RLIMIT_AS, NULL, &r);
	return err == 0 && r.rlim_cur != RLIM64_INFINITY ? r.rlim_cur : UINT64_MAX;
}

static int
advise(void *p, size_t bytes, int advice)
{
	long err;
	do
		err = syscall3(SYS_madvise, p, bytes, advice);
	while (err == -EINTR || err == -EAGAIN);
	return (int)err;
}

// Plain mmap of any alignment the kernel likes; NULL when refused.
static char *
map_pages(size_t bytes, int prot)
{
	int saved = errno;
	char *p = mmap(NULL, bytes, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	errno = saved;
	return p != MAP_FAILED ? p : NULL;
}

// More is mapped than asked for when the kernel aligns to pages only, and what lies outside the
// aligned part goes back.
static void *
map_aligned(size_t bytes, size_t align, int prot)
{
	size_t page = os_page_bytes();
	assert(bytes > 0 && align >= page && (align & (align - 1)) == 0);

	size_t rounded, total;
	if (__builtin_add_overflow(bytes, page - 1, &rounded))
		return NULL;
	rounded &= ~(page - 1);
	if (__builtin_add_overflow(rounded, align - page, &total))
		return NULL;

	char *p = map_pages(total, prot);
	if (p == NULL || align == page)
		return p;
	size_t before = (size_t)-(uintptr_t)p & (align - 1);
	size_t after = total - before - rounded;
	if (before > 0)
		sys_unmap(p, before);
	if (after > 0)
		sys_unmap(p + before + rounded, after);
	return p + before;
}

void *
sys_map(size_t bytes, size_t align)
{
	return map_aligned(bytes, align, PROT_READ | PROT_WRITE);
}

void *
sys_reserve(size_t bytes, size_t align)
{
	return map_aligned(bytes, align, PROT_NONE);
}

static int
protect(void *p, size_t bytes, int prot)
{
	int saved = errno;
	int err = mprotect(p, bytes, prot) == 0 ? 0 : -errno;
	errno = saved;
	return err;
}

int
sys_commit(void *p, size_t bytes)
{
	return protect(p, bytes, PROT_READ | PROT_WRITE);
}

int
sys_commit_zero(void *p, size_t bytes)
{
	return protect(p, bytes, PROT_READ);
}

int
sys_unmap(void *p, size_t bytes)
{
	int saved = errno;
	int err = munmap(p, bytes) == 0 ? 0 : -errno;
	errno = saved;
	return err;
}

typedef enum Guards { GUARDS_UNKNOWN, GUARDS_WORK, GUARDS_MISSING } Guards;

// Emulators say yes to advice they do not know. So the first time we try: a page with a guard in it
// is no place that the kernel could write the time to.
static Guards
try_guards(void)
{
	Guards found = GUARDS_MISSING;
	size_t page = os_page_bytes();
	char *p = map_pages(page, PROT_READ | PROT_WRITE);
	if (p == NULL)
		return GUARDS_UNKNOWN;
	if (advise(p, page, ADVICE_GUARD_INSTALL) == 0
	    && syscall2(SYS_clock_gettime, CLOCK_MONOTONIC, p) == -EFAULT)
		found = GUARDS_WORK;
	sys_unmap(p, page);
	return found;
}

int
sys_guard(void *p, size_t bytes)
{
	static ATOMIC_U32 guards; // Guards; hint, every thread finds the same
	uint32_t g = load_rlx(&guards); // order: hint
	if (unlikely(g == GUARDS_UNKNOWN)) {
		g = (uint32_t)try_guards();
		store_rlx(&guards, g); // order: hint
	}
	return g == GUARDS_MISSING ? -EINVAL : advise(p, bytes, ADVICE_GUARD_INSTALL);
}

int
sys_protect_none(void *p, size_t bytes)
{
	return protect(p, bytes, PROT_NONE);
}

int
sys_decommit(void *p, size_t bytes)
{
	return advise(p, bytes, MADV_DONTNEED);
}

size_t
os_resident(const void *p, size_t bytes)
{
	unsigned char there[64];
	size_t page = os_page_bytes(), n = 0;
	for (size_t at = 0; at < bytes; at += sizeof(there) * page) {
		size_t len = bytes - at < sizeof(there) * page ? bytes - at : sizeof(there) * page;
		if (syscall3(SYS_mincore, (uintptr_t)p + at, len, there) != 0)
			return bytes;
		for (size_t i = 0; i < len / page; i++)
			n += there[i] & 1;
	}
	return n * page;
}

int
sys_no_huge_pages(void *p, size_t bytes)
{
	return advise(p, bytes, MADV_NOHUGEPAGE);
}

int
sys_huge_pages(void *p, size_t bytes)
{
	return advise(p, bytes, MADV_HUGEPAGE);
}

int
sys_populate(void *p, size_t bytes)
{
	enum { POPULATE_WRITE = 23 }; // from Linux 5.14 on
	return advise(p, bytes, POPULATE_WRITE);
}

void *
sys_alloc(size_t bytes)
{
	int saved = errno;
	void *p = calloc(1, bytes);
	errno = saved;
	return p;
}

void
os_free(void *p)
{
	int saved = errno;
	free(p);
	errno = saved;
}
