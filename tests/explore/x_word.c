// SPDX-License-Identifier: BSD-3-Clause
// The word of one side of a descriptor, src/net/word.c, with the claims of sched/wait.c: events,
// interruptions and cancellations against a goroutine that waits.
//
// Thread 0 is the goroutine: it reads what has come, and waits when there is nothing. The others
// bring data and post the event, or say that waits are over and interrupt, or cancel. The goroutine
// ends when it has all the data or sees that waits are over: if it sleeps for ever something was
// lost. Made ready twice, or claimed in a wait that is another one, fails as well.
#include "explore_goroutines.h"

#include "net/word.c"
#include "sched/wait.c"

static PollWord word;
static ATOMIC_U32 info;
static ATOMIC_U32 data; // in the kernel
static int box;         // what the events hand over, beside the data

enum { OVER = 1, NEVER_OVER = 2 };

// --- what lies around the code under test -------------------------------------------------------

void
sched_poll_waits(void)
{
}

void
sched_poll_waited(void)
{
}

bool
up_scope_canceled(G *gp)
{
	(void)gp;
	return false;
}

// --- the parties --------------------------------------------------------------------------------

static void
init(void)
{
	no_goroutines();
	memset(&word, 0, sizeof(word));
	memset(&info, 0, sizeof(info));
	memset(&data, 0, sizeof(data));
	box = 0;
}

static void
tell(Post post)
{
	G *gp = word_post(&word, post);
	if (gp != NULL)
		sched_ready(gp);
}

static void
bring(void)
{
	add_ar(&data, 1); // the kernel's lock
	tell(POST_EVENT);
}

static void
end_waits(void)
{
	or_ar(&info, OVER);
	fence_seq();
	tell(POST_INTERRUPTION);
}

// Another wait, as short as can be: a peer's claim that hits it is late. A cancellation may.
static void
wait_elsewhere(void)
{
	G *gp = sched_g();
	store_rel(&gp->claim, CLAIM_OPEN);
	uint32_t open = CLAIM_OPEN;
	if (cas_ar(&gp->claim, &open, CLAIM_CLOSED))
		return;
	EXPLORE_CHECK(open == CLAIM_CANCEL, "a claim hit another wait");
	sched_park(WAIT_none, NULL, NULL);
	store_rlx(&gp->claim, CLAIM_CLOSED);
}

// Reads n pieces; true when it has them, false when waits are over.
static bool
take(uint32_t n, uint32_t over)
{
	uint32_t got = 0;
	for (;;) {
		word_reset(&word);
		got += xchg_ar(&data, 0);
		if (got == n)
			return true;
		if ((load_acq(&info) & over) != 0)
			return false;
		int err = word_wait(&word, NULL, &info, over, GO_NEVER);
		EXPLORE_CHECK(err == 0 || err == GO_ECANCELED, "a wait ends so");
		wait_elsewhere();
	}
}

static void
one_event(int id)
{
	begin(id);
	if (id == 0)
		explore_outcome(take(1, OVER) ? 0 : 1);
	else
		bring();
}

static void
two_events(int id)
{
	begin(id);
	if (id == 0)
		explore_outcome(take(2, OVER) ? 0 : 1);
	else
		bring();
}

static void
interrupted(int id)
{
	begin(id);
	if (id == 0)
		explore_outcome(take(2, OVER) ? 0 : 1);
	else if (id == 1)
		bring();
	else
		end_waits();
}

// An interruption of the other kind of wait says nothing; that one looks again and goes on waiting.
static void
two_and_over(int id)
{
	begin(id);
	if (id == 0)
		explore_outcome(take(2, NEVER_OVER) ? 0 : 1);
	else if (id < 3)
		bring();
	else
		end_waits();
}

// The goroutine is in a scope that somebody cancels, for this wait and the next.
static void
canceled(int id)
{
	begin(id);
	if (id == 0) {
		gs[0].scope = (struct Scope *)&gs[0];
		explore_outcome(take(2, OVER) ? 0 : 1);
	} else if (id < 3) {
		bring();
	} else {
		sched_claim_and_ready(&gs[0], CLAIM_CANCEL);
	}
}

// What an event's bringer did before is visible to who goes on because of it: the only way in which
// the goroutine learns of it is that a wait ends, once.
static void
hands_over(int id)
{
	begin(id);
	if (id == 0) {
		EXPLORE_CHECK(word_wait(&word, NULL, &info, OVER, GO_NEVER) == 0, "a wait ends so");
		EXPLORE_CHECK(PLAIN_READ(box) == 1, "not seen");
		return;
	}
	PLAIN_WRITE(box, 1);
	tell(POST_EVENT);
}

// The end of a stream is told beside older events, to somebody else, and its reader has taken all
// before he was told. He asks whether all is quiet, as poll_quiet does, and waits if so.
enum { ENDED = 4 };

static void
wait_if_quiet(void)
{
	word_reset(&word);
	if (load_acq(&word) == POLL_NIL && load_acq(&info) == 0)
		(void)word_wait(&word, NULL, &info, OVER, GO_NEVER);
}

static void
tell_end(void)
{
	or_ar(&info, ENDED);
	tell(POST_END);
}

static void
ended(int id)
{
	begin(id);
	if (id == 0)
		wait_if_quiet();
	else
		tell_end();
}

static void
init_ready(void)
{
	init();
	store_rlx(&word, POLL_READY);
}

static void
ended_and_event(int id)
{
	begin(id);
	if (id == 0) {
		(void)word_wait(&word, NULL, &info, OVER, GO_NEVER);
		wait_if_quiet();
	} else if (id == 1) {
		tell(POST_EVENT);
	} else {
		tell_end();
	}
}

static void
quiet(void)
{
	EXPLORE_CHECK(EXPLORE_RAW(&word) == POLL_NIL || EXPLORE_RAW(&word) == POLL_READY,
		      "somebody is still in the word");
	EXPLORE_CHECK(EXPLORE_RAW(&gs[0].claim) == CLAIM_CLOSED, "the wait is not over");
}

static const struct ExploreTest tests[] = {
    {.name = "an event",
     .threads = 2,
     .init = init,
     .thread = one_event,
     .final = quiet,
     .must = 1},
    {.name = "two events",
     .threads = 3,
     .init = init,
     .thread = two_events,
     .final = quiet,
     .must = 1},
    {.name = "an interruption",
     .threads = 3,
     .init = init,
     .thread = interrupted,
     .final = quiet,
     .must = 2},
    {.name = "an interruption that says nothing",
     .threads = 4,
     .init = init,
     .thread = two_and_over,
     .final = quiet,
     .must = 1},
    {.name = "a cancellation",
     .threads = 4,
     .init = init,
     .thread = canceled,
     .final = quiet,
     .must = 1},
    {.name = "an end", .threads = 2, .init = init_ready, .thread = ended, .final = quiet},
    {.name = "an end and an event",
     .threads = 3,
     .init = init,
     .thread = ended_and_event,
     .final = quiet},
    {.name = "visibility", .threads = 2, .init = init, .thread = hands_over, .final = quiet},
    {0},
};

#define TOO_LATE \
	"the other's claim would have to come after what it stores then, which the engine cannot do"

static const struct ExploreAllowed allowed[] = {
    {"hand_over", "store_rel(w)", "release", TOO_LATE},
    {0},
};

static const char *const sources[] = {"net/word.c", "net/word.h", NULL};

const struct ExploreDriver explore_driver = {
    .name = "word",
    .tests = tests,
    .allowed = allowed,
    .sources = sources,
};
