// SPDX-License-Identifier: BSD-3-Clause
// The harness inside a test's process: how it fails, skips and draws seeds. death.c has the
// children that must die; runner.c starts the processes.
//
// Not done: stdio for messages. A test may fail while another thread holds stdout's lock, or on a
// goroutine whose thread is not one the C library made.
#include "harness.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
	MESSAGE_BYTES = 1024,
	LONG_DIVISOR_MAX = 1000000,
};

// meson.build defines UNDERGO_SANITIZE_... in sanitizer builds, whichever the compiler.
#if defined(UNDERGO_SANITIZE_THREAD)
enum { BUILD_SLOW = 12, BUILD_DIVIDE = 10 };
#elif defined(UNDERGO_SANITIZE_ADDRESS)
enum { BUILD_SLOW = 5, BUILD_DIVIDE = 4 };
#elif defined(UNDERGO_SANITIZE_UNDEFINED)
enum { BUILD_SLOW = 4, BUILD_DIVIDE = 3 };
#elif defined(UNDERGO_STRESS)
enum { BUILD_SLOW = 4, BUILD_DIVIDE = 4 };
#else
enum { BUILD_SLOW = 1, BUILD_DIVIDE = 1 };
#endif

// What sanitizers read when the environment says nothing else.
const char *__asan_default_options(void);
const char *__tsan_default_options(void);
const char *__ubsan_default_options(void);

const char *
__asan_default_options(void)
{
	return "abort_on_error=0:exitcode=67:allocator_may_return_null=1";
}

const char *
__tsan_default_options(void)
{
	return "exitcode=66:second_deadlock_stack=1";
}

// clang's library catches fatal signals unless it is told otherwise, which are ours to handle.
const char *
__ubsan_default_options(void)
{
	return "print_stacktrace=1:handle_segv=0:handle_sigbus=0:handle_sigfpe=0";
}

static void
write_all(const char *text, size_t n)
{
	while (n > 0) {
		ssize_t done = write(STDERR_FILENO, text, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return;
		text += done;
		n -= (size_t)done;
	}
}

__attribute__((format(printf, 1, 2))) static void
say(const char *format, ...)
{
	char text[MESSAGE_BYTES];
	va_list ap;

	va_start(ap, format);
	int n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n > 0)
		write_all(text, n < MESSAGE_BYTES ? (size_t)n : sizeof(text) - 1);
}

void
harness_fail(const char *file, int line, const char *what)
{
	say("%s:%d: expected: %s\n", file, line, what);
	_exit(1);
}

void
harness_fail_eq(const char *file, int line, const char *a_text, const char *b_text, long long a,
		long long b)
{
	say("%s:%d: expected: %s == %s\n  left:  %lld\n  right: %lld\n", file, line, a_text, b_text,
	    a, b);
	_exit(1);
}

void
harness_expect_str(const char *file, int line, const char *a_text, const char *b_text,
		   const char *a, const char *b)
{
	if (a == b || (a != NULL && b != NULL && strcmp(a, b) == 0))
		return;
	say("%s:%d: expected: %s == %s\n", file, line, a_text, b_text);
	say("  left:  %s\n", a != NULL ? a : "(NULL)");
	say("  right: %s\n", b != NULL ? b : "(NULL)");
	_exit(1);
}

void
harness_skip(const char *reason)
{
	say("skip: %s\n", reason);
	_exit(HARNESS_SKIP);
}

uint64_t
test_seed(void)
{
	const char *given = getenv("UNDERGO_TEST_SEED");
	uint64_t seed = 0;

	if (given != NULL && *given != '\0')
		seed = strtoull(given, NULL, 0);
	else if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		seed = (uint64_t)test_now_ns();
	say("seed: %llu\n", (unsigned long long)seed);
	return seed;
}

// The splitmix64 generator.
uint64_t
test_rand(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

bool
test_under(const char *tool)
{
	const char *wrapper = getenv("UNDERGO_TEST_WRAPPER");

	return wrapper != NULL && strstr(wrapper, tool) != NULL;
}

// A whole number from the environment, from 1 up; 1 when it is not set or makes no sense.
static long
env_factor(const char *name)
{
	const char *text = getenv(name);
	long n = text != NULL ? strtol(text, NULL, 10) : 1;

	return n < 1 ? 1 : n > LONG_DIVISOR_MAX ? LONG_DIVISOR_MAX : n;
}

void *
test_pages(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(p != MAP_FAILED);
	return p;
}

long
test_scale(long n)
{
	long divide = BUILD_DIVIDE;
	long times = env_factor("UNDERGO_TEST_LONG");
	long most;

	if (test_under("valgrind"))
		divide *= 25;
	if (test_under("qemu"))
		divide *= 32;
	most = LONG_MAX / times;
	n = n > most ? LONG_MAX : n * times;
	return n / divide > 0 ? n / divide : 1;
}

int
test_slowness(void)
{
	long slow = BUILD_SLOW * env_factor("UNDERGO_TEST_SLOW") * env_factor("UNDERGO_TEST_LONG");

	if (test_under("valgrind"))
		slow *= 30;
	if (test_under("qemu"))
		slow *= 10;
	return slow > LONG_DIVISOR_MAX ? LONG_DIVISOR_MAX : (int)slow;
}

int64_t
test_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

// The words of the wrapper are cut at spaces into memory that is never given back: a process
// calls this once for each process it starts.
void
harness_argv(const char *argv[HARNESS_ARGV], const char *mode, const char *name)
{
	static char self[PATH_MAX];
	const char *wrapper = getenv("UNDERGO_TEST_WRAPPER");
	char *words = strdup(wrapper != NULL ? wrapper : "");
	int n = 0;

	for (char *word = strtok(words, " "); word != NULL && n < HARNESS_ARGV - 4;
	     word = strtok(NULL, " "))
		argv[n++] = word;
	if (n == 0)
		free(words);
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[length > 0 ? length : 0] = '\0';
	argv[n++] = self;
	argv[n++] = mode;
	argv[n++] = name;
	argv[n] = NULL;
}
