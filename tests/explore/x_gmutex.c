// SPDX-License-Identifier: BSD-3-Clause
// The mutex of goroutines, src/chan/mutex.c and its fast halves in chan.h, over the real table of
// waiters: mutual exclusion, visibility of what the mutex guards, and no lost wake-up (a waiter
// nobody wakes is a deadlock here).
//
// The goroutines are those of explore_goroutines.h. Time passes by the schedule's choice, so that
// waiters starve or do not. A mutex may be gone as soon as it has been given up for the last time.
// Some take it and give it up as code does into which libgo's sync.Mutex was inlined.
#include "explore_arch.h"

#include "explore_lock.h"

#include "undergo/sync.h"

// The words of the mutex lie outside of it: the engine's are larger.
static go_mutex mutex;
static ATOMIC_U32 held_word, slow_word, other_word;

static ATOMIC_U32 *
explore_word(const void *p)
{
	return p == &mutex.held ? &held_word : p == &mutex.slow ? &slow_word : &other_word;
}
#define ATOMIC_WORD(p) explore_word(p)

#include "chan/sema.c"

static int64_t fake_nanotime(void);
#define os_nanotime fake_nanotime
#include "chan/mutex.c"
#undef os_nanotime

#include "explore_goroutines.h"

static int guarded;
static int64_t fake_now;

// --- what lies around the code under test -----------------------------------------------------

static int64_t
fake_nanotime(void)
{
	fake_now += explore_random(2) * (starving_ns + 1);
	return fake_now;
}

bool
sched_claim_peer(G *gp)
{
	(void)gp;
	explore_fail("nobody else ends these waits");
}

// --- the tests ----------------------------------------------------------------------------------

static void
init(void)
{
	no_goroutines();
	memset(&held_word, 0, sizeof(held_word));
	memset(&slow_word, 0, sizeof(slow_word));
	memset(roots, 0, sizeof(roots));
	guarded = 0;
	fake_now = 1;
}

static void
count_once(void)
{
	gmutex_lock(&mutex, WAIT_mutex_lock);
	PLAIN_WRITE(guarded, PLAIN_READ(guarded) + 1);
	gmutex_unlock(&mutex);
}

static void
twice(int id)
{
	begin(id);
	count_once();
	count_once();
}

static void
thrice(int id)
{
	begin(id);
	for (int i = 0; i < 3; i++)
		count_once();
}

static void
try_or_lock(int id)
{
	begin(id);
	if (id == 0) {
		if (!gmutex_try_lock(&mutex)) {
			explore_outcome(1);
			return;
		}
		PLAIN_WRITE(guarded, PLAIN_READ(guarded) + 1);
		gmutex_unlock(&mutex);
	} else {
		count_once();
		count_once();
	}
	if (id == 0)
		explore_outcome(0);
}

// The first steps are those of Lock, TryLock and Unlock of Go 1.18.
static void
unlock_inlined(void)
{
	if (sub_ar(&held_word, 1) == 1)
		return;
	GmutexRest rest = gmutex_unlock_contended(&mutex);
	if (rest == GMUTEX_HELD)
		gmutex_unlock_held(&mutex, NULL);
	else if (rest == GMUTEX_RELEASED)
		gmutex_unlock_released(&mutex, NULL);
}

static bool
try_lock_inlined(void)
{
	enum { LOCKED = 1, STARVES = 4 };
	uint32_t old = load_rlx(&held_word);
	return (old & (LOCKED | STARVES)) == 0 && cas_acq(&held_word, &old, old | LOCKED);
}

static void
inlined_or_not(int id)
{
	begin(id);
	for (int i = 0; i < 3; i++) {
		if (i != id || !try_lock_inlined())
			gmutex_lock(&mutex, WAIT_mutex_lock);
		PLAIN_WRITE(guarded, PLAIN_READ(guarded) + 1);
		if ((id + i) % 2 == 0)
			unlock_inlined();
		else
			gmutex_unlock(&mutex);
	}
}

// The last of three to be inside takes the mutex's memory for something else once it has unlocked,
// while others may still be on their way out. Nobody writes there any more.
enum { ELSE = 0x55 };

static void
use_and_free(int id)
{
	begin(id);
	gmutex_lock(&mutex, WAIT_mutex_lock);
	PLAIN_WRITE(guarded, PLAIN_READ(guarded) + 1);
	bool last = PLAIN_READ(guarded) == 3;
	if (id == 2)
		unlock_inlined();
	else
		gmutex_unlock(&mutex);
	if (last) {
		store_rlx(&held_word, ELSE);
		store_rlx(&slow_word, ELSE);
	}
}

static void
still_else(void)
{
	EXPLORE_CHECK(guarded == 3, "a count was lost");
	EXPLORE_CHECK(EXPLORE_RAW(&held_word) == ELSE && EXPLORE_RAW(&slow_word) == ELSE,
		      "freed memory was written");
}

static void
at_rest(int count)
{
	EXPLORE_CHECK(guarded == count, "a count was lost");
	EXPLORE_CHECK(EXPLORE_RAW(&held_word) == 0, "it is still held");
	EXPLORE_CHECK(EXPLORE_RAW(&slow_word) == 0, "somebody is said to wait");
	EXPLORE_CHECK(sema_root(&mutex)->tree == NULL, "somebody is still queued");
}

static void
six(void)
{
	at_rest(6);
}

static void
nine(void)
{
	at_rest(9);
}

static void
eight(void)
{
	at_rest(8);
}

static const struct ExploreTest tests[] = {
    {.name = "two, thrice each", .threads = 2, .init = init, .thread = thrice, .final = six},
    {.name = "three, twice each", .threads = 3, .init = init, .thread = twice, .final = six},
    {.name = "four, twice each", .threads = 4, .init = init, .thread = twice, .final = eight},
    {.name = "three, inlined or not",
     .threads = 3,
     .init = init,
     .thread = inlined_or_not,
     .final = nine},
    {.name = "freed by the last",
     .threads = 3,
     .init = init,
     .thread = use_and_free,
     .final = still_else},
    {.name = "trylock", .threads = 3, .init = init, .thread = try_or_lock, .must = 3},
    {0},
};

static const char *const sources[] = {"chan/mutex.c", "chan/chan.h", NULL};

const struct ExploreDriver explore_driver = {
    .name = "gmutex",
    .tests = tests,
    .sources = sources,
};
