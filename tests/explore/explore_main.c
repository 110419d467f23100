// SPDX-License-Identifier: BSD-3-Clause
// The schedule explorer's command: many schedules of a driver's tests, replay, and mutants.
//
// A mutant is one site of the code under test with a part of its order taken away. It has to be
// noticed by a test of the driver; an order that is not missed stands in the driver's table, with
// the reason.
#include "explore_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_MUTANTS = 2048,
	MAX_TESTS = 64,
	MAX_PROCS = 16,
	REACH = 4000, // schedules of a test that show which sites it reaches
};

// All sites of the program, gathered by the linker (explore_atomic.h).
extern struct ExploreSite *const __start_explore_sites[] __attribute__((weak));
extern struct ExploreSite *const __stop_explore_sites[] __attribute__((weak));

// --- many schedules ---------------------------------------------------------------------------

typedef struct {
	uint64_t ran, steps, outcomes;
	bool failed;
	uint64_t failed_at;
	char text[512];
} Batch;

static struct {
	uint64_t schedules, seed, budget, allowed_budget;
	int procs;
	int only; // test index, -1: all
	int64_t replay;
	bool mutants, hunt, list_sites, quiet;
} opt = {.schedules = 1000000,
	 .seed = 1,
	 .budget = 400000,
	 .allowed_budget = 400000,
	 .procs = 1,
	 .only = -1,
	 .replay = -1};

static int steps_of[MAX_TESTS]; // of an average schedule, measured with a fixed few

static int
measure_steps(const struct ExploreTest *test, int index)
{
	uint64_t sum = 0;
	int n = 0;
	for (uint64_t i = 0; i < 64; i += 8, n++) { // uniform ones
		(void)explore_play(test, index, 0, i, 1);
		sum += (uint64_t)explore_result.steps;
	}
	int k = (int)(sum / (uint64_t)n);
	return k < 4 ? 4 : k > 400 ? 400 : k;
}

static bool
wanted_failure(const struct ExploreTest *test)
{
	return test->must_fail != NULL && strstr(explore_result.text, test->must_fail) != NULL;
}

// Schedules first, first + stride, ... below end, until one fails.
static void
run_some(Batch *b, const struct ExploreTest *test, int index, uint64_t first, uint64_t end,
	 uint64_t stride, volatile uint64_t *stop_at)
{
	int k = steps_of[index];
	for (uint64_t i = first; i < end; i += stride) {
		bool ok = explore_play(test, index, opt.seed, i, k);
		b->ran++;
		b->steps += (uint64_t)explore_result.steps;
		b->outcomes |= explore_result.outcomes;
		if (ok) {
			if (stop_at != NULL && (i & 1023) == 0 && *stop_at <= i)
				return;
			continue;
		}
		b->failed = true;
		b->failed_at = i;
		memcpy(b->text, explore_result.text, sizeof(b->text));
		if (stop_at != NULL && *stop_at > i)
			*stop_at = i;
		return;
	}
}

static void *
shared(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		perror("explore: mmap");
		exit(2);
	}
	return p;
}

static int
test_count(void)
{
	int n = 0;
	while (explore_driver.tests[n].name != NULL)
		n++;
	return n;
}

static int
site_count(void)
{
	return (int)(__stop_explore_sites - __start_explore_sites);
}

// Waits for the children; false when one died.
static bool
reap(pid_t *pids, int n)
{
	bool ok = true;
	for (int i = 0; i < n; i++) {
		int status = 0;
		while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR)
			;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			ok = false;
	}
	return ok;
}

