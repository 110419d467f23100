// SPDX-License-Identifier: BSD-3-Clause
// What is attached to objects, src/gc/special.c and final.c, with the sweeping of src/mem/span.c:
// calls that are queued, run and marked at the same time; weak pointers, cleanups and go_free
// against the sweep of their span.
//
// An object is a slot of a span whose memory is a few plain words, in the order of their numbers.
// The marker may run at any time here, as a concurrent one would; all it marks it reads, so that an
// object which was not handed over is a race.
#include "explore_arch.h"

#include "explore_lock.h"

#include "gc/special.h"

// What final_mark calls, with what it knows.
static void marked_in_block(const void *b, uint32_t i, uint32_t n, uintptr_t word);

#define SLAB_BYTES FINAL_SLAB_BYTES
#define mark_word(m, word) ((void)(m), marked_in_block(b, i, n, (word)))
#include "gc/final.c"
#include "gc/service.c"
#undef mark_word
#undef SLAB_BYTES

// Who asks for a slot reads what is known about its page.
static Slot
slot_looked_at(uintptr_t addr)
{
	explore_plain_read(&heap.info[heap_page(addr)]);
	return heap_slot(addr);
}

#define all all_specials
#define heap_slot slot_looked_at
#include "gc/special.c"
#undef heap_slot
#undef all

#include "mem/span.c"

#include "explore_goroutines.h"

enum {
	OBJECTS = 8, // slots of a page
	PAGES = 3,
	OBJECT_BYTES = HEAP_PAGE / OBJECTS,
	CLASS = SIZE_CLASSES - 1, // the last of all lists, where the search for unswept ones begins
	KIND = KIND_COUNT - 1,
	RUNNER = 1,       // the goroutine that runs what is queued
	USED_BLOCKS = 8, // of those in a slab
};

Heap heap;
Godebug godebug;
Sched sched;
uint8_t class_pages[SIZE_CLASSES];
const uint16_t class_size[SIZE_CLASSES];
static _Alignas(HEAP_PAGE) char pages[PAGES * HEAP_PAGE];
static PageInfo infos[PAGES];
static Mspan spans[PAGES];
static ATOMIC_U64 mark_bits[PAGES * PAGE_WORDS], free_bits[PAGES * PAGE_WORDS];
static Block blocks[FINAL_SLAB_BYTES / sizeof(Block)];
static _Alignas(64) char slab[SLAB_BYTES];
static Mutex gate;
static P ps[GOROUTINES];

static int memory[OBJECTS];     // who has the object
static int ran[OBJECTS];        // calls of its finalizer or cleanup that have begun
static bool over[OBJECTS];      // the truth: the call has returned
static bool queued[OBJECTS];
static bool reused;      // the second filling went into the block of the first
static bool one_filling; // there is no second one
static int marked[OBJECTS];     // by the only marker
static bool wants_runs;         // all that is queued has been run in the end

// --- what lies around the code under test ----------------------------------------------------

void *
gc_map(size_t bytes)
{
	return bytes == sizeof(blocks) ? (void *)blocks : slab;
}

size_t
os_page_bytes(void)
{
	return 4096;
}

void
foreign_lock(void)
{
	mutex_lock(&gate);
}

void
foreign_unlock(void)
{
	mutex_unlock(&gate);
}

void
chunk_each_span(size_t chunk, void (*fn)(void *ctx, Mspan *s), void *ctx)
{
	(void)chunk;
	(void)fn;
	(void)ctx;
	explore_fail("nobody walks spans here");
}

// Who takes them next writes what is known about them.
void
pages_free(size_t page, size_t npages)
{
	(void)npages;
	explore_plain_write(&infos[page]);
}

PageRun
pages_alloc(size_t npages, size_t align, Region region)
{
	(void)npages;
	(void)align;
	(void)region;
	return (PageRun){.ok = false};
}

void
sched_block_begin(void)
{
	lease_leave(&sched_m()->lease);
}

// --- objects
// ----------------------------------------------------------------------------------------

static void *
object(int i)
{
	return &pages[i * OBJECT_BYTES];
}

static int
number_of(uintptr_t word)
{
	uintptr_t at = word - (uintptr_t)pages, i = at / OBJECT_BYTES;
	EXPLORE_CHECK(at % OBJECT_BYTES == 0 && i < OBJECTS, "a word that nobody stored");
	return (int)i;
}

static uint64_t
bit(int i)
{
	return (uint64_t)1 << i;
}

