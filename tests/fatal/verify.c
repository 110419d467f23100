// SPDX-License-Identifier: BSD-3-Clause
// The modes of GODEBUG that verify the heap find what is wrong.
//
// Errors of a program are made as a program makes them. Errors of the collector itself are made
// from inside.
#include "gc/checkmark.h"
#include "harness.h"
#include "sched/sched.h"
#include "undergo.h"
#include "undergo/heap.h"

#include <stdio.h>
#include <string.h>

// --- clobberfree --------------------------------------------------------------------------------

static size_t object_bytes;

static void
write_at(void *p, size_t offset)
{
	((volatile char *)p)[offset] = 1;
}

// Until whoever gets the memory next has looked at it.
static void
allocate_much(size_t bytes)
{
	for (int i = 0; i < 2000; i++)
		go_alloc_data(bytes);
}

static int
write_after_free(void *arg)
{
	static void *neighbour; // their span lives on
	(void)arg;
	neighbour = go_alloc_data(object_bytes);
	char *p = go_alloc_data(object_bytes);
	go_free(p);
	write_at(p, object_bytes / 2);
	go_keep_alive(neighbour);
	allocate_much(object_bytes);
	return 0;
}

DEATH(verify_write_after_free)
{
	object_bytes = 100;
	go_run(write_after_free, NULL);
}

DEATH(verify_write_after_free_large)
{
	object_bytes = 100000;
	go_run(write_after_free, NULL);
}

static volatile uintptr_t hidden; // a complement, which is no pointer

// With a neighbour that lives on, so that their span does.
static __attribute__((noinline)) void
hide_one(void *kept)
{
	*(void **)kept = go_alloc(200);
	hidden = ~(uintptr_t)go_alloc(200);
}

// The collector frees what only a hidden pointer refers to.
static int
write_after_collection(void *arg)
{
	(void)arg;
	static void *kept[64];
	uintptr_t all[64];
	for (int i = 0; i < 64; i++) {
		hidden = 0;
		go_spawn(hide_one, &kept[i]);
		while (hidden == 0)
			go_sleep(GO_MSEC);
		all[i] = hidden;
	}
	go_gc();
	for (int i = 0; i < 64; i++)
		write_at((void *)~all[i], 8);
	for (int i = 0; i < 1000; i++)
		go_alloc(200);
	return 0;
}

DEATH(verify_write_after_collection)
{
	go_run(write_after_collection, NULL);
}

void
test_verify_finds_write_after_free(void)
{
	static const char *const why = "fatal error: free memory was written to\n";
	expect_death(verify_write_after_free, .status = 2, .env = "GODEBUG=clobberfree=1",
		     .err_has = {"1 word written", "noscan at ", ", size 112, offset 50\n", why});
	expect_death(verify_write_after_free_large, .status = 2, .env = "GODEBUG=clobberfree=1",
		     .err_has = {"1 word written", "page at ", why});
	expect_death(verify_write_after_collection, .status = 2, .env = "GODEBUG=clobberfree=1",
		     .err_has = {"1 word written", "scan at ", ", size 208, offset 8\n", why});
	expect_death(verify_write_after_free, .status = 0, .env = "GODEBUG=clobberfree=0");
}

static int
read_after_free(void *arg)
{
	(void)arg;
	uint64_t *p = go_alloc_data(256);
	memset(p, 1, 256);
	go_free(p);
	printf("%llx\n", (unsigned long long)*(volatile uint64_t *)&p[3]);
	return 0;
}

DEATH(verify_read_after_free)
{
	go_run(read_after_free, NULL);
}

void
test_verify_clobbers(void)
{
	expect_death(verify_read_after_free, .status = 0, .env = "GODEBUG=clobberfree=1",
		     .out = "deadbeefdeadbeef\n");
}

// --- gcevery ------------------------------------------------------------------------------------