static bool
run_parallel(Batch *sum, const struct ExploreTest *test, int index, uint64_t n)
{
	struct {
		uint64_t stop_at;
		Batch b[MAX_PROCS];
	} *sh = shared(sizeof(*sh));
	pid_t pids[MAX_PROCS];
	sh->stop_at = UINT64_MAX;
	for (int w = 0; w < opt.procs; w++) {
		pids[w] = fork();
		if (pids[w] == 0) {
			explore_watch();
			run_some(&sh->b[w], test, index, (uint64_t)w, n, (uint64_t)opt.procs,
				 &sh->stop_at);
			_exit(0);
		}
	}
	bool ok = reap(pids, opt.procs);
	memset(sum, 0, sizeof(*sum));
	for (int w = 0; w < opt.procs; w++) {
		Batch *b = &sh->b[w];
		sum->ran += b->ran;
		sum->steps += b->steps;
		sum->outcomes |= b->outcomes;
		if (b->failed && (!sum->failed || b->failed_at < sum->failed_at)) {
			sum->failed = true;
			sum->failed_at = b->failed_at;
			memcpy(sum->text, b->text, sizeof(sum->text));
		}
	}
	munmap(sh, sizeof(*sh));
	return ok;
}

static double
now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static bool
judge(const struct ExploreTest *test, const Batch *b, char *why, size_t size)
{
	if (test->must_fail != NULL) {
		if (b->failed && strstr(b->text, test->must_fail) != NULL) {
			snprintf(why, size, "found as it must be at %llu: %s",
				 (unsigned long long)b->failed_at, b->text);
			return true;
		}
		snprintf(why, size, "\"%s\" was not found%s%s", test->must_fail,
			 b->failed ? ", but " : "", b->failed ? b->text : "");
		return false;
	}
	if (b->failed) {
		snprintf(why, size, "schedule %llu: %s", (unsigned long long)b->failed_at, b->text);
		return false;
	}
	if ((b->outcomes & test->must) != test->must) {
		snprintf(why, size, "outcomes %#llx never seen",
			 (unsigned long long)(test->must & ~b->outcomes));
		return false;
	}
	why[0] = 0;
	return true;
}

// All tests; the number that failed.
static int
run_tests(void)
{
	int tests = test_count();
	int failed = 0;
	uint64_t schedules = opt.schedules / (explore_driver.cost > 1 ? explore_driver.cost : 1);
	uint32_t shares = 0;
	for (int i = 0; i < tests; i++)
		shares += explore_driver.tests[i].share;
	int even = 0;
	for (int i = 0; i < tests; i++)
		even += explore_driver.tests[i].share == 0;
	for (int i = 0; i < tests; i++) {
		const struct ExploreTest *test = &explore_driver.tests[i];
		if (opt.only >= 0 && opt.only != i)
			continue;
		uint64_t n = test->share != 0 ? schedules * test->share / 100
			     : shares < 100   ? schedules * (100 - shares) / 100 / (uint64_t)even
					      : 1000;
		if (opt.only >= 0)
			n = opt.schedules;
		Batch b = {0};
		double began = now();
		bool whole = run_parallel(&b, test, i, n);
		double took = now() - began;
		char why[600];
		bool ok = judge(test, &b, why, sizeof(why)) && whole;
		failed += !ok;
		printf("%s %s: %s: %llu schedules, %.1f steps, %.2f M/s%s%s%s\n",
		       ok ? "ok  " : "FAIL", explore_driver.name, test->name,
		       (unsigned long long)b.ran,
		       b.ran != 0 ? (double)b.steps / (double)b.ran : 0.0,
		       took > 0 ? (double)b.ran / took / 1e6 : 0.0, why[0] != 0 ? "; " : "", why,
		       whole ? "" : "; a process died");
		if (!ok && b.failed && test->must_fail == NULL)
			printf("     replay: x_%s -s %llu -t %d -r %llu\n", explore_driver.name,
			       (unsigned long long)opt.seed, i, (unsigned long long)b.failed_at);
		fflush(stdout);
	}
	return failed;
}

// --- mutants ----------------------------------------------------------------------------------

typedef struct {
	struct ExploreSite *site;
	uint8_t drop;
	const char *what;
} Mutant;

typedef struct {
	bool killed;
	int test;
	uint64_t at;
	char text[120];
} Verdict;

