// SPDX-License-Identifier: BSD-3-Clause
// How many processors to run on: GOMAXPROCS, the affinity mask, and CPU quotas of control groups.
//
// A quota limits the CPU time of a group and all below it, so the smallest one between our group
// and the root counts. Go looks at our own group alone; containers in containers need the rest.
//
//   cpu.max                 version 2: "max 100000" or "150000 100000", quota and period in
//                           microseconds
//   cpu.cfs_quota_us and cpu.cfs_period_us   version 1; a quota of -1 is none
//
// Whatever cannot be read or makes no sense counts as no quota: a wrong number of processors is
// better than no start. A quota leaves two processors at least, as in Go: on one, a single long
// goroutine would keep all others waiting through each throttling.
#include "rt/cpus.h"

#include <stdlib.h>

#include "base/base.h"
#include "base/env.h"
#include "os/cgroup.h"
#include "os/os.h"

enum { QUOTA_LEAST = 2 };

// --- quotas -------------------------------------------------------------------------------------

// The number of processors that quota of each period amounts to, rounded up; 0 for none.
static int
quota_cpus(int64_t quota, int64_t period)
{
	if (quota <= 0 || period <= 0)
		return 0;
	int64_t n = quota / period + (quota % period != 0);
	return n < CPUS_MAX ? (int)n : CPUS_MAX;
}

// "QUOTA PERIOD"; "max PERIOD" is no number and so no quota.
static int
quota_v2(OsCgroup *cg)
{
	char text[64];
	if (!os_cgroup_read(cg, "/cpu.max", text, sizeof(text)))
		return 0;
	const char *at = text;
	int64_t quota = env_number(&at);
	if (quota < 0 || *at++ != ' ')
		return 0;
	return quota_cpus(quota, env_number(&at));
}

static int
quota_v1(OsCgroup *cg)
{
	char quota[32], period[32];
	if (!os_cgroup_read(cg, "/cpu.cfs_quota_us", quota, sizeof(quota))
	    || !os_cgroup_read(cg, "/cpu.cfs_period_us", period, sizeof(period)))
		return 0;
	const char *q = quota, *p = period;
	return quota_cpus(env_number(&q), env_number(&p));
}

static int
smaller_quota(int a, int b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

// From our group up to the root of the mount.
static int
quota_of(const char *root, CgroupVersion version)
{
	OsCgroup cg;
	int least = 0;
	if (!os_cgroup_find(&cg, root, version, "cpu"))
		return 0;
	do
		least = smaller_quota(least, version == CGROUP_V2 ? quota_v2(&cg) : quota_v1(&cg));
	while (os_cgroup_up(&cg));
	return least;
}

int
rt_quota_cpus(const char *root)
{
	return smaller_quota(quota_of(root, CGROUP_V2), quota_of(root, CGROUP_V1));
}

// --- all together -------------------------------------------------------------------------------

// A positive decimal number and nothing else; 0 otherwise. Go ignores what is not one, too.
static int
parse_gomaxprocs(const char *text)
{
	if (text == NULL)
		return 0;
	int64_t n = env_number(&text);
	if (n <= 0 || n > INT32_MAX || *text != '\0')
		return 0;
	return n < CPUS_MAX ? (int)n : CPUS_MAX;
}

int
rt_procs_from(const char *environment, int online, const char *root)
{
	int n = parse_gomaxprocs(environment);
	if (n > 0)
		return n;
	n = online < CPUS_MAX ? online : CPUS_MAX;
	if (n <= QUOTA_LEAST)
		return n; // whatever the quota; looking for it is a tenth of a small program's life
	int quota = rt_quota_cpus(root);
	if (quota > 0 && quota < QUOTA_LEAST)
		quota = QUOTA_LEAST;
	return quota > 0 && quota < n ? quota : n;
}

int
rt_default_procs(void)
{
	return rt_procs_from(getenv("GOMAXPROCS"), os_cpu_count(), "");
}