// Each call's argument is the object after its own.
static void
run_finalizer(void *p, void *arg)
{
	int i = number_of((uintptr_t)p);
	EXPLORE_CHECK(number_of((uintptr_t)arg) == i + 1, "the argument of another call");
	EXPLORE_CHECK(ran[i]++ == 0, "a finalizer ran twice");
	explore_plain_read(&memory[i]);
	explore_plain_read(&memory[i + 1]);
	over[i] = true;
}

static void
run_cleanup(void *arg)
{
	int i = number_of((uintptr_t)arg);
	EXPLORE_CHECK(ran[i]++ == 0, "a cleanup ran twice");
	over[i] = true;
}

// --- set-up
// -----------------------------------------------------------------------------------------

static void
init(void)
{
	no_goroutines();
	memset(&final, 0, sizeof(final));
	memset(&records, 0, sizeof(records));
	memset(&all_specials, 0, sizeof(all_specials));
	memset(&mark_at, 0, sizeof(mark_at));
	memset(&queue_taken, 0, sizeof(queue_taken));
	store_rlx(&mark_at, &all_specials);
	last_cleanup = 0;
	memset(blocks, 0, USED_BLOCKS * sizeof(Block));
	memset(infos, 0, sizeof(infos));
	memset(spans, 0, sizeof(spans));
	memset(mark_bits, 0, sizeof(mark_bits));
	memset(free_bits, 0, sizeof(free_bits));
	memset(&centrals[KIND][CLASS], 0, sizeof(centrals[KIND][CLASS]));
	memset(&heap_gen, 0, sizeof(heap_gen));
	memset(&sweep_next, 0, sizeof(sweep_next));
	memset(memory, 0, sizeof(memory));
	memset(ran, 0, sizeof(ran));
	memset(over, 0, sizeof(over));
	memset(queued, 0, sizeof(queued));
	memset(marked, 0, sizeof(marked));
	heap = (Heap){
		.base = (uintptr_t)pages,
		.limit = (size_t)PAGES << HEAP_PAGE_SHIFT,
		.info = infos,
		.spans = spans,
		.marks = mark_bits,
		.frees = free_bits,
	};
	for (int i = 0; i < GOROUTINES; i++) {
		memset(&ps[i], 0, sizeof(ps[i]));
		ms[i].p = &ps[i];
		gs[i].id = (uint64_t)i + 1;
		store_rlx(&gs[i].status, Grunning);
	}
	runner.parked = NULL;
	store_rlx(&runner.awake, false);
	store_rlx(&runner.starting, 0);
	store_rlx(&runner.g, &gs[RUNNER]);
	wants_runs = false;
	reused = one_filling = false;
}

// --- the queue
// ----------------------------------------------------------------------------------------

// Queues the finalizers of objects [from, to).
static void
queue(int from, int to)
{
	for (int i = from; i < to; i++)
		PLAIN_WRITE(memory[i], i);
	PLAIN_WRITE(memory[to], to);
	mutex_lock(&special_lock);
	reused = from != 0 && final.queue == NULL && final.running == NULL;
	for (int i = from; i < to; i++) {
		EXPLORE_CHECK(final_reserve(), "no memory");
		queued[i] = true;
		final_queue((uintptr_t)run_finalizer, (uintptr_t)object(i),
			    (uintptr_t)object(i + 1));
	}
	mutex_unlock(&special_lock);
}

static void
queue_cleanup(int i, void (*fn)(void *))
{
	mutex_lock(&special_lock);
	EXPLORE_CHECK(final_reserve(), "no memory");
	queued[i] = true;
	final_queue((uintptr_t)fn, 0, (uintptr_t)object(i));
	mutex_unlock(&special_lock);
}

// F1, while the runner has the block: an entry is cleared, then the count falls.
static void
look_above_count(const Block *b)
{
	const Block *own = final.running;
	while (own != NULL && own != b)
		own = own->next;
	uint32_t first = own != NULL ? EXPLORE_RAW(&b->count) : BLOCK_ENTRIES;
	for (uint32_t i = first; i < BLOCK_ENTRIES; i++)
		EXPLORE_CHECK(EXPLORE_RAW(&b->entries[i].p) == 0 &&
				      EXPLORE_RAW(&b->entries[i].arg) == 0,
			      "an entry above the count is not zero");
}

// The first filling of a block has one entry, the second three: a count of two or three belongs to
// the second, when there was time for one.
static void
marked_in_block(const void *b, uint32_t i, uint32_t n, uintptr_t word)
{
	look_above_count(b);
	if (word != 0)
		explore_plain_read(&memory[number_of(word)]);
	if (word != 0)
		marked[number_of(word)]++;
	if (!one_filling && (!reused || n < 2))
		return;
	int own = (one_filling ? 0 : 2) + (int)i;
	if (word == 0)
		EXPLORE_CHECK(over[own], "a queued call is below the count and was not seen");
	else
		EXPLORE_CHECK(number_of(word) == own || number_of(word) == own + 1,
			      "what a block held earlier is below the count");
}

