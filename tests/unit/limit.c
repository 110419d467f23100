// SPDX-License-Identifier: BSD-3-Clause
// gc/limit.c: the memory limit that follows from control groups, against trees of files made here.
#include "gc/limit.h"

#include "filetree.h"
#include "harness.h"

static OsCgroup scratch;

static int64_t
limit_here(void)
{
	return limit_of_groups(&scratch, tree_root);
}

// Version 2: the smallest of memory.max and memory.high between our group and the mount's root.
void
test_limit_v2(void)
{
	os_init();
	tree_new();
	tree_put("/proc/self/mountinfo",
		 "25 1 0:22 / /proc rw - proc proc rw\n"
		 "30 1 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n");
	tree_put("/proc/self/cgroup", "0::/a/b/c\n");
	expect_eq(limit_here(), INT64_MAX);
	tree_put("/sys/fs/cgroup/a/b/c/memory.max", "max\n");
	expect_eq(limit_here(), INT64_MAX);
	tree_put("/sys/fs/cgroup/a/memory.max", "1073741824\n");
	expect_eq(limit_here(), 1073741824);
	tree_put("/sys/fs/cgroup/a/b/c/memory.max", "2147483648\n");
	expect_eq(limit_here(), 1073741824);
	tree_put("/sys/fs/cgroup/a/b/memory.high", "536870912\n");
	expect_eq(limit_here(), 536870912);
	tree_put("/sys/fs/cgroup/a/b/memory.high", "max\n");
	tree_put("/sys/fs/cgroup/memory.max", "1000\n"); // of the root of the mount
	expect_eq(limit_here(), 1000);
	tree_put("/sys/fs/cgroup/memory.max", "nonsense\n");
	expect_eq(limit_here(), 1073741824);
	tree_put("/sys/fs/cgroup/a/d/memory.max", "5\n"); // a sister of ours
	expect_eq(limit_here(), 1073741824);
	tree_drop();
}

// Version 1, mounted for several controllers at once, where a number near the largest is none; and
// version 2 beside it, which has no memory controller then.
void
test_limit_v1(void)
{
	os_init();
	tree_new();
	tree_put("/proc/self/mountinfo",
		 "30 1 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
		 "31 1 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
		 "32 1 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
	tree_put("/proc/self/cgroup", "5:memory:/x/y\n4:cpu,cpuacct:/z\n0::/u\n");
	tree_put("/sys/fs/cgroup/memory/x/y/memory.limit_in_bytes", "9223372036854771712\n");
	tree_put("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712\n");
	tree_put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	tree_put("/sys/fs/cgroup/cpu/z/memory.limit_in_bytes", "7\n");
	expect_eq(limit_here(), INT64_MAX);
	tree_put("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "805306368\n");
	expect_eq(limit_here(), 805306368);
	tree_put("/sys/fs/cgroup/memory/x/y/memory.limit_in_bytes", "104857600\n");
	expect_eq(limit_here(), 104857600);
	tree_put("/sys/fs/cgroup/unified/u/memory.max", "52428800\n");
	expect_eq(limit_here(), 52428800);
	tree_drop();
}

// A container that is not told its own name sees the root of the mount.
void
test_limit_container(void)
{
	os_init();
	tree_new();
	tree_put("/proc/self/mountinfo",
		 "30 1 0:26 /../../../docker/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
	tree_put("/proc/self/cgroup", "0::/elsewhere\n");
	tree_put("/sys/fs/cgroup/memory.max", "268435456\n");
	expect_eq(limit_here(), 268435456);
	tree_drop();

	tree_new(); // no /proc at all
	expect_eq(limit_here(), INT64_MAX);
	tree_drop();
}
