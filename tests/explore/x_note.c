// SPDX-License-Identifier: BSD-3-Clause
// The park token, src/sync/note.c: a wake before, during and after the announcement of a sleep,
// with and without a deadline, and over rounds. A lost wake is a deadlock here.
#include "explore.h"

#include "sync/note.c"

#include <string.h>

static Note note, back;
static int payload;

static void
init(void)
{
	memset(&note, 0, sizeof(note));
	memset(&back, 0, sizeof(back));
	payload = 0;
}

static void
sleep_wake(int id)
{
	if (id == 0) {
		EXPLORE_CHECK(note_sleep(&note, INT64_MAX), "no deadline, no false");
		EXPLORE_CHECK(PLAIN_READ(payload) == 1, "payload");
	} else {
		PLAIN_WRITE(payload, 1);
		note_wake(&note);
	}
}

// The sleeper clears for the next round before it lets the waker go on.
static void
rounds(int id)
{
	for (int i = 1; i <= 2; i++) {
		if (id == 0) {
			note_sleep(&note, INT64_MAX);
			EXPLORE_CHECK(PLAIN_READ(payload) == i, "payload");
			note_clear(&note);
			note_wake(&back);
		} else {
			PLAIN_WRITE(payload, i);
			note_wake(&note);
			note_sleep(&back, INT64_MAX);
			note_clear(&back);
		}
	}
}

// What comes after the deadline is kept for the next sleep.
static void
deadline(int id)
{
	if (id == 0) {
		bool woken = note_sleep(&note, 1);
		explore_outcome(woken);
		if (!woken)
			EXPLORE_CHECK(note_sleep(&note, INT64_MAX), "no deadline, no false");
		EXPLORE_CHECK(PLAIN_READ(payload) == 1, "payload");
	} else {
		PLAIN_WRITE(payload, 1);
		note_wake(&note);
	}
}

// The idle list's way: who is taken out of the list is woken for sure, who takes itself out is not.
static bool listed;
static ATOMIC_U32 lock;

static void
list_init(void)
{
	init();
	memset(&lock, 0, sizeof(lock));
	listed = false;
}

static void
idle_list(int id)
{
	if (id == 0) {
		note_clear(&note);
		explore_lock(&lock);
		PLAIN_WRITE(listed, true);
		explore_unlock(&lock);
		bool woken = note_sleep(&note, 1);
		if (!woken) {
			explore_lock(&lock);
			bool still = PLAIN_READ(listed);
			PLAIN_WRITE(listed, false);
			explore_unlock(&lock);
			if (still)
				return;
			EXPLORE_CHECK(note_sleep(&note, INT64_MAX), "no deadline, no false");
		}
		EXPLORE_CHECK(PLAIN_READ(payload) == 1, "payload");
	} else {
		explore_lock(&lock);
		bool found = PLAIN_READ(listed);
		PLAIN_WRITE(listed, false);
		explore_unlock(&lock);
		if (!found)
			return;
		PLAIN_WRITE(payload, 1);
		note_wake(&note);
	}
}

static const struct ExploreTest tests[] = {
    {.name = "sleep and wake", .threads = 2, .init = init, .thread = sleep_wake},
    {.name = "two rounds", .threads = 2, .init = init, .thread = rounds},
    {.name = "deadline", .threads = 2, .init = init, .thread = deadline, .must = 3},
    {.name = "idle list", .threads = 2, .init = list_init, .thread = idle_list},
    {0},
};

static const struct ExploreAllowed allowed[] = {
    {"withdraw", "cas_acq(&n->key)", "acquire",
     "success reads what the sleeper itself wrote; after a failure note_sleep loads with acquire"},
    {0},
};

const struct ExploreDriver explore_driver = {
    .name = "note",
    .tests = tests,
    .allowed = allowed,
};
