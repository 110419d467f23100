// SPDX-License-Identifier: BSD-3-Clause
// The system refuses memory, threads or signals while a program uses the heap: once, at times, or
// from some moment on. Who asked for an object that may be refused gets NULL; whoever asked for one
// that may not ends the process with one clean line; everything else goes on as if nothing had
// been. What is alive stays as it was, and nobody hangs.
#include "child.h"
#include "goroutines.h"

#include <pthread.h>
#include <undergo/heap.h>

enum {
	EXIT_TOLD = 3, // the runtime could not even start, and said so by an error code
	WORKERS = 3,
	STEPS = 150,
	KEPT = 60,
	ENOUGH = 30,  // refusals: each has taken a collection
	LIMIT_MS = 20000,
	CALLS = 24, // each of the first so many fails in turn
};

// --- the program ---------------------------------------------------------------------------------

typedef struct Item {
	struct Item *next;
	uint64_t id;
	uint64_t *data; // ends with id
	size_t words;   // of data
} Item;

static const go_type item_type = GO_TYPE(Item, next, data);

static bool may_die; // allocates with what cannot fail
static Count ended, refused, finalized;

static void *
get(size_t bytes, go_alloc_kind kind)
{
	if (may_die && kind != GO_ALLOC_PINNED)
		return kind == GO_ALLOC_SCAN ? go_alloc(bytes) : go_alloc_data(bytes);
	void *p = go_try_alloc(bytes, 0, kind);
	if (p == NULL)
		count_add(&refused);
	return p;
}

static void
check_items(const Item *it)
{
	for (; it != NULL; it = it->next)
		if (it->data != NULL)
			expect_eq(it->data[it->words - 1], it->id);
}

static void
finalizer(void *p, void *arg)
{
	const Item *it = p;
	expect(arg == &item_type);
	check_items(it);
	count_add(&finalized);
}

static void
cleanup(void *arg)
{
	check_items(arg);
}

// All that can be attached to an object; each may be refused, and says so.
static void
attach(Item *it, uint64_t r)
{
	if (r % 3 == 0) {
		int err = go_set_finalizer(it, finalizer, (void *)(uintptr_t)&item_type);
		expect(err == 0 || err == GO_ENOMEM);
	}
	if (r % 5 == 0)
		(void)go_add_cleanup(it, cleanup, it->next);
	if (r % 7 == 0) {
		go_weak *w = go_weak_new(it);
		expect(w == NULL || go_weak_get(w) == it);
		go_weak_free(w);
	}
	if (r % 11 == 0) {
		int err = go_root_add(&it->next, sizeof(it->next));
		expect(err == 0 || err == GO_ENOMEM);
		if (err == 0)
			expect_eq(go_root_remove(&it->next), 0);
	}
}

static size_t
some_words(uint64_t r)
{
	return 1 + (r % 16 == 0 ? r / 16 % 40000 : r % 16 < 4 ? r / 16 % 3000 : r / 16 % 40);
}

static Item *
item_new(uint64_t *rand, Item *next)
{
	uint64_t r = test_rand(rand);
	Item *it = may_die && r % 2 != 0 ? go_new_typed(Item, &item_type)
					 : get(sizeof(Item), GO_ALLOC_SCAN);
	if (it == NULL)
		return next;
	expect(it->next == NULL && it->id == 0 && it->data == NULL);
	*it = (Item){.next = next, .id = r, .words = some_words(r >> 8)};
	it->data = get(it->words * sizeof(uint64_t), r % 4 == 0 ? GO_ALLOC_SCAN : GO_ALLOC_DATA);
	for (size_t i = 0; it->data != NULL && i < it->words; i++) {
		expect_eq(it->data[i], 0);
		it->data[i] = r;
	}
	attach(it, r >> 32);
	return it;
}

static void
work(uint64_t rand)
{
	Item *kept = NULL;
	for (int i = 0; i < STEPS && count_of(&refused) < ENOUGH; i++) {
		if (i % KEPT == 0) {
			check_items(kept);
			kept = NULL;
		}
		kept = item_new(&rand, kept);
		void *pinned = get(test_rand(&rand) % 300, GO_ALLOC_PINNED);
		go_free(pinned);
		if (kept != NULL && i % 9 == 0) {
			go_free(kept->data);
			kept->data = NULL;
		}
		if (i % 64 == 0)
			go_gc();
	}
	check_items(kept);
	count_add(&ended);
}

