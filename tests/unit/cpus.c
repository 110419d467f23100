// SPDX-License-Identifier: BSD-3-Clause
// rt/cpus.c: how many processors follow from the environment, the affinity mask and quotas, against
// trees of files made here.
#include "rt/cpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "harness.h"
#include "os/os.h"

enum { MANY = 64 };

static char root[64]; // of the tree in hand

// Writes a file below root, making its directories.
static void
put(const char *name, const char *text)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s%s", root, name);
	for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		mkdir(path, 0700);
		*at = '/';
	}
	FILE *f = fopen(path, "w");
	expect(f != NULL);
	expect(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void
new_tree(void)
{
	strcpy(root, "cpus-test-XXXXXX");
	expect(mkdtemp(root) != NULL);
}

static void
drop_tree(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	expect(system(command) == 0);
}

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
	new_tree();
	put("/proc/self/mountinfo", v2_mount);
	put("/proc/self/cgroup", "0::/a/b\n");
	expect_eq(rt_quota_cpus(root), 0);
	put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
	expect_eq(rt_quota_cpus(root), 0);
	put("/sys/fs/cgroup/a/b/cpu.max", "550000 100000\n");
	expect_eq(rt_quota_cpus(root), 6);
	put("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
	expect_eq(rt_quota_cpus(root), 3);
	put("/sys/fs/cgroup/cpu.max", "400000 100000\n");
	expect_eq(rt_quota_cpus(root), 3);
	put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
	expect_eq(rt_quota_cpus(root), 2);
	put("/sys/fs/cpu.max", "100000 100000\n"); // above the mount
	expect_eq(rt_quota_cpus(root), 2);
	expect_eq(rt_procs_from(NULL, MANY, root), 2);
	expect_eq(rt_procs_from(NULL, 1, root), 1);
	expect_eq(rt_procs_from("9", MANY, root), 9);
	put("/sys/fs/cgroup/a/b/cpu.max", "20000 100000\n");
	expect_eq(rt_quota_cpus(root), 1);
	expect_eq(rt_procs_from(NULL, MANY, root), 2); // Go's least
	put("/proc/self/cgroup", "0::/\n");
	expect_eq(rt_quota_cpus(root), 2);
	drop_tree();
}

// Version 1: the hierarchy with the cpu controller, beside others and a version 2 without it.
void
test_cpus_v1(void)
{
	os_init();
	new_tree();
	put("/proc/self/mountinfo",
	    "30 1 0:26 / /cg/unified rw shared:9 - cgroup2 cgroup2 rw\n"
	    "31 1 0:27 / /cg/cpuset rw shared:10 - cgroup cgroup rw,cpuset\n"
	    "32 1 0:28 / /cg/cpu,cpuacct rw shared:11 master:2 - cgroup c rw,cpu,cpuacct\n");
	put("/proc/self/cgroup", "12:cpuset:/x\n4:cpu,cpuacct:/a/b\n1:name=systemd:/y\n0::/z\n");
	expect_eq(rt_quota_cpus(root), 0);
	put("/cg/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
	put("/cg/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
	expect_eq(rt_quota_cpus(root), 0);
	put("/cg/cpu,cpuacct/a/cpu.cfs_quota_us", "410000\n");
	expect_eq(rt_quota_cpus(root), 0); // the period is missing
	put("/cg/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
	expect_eq(rt_quota_cpus(root), 5);
	put("/cg/cpu,cpuacct/a/b/cpu.cfs_quota_us", "150000\n");
	expect_eq(rt_quota_cpus(root), 2);
	put("/cg/cpuset/x/cpu.cfs_quota_us", "100\n");
	put("/cg/cpuset/x/cpu.cfs_period_us", "100000\n");
	expect_eq(rt_quota_cpus(root), 2);
	drop_tree();
}

// In a container the mount shows part of the hierarchy; or our group's name is one of outside.
void
test_cpus_container(void)
{
	os_init();
	new_tree();
	put("/proc/self/cgroup", "0::/docker/abc/inner\n");
	put("/proc/self/mountinfo",
	    "30 1 0:26 /docker/ab /wrong rw - cgroup2 cgroup2 rw\n"
	    "31 1 0:26 /docker/abc /sys/fs/my\\040groups rw - cgroup2 cgroup2 rw\n");
	put("/wrong/c/inner/cpu.max", "100000 100000\n");
	put("/sys/fs/my groups/inner/cpu.max", "700000 100000\n");
	expect_eq(rt_quota_cpus(root), 7);
	put("/sys/fs/my groups/cpu.max", "600000 100000\n");
	expect_eq(rt_quota_cpus(root), 6);

	put("/proc/self/cgroup", "0::/../elsewhere\n");
	put("/proc/self/mountinfo", "31 1 0:26 /docker/abc /m rw - cgroup2 cgroup2 rw\n");
	put("/m/cpu.max", "400000 100000\n");
	expect_eq(rt_quota_cpus(root), 4);
	drop_tree();
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
	new_tree();
	put("/proc/self/mountinfo", v2_mount);
	put("/proc/self/cgroup", "0::/\n");
	for (size_t i = 0; i < countof(values); i++) {
		put("/sys/fs/cgroup/cpu.max", values[i]);
		expect_eq(rt_quota_cpus(root), 0);
	}
	put("/sys/fs/cgroup/cpu.max", "9000000000000000000 1\n");
	expect_eq(rt_quota_cpus(root), CPUS_MAX);
	put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
	for (size_t i = 0; i < countof(groups); i++) {
		put("/proc/self/cgroup", groups[i]);
		expect_eq(rt_quota_cpus(root), 0);
	}
	put("/proc/self/cgroup", "0::/\n");
	expect_eq(rt_quota_cpus(root), 3);

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
	put("/proc/self/mountinfo", lines);
	expect_eq(rt_quota_cpus(root), 3);
	put("/proc/self/mountinfo", "30 1 0:26 / /sys/fs/cgroup rw\n30\n\n - \n");
	expect_eq(rt_quota_cpus(root), 0);
	drop_tree();
}
