// SPDX-License-Identifier: BSD-3-Clause
// undergo/heap.h: go_heap_report, go_heap_profile; undergo/runtime.h: go_cpu_profile_start, _stop.
//
// The profile is read back: whether it is one, whether its stacks name the functions that allocate,
// and whether its numbers are right, exactly when every allocation is a sample, and about when few
// are.
#include "goroutines.h"

#include <fcntl.h>
#include <time.h>
#include <undergo/heap.h>
#include <undergo/runtime.h>

enum { FILE_BYTES = 4 << 20 };

typedef struct Leaf {
	struct Leaf *next;
	long number[4];
} Leaf;

static const go_type leaf_type = GO_TYPE(Leaf, next);

static char *file; // of FILE_BYTES and a 0
static size_t file_bytes;

// What write() wrote.
static void
read_back(int (*write_it)(int fd))
{
	if (file == NULL)
		file = test_pages(FILE_BYTES + 1);
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	expect(fd >= 0);
	expect_eq(write_it(fd), 0);
	ssize_t n = pread(fd, file, FILE_BYTES, 0);
	expect(n > 0 && n < FILE_BYTES);
	file_bytes = (size_t)n;
	file[n] = '\0';
	close(fd);
}

// --- reading protocol buffers -------------------------------------------------------------------

typedef struct Message {
	const unsigned char *at, *end;
} Message;

typedef struct Field {
	uint64_t number;
	uint64_t value; // or
	Message inner;
} Field;

static uint64_t
varint(Message *m)
{
	uint64_t v = 0;
	for (int shift = 0;; shift += 7) {
		expect(m->at < m->end && shift < 64);
		unsigned char c = *m->at++;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80)
			return v;
	}
}

static bool
next_field(Message *m, Field *f)
{
	if (m->at == m->end)
		return false;
	uint64_t key = varint(m), n = varint(m);
	*f = (Field){.number = key >> 3, .value = n};
	expect((key & 7) == 0 || (key & 7) == 2);
	if ((key & 7) == 2) {
		expect(n <= (size_t)(m->end - m->at));
		f->inner = (Message){m->at, m->at + n};
		m->at += n;
	}
	return true;
}

static Message
whole(void)
{
	return (Message){(unsigned char *)file, (unsigned char *)file + file_bytes};
}

// The value of field `number` of a message.
static uint64_t
value_in(Message m, uint64_t number)
{
	Field f;
	while (next_field(&m, &f))
		if (f.number == number)
			return f.value;
	return 0;
}

// The text with that number.
static bool
text_is(uint64_t number, const char *text)
{
	Field f;
	for (Message m = whole(); next_field(&m, &f);) {
		size_t n = (size_t)(f.inner.end - f.inner.at);
		if (f.number == 6 && number-- == 0)
			return n == strlen(text) && memcmp(f.inner.at, text, n) == 0;
	}
	return false;
}

// The message of the profile in that field, whose own number is id.
static Message
by_id(uint64_t field, uint64_t id)
{
	Field f;
	for (Message m = whole(); next_field(&m, &f);)
		if (f.number == field && value_in(f.inner, 1) == id)
			return f.inner;
	expect(false); // there is a message for each number
	return (Message){NULL, NULL};
}

static bool
location_names(uint64_t id, const char *function)
{
	Field f;
	for (Message m = by_id(4, id); next_field(&m, &f);)
		if (f.number == 4 && text_is(value_in(by_id(5, value_in(f.inner, 1)), 2), function))
			return true;
	return false;
}

typedef struct Sums {
	uint64_t made, made_bytes, alive, alive_bytes;
} Sums;

// Adds a sample's numbers when its stack names the function.
static void
add_sample(Sums *s, Message sample, const char *function)
{
	uint64_t v[4] = {0};
	int n = 0;
	bool named = false;
	Field f;
	for (Message m = sample; next_field(&m, &f);) {
		if (f.number == 1 && !named)
			named = location_names(f.value, function);
		if (f.number == 2 && n < 4)
			v[n++] = f.value;
	}
	expect_eq(n, 4);
	if (!named)
		return;
	s->made += v[0];
	s->made_bytes += v[1];
	s->alive += v[2];
	s->alive_bytes += v[3];
}

