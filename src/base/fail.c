// SPDX-License-Identifier: BSD-3-Clause
// Dying: throw, fatal, and of a panic that nobody recovers.
//
// The first thread that dies takes base_dying and prints; others hold still until the process has
// ended. Nothing here waits for a lock or for memory, so it works in any state, on any stack, in
// a signal handler too.
//
//   first death of a thread      headline, blank line, goroutines, seed       exit 2
//   a death while printing it    headline alone, "panic during panic"         exit 3
//   a death while printing that  "stack trace unavailable"                    exit 4
//   and again                    nothing                                      exit 5
//
// Each step does less than the one before, and the last does nothing that could fail.
// Order:  O1  base_dying is claimed by CAS; no data rides on it.
#include "base/base.h"
#include "base/base_up.h"

enum {
	EXIT_DEATH = 2,
	EXIT_DEATH_IN_DEATH = 3, // and two more
};

typedef struct Death {
	const char *kind; // begins the headline
	const char *why;  // NULL: told does it all
	int all; // 1: print all goroutines; 2: and frames of the runtime, which is at fault
	void (*tell)(const void *arg); // prints lines in front; NULL none
	void (*told)(const void *arg); // and below the headline
	const void *arg;
} Death;

ATOMIC_U32 base_dying;
uint64_t base_seed = 1;
bool base_seed_given;

static __thread int deaths; // of this thread

static NOINLINE int
count_death(void)
{
	return ++deaths;
}

bool
base_death_begins(bool *mine)
{
	uint32_t alive = 0;
	*mine = count_death() > 1;
	return cas_rlx(&base_dying, &alive, 1); // O1  order: claim, no data rides on it
}

static void
print_headline(const Death *d)
{
	if (d->why == NULL) {
		d->told(d->arg);
		return;
	}
	print_str(d->kind);
	print_str(d->why);
	print_str("\n");
}

// The seed repeats a run of the deterministic mode; in stress builds it repeats what chance
// decided.
static void
print_seed(void)
{
#ifndef UNDERGO_STRESS
	if (!base_seed_given)
		return;
#endif
	print_str("\nruntime: UNDERGO_SEED=");
	print_u64(base_seed);
	print_str("\n");
}

// This thread died before: it was printing that, and now printing has failed.
static NORETURN void
die_again(int nth, const Death *d)
{
	if (nth == 2) {
		print_headline(d);
		print_str("panic during panic\n");
	}
	if (nth == 3)
		print_str("stack trace unavailable\n");
	up_exit(EXIT_DEATH_IN_DEATH + (nth < 4 ? nth - 2 : 2));
}

static COLD NORETURN void
die(const Death *d)
{
	int nth = count_death();
	if (nth > 1)
		die_again(nth, d);

	uint32_t alive = 0;
	if (!cas_rlx(&base_dying, &alive, 1)) // O1  order: claim, no data rides on it
		up_hold_still();

	print_to(2);
	if (d->tell != NULL)
		d->tell(d->arg);
	print_headline(d);
	if (d->told != NULL && d->why != NULL)
		d->told(d->arg);
	print_str("\n");
	up_print_goroutines(d->all);
	print_seed();
	up_exit(EXIT_DEATH);
}

void
throw(const char *why)
{
	die(&(Death){"fatal error: ", why, 2, NULL, NULL, NULL});
}

void
fatal(const char *why)
{
	die(&(Death){"fatal error: ", why, 1, NULL, NULL, NULL});
}

void
fatal_after(void (*tell)(const void *arg), const void *arg, const char *why)
{
	die(&(Death){"fatal error: ", why, 1, tell, NULL, arg});
}

void
fatal_told(const char *why, void (*told)(const void *arg), const void *arg)
{
	die(&(Death){"fatal error: ", why, 1, NULL, told, arg});
}

void
die_telling(void (*tell)(const void *arg), const void *arg)
{
	die(&(Death){NULL, NULL, 0, NULL, tell, arg});
}

void
base_hold_still(void)
{
	up_hold_still();
}