// Whether s is in a file that a driver's table of sources names, or a function it names there.
static bool
site_matches(const struct ExploreSite *s, const char *source)
{
	size_t bytes = strcspn(source, ":"), n = strlen(s->file);
	if (n < bytes || memcmp(s->file + n - bytes, source, bytes) != 0)
		return false;
	return source[bytes] == 0 || strcmp(s->func, source + bytes + 1) == 0;
}

static bool
site_counts(const struct ExploreSite *s)
{
	const char *const *only = explore_driver.sources;
	if (explore_driver.mutate_self)
		return true;
	if (strstr(s->file, "tests/explore/") != NULL)
		return false;
	if (only == NULL)
		return true;
	for (; *only != NULL; only++)
		if (site_matches(s, *only))
			return true;
	return false;
}

static int
list_mutants(Mutant *list)
{
	int n = 0;
	for (int i = 0; i < site_count() && n < MAX_MUTANTS - 4; i++) {
		struct ExploreSite *s = __start_explore_sites[i];
		if (s->order == 0 || !s->reached || !site_counts(s))
			continue;
		if (s->size == 0) {
			if ((s->order & (EXPLORE_SEQ | EXPLORE_HEAVY)) == EXPLORE_SEQ)
				list[n++] = (Mutant){s, EXPLORE_SEQ, "seq_cst"};
			if (s->order & EXPLORE_HEAVY)
				list[n++] = (Mutant){s, EXPLORE_HEAVY, "heavy"};
			list[n++] = (Mutant){s, 255, "fence"};
			continue;
		}
		if (s->order & EXPLORE_ACQ)
			list[n++] = (Mutant){s, EXPLORE_ACQ, "acquire"};
		if (s->order & EXPLORE_REL)
			list[n++] = (Mutant){s, EXPLORE_REL, "release"};
	}
	return n;
}

// Looks for a schedule that fails: a few of each test, then more, up to the budget.
static void
hunt(Verdict *v, uint64_t budget)
{
	int tests = test_count();
	uint64_t done = 0, end = 0;
	uint64_t per_test =
	    budget / (uint64_t)tests / (explore_driver.cost > 1 ? explore_driver.cost : 1);
	for (uint64_t chunk = 2000; done < per_test && !v->killed; chunk *= 4) {
		end = done + chunk < per_test ? done + chunk : per_test;
		for (int i = 0; i < tests && !v->killed; i++) {
			Batch b = {0};
			if (explore_driver.tests[i].must_fail != NULL)
				continue;
			run_some(&b, &explore_driver.tests[i], i, done, end, 1, NULL);
			if (b.failed) {
				v->killed = true;
				v->test = i;
				v->at = b.failed_at;
				snprintf(v->text, sizeof(v->text), "%s", b.text);
			}
		}
		done = end;
	}
}

static const struct ExploreAllowed *
allowed(const Mutant *m)
{
	const struct ExploreAllowed *a = explore_driver.allowed;
	for (; a != NULL && a->func != NULL; a++)
		if (strcmp(a->func, m->site->func) == 0 && strcmp(a->text, m->site->text) == 0 &&
		    strcmp(a->what, m->what) == 0)
			return a;
	return NULL;
}

static void
try_mutant(const Mutant *m, Verdict *v)
{
	m->site->drop = m->drop;
	hunt(v, allowed(m) != NULL ? opt.allowed_budget : opt.budget);
	m->site->drop = 0;
}

// Entries of the table that speak of no site: they have outlived the code they explain.
static int
stale_entries(const Mutant *list, int n)
{
	int stale = 0;
	const struct ExploreAllowed *a = explore_driver.allowed;
	for (; a != NULL && a->func != NULL; a++) {
		bool found = false;
		for (int i = 0; i < n && !found; i++)
			found = allowed(&list[i]) == a;
		if (!found) {
			printf("FAIL %s: allowed %s %s in %s: no such site\n", explore_driver.name,
			       a->what, a->text, a->func);
			stale++;
		}
	}
	return stale;
}

