// SPDX-License-Identifier: BSD-3-Clause
// How many processors to run on.
#ifndef UNDERGO_RT_CPUS_H
#define UNDERGO_RT_CPUS_H

enum { CPUS_MAX = 65536 };

// The initial GOMAXPROCS: the environment's, when that is a positive integer, else what the
// affinity mask and the CPU quotas of all control groups above us leave. Between 1 and CPUS_MAX.
// Locks: none.  Stack: a thread's own, 16 KiB.  Allocates: no.
int rt_default_procs(void);

// The same from given facts: environment is the value of GOMAXPROCS or NULL, online the CPUs in the
// affinity mask, root goes before the path of each file read ("" in life).
int rt_procs_from(const char *environment, int online, const char *root);

// CPUs that quotas leave, rounded up; 0 when there is no quota.
int rt_quota_cpus(const char *root);

#endif
