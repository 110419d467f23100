// SPDX-License-Identifier: BSD-3-Clause
// What waits by address besides the mutex: wait groups, semaphores, read-write mutexes, conditions,
// src/chan/, with the waits of src/sched/wait.c, over the engine's lock.
//
// The goroutines and their timers, always the last thread, are those of explore_goroutines.h.
#include "explore_arch.h"

#include "explore_lock.h"

#include "undergo/sync.h"

// The words of the objects lie outside of them: the engine's are larger. One is found by the
// address of the object's word.
enum { WORDS = 16 };
static struct {
	const void *of;
	ATOMIC_U32 u32;
	ATOMIC_U64 u64;
	ATOMIC(int32_t) i32;
} words[WORDS];

static int
explore_word(const void *p)
{
	for (int i = 0; i < WORDS; i++) {
		if (words[i].of == NULL)
			words[i].of = p;
		if (words[i].of == p)
			return i;
	}
	explore_fail("too few words");
}
#define ATOMIC_WORD(p) (&words[explore_word(p)].u32)
#define ATOMIC_WORD64(p) (&words[explore_word(p)].u64)
#define ATOMIC_INT(p) (&words[explore_word(p)].i32)

#include "chan/cond.c"
#include "chan/mutex.c"
#include "chan/rwmutex.c"
#include "chan/sema.c"

#define state_of state_of_sem
#include "chan/sem.c"
#undef state_of

#define state_of state_of_group
#include "chan/waitgroup.c"
#undef state_of

#include "sched/wait.c"

#include "explore_goroutines.h"

// --- the objects -----------------------------------------------------------------------------

static go_waitgroup group;
static go_sem sem;
static go_rwmutex rw;
static go_cond cond;
static go_mutex mutex;
static int data[GOROUTINES];
static int guarded, items;

enum { ELSE = 0x55 }; // what memory says that is used for something else by now

static void
init(void)
{
	no_goroutines();
	memset(words, 0, sizeof(words));
	memset(roots, 0, sizeof(roots));
	memset(data, 0, sizeof(data));
	guarded = items = 0;
}

static void
at_rest(void)
{
	for (int i = 0; i < ROOTS; i++)
		EXPLORE_CHECK(roots[i].tree == NULL, "somebody is still queued");
}

// --- wait groups -----------------------------------------------------------------------------

static void
init_group(void)
{
	init();
	gwg_add_fast(&group, 2);
}

static void
done(void)
{
	if (!gwg_add_fast(&group, -1))
		gwg_wake(&group);
}

// The waiter sees what was done before, and may use the group's memory for something else at once.
static void
wait_and_free(int id)
{
	begin(id);
	if (id < 2) {
		PLAIN_WRITE(data[id], id + 1);
		done();
	} else if (id == 2) {
		while (gwg_wait(&group, LATER) != 0)
			;
		EXPLORE_CHECK(PLAIN_READ(data[0]) == 1 && PLAIN_READ(data[1]) == 2, "not seen");
		store_rlx(ATOMIC_WORD64(&group.state), ELSE);
		add_rel(&finished, 1);
	} else {
		be_timers(1);
	}
}

static void
freed(void)
{
	EXPLORE_CHECK(EXPLORE_RAW(ATOMIC_WORD64(&group.state)) == ELSE, "freed memory was written");
	at_rest();
}

// Two waiters, one of whom may give up, and one that only looks in.
static void
two_wait(int id)
{
	begin(id);
	if (id < 2) {
		PLAIN_WRITE(data[id], id + 1);
		done();
		return;
	}
	if (id == 4) {
		be_timers(1);
		return;
	}
	bool zero = id == 2 ? gwg_wait(&group, GO_NEVER) == 0 : gwg_wait(&group, LATER) == 0;
	if (zero || gwg_done(&group))
		EXPLORE_CHECK(PLAIN_READ(data[0]) == 1 && PLAIN_READ(data[1]) == 2, "not seen");
	if (id == 3)
		add_rel(&finished, 1);
}

// --- semaphores ------------------------------------------------------------------------------

static void
init_sem(void)
{
	init();
	gsem_init(&sem, 1);
}

static void
release(uint32_t n)
{
	if (!gsem_release_fast(&sem, n))
		gsem_release_slow(&sem, n);
}

// One permit is a lock. Some give up.
static void
one_permit(int id)
{
	begin(id);
	if (id == 3) {
		be_timers(1);
		return;
	}
	for (int i = 0; i < 2; i++)
		if (gsem_acquire(&sem, id == 0 ? LATER : GO_NEVER) == 0) {
			PLAIN_WRITE(guarded, PLAIN_READ(guarded) + 1);
			release(1);
		}
	if (id == 0)
		add_rel(&finished, 1);
}