static void
run_queue(int id)
{
	begin(id);
	explore_may_sleep(true);
	serve(&runner);
}

static void
fill_twice(int id)
{
	if (id == RUNNER) {
		run_queue(id);
	} else if (id == 0) {
		begin(id);
		queue(0, 1);
		specials_wake();
		queue(2, 5);
		specials_wake();
	} else {
		begin(id);
		final_mark(NULL);
		final_mark(NULL);
	}
}

static void
init_running(void)
{
	init();
	wants_runs = true;
}

static void
init_one_filling(void)
{
	init_running();
	one_filling = true;
}

static void
fill_once(int id)
{
	if (id == RUNNER) {
		run_queue(id);
	} else if (id == 0) {
		begin(id);
		queue(0, 2);
		specials_wake();
	} else {
		final_mark(NULL);
	}
}

// Two who sweep, one of them on a thread that is no M.
static void
two_sweepers(int id)
{
	if (id == RUNNER) {
		run_queue(id);
	} else if (id == 0) {
		begin(id);
		queue(0, 1);
		specials_wake();
	} else {
		queue_cleanup(4, run_cleanup);
		specials_wake();
	}
}

static void
at_end(void)
{
	bool unused = false;
	for (int i = 0; i < OBJECTS; i++) {
		if (wants_runs)
			EXPLORE_CHECK(ran[i] == queued[i], "what was queued did not run");
		unused |= marked[i] != 0;
	}
	explore_outcome(reused + 2u * unused);
}

// --- a runner that ends
// ---------------------------------------------------------------------------

static int starts; // of runners

// Ends the goroutine, which begins again.
static void
end_runner(void *arg)
{
	run_cleanup(arg);
	serve(&runner);
}

G *
sched_spawn_held(void (*fn)(void *), void *arg, size_t stack_bytes, const char *name)
{
	(void)stack_bytes;
	(void)name;
	EXPLORE_CHECK(fn == serve && arg == &runner, "not the runner");
	PLAIN_WRITE(starts, starts + 1);
	return &gs[RUNNER];
}

void
sched_set_name(G *gp, const char *name)
{
	(void)name;
	EXPLORE_CHECK(gp == &gs[RUNNER], "not the runner");
}

static void
runner_ends(int id)
{
	if (id == RUNNER) {
		run_queue(id);
	} else if (id == 0) {
		begin(id);
		queue_cleanup(0, run_cleanup);
		queue_cleanup(1, end_runner);
		specials_wake();
		queue_cleanup(2, run_cleanup);
		specials_wake();
	} else {
		final_mark(NULL);
	}
}

// Two find that there is no runner yet.
static void
init_starting(void)
{
	init();
	starts = 0;
	store_rlx(&runner.g, NULL);
}

static void
start_together(int id)
{
	begin(id == 0 ? 0 : 3);
	EXPLORE_CHECK(final_start(), "no runner");
}

static void
one_start(void)
{
	EXPLORE_CHECK(starts == 1, "not one runner");
	EXPLORE_CHECK(runner.parked == &gs[RUNNER], "it is not born waiting"); // V4
	explore_outcome(0);
}

// --- the sweep
// ----------------------------------------------------------------------------------------

enum { DEAD = 0, LIVE = 1, REVIVED = 2 }; // objects of page 0

static struct go_weak *weak;
static uint64_t cleanup;

// Page 0 is a span with three objects that have something attached, of which the mark found one; of
// the others one has a finalizer.
static void
init_span(void)
{
	init();
	begin(0);
	Mspan *s = &spans[0];
	s->npages = 1;
	s->class = CLASS;
	infos[0] = (PageInfo){
		.magic = ~(uint32_t)0 / OBJECT_BYTES + 1,
		.size = OBJECT_BYTES,
		.nelems = OBJECTS,
		.kind = KIND,
	};
	store_rlx(&infos[0].state, SPAN_SMALL);
	store_rlx(&free_bits[0], bit(OBJECTS) - 1 - bit(DEAD) - bit(LIVE) - bit(REVIVED));
	file_span(&centrals[KIND][CLASS], s);
	weak = special_weak_new(object(DEAD));
}

static void
marked_but_for(uint64_t bits)
{
	store_rlx(&mark_bits[0], ~bits); // M2
	heap_start_sweep();
	store_rlx(&sweep_next, CENTRALS - 1);
	explore_words.m = NULL;
}

