// SPDX-License-Identifier: BSD-3-Clause
// What the files of the showcase share: how much to do, what came of it, and how to say it.
#ifndef SHOWCASE_H
#define SHOWCASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <undergo.h>

// How much each part does.
typedef struct Load {
	int connections;
	int64_t echo_ns;
	int primes;
	int sleepers;
	int64_t sleep_ns;
	int tree_depth;
	int tree_rounds;
	int parked;
	int web_clients;
	int64_t web_ns;
} Load;

enum { NOTES_MAX = 5 };

typedef struct Result {
	uint64_t operations;
	int64_t ns;        // what the operations took; 0: as long as the part
	uint64_t resident; // at its fullest
	bool left_out;     // nothing was done, for a reason in the notes
	bool elsewhere;    // another process did it: what go_stats says of ours says nothing
	char note[NOTES_MAX][128];
	int notes;
	_Atomic(const char *) failure; // the first thing that was wrong; NULL: nothing
} Result;

// A part fills *r.
void run_echo(const Load *load, Result *r);   // showcase_echo.c
void run_timers(const Load *load, Result *r); // showcase_many.c
void run_parked(const Load *load, Result *r); // showcase_many.c
void run_go(const Load *load, Result *r);     // showcase_go.c

// The process that plays the clients of echo; args: address, connections, nanoseconds. Its status.
int run_clients(char **args);

// showcase_go.c: another process, whose standard output is read here.
typedef struct Child {
	pid_t pid;
	go_fd output;
} Child;
bool child_start(Child *c, const char *path, const char *const *args);
// Waits for it. Whether it ended well.
bool child_end(Child *c, bool by_force);

// A line below the part's row.
__attribute__((format(printf, 2, 3))) void note(Result *r, const char *format, ...);
// Returns ok. False: the part has failed; the first reason counts. Any goroutine may call it.
bool expect(Result *r, bool ok, const char *what);
// Keeps the resident memory of this moment, if it is the most so far.
void see_memory(Result *r);

// Sixteen buckets for each power of two, so a quantile is exact to a sixteenth.
enum { BUCKETS = 60 * 16 };

typedef struct Histogram {
	atomic_uint_fast32_t bucket[BUCKETS];
	atomic_uint_fast64_t n;
} Histogram;

void histogram_add(Histogram *h, int64_t ns);
// What `permille` of a thousand values are at most.
int64_t histogram_quantile(Histogram *h, unsigned permille);

// 1,234,567; 1.5 ms; 300 MB. A text is good while nine more are made; main goroutine only.
const char *grouped(uint64_t n);
const char *time_text(int64_t ns);
const char *size_text(uint64_t bytes);

uint64_t resident_bytes(void);
// What may still be used without swapping, and within our control group.
int64_t available_bytes(void);
int64_t cpu_ns(void);
int64_t children_cpu_ns(void); // of processes that were waited for
// Whether the kernel guards a stack without splitting a mapping (MADV_GUARD_INSTALL, Linux 6.13).
bool guards_are_markers(void);

#endif