static Sums
sums_of(const char *function)
{
	Sums s = {0, 0, 0, 0};
	Field f;
	for (Message m = whole(); next_field(&m, &f);)
		if (f.number == 2)
			add_sample(&s, f.inner, function);
	return s;
}

// --- the profile --------------------------------------------------------------------------------

enum { LEAVES = 300, BUFFERS = 200 };

static void *volatile kept;

// Not static, so that there is a name even without debug information.
__attribute__((noinline)) void *profile_makes_leaf(void *next);
__attribute__((noinline)) void profile_makes_buffer(void);
__attribute__((noinline)) void profile_makes_large(void);

void *
profile_makes_leaf(void *next)
{
	Leaf *l = go_new_typed(Leaf, &leaf_type);
	l->next = next;
	return l;
}

void
profile_makes_buffer(void)
{
	void *p = go_alloc_data(99);
	go_free(p);
}

void
profile_makes_large(void)
{
	kept = go_alloc(99999);
}

static void *
make_leaves_and_buffers(void)
{
	void *leaf = NULL;
	for (int i = 0; i < LEAVES; i++)
		leaf = profile_makes_leaf(leaf);
	for (int i = 0; i < BUFFERS; i++)
		profile_makes_buffer();
	return leaf;
}

static int
exact(void *unused)
{
	(void)unused;
	void *leaf = make_leaves_and_buffers();
	profile_makes_large();
	go_gc();
	read_back(go_heap_profile);
	go_keep_alive(leaf);
	return 0;
}

static void
expect_exact(void)
{
	Sums s = sums_of("profile_makes_leaf");
	expect_eq(s.made, LEAVES);
	expect_eq(s.made_bytes, LEAVES * 48);
	expect_eq(s.alive, LEAVES);
	s = sums_of("profile_makes_buffer");
	expect_eq(s.made, BUFFERS);
	expect_eq(s.made_bytes, BUFFERS * 112);
	expect_eq(s.alive, 0);
	s = sums_of("profile_makes_large");
	expect_eq(s.made, 1);
	expect_eq(s.alive_bytes, 100000);
}

void
test_profile_counts_all(void)
{
	expect_eq(go_heap_profile_rate(1), 0);
	expect_eq(go_run(exact, NULL), 0);
	expect_exact();
	expect(text_is(value_in(whole(), 14), "inuse_space"));
	expect_eq(value_in(whole(), 12), 1);
}

// Caches that keep nothing in hand take the same samples.
void
test_profile_counts_all_watched(void)
{
	setenv("GODEBUG", "memprofilerate=1,gcevery=50", 1);
	expect_eq(go_run(exact, NULL), 0);
	expect_exact();
}

static long rounds;

// Two sites take turns, so that a sample at a fixed distance would always be of the same one.
static int
estimate(void *unused)
{
	(void)unused;
	for (long i = 0; i < rounds; i++) {
		kept = profile_makes_leaf(NULL);
		profile_makes_buffer();
	}
	kept = NULL;
	for (int i = 0; i < 3; i++)
		go_gc();
	read_back(go_heap_profile);
	return 0;
}

// With n samples a number is off by 1/sqrt(n) of it, and hardly ever by five times that.
static void
expect_about(uint64_t is, uint64_t should, uint64_t samples)
{
	uint64_t off = is > should ? is - should : should - is;
	expect(off * off / should <= 25 * should / samples);
}

void
test_profile_estimates(void)
{
	enum { RATE = 4096 };
	rounds = test_scale(400000);
	if (rounds < 20000)
		rounds = 20000;
	(void)go_heap_profile_rate(RATE);
	expect_eq(go_run(estimate, NULL), 0);
	uint64_t n = (uint64_t)rounds;
	Sums leaf = sums_of("profile_makes_leaf"), buffer = sums_of("profile_makes_buffer");
	expect_about(leaf.made, n, n * 48 / RATE);
	expect_about(buffer.made, n, n * 112 / RATE);
	expect(leaf.alive < n / 50);
	expect_eq(buffer.alive, 0);
}