static int
count_collections(void *arg)
{
	(void)arg;
	go_heap_stats st;
	go_alloc(16); // the heap begins to be
	go_heap_stats_read(&st);
	uint64_t before = st.collections;
	for (int i = 0; i < 100; i++)
		go_alloc(16 + (size_t)i * 1000);
	go_heap_stats_read(&st);
	uint64_t n = st.collections - before; // the stress build may collect some times more
	printf("%s\n", n < 5 ? "few" : n < 50 ? "some" : n < 100 ? "many" : "each time");
	return 0;
}

DEATH(verify_count_collections)
{
	go_run(count_collections, NULL);
}

void
test_verify_collects_every(void)
{
	expect_death(verify_count_collections, .status = 0, .env = "GODEBUG=gcevery=1",
		     .out = "each time\n");
	expect_death(verify_count_collections, .status = 0, .env = "GODEBUG=gcevery=20",
		     .out = "some\n");
}

// --- gccheckmark --------------------------------------------------------------------------------

typedef struct Pair {
	struct Pair *to;
	long number;
} Pair;

static Pair *head;

static Pair *
make_pairs(void)
{
	Pair *first = go_new(Pair);
	first->to = go_new(Pair);
	return first;
}

static Slot
slot_of(const void *p)
{
	return heap_slot((uintptr_t)p);
}

// What a mark does that misses the second of the pairs.
static void
unmark(void)
{
	Slot s = slot_of(head->to);
	and_ar(slot_mark_word(s), ~((uint64_t)1 << (s.index % 64))); // order: STW
}

static int
miss_one(void *arg)
{
	(void)arg;
	head = make_pairs();
	checkmark_test = unmark;
	go_gc();
	return 0;
}

DEATH(verify_miss_one)
{
	go_run(miss_one, NULL);
}

static uintptr_t dead[64]; // complements, which are no pointers
static ATOMIC_BOOL dead_made;

// Some may be alive for a stale word.
static void
mark_dead(void)
{
	for (size_t i = 0; i < countof(dead); i++) {
		Slot s = slot_of((void *)~dead[i]);
		or_ar(slot_mark_word(s), (uint64_t)1 << (s.index % 64)); // order: STW
	}
}

static void
make_dead(void *unused)
{
	(void)unused;
	for (size_t i = 0; i < countof(dead); i++)
		dead[i] = ~(uintptr_t)go_alloc(64);
	store_rel(&dead_made, true); // order: publish -> await_dead
}

static void
await_dead(void)
{
	go_spawn(make_dead, NULL);
	while (!load_acq(&dead_made)) // order: observe <- make_dead
		go_sleep(GO_MSEC);
	go_sleep(GO_MSEC); // it has ended
}

static int
mark_too_much(void *arg)
{
	(void)arg;
	await_dead();
	checkmark_test = mark_dead;
	go_gc();
	return 0;
}

DEATH(verify_mark_too_much)
{
	go_run(mark_too_much, NULL);
}

void
test_verify_compares_marks(void)
{
	static const char *const why = "fatal error: checkmark: the two marks differ\n";
	expect_death(verify_miss_one, .status = 2, .env = "GODEBUG=gccheckmark=1",
		     .err_has = {"not marked: scan object ", ", size 16\n", "from scan object ",
				 ", size 16, offset 0\n", why});
	expect_death(verify_mark_too_much, .status = 2, .env = "GODEBUG=gccheckmark=1",
		     .err_has = {"marked only by the mark: scan object ", ", size 80\n",
				 "nothing refers to it\n", why});
	expect_death(verify_miss_one, .status = 0);
}

// --- stackpoison --------------------------------------------------------------------------------

static volatile uint64_t *dead_word;
static go_chan *go_on;
static ATOMIC(G *) waiter;