static void
one_left(void)
{
	EXPLORE_CHECK(guarded >= 4, "a count was lost");
	EXPLORE_CHECK(EXPLORE_RAW(ATOMIC_WORD64(&sem.opaque[0])) == 1, "the permits at the end");
	at_rest();
}

// --- read-write mutexes ----------------------------------------------------------------------

static void
read_and_write(int id)
{
	begin(id);
	for (int i = 0; i < 2; i++) {
		if (id < 2) {
			int32_t left;
			if (!grwmutex_rlock_fast(&rw))
				grwmutex_rlock_slow(&rw);
			(void)PLAIN_READ(guarded);
			if (!grwmutex_runlock_fast(&rw, &left))
				grwmutex_runlock_slow(&rw, left);
		} else {
			grwmutex_lock(&rw);
			PLAIN_WRITE(guarded, guarded + 1);
			grwmutex_unlock(&rw);
		}
	}
}

static void
try_both(int id)
{
	begin(id);
	if (id == 0 && grwmutex_try_lock(&rw)) {
		PLAIN_WRITE(guarded, guarded + 1);
		grwmutex_unlock(&rw);
	}
	if (id == 1 && grwmutex_try_rlock(&rw)) {
		int32_t left;
		(void)PLAIN_READ(guarded);
		if (!grwmutex_runlock_fast(&rw, &left))
			grwmutex_runlock_slow(&rw, left);
	}
	if (id == 2) {
		grwmutex_lock(&rw);
		PLAIN_WRITE(guarded, guarded + 1);
		grwmutex_unlock(&rw);
	}
}

static void
two_writers(void)
{
	EXPLORE_CHECK(guarded == 4, "a write was lost");
	at_rest();
}

static void
three_writers(void)
{
	EXPLORE_CHECK(guarded == 6, "a write was lost");
	at_rest();
}

// --- conditions ------------------------------------------------------------------------------

// Two take what two bring, one of them impatiently; signals inside and outside of the mutex.
static void
bring_and_take(int id)
{
	begin(id);
	if (id == 4) {
		be_timers(1);
		return;
	}
	gmutex_lock(&mutex, WAIT_mutex_lock);
	if (id < 2) {
		while (items == 0)
			gcond_wait(&cond, &mutex, id == 0 ? LATER : GO_NEVER);
		items--;
		PLAIN_WRITE(guarded, PLAIN_READ(guarded) + 1);
		gmutex_unlock(&mutex);
		if (id == 0)
			add_rel(&finished, 1);
		return;
	}
	items++;
	if (id == 2 && !gcond_idle(&cond))
		gcond_signal(&cond);
	gmutex_unlock(&mutex);
	if (id == 3 && !gcond_idle(&cond))
		gcond_broadcast(&cond);
}

static void
all_taken(void)
{
	EXPLORE_CHECK(guarded == 2 && items == 0, "not all were taken");
	at_rest();
}

static const struct ExploreTest tests[] = {
    {.name = "group freed by its waiter",
     .threads = 4,
     .init = init_group,
     .thread = wait_and_free,
     .final = freed},
    {.name = "two wait for a group",
     .threads = 5,
     .init = init_group,
     .thread = two_wait,
     .final = at_rest},
    {.name = "one permit", .threads = 4, .init = init_sem, .thread = one_permit, .final = one_left},
    {.name = "readers and a writer",
     .threads = 3,
     .init = init,
     .thread = read_and_write,
     .final = at_rest},
    {.name = "readers and two writers",
     .threads = 4,
     .init = init,
     .thread = read_and_write,
     .final = two_writers},
    {.name = "readers and three writers",
     .threads = 5,
     .init = init,
     .thread = read_and_write,
     .final = three_writers},
    {.name = "read and write if free", .threads = 3, .init = init, .thread = try_both},
    {.name = "bring and take",
     .threads = 5,
     .init = init,
     .thread = bring_and_take,
     .final = all_taken},
    {0},
};

static const char *const sources[] = {"chan/cond.c", "chan/rwmutex.c",   "chan/sem.c",
				      "chan/sema.c", "chan/waitgroup.c", NULL};

static const char weaker[] = "base/atomic.h has no weaker and; it carries nothing";
static const struct ExploreAllowed allowed[] = {
    {"leave", "and_ar(state_of(wg))", "acquire", weaker},
    {"leave", "and_ar(state_of(wg))", "release", weaker},
    {"note_waiters", "and_ar(state_of(s))", "acquire", weaker},
    {"note_waiters", "and_ar(state_of(s))", "release", weaker},
    {0},
};

const struct ExploreDriver explore_driver = {
    .name = "sync",
    .tests = tests,
    .allowed = allowed,
    .sources = sources,
};
