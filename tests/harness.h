// SPDX-License-Identifier: BSD-3-Clause
// What a test may use: expectations, skips, seeds, and children that must die.
//
// A test is `void test_NAME(void)` in tests/DIR/*.c, named once in tests/list.def as
// T(DIR, NAME, limit_ms, flags). This header declares every listed test, so a test that is not
// listed does not compile and a listed one that is missing does not link.
//
// Each test runs in a process of its own, on its main thread, with the runtime not started. It
// passes when the function returns and the process then exits with status 0.
//
// Rules:
//   - Everything here works on any thread and any goroutine: it writes with write(2) and ends the
//     process with _exit(2), and uses less than 2 KiB of stack.
//   - DEATH and expect_death are for the test's main thread before the runtime starts.
#ifndef UNDERGO_TESTS_HARNESS_H
#define UNDERGO_TESTS_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef SUITE_LIST
#define SUITE_LIST "list.def"
#endif

// Flags of list.def; several are joined with |. A flag that takes a test out of a run carries its
// reason as a comment on the same line.
enum {
	F_SOLO = 1 << 0,       // runs alone: it measures time, or wants all cores
	F_STRESS = 1 << 1,     // part of the stress runs too, and not of short ones
	F_SLOW = 1 << 2,       // only run by `make stress`
	F_NOTSAN = 1 << 3,     // not under ThreadSanitizer
	F_NOASAN = 1 << 4,     // not under AddressSanitizer
	F_NOVALGRIND = 1 << 5, // not under valgrind
	F_NOQEMU = 1 << 6,     // not under qemu-user
	F_ASLEEP = 1 << 7,     // sleeps nearly all of its time: runs beside as many as may run
};

#define T(dir, name, limit_ms, flags) void test_##name(void);
#include SUITE_LIST
#undef T

// Ends the test as failed unless the condition holds.
#define expect(cond)                                             \
	do {                                                     \
		if (!(cond))                                     \
			harness_fail(__FILE__, __LINE__, #cond); \
	} while (0)

// Ends the test as failed, printing both, unless two integers are equal.
#define expect_eq(a, b)                                                                      \
	do {                                                                                 \
		long long harness_a_ = (long long)(a), harness_b_ = (long long)(b);          \
		if (harness_a_ != harness_b_)                                                \
			harness_fail_eq(__FILE__, __LINE__, #a, #b, harness_a_, harness_b_); \
	} while (0)

// The same for strings; NULL equals only NULL.
#define expect_str(a, b) harness_expect_str(__FILE__, __LINE__, #a, #b, (a), (b))

// Ends the test as skipped. The reason is shown in the summary.
#define skip(reason) harness_skip(reason)

__attribute__((noreturn)) void harness_fail(const char *file, int line, const char *what);
__attribute__((noreturn)) void harness_fail_eq(const char *file, int line, const char *a_text,
					       const char *b_text, long long a, long long b);
__attribute__((noreturn)) void harness_skip(const char *reason);
void harness_expect_str(const char *file, int line, const char *a_text, const char *b_text,
			const char *a, const char *b);

// Prints a line "seed: N" and returns N: UNDERGO_TEST_SEED when that is set (`suite --seed N`
// sets it), else a fresh random number.
uint64_t test_seed(void);

// The next number of a generator whose state starts as any value, for instance test_seed().
uint64_t test_rand(uint64_t *state);

// A loop count for here: divided under sanitizers, valgrind, qemu and in the stress build,
// multiplied in `make stress`. At least 1.
long test_scale(long n);

// How much slower than an ordinary build this run may be; at least 1. The runner multiplies
// limits by it. UNDERGO_TEST_SLOW multiplies it further.
int test_slowness(void);

// Zeroed memory, never given back. It is not among the collector's roots, as all variables are:
// what is large and static would be read in each collection of each test.
void *test_pages(size_t bytes);

// Of a function that does wrong on purpose: the processor is to find it, not the code that
// UndefinedBehaviorSanitizer adds.
#define WRONG_ON_PURPOSE __attribute__((no_sanitize("undefined")))

// Monotonic nanoseconds, of the system and never virtual.
int64_t test_now_ns(void);

// Whether the test runs under the tool named: "valgrind" or "qemu".
bool test_under(const char *tool);

// A program that must die is written as a body and expected by a test:
//
//	DEATH(close_twice)
//	{
//		...
//	}
//
//	void
//	test_close_twice_is_fatal(void)
//	{
//		expect_death(close_twice, .status = 2, .err = "panic: close of closed channel\n");
//	}
//
// The body runs in a new process started from the suite's own file, on its main thread, with the
// runtime not started. A body that returns ends that process with exit(0).
#define DEATH(name)                                                         \
	static void death_##name(void);                                     \
	__attribute__((constructor)) static void death_##name##_add_(void)  \
	{                                                                   \
		static struct HarnessDeath self = {#name, death_##name, 0}; \
		harness_death_add(&self);                                   \
	}                                                                   \
	static void death_##name(void)

// Runs the DEATH of that name, in this file or another, and ends the test as failed unless it
// died as wanted. Options are fields of struct DeathWant.
#define expect_death(name, ...) \
	harness_expect_death(__FILE__, __LINE__, #name, &(const struct DeathWant){__VA_ARGS__})

enum { DEATH_TEXTS = 8 };

struct DeathWant {
	int status;                         // its exit status, unless signal is given
	int signal;                         // it is ended by this signal
	const char *err;                    // what its stderr begins with
	const char *err_has[DEATH_TEXTS];   // what stderr contains, in this order
	const char *err_lacks[DEATH_TEXTS]; // what stderr does not contain
	const char *out;                    // its whole stdout
	const char *env;                    // additions to its environment: "A=1 B=2"; "A" unsets A
	int send;                           // a signal sent to it after send_after_ms
	int send_after_ms;
	bool says_when;                     // they count from when it first writes to stdout
	int limit_ms; // 5000 when 0; multiplied by test_slowness
};

struct HarnessDeath {
	const char *name;
	void (*body)(void);
	struct HarnessDeath *next;
};

void harness_death_add(struct HarnessDeath *d);
int harness_death_run(const char *name);
void harness_expect_death(const char *file, int line, const char *name,
			  const struct DeathWant *want);

// Between runner.c and harness.c: argv of a new process of this suite, `suite MODE NAME`, behind
// the words of UNDERGO_TEST_WRAPPER when that is set (valgrind ..., qemu-aarch64 ...).
enum { HARNESS_ARGV = 40, HARNESS_SKIP = 77 };
void harness_argv(const char *argv[HARNESS_ARGV], const char *mode, const char *name);

#endif