void
test_profile_of_nothing(void)
{
	read_back(go_heap_profile);
	Field f = {0};
	for (Message m = whole(); next_field(&m, &f) && f.number != 1;)
		continue;
	expect(text_is(value_in(f.inner, 1), "alloc_objects")); // the first kind of samples
	expect_eq(sums_of("profile_makes_leaf").made, 0);
}

// --- the CPU profile ----------------------------------------------------------------------------

enum {
	BURN_NS = 150 * 1000 * 1000,
	AT_ONE_BLOW_NS = 20 * 1000 * 1000, // a virtual machine stood still, and no clock ticked
};

__attribute__((noinline)) void profile_burns(void);
__attribute__((noinline)) void profile_burns_little(void);
static volatile uint64_t burnt;

void
profile_burns(void)
{
	for (int i = 0; i < 90000; i++)
		burnt = burnt * 3 + 1;
}

void
profile_burns_little(void)
{
	for (int i = 0; i < 10000; i++)
		burnt = burnt * 5 + 1;
}

static int64_t
cpu_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int
burn(void *unused)
{
	(void)unused;
	int64_t before = cpu_now();
	for (int64_t ns = 0; ns < BURN_NS;) {
		profile_burns();
		profile_burns_little();
		int64_t now = cpu_now();
		if (now - before < AT_ONE_BLOW_NS)
			ns += now - before;
		before = now;
	}
	return 0;
}

// Samples whose stacks name the function, or all; each stands for the same time.
static uint64_t
cpu_samples(const char *function)
{
	uint64_t sum = 0, period = value_in(whole(), 12);
	Field f, part;
	for (Message m = whole(); next_field(&m, &f);) {
		if (f.number != 2)
			continue;
		uint64_t v[2] = {0};
		int n = 0;
		bool named = function == NULL;
		for (Message s = f.inner; next_field(&s, &part);) {
			if (part.number == 1 && !named)
				named = location_names(part.value, function);
			if (part.number == 2 && n < 2)
				v[n++] = part.value;
		}
		expect_eq(n, 2);
		expect_eq(v[1], v[0] * period);
		sum += named ? v[0] : 0;
	}
	return sum;
}

// Of some 35 samples nine in ten should be of the one, one in ten of the other.
static void
expect_hot(void)
{
	uint64_t all = cpu_samples(NULL), hot = cpu_samples("profile_burns");
	uint64_t cold = cpu_samples("profile_burns_little");
	expect(all >= 10);
	expect(hot > all / 2);
	expect(cold < hot);
	expect(hot + cold <= all);
}

void
test_cpu_profile_finds_what_is_hot(void)
{
	expect_eq(go_cpu_profile_start(0), 0);
	expect_eq(go_run(burn, NULL), 0);
	read_back(go_cpu_profile_stop);
	expect_hot();
	expect(text_is(value_in(whole(), 14), "cpu"));
	expect_eq(value_in(whole(), 12), 10000000);
	expect_eq(go_cpu_profile_start(500), 0); // the next one begins anew, of a thread
	burn(NULL);
	read_back(go_cpu_profile_stop);
	expect_hot();
	expect_eq(value_in(whole(), 12), 2000000);
}

static int
burn_among_signals(void *unused)
{
	go_chan *c = go_chan_new(sizeof(int), 64);
	expect_eq(go_signal_notify(c, 0), 0);
	burn(unused);
	go_signal_stop(c);
	burn(unused);
	expect_eq(go_signal_reset(0), 0);
	burn(unused);
	expect_eq(go_chan_len(c), 0);
	return 0;
}

// Who wants every signal leaves the profile its own.
void
test_cpu_profile_among_signals(void)
{
	expect_eq(go_cpu_profile_start(0), 0);
	expect_eq(go_run(burn_among_signals, NULL), 0);
	read_back(go_cpu_profile_stop);
	expect_hot();
	expect(cpu_samples(NULL) >= 30);
}

