// SPDX-License-Identifier: BSD-3-Clause
// The showcase: numbers as text, what the system says about us, results, latencies.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "showcase.h"

// --- text ---------------------------------------------------------------------------------------

// Room for one number. Only the main goroutine prints, and never ten of them at once.
static char *
text_place(void)
{
	static char place[10][32];
	static int turn;
	turn = (turn + 1) % 10;
	return place[turn];
}

// 1234567 as 1,234,567.
const char *
grouped(uint64_t n)
{
	char *to = text_place() + 31;
	*to = '\0';
	for (int digits = 0; n != 0 || digits == 0; digits++, n /= 10) {
		if (digits != 0 && digits % 3 == 0)
			*--to = ',';
		*--to = (char)('0' + n % 10);
	}
	return to;
}

const char *
time_text(int64_t ns)
{
	char *to = text_place();
	if (ns < 1000)
		snprintf(to, 32, "%d ns", (int)ns);
	else if (ns < GO_MSEC)
		snprintf(to, 32, "%.1f us", (double)ns / 1e3);
	else if (ns < GO_SEC)
		snprintf(to, 32, "%.1f ms", (double)ns / 1e6);
	else
		snprintf(to, 32, "%.2f s", (double)ns / 1e9);
	return to;
}

const char *
size_text(uint64_t bytes)
{
	char *to = text_place();
	if (bytes < UINT64_C(10) << 30)
		snprintf(to, 32, "%s MB", grouped(bytes >> 20));
	else
		snprintf(to, 32, "%.1f GB", (double)bytes / (1 << 30));
	return to;
}

// --- what the system says -----------------------------------------------------------------------

// The first number of a file behind `label`; -1 when there is none.
static int64_t
number_in_file(const char *path, const char *label)
{
	char line[256];
	long long value = -1;
	FILE *f = fopen(path, "r");
	if (f == NULL)
		return -1;
	while (value < 0 && fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, label, strlen(label)) == 0 &&
		    sscanf(line + strlen(label), "%lld", &value) != 1)
			break; // "max"
	fclose(f);
	return value;
}

uint64_t
resident_bytes(void)
{
	int64_t kb = number_in_file("/proc/self/status", "VmRSS:");
	return kb > 0 ? (uint64_t)kb << 10 : 0;
}

int64_t
available_bytes(void)
{
	static const char *const groups[][2] = {
	    {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
	    {"/sys/fs/cgroup/memory/memory.limit_in_bytes",
	     "/sys/fs/cgroup/memory/memory.usage_in_bytes"},
	};
	int64_t least = number_in_file("/proc/meminfo", "MemAvailable:") << 10;
	for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
		int64_t limit = number_in_file(groups[i][0], "");
		int64_t used = number_in_file(groups[i][1], "");
		if (limit >= 0 && used >= 0 && limit - used < least)
			least = limit - used;
	}
	return least;
}

static int64_t
cpu_ns_of(int who)
{
	struct rusage u;
	getrusage(who, &u);
	return ((int64_t)u.ru_utime.tv_sec + u.ru_stime.tv_sec) * GO_SEC +
	       ((int64_t)u.ru_utime.tv_usec + u.ru_stime.tv_usec) * GO_USEC;
}

int64_t
cpu_ns(void)
{
	return cpu_ns_of(RUSAGE_SELF);
}

int64_t
children_cpu_ns(void)
{
	return cpu_ns_of(RUSAGE_CHILDREN);
}

bool
guards_are_markers(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	bool yes = madvise(p, page, 102) == 0;
	munmap(p, page);
	return yes;
}

// --- results ------------------------------------------------------------------------------------

void
note(Result *r, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (r->notes < NOTES_MAX)
		vsnprintf(r->note[r->notes++], sizeof r->note[0], format, args);
	va_end(args);
}

bool
expect(Result *r, bool ok, const char *what)
{
	const char *none = NULL;
	if (!ok)
		atomic_compare_exchange_strong(&r->failure, &none, what);
	return ok;
}

void
see_memory(Result *r)
{
	uint64_t now = resident_bytes();
	if (now > r->resident)
		r->resident = now;
}

// --- latencies ----------------------------------------------------------------------------------

void
histogram_add(Histogram *h, int64_t ns)
{
	uint64_t v = ns > 0 ? (uint64_t)ns : 0;
	unsigned shift = v < 16 ? 0 : (unsigned)(59 - __builtin_clzll(v));
	unsigned at = v < 16 ? (unsigned)v : shift * 16 + (unsigned)(v >> shift);
	atomic_fetch_add_explicit(&h->bucket[at], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->n, 1, memory_order_relaxed);
}

int64_t
histogram_quantile(Histogram *h, unsigned permille)
{
	uint64_t rank = h->n * permille / 1000, seen = 0;
	for (unsigned at = 0; at < BUCKETS; at++) {
		seen += h->bucket[at];
		if (seen > rank || (seen == h->n && seen != 0))
			return at < 32 ? at : (int64_t)(at % 16 + 17) << (at / 16 - 1);
	}
	return 0;
}
