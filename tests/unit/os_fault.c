// SPDX-License-Identifier: BSD-3-Clause
// os/fault.c: plans are read as documented, hit the calls they name, and no others.
#include <errno.h>
#include <stdlib.h>

#include "base/base.h"
#include "harness.h"
#include "os/os.h"
#include "sync/sync.h"

// Which of the first n calls fail, as bits, the first call's lowest.
static unsigned
failing(const char *plan, int n)
{
	unsigned bits = 0;
	ATOMIC_U32 word = ATOMIC_INIT(0);
	expect(os_fault_plan(plan));
	for (int i = 0; i < n; i++) {
		int err = os_futex_wait(&word, 1, 0); // -EAGAIN when nothing fails
		expect(err == -EAGAIN || err == -ENOMEM);
		bits |= (unsigned)(err == -ENOMEM) << i;
	}
	expect_eq(os_fault_count("futex_wait"), (uint64_t)n);
	expect(os_fault_plan(NULL));
	return bits;
}

void
test_os_fault_plans(void)
{
	os_init();
	expect_eq(failing("futex_wait:3:ENOMEM", 8), 0x04);
	expect_eq(failing("futex_wait:3+:ENOMEM", 8), 0xfc);
	expect_eq(failing("futex_wait:%3:ENOMEM", 8), 0x24);
	expect_eq(failing("futex_wait:*:ENOMEM", 8), 0xff);
	expect_eq(failing("*:2:ENOMEM", 8), 0x02);
	expect_eq(failing("map:*:ENOMEM,futex_wait:1:ENOMEM,futex_wait:8:ENOMEM", 8), 0x81);
	expect_eq(failing("", 8), 0);
	expect_eq(failing("futex_wait:~1:ENOMEM", 8), 0xff);
	unsigned some = failing("futex_wait:~4:ENOMEM", 32);
	expect(some != 0 && some != UINT32_MAX);
	expect_eq(failing("futex_wait:~4:ENOMEM", 32), some);
}

// A plan that makes no sense changes nothing.
void
test_os_fault_nonsense(void)
{
	static const char *const nonsense[] = {
		"futex_wait", "futex_wait:1", "futex_wait:0:ENOMEM", "futex_wait::ENOMEM",
		"futex_wait:1:", "futex_wait:1:EWHAT", "what:1:ENOMEM", ":1:ENOMEM",
		"futex_wait:%:ENOMEM", "futex_wait:+:ENOMEM", "futex_wait:1x:ENOMEM",
		"futex_wait:99999999999999999999:ENOMEM", "map:1:ENOMEM,what", "map:1:ENOMEM,,",
	};
	os_init();
	expect(os_fault_plan("alloc:*:ENOMEM"));
	for (size_t i = 0; i < countof(nonsense); i++)
		expect(!os_fault_plan(nonsense[i]));
	expect(os_alloc(1) == NULL);
	expect(os_fault_plan(NULL));
	void *p = os_alloc(1);
	expect(p != NULL);
	os_free(p);
}

DEATH(os_fault_environment)
{
	os_init();
}

void
test_os_fault_environment(void)
{
	expect_death(os_fault_environment, .status = 2, .env = "UNDERGO_FAULT=map:x:ENOMEM",
		     .err = "runtime: UNDERGO_FAULT=map:x:ENOMEM makes no sense\n");
	expect_death(os_fault_environment, .status = 2, .env = "UNDERGO_SEED=12x",
		     .err = "runtime: UNDERGO_SEED=12x makes no sense\n");
	expect_death(os_fault_environment, .status = 0, .env = "UNDERGO_FAULT=map:9+:ENOMEM");
}

// Every service fails the way os.h says it may.
void
test_os_fault_every_service(void)
{
	char text[8];
	struct sigaction before;
	ATOMIC_U32 word = ATOMIC_INIT(0);
	os_init();
	char *p = os_map(4096, os_page_bytes());
	expect(os_fault_plan("*:*:EIO"));
	expect(os_map(4096, os_page_bytes()) == NULL);
	expect_eq(os_unmap(p, 4096), -EIO);
	expect_eq(os_guard(p, 4096), -EIO);
	expect_eq(os_protect_none(p, 4096), -EIO);
	expect_eq(os_decommit(p, 4096), -EIO);
	expect_eq(os_no_huge_pages(p, 4096), -EIO);
	expect(os_alloc(8) == NULL);
	expect_eq(os_thread_start(NULL, NULL), -EIO);
	expect_eq(os_thread_cpu_ns(os_thread_id()), -1);
	expect_eq(os_thread_count(), -EIO);
	expect_eq(os_read_file("/proc/self/stat", text, sizeof(text)), -EIO);
	expect_eq(os_signal_stack(NULL, 0), -EIO);
	expect_eq(os_signal_handle(SIGUSR1, NULL, &before), -EIO);
	expect_eq(os_signal_thread(os_thread_id(), SIGUSR1), -EIO);
	expect_eq(os_write(2, "lost", 4), -EIO);
	os_sleep(INT64_MAX / 2);
	os_futex_wake(&word, 1);
	expect(os_fault_plan("futex_wait:1:EINTR"));
	expect_eq(os_futex_wait(&word, 0, INT64_MAX), 0);
	expect(os_fault_plan(NULL));
	expect_eq(os_unmap(p, 4096), 0);
}
