// SPDX-License-Identifier: BSD-3-Clause
// rt/cpus.c: how many processors follow from the environment, the affinity mask and quotas, against
// trees of files made here.
#include "rt/cpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "filetree.h"
#include "harness.h"
#include "os/os.h"

enum { MANY = 64 };

static const char v2_mount[] = "25 1 0:22 / /proc rw shared:5 - proc proc rw\n"
			       "30 1 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n";

// The environment wins when it is a positive number, whole; Go ignores all else.
void
test_cpus_environment(void)
{
	os_init();
	expect_eq(rt_procs_from("3", 8, "/nonexistent"), 3);
	expect_eq(rt_procs_from("100", 8, "/nonexistent"), 100);
	expect_eq(rt_procs_from("65536", 8, "/nonexistent"), 65536);
	expect_eq(rt_procs_from("70000", 8, "/nonexistent"), 65536);
	static const char *const ignored[] = {"", "0", "-1", "+1", "3x", " 3", "3 ", "x",
					      "99999999999999999999", "2147483648", "0x10"};
	for (size_t i = 0; i < countof(ignored); i++)
		expect_eq(rt_procs_from(ignored[i], 8, "/nonexistent"), 8);
	expect_eq(rt_procs_from(NULL, 8, "/nonexistent"), 8);
	expect_eq(rt_procs_from(NULL, 1, "/nonexistent"), 1);
	expect(rt_default_procs() >= 1);
}