void
test_cpu_profile_errors(void)
{
	expect_eq(go_cpu_profile_start(-1), GO_EINVAL);
	expect_eq(go_cpu_profile_start(1000001), GO_EINVAL);
	expect_eq(go_cpu_profile_stop(2), GO_EINVAL);
	expect_eq(go_cpu_profile_start(100), 0);
	expect_eq(go_cpu_profile_start(100), GO_EBUSY);
	expect_eq(go_cpu_profile_stop(-1), 0);
	expect_eq(go_cpu_profile_start(100), 0);
	burn(NULL);
	int fd = open("/dev/full", O_WRONLY);
	expect(fd >= 0);
	expect_eq(go_cpu_profile_stop(fd), GO_EIO);
	expect_eq(go_cpu_profile_stop(fd), GO_EINVAL);
	close(fd);
}

static int
wait_for_nothing(void *unused)
{
	int v;
	(void)unused;
	return go_chan_recv(go_chan_new(sizeof(v), 0), &v, GO_NEVER);
}

// The thread that reads samples keeps nobody from seeing a deadlock.
DEATH(cpu_profile_and_deadlock)
{
	(void)go_cpu_profile_start(100);
	go_run(wait_for_nothing, NULL);
}

void
test_cpu_profile_sees_deadlock(void)
{
	expect_death(cpu_profile_and_deadlock, .status = 2,
		     .err = "fatal error: all goroutines are asleep - deadlock!\n");
}

// --- the report ---------------------------------------------------------------------------------

static int
report(void *unused)
{
	(void)unused;
	void *leaf = make_leaves_and_buffers();
	read_back(go_heap_report);
	go_keep_alive(leaf);
	return 0;
}

static bool
says(const char *text)
{
	return strstr(file, text) != NULL;
}

void
test_report_sorts(void)
{
	expect_eq(go_run(report, NULL), 0);
	expect(says("heap: ") && says(" objects alive, "));
	expect(says("14400 bytes: 300 of size 48, typed\n"));
	expect(!says("allocated by"));
}

void
test_report_sites(void)
{
	setenv("GODEBUG", "allocsites=2", 1);
	expect_eq(go_run(report, NULL), 0);
	expect(says("14400 bytes: 300 of size 48, typed \"Leaf\", allocated by\n"
		    "go_alloc_typed(...)\n"));
	expect(says("\nprofile_makes_leaf(...)\n"));
	expect(!says("profile_makes_buffer"));
}

void
test_report_of_nothing(void)
{
	read_back(go_heap_report);
	expect_str(file, "heap: 0 objects alive, 0 bytes\n");
}

static int
leak(void *unused)
{
	(void)unused;
	kept = profile_makes_leaf(NULL);
	return 0;
}

DEATH(report_leak)
{
	go_run(leak, NULL);
}

void
test_report_at_exit(void)
{
	expect_death(report_leak, .status = 0, .env = "GODEBUG=leaks=1", .err = "heap: ",
		     .err_has = {"48 bytes: 1 of size 48, typed \"Leaf\", allocated by\n",
				 "\nprofile_makes_leaf(...)\n"});
	expect_death(report_leak, .status = 0, .err_lacks = {"heap: "});
}

// What cannot be written is told, by the profile and the report.
GO_TEST(profile_tells_write_errors, 1)
{
	int full = open("/dev/full", O_WRONLY), closed = dup(full);
	expect(full >= 0 && closed >= 0);
	close(closed);
	expect(go_alloc(100) != NULL);
	expect_eq(go_heap_profile(full), GO_EIO);
	expect_eq(go_heap_profile(closed), GO_EIO);
	expect_eq(go_heap_report(full), GO_EIO);
	expect_eq(go_heap_report(closed), GO_EIO);
	read_back(go_heap_profile);
	read_back(go_heap_report);
	close(full);
}
