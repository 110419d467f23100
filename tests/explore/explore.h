// SPDX-License-Identifier: BSD-3-Clause
// The schedule explorer: what a driver says and what it may call.
//
// A driver is one C file, x_<subject>.c. It includes the real source under test, describes one or
// more tests in explore_driver, and links with the engine, which has main. A test has up to
// EXPLORE_THREADS threads, a set-up that runs alone before each schedule, and a final check that
// runs alone after it. The engine runs the test as often as it is told to, each time with another
// order of steps and other choices of what a load may see; schedule number i of a seed is always
// the same one, so a failure is replayed by its number, with a trace.
//
// Set-up must leave all state of the code under test as it was the last time (memset it).
#ifndef UNDERGO_TESTS_EXPLORE_H
#define UNDERGO_TESTS_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

enum { EXPLORE_THREADS = 7 };

struct ExploreTest {
	const char *name;
	int threads;
	void (*init)(void);     // alone, before each schedule; may be NULL
	void (*thread)(int id); // the body of thread id
	void (*final)(void);    // alone, after each schedule; may be NULL
	uint64_t must;          // outcomes that have to turn up, a bit each
	uint64_t may;           // further outcomes that are allowed
	const char *must_fail;  // the test passes when a failure with this text in it turns up
	uint32_t share;         // of the driver's schedules, in percent; 0 is an even share
};

// An order that this driver cannot show to be needed, and why.
struct ExploreAllowed {
	const char *func; // where the site is
	const char *text; // its operation, as written, for example "load_acq(&q->head)"
	const char *what; // "acquire", "release", "seq_cst", "heavy" or "fence"
	const char *why;
};

struct ExploreDriver {
	const char *name;
	const struct ExploreTest *tests;      // ends with one without a name
	const struct ExploreAllowed *allowed; // ends with one without a func; may be NULL
	const char *const *sources; // mutants: only files whose path ends so ("file.c"), or one
				    // function there ("file.c:name"); NULL: all but tests/
	uint32_t cost;    // its schedules are so many times as long as others: fewer are run
	bool mutate_self; // the driver's own operations are sites to weaken, too
};

// Defined by the driver.
extern const struct ExploreDriver explore_driver;

// --- failing and reporting --------------------------------------------------------------------
__attribute__((noreturn, format(printf, 1, 2))) void explore_fail(const char *fmt, ...);
#define EXPLORE_CHECK(c, why) ((c) ? (void)0 : explore_fail("%s (%s)", (why), #c))
// This schedule ended in outcome n, n < 64. An outcome in neither must nor may is a failure.
void explore_outcome(unsigned n);
// One line in the trace of a replay.
__attribute__((format(printf, 1, 2))) void explore_say(const char *fmt, ...);
// How the trace calls the location at p.
void explore_name(const void *p, const char *name);

// --- plain memory -----------------------------------------------------------------------------
// Declares a plain access to what begins at p; two that are not ordered by happens-before, one of
// them a write, are a data race and fail the schedule.
void explore_plain_read(const void *p);
void explore_plain_write(const void *p);
#define PLAIN_READ(x) (explore_plain_read(&(x)), (x))
#define PLAIN_WRITE(x, v) (explore_plain_write(&(x)), (void)((x) = (v)))

// The value v, which this thread last loaded from the one location in [p, p + bytes) that gave it,
// is kept: that load has to happen before every store to the location that comes after what it
// read. The engine never lets a load see a store that the schedule has later, as a processor may
// that finishes a load late; this check stands in for it where a slot is read and then given free.
// Loads of the location that the thread makes later do not count.
void explore_kept(const void *p, size_t bytes, uint64_t v);
// The newest value of an atomic, without a step.
#define EXPLORE_RAW(p) ((p)->atomic_v_)

// --- threads ----------------------------------------------------------------------------------
int explore_self(void); // -1 outside of threads
uint32_t explore_random(uint32_t n);
// Whether a schedule may end while the calling thread sleeps or spins.
void explore_may_sleep(bool yes);
// Swaps these bytes at each switch: they are one of the runtime's thread-locals. Once, before the
// first schedule or in init; each thread begins with zeroes.
void explore_thread_local(void *p, size_t bytes);
// Gives the processor away; what arch_pause and os_yield are under the explorer. (Declared in
// explore_atomic.h.)

// A futex as Linux keeps it: the word is compared, and the sleeper queued, in one step. The word a
// sleeper reads is at least as new as what any waker of the same word had seen; no other location
// is ordered by the call. Sleepers may wake for no reason, and a sleeper with a deadline may always
// reach it, but only while another thread can run: what all threads wait for never comes.
enum ExploreWoken { EXPLORE_WOKEN, EXPLORE_DIFFERS, EXPLORE_TIMED_OUT };
enum ExploreWoken explore_futex_wait(void *word, uint32_t seen, bool deadline);
void explore_futex_wake(void *word, int n);

// A lock, named by any address. Locking observes all that earlier holders did.
void explore_lock(const void *p);
bool explore_trylock(const void *p);
void explore_unlock(const void *p);
bool explore_locked(const void *p); // not a step

#endif