// Version 2: the smallest quota between our group and the root of the mount, rounded up.
void
test_cpus_v2(void)
{
	os_init();
	tree_new();
	tree_put("/proc/self/mountinfo", v2_mount);
	tree_put("/proc/self/cgroup", "0::/a/b\n");
	expect_eq(rt_quota_cpus(tree_root), 0);
	tree_put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
	expect_eq(rt_quota_cpus(tree_root), 0);
	tree_put("/sys/fs/cgroup/a/b/cpu.max", "550000 100000\n");
	expect_eq(rt_quota_cpus(tree_root), 6);
	tree_put("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
	expect_eq(rt_quota_cpus(tree_root), 3);
	tree_put("/sys/fs/cgroup/cpu.max", "400000 100000\n");
	expect_eq(rt_quota_cpus(tree_root), 3);
	tree_put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
	expect_eq(rt_quota_cpus(tree_root), 2);
	tree_put("/sys/fs/cpu.max", "100000 100000\n"); // above the mount
	expect_eq(rt_quota_cpus(tree_root), 2);
	expect_eq(rt_procs_from(NULL, MANY, tree_root), 2);
	expect_eq(rt_procs_from(NULL, 1, tree_root), 1);
	expect_eq(rt_procs_from("9", MANY, tree_root), 9);
	tree_put("/sys/fs/cgroup/a/b/cpu.max", "20000 100000\n");
	expect_eq(rt_quota_cpus(tree_root), 1);
	expect_eq(rt_procs_from(NULL, MANY, tree_root), 2); // Go's least
	tree_put("/proc/self/cgroup", "0::/\n");
	expect_eq(rt_quota_cpus(tree_root), 2);
	tree_drop();
}

// Version 1: the hierarchy with the cpu controller, beside others and a version 2 without it.
void
test_cpus_v1(void)
{
	os_init();
	tree_new();
	tree_put("/proc/self/mountinfo",
	    "30 1 0:26 / /cg/unified rw shared:9 - cgroup2 cgroup2 rw\n"
	    "31 1 0:27 / /cg/cpuset rw shared:10 - cgroup cgroup rw,cpuset\n"
	    "32 1 0:28 / /cg/cpu,cpuacct rw shared:11 master:2 - cgroup c rw,cpu,cpuacct\n");
	tree_put("/proc/self/cgroup",
		 "12:cpuset:/x\n4:cpu,cpuacct:/a/b\n1:name=systemd:/y\n0::/z\n");
	expect_eq(rt_quota_cpus(tree_root), 0);
	tree_put("/cg/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
	tree_put("/cg/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
	expect_eq(rt_quota_cpus(tree_root), 0);
	tree_put("/cg/cpu,cpuacct/a/cpu.cfs_quota_us", "410000\n");
	expect_eq(rt_quota_cpus(tree_root), 0); // the period is missing
	tree_put("/cg/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
	expect_eq(rt_quota_cpus(tree_root), 5);
	tree_put("/cg/cpu,cpuacct/a/b/cpu.cfs_quota_us", "150000\n");
	expect_eq(rt_quota_cpus(tree_root), 2);
	tree_put("/cg/cpuset/x/cpu.cfs_quota_us", "100\n");
	tree_put("/cg/cpuset/x/cpu.cfs_period_us", "100000\n");
	expect_eq(rt_quota_cpus(tree_root), 2);
	tree_drop();
}

// In a container the mount shows part of the hierarchy; or our group's name is one of outside.
void
test_cpus_container(void)
{
	os_init();
	tree_new();
	tree_put("/proc/self/cgroup", "0::/docker/abc/inner\n");
	tree_put("/proc/self/mountinfo",
	    "30 1 0:26 /docker/ab /wrong rw - cgroup2 cgroup2 rw\n"
	    "31 1 0:26 /docker/abc /sys/fs/my\\040groups rw - cgroup2 cgroup2 rw\n");
	tree_put("/wrong/c/inner/cpu.max", "100000 100000\n");
	tree_put("/sys/fs/my groups/inner/cpu.max", "700000 100000\n");
	expect_eq(rt_quota_cpus(tree_root), 7);
	tree_put("/sys/fs/my groups/cpu.max", "600000 100000\n");
	expect_eq(rt_quota_cpus(tree_root), 6);

	tree_put("/proc/self/cgroup", "0::/../elsewhere\n");
	tree_put("/proc/self/mountinfo", "31 1 0:26 /docker/abc /m rw - cgroup2 cgroup2 rw\n");
	tree_put("/m/cpu.max", "400000 100000\n");
	expect_eq(rt_quota_cpus(tree_root), 4);
	tree_drop();
}

// Files that make no sense limit nothing, and a long mountinfo is read to its end.
void
test_cpus_nonsense(void)
{
	static char lines[300 * 1024];
	static const char *const values[] = {"", "\n", "max", "100000", "100000 0\n", "0 100000\n",
					     "-5 100000\n", "x y\n", "100000 x\n",
					     "99999999999999999999999 1\n"};
	static const char *const groups[] = {"", "\n", ":\n", "::\n", "0:\n", "0::\n", "0::a\n"};
	os_init();
	tree_new();
	tree_put("/proc/self/mountinfo", v2_mount);
	tree_put("/proc/self/cgroup", "0::/\n");
	for (size_t i = 0; i < countof(values); i++) {
		tree_put("/sys/fs/cgroup/cpu.max", values[i]);
		expect_eq(rt_quota_cpus(tree_root), 0);
	}
	tree_put("/sys/fs/cgroup/cpu.max", "9000000000000000000 1\n");
	expect_eq(rt_quota_cpus(tree_root), CPUS_MAX);
	tree_put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
	for (size_t i = 0; i < countof(groups); i++) {
		tree_put("/proc/self/cgroup", groups[i]);
		expect_eq(rt_quota_cpus(tree_root), 0);
	}
	tree_put("/proc/self/cgroup", "0::/\n");
	expect_eq(rt_quota_cpus(tree_root), 3);

	size_t n = 0;
	for (int i = 0; i < 500; i++)
		n += (size_t)sprintf(lines + n, "%d 1 0:9 / /m%d rw - tmpfs none rw\n", i, i);
	for (int i = 0; i < 3; i++) { // longer than any buffer
		n += (size_t)sprintf(lines + n, "9 1 0:9 / /o rw - overlay overlay rw,lowerdir=");
		memset(lines + n, 'x', 20000);
		n += 20000;
		lines[n++] = '\n';
	}
	n += (size_t)sprintf(lines + n, "no mount\n- - -\n %s", v2_mount);
	tree_put("/proc/self/mountinfo", lines);
	expect_eq(rt_quota_cpus(tree_root), 3);
	tree_put("/proc/self/mountinfo", "30 1 0:26 / /sys/fs/cgroup rw\n30\n\n - \n");
	expect_eq(rt_quota_cpus(tree_root), 0);
	tree_drop();
}