static void
worker(void *v)
{
	work((uintptr_t)v);
}

static void *
thread_worker(void *v)
{
	work((uintptr_t)v);
	return NULL;
}

static int
program_main(void *unused)
{
	(void)unused;
	pthread_t t;
	long started = 1;
	go_set_gc_percent(20);
	go_set_memory_limit(8 << 20); // free memory goes back again and again
	expect_eq(pthread_create(&t, NULL, thread_worker, (void *)7), 0);
	for (uintptr_t i = 0; i < WORKERS; i++) {
		int err = go_spawn(worker, (void *)i);
		expect(err == 0 || err == GO_ENOMEM);
		started += err == 0;
	}
	until(count_of(&ended) == started);
	pthread_join(t, NULL);
	go_gc();
	return 0;
}

static void
program(void)
{
	int err = go_run(program_main, NULL);
	if (err == GO_ENOMEM) {
		printf("told: go_run\n");
		fflush(stdout);
		_exit(EXIT_TOLD);
	}
	expect_eq(err, 0);
	printf("done %ld\n", count_of(&refused));
}

DEATH(fault_heap_tries)
{
	program();
}

DEATH(fault_heap_takes)
{
	may_die = true;
	program();
}

// The first call of all is a thread's that asks for an object.
DEATH(fault_heap_first)
{
	void *p = go_try_alloc(100, 0, GO_ALLOC_SCAN);
	printf("done %d\n", p == NULL);
}

DEATH(fault_heap_first_dies)
{
	(void)go_alloc(100);
	printf("done 0\n");
}

// --- judging -------------------------------------------------------------------------------------

static ChildEnd end;

typedef enum Verdict { MUST_SUCCEED, MAY_BE_REFUSED, MAY_DIE } Verdict;

static void
run_with(const char *child, const char *plan)
{
	static char text[512];
	snprintf(text, sizeof(text), "UNDERGO_FAULT=%s", plan);
	static char verify[] = "GODEBUG=gccheckmark=1,gcwalk=1";
	char *env[] = {text, verify, NULL};
	child_run(&end, child, env, LIMIT_MS);
}

// How it may die: of memory, said once.
static bool
died_well(void)
{
	return end.status == 2 && child_lines(&end, "fatal error: ") == 1 &&
	       child_lines(&end, "fatal error: out of memory\n") == 1;
}

static void
judge(const char *child, const char *plan, Verdict verdict)
{
	run_with(child, plan);
	bool fine = end.status == 0 && child_lines(&end, "done 0") == 1;
	if (verdict != MUST_SUCCEED) {
		fine = fine || (end.status == 0 && child_lines(&end, "done ") == 1);
		fine = fine || (end.status == EXIT_TOLD && child_lines(&end, "told: ") == 1);
	}
	if (verdict == MAY_DIE)
		fine = fine || died_well();
	if (fine)
		return;
	printf("UNDERGO_FAULT=%s %s: ended with %d\n%s\n", plan, child, end.status, end.text);
	fflush(stdout);
	expect(false);
}

typedef enum Forms { NOT_FOR_GOOD, FOR_GOOD_TOO } Forms;

// That failure at the first, second, ... call, at many, and for good.
static void
each_call(const char *kind, const char *error, Verdict tries, Verdict takes, Forms forms)
{
	static const char *const when[] = {"%2", "%3", "~3", "~10", "5+", "9+", "20+", "*"};
	long step = test_scale(CALLS) >= CALLS ? 1 : CALLS / test_scale(CALLS);
	char plan[64];
	for (long n = 1; n <= CALLS; n += step) {
		snprintf(plan, sizeof(plan), "%s:%ld:%s", kind, n, error);
		judge(n % 2 != 0 ? "fault_heap_tries" : "fault_heap_takes", plan,
		      n % 2 != 0 ? tries : takes);
	}
	size_t n_when = forms == FOR_GOOD_TOO ? 8 : 4, stride = step > 4 ? 3 : 1;
	for (size_t i = 0; i < n_when; i += stride) {
		snprintf(plan, sizeof(plan), "%s:%s:%s", kind, when[i], error);
		judge("fault_heap_tries", plan, tries);
		judge("fault_heap_takes", plan, takes);
	}
}

void
test_fault_heap_none(void)
{
	judge("fault_heap_tries", "", MUST_SUCCEED);
	judge("fault_heap_takes", "commit:1000000:ENOMEM", MUST_SUCCEED);
}

