// SPDX-License-Identifier: BSD-3-Clause
// What a program says about memory when it dies of it, when its environment makes no sense, when
// the limit cannot be kept, and with GODEBUG=gctrace=1.
#include "child.h"
#include "goroutines.h"

#include <undergo/heap.h>

#define MIB ((size_t)1 << 20)

typedef struct Node {
	struct Node *next;
	long fill[7];
} Node;

static Node *volatile kept;

static void
keep(size_t bytes)
{
	for (size_t at = 0; at < bytes; at += sizeof(Node)) {
		Node *n = go_new(Node);
		n->next = kept;
		kept = n;
	}
}

static void
churn(size_t bytes)
{
	for (size_t at = 0; at < bytes; at += sizeof(Node)) {
		Node *volatile lost = go_new(Node);
		lost->fill[0] = 1;
	}
}

// --- no memory -----------------------------------------------------------------------------------

static int
fill_up(void *unused)
{
	(void)unused;
	keep(1024 * MIB);
	return 0;
}

DEATH(limit_fill_up)
{
	go_run(fill_up, NULL);
}

DEATH(limit_one_too_large)
{
	(void)go_alloc_data(1024 * MIB);
}

static int
fill_map(void *unused)
{
	GO_MAP(uint64_t, uint64_t) m;
	(void)unused;
	expect_eq(go_map_init(m, 0), 0);
	for (uint64_t i = 0;; i++)
		*go_map_at(m, i) = i;
}

DEATH(limit_fill_map)
{
	go_run(fill_map, NULL);
}

// At the hard maximum, and where the system refuses.
void
test_limit_out_of_memory(void)
{
	expect_death(limit_fill_up, .status = 2, .env = "UNDERGO_MEMORY_MAX=24MiB",
		     .err = "runtime: out of memory: cannot allocate 64-byte block (",
		     .err_has = {" in use, of at most 25165824)\nfatal error: out of memory\n"},
		     .limit_ms = 20000);
	expect_death(limit_fill_map, .status = 2, .env = "UNDERGO_MEMORY_MAX=24MiB",
		     .err = "runtime: out of memory: cannot allocate memory for a map (",
		     .err_has = {" in use, of at most 25165824)\nfatal error: out of memory\n"},
		     .limit_ms = 20000);
	expect_death(limit_one_too_large, .status = 2, .env = "UNDERGO_MEMORY_MAX=24MiB",
		     .err = "runtime: out of memory: cannot allocate 1073741825-byte block (",
		     .err_has = {"\nfatal error: out of memory\n"});
	expect_death(limit_one_too_large, .status = 2, .env = "UNDERGO_FAULT=commit:8+:ENOMEM",
		     .err = "runtime: out of memory: cannot allocate 1073741825-byte block (",
		     .err_has = {" in use)\nfatal error: out of memory\n"});
}

// --- the environment -----------------------------------------------------------------------------

static void
touch_heap(void)
{
	(void)go_alloc(16);
}

DEATH(limit_first_object)
{
	touch_heap();
}

DEATH(limit_stats_only)
{
	go_heap_stats st;
	go_heap_stats_read(&st);
}

// Go's text, and the variable in front, as Go has it.
void
test_fatal_malformed_limit(void)
{
	static const char *const bad[] = {"GOMEMLIMIT=1x", "GOMEMLIMIT=-1", "GOMEMLIMIT=1KB",
					  "GOMEMLIMIT=9223372036854775808"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[100];
		snprintf(text, sizeof(text),
			 "%s\nfatal error: "
			 "malformed GOMEMLIMIT; see `go doc runtime/debug.SetMemoryLimit`"
			 "\n", bad[i]);
		expect_death(limit_first_object, .status = 2, .env = bad[i], .err = text);
	}
	expect_death(limit_stats_only, .status = 2, .env = "GOMEMLIMIT=MiB",
		     .err = "GOMEMLIMIT=MiB\nfatal error: malformed GOMEMLIMIT; see `go doc ");
	expect_death(limit_first_object, .status = 2, .env = "UNDERGO_MEMORY_MAX=1M",
		     .err = "UNDERGO_MEMORY_MAX=1M\nfatal error: malformed UNDERGO_MEMORY_MAX\n");
}

DEATH(limit_settings)
{
	go_heap_stats st;
	touch_heap();
	go_heap_stats_read(&st);
	printf("%d %lld\n", st.gc_percent, (long long)st.limit_bytes);
}

// What is malformed in GOGC counts for nothing, as in Go.
void
test_limit_environment(void)
{
	expect_death(limit_settings, .env = "GOMEMLIMIT=off GOGC",
		     .out = "100 9223372036854775807\n");
	expect_death(limit_settings, .env = "GOMEMLIMIT=64MiB GOGC=off", .out = "-1 67108864\n");
	expect_death(limit_settings, .env = "GOMEMLIMIT=123 GOGC=-7", .out = "-1 123\n");
	expect_death(limit_settings, .env = "GOMEMLIMIT=1KiB GOGC=50%", .out = "100 1024\n");
	expect_death(limit_settings, .env = "GOMEMLIMIT=0 GOGC=0", .out = "0 0\n");
	expect_death(limit_settings, .env = "GOMEMLIMIT=2TiB GOGC=99999999999",
		     .out = "100 2199023255552\n");
}

// --- what it says --------------------------------------------------------------------------------

static int
live_beyond(void *unused)
{
	go_heap_stats st;
	(void)unused;
	keep(24 * MIB);
	do {
		churn(MIB);
		go_heap_stats_read(&st);
	} while (st.held_back < 100);
	return 0;
}

DEATH(limit_live_beyond)
{
	go_gomaxprocs(1);
	go_run(live_beyond, NULL);
}