static int
report_mutant(const Mutant *m, const Verdict *v)
{
	const struct ExploreAllowed *a = allowed(m);
	bool ok = v->killed != (a != NULL);
	if (!ok || !opt.quiet) {
		printf("%s %s: mutant %s:%d %s: %s without %s: ", ok ? "ok  " : "FAIL",
		       explore_driver.name, m->site->file, m->site->line, m->site->func,
		       m->site->text, m->what);
		if (v->killed)
			printf("killed by %s at %llu: %s%s\n", explore_driver.tests[v->test].name,
			       (unsigned long long)v->at, v->text,
			       a != NULL ? " (but the table allows it to survive)" : "");
		else
			printf("survived%s%s\n", a != NULL ? ": " : "", a != NULL ? a->why : "");
	}
	return !ok;
}

// All tests without a mutant, to see which sites are reached. Returns how many fail.
static int
reach_sites(void)
{
	int failed = 0;
	for (int i = 0; i < test_count(); i++) {
		Batch b = {0};
		run_some(&b, &explore_driver.tests[i], i, 0, REACH, 1, NULL);
		if (!b.failed || explore_driver.tests[i].must_fail != NULL)
			continue;
		printf("FAIL %s: no mutants, as %s fails without: %s\n", explore_driver.name,
		       explore_driver.tests[i].name, b.text);
		failed++;
	}
	return failed;
}

// Tries all of the list; each process takes the next one. False when one died.
static bool
try_mutants(const Mutant *list, Verdict *verdicts, int n)
{
	int procs = opt.procs < n ? opt.procs : n;
	int *next = shared(sizeof(*next));
	pid_t pids[MAX_PROCS];
	for (int w = 0; w < procs; w++) {
		pids[w] = fork();
		if (pids[w] == 0) {
			explore_watch();
			for (int i; (i = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED)) < n;)
				try_mutant(&list[i], &verdicts[i]);
			_exit(0);
		}
	}
	bool ok = reap(pids, procs);
	munmap(next, sizeof(*next));
	return ok;
}

static int
run_mutants(void)
{
	static Mutant list[MAX_MUTANTS];
	if (reach_sites() != 0)
		return 1;
	int n = list_mutants(list);
	Verdict *verdicts = shared(sizeof(*verdicts) * (size_t)(n + 1));
	int failed = try_mutants(list, verdicts, n) ? 0 : 1;
	int killed = 0, unreached = 0;
	for (int i = 0; i < n; i++) {
		failed += report_mutant(&list[i], &verdicts[i]);
		killed += verdicts[i].killed;
	}
	failed += stale_entries(list, n);
	for (int i = 0; i < site_count(); i++) {
		struct ExploreSite *s = __start_explore_sites[i];
		if (s->order != 0 && !s->reached && site_counts(s))
			unreached++;
	}
	printf("     %s: %d mutants, %d killed, %d survived; %d sites with an order not reached\n",
	       explore_driver.name, n, killed, n - killed, unreached);
	return failed;
}

// The code under test has a bug by intent. 0 when it is noticed.
static int
run_hunt(void)
{
	Verdict v = {0};
	hunt(&v, opt.schedules);
	if (v.killed)
		printf("ok   %s: %s: schedule %llu: %s\n", explore_driver.name,
		       explore_driver.tests[v.test].name, (unsigned long long)v.at, v.text);
	else
		printf("FAIL %s: no schedule fails\n", explore_driver.name);
	return !v.killed;
}

static void
list_sites(void)
{
	(void)reach_sites();
	for (int i = 0; i < site_count(); i++) {
		struct ExploreSite *s = __start_explore_sites[i];
		if (site_counts(s))
			printf("%s:%d %s: %s%s\n", s->file, s->line, s->func, s->text,
			       s->reached ? "" : " (not reached)");
	}
}

// --- the command ------------------------------------------------------------------------------