void
test_fault_heap_commit(void)
{
	each_call("commit", "ENOMEM", MAY_BE_REFUSED, MAY_DIE, FOR_GOOD_TOO);
}

void
test_fault_heap_reserve(void)
{
	each_call("reserve", "ENOMEM", MAY_BE_REFUSED, MAY_DIE, FOR_GOOD_TOO);
}

void
test_fault_heap_map(void)
{
	each_call("map", "ENOMEM", MAY_BE_REFUSED, MAY_DIE, FOR_GOOD_TOO);
}

void
test_fault_heap_alloc(void)
{
	each_call("alloc", "ENOMEM", MAY_BE_REFUSED, MAY_DIE, FOR_GOOD_TOO);
}

void
test_fault_heap_threads(void)
{
	each_call("thread", "EAGAIN", MAY_BE_REFUSED, MAY_DIE, FOR_GOOD_TOO);
}

// What the heap can do without.
void
test_fault_heap_harmless(void)
{
	each_call("decommit", "ENOMEM", MUST_SUCCEED, MUST_SUCCEED, FOR_GOOD_TOO);
	each_call("unmap", "ENOMEM", MUST_SUCCEED, MUST_SUCCEED, FOR_GOOD_TOO);
	each_call("huge_pages", "EINVAL", MUST_SUCCEED, MUST_SUCCEED, FOR_GOOD_TOO);
	each_call("populate", "ENOMEM", MUST_SUCCEED, MUST_SUCCEED, FOR_GOOD_TOO);
	each_call("read_file", "ENOENT", MUST_SUCCEED, MUST_SUCCEED, FOR_GOOD_TOO);
	each_call("thread_cpu", "ESRCH", MUST_SUCCEED, MUST_SUCCEED, FOR_GOOD_TOO);
}

// What stopping all threads needs: it is tried again until it works, or done another way.
void
test_fault_heap_stopping(void)
{
	each_call("halt_begin", "ENOMEM", MUST_SUCCEED, MUST_SUCCEED, FOR_GOOD_TOO);
	each_call("halt", "EAGAIN", MUST_SUCCEED, MUST_SUCCEED, NOT_FOR_GOOD);
	each_call("thread_list", "EIO", MUST_SUCCEED, MUST_SUCCEED, FOR_GOOD_TOO);
	each_call("thread_count", "EIO", MUST_SUCCEED, MUST_SUCCEED, FOR_GOOD_TOO);
	each_call("mappings", "EIO", MUST_SUCCEED, MUST_SUCCEED, FOR_GOOD_TOO);
}

// Wakes for no reason, and wakes that come late, of workers and of who waits for a cycle.
void
test_fault_heap_futex(void)
{
	each_call("futex_wait", "EINTR", MUST_SUCCEED, MUST_SUCCEED, NOT_FOR_GOOD);
	each_call("futex_wake", "EINTR", MUST_SUCCEED, MUST_SUCCEED, FOR_GOOD_TOO);
}

// All at once.
void
test_fault_heap_mixed(void)
{
	long step = test_scale(CALLS) >= CALLS ? 1 : CALLS / test_scale(CALLS);
	for (long n = 2; n <= CALLS; n += step) {
		char plan[256];
		snprintf(plan, sizeof(plan),
			 "commit:~%ld:ENOMEM,reserve:~%ld:ENOMEM,map:~%ld:ENOMEM,"
			 "alloc:~%ld:ENOMEM,thread:~%ld:EAGAIN,halt:~%ld:EAGAIN,"
			 "decommit:~3:ENOMEM,futex_wait:~2:EINTR",
			 n, n, 4 * n, 4 * n, n, 4 * n);
		judge("fault_heap_tries", plan, MAY_BE_REFUSED);
		judge("fault_heap_takes", plan, MAY_DIE);
	}
}

// The very first call: NULL where that can be said, else the one line.
void
test_fault_heap_first_call(void)
{
	static const char *const kinds[] = {"map", "alloc", "reserve", "commit"};
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		for (int n = 1; n <= 12; n++) {
			char plan[64];
			snprintf(plan, sizeof(plan), n == 12 ? "%s:*:ENOMEM" : "%s:%d:ENOMEM",
				 kinds[k], n);
			judge("fault_heap_first", plan, MAY_BE_REFUSED);
			judge("fault_heap_first_dies", plan, MAY_DIE);
		}
}