// Once, though it holds back again and again.
void
test_limit_says_so(void)
{
	static ChildEnd end;
	char *env[] = {"GOMEMLIMIT=20MiB", "GOGC=off", NULL};
	child_run(&end, "limit_live_beyond", env, 60000);
	expect_eq(end.status, 0);
	static const char line[] = "runtime: memory limit of 20 MiB cannot be kept (";
	expect_eq(strncmp(end.text, line, strlen(line)), 0);
	const char *rest = strstr(end.text, " MiB in use): collecting takes half of the CPU");
	expect(rest != NULL && strchr(rest, '\n')[1] == '\0');
}

// A limit, or a hard maximum, of six fifths of what is needed: the program goes on, slowly. Where
// the limit is exceeded for that it says so; the maximum never is.
enum { LIVE_MIB = 40, CHURN_MIB = 200 };

static size_t
kept_bytes(void)
{
	size_t n = 0;
	for (const Node *at = kept; at != NULL; at = at->next)
		n += sizeof(Node);
	return n;
}

static int
six_fifths(void *hard)
{
	go_heap_stats st;
	uint64_t most = 0;
	go_set_gc_percent(-1);
	keep(LIVE_MIB * MIB);
	go_gc();
	go_heap_stats_read(&st);
	int64_t needed = (int64_t)(hard != NULL ? st.spans_bytes : st.memory_bytes);
	int64_t limit = needed / 5 * 6;
	if (hard != NULL)
		go_set_memory_max(limit);
	else
		go_set_memory_limit(limit);
	for (int i = 0; i < CHURN_MIB; i++) {
		churn(MIB);
		go_heap_stats_read(&st);
		uint64_t now = hard != NULL ? st.spans_bytes : st.memory_bytes;
		most = now > most ? now : most;
	}
	expect_eq(kept_bytes(), LIVE_MIB * MIB);
	expect(st.collections > 3);
	expect(hard == NULL || (int64_t)most <= limit);
	expect(hard != NULL || (int64_t)most <= limit || st.held_back > 0);
	printf("held back: %d\n", st.held_back > 0);
	return 0;
}

DEATH(limit_six_fifths)
{
	go_gomaxprocs(1);
	go_run(six_fifths, NULL);
}

DEATH(limit_six_fifths_hard)
{
	static char hard;
	go_gomaxprocs(1);
	go_run(six_fifths, &hard);
}

void
test_limit_six_fifths(void)
{
	static ChildEnd end;
	char *env[] = {"GOMEMLIMIT=off", NULL};
	for (int hard = 0; hard < 2; hard++) {
		child_run(&end, hard ? "limit_six_fifths_hard" : "limit_six_fifths", env, 60000);
		bool held_back = strstr(end.text, "held back: 1\n") != NULL;
		bool said = strstr(end.text, " MiB cannot be kept (") != NULL;
		if (end.status != 0 || held_back != said)
			printf("ended with %d\n%s\n", end.status, end.text);
		fflush(stdout);
		expect_eq(end.status, 0);
		expect_eq(said, held_back);
		expect(strstr(end.text, "held back: ") != NULL && !(hard && said));
	}
}

static int
trace_three(void *unused)
{
	(void)unused;
	go_set_gc_percent(-1);
	keep(3 * MIB);
	go_gc();
	kept = NULL;
	go_set_gc_percent(100);
	go_heap_stats st;
	do {
		churn(MIB);
		go_heap_stats_read(&st);
	} while (st.collections < 4);
	return 0;
}

DEATH(limit_trace)
{
	go_gomaxprocs(2);
	go_run(trace_three, NULL);
}

// A time of three digits at most, with a point or not, which moves *at behind itself.
static bool
is_ms(const char **at)
{
	size_t digits = 0, points = 0;
	const char *s = *at;
	for (; (*s >= '0' && *s <= '9') || *s == '.'; s++)
		*s == '.' ? points++ : digits++;
	*at = s;
	return digits >= 1 && points <= 1;
}

// Whether s is of a form in which # stands for a number.
static bool
has_form(const char *s, const char *form)
{
	for (; *form != '\0'; form++) {
		if (*form == '#') {
			if (!is_ms(&s))
				return false;
		} else if (*s++ != *form) {
			return false;
		}
	}
	return *s == '\0';
}

// Lines in Go's form: the forced one says so, the others do not; the numbers are right.
void
test_limit_gctrace(void)
{
	static ChildEnd end;
	char *env[] = {"GODEBUG=gctrace=1", "GOMEMLIMIT=off", NULL};
	child_run(&end, "limit_trace", env, 20000);
	expect_eq(end.status, 0);
	int n = 0;
	for (char *line = end.text, *stop; (stop = strchr(line, '\n')) != NULL; line = stop + 1) {
		char number[24];
		*stop = '\0';
		n++;
		snprintf(number, sizeof(number), "gc %d @", n);
		expect_eq(strncmp(line, number, strlen(number)), 0);
		const char *form = n == 1
			? "gc # @#s #%: #+#+# ms clock, #+#/#/#+# ms cpu, 3->3->3 MB, "
			  "# MB goal, # MB stacks, # MB globals, 2 P (forced)"
			: "gc # @#s #%: #+#+# ms clock, #+#/#/#+# ms cpu, #->#-># MB, "
			  "# MB goal, # MB stacks, # MB globals, 2 P";
		if (!has_form(line, form)) {
			printf("%s\n", line);
			fflush(stdout);
			expect(false);
		}
	}
	expect(n >= 4);
	char *none[] = {"GODEBUG=gctrace=0,x=1", NULL};
	child_run(&end, "limit_trace", none, 20000);
	expect_eq(end.bytes, 0);
}