static int
replay(void)
{
	int i = opt.only >= 0 ? opt.only : 0;
	explore_tracing = true;
	bool ok = explore_play(&explore_driver.tests[i], i, opt.seed, (uint64_t)opt.replay,
			       steps_of[i]);
	printf("%s %s: %s: schedule %lld: %s\n",
	       ok || wanted_failure(&explore_driver.tests[i]) ? "ok  " : "FAIL",
	       explore_driver.name, explore_driver.tests[i].name, (long long)opt.replay,
	       ok ? "passes" : explore_result.text);
	return !ok && !wanted_failure(&explore_driver.tests[i]);
}

static void
usage(void)
{
	printf(
	    "usage: x_%s [options]\n"
	    "  -n N       schedules over all tests (1000000)\n"
	    "  -s SEED    (1)\n"
	    "  -t TEST    only this test, by number\n"
	    "  -r NUMBER  replay one schedule of the test with a trace\n"
	    "  -w LINE    weaken the site in this line (LINE:1 acquire only, LINE:2 release only)\n"
	    "  -j PROCS   processes (1)\n"
	    "  -m N       schedules per mutant before it counts as surviving (400000)\n"
	    "  -e N       and per mutant that is allowed to (400000)\n"
	    "  -a         a heavy fence does just what membarrier does\n"
	    "  -q         mutants: print failures only\n"
	    "  -l         list the sites\n"
	    "  --mutants  weaken each order of the code under test, one at a time\n"
	    "  --hunt     until a schedule of any test fails, as one has to\n",
	    explore_driver.name);
	for (int i = 0; i < test_count(); i++)
		printf("  test %d: %s\n", i, explore_driver.tests[i].name);
}

static void
weaken(const char *arg)
{
	char *end;
	long line = strtol(arg, &end, 10);
	long drop = *end == ':' ? strtol(end + 1, NULL, 10) : 255;
	for (int i = 0; i < site_count(); i++)
		if (__start_explore_sites[i]->line == line && site_counts(__start_explore_sites[i]))
			__start_explore_sites[i]->drop = (uint8_t)drop;
}

static bool
parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];
		const char *x = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(a, "--mutants") == 0)
			opt.mutants = true;
		else if (strcmp(a, "--hunt") == 0)
			opt.hunt = true;
		else if (strcmp(a, "-l") == 0)
			opt.list_sites = true;
		else if (strcmp(a, "-q") == 0)
			opt.quiet = true;
		else if (strcmp(a, "-a") == 0)
			explore_membarrier = true;
		else if (x == NULL || a[0] != '-' || strchr("nstrjmew", a[1]) == NULL || a[2] != 0)
			return false;
		else {
			i++;
			switch (a[1]) {
			case 'n':
				opt.schedules = strtoull(x, NULL, 0);
				break;
			case 's':
				opt.seed = strtoull(x, NULL, 0);
				break;
			case 't':
				opt.only = atoi(x);
				break;
			case 'r':
				opt.replay = atoll(x);
				break;
			case 'j':
				opt.procs = atoi(x);
				break;
			case 'm':
				opt.budget = strtoull(x, NULL, 0);
				break;
			case 'e':
				opt.allowed_budget = strtoull(x, NULL, 0);
				break;
			case 'w':
				weaken(x);
				break;
			}
		}
	}
	return opt.procs >= 1 && opt.procs <= MAX_PROCS && opt.only < test_count();
}

int
main(int argc, char **argv)
{
	if (!parse(argc, argv)) {
		usage();
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	explore_set_up();
	for (int i = 0; i < test_count() && i < MAX_TESTS; i++)
		steps_of[i] = measure_steps(&explore_driver.tests[i], i);
	if (opt.list_sites) {
		list_sites();
		return 0;
	}
	if (opt.replay >= 0)
		return replay();
	if (opt.hunt)
		return run_hunt();
	return (opt.mutants ? run_mutants() : run_tests()) != 0;
}