static void
init_sweep(void)
{
	init_span();
	cleanup = special_add_cleanup(object(DEAD), run_cleanup, object(DEAD));
	(void)special_add_cleanup(object(LIVE), run_cleanup, object(LIVE));
	(void)special_set_finalizer(object(REVIVED), POINTS_TO_BEGINNING, run_finalizer,
				    object(REVIVED + 1));
	marked_but_for(bit(DEAD) | bit(REVIVED));
}

static void
sweep_all(void)
{
	while (heap_sweep_one()) {
	}
}

// Takes the slot of the dead object, as soon as it is free.
static void
take_dead_slot(void)
{
	while ((load_acq(&free_bits[0]) & bit(DEAD)) == 0)
		explore_yield();
	uint64_t was = xchg_acq(&free_bits[0], 0);
	if ((was & bit(DEAD)) != 0)
		PLAIN_WRITE(memory[DEAD], 7);
}

static bool got;

static void
weak_against_sweep(int id)
{
	if (id == 0) {
		sweep_all();
	} else if (id == 1) {
		begin(id);
		got = special_weak_get(weak) != NULL;
		if (got)
			explore_plain_read(&memory[DEAD]);
		special_weak_free(weak);
	} else {
		take_dead_slot();
	}
}

static void
never_got(void)
{
	EXPLORE_CHECK(!got, "a weak pointer gave a dead object");
	EXPLORE_CHECK(EXPLORE_RAW(&final.bell) == 0, "nobody has parked");
	explore_outcome(0);
}

// Nothing but a weak pointer keeps who sweeps from giving the page back.
static void
init_last(void)
{
	init_span();
	store_rlx(&free_bits[0], bit(OBJECTS) - 1 - bit(DEAD));
	marked_but_for(bit(DEAD));
}

static void
last_against_sweep(int id)
{
	if (id == 0) {
		sweep_all();
	} else {
		begin(id);
		special_weak_free(weak);
	}
}

static void
page_gone(void)
{
	EXPLORE_CHECK(EXPLORE_RAW(&infos[0].state) == SPAN_NONE, "the page is kept");
	explore_outcome(0);
}

static uint32_t
calls_queued(uintptr_t arg)
{
	uint32_t n = 0;
	for (Block *b = final.queue; b != NULL; b = b->next)
		for (uint32_t i = 0; i < EXPLORE_RAW(&b->count); i++)
			n += EXPLORE_RAW(&b->entries[i].arg) == arg;
	return n;
}

static bool stopped;

// The cleanup of the dead object is stopped, the live one is freed by hand.
static void
stop_against_sweep(int id)
{
	if (id == 0) {
		sweep_all();
	} else if (id == 1) {
		begin(id);
		stopped = special_stop_cleanup(object(DEAD), cleanup);
	} else {
		begin(id);
		Slot s = heap_slot((uintptr_t)object(LIVE));
		specials_drop(s);
		EXPLORE_CHECK(heap_free(s), "it was free before");
	}
}

static void
stopped_or_queued(void)
{
	EXPLORE_CHECK(calls_queued((uintptr_t)object(DEAD)) == (stopped ? 0 : 1),
		      "a cleanup was stopped and runs, or neither");
	EXPLORE_CHECK(calls_queued((uintptr_t)object(LIVE)) == 0, "the cleanup of a freed object");
	EXPLORE_CHECK(final.promised == (stopped ? 1 : 2), "calls that were promised");
	EXPLORE_CHECK(calls_queued((uintptr_t)object(REVIVED + 1)) == 1, "a finalizer");
	EXPLORE_CHECK(EXPLORE_RAW(&free_bits[0]) == bit(OBJECTS) - 1 - bit(REVIVED), "free slots");
	explore_outcome(stopped);
}

// Others attach something to the live object meanwhile.
static void
attach_against_sweep(int id)
{
	if (id == 0) {
		sweep_all();
	} else if (id == 1) {
		begin(id);
		EXPLORE_CHECK(special_set_finalizer(object(LIVE), POINTS_TO_BEGINNING,
						    run_finalizer, object(4)) == 0,
			      "no memory");
	} else {
		begin(id);
		struct go_weak *w = special_weak_new(object(LIVE));
		EXPLORE_CHECK(special_weak_get(w) == object(LIVE), "a live object is gone");
		special_weak_free(w);
	}
}

static void
attached(void)
{
	uint32_t n[3] = {0};
	for (Record *r = EXPLORE_RAW(&spans[0].specials)->first; r != NULL; r = r->next) {
		EXPLORE_CHECK(r->index == LIVE, "a record of a dead object");
		n[r->kind]++;
	}
	EXPLORE_CHECK(n[RECORD_FINALIZER] == 1 && n[RECORD_CLEANUP] == 1 && n[RECORD_WEAK] == 0,
		      "records of the live object");
	EXPLORE_CHECK(calls_queued((uintptr_t)object(DEAD)) == 1, "the dead object's cleanup");
	explore_outcome(0);
}

