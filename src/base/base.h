// SPDX-License-Identifier: BSD-3-Clause
// What every file of the runtime uses: failing, hints to the compiler, small arithmetic.
#ifndef UNDERGO_BASE_BASE_H
#define UNDERGO_BASE_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

// Which sanitizer this is built with; gcc and clang tell it in different ways.
#if defined(__has_feature)
#define BASE_HAS_FEATURE(x) __has_feature(x)
#else
#define BASE_HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || BASE_HAS_FEATURE(thread_sanitizer)
#define SANITIZE_THREAD 1
#else
#define SANITIZE_THREAD 0
#endif
#if defined(__SANITIZE_ADDRESS__) || BASE_HAS_FEATURE(address_sanitizer)
#define SANITIZE_ADDRESS 1
#else
#define SANITIZE_ADDRESS 0
#endif

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define NOINLINE __attribute__((noinline))
#define NORETURN __attribute__((noreturn))
#define COLD __attribute__((cold, noinline))
#define CACHE_LINE 64
#define CACHE_ALIGNED __attribute__((aligned(CACHE_LINE)))
#define countof(a) (sizeof(a) / sizeof((a)[0]))

// The struct whose member m lies at p.
#define container_of(p, type, m) ((type *)(void *)((char *)(p)-offsetof(type, m)))

// The ways to die, base/fail.c. All print to descriptor 2, allocate nothing, wait for no
// other M, and work on any stack. Exit status 2.
//
// The runtime broke its own rule: "fatal error: why", then all goroutines.
COLD NORETURN void throw(const char *why);
// The program raced or deadlocked: "fatal error: why", then the goroutines.
COLD NORETURN void fatal(const char *why);
// The same, with lines in front that tell(arg) prints: "runtime: ...".
COLD NORETURN void fatal_after(void (*tell)(const void *arg), const void *arg, const char *why);
// The same, with lines below the headline.
COLD NORETURN void fatal_told(const char *why, void (*tell)(const void *arg), const void *arg);
// Of a panic that nobody recovers: tell(arg) prints "panic: ..." and what belongs to it, lines.
COLD NORETURN void die_telling(void (*tell)(const void *arg), const void *arg);

// Another thread is dying: wait for it to end the process.
NORETURN void base_hold_still(void);
// Claims the death of the process for this thread, which tells it itself: what else it dies of is a
// death while telling. False: it has been claimed before, by this thread when *mine.
bool base_death_begins(bool *mine);

// Always on, for corrupt state. Parameters and numbered invariants use assert (debug builds).
#define check(c, why)               \
	do {                        \
		if (unlikely(!(c))) \
			throw(why); \
	} while (0)

// Text to descriptor 2 without allocation, a write for each call.
void print_str(const char *s);
void print_n(const char *s, size_t n);
void print_u64(uint64_t v);
void print_i64(int64_t v);
void print_hex(uint64_t v); // with 0x
// Where the print_ functions of this thread write; 2 unless go_dump changed it.
int print_to(int fd);
bool print_failed(void); // something was not written since then

// The second half of death: set once by the first thread that dies, see base/fail.c.
extern ATOMIC_U32 base_dying;
// Counts what is written since then, so that who waits for the end sees that it comes nearer.
extern ATOMIC_U32 base_told;

// The seed of every random decision. UNDERGO_SEED sets it; death prints it. A thread's generator is
// its own: xorshift64*, never 0.
extern uint64_t base_seed;
extern bool base_seed_given; // by UNDERGO_SEED; set by os_init
static inline uint64_t
base_rand(uint64_t *state)
{
	uint64_t x = *state;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * UINT64_C(0x2545F4914F6CDD1D);
}

// A number below n, n > 0, without division.
static inline uint32_t
base_rand_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(((base_rand(state) >> 32) * n) >> 32);
}

// Mixes a seed and an index into a fresh generator state (splitmix64's finaliser).
static inline uint64_t
base_mix(uint64_t z)
{
	z += UINT64_C(0x9E3779B97F4A7C15);
	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	z ^= z >> 31;
	return z != 0 ? z : 1;
}

// now + delay, saturating at INT64_MAX.
static inline int64_t
base_deadline(int64_t now, int64_t delay_ns)
{
	int64_t when;
	return __builtin_add_overflow(now, delay_ns, &when) ? INT64_MAX : when;
}

// Chaos points: places where the stress build gives bugs a chance. id names the place; true about
// once in `one_in` times, by the seed. Constant false in ordinary builds.
#ifdef UNDERGO_STRESS
bool base_chaos(const char *id, uint32_t one_in);
#define CHAOS(id, one_in) base_chaos(id, one_in)
#else
#define CHAOS(id, one_in) false
#endif

#endif