// Leaves a word far below the frames in which the caller will wait.
static __attribute__((noinline)) void
leave_behind(void)
{
	volatile uint64_t frame[2000];
	for (size_t i = 0; i < countof(frame); i++)
		frame[i] = 0x1eaf;
	uintptr_t at = (uintptr_t)&frame[10];
	__asm__("" : "+r"(at)); // the compiler has forgotten whose it is
	dead_word = (volatile uint64_t *)at;
}

static void
wait_above(void *unused)
{
	(void)unused;
	long v;
	leave_behind();
	store_rel(&waiter, sched_g()); // order: publish -> dead_frame
	go_chan_recv(go_on, &v, GO_NEVER);
	printf("%s\n", *dead_word == 0x1eaf ? "as it was" : "overwritten");
	go_chan_send(go_on, &v, GO_NEVER);
}

static int
dead_frame(void *arg)
{
	(void)arg;
	long v = 0;
	go_on = go_chan_new(sizeof(long), 0);
	go_alloc(16); // there is a heap
	go_spawn(wait_above, NULL);
	while (load_acq(&waiter) == NULL || // order: observe <- wait_above
	       load_acq(&load_rlx(&waiter)->status) != Gwaiting) // order: observe <- park
		go_sleep(GO_MSEC);
	go_gc();
	go_chan_send(go_on, &v, GO_NEVER);
	go_chan_recv(go_on, &v, GO_NEVER);
	return 0;
}

DEATH(verify_dead_frame)
{
	go_run(dead_frame, NULL);
}

void
test_verify_poisons_stacks(void)
{
	expect_death(verify_dead_frame, .status = 0, .env = "GODEBUG=gcshrinkstackoff=1",
		     .out = "as it was\n");
	expect_death(verify_dead_frame, .status = 0,
		     .env = "GODEBUG=gcshrinkstackoff=1,stackpoison=1", .out = "overwritten\n");
}

// --- efence -------------------------------------------------------------------------------------

typedef struct Fenced {
	size_t bytes;
	bool freed;
	long at; // the byte that is touched
} Fenced;

static int
touch(void *v)
{
	const Fenced *f = v;
	char *p = go_alloc_data(f->bytes);
	char *of_another = go_alloc_data(f->bytes);
	memset(p, 1, f->bytes);
	if (f->freed)
		go_free(p);
	write_at(p, (size_t)f->at);
	go_free(of_another);
	return 0;
}

DEATH(verify_fence_freed)
{
	go_run(touch, &(Fenced){100, true, 50});
}

DEATH(verify_fence_end)
{
	go_run(touch, &(Fenced){95, false, 96});
}

DEATH(verify_fence_end_large)
{
	go_run(touch, &(Fenced){99999, false, 100000});
}

// A word that the collector could not know of.
static int
touch_hidden(void *arg)
{
	(void)arg;
	await_dead();
	go_gc();
	for (size_t i = 0; i < countof(dead); i++)
		write_at((void *)~dead[i], 0);
	return 0;
}

DEATH(verify_fence_collected)
{
	go_run(touch_hidden, NULL);
}

void
test_verify_fences(void)
{
	static const char *const why = "fatal error: unexpected signal\n[signal SIGSEGV";
	expect_death(verify_fence_freed, .status = 2, .env = "GODEBUG=efence=1",
		     .err_has = {"is in a freed noscan object at ", ", size 104\n", why});
	expect_death(verify_fence_end, .status = 2, .env = "GODEBUG=efence=1",
		     .err_has = {"is behind a noscan object at ", ", size 96\n", why});
	expect_death(verify_fence_end_large, .status = 2, .env = "GODEBUG=efence=1",
		     .err_has = {"is behind a noscan object at ", ", size 100000\n", why});
	expect_death(verify_fence_collected, .status = 2, .env = "GODEBUG=efence=1",
		     .err_has = {"is in a freed scan object at ", ", size 72\n", why});
	expect_death(verify_fence_freed, .status = 0, .env = "GODEBUG=clobberfree=0");
}