// --- marking
// ------------------------------------------------------------------------------------------

static ATOMIC_U32 times[OBJECTS];

// Nobody counts.
void
pace_revived(int64_t bytes)
{
	(void)bytes;
}

void
mark_word(Marker *m, uintptr_t word)
{
	(void)m;
	add_rlx(&times[number_of(word)], 1);
}

void
mark_contents(Marker *m, Slot s)
{
	(void)m;
	(void)s;
}

// Each page is a span with one cleanup.
static void
init_mark(void)
{
	init();
	begin(0);
	memset(times, 0, sizeof(times));
	for (int i = 0; i < PAGES; i++) {
		infos[i] = (PageInfo){.magic = 0, .nelems = 1, .kind = KIND};
		store_rlx(&infos[i].state, SPAN_LARGE);
		spans[i].npages = 1;
		(void)special_add_cleanup(object(i * OBJECTS), run_cleanup,
					  object(i));
	}
	explore_words.m = NULL;
}

static void
mark_all(int id)
{
	(void)id;
	specials_mark_roots(NULL);
}

static void
each_marked_once(void)
{
	for (int i = 0; i < PAGES; i++)
		EXPLORE_CHECK(EXPLORE_RAW(&times[i]) == 1, "an argument was not marked just once");
	explore_outcome(0);
}

// --- all
// --------------------------------------------------------------------------------------------

static const struct ExploreTest tests[] = {
    {.name = "fill, run, mark",
     .threads = 3,
     .init = init_running,
     .thread = fill_twice,
     .final = at_end,
     .must = 15},
    {.name = "fill once, run, mark",
     .threads = 3,
     .init = init_one_filling,
     .thread = fill_once,
     .final = at_end,
     .must = 5},
    {.name = "two sweepers",
     .threads = 3,
     .init = init_running,
     .thread = two_sweepers,
     .final = at_end,
     .must = 1},
    {.name = "the runner ends",
     .threads = 3,
     .init = init_running,
     .thread = runner_ends,
     .final = at_end,
     .must = 5},
    {.name = "starts",
     .threads = 2,
     .init = init_starting,
     .thread = start_together,
     .final = one_start,
     .must = 1},
    {.name = "weak pointer and sweep",
     .threads = 3,
     .init = init_sweep,
     .thread = weak_against_sweep,
     .final = never_got,
     .must = 1},
    {.name = "last weak pointer and sweep",
     .threads = 2,
     .init = init_last,
     .thread = last_against_sweep,
     .final = page_gone,
     .must = 1},
    {.name = "stop, free and sweep",
     .threads = 3,
     .init = init_sweep,
     .thread = stop_against_sweep,
     .final = stopped_or_queued,
     .must = 3},
    {.name = "attach and sweep",
     .threads = 3,
     .init = init_sweep,
     .thread = attach_against_sweep,
     .final = attached,
     .must = 1},
    {.name = "markers",
     .threads = 3,
     .init = init_mark,
     .thread = mark_all,
     .final = each_marked_once,
     .must = 1},
    {0},
};

static const char *const sources[] = {"gc/special.c", "gc/final.c", "gc/service.c", NULL};

static const struct ExploreAllowed allowed[] = {
    {"start", "store_rel(&s->g)", "release", "it hands over the record, which nobody reads here"},
    {"service_start", "load_acq(&s->g)", "acquire", "the same"},
    {"block_add", "store_rel(&final.all)", "release",
     "it hands over all_next, a plain field of the source, which the engine does not see"},
    {"final_mark", "load_acq(&final.all)", "acquire", "the same"},
    {"set_awake", "add_ar(&begun)", "acquire",
     "a number for people, service_others', whom nobody plays here"},
    {"set_awake", "add_ar(&begun)", "release", "the same"},
    {"set_awake", "add_ar(&ended)", "acquire", "the same"},
    {"set_awake", "add_ar(&ended)", "release", "the same"},
    {"start", "add_ar(&begun)", "acquire", "the same"},
    {"start", "add_ar(&begun)", "release", "the same"},
    {"start", "add_ar(&ended)", "acquire", "the same"},
    {"start", "add_ar(&ended)", "release", "the same"},
    {0},
};

const struct ExploreDriver explore_driver = {
    .name = "special",
    .tests = tests,
    .allowed = allowed,
    .sources = sources,
};
